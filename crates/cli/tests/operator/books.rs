//! `farthing code` and `farthing ledger`, over the socket of a server that runs and on the folder when none does.

use serde_json::{Value, json};

use super::{NOBODY, Server, farthing, folder, run};

const CREATE: [&str; 6] = ["code", "create", "--amount", "5.00 USD", "--count", "2"];

fn sold(folder: &std::path::Path) -> Value {
    let trial = run(folder, &["ledger", "trial"]).ok();
    assert_eq!((&trial["balances"], &trial["settled"]), (&json!(true), &json!(true)));
    let rows = trial["rows"].as_array().unwrap();
    rows.iter().find(|row| row["account"] == "codes-sold").map_or(Value::Null, |row| row["debits"].clone())
}

#[test]
fn codes_are_made_over_the_socket_and_on_the_folder() {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    let server = Server::serve(path);
    let made = run(path, &CREATE).ok();
    assert_eq!((made["codes"].as_array().unwrap().len(), &made["shown"]), (2, &json!("5.00 USD")));
    assert_eq!(sold(path), "10.00");
    server.stop();
    assert_eq!(sold(path), "10.00", "the same books, now on the folder");

    let made = run(path, &[&CREATE[..], &["--text", "--expires", "30d"]].concat());
    let codes: Vec<&str> = made.stdout.lines().collect();
    assert!(codes.len() == 2 && codes.iter().all(|code| code.starts_with("FT-")), "{}", made.stdout);
    assert_ne!(codes[0], codes[1]);
    assert!(made.stderr.starts_with("2 top-up codes of 5.00 USD each, until 2"), "{}", made.stderr);
    assert_eq!(sold(path), "20.00");

    let server = Server::serve(path);
    let lines = run(path, &["ledger", "journal"]).ok();
    let lines = lines.as_array().unwrap();
    // Beside the sales stands the mark of an epoch that the server ended, before or after the second.
    let sales: Vec<_> = lines.iter().filter(|line| line["kind"] == "code-sold").collect();
    assert!(sales.len() == 2 && sales.iter().all(|line| line["shown"] == "10.00 USD"), "{lines:#?}");
    let page = run(path, &["ledger", "journal", "--limit", "1"]);
    let (first, next) = (page.json(), lines[0]["batch"].as_u64().unwrap() + 1);
    assert_eq!(first[0], lines[0]);
    assert_eq!(page.stderr, format!("there may be more: --from {next}\n"));
    let rest = run(path, &["ledger", "journal", "--from", &next.to_string()]).ok();
    assert_eq!(rest[0], lines[1]);
    server.stop();
}

#[test]
fn the_journal_is_replayed() {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    run(path, &CREATE).ok();
    let on_the_folder = run(path, &["ledger", "verify"]).ok();
    assert_eq!((&on_the_folder["balances"], &on_the_folder["entries"]), (&json!(true), &json!(1)));
    let server = Server::serve(path);
    let over_the_socket = run(path, &["ledger", "verify"]).ok();
    // The server may have ended an epoch since: that is an entry too.
    assert!(over_the_socket["entries"].as_u64().unwrap() >= 1, "{over_the_socket}");
    let text = run(path, &["ledger", "verify", "--text"]).stdout;
    let head = text.trim_end().rsplit_once("\nhead ").unwrap().1;
    assert!(head.len() == 64 && head.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text}");
    let table = run(path, &["ledger", "trial", "--text"]);
    assert!(table.stdout.starts_with("ACCOUNT"), "{}", table.stdout);
    assert!(table.stdout.ends_with("\ndebits equal credits; nothing is on hold\n"), "{}", table.stdout);
    server.stop();
}

#[test]
fn what_makes_no_sense_is_a_wrong_command_line() {
    let folder = folder(NOBODY, "");
    for (wrong, words) in [
        (&["--amount", "5.00"][..], "expected an amount and an asset"),
        (&["--amount", "5.00 XYZ"], "not configured"),
        (&["--amount", "0.00 USD"], "expected more than nothing"),
        (&["--amount", "0.0000001 USD"], "6 decimals"),
        (&["--amount", "1.00 USD", "--count", "0"], "--count"),
        (&["--amount", "1.00 USD", "--count", "10001"], "--count"),
        (&["--amount", "1.00 USD", "--expires", "soon"], "expected a span"),
    ] {
        let refused = run(folder.path(), &[&["code", "create"], wrong].concat());
        assert_eq!((refused.exit, refused.stdout.as_str()), (2, ""), "{wrong:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(words), "{wrong:?}: {}", refused.stderr);
    }
}

#[test]
fn the_users_configuration_is_found() {
    let (folder, elsewhere) = (folder(NOBODY, ""), tempfile::tempdir().unwrap());
    let users = elsewhere.path().join("farthing");
    std::fs::create_dir(&users).unwrap();
    std::fs::rename(folder.path().join("farthing.toml"), users.join("farthing.toml")).unwrap();
    let check = |home: &str| {
        farthing(folder.path()).args(["check", "--text"]).env(home, elsewhere.path()).output().unwrap()
    };
    // The passphrase stayed behind, and paths are relative to the configuration: the message names the file.
    let found = String::from_utf8(check("XDG_CONFIG_HOME").stderr).unwrap();
    assert!(found.contains("farthing/farthing.toml:") && found.contains("passphrase_file"), "{found}");
    assert!(
        String::from_utf8(check("HOME").stderr)
            .unwrap()
            .contains("cannot read the configuration farthing.toml")
    );
}
