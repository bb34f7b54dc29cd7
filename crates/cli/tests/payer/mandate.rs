//! Mandates: what an agent's wallet may spend for its owner, and what happens to those that are over, changed or taken twice.

use serde_json::{Value, json};

use super::purse::Purse;
use super::shop::Shop;

fn give(owner: &Purse, file: &str, more: &[&str]) -> Value {
    let _ = std::fs::remove_file(owner.path().join(file));
    owner.wallet(&[&["mandate", "give", "--to", file], more].concat()).exits(0).json()
}

/// The path of a file of somebody's, for another's command line.
fn of(owner: &Purse, file: &str) -> String {
    owner.path().join(file).to_str().unwrap().to_owned()
}

#[test]
fn a_funded_mandate_is_all_that_an_agent_can_spend() {
    let shop = Shop::open();
    let (owner, agent) = (Purse::with(&shop, "1.00 USD"), Purse::new());
    let host = shop.address();
    let given = give(&owner, "m.json", &["--total", "0.03 USD", "--host", host, "--until", "12h", "--fund"]);
    assert_eq!((&given["funded"], &given["total"]["decimal"]), (&json!(true), &json!("0.03")));
    assert_eq!(owner.balance(), ("0.97".to_owned(), "0.03".to_owned()));
    let file = of(&owner, "m.json");
    let taken = agent.wallet(&["mandate", "take", &file]).exits(0).says("0.03 USD came with it").json();
    assert_eq!((&taken["binding"], &taken["left"]["decimal"]), (&json!(true), &json!("0.03")));
    agent.wallet(&["mandate", "take", &file]).exits(7).says("is here already");

    // Nothing of the wallet's own widens it, and nothing but payments takes money out.
    agent.wallet(&["limits", "set", "--total", "9 USD", "--per-call", "none"]).exits(0);
    agent.wallet(&["redeem", &shop.code("0.50 USD"), "--mint", &shop.mint]).exits(0);
    // What is given away is spent: it counts until it is back.
    let sent = agent.wallet(&["send", "0.02 USD", "--json"]).exits(0).json();
    agent.wallet(&["send", "0.02 USD"]).exits(7).says("in total of the mandate");
    agent.wallet(&["reclaim", &sent["number"].to_string()]).exits(0);
    agent.wallet(&["refund", &shop.mint]).exits(7).says("only pays");
    agent.pay(&[&shop.site.url("/chain")]).exits(7);
    let run = agent.pay(&[&shop.url("/call"), "--repeat", "10", "-j", "4"]).exits(7);
    assert_eq!(run.says("in total of the mandate").json()["paid"], 3);
    shop.assert_earned("0.03");
    agent.assert_has("0.50");
    let shown = agent.wallet(&["mandate", "list"]).exits(0).json();
    assert_eq!(shown["mandates"][0]["used"]["decimal"], "0.03");

    // Another one of the same giver adds to it; one of another giver does not.
    give(&owner, "n.json", &["--total", "0.01 USD", "--until", "12h"]);
    agent.wallet(&["mandate", "take", &of(&owner, "n.json")]).exits(0);
    agent.pay(&[&shop.url("/call")]).exits(0);
    agent.pay(&[&shop.url("/call")]).exits(7);
    let stranger = Purse::with(&shop, "0.10 USD");
    give(&stranger, "s.json", &["--total", "0.01 USD", "--until", "12h"]);
    agent.wallet(&["mandate", "take", &of(&stranger, "s.json")]).exits(7).says("bound to the giver");
}

#[test]
fn limits_tools_and_ends_of_a_mandate_hold() {
    let shop = Shop::open();
    let (owner, agent) = (Purse::with(&shop, "1.00 USD"), Purse::with(&shop, "1.00 USD"));
    let call = shop.url("/call");
    let limits = [
        "--total",
        "1 USD",
        "--per-day",
        "0.02 USD",
        "--per-call",
        "0.01 USD",
        "--tool",
        "fetch",
        "--until",
        "1d",
    ];
    give(&owner, "m.json", &limits);
    let file = of(&owner, "m.json");
    // A single command may be bound as well, and what it spends counts once the wallet is.
    agent.pay(&[&call, "--mandate", &file, "--dry-run"]).exits(5).says("writes nothing down");
    agent.pay(&[&call, "--mandate", &file, "--tool", "fetch"]).exits(0);
    agent.pay(&[&call, "--mandate", &file]).exits(7).says("name the tool");
    agent.pay(&[&call]).exits(0);
    agent.wallet(&["mandate", "take", &file]).exits(0);
    agent.pay(&[&call]).exits(7).says("name the tool");
    agent.pay(&[&call, "--tool", "fetch"]).exits(0);
    agent.pay(&[&call, "--tool", "fetch"]).exits(7).says("per day of the mandate");
    let told = agent.pay(&[&call, "--tool", "fetch", "--dry-run"]).exits(7).json();
    assert_eq!(told["would"], "refuse");
    agent.wallet(&["mandate", "show", "zz"]).exits(5);

    give(&owner, "dear.json", &["--total", "2 USD", "--per-call", "0.005 USD", "--until", "1d"]);
    let second = Purse::with(&shop, "1.00 USD");
    second.wallet(&["mandate", "take", &of(&owner, "dear.json")]).exits(0);
    second.pay(&[&call]).exits(7).says("per call of the mandate");
    shop.assert_earned("0.03");
}

