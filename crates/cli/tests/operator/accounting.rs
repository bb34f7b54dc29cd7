//! `farthing ledger export|enter|reverse|close|closes|heads|receipt|statement|report`, over the socket of a server that
//! runs and on the folder when none does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use super::{NOBODY, Run, Server, folder, run};

const TAXED: &str = "[[price]]\npath = \"/a\"\namount = \"0.01 USD\"\ntax = \"standard\"\n";

fn ledger(folder: &Path, words: &[&str]) -> Run {
    run(folder, &[&["ledger"], words].concat())
}

fn enter(folder: &Path, date: &str, amount: &str) -> Run {
    let words = ["enter", "--debit", "own:bank", "--credit", "codes-sold", "--memo", "from the bank"];
    ledger(folder, &[&words[..], &["--date", date, "--amount", amount]].concat())
}

fn today() -> String {
    farthing_gate::flow::system_clock()().to_string().chars().take(10).collect()
}

/// Lines of an export without marks, and without the head that it names: a server that runs may end an epoch in between.
fn moves(text: &str) -> String {
    let is_moving =
        |line: &&str| ![",mark,", "\"mark\"", "; Farthing's journal"].iter().any(|word| line.contains(word));
    text.lines().filter(is_moving).collect::<Vec<_>>().join("\n")
}

/// Says the same over the socket and on the folder.
fn both(folder: &Path, look: impl Fn() -> Value) -> Value {
    let on_the_folder = look();
    let server = Server::serve(folder);
    assert_eq!(look(), on_the_folder);
    server.stop();
    on_the_folder
}

#[test]
fn exports_go_to_stdout_or_into_a_whole_file() {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    run(path, &["code", "create", "--amount", "5.00 USD"]).ok();
    for format in ["csv", "jsonl", "hledger", "beancount"] {
        let file = path.join("books");
        let shown = both(path, || {
            let printed = ledger(path, &["export", "--format", format]);
            assert_eq!(printed.exit, 0, "{}", printed.stderr);
            let written = ledger(path, &["export", "--format", format, "--out", "books"]);
            assert_eq!((written.exit, written.stdout.as_str()), (0, ""), "{}", written.stderr);
            assert_eq!(moves(&std::fs::read_to_string(&file).unwrap()), moves(&printed.stdout));
            moves(&printed.stdout).into()
        });
        let text = shown.as_str().unwrap();
        assert!(text.contains("5.000000"), "{text}");
    }
    let nowhere = ledger(path, &["export", "--format", "csv", "--out", "absent/books"]);
    assert_eq!((nowhere.exit, nowhere.stderr.contains("cannot write absent/books")), (1, true));
    let empty = ledger(path, &["export", "--format", "jsonl", "--period", "2020-01"]);
    assert_eq!((empty.exit, empty.stdout.as_str()), (0, ""));
    let today = today();
    let all = ledger(path, &["export", "--format", "jsonl", "--from", "2020-01-01", "--to", &today]);
    assert_eq!(moves(&all.stdout).lines().count(), 1);
}

#[test]
fn entries_are_made_once_and_taken_back_once() {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    let today = today();
    let first = enter(path, &today, "5.00 USD").ok();
    let server = Server::serve(path);
    let again = enter(path, &today, "5.00 USD").ok();
    assert_eq!((&first["before"], &again["before"]), (&json!(false), &json!(true)));
    assert_eq!(first["reference"], again["reference"]);
    let reference = first["reference"].as_str().unwrap();
    let back = ["reverse", reference, "--memo", "not ours"];
    assert_eq!(ledger(path, &back).ok()["before"], false);
    assert_eq!(ledger(path, &back).ok()["before"], true);
    server.stop();
    let lines = ledger(path, &["journal"]).ok();
    let kinds = lines.as_array().unwrap().iter().map(|line| line["kind"].as_str().unwrap());
    assert_eq!(kinds.filter(|kind| *kind != "epoch").collect::<Vec<_>>(), ["manual", "reversal"]);
    let rows = ledger(path, &["trial"]).ok()["rows"].clone();
    assert!(rows.as_array().unwrap().iter().all(|row| row["debits"] == row["credits"]), "{rows:#}");
    for (words, exit, told) in [
        (&["reverse", &"ab".repeat(32), "--memo", "x"][..], 5, "(unknown-entry)"),
        (&["reverse", "12", "--memo", "x"], 1, "64 hexadecimal digits"),
        (&["receipt", &"ab".repeat(32)], 5, "there is no payment"),
        (&["receipt", "absent"], 5, "expected a payment's id"),
        (&["close", "--show", "2026-01"], 5, "is not closed"),
    ] {
        let here = ledger(path, words);
        assert_eq!((here.exit, here.stderr.contains(told)), (exit, true), "{words:?}: {}", here.stderr);
        let server = Server::serve(path);
        let there = ledger(path, words);
        assert_eq!((there.exit, there.stderr.contains(told)), (exit, true), "{words:?}: {}", there.stderr);
        server.stop();
    }
}

