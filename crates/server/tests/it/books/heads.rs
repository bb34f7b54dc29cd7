//! Signed heads of days: one for each, none before its day is over, and a false one is named.

use farthing_engine::{Command, Publish, StatementId, StatementRow};
use farthing_ledger::Batch;
use farthing_server::operator::OperatorError;
use farthing_wire::DayHead;

use super::shop::Shop;

#[tokio::test]
async fn each_past_day_with_entries_has_a_signed_head() {
    let shop = Shop::open("2026-10-30").await;
    let before = shop.installation.books.head().unwrap().number;
    shop.sale("1.00 USD", 10_000, None).await;
    let first = shop.installation.books.head().unwrap();
    assert_eq!(shop.operator.publish_heads().await.unwrap(), 0, "the day is not over");
    shop.at("2026-10-31T00:05:00Z");
    assert_eq!(shop.operator.publish_heads().await.unwrap(), 0, "a commit of the evening may still come");
    shop.at("2026-11-02");
    shop.sale("1.00 USD", 10_000, None).await;
    let second = shop.installation.books.head().unwrap();
    shop.at("2026-11-04T00:10:00Z");
    assert_eq!(shop.operator.publish_heads().await.unwrap(), 2);
    assert_eq!(shop.operator.publish_heads().await.unwrap(), 0);
    let heads = shop.operator.heads(usize::MAX).unwrap();
    let said: Vec<_> =
        heads.iter().map(|one| (one.head.day.as_str(), one.head.number, one.head.batches)).collect();
    let (one, two) = (first.number, second.number);
    assert_eq!(said, [("2026-10-30", one, one), ("2026-11-02", two, two - one)]);
    assert!(before > 0, "opening accounts is in the journal of the first day");
    let frame = shop.installation.books.frames(one, 1).unwrap().remove(0);
    assert_eq!(heads[0].head.digest, Batch::digest(&frame).to_string());
    let key = shop.installation.receipts.verifying_key();
    assert_eq!(DayHead::verify(&heads[0].text, &key).unwrap(), heads[0].head);
    assert_eq!(shop.operator.heads(1).unwrap(), heads[1..]);
    assert_eq!(shop.operator.latest_heads().unwrap(), [heads[0].text.clone(), heads[1].text.clone()]);
    assert_eq!(shop.operator.verify().unwrap().heads, 2);
}

#[tokio::test]
async fn a_head_that_the_journal_does_not_have_is_named() {
    let shop = Shop::open("2026-10-30").await;
    shop.sale("1.00 USD", 10_000, None).await;
    let number = shop.installation.books.head().unwrap().number;
    let head = DayHead {
        day: "2026-10-30".to_owned(),
        number,
        digest: "ab".repeat(32),
        batches: number,
        signed_at: "2026-10-31T00:10:00Z".parse().unwrap(),
    };
    // Signed by us, but of another journal: so it would be if the journal had been rewritten since.
    let text = head.sign(&shop.installation.receipts).unwrap();
    let row = StatementRow { text, at: head.signed_at };
    let id = StatementId::day_head(20_756);
    shop.execute(Command::Publish(Publish { id, row })).await;
    let error = shop.operator.verify().unwrap_err();
    assert!(matches!(&error, OperatorError::Disagree(_)), "{error}");
    assert!(error.to_string().contains("the signed head of 2026-10-30 names batch"), "{error}");
}
