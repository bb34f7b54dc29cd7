//! docs/config.md says what every key of the configuration does: it is made of the same list as the messages.

use std::fmt::Write;
use std::path::Path;

use farthing_server::config::environment::VARIABLES;
use farthing_server::config::{Config, keys};

const INTRODUCTION: &str = "\
# The configuration

One file, `farthing.toml`, or whichever `--config FILE` names. Every mistake in it is told at once, with its line and a hint, by
`farthing check` and by every command that reads it. Paths are relative to the file's folder. Prices, `accepts` and `[rates]` are read again
when the file or one of keys and networks changes; a file with mistakes keeps the old ones. Everything else is read at the start.

Spans are a whole number and one of `ms`, `s`, `m`, `h`, `d`. Amounts are decimals and an asset, such as `0.01 USD`, and must be
exact. Of the rules that fit a request the most specific wins; `farthing price explain URL` says which and why.

This page is made of the list that the program itself reads; a test compares the two.
";

/// The page as it should be.
fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for note in keys() {
        if note.section != section {
            section = note.section;
            let several = if section.starts_with("[[") { " (may stand several times)" } else { "" };
            let head = "| key | expected | example | otherwise | meaning |\n|---|---|---|---|---|\n";
            writeln!(page, "\n## `{section}`{several}\n").unwrap();
            page.push_str(head);
        }
        let default = note.default.map_or_else(|| "-".to_owned(), code);
        let (expected, example) = (plain(note.expected), code(note.example));
        writeln!(page, "| `{}` | {expected} | {example} | {default} | {} |", note.key, plain(note.meaning))
            .unwrap();
    }
    page.push_str("\n## Environment\n\n| variable | meaning |\n|---|---|\n");
    for variable in VARIABLES {
        writeln!(page, "| `{}` | {} |", variable.name, plain(variable.meaning)).unwrap();
    }
    page
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// Text between bars of a table, whose stars are stars.
fn plain(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*")
}

#[test]
fn the_page_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let page = page();
    assert!(
        written == page,
        "docs/config.md is not what the program reads; put this there:\n{page}<<< end of docs/config.md"
    );
}

#[test]
fn every_example_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("passphrase", "x"),
        ("cert.pem", "x"),
        ("key.pem", "x"),
        ("software.keys", "2c624232cdd221771294dfbb310aca000a0df6ac8b66b696d90ef06fdefb64a3\n"),
        ("staff.keys", "2c624232cdd221771294dfbb310aca000a0df6ac8b66b696d90ef06fdefb64a3\n"),
        ("findbot.json", r#"{"prefixes": [{"ipv4Prefix": "192.0.2.0/24"}]}"#),
        (
            "findbot.jwks.json",
            r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
        ),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let mut text = String::new();
    let mut section = "";
    for note in keys() {
        if note.section != section {
            section = note.section;
            writeln!(text, "\n{section}").unwrap();
        }
        writeln!(text, "{} = {}", note.key, note.example).unwrap();
    }
    let file = folder.path().join("farthing.toml");
    std::fs::write(&file, &text).unwrap();
    let read = Config::load(&file);
    assert!(read.is_ok(), "{}\n{text}", read.map(|_| ()).unwrap_err());
}

/// Every example of the page on prices is read as it stands there, and the files that it names with it.
#[test]
fn the_examples_of_the_page_on_prices_are_good() {
    let page = include_str!("../../../../docs/pricing.md");
    let examples: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 4, "{}", examples.len());
    for example in examples {
        let text = format!("[server]\nupstream = \"http://127.0.0.1:1\"\n{example}");
        let read = Config::read(&text, Path::new("farthing.toml"));
        assert!(read.is_ok(), "{example}\n{:?}", read.err());
    }
}
