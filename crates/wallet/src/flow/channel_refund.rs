//! Asks a seller to give back what is left in a channel: a voucher for exactly what was charged, with which the seller claims that
//! and returns the rest in one transaction of its own. The payer sends none and needs no coin.

use farthing_channel::ChannelId;
use farthing_money::{Amount, Timestamp};
use farthing_wire::header::{PAYMENT_REQUIRED, PAYMENT_SIGNATURE};
use farthing_wire::x402::PaymentRequired;
use farthing_wire::x402::batch::ChannelAnswer;
use std::sync::Arc;

use super::channel_look::ChannelLook;
use super::channel_moved;
use super::channel_see::{self, key, known};
use super::channel_told::{Adopted, Told, adopt};
use super::on_chain::{self, Refusal};
use super::{Flow, Sub, answer_of, done};
use crate::chain::offer::{self, Answer};
use crate::channel::lane;
use crate::channel::{Channel, sign};
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, HttpResponse, Read, Step};
use crate::outcome::{ChannelNews, Outcome};
use crate::state::Draft;
use crate::vault::Row;
use crate::wallet::Wallet;

/// Asks for a refund.
pub struct ChannelRefundFlow {
    channel: ChannelId,
    /// How much; everything otherwise.
    amount: Option<Amount>,
    /// Random bytes for the payment's name.
    random: [u8; 32],
    corrections: u8,
    held: Option<Arc<()>>,
    stage: Stage,
}

enum Stage {
    Start,
    /// The chain is asked first: of what was put in or claimed meanwhile.
    Before(ChannelLook),
    Asked,
    Sent,
    /// Where the channel stands was told.
    Told(ChannelLook, Told),
    After(ChannelLook, Amount),
}

impl ChannelRefundFlow {
    /// A flow for a channel of the wallet's; for everything that is left if no amount is said. The caller draws the bytes.
    pub fn new(channel: ChannelId, amount: Option<Amount>, random: [u8; 32]) -> Self {
        Self { channel, amount, random, corrections: 0, held: None, stage: Stage::Start }
    }

    fn ask(&mut self, wallet: &Wallet) -> Result<Step, WalletError> {
        let channel = known(wallet, self.channel)?;
        channel.books.refund_total()?;
        self.stage = Stage::Asked;
        Ok(Step::Send(request(&channel, None)))
    }

    /// The seller has said what it asks for here: an offer for this channel is answered with the wish.
    fn asked(&mut self, wallet: &Wallet, answer: &HttpResponse) -> Result<Step, WalletError> {
        let channel = known(wallet, self.channel)?;
        let total = channel.books.refund_total()?;
        if self.amount.is_some_and(|amount| amount.is_zero() || amount > channel.left()) {
            return Err(WalletError::NotOnChain(format!(
                "expected an amount of at most {} minor units, which are left in the channel",
                channel.left()
            )));
        }
        let required = required(answer);
        let offers = required.iter().flat_map(|required| offer::read_x402(wallet, required)).flatten();
        let mut fitting = offers.filter(|offer| {
            let terms = offer.channel.as_ref().map(|asked| lane::terms(wallet, offer, asked, channel.lane));
            terms.is_some_and(|terms| terms.is_ok_and(|terms| terms == channel.terms))
        });
        let answer = fitting.next().map(|offer| offer.answer).ok_or_else(|| WalletError::NoOffer {
            url: channel.url.clone(),
            reasons: "it offers nothing any more that this channel pays; `farthing wallet channels withdraw` takes the money back without the seller".to_owned(),
        })?;
        let wish = sign::refund(wallet, &channel, total, self.amount)?;
        let credential = self.named(&answer, &wish)?;
        self.stage = Stage::Sent;
        Ok(Step::Send(request(&channel, Some(credential))))
    }

    fn named(
        &self,
        answer: &Answer,
        wish: &farthing_wire::x402::batch::PayerPayload,
    ) -> Result<String, WalletError> {
        let name = [self.random.as_slice(), &[self.corrections]].concat();
        sign::field(answer, wish, &name)
    }

    fn sent(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let channel = known(wallet, self.channel)?;
        let response = on_chain::response(answer);
        if let Some(response) = response.filter(|response| response.success && answer.is_success()) {
            let left = channel.left();
            let amount = response.amount.as_ref().and_then(farthing_wire::x402::Uint::amount);
            let amount = amount.or(self.amount).unwrap_or(left).min(left);
            let told = ChannelAnswer::of(&response).and_then(|answer| answer.channel_state?.balance.amount());
            let rest = channel.books.balance().checked_sub(amount).unwrap_or_default();
            let balance = told.map_or(rest, |told| told.min(rest).max(channel.books.charged()));
            let transaction = Some(response.transaction).filter(|hash| !hash.is_empty());
            return self.refunded(wallet, channel, balance, (amount, transaction), now).map(Some);
        }
        let refusal = Refusal::of(answer, None);
        let required = required(answer);
        let told = Told::of(&channel, required.as_ref(), refusal.reason.as_deref());
        if told.is_about_books() && self.corrections == 0 {
            self.corrections = 1;
            match ChannelLook::new(wallet, channel.chain(), channel.id()) {
                Some(look) => self.stage = Stage::Told(look, told),
                None => self.told(wallet, &told, None, now)?,
            }
            return Ok(None);
        }
        let reason = refusal.reason.unwrap_or_else(|| format!("it answered {}", answer.status));
        Err(WalletError::NotOnChain(format!(
            "{} gives nothing back: {reason}; try again, or take it back without the seller with `farthing wallet channels withdraw`",
            channel.host
        )))
    }

