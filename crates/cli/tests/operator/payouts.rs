//! `farthing payout ..`: two persons approve, a bank file is made once, a code is shown until it is used, and a kill between
//! any two states loses and doubles nothing.

use std::path::Path;

use serde_json::{Value, json};

use super::{NOBODY, Run, Server, folder, run};

const PASSPHRASE: &str = "a long passphrase of its own";

fn payout(folder: &Path, words: &[&str]) -> Run {
    run(folder, &[&["payout"], words].concat())
}

/// Makes a person's key and says what the configuration needs of it.
fn person(folder: &Path, name: &str) -> String {
    std::fs::write(folder.join("words"), format!("{PASSPHRASE}\n")).unwrap();
    let file = format!("{name}.key");
    let made = payout(folder, &["key", "--out", &file, "--passphrase-file", "words"]).ok();
    let key = made["key"].as_str().unwrap();
    assert!(!std::fs::read_to_string(folder.join(file)).unwrap().contains(key));
    format!("[[operator]]\nname = \"{name}\"\nkey = \"{key}\"\n")
}

/// A shop whose author is paid to a bank in euros and whose translator by a code, with two persons who approve.
fn shop() -> tempfile::TempDir {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    let config = std::fs::read_to_string(path.join("farthing.toml")).unwrap();
    let persons = person(path, "anna") + &person(path, "ben");
    let rest = "[payouts]\nname = \"Example Ltd\"\niban = \"FI2112345600000785\"\n[[asset]]\ncode = \"EUR\"\n[[merchant]]\nname = \"author\"\npayout = \"bank\"\nholder = \"Jörg Müller\"\niban = \"DE89370400440532013000\"\nkeep = \"5 EUR\"\n[[merchant]]\nname = \"translator\"\npayout = \"credits\"\n";
    std::fs::write(path.join("farthing.toml"), format!("{config}{rest}{persons}")).unwrap();
    for merchant in ["author", "translator"] {
        let account = format!("merchant:{merchant}");
        let words = ["ledger", "enter", "--debit", "own:till", "--credit", &account, "--amount", "50.25 EUR"];
        run(path, &[&words[..], &["--memo", merchant]].concat()).ok();
    }
    folder
}

fn approve(folder: &Path, payout_id: &str, name: &str) -> Run {
    let key = format!("{name}.key");
    payout(folder, &["approve", payout_id, "--key", &key, "--passphrase-file", "words"])
}

/// Does something with a server that is killed as soon as it has answered.
fn killed<T>(folder: &Path, act: impl FnOnce() -> T) -> T {
    let server = Server::serve(folder);
    let done = act();
    server.signal("KILL");
    server.end();
    done
}

/// What was debited and credited for good.
fn account(folder: &Path, name: &str) -> [String; 2] {
    let rows = run(folder, &["ledger", "trial"]).ok()["rows"].clone();
    let row = rows.as_array().unwrap().iter().find(|row| row["account"] == name).unwrap().clone();
    ["debits", "credits"].map(|side| row[side].as_str().unwrap().to_owned())
}

/// What was paid out is no less earned: the entry by hand is what there is to earn here.
fn is_reported(path: &Path, statement: &str) {
    let year = &statement.lines().last().unwrap()["proposed: ".len()..][..4];
    let report = run(path, &["ledger", "report", "--period", year]).ok();
    let paid = json!([{
        "account": "merchant:author", "asset": "EUR", "payouts": 1, "failed": 0, "amount": "45.25"
    }]);
    assert_eq!(report["payouts"], paid, "{report}");
    let line = report["lines"].as_array().unwrap().iter().find(|line| line["account"] == "merchant:author");
    assert_eq!(line.unwrap()["amount"], "50.25", "{report}");
}

