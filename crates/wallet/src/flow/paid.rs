//! What comes with a paid answer: change, receipt, pass. All of it is written down before the body is delivered.

use farthing_ecash::{BlindSignature, KeysetId, Proof, Token};
use farthing_money::{Amount, Money, Timestamp};
use farthing_wire::header::{
    FARTHING_CHARGE, FARTHING_FARE, FARTHING_PASS, FARTHING_RECEIPT, PAYMENT_RECEIPT, X_CASHU,
};
use farthing_wire::mpp::{self, credit};

use super::settle::of_booking;
use super::{in_channel, keys, on_chain};
use crate::address::{Address, mint_address};
use crate::attempt::{Attempt, AttemptKind, Outputs, Payment};
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::HttpResponse;
use crate::merchant::{CheckedReceipt, check_fare, check_pass, check_receipt};
use crate::outcome::{Paid, Settled};
use crate::outputs::{collect, messages};
use crate::state::{Draft, worth};
use crate::subscription::Brought;
use crate::unit::money;
use crate::vault::{Row, RowKey};
use crate::wallet::Wallet;

const NO_RECEIPT: &str = "no receipt came with the answer";

/// Blank outputs as a credential carries them.
pub(crate) fn output_texts(
    wallet: &Wallet,
    change: &Outputs,
) -> Result<Vec<credit::OutputText>, WalletError> {
    let messages = messages(&change.derive(&wallet.seed)?);
    let text = |message: &farthing_ecash::BlindedMessage| credit::OutputText {
        amount: message.amount,
        id: message.id.to_string(),
        blinded: message.b_.to_string(),
    };
    Ok(messages.iter().map(text).collect())
}

/// What was found in the fields of a paid answer.
#[derive(Default)]
pub(crate) struct Found {
    change: Vec<Proof>,
    token: Vec<Proof>,
    pub(crate) receipt: Option<String>,
    checked: Option<CheckedReceipt>,
    pub(crate) notes: Vec<String>,
}

impl Found {
    /// Only the receipt: what is paid on a chain has no change. Who pays there is used to having none, so nothing is said of
    /// one that did not come.
    pub(crate) fn of_receipt(
        wallet: &Wallet,
        attempt: &Attempt,
        payment: &Payment,
        address: &Address,
        answer: &HttpResponse,
    ) -> Self {
        let mut found = Self::default();
        let by_mpp = answer.header(PAYMENT_RECEIPT).and_then(|field| mpp::Receipt::decode(field).ok());
        let by_mpp = by_mpp.and_then(|receipt| credit::ReceiptExtra::of(&receipt).ok());
        found.receipt = by_mpp.and_then(|extra| extra.farthing);
        found.receipt = found.receipt.or_else(|| answer.header(FARTHING_RECEIPT).map(str::to_owned));
        if found.receipt.is_some() {
            check(wallet, attempt, payment, address, &mut found);
        }
        found
    }

    /// What was paid, with credits.
    pub(crate) fn paid(
        self,
        attempt: &Attempt,
        payment: Payment,
        answer: &HttpResponse,
        charged: Money,
        pass_until: Option<Timestamp>,
    ) -> Result<Paid, WalletError> {
        Ok(Paid {
            url: payment.url,
            status: answer.status,
            dialect: payment.dialect,
            price: money(attempt.unit, payment.price)?,
            charged,
            receipt: self.receipt,
            pass_until,
            on_chain: None,
            notes: self.notes,
        })
    }
}

