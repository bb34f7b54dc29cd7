//! Each rule alone, their order, and the books against a naive model under any history.

use farthing_money::Amount;
use proptest::prelude::*;

use super::*;
use crate::address::Address;
use crate::chain_id::ChainId;
use crate::domain::Domain;
use crate::key::SigningKey;
use crate::terms::{ChannelId, ChannelTerms, Salt, batch_domain};
use crate::voucher::Voucher;
use crate::word::Word;

fn amount(units: u128) -> Amount {
    Amount::new(units)
}

fn of(byte: u8) -> Address {
    Address::from_bytes([byte; 20])
}

fn key() -> SigningKey {
    SigningKey::from_bytes([7; 32]).unwrap()
}

fn batch() -> Domain {
    batch_domain(ChainId::new(84_532))
}

fn terms() -> ChannelTerms {
    ChannelTerms {
        payer: of(1),
        payer_authorizer: key().address(),
        receiver: of(3),
        receiver_authorizer: of(4),
        token: of(5),
        withdraw_delay: 900,
        salt: Salt::from_bytes([0; 32]),
    }
}

fn offer() -> ChannelOffer {
    ChannelOffer {
        receiver: of(3),
        receiver_authorizer: of(4),
        token: of(5),
        withdraw_delay: 900,
        deposit_least: None,
        takes_contracts: false,
        exposure_most: None,
    }
}

fn sign(terms: &ChannelTerms, ceiling: u128, key: &SigningKey) -> Vec<u8> {
    let voucher = Voucher { channel: terms.id(&batch()), cumulative: amount(ceiling) };
    key.sign(&voucher.batch_digest(&batch())).to_bytes().to_vec()
}

fn presented<'a>(terms: &ChannelTerms, ceiling: u128, signature: &'a [u8]) -> Presented<'a> {
    Presented { terms: *terms, channel: terms.id(&batch()), ceiling: amount(ceiling), signature }
}

fn proven_of(terms: &ChannelTerms, ceiling: u128) -> Proven {
    presented(terms, ceiling, &sign(terms, ceiling, &key())).prove(&batch(), None).unwrap()
}

fn proven(ceiling: u128) -> Proven {
    proven_of(&terms(), ceiling)
}

fn chain(balance: u128, claimed: u128) -> ChannelOnChain {
    let (balance, claimed) = (amount(balance), amount(claimed));
    ChannelOnChain { balance, claimed, withdraw_since: None, refund_nonce: Word::ZERO }
}

fn pay(price: u128) -> Asked {
    Asked::Payment { price: amount(price) }
}

fn books(balance: u128, charged: u128) -> ChannelBooks {
    let empty = ChannelBooks::default().observed(chain(balance, 0));
    if charged == 0 {
        return empty;
    }
    empty
        .accept(&proven(charged), pay(charged), &offer(), Amount::ZERO)
        .unwrap()
        .posted(amount(charged))
        .unwrap()
}

fn refusal(books: &ChannelBooks, ceiling: u128, asked: Asked) -> Option<Refused> {
    books.accept(&proven(ceiling), asked, &offer(), Amount::ZERO).err()
}

#[test]
fn a_voucher_is_exactly_the_charge_and_the_price() {
    let books = books(10_000, 4_000);
    assert_eq!(refusal(&books, 5_000, pay(1_000)), None);
    for other in [0, 1_000, 3_999, 4_000, 4_999, 5_001, 10_000] {
        assert_eq!(refusal(&books, other, pay(1_000)), Some(Refused::CumulativeAmountMismatch), "{other}");
    }
    assert_eq!(refusal(&books, 4_000, Asked::Refund), None);
    assert_eq!(refusal(&books, 5_000, Asked::Refund), Some(Refused::CumulativeAmountMismatch));
}

