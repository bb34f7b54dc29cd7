//! Closed periods: in turn, locked, with balances that carry on, and nothing false about them passes.

use farthing_engine::{Command, Publish, Reject, StatementId, StatementRow};
use farthing_server::operator::OperatorError;
use farthing_wire::PeriodClose;
use farthing_wire::books::AccountClose;

use super::shop::Shop;

fn row<'a>(close: &'a PeriodClose, account: &str, asset: &str) -> &'a AccountClose {
    let found = close.accounts.iter().find(|row| row.account == account && row.asset.as_str() == asset);
    found.unwrap_or_else(|| panic!("{account} of {asset} in {close:#?}"))
}

fn figures(row: &AccountClose) -> [&str; 4] {
    [&row.opening, &row.debits, &row.credits, &row.closing]
}

#[tokio::test]
async fn months_are_closed_in_turn_and_carry_their_balances_on() {
    let shop = Shop::open("2026-10-03").await;
    shop.sale("1.00 USD", 250_000, Some("standard")).await;
    shop.enter("2026-10-04", "own:bank", "codes-sold", "1.00 USD").await.unwrap_err();
    shop.enter("2026-10-03", "own:bank", "codes-sold", "1.00 USD").await.unwrap();
    shop.at("2026-11-02");
    shop.sale("0.50 USD", 500_000, None).await;
    shop.sale("7 SAT", 7, None).await;
    // It is November, and the entry is about October, which is still open.
    shop.enter("2026-10-31", "own:bank", "codes-sold", "0.25 USD").await.unwrap();

    let early = shop.operator.close("2026-11").await.unwrap_err();
    assert!(matches!(&early, OperatorError::OutOfTurn { first, .. } if first == "2026-10-03"), "{early}");
    shop.at("2026-12-01");
    let october = shop.operator.close("2026-10").await.unwrap().statement;
    assert_eq!(figures(row(&october, "merchant:example", "USD")), ["0.00", "0.00", "0.25", "-0.25"]);
    assert_eq!(figures(row(&october, "own:bank", "USD")), ["0.00", "1.25", "0.00", "1.25"]);
    assert!(october.accounts.iter().all(|row| row.asset.as_str() == "USD"), "SAT came in November");
    let november = shop.operator.close("2026-11").await.unwrap();
    assert_eq!(
        figures(row(&november.statement, "merchant:example", "USD")),
        ["-0.25", "0.00", "0.50", "-0.75"]
    );
    assert_eq!(figures(row(&november.statement, "merchant:example", "SAT")), ["0", "0", "7", "-7"]);
    assert_eq!(figures(row(&november.statement, "own:bank", "USD")), ["1.25", "0.00", "0.00", "1.25"]);
    assert_eq!(shop.operator.close("2026-11").await.unwrap(), november, "closed is closed");
    assert_eq!(shop.operator.closed("2026-11").unwrap(), november);
    let names: Vec<_> =
        shop.operator.closes().unwrap().into_iter().map(|one| (one.period, one.until)).collect();
    let name = |period: &str, until: &str| (period.to_owned(), until.to_owned());
    assert_eq!(names, [name("2026-10", "2026-11-01"), name("2026-11", "2026-12-01")]);
    assert_eq!(shop.operator.verify().unwrap().closes, 2);
    let missing = shop.operator.closed("2026-09").unwrap_err();
    assert!(matches!(missing, OperatorError::Missing(_)), "{missing}");
}

#[tokio::test]
async fn a_closed_period_is_locked() {
    let shop = Shop::open("2026-10-03").await;
    shop.sale("1.00 USD", 250_000, None).await;
    let open = shop.operator.close("2026-10").await.unwrap_err();
    assert!(matches!(open, OperatorError::Rejected(Reject::PeriodOpen { .. })), "{open}");
    shop.at("2026-11-05");
    shop.operator.close("2026-10").await.unwrap();
    let trial = shop.trial();
    let locked = shop.enter("2026-10-31", "own:bank", "codes-sold", "1.00 USD").await.unwrap_err();
    assert!(locked.to_string().ends_with("(period-closed)"), "{locked}");
    assert_eq!(shop.trial(), trial);
    for back in ["2026-09", "2026-10-31"] {
        let error = shop.operator.close(back).await.unwrap_err();
        assert!(matches!(&error, OperatorError::OutOfTurn { first, .. } if first == "2026-11-01"), "{error}");
    }
    let year = shop.operator.close("2026").await.unwrap_err();
    assert!(year.to_string().starts_with("expected a month or a day to close"), "{year}");
    shop.enter("2026-11-01", "own:bank", "codes-sold", "1.00 USD").await.unwrap();
    shop.at("2026-11-06").operator.close("2026-11-01").await.unwrap();
}

#[tokio::test]
async fn a_month_without_entries_may_be_left_out() {
    let shop = Shop::open("2026-08-03").await;
    shop.sale("1.00 USD", 250_000, None).await;
    shop.at("2026-12-05");
    shop.operator.close("2026-08").await.unwrap();
    let november = shop.operator.close("2026-11").await.unwrap().statement;
    assert_eq!(figures(row(&november, "merchant:example", "USD")), ["-0.25", "0.00", "0.00", "-0.25"]);
    let locked = shop.enter("2026-10-01", "own:bank", "codes-sold", "1.00 USD").await.unwrap_err();
    assert!(locked.to_string().ends_with("(period-closed)"), "{locked}");
    assert_eq!(shop.operator.verify().unwrap().closes, 2);
}

/// The program was killed after the lock and before the statement.
#[tokio::test]
async fn a_close_that_was_cut_off_goes_on() {
    let shop = Shop::open("2026-10-03").await;
    shop.sale("1.00 USD", 250_000, None).await;
    shop.at("2026-11-05");
    shop.execute(Command::ClosePeriod("2026-11-01T00:00:00Z".parse().unwrap())).await;
    assert!(shop.operator.closes().unwrap().is_empty());
    let closed = shop.operator.close("2026-10").await.unwrap().statement;
    assert_eq!(figures(row(&closed, "merchant:example", "USD")), ["0.00", "0.00", "0.25", "-0.25"]);
    assert_eq!(shop.operator.verify().unwrap().closes, 1);
}

#[tokio::test]
async fn a_false_statement_is_named() {
    let shop = Shop::open("2026-10-03").await;
    shop.sale("1.00 USD", 250_000, None).await;
    shop.at("2026-11-05");
    let mut closed = shop.operator.close("2026-10").await.unwrap().statement;
    shop.at("2026-12-05");
    // November, which moved nothing, with October's figures once more.
    closed.period = "2026-11".to_owned();
    closed.from = closed.until;
    closed.until = "2026-12-01T00:00:00Z".parse().unwrap();
    let row = StatementRow { text: closed.sign(&shop.installation.receipts).unwrap(), at: closed.signed_at };
    let id = StatementId::close(closed.until);
    shop.execute(Command::Publish(Publish { id, row })).await;
    let error = shop.operator.verify().unwrap_err();
    assert!(error.to_string().contains("the statement of 2026-11 says otherwise"), "{error}");
}