/// Takes in what came with the answer. Answers with what was paid, and with the attempts that remain: change that must
/// still be fetched from the mint.
pub(crate) fn finish(
    wallet: &mut Wallet,
    id: u64,
    address: &Address,
    answer: &HttpResponse,
    now: Timestamp,
) -> Result<(Paid, Vec<u64>), WalletError> {
    let attempt = wallet.state.attempt(id).cloned().ok_or(WalletError::UnknownAttempt(id))?;
    if attempt.chain().is_some() {
        return on_chain::finish(wallet, &attempt, address, answer, now);
    }
    if attempt.channel().is_some() {
        return in_channel::finish(wallet, &attempt, address, answer, now);
    }
    let payment = attempt.payment().cloned().ok_or(WalletError::UnknownAttempt(id))?;
    let mut found = read(wallet, &attempt, &payment, address, answer);
    let over = payment.booking.amount.saturating_sub(payment.price);
    let back = worth(&found.change).saturating_add(worth(&found.token));
    // It came, and has cost nothing: the credits are what they were.
    let free = answer.header(FARTHING_CHARGE) == Some("none");
    let cost = if free { 0 } else { payment.booking.amount.saturating_sub(back) };
    let may_come = over > 0 || payment.metered;
    let missing = free || may_come && back == 0 && payment.change.is_some();
    if free {
        found.notes.push("nothing was charged; the credits are changed for new ones".to_owned());
    } else if missing && payment.metered {
        found
            .notes
            .push("what it has cost is known at its end; the mint is asked for the change then".to_owned());
    } else if missing {
        found.notes.push("the change did not come with the answer; the mint is asked for it".to_owned());
    } else if cost > payment.price {
        let (cost, price) = (money(attempt.unit, cost)?, money(attempt.unit, payment.price)?);
        found.notes.push(format!("{cost} was charged, though the price was {price}"));
    }

    let mut draft = Draft::new(&wallet.state);
    let pass_until = keep_pass(&mut draft, wallet, &found, address, answer, now);
    draft.renew(&attempt, Brought { at: now, charged: money(attempt.unit, cost)?, ends: pass_until });
    let mut open = Vec::new();
    if missing {
        let delivered = Payment { delivered: !free, receipt: found.receipt.clone(), ..payment.clone() };
        draft.attempt(Attempt { kind: AttemptKind::Pay(Box::new(delivered)), ..attempt.clone() });
        open.push(id);
    } else {
        let money = money(attempt.unit, cost)?;
        close(&mut draft, &attempt, &payment, &found, Entry { at: now, ..entry(&attempt, &payment, money) });
    }
    if !found.token.is_empty() {
        let change_of = Some(of_booking(&payment.booking, worth(&found.token)));
        let number = draft.attempt_number();
        let kind = AttemptKind::Receive { proofs: std::mem::take(&mut found.token), change_of };
        let (inputs, plans) = (Vec::new(), Vec::new());
        let (mint, unit) = (attempt.mint.clone(), attempt.unit);
        draft.attempt(Attempt { id: number, at: now, mint, unit, inputs, plans, kind });
        open.push(number);
    }
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    let paid = found.paid(&attempt, payment, answer, money(attempt.unit, cost)?, pass_until)?;
    Ok((paid, open))
}

/// Keeps the receipt of a stream, which its end has told. Other sites may speak in a body as well, so one by another key than before is left.
pub(crate) fn tell_receipt(
    wallet: &mut Wallet,
    (paid, open): (&mut Paid, &[u64]),
    address: &Address,
    text: &str,
) -> Result<(), WalletError> {
    let attempt = open.iter().find_map(|id| wallet.state.attempt(*id)).cloned();
    let payment = attempt.as_ref().and_then(|attempt| attempt.payment().cloned());
    let (Some(attempt), Some(payment), None) = (attempt, payment, &paid.receipt) else { return Ok(()) };
    let mut found = Found { receipt: Some(text.to_owned()), ..Found::default() };
    check(wallet, &attempt, &payment, address, &mut found);
    let before = wallet.state.signers.get(&address.host());
    let Some(checked) = found.checked.filter(|one| before.is_none_or(|before| *before == one.signer)) else {
        paid.notes.extend(found.notes);
        return Ok(());
    };
    let payment = Payment { receipt: found.receipt.clone(), ..payment };
    let mut draft = Draft::new(&wallet.state);
    draft.put(Row::Signer(checked.signer));
    draft.attempt(Attempt { kind: AttemptKind::Pay(Box::new(payment)), ..attempt });
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    paid.notes.retain(|note| note != NO_RECEIPT);
    paid.notes.extend(found.notes);
    paid.receipt = found.receipt;
    Ok(())
}

/// Stores the pass and who signed the receipt; forgets passes that are over.
pub(crate) fn keep_pass(
    draft: &mut Draft<'_>,
    wallet: &Wallet,
    found: &Found,
    address: &Address,
    answer: &HttpResponse,
    now: Timestamp,
) -> Option<Timestamp> {
    for over in wallet.state.passes.values().filter(|pass| pass.expires <= now) {
        draft.remove(RowKey::pass(over));
    }
    let checked = found.checked.as_ref()?;
    draft.put(Row::Signer(checked.signer.clone()));
    let fare = answer.header(FARTHING_FARE).and_then(|text| check_fare(text, &checked.signer, address, now));
    if let Some(fare) = fare {
        draft.put(Row::Pass(fare));
    }
    let pass = check_pass(answer.header(FARTHING_PASS)?, &checked.signer, address, now)?;
    let until = pass.expires;
    draft.put(Row::Pass(pass));
    Some(until)
}

/// Ends the payment: the credits are the merchant's, the change is ours.
fn close(draft: &mut Draft<'_>, attempt: &Attempt, payment: &Payment, found: &Found, entry: Entry) {
    let back = worth(&found.change).min(payment.booking.amount);
    draft.spend(&attempt.inputs);
    draft.take_in(&found.change, &attempt.mint, attempt.unit, entry.at);
    draft.unbook(attempt.unit, &payment.booking, back);
    let (receipt, notes) = (found.receipt.clone(), found.notes.clone());
    draft.finish(attempt.id, Some(Entry { receipt, notes, ..entry }));
}

