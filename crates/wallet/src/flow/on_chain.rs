//! A payment on a chain within the flow that pays: written down before it is sent, and closed by what comes with the answer.

use farthing_channel::TxHash;
use farthing_money::{Amount, Timestamp};
use farthing_wire::header::{PAYMENT_RECEIPT, PAYMENT_REQUIRED, PAYMENT_RESPONSE, X_PAYMENT_RESPONSE};
use farthing_wire::x402::{PaymentRequired, Reason, SettleResponse};
use farthing_wire::{Problem, mpp};

use super::paid::{self, Found};
use crate::address::Address;
use crate::attempt::{Attempt, AttemptKind, Payment};
use crate::budget::Grant;
use crate::chain::OnChain;
use crate::chain::account;
use crate::chain::offer::ChainOffer;
use crate::chain::sign::{Signed, sign};
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::HttpResponse;
use crate::outcome::Paid;
use crate::state::Draft;
use crate::subscription::Brought;
use crate::unit::money;
use crate::wallet::Wallet;

/// What is paid for, and with which random bytes.
pub(crate) struct Order {
    pub(crate) method: String,
    pub(crate) address: Address,
    pub(crate) body_digest: String,
    pub(crate) has_login: bool,
    pub(crate) random: [u8; 32],
}

/// Signs an offer and writes down what was signed, with the budget charged, in one commit. Only then is anything sent.
pub(crate) fn write_down(
    wallet: &mut Wallet,
    offer: &ChainOffer,
    (order, grant): (Order, Grant),
    now: Timestamp,
) -> Result<(u64, Payment), WalletError> {
    let mut draft = Draft::new(&wallet.state);
    let id = draft.attempt_number();
    // One flow may sign more than once, each time something else.
    let random = farthing_channel::keccak256(&[order.random.as_slice(), &id.to_be_bytes()].concat());
    let key = account::key(&wallet.seed)?;
    let Signed { field, credential, payment } = sign(offer, &key, *random.as_bytes(), now, order.has_login)?;
    draft.grant(offer.unit(), &grant);
    let payment = Payment {
        method: order.method,
        url: order.address.to_string(),
        body: order.body_digest,
        dialect: offer.dialect().to_owned(),
        field,
        credential,
        price: offer.price,
        booking: grant.booking,
        change: None,
        metered: false,
        delivered: false,
        receipt: None,
        chain: Some(Box::new(payment)),
        channel: None,
    };
    let kind = AttemptKind::Pay(Box::new(payment.clone()));
    let (mint, unit) = (offer.token.chain.to_string(), offer.unit());
    draft.attempt(Attempt { id, at: now, mint, unit, inputs: Vec::new(), plans: Vec::new(), kind });
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok((id, payment))
}

/// What a refusal says of a payment on a chain. None of it is believed where that would cost money.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The reason, in the words of x402.
    pub(crate) reason: Option<String>,
    /// Whether it is still under way.
    pub(crate) is_pending: bool,
    /// Whether it was taken before.
    pub(crate) is_used: bool,
}

impl Refusal {
    pub(crate) fn of(answer: &HttpResponse, problem: Option<&Problem>) -> Self {
        let offered =
            answer.header(PAYMENT_REQUIRED).and_then(|text| PaymentRequired::from_header(text).ok());
        let reason = response(answer).and_then(|response| response.error_reason);
        let reason = reason.or_else(|| offered.and_then(|required| required.error));
        let known = reason.as_deref().and_then(|reason| reason.parse::<Reason>().ok());
        let is_used = matches!(known, Some(Reason::NonceAlreadyUsed | Reason::Permit2InvalidNonce))
            || problem.is_some_and(|problem| problem.code == "payment-used");
        let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(200).collect();
        Self { reason: reason.map(plain), is_pending: known.is_some_and(Reason::is_pending), is_used }
    }
}

pub(crate) fn response(answer: &HttpResponse) -> Option<SettleResponse> {
    let text = answer.header(PAYMENT_RESPONSE).or_else(|| answer.header(X_PAYMENT_RESPONSE))?;
    SettleResponse::from_header(text).ok()
}

