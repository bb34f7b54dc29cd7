//! Payouts by schedule while the clock jumps: a period is paid once, whatever the clock says afterwards.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use farthing_money::Timestamp;
use farthing_server::config::{Config, Passphrase};
use farthing_server::installation::Installation;
use farthing_server::operator::{EntryRequest, Operator};
use farthing_server::payouts::Payouts;

const DAY: u64 = 86_400;
/// 2026-11-15, at noon.
const NOVEMBER: u64 = 1_794_744_000;

async fn earn(operator: &Operator, memo: &str) {
    let entry = EntryRequest {
        debit: "own:till".to_owned(),
        credit: "merchant:author".to_owned(),
        debit_kind: None,
        credit_kind: None,
        amount: "10.00 EUR".to_owned(),
        date: None,
        memo: memo.to_owned(),
        id: None,
    };
    operator.enter(&entry).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_jumps_pays_no_period_twice() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\ndata = {:?}\nupstream = \"http://127.0.0.1:9\"\n[payouts]\nname = \"Example Ltd\"\niban = \"FI2112345600000785\"\napprovals = 0\n\
         [[asset]]\ncode = \"EUR\"\n\
         [[merchant]]\nname = \"author\"\npayout = \"bank\"\nholder = \"An Author\"\niban = \"DE89370400440532013000\"\nevery = \"month\"\n",
        folder.path().join("data")
    );
    let config = Config::read(&text, Path::new("farthing.toml")).unwrap();
    let passphrase = Passphrase::new("words".to_owned(), "this test").unwrap();
    let seconds = Arc::new(AtomicU64::new(NOVEMBER));
    let shown = Arc::clone(&seconds);
    let clock = Arc::new(move || Timestamp::from_secs(shown.load(Ordering::SeqCst)));
    let installation = Installation::open(&config, &passphrase, clock).await.unwrap();
    let (operator, payouts) = (Operator::new(&installation), Payouts::new(&installation));
    let proposed_at = async |days: i64| {
        seconds.store(NOVEMBER.saturating_add_signed(days * DAY.cast_signed()), Ordering::SeqCst);
        payouts.propose_due().await.unwrap()
    };

    earn(&operator, "first").await;
    assert_eq!((proposed_at(0).await, proposed_at(1).await), (1, 0), "once in November");
    earn(&operator, "second").await;
    assert_eq!(proposed_at(2).await, 0, "what comes later in the month waits for the next");
    assert_eq!(proposed_at(30).await, 1, "December");
    earn(&operator, "third").await;
    for (days, why) in
        [(0, "back in November"), (-40, "in October, for which nothing was paid"), (31, "in December again")]
    {
        assert_eq!(proposed_at(days).await, 0, "{why}");
    }
    // Three months away are one payout.
    assert_eq!((proposed_at(120).await, proposed_at(121).await), (1, 0));
    let amounts: Vec<String> = payouts.list(false).unwrap().into_iter().map(|payout| payout.shown).collect();
    assert_eq!(amounts, ["10.00 EUR", "10.00 EUR", "10.00 EUR"]);
}