#[test]
fn a_bank_payout_takes_two_persons_and_one_file_and_outlives_every_kill() {
    let folder = shop();
    let path = folder.path();
    let propose = ["propose", "--merchant", "author", "--name", "2026-11"];
    let proposed = killed(path, || payout(path, &propose).ok());
    assert_eq!((&proposed["shown"], &proposed["state"]), (&json!("45.25 EUR"), &json!("proposed")));
    let id = proposed["id"].as_str().unwrap().to_owned();
    assert_eq!(payout(path, &propose).ok()["id"], proposed["id"], "the same name is the same payout");
    let too_much = payout(path, &["propose", "--merchant", "author", "--amount", "0.01 EUR"]);
    assert!(too_much.exit == 1 && too_much.stderr.contains("(payout-short)"), "{}", too_much.stderr);

    for _ in 0..2 {
        let approved = killed(path, || approve(path, &id[..12], "anna").ok());
        assert_eq!((&approved["approved"], &approved["state"]), (&json!(1), &json!("proposed")));
    }
    let early = payout(path, &["file", "--out", "payments.xml"]);
    assert!(early.exit == 5 && early.stderr.contains("no payout of EUR"), "{}", early.stderr);

    // Ben signs on another machine: all that goes there is the statement.
    let statement = payout(path, &["show", &id]).ok()["statement"].as_str().unwrap().to_owned();
    assert!(
        statement.contains("amount: 45.25 EUR (45250000 ueur)")
            && statement.contains("DE89370400440532013000")
    );
    std::fs::write(path.join("statement"), &statement).unwrap();
    let sign = ["sign", "--statement", "statement", "--key", "ben.key", "--passphrase-file", "words"];
    let signed = payout(path, &sign).ok();
    let (key, signature) = (signed["key"].as_str().unwrap(), signed["signature"].as_str().unwrap());
    let hand_in = |id: &str, signature: &str| {
        payout(path, &["approve", id, "--public-key", key, "--signature", signature])
    };
    let forged = signature.replace(&signature[..4], "0000");
    assert!(hand_in(&id, &forged).stderr.contains("the signature is not ben's"));
    let other = payout(path, &["propose", "--merchant", "translator", "--amount", "1 EUR"]).ok();
    let replayed = hand_in(other["id"].as_str().unwrap(), signature);
    assert!(
        replayed.exit == 1 && replayed.stderr.contains("over this payout as it stands"),
        "{}",
        replayed.stderr
    );
    let approved = killed(path, || hand_in(&id, signature).ok());
    assert_eq!((&approved["approved"], &approved["state"]), (&json!(2), &json!("approved")));

    let file = killed(path, || payout(path, &["file", "--out", "payments.xml"]).ok());
    assert_eq!((&file["sum"], &file["before"]), (&json!("45.25"), &json!(false)));
    let again = payout(path, &["file", "--out", "again.xml"]).ok();
    assert_eq!((&again["message"], &again["before"]), (&file["message"], &json!(true)));
    let text = std::fs::read_to_string(path.join("payments.xml")).unwrap();
    assert_eq!(std::fs::read_to_string(path.join("again.xml")).unwrap(), text, "the same bytes");
    assert!(text.contains(&id[..32]) && text.contains("<Nm>Jorg Muller</Nm>"), "{text}");
    assert_eq!(payout(path, &["cancel", &id, "--why", "late"]).exit, 1);

    for _ in 0..2 {
        let day = statement.lines().last().unwrap()["proposed: ".len()..][..10].to_owned();
        let paid = killed(path, || payout(path, &["settle", &id, "--on", &day]).ok());
        assert_eq!((&paid["state"], &paid["paid_on"]), (&json!("paid"), &json!(day)));
    }
    assert!(payout(path, &["fail", &id, "--why", "no"]).stderr.contains("(payout-state)"));
    is_reported(path, &statement);
    assert_eq!(run(path, &["ledger", "verify"]).exit, 0);
    for (name, balance) in [
        ("merchant:author", ["45.25", "50.25"]),
        ("payouts-due", ["45.25", "45.25"]),
        ("own:bank", ["0.00", "45.25"]),
    ] {
        assert_eq!(account(path, name), balance, "{name}");
    }
}

#[test]
fn a_code_is_the_same_until_it_is_used_and_what_fails_comes_back() {
    let folder = shop();
    let path = folder.path();
    let proposed = payout(path, &["propose", "--merchant", "translator", "--amount", "20.25 EUR"]).ok();
    let id = proposed["id"].as_str().unwrap();
    let early = payout(path, &["send", id]);
    assert!(early.exit == 1 && early.stderr.contains("(payout-unapproved)"), "{}", early.stderr);
    for name in ["anna", "ben"] {
        approve(path, id, name).ok();
    }
    let sent: Vec<Value> = (0..3).map(|_| killed(path, || payout(path, &["send", id]).ok())).collect();
    assert!(sent[0]["code"].as_str().unwrap().starts_with("FT-"));
    assert!(sent.iter().all(|one| one == &sent[0]), "{sent:#?}");
    assert_eq!(account(path, "codes"), ["0.00", "20.25"]);
    run(path, &["ledger", "verify"]).ok();

    let by_bank = payout(path, &["propose", "--merchant", "author", "--amount", "10 EUR"]).ok();
    let id = by_bank["id"].as_str().unwrap();
    for name in ["anna", "ben"] {
        approve(path, id, name).ok();
    }
    let refused = payout(path, &["send", id]);
    assert!(refused.stderr.contains("farthing payout file"), "{}", refused.stderr);
    payout(path, &["file", "--out", "one.xml"]).ok();
    let failed = killed(path, || payout(path, &["fail", id, "--why", "account closed"]).ok());
    assert_eq!((&failed["state"], &failed["why"]), (&json!("failed"), &json!("account closed")));
    assert_eq!(account(path, "merchant:author"), ["10.00", "60.25"]);
    let listed = payout(path, &["list", "--open"]).ok();
    assert_eq!(listed, json!([]));
    let table = payout(path, &["list", "--text"]).stdout;
    assert!(table.starts_with("PAYOUT") && table.contains("Jorg Muller"), "{table}");
}

