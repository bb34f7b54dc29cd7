//! Whoever has tokens and no wallet: sends them raw, several at once, in pieces and mixtures, for one page and another, and
//! melts them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farthing_ecash::{KeysetId, Proof, Token};
use farthing_engine::{CodeId, CreditId, Keyring, PaymentId};
use farthing_money::Timestamp;
use farthing_wallet::{Event, HttpRequest, Read};
use farthing_wire::header;
use serde_json::{Value, json};

use super::bookkeeper::{Book, Payer};
use super::dice::Dice;
use super::net::CallId;
use super::payer::{mint, unit};
use super::shop::{COVERED, PAGES, SHOP};

/// Tokens at one time at the most; older ones are only remembered.
const POCKET: usize = 24;
/// Fares that are remembered.
const FARES: usize = 3;

/// A token, and what pays with it.
#[derive(Clone)]
pub struct Coin {
    /// Its text.
    pub text: String,
    /// Its credits.
    pub proofs: Vec<Proof>,
    /// Their names.
    pub names: Vec<CreditId>,
}

/// What a request of a bearer was.
enum Asked {
    Page(PaymentId),
    MeltQuote(Coin),
    Melt,
}

/// The bearer.
#[derive(Default)]
pub struct Bearer {
    pocket: Vec<Coin>,
    /// Every credit that was ever seen in a token, with its keyset and worth.
    pub seen: BTreeMap<CreditId, (KeysetId, u64)>,
    asked: BTreeMap<CallId, Asked>,
    /// Payments whose change has come back as a token.
    pub changed: BTreeSet<PaymentId>,
    /// Codes that were perhaps funded.
    pub codes: Vec<String>,
    /// The keysets that tokens may name.
    pub keysets: Vec<KeysetId>,
    /// Fares that payments have begun, whoever's.
    fares: Vec<String>,
}

impl Bearer {
    /// Takes a token. Says whether it could be read.
    pub fn take(&mut self, text: &str) -> bool {
        let Some(coin) = self.read(text) else { return false };
        for (proof, name) in coin.proofs.iter().zip(&coin.names) {
            self.seen.insert(*name, (proof.id, proof.amount));
        }
        self.pocket.push(coin);
        if self.pocket.len() > POCKET {
            self.pocket.remove(0);
        }
        true
    }

    /// Sees change come to whoever paid: its receipt says by which payment.
    pub fn sees(&mut self, event: &Event) {
        let Event::Answer(answer) = event else { return };
        if let Some(fare) = answer.header(header::FARTHING_FARE).filter(|fare| !self.is_known(fare)) {
            self.fares.push(fare.to_owned());
            if self.fares.len() > FARES {
                self.fares.remove(0);
            }
        }
        let change = answer.header(header::X_CASHU).filter(|_| answer.status < 300);
        let Some(coin) = change.and_then(|token| self.read(token)) else { return };
        if let Some(payment) = answer.header(header::FARTHING_RECEIPT).and_then(payment_of) {
            for (proof, name) in coin.proofs.iter().zip(&coin.names) {
                self.seen.insert(*name, (proof.id, proof.amount));
            }
            self.changed.insert(payment);
        }
    }

    fn is_known(&self, fare: &str) -> bool {
        self.fares.iter().any(|known| known == fare)
    }

    fn read(&self, text: &str) -> Option<Coin> {
        let proofs = Token::decode(text).ok()?.resolve(&self.keysets).ok()?;
        let names = proofs.iter().map(|proof| CreditId::from_bytes(proof.y().to_bytes())).collect();
        Some(Coin { text: text.to_owned(), proofs, names })
    }

    /// Any token.
    pub fn any(&self, dice: &mut Dice) -> Option<Coin> {
        dice.pick(&self.pocket).cloned()
    }

    /// A token, some of one, or one and some of another.
    fn mixture(&self, dice: &mut Dice) -> Option<Coin> {
        let mut coin = self.any(dice)?;
        let mixed = match dice.below(100) {
            0..70 => return Some(coin),
            70..85 => {
                coin.names.len() > 1 && {
                    let keep =
                        usize::try_from(dice.within(1..=u64::try_from(coin.names.len()).ok()?)).ok()?;
                    coin.names.truncate(keep);
                    coin.proofs.truncate(keep);
                    true
                }
            }
            _ => self.any(dice).is_some_and(|other| {
                let new = other.names.iter().zip(other.proofs).filter(|(name, _)| !coin.names.contains(name));
                let (names, proofs): (Vec<_>, Vec<_>) = new.map(|(name, proof)| (*name, proof)).unzip();
                coin.names.extend(names);
                coin.proofs.extend(proofs);
                true
            }),
        };
        if mixed {
            coin.text = Token::new(&mint(), unit()?, None, coin.proofs.clone()).encode();
        }
        Some(coin)
    }

