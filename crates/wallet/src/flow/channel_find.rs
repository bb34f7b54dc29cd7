//! Finds channels again that the words have with a seller: the seller says what its channels are made of, and the chain says which
//! of the lanes have anything in them. Nothing is signed.

use farthing_money::Timestamp;
use farthing_wire::header::PAYMENT_REQUIRED;
use farthing_wire::x402::PaymentRequired;

use super::channel_look::{ChannelLook, Seen};
use super::channel_see;
use super::{Flow, Sub, answer_of, done};
use crate::address::Address;
use crate::chain::offer::{self, ChainOffer};
use crate::channel::Channel;
use crate::channel::lane;
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, Read, Step};
use crate::outcome::Outcome;
use crate::vault::{Change, Row};
use crate::wallet::Wallet;

/// Asks a seller, and then the chain, lane after lane until one is found that was never used.
pub struct ChannelFindFlow {
    address: Address,
    offers: Vec<ChainOffer>,
    found: Vec<Channel>,
    stage: Stage,
}

enum Stage {
    Start,
    Asked,
    Look { look: ChannelLook, channel: Box<Channel>, is_known: bool },
}

impl ChannelFindFlow {
    /// A flow for a page of the seller's.
    pub fn new(url: &str) -> Result<Self, WalletError> {
        let address = Address::safe(url)?;
        Ok(Self { address, offers: Vec::new(), found: Vec::new(), stage: Stage::Start })
    }

    /// The next lane of the offer that is looked at, or the first of the next offer.
    fn next_lane(&mut self, wallet: &Wallet, number: u32, now: Timestamp) -> Result<Step, WalletError> {
        let mut number = number;
        while let Some(offer) = self.offers.last() {
            let host = self.address.host();
            if number < lane::LANES_MOST
                && let Some(mut channel) = lane::numbered(wallet, offer, number, &host, now)?
            {
                let known = wallet.channels().find(|other| other.id() == channel.id()).cloned();
                let is_known = known.is_some();
                channel.url = self.address.to_string();
                let channel = Box::new(known.unwrap_or(channel));
                let look = ChannelLook::new(wallet, channel.chain(), channel.id());
                let mut look = look.ok_or(WalletError::NoNode(channel.chain()))?;
                let Sub::Send(request) = look.next(wallet, Event::Go)? else {
                    return Err(WalletError::Misuse("a question first"));
                };
                self.stage = Stage::Look { look, channel, is_known };
                return Ok(Step::Send(request));
            }
            self.offers.pop();
            number = 0;
        }
        Ok(done(Outcome::Channels(std::mem::take(&mut self.found))))
    }

    fn seen(
        &mut self,
        wallet: &mut Wallet,
        (channel, is_known): (Channel, bool),
        seen: Seen,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let is_used = is_known || !seen.balance.is_zero() || !seen.claimed.is_zero();
        if !is_used {
            self.offers.pop();
            return self.next_lane(wallet, 0, now);
        }
        let (number, id) = (channel.lane, channel.id());
        if !is_known {
            let channel = channel_see::of_chain(channel, seen);
            wallet.commit(vec![Change::Put(Row::Channel(Box::new(channel)))])?;
        }
        self.found.push(channel_see::write_down(wallet, id, seen, now)?);
        self.next_lane(wallet, number.saturating_add(1), now)
    }
}

impl Flow for ChannelFindFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Start => {
                self.stage = Stage::Asked;
                let request = HttpRequest::get(self.address.to_string());
                Ok(Step::Send(HttpRequest { read: Read::Problem, ..request }))
            }
            Stage::Asked => {
                let answer = answer_of(&self.address.origin(), event)?;
                let required = answer.header(PAYMENT_REQUIRED);
                let required = required.and_then(|text| PaymentRequired::from_header(text).ok());
                let offers =
                    required.iter().flat_map(|required| offer::read_x402(wallet, required)).flatten();
                self.offers = offers.filter(|offer| offer.channel.is_some()).collect();
                if self.offers.is_empty() {
                    let reasons = "it takes no channels in a token that is known here".to_owned();
                    return Err(WalletError::NoOffer { url: self.address.to_string(), reasons });
                }
                self.next_lane(wallet, 0, now)
            }
            Stage::Look { mut look, channel, is_known } => match look.next(wallet, event)? {
                Sub::Send(request) => {
                    self.stage = Stage::Look { look, channel, is_known };
                    Ok(Step::Send(request))
                }
                Sub::Done(seen) => self.seen(wallet, (*channel, is_known), seen, now),
            },
        }
    }
}