#[test]
fn a_metered_charge_is_the_base_of_the_next_voucher() {
    let held = books(10_000, 0).accept(&proven(1_000), pay(1_000), &offer(), Amount::ZERO).unwrap();
    assert_eq!(held.exposure(), amount(1_000), "the whole price may be owed");
    let books = held.posted(amount(137)).unwrap();
    assert_eq!((books.charged(), books.exposure()), (amount(137), amount(137)));
    assert_eq!(refusal(&books, 2_000, pay(1_000)), Some(Refused::CumulativeAmountMismatch));
    assert_eq!(refusal(&books, 1_137, pay(1_000)), None);
    // The next voucher may be equal to or lower than the last: it is the total that counts.
    for price in [863, 500] {
        let next = books.accept(&proven(137 + price), pay(price), &offer(), Amount::ZERO).unwrap();
        let next = next.posted(amount(price)).unwrap();
        assert_eq!(next.claim(&terms()).unwrap().ceiling, amount(137 + price));
        assert_eq!(next.claim(&terms()).unwrap().total_claimed, amount(137 + price));
    }
    assert_eq!(held.posted(amount(1_001)), Err(Refused::ChargeExceedsSigned));
    assert_eq!(held.posted(Amount::MAX), Err(Refused::ChargeExceedsSigned));
    assert_eq!(books.posted(Amount::ZERO), Err(Refused::ChannelBusy), "nothing is held");
}

#[test]
fn what_was_not_served_is_not_charged() {
    let held = books(10_000, 4_000).accept(&proven(5_000), pay(1_000), &offer(), Amount::ZERO).unwrap();
    let after = held.released();
    assert_eq!(after, books(10_000, 4_000));
    assert_eq!(refusal(&after, 5_000, pay(1_000)), None, "the same voucher again");
}

#[test]
fn one_request_at_a_time() {
    let held = books(10_000, 4_000).accept(&proven(5_000), pay(1_000), &offer(), Amount::ZERO).unwrap();
    assert_eq!(refusal(&held, 5_000, pay(1_000)), Some(Refused::ChannelBusy));
    assert_eq!(refusal(&held, 6_000, pay(1_000)), Some(Refused::CumulativeAmountMismatch));
    assert_eq!(refusal(&held, 4_000, Asked::Refund), Some(Refused::ChannelBusy));
}

#[test]
fn a_voucher_is_covered_and_above_what_was_claimed() {
    assert_eq!(refusal(&books(0, 0), 1, pay(1)), Some(Refused::ChannelNotFound));
    assert_eq!(refusal(&books(1_000, 0), 1_001, pay(1_001)), Some(Refused::CumulativeExceedsBalance));
    assert_eq!(refusal(&books(1_000, 0), 1_000, pay(1_000)), None);
    let with = |units| Asked::Deposit { price: amount(1_001), amount: amount(units) };
    assert_eq!(refusal(&books(1_000, 0), 1_001, with(0)), Some(Refused::CumulativeExceedsBalance));
    assert_eq!(refusal(&books(1_000, 0), 1_001, with(1)), None);
    assert_eq!(refusal(&books(0, 0), 1_001, with(1_001)), None, "a first deposit");
    let claimed = books(10_000, 4_000).observed(chain(10_000, 4_000));
    assert_eq!(refusal(&claimed, 4_000, pay(0)), Some(Refused::CumulativeBelowClaimed));
    assert_eq!(refusal(&claimed, 4_000, Asked::Refund), None);
    assert_eq!(refusal(&claimed, 4_001, pay(1)), None);
}

#[test]
fn the_largest_totals_do_not_wrap() {
    let most = u128::MAX;
    let full = ChannelBooks::default().observed(chain(most, 0));
    let last = full.accept(&proven(most), pay(most), &offer(), Amount::ZERO).unwrap();
    assert_eq!(last.exposure(), Amount::MAX);
    let spent = last.posted(Amount::MAX).unwrap();
    assert_eq!(refusal(&spent, most, pay(1)), Some(Refused::CumulativeAmountMismatch));
    assert_eq!(refusal(&spent, 0, pay(1)), Some(Refused::CumulativeAmountMismatch), "a total that wrapped");
    assert_eq!(spent.claim(&terms()).unwrap().total_claimed, Amount::MAX);
    let more = Asked::Deposit { price: amount(0), amount: amount(1) };
    assert_eq!(refusal(&spent, most, more), Some(Refused::CumulativeExceedsBalance), "no escrow takes it");
    let limited = ChannelOffer { exposure_most: Some(Amount::MAX), ..offer() };
    let refused = full.accept(&proven(most), pay(most), &limited, amount(1));
    assert_eq!(refused, Err(Refused::ExposureExceeded), "a sum that wrapped");
    assert_eq!(least_deposit(Amount::MAX, None), None);
}