    /// Pays for a page with whatever is at hand; the same request perhaps several times, perhaps for another page too.
    pub fn pay(&mut self, dice: &mut Dice, now: Timestamp, book: &mut Book) -> Vec<(HttpRequest, PaymentId)> {
        let Some(coin) = self.mixture(dice) else { return Vec::new() };
        let payment = PaymentId::of_credits(&coin.names);
        book.pays(payment, Payer::Bearer, now);
        book.wants_change(payment, &[]);
        let times = if dice.per_mille(700) { 1 } else { dice.within(2..=6) };
        let Some(mut page) = dice.pick(&PAGES) else { return Vec::new() };
        // In a fare that others pay in as well, at the same time.
        let shows = dice.per_mille(500);
        let fare = dice.pick(&self.fares).filter(|_| shows).cloned();
        if fare.is_some() && dice.per_mille(800) {
            page = PAGES.iter().find(|page| COVERED.first() == Some(&page.1)).unwrap_or(page);
        }
        let mut requests = Vec::new();
        for _ in 0..times {
            let (method, path, _, body) = *page;
            let mut headers = vec![(header::X_CASHU.to_owned(), coin.text.clone())];
            headers.extend(fare.clone().map(|fare| (header::FARTHING_FARE.to_owned(), fare)));
            let (method, body) = (method.to_owned(), body.as_bytes().to_vec());
            let request =
                HttpRequest { method, url: format!("{SHOP}{path}"), headers, body, read: Read::Whole };
            requests.push((request, payment));
            if dice.per_mille(250) {
                page = dice.pick(&PAGES).unwrap_or(page);
            }
        }
        requests
    }

    /// It waits for an answer to a page.
    pub fn waits_for_page(&mut self, call: CallId, payment: PaymentId) {
        self.asked.insert(call, Asked::Page(payment));
    }

    /// Asks for a quote to melt a token to a new code.
    pub fn melt(&mut self, dice: &mut Dice, keyring: &Keyring) -> Option<(HttpRequest, Coin)> {
        let coin = self.any(dice)?;
        let total: u64 = coin.proofs.iter().map(|proof| proof.amount).sum();
        let fee = keyring.fee(&coin.proofs).ok()?.to_u64()?;
        let code = format!("FT-{:016X}-{:016X}", dice.next(), dice.next());
        let amount = total.checked_sub(fee).filter(|amount| *amount > 0)?;
        let body = json!({ "request": CodeId::of_text(&code).to_string(), "unit": "uusd", "amount": amount });
        self.codes.push(code);
        Some((post("/v1/melt/quote/code", &body), coin))
    }

    /// It waits for a quote.
    pub fn waits_for_quote(&mut self, call: CallId, coin: Coin) {
        self.asked.insert(call, Asked::MeltQuote(coin));
    }

    /// It waits for a melt.
    pub fn waits_for_melt(&mut self, call: CallId) {
        self.asked.insert(call, Asked::Melt);
    }

    /// What it waited for has happened; says what to send next.
    pub fn hears(&mut self, call: CallId, event: &Event) -> Option<HttpRequest> {
        let asked = self.asked.remove(&call)?;
        let Event::Answer(answer) = event else { return None };
        match asked {
            Asked::Page(payment) => {
                if let Some(token) = answer.header(header::X_CASHU).filter(|_| answer.status < 300) {
                    let token = token.to_owned();
                    if self.take(&token) {
                        self.changed.insert(payment);
                    }
                }
                None
            }
            Asked::MeltQuote(coin) => {
                let quote: Value = serde_json::from_slice(&answer.body).ok()?;
                let inputs: Vec<Proof> = coin.proofs.iter().map(Proof::for_issuer).collect();
                Some(post("/v1/melt/code", &json!({ "quote": quote.get("quote")?, "inputs": inputs })))
            }
            Asked::Melt => None,
        }
    }
}

/// The payment that a receipt is of.
fn payment_of(receipt: &str) -> Option<PaymentId> {
    let body = URL_SAFE_NO_PAD.decode(receipt.split('.').nth(1)?).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    body.get("payment")?.as_str()?.parse().ok()
}

/// A request to the issuer.
pub fn post(path: &str, body: &Value) -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        url: format!("{}{path}", mint()),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
        read: Read::Whole,
    }
}