/// The destination was changed in the configuration after two persons had approved another one.
#[test]
fn a_changed_destination_is_paid_to_nobody() {
    let folder = shop();
    let path = folder.path();
    let proposed = payout(path, &["propose", "--merchant", "author", "--amount", "10 EUR"]).ok();
    let id = proposed["id"].as_str().unwrap();
    for name in ["anna", "ben"] {
        approve(path, id, name).ok();
    }
    let config = std::fs::read_to_string(path.join("farthing.toml")).unwrap();
    let moved = config.replace("DE89370400440532013000", "GB82WEST12345698765432");
    std::fs::write(path.join("farthing.toml"), moved).unwrap();
    assert_eq!(payout(path, &["file", "--out", "payments.xml"]).exit, 5, "nothing to be paid");
    let mut server = Server::serve(path);
    server.wait_for("their destination is another one by now");
    server.stop();
    let shown = payout(path, &["show", id]).ok();
    assert_eq!(
        (&shown["state"], &shown["why"]),
        (&json!("cancelled"), &json!("its destination is another one by now"))
    );
    assert_eq!(account(path, "merchant:author"), ["0.00", "50.25"]);
}

/// A threshold and nobody to approve: proposed once and sent once, whatever is killed in between.
#[test]
fn what_is_due_is_proposed_and_sent_once() {
    let folder = folder(
        NOBODY,
        "[payouts]\napprovals = 0\n[[chain]]\nid = 31337\nnodes = \"http://127.0.0.1:9\"\n[[token]]\nchain = 31337\naddress = \"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"\nsymbol = \"TUSD\"\nname = \"Test Dollar\"\nversion = \"1\"\ncounts_as = \"USD\"\n[[merchant]]\nname = \"author\"\npayout = \"evm\"\nchain = 31337\ntoken = \"TUSD\"\naddress = \"0x70997970C51812dc3A010C7d01b50e0d17dc79C8\"\nevery = \"month\"\nfrom = \"20 USD\"\n",
    );
    let path = folder.path();
    let enter = |debit: &str, credit: &str, amount: &str| {
        let words = ["ledger", "enter", "--debit", debit, "--credit", credit, "--amount", amount];
        run(path, &[&words[..], &["--memo", "a test"]].concat()).ok()
    };
    enter("own:till", "merchant:author", "19.99 USD");
    let server = Server::serve(path);
    assert_eq!(payout(path, &["list"]).ok(), json!([]), "below the threshold");
    server.stop();
    enter("own:till", "merchant:author", "5.01 USD");
    let mut server = Server::serve(path);
    // It is there at once, and waits: we have none of the token.
    server.wait_for("has 0 that is not on its way out");
    server.signal("KILL");
    server.end();
    let waiting = payout(path, &["list"]).ok();
    assert_eq!((&waiting[0]["state"], &waiting[0]["shown"]), (&json!("approved"), &json!("25.00 USD")));
    enter("reserve:eip155:31337:TUSD", "own:till", "30 USD");
    enter("own:till", "merchant:author", "100 USD");
    for _ in 0..2 {
        let server = Server::serve(path);
        // The first run is at once; the operator's word is the same.
        payout(path, &["send", waiting[0]["id"].as_str().unwrap()]).ok();
        server.signal("KILL");
        server.end();
        let all = payout(path, &["list"]).ok();
        assert_eq!(all.as_array().unwrap().len(), 1, "one in a month: {all:#}");
        assert_eq!(all[0]["state"], "sending");
        assert_eq!(account(path, "payouts-due"), ["0.00", "25.00"]);
    }
}
