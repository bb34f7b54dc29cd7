//! What the reference decides of vouchers and refunds, and what our rules decide of the same: in the same order and words.

use farthing_channel::seller::{
    Asked, ChannelBooks, ChannelOffer, ChannelOnChain, Presented, Proven, Refused,
};
use farthing_channel::{Address, ChannelTerms, Voucher, Word, batch_domain};
use farthing_money::Amount;
use serde::Deserialize;
use serde_json::Value;

use crate::channels::{CHAIN, terms};
use crate::read::{at, file, key_of};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    kind: String,
    charged: Amount,
    price: Amount,
    max: Amount,
    balance: Amount,
    claimed: Amount,
    #[serde(default)]
    busy: bool,
    odd: Option<String>,
    actual: Option<Amount>,
    asked: Option<Amount>,
    refused: Option<String>,
    settle_refused: Option<String>,
    charged_after: Option<Amount>,
    refund: Option<Amount>,
    claim: Option<Amount>,
}

/// What became of a case.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Refused(String),
    Charged(Amount),
    /// How much goes back, and all that is claimed after the claim that goes with it.
    Refunded(Amount, Amount),
}

fn offer() -> ChannelOffer {
    let ChannelTerms { receiver, receiver_authorizer, token, withdraw_delay, .. } = terms();
    ChannelOffer {
        receiver,
        receiver_authorizer,
        token,
        withdraw_delay,
        deposit_least: None,
        takes_contracts: false,
        exposure_most: None,
    }
}

/// The tenth account of anvil's words.
const STRANGER: &str = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";

fn terms_of(case: &Case) -> ChannelTerms {
    let stranger: Address = STRANGER.parse().unwrap();
    match case.odd.as_deref() {
        None => terms(),
        Some("receiver") => ChannelTerms { receiver: stranger, ..terms() },
        Some("receiverAuthorizer") => ChannelTerms { receiver_authorizer: stranger, ..terms() },
        Some("token") => ChannelTerms { token: stranger, ..terms() },
        Some(_) => ChannelTerms { withdraw_delay: 901, ..terms() },
    }
}

fn proven(terms: &ChannelTerms, ceiling: Amount) -> Proven {
    let batch = batch_domain(CHAIN);
    let channel = terms.id(&batch);
    let digest = Voucher { channel, cumulative: ceiling }.batch_digest(&batch);
    let signature = key_of(terms.payer).sign(&digest).to_bytes();
    Presented { terms: *terms, channel, ceiling, signature: &signature }.prove(&batch, None).unwrap()
}

/// Books in which so much was charged, and perhaps somebody is served.
fn books(case: &Case, terms: &ChannelTerms) -> ChannelBooks {
    let on_chain = |balance, claimed| ChannelOnChain {
        balance,
        claimed,
        withdraw_since: None,
        refund_nonce: Word::ZERO,
    };
    let same = ChannelOffer {
        receiver: terms.receiver,
        receiver_authorizer: terms.receiver_authorizer,
        token: terms.token,
        withdraw_delay: terms.withdraw_delay,
        ..offer()
    };
    let mut books = ChannelBooks::default().observed(on_chain(Amount::MAX, Amount::ZERO));
    let hold = |books: &ChannelBooks, price, ceiling| {
        books.accept(&proven(terms, ceiling), Asked::Payment { price }, &same, Amount::ZERO).unwrap()
    };
    if !case.charged.is_zero() {
        books = hold(&books, case.charged, case.charged).posted(case.charged).unwrap();
    }
    if case.busy {
        // Somebody whose price is nothing, so that it fits below the largest amount too; of an empty channel he is at 1.
        let price = Amount::new(u128::from(case.charged.is_zero()));
        let ceiling = case.charged.checked_add(price).unwrap();
        books = hold(&books, price, ceiling);
    }
    books.observed(on_chain(case.balance, case.claimed))
}

fn ours(case: &Case) -> Result<End, Refused> {
    let terms = terms_of(case);
    let asked = match case.kind.as_str() {
        "refund" => Asked::Refund,
        _ => Asked::Payment { price: case.price },
    };
    let held = books(case, &terms).accept(&proven(&terms, case.max), asked, &offer(), Amount::ZERO)?;
    let Some(actual) = case.actual else {
        let plan = held.refund(&terms, case.asked)?;
        let claimed = plan.claim.map_or(case.claimed, |row| row.total_claimed);
        return Ok(End::Refunded(plan.amount, claimed));
    };
    held.posted(actual).map(|books| End::Charged(books.charged()))
}

fn theirs(case: &Case) -> End {
    let refused = case.refused.as_ref().or(case.settle_refused.as_ref());
    match (refused, case.charged_after, case.refund) {
        (Some(reason), None, None) => End::Refused(reason.clone()),
        (None, Some(charged), None) => End::Charged(charged),
        // The escrow gives back what is left at the most; we say so before.
        (None, None, Some(refund)) => {
            let left = case.balance.checked_sub(case.charged).unwrap();
            End::Refunded(refund.min(left), case.claim.unwrap().max(case.claimed))
        }
        other => End::Refused(format!("not one end: {other:?}")),
    }
}

#[test]
fn rules_are_those_of_the_reference() {
    let file: Value = file("seller");
    let cases: Vec<Case> = at(&file, "cases");
    let mut refusals = std::collections::BTreeSet::new();
    for case in &cases {
        let ours = ours(case).unwrap_or_else(|refused| End::Refused(refused.reason().to_owned()));
        // A seller that knows the channel does not look whether it is empty, and finds it uncovered or claimed instead.
        let is_empty =
            ours == End::Refused(Refused::ChannelNotFound.reason().to_owned()) && case.balance.is_zero();
        let theirs = theirs(case);
        let also = [Refused::CumulativeExceedsBalance, Refused::CumulativeBelowClaimed];
        let is_same_in_other_words =
            is_empty && also.iter().any(|refused| theirs == End::Refused(refused.reason().to_owned()));
        assert!(ours == theirs || is_same_in_other_words, "{case:?}: ours {ours:?}, theirs {theirs:?}");
        refusals.extend(case.refused.iter().chain(&case.settle_refused));
    }
    assert_eq!(refusals.len(), 12, "the cases show every refusal: {refusals:?}");
}