fn entry(attempt: &Attempt, payment: &Payment, money: Money) -> Entry {
    Entry {
        number: attempt.id,
        at: attempt.at,
        kind: EntryKind::Pay,
        party: payment.booking.host.clone(),
        money,
        url: Some(payment.url.clone()),
        receipt: None,
        on_chain: None,
        asker: payment.booking.asker.clone(),
        subscription: None,
        notes: Vec::new(),
    }
}

fn read(
    wallet: &Wallet,
    attempt: &Attempt,
    payment: &Payment,
    address: &Address,
    answer: &HttpResponse,
) -> Found {
    let mut found = Found::default();
    let mut signatures = Vec::new();
    if let Some(field) = answer.header(PAYMENT_RECEIPT) {
        let extra = mpp::Receipt::decode(field).map_err(|error| error.to_string());
        match extra.and_then(|receipt| credit::ReceiptExtra::of(&receipt).map_err(|error| error.to_string()))
        {
            Ok(extra) => {
                signatures = extra.change;
                found.receipt = extra.farthing;
            }
            Err(error) => found.notes.push(format!("the MPP receipt cannot be read: {error}")),
        }
    }
    if let (Some(change), false) = (&payment.change, signatures.is_empty()) {
        match change_of(wallet, attempt, change, &signatures) {
            Ok(proofs) => found.change = proofs,
            Err(error) => found.notes.push(format!("the change is not taken: {error}")),
        }
    }
    if let Some(text) = answer.header(X_CASHU) {
        match change_token(wallet, attempt, text) {
            Ok(proofs) => found.token = proofs,
            Err(error) => found.notes.push(format!("the change in {X_CASHU} is not taken: {error}")),
        }
    }
    found.receipt = found.receipt.or_else(|| answer.header(FARTHING_RECEIPT).map(str::to_owned));
    check(wallet, attempt, payment, address, &mut found);
    found
}

fn change_of(
    wallet: &Wallet,
    attempt: &Attempt,
    change: &Outputs,
    texts: &[credit::SignatureText],
) -> Result<Vec<Proof>, WalletError> {
    let read = |text| serde_json::to_value(text).and_then(serde_json::from_value::<BlindSignature>);
    let signatures: Result<Vec<_>, _> = texts.iter().map(read).collect();
    let signatures =
        signatures.map_err(|error| WalletError::bad_answer(&attempt.mint, "change", error.to_string()))?;
    let planned = change.derive(&wallet.seed)?;
    let mint = keys::known(wallet, &attempt.mint)?;
    let keyset = mint.keyset(change.keyset).ok_or(WalletError::Misuse("known keys"))?;
    collect(&planned, &signatures, keyset, &attempt.mint)
}

/// Change as a token: of the same mint and unit, or it is nothing that we can take.
fn change_token(wallet: &Wallet, attempt: &Attempt, text: &str) -> Result<Vec<Proof>, WalletError> {
    let token = Token::decode(text)?;
    let mint = mint_address(&token.mint)?;
    if mint != attempt.mint || token.unit != attempt.unit {
        let got = format!("{} of {mint}", token.unit);
        return Err(WalletError::bad_answer(&attempt.mint, "change of the same mint and unit", got));
    }
    let known = keys::known(wallet, &attempt.mint)?;
    let ids: Vec<KeysetId> = known.keysets.iter().map(|info| info.id).collect();
    Ok(token.resolve(&ids)?)
}

/// Checks the receipt: whole, by the same key as last time, about this payment.
fn check(wallet: &Wallet, attempt: &Attempt, payment: &Payment, address: &Address, found: &mut Found) {
    let Some(text) = &found.receipt else {
        found.notes.push(NO_RECEIPT.to_owned());
        return;
    };
    let checked = match check_receipt(text, &address.host()) {
        Ok(checked) => checked,
        Err(error) => {
            found.notes.push(format!("the receipt is not good: {error}"));
            return;
        }
    };
    let before = wallet.state.signers.get(&address.host());
    if before.is_some_and(|before| *before != checked.signer) {
        let host = address.host();
        found.notes.push(format!("{host} signs its receipts with another key than before; ask it why"));
    }
    let receipt = &checked.receipt;
    if receipt.unit != attempt.unit || receipt.amount > Amount::from(payment.price) {
        let price = payment.price;
        found
            .notes
            .push(format!("the receipt is for {} {}, the price was {price}", receipt.amount, receipt.unit));
    }
    found.checked = Some(checked);
}

/// What the end of a settlement after the delivery means for what was paid.
pub(crate) fn note(paid: &mut Paid, settled: Settled) {
    match settled {
        Settled::Charged { charged, .. } => paid.charged = charged,
        Settled::Back(_)
        | Settled::Refunded(_)
        | Settled::Unknown(_)
        | Settled::InChannel(_)
        | Settled::InSession(_) => {}
        Settled::Taken(money) => paid.notes.push(format!("change of {money} was spent by someone else")),
        Settled::Open(money) => {
            paid.notes.push(format!("{money} stays set aside until it is known what was taken"));
        }
    }
}
