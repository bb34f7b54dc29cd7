//! What was paid for comes again: to the payer who lost the answer, and never twice to one who did not.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod support;

use farthing_money::Span;
use support::bank::Bank;
use support::pay::{credential, gate, get};

/// A payment could be made in the last second of its challenge, and two seconds later its retry was refused with
/// `challenge-expired`: charged and denied.
#[tokio::test]
async fn a_retry_outlives_the_challenge_that_it_paid() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let challenge = get(gate.address, "/paid/x", "").await;
    let paid = credential(&challenge, &bank.token(&[16_384]), None);
    let unpaid = credential(&challenge, &bank.token(&[16_384]), None);
    bank.pass_time(Span::from_secs(299));
    let first = get(gate.address, "/paid/x", &paid).await;
    assert_eq!((first.status, bank.taken()), (200, 10_000));
    bank.pass_time(Span::from_secs(2));
    let again = get(gate.address, "/paid/x", &paid).await;
    assert_eq!((again.status, again.header("farthing-receipt")), (200, first.header("farthing-receipt")));

    // An old challenge still makes no payment, and opens nothing else.
    assert_eq!(get(gate.address, "/paid/x", &unpaid).await.code(), "challenge-expired");
    assert_eq!(get(gate.address, "/paid/y", &paid).await.code(), "challenge-elsewhere");
    bank.pass_time(Span::from_secs(60));
    assert_eq!(get(gate.address, "/paid/x", &paid).await.code(), "payment-used");
    assert_eq!(bank.taken(), 10_000);
}
