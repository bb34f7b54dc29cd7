//! `farthing wallet`: credits in, credits out, and the ways back to lost ones.

use std::os::unix::fs::PermissionsExt;

use super::purse::Purse;
use super::shop::Shop;

#[test]
fn a_new_wallet_shows_its_words_once() {
    let purse = Purse::new();
    purse.wallet(&["balance"]).exits(5).says("farthing wallet init");
    let run = purse.wallet(&["init"]).exits(0).says("write these 12 words down");
    let words = purse.words();
    assert!(run.stderr.contains(&words) && !run.stdout.contains(&words));
    assert_eq!(words.split(' ').count(), 12);
    let mode = |name: &str| std::fs::metadata(purse.place().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key"), mode("."), mode("vault")), (0o600, 0o700, 0o700));
    assert!(!purse.wallet(&["init"]).exits(1).says("there is a wallet here already").stderr.contains(&words));

    let (other, file) = (Purse::new(), purse.path().join("words"));
    std::fs::write(&file, &words).unwrap();
    let run = other.wallet(&["init", "--words-file", file.to_str().unwrap()]).exits(0);
    assert!(!run.stderr.contains(&words));
    assert_eq!(other.words(), words);
    Purse::new()
        .wallet_with(&["init", "--words-file", "-"], "twelve words")
        .exits(2)
        .says("expected 12 words");

    std::fs::set_permissions(purse.place().join("key"), PermissionsExt::from_mode(0o644)).unwrap();
    purse.wallet(&["balance"]).exits(4).says("chmod 600");
    std::fs::remove_file(purse.place().join("key")).unwrap();
    purse.wallet(&["balance"]).exits(5).says("expected the wallet's key");
}

#[test]
fn a_passphrase_is_asked_for_by_every_command() {
    let purse = Purse::new();
    std::fs::write(purse.path().join("good"), "horse\n").unwrap();
    std::fs::write(purse.path().join("bad"), "house\n").unwrap();
    purse.wallet(&["init", "--passphrase-file", "good"]).exits(0);
    assert!(!purse.place().join("key").exists());
    purse.wallet(&["balance"]).exits(4).says("--passphrase-file");
    purse.wallet(&["balance", "--passphrase-file", "bad"]).exits(4).says("does not open");
    purse.wallet(&["balance", "--passphrase-file", "good"]).exits(0);
    purse.wallet_with(&["history", "--passphrase-file", "-"], "horse").exits(0);
}

#[test]
fn a_code_becomes_credits_once() {
    let shop = Shop::open();
    let purse = Purse::new();
    let code = shop.code("0.50 USD");
    purse.wallet(&["redeem", &code]).exits(2).says("--mint URL");
    assert!(!purse.place().exists());
    let run = purse.wallet(&["redeem", &code, "--mint", &shop.mint]).exits(0).says("a new wallet in");
    assert_eq!(run.json()["received"]["decimal"], "0.50");
    purse.assert_has("0.50");
    purse.wallet(&["redeem", &code]).exits(1).says("already used");
    purse.wallet(&["redeem", "FT-00000-00000-00000-00000"]).exits(1);
    let run = purse.wallet_with(&["redeem", "-"], &format!("{}\n", shop.code("0.25 USD"))).exits(0);
    assert!(!run.stderr.contains("a new wallet"));
    purse.assert_has("0.75");
}

#[test]
fn tokens_go_from_hand_to_hand() {
    let shop = Shop::open();
    let (alice, bob) = (Purse::with(&shop, "1.00 USD"), Purse::new());
    let token = alice.wallet(&["send", "0.30", "usd"]).exits(0).says("reclaim").stdout;
    assert!(token.starts_with("cashuB"), "{token}");
    assert_eq!(alice.balance(), ("0.70".to_owned(), "0.30".to_owned()));
    bob.wallet(&["receive", token.trim()]).exits(4).says("--any-mint");
    assert!(!bob.place().exists());
    bob.wallet_with(&["receive", "-", "--any-mint"], &token).exits(0);
    bob.assert_has("0.30");
    bob.wallet(&["receive", token.trim()]).exits(1).says("spent");
    bob.assert_has("0.30");

    let sent = alice.wallet(&["send", "0.20 USD", "--json"]).exits(0).json();
    alice.wallet(&["reclaim", &sent["number"].to_string()]).exits(0);
    bob.wallet(&["receive", sent["token"].as_str().unwrap()]).exits(1).says("spent");
    alice.wallet(&["reclaim", "0"]).exits(5);
    assert_eq!(alice.balance().0, "0.70");
    alice.wallet(&["recover"]).exits(0);
    alice.assert_has("0.70");
    alice.wallet(&["send", "0.71 USD"]).exits(6);
    alice.wallet(&["send", "0 USD"]).exits(2);
    alice.wallet(&["send", "0.0000001 USD"]).exits(2).says("decimals");
}

#[test]
fn lost_folders_come_back() {
    let shop = Shop::open();
    let purse = Purse::with(&shop, "1.00 USD");
    purse.pay(&[&shop.url("/page")]).exits(0);
    purse.wallet(&["backup", "-o", "backup"]).exits(0);
    let backup = purse.path().join("backup");
    assert_eq!(std::fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    purse.wallet(&["backup", "-o", "backup"]).exits(1).says("not there yet");

    let again = Purse::new();
    let run = again.wallet(&["restore", backup.to_str().unwrap()]).exits(0);
    assert_eq!(run.json()["restored"][0]["found"]["decimal"], "0.99");
    again.assert_has("0.99");
    let run = again.wallet(&["restore"]).exits(0);
    assert_eq!(run.json()["restored"].as_array().unwrap().len(), 0);

    let by_words = Purse::new();
    by_words.wallet_with(&["restore", "-"], &purse.words()).exits(2).says("--mint URL");
    by_words.wallet_with(&["restore", "-", "--mint", &shop.mint], &purse.words()).exits(0);
    by_words.assert_has("0.99");

    let other = Purse::with(&shop, "0.10 USD");
    other.wallet(&["restore", backup.to_str().unwrap()]).exits(4).says("nothing was changed");
    other.assert_has("0.10");
}

#[test]
fn help_says_which_limits_hold_and_what_a_key_protects() {
    let purse = Purse::new();
    for (arguments, says) in [
        (&["init", "--help"][..], "payment may cost 1.00 at most"),
        (&["init", "--help"], "whoever reads the folder can spend them"),
        (&["limits", "set", "--help"], "day (UTC) 10.00"),
    ] {
        let help = purse.wallet(arguments).exits(0).stdout;
        let words: Vec<&str> = help.split_whitespace().collect();
        assert!(words.join(" ").contains(says), "{help}");
    }
    let help = purse.pay(&["--help"]).exits(0).stdout;
    assert!(help.contains("Exit codes: 0 delivered"), "{help}");
}
