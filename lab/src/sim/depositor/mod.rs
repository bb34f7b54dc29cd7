//! People who pay through channels, and what they try beside: several payers with several channels each, vouchers out of turn,
//! of others and of nobody, answers that are lost, money that is put in and taken out on the chain at any moment.

mod act;
mod lane;

use std::collections::BTreeMap;

use farthing_channel::{Salt, SigningKey};
use farthing_wallet::{Event, HttpRequest, HttpResponse};
use farthing_wire::header;
use farthing_wire::x402::batch::{ChannelAnswer, SCHEME_BATCH};
use farthing_wire::x402::{PaymentRequired, Requirements, Resource, SettleResponse};

use super::bookkeeper::Book;
use super::chain::{self, Chain};
use super::dice::Dice;
use super::net::CallId;
use lane::{Lane, Payer, Signs};

pub use lane::id_of;

/// Channels of each payer who signs.
const LANES: u8 = 3;

/// What a page costs through a channel.
struct Offer {
    requirements: Requirements,
    resource: Resource,
}

/// What a request was.
#[derive(Clone, Copy)]
pub enum Asked {
    /// For the offer of a page.
    Offer(usize),
    /// For a page, paid through a channel; and whether it was asked for again already.
    Page { page: usize, lane: usize, again: bool },
}

/// Something to send, and what it is.
pub struct Sent {
    /// What to send.
    pub request: HttpRequest,
    /// What it is, if anybody waits for the answer.
    pub asked: Option<Asked>,
}

/// What happens around them.
pub struct Around<'a> {
    /// The chain.
    pub chain: &'a Chain,
    /// Who is told what was signed.
    pub book: &'a mut Book,
    /// What happens by chance.
    pub dice: &'a mut Dice,
}

/// The payers, all of them.
pub struct Depositor {
    payers: Vec<Payer>,
    lanes: Vec<Lane>,
    /// Who signs for channels that are not his.
    stranger: SigningKey,
    offers: BTreeMap<usize, Offer>,
    /// What was sent lately, to be sent again.
    recent: Vec<(HttpRequest, Asked)>,
    asked: BTreeMap<CallId, Asked>,
}

impl Depositor {
    /// Payers with tokens.
    pub fn new(chain: &Chain, dice: &mut Dice) -> Option<Self> {
        let mut payers = Vec::new();
        for _ in 0..3 {
            let payer = Payer { key: chain::key(dice)?, session: chain::key(dice)? };
            chain.mint(payer.key.address(), u128::from(dice.within(50_000..=3_000_000)));
            payers.push(payer);
        }
        let lane = |payer, signs, salt| Lane {
            payer,
            signs,
            salt: Salt::from_bytes([salt; 32]),
            charged: 0,
            balance: 0,
        };
        let mut lanes: Vec<Lane> = (0..LANES).map(|salt| lane(0, Signs::Session, salt)).collect();
        lanes.extend((0..LANES).map(|salt| lane(1, Signs::Payer, salt)));
        lanes.push(lane(2, Signs::Nobody, 0));
        let stranger = chain::key(dice)?;
        let (offers, recent, asked) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Some(Self { payers, lanes, stranger, offers, recent, asked })
    }

    /// They wait for an answer.
    pub fn waits_for(&mut self, call: CallId, asked: Option<Asked>) {
        if let Some(asked) = asked {
            self.asked.insert(call, asked);
        }
    }

    /// What they waited for has happened.
    pub fn hears(&mut self, call: CallId, event: &Event, around: &mut Around<'_>) -> Vec<Sent> {
        let Some(asked) = self.asked.remove(&call) else { return Vec::new() };
        let Event::Answer(answer) = event else { return Vec::new() };
        match asked {
            Asked::Offer(page) => {
                self.reads_offer(page, answer);
                Vec::new()
            }
            Asked::Page { page, lane, again } => {
                let corrected = self.reads_answer(page, lane, answer, around);
                if corrected && !again && around.dice.per_mille(700) {
                    return self.buys(page, lane, true, around);
                }
                Vec::new()
            }
        }
    }

    /// Keeps what a page costs, and says whether the offer tells where a channel stands.
    fn reads_offer(&mut self, page: usize, answer: &HttpResponse) -> Option<Requirements> {
        let required = answer.header(header::PAYMENT_REQUIRED)?;
        let required = PaymentRequired::from_header(required).ok()?;
        let requirements = required.accepts.into_iter().find(|offer| offer.scheme == SCHEME_BATCH)?;
        let offer = Offer { requirements: requirements.clone(), resource: required.resource };
        self.offers.insert(page, offer);
        Some(requirements)
    }

    /// Takes over what an answer says of a channel. Says whether it was a correction.
    fn reads_answer(
        &mut self,
        page: usize,
        place: usize,
        answer: &HttpResponse,
        around: &Around<'_>,
    ) -> bool {
        let settled = answer.header(header::PAYMENT_RESPONSE);
        let settled = settled.and_then(|text| SettleResponse::from_header(text).ok());
        let told = settled.as_ref().and_then(ChannelAnswer::of).and_then(|answer| answer.channel_state);
        let offered = self.reads_offer(page, answer);
        let corrected = offered.as_ref().and_then(|offer| offer.extra.channel());
        let terms = self.terms(place, page);
        let (Some(lane), Some(terms)) = (self.lanes.get_mut(place), terms) else { return false };
        let is_own = corrected.as_ref().is_some_and(|state| state.channel_id.0 == *id_of(&terms).as_bytes());
        if let Some(state) = corrected.as_ref().filter(|_| is_own).or(told.as_ref()) {
            lane.adopt(state);
        } else if answer.status == 402 {
            // Without a word of the seller the chain is asked.
            let on_chain = around.chain.inner().state().escrow.channel(id_of(&terms));
            lane.balance = on_chain.balance.value();
            lane.charged = lane.charged.max(on_chain.claimed.value());
        }
        is_own
    }
}
