//! The demo plays its own story, with the real binary: the README's promise.

use std::process::Command;

#[test]
fn the_demo_tells_its_story_and_ends_well() {
    let output = Command::new(env!("CARGO_BIN_EXE_farthing")).args(["demo", "--play"]).output().unwrap();
    let (said, talk) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), talk.as_str()), (Some(0), ""), "{said}");
    let milestones = [
        "$ farthing demo",
        "HTTP/1.1 402 Payment Required",
        "x-cashu: creqA",
        "www-authenticate: Payment id=",
        "$ farthing wallet redeem FT-",
        "1.00 USD",
        "$ farthing pay -o article.html",
        "paid 0.01 USD to demo",
        "$ farthing receipt verify",
        "(the key that was given)",
        "$ farthing pay -o again.html",
        "nothing to pay",
        "\"bird\":\"wren\"",
        "0.989 USD",
        "$ farthing ledger trial",
        "debits equal credits; nothing is on hold",
        "$ farthing ledger verify",
    ];
    let mut rest = said.as_str();
    for milestone in milestones {
        let found = rest.split_once(milestone);
        assert!(found.is_some(), "expected {milestone:?} next in\n{said}");
        rest = found.unwrap().1;
    }
    assert!(said.lines().count() < 80, "the README has room for 80 lines, got {}", said.lines().count());
    let told_words =
        said.lines().any(|line| line.starts_with("    ") && line.split_whitespace().count() == 12);
    assert!(!told_words, "the wallet's twelve words are nobody's business\n{said}");
}