#[test]
fn terms_are_those_of_the_offer() {
    type Change = fn(&mut ChannelTerms);
    let changes: [(Change, Refused); 4] = [
        (|t| t.receiver = of(9), Refused::ReceiverMismatch),
        (|t| t.receiver_authorizer = of(9), Refused::ReceiverAuthorizerMismatch),
        (|t| t.token = of(9), Refused::TokenMismatch),
        (|t| t.withdraw_delay = 901, Refused::WithdrawDelayMismatch),
    ];
    for (change, expected) in changes {
        let mut other = terms();
        change(&mut other);
        let refused = books(10, 0).accept(&proven_of(&other, 1), pay(1), &offer(), Amount::ZERO);
        assert_eq!(refused, Err(expected));
    }
    for delay in [899, 2_592_001] {
        let (terms, offer) = (
            ChannelTerms { withdraw_delay: delay, ..terms() },
            ChannelOffer { withdraw_delay: delay, ..offer() },
        );
        assert_eq!(offer.check(&terms), Err(Refused::WithdrawDelayOutOfRange), "{delay}");
    }
    let nobody = ChannelOffer { receiver_authorizer: Address::ZERO, ..offer() };
    let terms = ChannelTerms { receiver_authorizer: Address::ZERO, ..terms() };
    assert_eq!(nobody.check(&terms), Err(Refused::ReceiverAuthorizerMismatch));
}

#[test]
fn a_signature_is_by_the_authorizer_for_this_voucher() {
    let (domain, good) = (batch(), sign(&terms(), 5, &key()));
    let voucher = presented(&terms(), 5, &good).prove(&domain, None).unwrap();
    assert_eq!(voucher.signer(), Some(key().public_key()));
    assert_eq!(presented(&terms(), 5, &good).prove(&domain, voucher.signer()), Ok(voucher.clone()));
    let other = SigningKey::from_bytes([8; 32]).unwrap();
    // A key that is not the channel's, kept by mistake, changes nothing.
    assert_eq!(presented(&terms(), 5, &good).prove(&domain, Some(other.public_key())), Ok(voucher));
    let lane = ChannelTerms { salt: Salt::from_bytes([1; 32]), ..terms() };
    for known in [None, Some(key().public_key())] {
        let refused = |terms: &ChannelTerms, ceiling, signature: &[u8], domain: &Domain| {
            let channel = terms.id(domain);
            let came = Presented { channel, ..presented(terms, ceiling, signature) };
            came.prove(domain, known).err()
        };
        let elsewhere = batch_domain(ChainId::new(8_453));
        assert_eq!(refused(&terms(), 6, &good, &domain), Some(Refused::VoucherSignature));
        assert_eq!(refused(&lane, 5, &good, &domain), Some(Refused::VoucherSignature), "of another channel");
        assert_eq!(
            refused(&terms(), 5, &good, &elsewhere),
            Some(Refused::VoucherSignature),
            "of another chain"
        );
        let foreign = sign(&terms(), 5, &other);
        assert_eq!(refused(&terms(), 5, &foreign, &domain), Some(Refused::VoucherSignature));
        assert_eq!(refused(&terms(), 5, &good[..64], &domain), Some(Refused::VoucherSignature));
    }
    let wrong = Presented { channel: ChannelId::from_bytes([9; 32]), ..presented(&terms(), 5, &good) };
    assert_eq!(wrong.prove(&domain, None), Err(Refused::ChannelIdMismatch));
}

