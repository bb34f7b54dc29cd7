//! What the reference's client signs and deposits for a price, and what it makes of the answer.

use farthing_channel::buyer::{BuyerBooks, BuyerRefused, DepositPolicy};
use farthing_money::Amount;
use serde::Deserialize;

use crate::read::{at, file};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    charged: Amount,
    balance: Amount,
    price: Amount,
    min_deposit: Option<Amount>,
    most: Option<Amount>,
    refused: Option<String>,
    ceiling: Option<Amount>,
    deposit: Option<Amount>,
    cost: Option<Amount>,
    told: Option<Amount>,
    settle_refused: Option<String>,
    charged_after: Option<Amount>,
    balance_after: Option<Amount>,
}

#[test]
fn a_buyer_signs_and_believes_what_the_reference_does() {
    let cases: Vec<Case> = at(&file("buyer"), "cases");
    assert_eq!(cases.len(), 120);
    for case in &cases {
        // What was charged, of a channel of which nothing was claimed yet.
        let books = BuyerBooks::of_chain(case.balance, Amount::ZERO);
        let books = books.settled(case.charged, case.charged, None, None).unwrap();
        let policy = DepositPolicy { announced: case.min_deposit, most: case.most };
        let signing = match books.sign(case.price, &policy) {
            Ok(signing) => signing,
            Err(refused) => {
                assert_eq!(
                    (refused, case.refused.as_deref()),
                    (BuyerRefused::DepositTooLarge, Some("deposit")),
                    "{case:?}"
                );
                continue;
            }
        };
        assert_eq!((Some(signing.ceiling), signing.deposit), (case.ceiling, case.deposit), "{case:?}");
        match books.having_signed(&signing).settled(
            case.price,
            case.cost.unwrap(),
            case.told,
            signing.deposit,
        ) {
            Ok(after) => {
                let theirs = (case.charged_after, case.balance_after);
                assert_eq!((Some(after.charged()), Some(after.balance())), theirs, "{case:?}");
            }
            Err(BuyerRefused::Overcharged) => assert!(case.settle_refused.is_some(), "{case:?}"),
            // They change nothing either, and do not say so.
            Err(refused) => {
                let theirs = (BuyerRefused::TotalDiffers, case.charged_after);
                assert_eq!((refused, Some(case.charged)), theirs, "{case:?}");
            }
        }
    }
}