#[test]
fn a_closed_month_is_locked_and_shown_again() {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    enter(path, "2026-01-15", "5.00 USD").ok();
    let early = ledger(path, &["close", "2026-02"]);
    assert_eq!(early.exit, 1);
    assert!(early.stderr.contains("2026-01-15 comes first"), "{}", early.stderr);
    let closed = both(path, || ledger(path, &["close", "2026-01"]).ok());
    let bank =
        closed["accounts"].as_array().unwrap().iter().find(|row| row["account"] == "own:bank").unwrap();
    assert_eq!((&bank["opening"], &bank["closing"]), (&json!("0.00"), &json!("5.00")));
    assert_eq!(both(path, || ledger(path, &["close", "--show", "2026-01"]).ok()), closed);
    let list = both(path, || ledger(path, &["closes"]).ok());
    assert_eq!((&list[0]["period"], &list[0]["until"]), (&json!("2026-01"), &json!("2026-02-01")));
    let locked = enter(path, "2026-01-31", "1.00 USD");
    assert_eq!((locked.exit, locked.stderr.contains("(period-closed)")), (1, true), "{}", locked.stderr);
    let open = ledger(path, &["close", &today()]);
    assert!(open.exit == 1 && open.stderr.contains("(period-open)"), "{}", open.stderr);
    assert_eq!(ledger(path, &["verify"]).ok()["closes"], 1);
    let table = ledger(path, &["close", "--show", "2026-01", "--text"]).stdout;
    assert!(table.starts_with("2026-01 is closed: nothing is dated before 2026-02-01"), "{table}");
}

#[test]
fn statement_and_report_tell_where_the_operator_stands() {
    let folder = folder(NOBODY, TAXED);
    let path = folder.path();
    run(path, &["code", "create", "--amount", "5.00 USD"]).ok();
    let sections = both(path, || ledger(path, &["statement"]).ok()["assets"].clone());
    assert_eq!(sections[0]["balances"], true);
    let customers = sections[0]["sections"].as_array().unwrap().iter().find(|one| one["name"] == "customers");
    assert_eq!(customers.unwrap()["total"], "5.00");
    let text = ledger(path, &["statement", "--text"]).stdout;
    assert!(text.contains("what you owe to customers") && text.contains("nobody has used"), "{text}");
    assert_eq!(both(path, || ledger(path, &["report", "--period", "2026-01"]).ok())["lines"], json!([]));
    assert_eq!(run(path, &["price", "list"]).ok()[0]["tax"], "standard");
}

#[test]
fn signed_heads_are_published() {
    let folder = folder(NOBODY, "");
    let path = folder.path();
    enter(path, &today(), "5.00 USD").ok();
    let heads = both(path, || ledger(path, &["heads"]).ok());
    assert_eq!(heads, json!([]), "today is not over");
    let server = Server::serve(path);
    let gate = server.text("gate").trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&gate).unwrap();
    let ask =
        format!("GET /.well-known/farthing/heads HTTP/1.1\r\nhost: {gate}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body.contains("\"heads\":[]") && body.contains("\"receipt_key\""), "{body}");
    server.stop();
}

#[test]
fn what_makes_no_sense_is_told() {
    let folder = folder(NOBODY, "");
    for (words, told) in [
        (&["export", "--format", "xml"][..], "expected csv, jsonl, hledger or beancount"),
        (&["export", "--format", "csv", "--period", "2026-13"], "expected a month such as 2026-11"),
        (
            &["export", "--format", "csv", "--period", "2026-01", "--from", "2026-01-01"],
            "cannot be used with",
        ),
        (&["export", "--format", "csv", "--from", "2026-01"], "--from: expected a day such as 2026-11-22"),
        (
            &["export", "--format", "csv", "--from", "2026-01-02", "--to", "2026-01-01"],
            "expected --from before --to",
        ),
        (&["close", "soon"], "expected a month"),
        (&["close"], "required"),
        (&["statement", "--merchants", "mine"], "expected income or owed"),
    ] {
        let refused = ledger(folder.path(), words);
        assert_eq!((refused.exit, refused.stdout.as_str()), (2, ""), "{words:?}: {}", refused.stderr);
        assert!(refused.stderr.contains(told), "{words:?}: {}", refused.stderr);
    }
}
