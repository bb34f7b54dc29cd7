//! `farthing demo` that stays, and `farthing doctor` on it.

use std::path::Path;

use serde_json::{Value, json};

use super::{NOBODY, Server, folder, run};

const ANY_PORT: &str = "127.0.0.1:0";

fn demo(folder: &Path, listen: &str) -> Server {
    Server::start(folder, &["demo", "--data", "demo", "--listen", listen], "Ctrl-C ends the demo")
}

fn states(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|finding| (finding["check"].as_str().unwrap(), finding["state"].as_str().unwrap())).collect()
}

fn finding<'a>(report: &'a Value, check: &str) -> &'a Value {
    report["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == check).unwrap()
}

#[test]
fn the_operators_commands_work_on_a_demo_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let server = demo(folder.path(), ANY_PORT);
    let config = server.text("config").to_owned();
    assert!(server.text("code").starts_with("FT-"));
    let made = run(folder.path(), &["code", "create", "--amount", "0.50 USD", "--config", &config]).ok();
    assert_eq!(made["shown"], "0.50 USD");
    assert_eq!(run(folder.path(), &["check", "--config", &config]).ok()["prices"], 8);
    let site = Path::new(server.text("site"));
    assert!(std::fs::read_to_string(site.join("article.html")).unwrap().contains("The smallest coin"));
    server.stop();
    Server::stop(demo(folder.path(), ANY_PORT));
}

#[test]
fn a_day_pass_of_the_demo_opens_its_pages_and_singles_count_toward_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = demo(folder.path(), ANY_PORT);
    let (gate, code, mint) = (server.text("gate"), server.text("code"), server.text("issuer"));
    let with = |wallet: &str, arguments: &[&str]| {
        run(folder.path(), &[arguments, &["--wallet", wallet]].concat()).ok()
    };
    let pay = |wallet: &str, path: &str| with(wallet, &["pay", "-L", "-o", "came", &format!("{gate}{path}")]);
    with("one", &["wallet", "redeem", code, "--mint", mint]);
    let bought = pay("one", "/pass/day");
    assert_eq!((&bought["charged"]["decimal"], &bought["outcome"]), (&json!("0.03"), &json!("paid")));
    let pages = ["/article.html", "/picture.svg", "/video.webm", "/notes.html"];
    for page in pages {
        assert_eq!(pay("one", page)["outcome"], "pass", "{page}");
    }
    assert_eq!(pay("one", "/api/wren")["charged"]["decimal"], "0.001", "it is no page");

    // Another payer takes one page after the other, and has paid the pass with the second.
    let config = server.text("config");
    let codes = run(folder.path(), &["code", "create", "--amount", "0.50 USD", "--config", config]).ok();
    with("two", &["wallet", "redeem", codes["codes"][0].as_str().unwrap(), "--mint", mint]);
    assert_eq!(pay("two", "/article.html")["charged"]["decimal"], "0.01");
    assert_eq!(pay("two", "/video.webm")["charged"]["decimal"], "0.02");
    for page in pages {
        assert_eq!(pay("two", page)["outcome"], "pass", "{page}");
    }
    let front = run(folder.path(), &["pay", &format!("{gate}/"), "--wallet", "two"]);
    assert!(front.stdout.contains("href=\"/pass/day\""), "{}", front.stdout);
    server.stop();
}

#[test]
fn a_taken_port_is_no_hindrance() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = demo(first.path(), ANY_PORT);
    let address = one.text("gate").trim_start_matches("http://").to_owned();
    let other = demo(second.path(), &address);
    assert!(
        other.said.contains(&format!("{address} is taken; another port serves instead")),
        "{}",
        other.said
    );
    assert_ne!(one.text("gate"), other.text("gate"));
    one.stop();
    other.stop();
}

#[test]
fn an_owners_configuration_is_not_overwritten() {
    let folder = folder(NOBODY, "");
    let refused = run(folder.path(), &["demo", "--data", "."]);
    assert_eq!(refused.exit, 1);
    assert!(
        refused.stderr.contains("expected a new folder or that of an earlier demo"),
        "{}",
        refused.stderr
    );
}

#[test]
fn the_doctor_pays_its_own_endpoint() {
    let folder = tempfile::tempdir().unwrap();
    let server = demo(folder.path(), ANY_PORT);
    let config = server.text("config").to_owned();
    let doctor =
        |arguments: &[&str]| run(folder.path(), &[&["doctor", "--config", &config], arguments].concat());

    let looked = doctor(&["--no-pay"]).ok();
    let checks =
        ["configuration", "price", "server", "challenge", "caching", "cashu offer", "mpp offer", "issuer"];
    let mut expected: Vec<_> = checks.iter().map(|check| (*check, "ok")).collect();
    assert_eq!(states(&looked), [&expected[..], &[("payment", "left-out")]].concat());

    let paid = doctor(&["/article.html"]).ok();
    expected.extend(["upstream", "operator", "payment", "receipt", "books"].map(|check| (check, "ok")));
    assert_eq!((states(&paid), &paid["payable"]), (expected, &json!(true)));
    let found = finding(&paid, "payment")["found"].as_str().unwrap();
    assert!(found.starts_with("0.01 USD moved from codes-sold to the merchant"), "{found}");
    let trial = run(folder.path(), &["ledger", "trial", "--config", &config]).ok();
    let merchant =
        trial["rows"].as_array().unwrap().iter().find(|row| row["account"] == "merchant:demo").unwrap();
    assert_eq!(merchant["credits"], "0.01");

    let free = doctor(&["/index.html"]);
    assert_eq!((free.exit, &free.json()["payable"]), (1, &json!(false)));
    assert_eq!(finding(&free.json(), "price")["found"], "/index.html has no price");
    let nothing_there = doctor(&["/api/nothing"]).json();
    assert_eq!(finding(&nothing_there, "upstream")["state"], "bad", "{nothing_there:#}");
    let text = doctor(&["/article.html", "--no-pay", "--text"]).stdout;
    assert!(text.starts_with("ok   configuration"), "{text}");

    server.stop();
    let gone = doctor(&[]);
    assert_eq!(gone.exit, 1);
    let found = finding(&gone.json(), "server").clone();
    assert!(found["found"].as_str().unwrap().contains("cannot be reached"), "{found}");
    assert!(found["next"].as_str().unwrap().starts_with("start the server"), "{found}");
}

#[test]
fn the_doctor_finds_what_is_wrong_behind_the_gate() {
    let rules = "[[price]]\npath = \"/a\"\namount = \"0.01 USD\"\n";
    let folder = folder(NOBODY, rules);
    let server = Server::serve(folder.path());
    let url = format!("{}/a", server.text("gate"));
    let report = run(folder.path(), &["doctor", &url]);
    assert_eq!(report.exit, 1);
    let found = finding(&report.json(), "upstream").clone();
    assert!(
        found["found"].as_str().unwrap().starts_with("the web server behind the gate cannot be reached"),
        "{found}"
    );
    let trial = run(folder.path(), &["ledger", "trial"]).ok();
    assert_eq!(trial["rows"], json!([]), "nothing was made that is not used");
    let unknown_port = run(folder.path(), &["doctor"]).json();
    assert_eq!(finding(&unknown_port, "price")["state"], "bad");
    server.stop();
}
