//! Whoever pays merchants: proposes, has persons sign, sends, asks again, writes bank files and says what the bank said, in any
//! order, too early and twice. Among those who sign is one whom nobody trusts.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use ed25519_dalek::SigningKey;
use farthing_channel::Address;
use farthing_server::installation::Installation;
use farthing_server::payouts::{
    ApprovalRequest, BankRequest, CancelRequest, FileRequest, PayoutView, Payouts, ProposeRequest, sign,
    statement_key,
};

use super::bookkeeper::Book;
use super::dice::Dice;
use super::disk::Disk;

/// How many persons it takes.
pub const APPROVALS: usize = 2;

/// Who may approve, and what their keys are made of.
pub const PERSONS: [(&str, u8); 3] = [("anna", 11), ("ben", 12), ("cleo", 13)];

/// Whom nobody trusts.
const STRANGER: u8 = 66;

/// Names under which payouts are proposed by hand: the same name is the same payout.
const NAMES: u64 = 30;

/// Where the author is paid on the chain.
pub fn author() -> Address {
    Address::from_bytes([0xa7; 20])
}

/// A person's key.
pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// Whom what happens is told.
pub struct Told {
    /// Top-up codes that a payout became.
    pub codes: Arc<Mutex<Vec<String>>>,
    /// Whether the power is there.
    pub disk: Disk,
}

/// Something that goes on in the server.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begins something; nothing if there is nothing to do.
pub fn act(installation: &Installation, told: Told, book: &mut Book, dice: &mut Dice) -> Option<Work> {
    let payouts = Payouts::new(installation);
    let open = payouts.list(dice.per_mille(850)).ok()?;
    let one = dice.pick(&open).cloned();
    match dice.below(100) {
        _ if one.is_none() => Some(propose(payouts, dice)),
        0..22 => Some(propose(payouts, dice)),
        22..62 => approve(payouts, &one?, book, dice),
        62..80 => Some(send(payouts, &one?, told, dice)),
        80..84 => {
            let request = CancelRequest { payout: one?.id, why: "changed our mind".to_owned() };
            Some(Box::pin(async move { drop(payouts.cancel(&request).await) }))
        }
        84..91 => {
            let asset = dice.pick(&["EUR", "USD"]).map(|asset| (*asset).to_owned());
            let request = FileRequest { asset, again: None };
            let again = dice.per_mille(300);
            Some(Box::pin(async move {
                drop(payouts.file(&request).await);
                if again {
                    drop(payouts.file(&request).await);
                }
            }))
        }
        _ => Some(bank(payouts, &one?, installation, dice)),
    }
}

fn propose(payouts: Payouts, dice: &mut Dice) -> Work {
    let (merchant, asset) = match dice.below(4) {
        0 => ("author", "USD"),
        1 => ("author", "EUR"),
        2 => ("translator", "USD"),
        _ => ("shop", "USD"),
    };
    let micro = dice.within(1..=40_000);
    // Banks take whole cents.
    let amount = match asset {
        "EUR" => format!("0.{:02} EUR", dice.within(1..=9)),
        _ if merchant == "shop" => format!("0.{:02} USD", dice.within(1..=9)),
        _ => format!("0.{micro:06} USD"),
    };
    let request = ProposeRequest {
        merchant: merchant.to_owned(),
        amount: dice.per_mille(600).then_some(amount),
        asset: Some(asset.to_owned()),
        name: Some(format!("n{}", dice.below(NAMES))),
        by: dice.per_mille(300).then(|| "anna".to_owned()),
    };
    Box::pin(async move { drop(payouts.propose(&request).await) })
}

/// A person's word: mostly over what the payout says, at times over something else, or of a stranger.
fn approve(payouts: Payouts, one: &PayoutView, book: &mut Book, dice: &mut Dice) -> Option<Work> {
    let (who, seed) = dice.pick(&PERSONS).copied()?;
    let (key, statement) = match dice.below(100) {
        0..8 => (key(seed), one.statement.replace("amount: ", "amount: 1")),
        8..14 => (key(STRANGER), one.statement.clone()),
        _ => {
            book.payouts.signs(one.id.parse().ok()?, who);
            (key(seed), one.statement.clone())
        }
    };
    let request = ApprovalRequest {
        payout: one.id.clone(),
        key: statement_key(&key),
        signature: sign(&key, &statement),
    };
    Some(Box::pin(async move { drop(payouts.approve(&request).await) }))
}

/// Sends it, perhaps twice at once; a code is told to whoever asks.
fn send(payouts: Payouts, one: &PayoutView, told: Told, dice: &mut Dice) -> Work {
    let (id, twice) = (one.id.clone(), dice.per_mille(300));
    Box::pin(async move {
        let second = async {
            if twice {
                drop(payouts.send(&id).await);
            }
        };
        let (sent, ()) = tokio::join!(biased; payouts.send(&id), second);
        if let Some(code) = sent.ok().and_then(|sent| sent.code)
            && !told.disk.is_off()
        {
            let mut codes = told.codes.lock().unwrap_or_else(PoisonError::into_inner);
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
    })
}

/// The bank's word.
fn bank(payouts: Payouts, one: &PayoutView, installation: &Installation, dice: &mut Dice) -> Work {
    let today: String = (installation.clock)().to_string().chars().take(10).collect();
    let paid = dice.per_mille(700);
    let request = BankRequest {
        payout: one.id.clone(),
        on: paid.then_some(today),
        why: (!paid).then(|| "account closed".to_owned()),
    };
    Box::pin(async move { drop(payouts.end_by_bank(&request).await) })
}
