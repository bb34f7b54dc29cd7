//! The gate of somebody else, which asks ours to settle for it, and delivers for each time that it hears of a success.

use farthing_channel::{Address, SigningKey};
use farthing_server::chains::facilitator_api::FACILITATOR_PATH;
use farthing_wallet::{HttpRequest, Read};
use farthing_wire::x402::SchemePayload;
use farthing_wire::x402::facilitator::FacilitatorRequest;
use farthing_wire::x402::{Extra, Payload, Requirements, SCHEME_EXACT, SettleResponse, eip155_network};
use serde_json::Map;

use super::authorize::{sign, times};
use super::chain::{self, ADDRESS, Chain, Once};
use super::dice::Dice;
use super::shop::SHOP;

/// Who is paid there.
pub const SELLER: Address = Address::from_bytes([0x5e; 20]);

/// The seller and one payer of his.
pub struct Seller {
    key: SigningKey,
    /// What was asked for, with what it is about.
    pub asked: Vec<(Once, HttpRequest)>,
}

impl Seller {
    /// One whose payer has tokens.
    pub fn new(chain: &Chain, dice: &mut Dice) -> Option<Self> {
        let key = chain::key(dice)?;
        chain.mint(key.address(), u128::from(dice.within(10_000..=400_000)));
        Some(Self { key, asked: Vec::new() })
    }

    /// Asks for a settlement: a new one, or one that he has asked for before, perhaps twice.
    pub fn act(&mut self, chain: &Chain, dice: &mut Dice) -> Vec<HttpRequest> {
        let recent = self.asked.len().saturating_sub(4);
        let known = self.asked.get(recent..).and_then(|recent| dice.pick(recent)).cloned();
        let (request, again) = match known {
            Some((_, request)) if dice.per_mille(600) => (request, true),
            _ => {
                let mut nonce = [0; 32];
                dice.fill(&mut nonce);
                let Some(request) = self.request(nonce, chain.seconds(), dice) else { return Vec::new() };
                self.asked.push(((self.key.address(), nonce), request.clone()));
                (request, false)
            }
        };
        let times = if dice.per_mille(700) { 1 } else { 2 };
        let mut sent = vec![request; times];
        if !again && dice.per_mille(300) {
            // Most sellers ask first whether it would be good.
            sent.extend(sent.first().map(|request| HttpRequest {
                url: format!("{SHOP}{FACILITATOR_PATH}/verify"),
                ..request.clone()
            }));
        }
        sent
    }

    fn request(&self, nonce: [u8; 32], now: u64, dice: &mut Dice) -> Option<HttpRequest> {
        let requirements = Requirements {
            scheme: SCHEME_EXACT.to_owned(),
            network: eip155_network(chain::ID),
            amount: farthing_money::Amount::from(dice.within(1..=5_000)).into(),
            asset: ADDRESS.to_string(),
            pay_to: SELLER.to_string(),
            max_timeout_seconds: 300,
            extra: Extra::eip3009(chain::NAME, chain::VERSION),
            other: Map::new(),
        };
        let payload = sign(&self.key, &requirements, None, nonce, times(now, dice))?;
        let body = FacilitatorRequest { payload, requirements }.to_json().ok()?;
        Some(HttpRequest {
            method: "POST".to_owned(),
            url: format!("{SHOP}{FACILITATOR_PATH}/settle"),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body: body.into_bytes(),
            read: Read::Whole,
        })
    }
}

/// The authorization that a request for a settlement is about.
pub fn once_of(request: &HttpRequest) -> Option<Once> {
    if !request.url.ends_with("/settle") {
        return None;
    }
    let FacilitatorRequest { payload: Payload { payload, .. }, .. } =
        FacilitatorRequest::from_json(&request.body).ok()?;
    let SchemePayload::Eip3009(paid) = payload else { return None };
    Some((Address::from_bytes(paid.authorization.from.0), paid.authorization.nonce.0))
}

/// Whether an answer says that a payment is settled.
pub fn says_settled(body: &[u8]) -> bool {
    SettleResponse::from_json(body).is_ok_and(|response| response.success)
}