/// The transaction and the amount that an answer tells of, as far as they can be.
fn told(answer: &HttpResponse, on: &OnChain) -> OnChain {
    let response = response(answer).filter(|response| response.success);
    let receipt = answer.header(PAYMENT_RECEIPT).and_then(|text| mpp::Receipt::decode(text).ok());
    let by_receipt = receipt.filter(|receipt| receipt.method == mpp::METHOD_EVM).map(|one| one.reference);
    let transaction = response.as_ref().map(|response| response.transaction.clone()).or(by_receipt);
    let transaction = transaction.filter(|text| text.parse::<TxHash>().is_ok());
    let amount = response.and_then(|response| response.amount?.amount());
    let taken = amount.filter(|amount| on.is_ceiling() && *amount < on.units);
    OnChain { taken, transaction, ..on.clone() }
}

/// Closes a payment that was answered. Answers with what was paid, and with the attempts that remain: what a node must still
/// confirm.
pub(crate) fn finish(
    wallet: &mut Wallet,
    attempt: &Attempt,
    address: &Address,
    answer: &HttpResponse,
    now: Timestamp,
) -> Result<(Paid, Vec<u64>), WalletError> {
    let payment = attempt.payment().cloned().ok_or(WalletError::UnknownAttempt(attempt.id))?;
    let signed = payment.chain.clone().ok_or(WalletError::UnknownAttempt(attempt.id))?;
    let on = told(answer, &signed.on);
    let mut found = Found::of_receipt(wallet, attempt, &payment, address, answer);
    let cost = taken_cost(wallet, &on, payment.price);
    let is_less = cost < payment.price;
    let confirms = is_less && wallet.node(on.chain).is_some();
    let mut draft = Draft::new(&wallet.state);
    let pass_until = paid::keep_pass(&mut draft, wallet, &found, address, answer, now);
    draft.renew(attempt, Brought { at: now, charged: money(attempt.unit, cost)?, ends: pass_until });
    let mut open = Vec::new();
    if confirms {
        let chain = Some(Box::new(crate::chain::ChainPayment { on: on.clone(), ..*signed }));
        let delivered = Payment { delivered: true, receipt: found.receipt.clone(), chain, ..payment.clone() };
        draft.attempt(Attempt { kind: AttemptKind::Pay(Box::new(delivered)), ..attempt.clone() });
        open.push(attempt.id);
    } else {
        if is_less {
            let booked = money(attempt.unit, payment.price)?;
            found.notes.push(format!(
                "the limits count {booked}: no node of {} is named that could confirm that less was taken",
                on.chain
            ));
        }
        let money = money(attempt.unit, cost)?;
        let (receipt, notes) = (found.receipt.clone(), found.notes.clone());
        let entry = Entry { at: now, receipt, notes, ..entry(attempt, &payment, &on, EntryKind::Pay, money) };
        draft.finish(attempt.id, Some(entry));
    }
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    let paid = found.paid(attempt, payment, answer, money(attempt.unit, cost)?, pass_until)?;
    Ok((Paid { on_chain: Some(on), ..paid }, open))
}

/// What was taken, as limits count it.
pub(crate) fn taken_cost(wallet: &Wallet, on: &OnChain, price: u64) -> u64 {
    let counted = |taken: Amount| wallet.token(on.chain, on.token).and_then(|token| token.counted(taken));
    on.taken.and_then(counted).map_or(price, |cost| cost.min(price))
}

/// The entry of the history.
pub(crate) fn entry(
    attempt: &Attempt,
    payment: &Payment,
    on: &OnChain,
    kind: EntryKind,
    money: farthing_money::Money,
) -> Entry {
    Entry {
        number: attempt.id,
        at: attempt.at,
        kind,
        party: payment.booking.host.clone(),
        money,
        url: Some(payment.url.clone()),
        receipt: payment.receipt.clone(),
        on_chain: Some(on.clone()),
        asker: payment.booking.asker.clone(),
        subscription: None,
        notes: Vec::new(),
    }
}