#[test]
fn a_payer_that_may_be_a_contract_has_to_be_allowed() {
    let alone = ChannelTerms { payer_authorizer: Address::ZERO, ..terms() };
    let came = presented(&alone, 5, &[0xab; 70]);
    assert_eq!(came.prove(&batch(), None), Err(Refused::PayerAuthorizerRequired));
    assert!(came.question(&batch()).unwrap().is_some());
    let voucher = came.vouched(&batch()).unwrap();
    let refused = books(10, 0).accept(&voucher, pay(5), &offer(), Amount::ZERO);
    assert_eq!(refused, Err(Refused::PayerAuthorizerRequired));
    let allowing = ChannelOffer { takes_contracts: true, ..offer() };
    assert!(books(10, 0).accept(&voucher, pay(5), &allowing, Amount::ZERO).is_ok());
    // Nobody gets round a key by saying that the chain was asked.
    let named = presented(&terms(), 5, &[0xab; 70]);
    assert_eq!(named.question(&batch()), Ok(None));
    assert_eq!(named.vouched(&batch()), Err(Refused::VoucherSignature));
}

#[test]
fn nobody_is_served_while_a_withdrawal_is_under_way() {
    let leaving = ChannelOnChain { withdraw_since: Some(1), ..chain(10_000, 0) };
    let books = books(10_000, 4_000).observed(leaving);
    assert_eq!(refusal(&books, 5_000, pay(1_000)), Some(Refused::WithdrawalPending));
    let more = Asked::Deposit { price: amount(1_000), amount: amount(10_000) };
    assert_eq!(refusal(&books, 5_000, more), Some(Refused::WithdrawalPending));
    assert_eq!(refusal(&books, 4_000, Asked::Refund), None);
    assert_eq!(books.claim(&terms()).map(|row| row.total_claimed), Some(amount(4_000)), "claimed in time");
}

#[test]
fn what_is_owed_stays_within_the_limit() {
    let limited = ChannelOffer { exposure_most: Some(amount(5_000)), ..offer() };
    let books = books(10_000, 4_000);
    let accept = |price, elsewhere| {
        let voucher = proven(4_000 + price);
        books.accept(&voucher, pay(price), &limited, amount(elsewhere)).err()
    };
    assert_eq!(accept(1_000, 0), None);
    assert_eq!(accept(1_001, 0), Some(Refused::ExposureExceeded));
    assert_eq!(accept(1_000, 1), Some(Refused::ExposureExceeded));
    let claimed = books.observed(chain(10_000, 4_000));
    let after = claimed.accept(&proven(9_000), pay(5_000), &limited, Amount::ZERO);
    assert!(after.is_ok(), "what was claimed is no longer owed");
    let refund = books.accept(&proven(4_000), Asked::Refund, &limited, amount(5_000));
    assert!(refund.is_ok(), "who wants to leave may leave");
}

#[test]
fn a_deposit_may_have_a_least() {
    let strict = ChannelOffer { deposit_least: Some(amount(10_000)), ..offer() };
    let accept = |units, ceiling| {
        let asked = Asked::Deposit { price: amount(1_000), amount: amount(units) };
        books(0, 0).accept(&proven(ceiling), asked, &strict, Amount::ZERO).err()
    };
    assert_eq!(accept(9_999, 1_000), Some(Refused::DepositBelowMinimum));
    assert_eq!(accept(9_999, 7), Some(Refused::DepositBelowMinimum), "before the total is looked at");
    assert_eq!(accept(10_000, 1_000), None);
    assert_eq!(least_deposit(amount(1_000), None), Some(amount(10_000)));
    assert_eq!(least_deposit(amount(1_000), Some(amount(500))), Some(amount(1_000)));
    assert_eq!(least_deposit(amount(1_000), Some(amount(50_000))), Some(amount(50_000)));
    assert_eq!([0, 900, 3_600].map(trusted_seconds), [30, 300, 300]);
}

