//! The operator's own entries, and taking back: once each, and never of what payers hold.

use farthing_engine::Reject;
use farthing_ledger::AccountKind;
use farthing_server::operator::{EntryRequest, OperatorError, ReverseRequest};

use super::shop::{Shop, entry};

fn take_back(reference: &str) -> ReverseRequest {
    ReverseRequest { reference: reference.to_owned(), memo: "a mistake".to_owned() }
}

#[tokio::test]
async fn the_same_entry_again_is_one_entry() {
    let shop = Shop::open("2026-11-22").await;
    let request = entry("2026-11-20", "own:bank", "own:capital", "5.00 USD");
    let request = EntryRequest { credit_kind: Some(AccountKind::Equity), ..request };
    let first = shop.operator.enter(&request).await.unwrap();
    let trial = shop.trial();
    let again = shop.operator.enter(&request).await.unwrap();
    assert_eq!((first.before, again.before, &again.reference), (false, true, &first.reference));
    assert_eq!(shop.trial(), trial);
    let named = EntryRequest { id: Some("invoice 7".to_owned()), ..request.clone() };
    shop.operator.enter(&named).await.unwrap();
    let other = EntryRequest { amount: "6.00 USD".to_owned(), ..named };
    let refused = shop.operator.enter(&other).await.unwrap_err();
    assert!(matches!(refused, OperatorError::Rejected(Reject::EntryExists(_))), "{refused}");
    let kinds: Vec<_> = shop.trial().rows.into_iter().map(|row| (row.account, row.kind)).collect();
    assert!(kinds.contains(&("own:bank".to_owned(), "asset".to_owned())), "{kinds:?}");
    assert!(kinds.contains(&("own:capital".to_owned(), "equity".to_owned())), "{kinds:?}");
    let lines = shop.operator.journal(1, 100).unwrap();
    let manual: Vec<_> = lines.iter().filter(|line| line.kind.as_str() == "manual").collect();
    assert_eq!(manual.len(), 2);
    assert_eq!((manual[0].date.as_str(), manual[0].at.as_str()), ("2026-11-20", "2026-11-22T12:00:00.000Z"));
    assert_eq!(manual[0].memo.as_deref(), Some("from own:capital to own:bank"));
}

#[tokio::test]
async fn what_payers_hold_is_not_entered_by_hand() {
    let shop = Shop::open("2026-11-22").await;
    shop.sale("1.00 USD", 10_000, None).await;
    let trial = shop.trial();
    let credits = trial.rows.iter().find(|row| row.account.starts_with("credits:")).unwrap().account.clone();
    for (account, words) in [
        ("codes", "(account-reserved)"),
        ("clearing", "(account-reserved)"),
        (credits.as_str(), "(account-reserved)"),
        ("bank", "there is no account \"bank\" of USD"),
        ("own:My Bank", "expected an account of your own"),
    ] {
        let error = shop.enter("2026-11-22", "codes-sold", account, "1.00 USD").await.unwrap_err();
        assert!(error.to_string().contains(words), "{account}: {error}");
    }
    let future = shop.enter("2026-11-23", "own:bank", "codes-sold", "1.00 USD").await.unwrap_err();
    assert!(matches!(future, OperatorError::Future { .. }), "{future}");
    assert_eq!(shop.trial(), trial);
}

#[tokio::test]
async fn a_mistake_is_set_right_by_another_entry() {
    let shop = Shop::open("2026-11-22").await;
    let sale = shop.operator.create_codes("2.00 USD", 3, None).await.unwrap();
    let entered = shop.enter("2026-11-22", "own:bank", "codes-sold", "6.00 USD").await.unwrap();
    let before = shop.operator.journal(1, 100).unwrap();
    for reference in [&entered.reference, &sale.reference] {
        assert!(!shop.operator.reverse(&take_back(reference)).await.unwrap().before);
        assert!(shop.operator.reverse(&take_back(reference)).await.unwrap().before, "once is enough");
    }
    let after = shop.operator.journal(1, 100).unwrap();
    assert_eq!(after[..before.len()], before, "what is written stays written");
    assert_eq!(after.len(), before.len() + 2);
    assert!(shop.trial().rows.iter().all(|row| row.debits == row.credits), "all is as if it had not been");
    let unknown = shop.operator.reverse(&take_back(&"ab".repeat(32))).await.unwrap_err();
    assert!(matches!(unknown, OperatorError::Rejected(Reject::UnknownEntry(_))), "{unknown}");
}

#[tokio::test]
async fn a_sale_of_which_a_code_was_used_is_not_taken_back() {
    let shop = Shop::open("2026-11-22").await;
    shop.credit("1.00 USD").await;
    let lines = shop.operator.journal(1, 100).unwrap();
    let sale = lines.iter().find(|line| line.kind.as_str() == "code-sold").unwrap();
    let trial = shop.trial();
    let refused = shop.operator.reverse(&take_back(sale.reference.as_ref().unwrap())).await.unwrap_err();
    assert!(matches!(refused, OperatorError::Rejected(Reject::CodeUsed)), "{refused}");
    assert_eq!(shop.trial(), trial);
}