    fn told(
        &mut self,
        wallet: &mut Wallet,
        told: &Told,
        seen: Option<super::channel_look::Seen>,
        now: Timestamp,
    ) -> Result<(), WalletError> {
        let channel = known(wallet, self.channel)?;
        match adopt(wallet, channel, None, told, seen, now)? {
            Adopted::Refused(refused) => Err(refused.into()),
            Adopted::Again | Adopted::Charged(_) => {
                self.stage = Stage::Start;
                Ok(())
            }
        }
    }

    /// It is back, as the seller says; a node says it better.
    fn refunded(
        &mut self,
        wallet: &mut Wallet,
        mut channel: Channel,
        balance: Amount,
        (amount, transaction): (Amount, Option<String>),
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        channel.books = channel.books.observed(balance, channel.books.claimed());
        let mut draft = Draft::new(&wallet.state);
        channel_moved::refunded(&mut draft, &mut channel, amount, transaction.as_deref(), now);
        draft.put(Row::Channel(Box::new(channel.clone())));
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        match ChannelLook::new(wallet, channel.chain(), channel.id()) {
            Some(mut look) => match look.next(wallet, Event::Go)? {
                Sub::Send(request) => {
                    self.stage = Stage::After(look, amount);
                    Ok(Step::Send(request))
                }
                Sub::Done(_) => Err(WalletError::Misuse("a question first")),
            },
            None => Ok(done(Outcome::Channel(Box::new(channel), ChannelNews::Refunded(amount)))),
        }
    }
}

impl Flow for ChannelRefundFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            let channel = known(wallet, self.channel)?;
            match &mut self.stage {
                Stage::Start => {
                    if self.held.is_none() {
                        self.held = Some(wallet.hold(key(&channel)));
                    }
                    match ChannelLook::new(wallet, channel.chain(), channel.id()) {
                        Some(look) if self.corrections == 0 => self.stage = Stage::Before(look),
                        _ => return self.ask(wallet),
                    }
                }
                Stage::Before(look) => match look.next(wallet, came) {
                    Ok(Sub::Send(request)) => return Ok(Step::Send(request)),
                    Ok(Sub::Done(seen)) => {
                        channel_see::write_down(wallet, self.channel, seen, now)?;
                        return self.ask(wallet);
                    }
                    // The seller can be asked without a node.
                    Err(_) => return self.ask(wallet),
                },
                Stage::Asked => {
                    let answer = answer_of(&channel.host, came)?;
                    return self.asked(wallet, &answer);
                }
                Stage::Sent => {
                    let answer = answer_of(&channel.host, came)?;
                    if let Some(step) = self.sent(wallet, &answer, now)? {
                        return Ok(step);
                    }
                }
                Stage::Told(look, _) => {
                    let seen = match look.next(wallet, came) {
                        Ok(Sub::Send(request)) => return Ok(Step::Send(request)),
                        Ok(Sub::Done(seen)) => Some(seen),
                        Err(_) => None,
                    };
                    if let Stage::Told(_, told) = std::mem::replace(&mut self.stage, Stage::Start) {
                        self.told(wallet, &told, seen, now)?;
                    }
                }
                Stage::After(look, amount) => {
                    let amount = *amount;
                    let channel = match look.next(wallet, came) {
                        Ok(Sub::Send(request)) => return Ok(Step::Send(request)),
                        Ok(Sub::Done(seen)) => channel_see::write_down(wallet, self.channel, seen, now)?,
                        Err(_) => channel,
                    };
                    return Ok(done(Outcome::Channel(Box::new(channel), ChannelNews::Refunded(amount))));
                }
            }
        }
    }

    fn is_paying(&self) -> bool {
        matches!(self.stage, Stage::Sent)
    }
}

fn required(answer: &HttpResponse) -> Option<PaymentRequired> {
    answer.header(PAYMENT_REQUIRED).and_then(|text| PaymentRequired::from_header(text).ok())
}

fn request(channel: &Channel, credential: Option<String>) -> HttpRequest {
    let headers = credential.map(|text| (PAYMENT_SIGNATURE.to_owned(), text)).into_iter().collect();
    HttpRequest {
        method: "GET".into(),
        url: channel.url.clone(),
        headers,
        body: Vec::new(),
        read: Read::Whole,
    }
}