/// The first rule that is broken is the one that is named; a request that breaks all of them is mended one by one.
#[test]
fn rules_have_an_order() {
    let mut books = books(10_000, 4_000);
    books = books.accept(&proven(5_000), pay(1_000), &offer(), Amount::ZERO).unwrap();
    books = books.observed(ChannelOnChain { withdraw_since: Some(1), ..chain(4_500, 4_000) });
    let mut offer = ChannelOffer { receiver: of(8), token: of(8), exposure_most: Some(amount(1)), ..offer() };
    let refused = |books: &ChannelBooks, offer: &ChannelOffer, ceiling| {
        books.accept(&proven(ceiling), pay(1_000), offer, Amount::ZERO).err()
    };
    assert_eq!(refused(&books, &offer, 5_001), Some(Refused::CumulativeAmountMismatch));
    assert_eq!(refused(&books, &offer, 5_000), Some(Refused::ReceiverMismatch));
    offer.receiver = of(3);
    assert_eq!(refused(&books, &offer, 5_000), Some(Refused::TokenMismatch));
    offer.token = of(5);
    assert_eq!(refused(&books, &offer, 5_000), Some(Refused::CumulativeExceedsBalance));
    books = books.observed(ChannelOnChain { withdraw_since: Some(1), ..chain(9_000, 4_000) });
    assert_eq!(refused(&books, &offer, 5_000), Some(Refused::WithdrawalPending));
    books = books.observed(chain(9_000, 4_000));
    assert_eq!(refused(&books, &offer, 5_000), Some(Refused::ExposureExceeded));
    offer.exposure_most = None;
    assert_eq!(refused(&books, &offer, 5_000), Some(Refused::ChannelBusy));
    assert_eq!(refused(&books.released(), &offer, 5_000), None);
}

#[test]
fn an_unknown_channel_is_taken_at_its_word_but_not_below_the_chain() {
    let unknown =
        |claimed, ceiling, asked| ChannelBooks::unknown(chain(10_000, claimed), &proven(ceiling), asked);
    assert_eq!(unknown(0, 5_000, pay(1_000)).charged(), amount(4_000));
    assert_eq!(unknown(0, 5_000, Asked::Refund).charged(), amount(5_000));
    let short = unknown(0, 500, pay(1_000));
    assert_eq!(refusal(&short, 500, pay(1_000)), Some(Refused::CumulativeAmountMismatch));
    // What was claimed was charged: otherwise half of this price would never be paid.
    let claimed = unknown(4_500, 5_000, pay(1_000));
    assert_eq!(refusal(&claimed, 5_000, pay(1_000)), Some(Refused::CumulativeAmountMismatch));
    assert_eq!(claimed.corrective().charged, amount(4_500));
}

#[test]
fn a_corrective_shows_a_voucher_that_covers_the_charge_or_none() {
    let books = books(10_000, 4_000);
    let told = books.corrective();
    assert_eq!((told.charged, told.voucher.map(|kept| kept.ceiling)), (amount(4_000), Some(amount(4_000))));
    let ahead = books.observed(chain(10_000, 4_001)).corrective();
    assert_eq!((ahead.charged, ahead.voucher), (amount(4_001), None), "the payer asks the chain");
    assert!(!format!("{books:?}").contains("signature"), "a signature is not shown");
}

/// A voucher whose request was free could be read from the next claim, and whoever had read it could pay with it.
#[test]
fn what_was_free_is_not_shown_by_a_claim() {
    let charge = |books: &ChannelBooks, total, price, actual| {
        let held = books.accept(&proven(total), pay(price), &offer(), Amount::ZERO).unwrap();
        held.posted(amount(actual)).unwrap()
    };
    let books = charge(&books(10_000, 4_000), 5_000, 1_000, 0);
    assert_eq!(books.claim(&terms()).map(|row| row.ceiling), Some(amount(4_000)), "the one before it");
    assert_eq!(refusal(&books, 5_000, pay(1_000)), None, "it pays for the next request");
    let claimed = books.observed(chain(10_000, 4_000));
    assert_eq!(charge(&claimed, 5_000, 1_000, 0).claim(&terms()), None);
    // Of a channel that is taken at its word there is no voucher before.
    let unknown = ChannelBooks::begun(amount(4_000)).observed(chain(10_000, 0));
    let books = charge(&unknown, 5_000, 1_000, 0);
    assert_eq!(books.claim(&terms()).map(|row| row.total_claimed), Some(amount(4_000)));
}