#[test]
fn a_mandate_is_taken_back() {
    let shop = Shop::open();
    let (owner, agent) = (Purse::with(&shop, "1.00 USD"), Purse::with(&shop, "1.00 USD"));
    let given = give(&owner, "m.json", &["--total", "0.50 USD", "--until", "1d"]);
    let id = given["id"].as_str().unwrap().to_owned();
    agent.wallet(&["mandate", "take", &of(&owner, "m.json")]).exits(0);
    agent.pay(&[&shop.url("/call")]).exits(0);
    let told = owner.wallet(&["mandate", "revoke", &id, "--to", "end.json"]).exits(0).json();
    assert!(told["standing"].as_str().unwrap().starts_with("revoked"), "{told}");
    let end = of(&owner, "end.json");
    agent.wallet(&["mandate", "revoke", "--file", &end]).exits(0);
    agent.pay(&[&shop.url("/call")]).exits(7).says("taken back by its giver");
    agent.wallet(&["mandate", "revoke", "--file", &of(&owner, "m.json")]).exits(2);
    // One that this wallet has not given is not its to end.
    agent.wallet(&["mandate", "revoke", &id]).exits(5);

    // The money of one that nobody took comes back; of one that was taken it does not.
    let given = give(&owner, "f.json", &["--total", "0.20 USD", "--until", "1d", "--fund"]);
    owner
        .wallet(&["mandate", "revoke", given["id"].as_str().unwrap()])
        .exits(0)
        .says("0.20 USD of it is back");
    owner.assert_has("1.00");
    let late = Purse::new();
    late.wallet(&["mandate", "take", &of(&owner, "f.json")]).exits(1).says("its money is not here");
    let given = give(&owner, "f.json", &["--total", "0.20 USD", "--until", "1d", "--fund"]);
    Purse::new().wallet(&["mandate", "take", &of(&owner, "f.json")]).exits(0);
    owner.wallet(&["mandate", "revoke", given["id"].as_str().unwrap()]).exits(0).says("cannot be taken back");
    assert_eq!(owner.balance().0, "0.80");
}

#[test]
fn what_is_not_a_good_mandate_is_refused_and_nothing_is_lost() {
    let shop = Shop::open();
    let (owner, agent) = (Purse::with(&shop, "1.00 USD"), Purse::new());
    give(&owner, "m.json", &["--total", "0.50 USD", "--until", "1d", "--fund"]);
    let text = std::fs::read_to_string(owner.path().join("m.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let jws = file["mandate"].as_str().unwrap();
    let parts: Vec<&str> = jws.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], parts[1].replacen('a', "b", 1), parts[2]);
    let with = |field: &str, value: Value| {
        let mut file = file.clone();
        file[field] = value;
        file.to_string()
    };
    let other = give(&owner, "o.json", &["--total", "0.10 USD", "--until", "1d", "--fund"]);
    let other_file: Value =
        serde_json::from_str(&std::fs::read_to_string(owner.path().join("o.json")).unwrap()).unwrap();
    for (name, text, exit) in [
        ("forged", with("mandate", json!(forged)), 2),
        ("cut", text[..text.len() / 2].to_owned(), 2),
        ("empty", String::new(), 2),
        ("another token", with("token", other_file["token"].clone()), 7),
        ("no token", with("token", Value::Null), 7),
        ("more", with("more", json!(1)), 2),
    ] {
        let path = agent.path().join("bad.json");
        std::fs::write(&path, text).unwrap();
        let run = agent.wallet(&["mandate", "take", "bad.json"]);
        assert_eq!(run.exit, exit, "{name}: {}", run.stderr);
    }
    assert!(!agent.place().exists(), "no wallet was made for them");
    for wrong in [
        &["--total", "0 USD", "--until", "1d"][..],
        &["--total", "1 USD", "--until", "2020-01-01"],
        &["--total", "1 USD", "--until", "soon"],
        &["--total", "1 USD", "--per-day", "1 EUR", "--until", "1d"],
        &["--total", "1 USD", "--host", "a b", "--until", "1d"],
    ] {
        owner.wallet(&[&["mandate", "give", "--to", "bad.json"], wrong].concat()).exits(2);
    }
    owner
        .wallet(&["mandate", "give", "--to", "bad.json", "--total", "9 USD", "--until", "1d", "--fund"])
        .exits(6);
    owner.wallet(&["mandate", "give", "--to", "m.json", "--total", "1 USD", "--until", "1d"]).exits(2);
    // All of it is still there.
    agent.wallet(&["mandate", "take", &of(&owner, "m.json")]).exits(0);
    agent.assert_has("0.50");
    owner.wallet(&["mandate", "revoke", other["id"].as_str().unwrap()]).exits(0);
    assert_eq!(owner.balance().0, "0.50");
}
