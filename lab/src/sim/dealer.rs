//! Whoever buys credits with tokens on the chain and has credits paid out in them: mint and melt quotes of the method `evm`,
//! paid once, twice, by two payments, with answers that are lost on the way.

use std::collections::BTreeMap;

use farthing_channel::{Address, SigningKey};
use farthing_ecash::{BlindSignature, BlindedMessage, Keyset, Proof, SecretKey, Token, blind, unblind};
use farthing_engine::Keyring;
use farthing_wallet::{Event, HttpRequest, Read};
use farthing_wire::header;
use farthing_wire::x402::PaymentRequired;
use serde_json::{Value, json};

use super::authorize::{exact_of, payment_of, sign, times};
use super::bearer::{Bearer, Coin, post};
use super::bookkeeper::Book;
use super::chain::{self, Chain};
use super::dice::Dice;
use super::net::CallId;
use super::payer::{mint, unit};

/// An output and what opens its signature.
type Blank = (BlindedMessage, String, SecretKey);

/// A quote for credits.
struct Purchase {
    quote: String,
    url: String,
    payments: Vec<String>,
    blanks: Vec<Blank>,
    minted: bool,
}

/// A withdrawal that was asked for.
struct Withdrawal {
    to: Address,
    units: u64,
    body: Value,
}

/// What a request was.
enum Asked {
    Quote(u64),
    Offer(usize),
    Mint(usize),
    Out(Address, u64, Coin),
}

/// What happens around a dealer.
pub struct Around<'a> {
    /// The chain.
    pub chain: &'a Chain,
    /// The keysets of the moment.
    pub keyring: &'a Keyring,
    /// Who takes the credits.
    pub bearer: &'a mut Bearer,
    /// Who is told what was signed.
    pub book: &'a mut Book,
    /// What happens by chance.
    pub dice: &'a mut Dice,
}

/// The dealer.
pub struct Dealer {
    key: SigningKey,
    purchases: Vec<Purchase>,
    withdrawals: Vec<Withdrawal>,
    asked: BTreeMap<CallId, Asked>,
}

/// Something to send, and what it is.
pub struct Sent(HttpRequest, Option<Asked>);

impl Sent {
    /// What to send.
    pub fn request(&self) -> HttpRequest {
        self.0.clone()
    }
}

impl Dealer {
    /// One with tokens.
    pub fn new(chain: &Chain, dice: &mut Dice) -> Option<Self> {
        let key = chain::key(dice)?;
        chain.mint(key.address(), u128::from(dice.within(200_000..=5_000_000)));
        Some(Self { key, purchases: Vec::new(), withdrawals: Vec::new(), asked: BTreeMap::new() })
    }