#[test]
fn a_claim_is_what_is_covered_and_new() {
    let books = books(10_000, 4_000);
    let row = books.claim(&terms()).unwrap();
    assert_eq!((row.ceiling, row.total_claimed), (amount(4_000), amount(4_000)));
    let batch = batch();
    let digest = Voucher { channel: row.claim(&batch).channel, cumulative: row.ceiling }.batch_digest(&batch);
    let signature = crate::Signature::from_bytes(&row.signature).unwrap();
    assert_eq!(signature.recover(&digest), Ok(key().address()));
    assert_eq!(books.observed(chain(10_000, 4_000)).claim(&terms()), None);
    // A withdrawal was faster: what is left is claimed, and the row fails nobody else's batch.
    let late = books.observed(chain(3_000, 0));
    assert_eq!(late.claim(&terms()).map(|row| row.total_claimed), Some(amount(3_000)));
    assert_eq!((late.uncovered(), books.uncovered()), (amount(1_000), Amount::ZERO));
    assert_eq!(books.observed(chain(0, 0)).claim(&terms()), None);
}

#[test]
fn a_refund_claims_first_and_gives_back_what_is_left() {
    let held = books(10_000, 4_000).accept(&proven(4_000), Asked::Refund, &offer(), Amount::ZERO).unwrap();
    let plan = |asked: Option<u128>| held.refund(&terms(), asked.map(amount));
    let whole = plan(None).unwrap();
    assert_eq!((whole.amount, whole.nonce), (amount(6_000), Word::ZERO));
    assert_eq!(whole.claim.map(|row| row.total_claimed), Some(amount(4_000)));
    assert_eq!(plan(Some(1)).unwrap().amount, amount(1));
    assert_eq!(plan(Some(u128::MAX)).unwrap().amount, amount(6_000));
    assert_eq!(plan(Some(0)), Err(Refused::RefundAmountInvalid));
    assert_eq!(held.observed(chain(10_000, 4_000)).refund(&terms(), None).unwrap().claim, None);
    assert_eq!(
        held.observed(chain(4_000, 0)).refund(&terms(), Some(Amount::ZERO)),
        Err(Refused::RefundNoBalance)
    );
}

#[test]
fn a_part_that_a_payer_wants_back_is_worth_its_transaction() {
    let books = books(10_000, 4_000);
    let plan = |asked: Option<u128>, least: Option<u128>| {
        let offer = ChannelOffer { deposit_least: least.map(amount), ..offer() };
        books.refund_to_payer(&terms(), asked.map(amount), &offer).map(|plan| plan.amount)
    };
    let small = Err(Refused::RefundBelowLeast { least: amount(5_000) });
    for (asked, least, expected) in [
        (Some(4_999), Some(5_000), small),
        (Some(5_000), Some(5_000), Ok(amount(5_000))),
        // All that is left, though it is less.
        (Some(5_999), Some(7_000), Err(Refused::RefundBelowLeast { least: amount(7_000) })),
        (Some(6_000), Some(7_000), Ok(amount(6_000))),
        (Some(u128::MAX), Some(7_000), Ok(amount(6_000))),
        (None, Some(7_000), Ok(amount(6_000))),
        (Some(1), None, Ok(amount(1))),
        (Some(0), Some(5_000), Err(Refused::RefundAmountInvalid)),
    ] {
        assert_eq!(plan(asked, least), expected, "{asked:?} {least:?}");
    }
}

#[test]
fn every_refusal_has_names_of_its_own() {
    let codes: std::collections::BTreeSet<_> = Refused::ALL.iter().map(|refused| refused.code()).collect();
    let reasons: std::collections::BTreeSet<_> =
        Refused::ALL.iter().map(|refused| refused.reason()).collect();
    assert_eq!((codes.len(), reasons.len()), (Refused::ALL.len(), Refused::ALL.len()));
    assert!(reasons.iter().all(|reason| reason.starts_with("invalid_batch_settlement_evm_")));
    assert!(Refused::ChannelBusy.is_transient() && !Refused::VoucherSignature.is_transient());
}

/// What may happen to a channel.
#[derive(Clone, Debug)]
enum Step {
    Pay { price: u128, actual: u128, off: u128 },
    Fail { price: u128 },
    TopUp { price: u128, units: u128 },
    Claim,
    Withdraw { units: u128 },
    Replay,
}

