//! Whoever has tokens on the chain and pays with them by x402: reads the offer of a 402, signs it, and sends the payment again
//! and again, for another page, with other terms under the same number, too late, or takes it back on the chain.

use std::collections::BTreeMap;

use farthing_channel::{Address, AuthorizationNonce, CancelAuthorization, ChainId, SigningKey, call};
use farthing_engine::PaymentId;
use farthing_money::Amount;
use farthing_wallet::{Event, HttpRequest, Read};
use farthing_wire::header;
use farthing_wire::x402::{PaymentRequired, Requirements};

use super::authorize::{exact_of, payment_of, sign, times};
use super::bookkeeper::Book;
use super::chain::{self, Chain, Once};
use super::dice::Dice;
use super::net::CallId;
use super::shop::{PAGES, SHOP};

/// A payment that was signed.
#[derive(Clone)]
pub struct Paid {
    /// The address that it is for, as a place in [`PAGES`].
    pub page: usize,
    /// As it is sent.
    pub header: String,
    /// Its authorization.
    pub once: Once,
    /// Its name in the books.
    pub payment: PaymentId,
}

/// A holder of tokens.
pub struct Holder {
    key: SigningKey,
    nonces: u64,
    /// Everything that was ever signed.
    pub signed: Vec<Paid>,
    asked: BTreeMap<CallId, usize>,
}

impl Holder {
    /// One with tokens.
    pub fn new(chain: &Chain, dice: &mut Dice) -> Option<Self> {
        let key = chain::key(dice)?;
        chain.mint(key.address(), u128::from(dice.within(20_000..=2_000_000)));
        Some(Self { key, nonces: 0, signed: Vec::new(), asked: BTreeMap::new() })
    }

    /// Does something: says what it sends, and whether it waits for the offer of a page.
    pub fn act(&mut self, chain: &Chain, dice: &mut Dice) -> Vec<(HttpRequest, Option<usize>)> {
        let recent = self.signed.len().saturating_sub(6);
        let paid = dice.pick(self.signed.get(recent..).unwrap_or_default()).cloned();
        match (dice.below(100), paid) {
            (0..40, Some(paid)) => {
                let times = if dice.per_mille(700) { 1 } else { dice.within(2..=4) };
                (0..times).map(|_| (request(paid.page, Some(&paid.header)), None)).collect()
            }
            (40..45, Some(paid)) => {
                let page = usize::try_from(dice.below(PAGES.len() as u64)).unwrap_or_default();
                vec![(request(page, Some(&paid.header)), None)]
            }
            (45..49, Some(paid)) => {
                self.take_back(&paid.once, chain, dice);
                Vec::new()
            }
            (49..52, _) => {
                // What is signed for may not be there any more.
                let to = Address::from_bytes([0x66; 20]);
                let units = Amount::from(dice.within(1..=200_000));
                chain.call(&self.key, call::transfer(to, units.into()), dice);
                Vec::new()
            }
            (52..55, _) => {
                chain.mint(self.key.address(), u128::from(dice.within(10_000..=400_000)));
                Vec::new()
            }
            _ => {
                let page = usize::try_from(dice.below(PAGES.len() as u64)).unwrap_or_default();
                vec![(request(page, None), Some(page))]
            }
        }
    }

    /// It waits for the offer of a page.
    pub fn waits_for_offer(&mut self, call: CallId, page: usize) {
        self.asked.insert(call, page);
    }

    /// An offer has come: it is signed and sent.
    pub fn hears(
        &mut self,
        call: CallId,
        event: &Event,
        (chain, dice, book): (&Chain, &mut Dice, &mut Book),
    ) -> Vec<HttpRequest> {
        let Some(page) = self.asked.remove(&call) else { return Vec::new() };
        let Event::Answer(answer) = event else { return Vec::new() };
        let required = answer.header(header::PAYMENT_REQUIRED).map(PaymentRequired::from_header);
        let Some(Ok(required)) = required else { return Vec::new() };
        let Some(offer) = exact_of(&required) else { return Vec::new() };
        self.nonces = self.nonces.saturating_add(1);
        let mut nonce = [0; 32];
        dice.fill(&mut nonce);
        let mut sent = Vec::new();
        // The same number may be under two payments with other terms.
        let times = if dice.per_mille(900) { 1 } else { 2 };
        for _ in 0..times {
            let Some(header) = self.sign(offer, &required, nonce, (chain.seconds(), &mut *dice)) else {
                continue;
            };
            let once = (self.key.address(), nonce);
            let paid = Paid { page, header, once, payment: payment_of(&once) };
            book.onchain.signs(paid.payment, once);
            let copies = if dice.per_mille(850) { 1 } else { 2 };
            sent.extend((0..copies).map(|_| request(page, Some(&paid.header))));
            self.signed.push(paid);
        }
        sent
    }

    fn sign(
        &self,
        offer: &Requirements,
        required: &PaymentRequired,
        nonce: [u8; 32],
        (now, dice): (u64, &mut Dice),
    ) -> Option<String> {
        let resource = dice.per_mille(700).then(|| required.resource.clone());
        sign(&self.key, offer, resource, nonce, times(now, dice))?.to_header().ok()
    }

    fn take_back(&self, once: &Once, chain: &Chain, dice: &mut Dice) {
        let (authorizer, nonce) = (self.key.address(), AuthorizationNonce::from_bytes(once.1));
        let cancel = CancelAuthorization { authorizer, nonce };
        let signature = self.key.sign(&cancel.digest(&chain::domain(ChainId::new(chain::ID))));
        chain.call(&self.key, call::cancel_authorization(&cancel, &signature), dice);
    }
}

/// A request for a page, with a payment or without.
pub fn request(page: usize, payment: Option<&str>) -> HttpRequest {
    let (method, path, _, body) = PAGES.get(page).copied().unwrap_or(("GET", "/page", false, ""));
    let headers = payment.map(|text| (header::PAYMENT_SIGNATURE.to_owned(), text.to_owned()));
    HttpRequest {
        method: method.to_owned(),
        url: format!("{SHOP}{path}"),
        headers: headers.into_iter().collect(),
        body: body.as_bytes().to_vec(),
        read: Read::Whole,
    }
}