    /// Where something was to be paid out, and how much.
    pub fn withdrawals(&self) -> impl Iterator<Item = (Address, u64)> + '_ {
        self.withdrawals.iter().map(|withdrawal| (withdrawal.to, withdrawal.units))
    }

    /// It waits for an answer.
    pub fn waits_for(&mut self, call: CallId, sent: Sent) {
        if let Some(asked) = sent.1 {
            self.asked.insert(call, asked);
        }
    }

    /// Does something.
    pub fn act(&mut self, around: &mut Around<'_>) -> Vec<Sent> {
        let recent = self.purchases.len().saturating_sub(4);
        let span = u64::try_from(self.purchases.len().saturating_sub(recent)).unwrap_or_default();
        let place = recent.saturating_add(usize::try_from(around.dice.below(span)).unwrap_or_default());
        match around.dice.below(100) {
            0..15 => {
                let amount = around.dice.within(100..=30_000);
                let body = json!({ "unit": "uusd", "amount": amount });
                vec![Sent(post("/v1/mint/quote/evm", &body), Some(Asked::Quote(amount)))]
            }
            15..40 => self.pay(place, around.dice),
            40..65 => self.mint(place),
            65..85 => melt(around).into_iter().collect(),
            _ => {
                let recent = self.withdrawals.len().saturating_sub(3);
                let withdrawal = self.withdrawals.get(recent..).and_then(|recent| around.dice.pick(recent));
                withdrawal
                    .map(|withdrawal| Sent(post("/v1/melt/evm", &withdrawal.body), None))
                    .into_iter()
                    .collect()
            }
        }
    }

    /// Asks what a quote costs, or pays it again.
    fn pay(&self, place: usize, dice: &mut Dice) -> Vec<Sent> {
        let Some(purchase) = self.purchases.get(place) else { return Vec::new() };
        let fresh = purchase.payments.is_empty() || dice.per_mille(80);
        match dice.pick(&purchase.payments).filter(|_| !fresh) {
            Some(payment) => vec![Sent(get(&purchase.url, Some(payment)), None)],
            None => vec![Sent(get(&purchase.url, None), Some(Asked::Offer(place)))],
        }
    }

    fn mint(&self, place: usize) -> Vec<Sent> {
        let Some(purchase) = self.purchases.get(place).filter(|purchase| !purchase.minted) else {
            return Vec::new();
        };
        let outputs: Vec<&BlindedMessage> = purchase.blanks.iter().map(|(message, ..)| message).collect();
        let body = json!({ "quote": purchase.quote, "outputs": outputs });
        vec![Sent(post("/v1/mint/evm", &body), Some(Asked::Mint(place)))]
    }

    /// What it waited for has happened.
    pub fn hears(&mut self, call: CallId, event: &Event, around: &mut Around<'_>) -> Vec<Sent> {
        let Some(asked) = self.asked.remove(&call) else { return Vec::new() };
        let Event::Answer(answer) = event else { return Vec::new() };
        let body = || serde_json::from_slice::<Value>(&answer.body).ok();
        match asked {
            Asked::Quote(amount) => {
                if let Some(purchase) = body().and_then(|body| purchase(&body, amount, around)) {
                    self.purchases.push(purchase);
                }
                Vec::new()
            }
            Asked::Offer(place) => {
                let required = answer.header(header::PAYMENT_REQUIRED);
                let required = required.and_then(|text| PaymentRequired::from_header(text).ok());
                required.map(|required| self.sign(place, &required, around)).unwrap_or_default()
            }
            Asked::Mint(place) => {
                if let Some(body) = body().filter(|_| answer.status < 300) {
                    self.open(place, &body, around);
                }
                Vec::new()
            }
            Asked::Out(to, units, coin) => {
                let Some(quote) = body().and_then(|body| body.get("quote").cloned()) else {
                    return Vec::new();
                };
                let inputs: Vec<Proof> = coin.proofs.iter().map(Proof::for_issuer).collect();
                let body =
                    json!({ "quote": quote, "inputs": inputs, "prefer_async": around.dice.per_mille(400) });
                let sent = Sent(post("/v1/melt/evm", &body), None);
                self.withdrawals.push(Withdrawal { to, units, body });
                vec![sent]
            }
        }
    }

    fn sign(&mut self, place: usize, required: &PaymentRequired, around: &mut Around<'_>) -> Vec<Sent> {
        let mut nonce = [0; 32];
        around.dice.fill(&mut nonce);
        let times = times(around.chain.seconds(), around.dice);
        let signed = exact_of(required).and_then(|offer| {
            sign(&self.key, offer, Some(required.resource.clone()), nonce, times)?.to_header().ok()
        });
        let (Some(signed), Some(purchase)) = (signed, self.purchases.get_mut(place)) else {
            return Vec::new();
        };
        let once = (self.key.address(), nonce);
        around.book.onchain.signs(payment_of(&once), once);
        let copies = if around.dice.per_mille(800) { 1 } else { 2 };
        let sent = (0..copies).map(|_| Sent(get(&purchase.url, Some(&signed)), None)).collect();
        purchase.payments.push(signed);
        sent
    }

    /// Opens the signatures of a quote: the credits are the bearer's.
    fn open(&mut self, place: usize, body: &Value, around: &mut Around<'_>) {
        let Some(purchase) = self.purchases.get_mut(place) else { return };
        let signatures = body.get("signatures").cloned().map(serde_json::from_value);
        let Some(Ok(signatures)): Option<Result<Vec<BlindSignature>, _>> = signatures else { return };
        let keysets: Vec<Keyset> = around.keyring.published().collect();
        let opened = signatures.iter().zip(&purchase.blanks).map(|(signature, (_, secret, r))| {
            let keyset = keysets.iter().find(|keyset| keyset.id == signature.id)?;
            let c = unblind(signature.c_, r, keyset.key(signature.amount)?)?;
            Some(Proof::new(signature.amount, signature.id, secret.clone(), c))
        });
        let Some(proofs) = opened.collect::<Option<Vec<Proof>>>() else { return };
        let Some(unit) = unit().filter(|_| proofs.len() == purchase.blanks.len()) else { return };
        purchase.minted = around.bearer.take(&Token::new(&mint(), unit, None, proofs).encode());
    }

    /// Everything whose answer may have been lost, once more.
    pub fn insist(&self) -> Vec<Sent> {
        let paid: Vec<usize> = (0..self.purchases.len())
            .filter(|place| {
                self.purchases.get(*place).is_some_and(|one| !one.minted && !one.payments.is_empty())
            })
            .collect();
        paid.into_iter().flat_map(|place| self.mint(place)).collect()
    }
}

/// What the issuer keeps of each withdrawal.
pub const WITHDRAWAL_FEE: u64 = 10;

/// What a quote says, and outputs for it.
fn purchase(body: &Value, amount: u64, around: &mut Around<'_>) -> Option<Purchase> {
    let text = |name: &str| body.get(name)?.as_str().map(str::to_owned);
    let keyset = around.keyring.active(unit()?)?;
    let mut blanks = Vec::new();
    for part in (0..64).map(|bit| 1_u64 << bit).filter(|part| amount & part > 0) {
        let mut bytes = [0; 32];
        around.dice.fill(&mut bytes);
        let r = SecretKey::from_bytes(bytes).ok()?;
        let secret = format!("dealer-{:016x}-{:016x}", around.dice.next(), around.dice.next());
        let b_ = blind(secret.as_bytes(), &r)?;
        blanks.push((BlindedMessage { amount: part, id: keyset.id, b_ }, secret, r));
    }
    let (quote, url) = (text("quote")?, text("request")?);
    Some(Purchase { quote, url, payments: Vec::new(), blanks, minted: false })
}

/// Has a token paid out, to an address that nobody has used before.
fn melt(around: &mut Around<'_>) -> Option<Sent> {
    let coin = around.bearer.any(around.dice)?;
    let total: u64 = coin.proofs.iter().map(|proof| proof.amount).sum();
    let fee = around.keyring.fee(&coin.proofs).ok()?.to_u64()?;
    let amount = total.checked_sub(fee)?.checked_sub(WITHDRAWAL_FEE).filter(|amount| *amount >= 100)?;
    let mut to = [0; 20];
    around.dice.fill(&mut to);
    let to = Address::from_bytes(to);
    let body = json!({ "request": to.to_string(), "unit": "uusd", "amount": amount });
    Some(Sent(post("/v1/melt/quote/evm", &body), Some(Asked::Out(to, amount, coin))))
}

fn get(url: &str, payment: Option<&String>) -> HttpRequest {
    let headers = payment.map(|text| (header::PAYMENT_SIGNATURE.to_owned(), text.clone()));
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: headers.into_iter().collect(),
        body: Vec::new(),
        read: Read::Whole,
    }
}