fn step() -> impl Strategy<Value = Step> {
    let units = || prop_oneof![0u128..2_000, any::<u128>(), Just(u128::MAX)];
    prop_oneof![
        4 => (units(), 0u128..=100, 0u128..2).prop_map(|(price, share, off)| {
            Step::Pay { price, actual: price / 100 * share, off }
        }),
        1 => units().prop_map(|price| Step::Fail { price }),
        2 => (units(), units()).prop_map(|(price, units)| Step::TopUp { price, units }),
        2 => Just(Step::Claim),
        1 => units().prop_map(|units| Step::Withdraw { units }),
        1 => Just(Step::Replay),
    ]
}

/// What a payer has signed and what really happened, kept apart from the books.
#[derive(Default)]
struct Model {
    signed: u128,
    charged: u128,
    deposited: u128,
    balance: u128,
    claimed: u128,
    last: Option<(u128, u128)>,
}

impl Model {
    /// Signs the total that its payer believes in, and serves it if it is taken.
    fn pay(&mut self, books: &ChannelBooks, asked: Asked, off: u128, actual: Option<u128>) -> ChannelBooks {
        let (Asked::Payment { price } | Asked::Deposit { price, .. }) = asked else { return books.clone() };
        let Some(ceiling) = self.charged.checked_add(price.value()).and_then(|sum| sum.checked_add(off))
        else {
            return books.clone();
        };
        let taken = books.accept(&proven(ceiling), asked, &offer(), Amount::ZERO);
        let Ok(held) = taken else { return books.clone() };
        assert_eq!(off, 0, "a total that is not exact is never taken");
        self.signed = self.signed.max(ceiling);
        if let Asked::Deposit { amount, .. } = asked {
            self.deposited = self.deposited.saturating_add(amount.value());
            self.balance += amount.value();
        }
        let held = held.observed(chain(self.balance, self.claimed));
        assert!(amount(ceiling) <= held.chain().balance, "signed is deposited");
        let Some(actual) = actual else { return held.released() };
        self.charged += actual;
        self.last = (actual > 0).then_some((ceiling, price.value()));
        held.posted(amount(actual)).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Never more is charged than was signed, nor signed than was deposited; never more is claimed than was charged; the books
    /// say what really happened.
    #[test]
    fn any_history_keeps_the_books(first in 1u128..1 << 100, steps in prop::collection::vec(step(), 1..40)) {
        let mut model = Model { deposited: first, balance: first, ..Model::default() };
        let mut books = ChannelBooks::default().observed(chain(first, 0));
        for step in steps {
            books = match step {
                Step::Pay { price, actual, off } => model.pay(&books, pay(price), off, Some(actual)),
                Step::Fail { price } => model.pay(&books, pay(price), 0, None),
                Step::TopUp { price, units } => {
                    let asked = Asked::Deposit { price: amount(price), amount: amount(units) };
                    model.pay(&books, asked, 0, Some(price))
                }
                Step::Claim => {
                    if let Some(row) = books.claim(&terms()) {
                        prop_assert!(row.total_claimed <= row.ceiling && row.ceiling.value() <= model.signed);
                        prop_assert!(row.total_claimed.value() <= model.charged);
                        prop_assert!(row.total_claimed <= books.chain().balance);
                        prop_assert!(row.total_claimed > books.chain().claimed);
                        model.claimed = row.total_claimed.value();
                    }
                    books.observed(chain(model.balance, model.claimed))
                }
                Step::Withdraw { units } => {
                    // What the escrow pays out at the most.
                    model.balance -= units.min(model.balance - model.claimed);
                    books.observed(chain(model.balance, model.claimed))
                }
                Step::Replay => {
                    if let Some((ceiling, price)) = model.last {
                        let refused = books.accept(&proven(ceiling), pay(price), &offer(), Amount::ZERO);
                        prop_assert_eq!(refused.err(), Some(Refused::CumulativeAmountMismatch));
                    }
                    books
                }
            };
            prop_assert_eq!(books.charged().value(), model.charged);
            prop_assert!(model.charged <= model.signed && model.signed <= model.deposited);
            prop_assert_eq!(books.exposure().value(), model.charged - model.claimed);
            prop_assert!(!books.is_held());
            let json = serde_json::to_string(&books).unwrap();
            prop_assert_eq!(serde_json::from_str::<ChannelBooks>(&json).unwrap(), books.clone(), "rows come back");
        }
    }
}
