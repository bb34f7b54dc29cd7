//! The part of paying that goes through a channel: one is taken for the request, looked up on the chain if it has to be, and
//! signed for; a refusal that says where the channel stands is answered once with what is right then.

use farthing_money::{Money, Span, Timestamp};
use farthing_wire::Problem;
use farthing_wire::header::PAYMENT_REQUIRED;
use farthing_wire::x402::PaymentRequired;

use super::super::channel_look::{ChannelLook, Seen};
use super::super::channel_told::{Adopted, Current, Told, adopt};
use super::super::on_chain::Refusal;
use super::super::settle::Settle;
use super::super::{Sub, channel_see, done, in_channel};
use super::{PayFlow, Refused, Stage, TRIES_MAX};
use crate::budget::Grant;
use crate::chain::offer::ChainOffer;
use crate::channel::lane::{self, Found, Lane, NoLane};
use crate::channel::remembered;
use crate::error::WalletError;
use crate::http::{Event, HttpResponse, Read, Step};
use crate::offer::Means;
use crate::outcome::{Outcome, RefusedPayment, Settled};
use crate::vault::{Change, Row, RowKey};
use crate::wallet::Wallet;

/// How often a refusal is answered with another voucher: the reference's clients do so once, and an offer that was remembered
/// may have changed as well.
const CORRECTIONS_MAX: u8 = 2;
/// A channel that another request of this program uses is free again soon.
const LOOK_AGAIN: Span = Span::from_millis(20);

/// What is waited for while a node is asked.
pub(super) enum Then {
    /// An offer is paid.
    Pay { offer: Box<ChainOffer>, lane: Box<Lane> },
    /// A refusal is answered.
    Correct { told: Told, answer: HttpResponse },
}

impl PayFlow {
    /// The first request, with a voucher for an offer that is remembered. Nothing if there is none, or if it is not sure to be
    /// within the limits: then the seller is asked first.
    pub(super) fn by_memory(
        &mut self,
        wallet: &mut Wallet,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let is_wanted = self.random.is_some() && !self.asks_only && self.means != Some(Means::Credits);
        if !is_wanted || self.request.method == "HEAD" || self.corrections > 0 {
            return Ok(None);
        }
        let url = self.address.to_string();
        let Some(offer) = remembered::recall(wallet, &self.request.method, &url, now) else {
            return Ok(None);
        };
        let has_credits = wallet.state.credits.values().any(|credit| credit.unit == offer.unit());
        if has_credits && self.means != Some(Means::Chain) || !self.may_pay_in(offer.unit()) {
            return Ok(None);
        }
        let found = lane::find(wallet, &offer, &self.address.host(), false, now);
        let Ok(Found::Lane(lane)) = found else { return Ok(None) };
        if must_look(wallet, &lane, now) {
            return Ok(None);
        }
        match self.weigh(wallet, offer.unit(), (offer.price, exposure(&lane)), now) {
            Ok(grant) => self.sign_lane(wallet, &offer, (*lane, grant), true, now).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Pays an offer through a channel.
    pub(super) fn through_channel(
        &mut self,
        wallet: &mut Wallet,
        offer: Box<ChainOffer>,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        self.held.clear();
        let opens = self.opens_channels(wallet);
        let lane = match lane::find(wallet, &offer, &self.address.host(), opens, now) {
            Ok(Found::Lane(lane)) => lane,
            Ok(Found::Busy) => {
                self.stage = Stage::Lane(offer);
                return Ok(Some(Step::Wait(LOOK_AGAIN)));
            }
            Err(NoLane::Limit(reject)) => return Err(WalletError::Budget(reject)),
            Err(NoLane::Wallet(error)) => return Err(error),
            Err(no) => {
                let (url, reasons) = (self.address.to_string(), no.reason());
                return Err(WalletError::NoOffer { url, reasons });
            }
        };
        let (chain, id) = (lane.channel.chain(), lane.channel.id());
        if must_look(wallet, &lane, now)
            && self.looked != Some(id)
            && let Some(look) = ChannelLook::new(wallet, chain, id)
        {
            self.looked = Some(id);
            self.held = vec![wallet.hold(RowKey::channel(chain, id))];
            self.stage = Stage::Look(look, Box::new(Then::Pay { offer, lane }));
            return Ok(None);
        }
        let grant = self.grant(wallet, offer.unit(), (offer.price, exposure(&lane)), now)?;
        self.sign_lane(wallet, &offer, (*lane, grant), false, now).map(Some)
    }

    /// What paying an offer would put into a channel.
    pub(super) fn deposit_for(&self, wallet: &Wallet, offer: &ChainOffer, now: Timestamp) -> Option<Money> {
        let found = lane::find(wallet, offer, &self.address.host(), self.opens_channels(wallet), now);
        let Ok(Found::Lane(lane)) = found else { return None };
        lane.signing.deposit.and_then(|deposit| lane.channel.money(deposit))
    }

    /// What limits would be charged with for an offer that takes a channel.
    pub(super) fn exposure_of(&self, wallet: &Wallet, offer: &ChainOffer, now: Timestamp) -> Option<u64> {
        offer.channel.as_ref()?;
        let found = lane::find(wallet, offer, &self.address.host(), self.opens_channels(wallet), now);
        let Ok(Found::Lane(lane)) = found else { return None };
        Some(exposure(&lane))
    }

    pub(super) fn opens_channels(&self, wallet: &Wallet) -> bool {
        self.opens || wallet.channel_policy().opens
    }

    fn sign_lane(
        &mut self,
        wallet: &mut Wallet,
        offer: &ChainOffer,
        (lane, grant): (Lane, Grant),
        by_memory: bool,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let order = self.order()?;
        let channel = RowKey::channel(lane.channel.chain(), lane.channel.id());
        self.signed_before.entry(lane.channel.id()).or_insert(lane.channel.books.signed());
        let (id, payment) = in_channel::write_down(wallet, offer, lane, (order, grant), by_memory, now)?;
        self.held = vec![wallet.hold(channel), wallet.hold(RowKey::attempt(id))];
        (self.id, self.resumed, self.tries, self.stage) = (Some(id), false, 0, Stage::Sent);
        Ok(Step::Send(self.with_credential(&payment)))
    }

    /// An answer that is not what was paid for.
    pub(super) fn refused_in_channel(
        &mut self,
        wallet: &mut Wallet,
        answer: HttpResponse,
        later: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let attempt = self.attempt(wallet)?.0.clone();
        let (channel, part) = in_channel::of_attempt(wallet, &attempt)?;
        let is_problem = answer.header("Content-Type").is_some_and(|kind| Read::Problem.wants(kind));
        let problem = Problem::from_json(&answer.body).ok().filter(|_| is_problem);
        let refusal = Refusal::of(&answer, problem.as_ref());
        let required =
            answer.header(PAYMENT_REQUIRED).and_then(|text| PaymentRequired::from_header(text).ok());
        let told = Told::of(&channel, required.as_ref(), refusal.reason.as_deref());
        if matches!(told, Told::Busy) || refusal.is_pending || later {
            if self.tries < TRIES_MAX {
                self.stage = Stage::Again;
                return Ok(Some(Step::Wait(answer.retry_after())));
            }
            let reason = refusal.reason.unwrap_or_else(|| format!("it answered {}", answer.status));
            return Err(WalletError::Unknown { whom: self.address.origin(), reason });
        }
        let may_correct = answer.status == 402 && self.corrections < CORRECTIONS_MAX;
        if may_correct && told.is_about_books() {
            self.corrections = self.corrections.saturating_add(1);
            return match ChannelLook::new(wallet, channel.chain(), channel.id()) {
                Some(look) => {
                    self.stage = Stage::Look(look, Box::new(Then::Correct { told, answer }));
                    Ok(None)
                }
                None => self.corrected(wallet, &told, None, &answer, now),
            };
        }
        if part.by_memory {
            // The guess was wrong, or is not worth another try without asking.
            wallet.commit(vec![Change::Remove(RowKey::offer(
                &self.request.method,
                &self.address.to_string(),
            ))])?;
        }
        if may_correct && part.by_memory {
            // What is asked for now comes with the refusal.
            self.corrections = self.corrections.saturating_add(1);
            if self.resumed || self.tries > 1 {
                in_channel::give_up(wallet, &attempt)?;
            } else {
                // What is signed next allows no more beside it.
                in_channel::replaced(wallet, &attempt)?;
            }
            return self.anew(wallet, &answer, now);
        }
        let deliver = problem.is_none() && answer.status != 402 && !self.resumed;
        self.back_to_channel(answer.status, problem, refusal.reason);
        Ok(deliver.then_some(Step::Deliver))
    }

    fn back_to_channel(&mut self, status: u16, problem: Option<Problem>, reason: Option<String>) {
        let refused = Box::new(Refused { problem, reason, on_chain: None });
        let settle = Settle::new(self.id.unwrap_or_default());
        self.stage = Stage::Back { status, refused, settle };
    }

    /// Takes the refusal in whose answer is at hand for what is asked now.
    fn anew(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        self.held.clear();
        (self.id, self.resumed, self.tries) = (None, false, 0);
        if answer.header(PAYMENT_REQUIRED).is_none() {
            // Some refusals do not repeat the offers.
            self.stage = Stage::Start;
            return Ok(None);
        }
        self.choose(wallet, answer, now)
    }

    /// A node was asked, or could not be.
    pub(super) fn looked(
        &mut self,
        wallet: &mut Wallet,
        seen: Option<Seen>,
        then: Then,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        match then {
            Then::Pay { offer, lane } => {
                if let Some(seen) = seen {
                    write_seen(wallet, &lane, seen, now)?;
                }
                self.through_channel(wallet, offer, now)
            }
            Then::Correct { told, answer } => self.corrected(wallet, &told, seen, &answer, now),
        }
    }

    fn corrected(
        &mut self,
        wallet: &mut Wallet,
        told: &Told,
        seen: Option<Seen>,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let attempt = self.attempt(wallet)?.0.clone();
        let was_sent_before = self.resumed || self.tries > 1;
        let (channel, part) = in_channel::of_attempt(wallet, &attempt)?;
        let before = || part.before.as_ref().map(|before| before.books.signed()).unwrap_or_default();
        let allowed = self.signed_before.get(&part.channel).copied().unwrap_or_else(before);
        let current = Current { attempt: &attempt, was_sent_before, allowed };
        match adopt(wallet, channel, Some(current), told, seen, now)? {
            Adopted::Again => self.anew(wallet, answer, now),
            Adopted::Charged(settled) => {
                Ok(Some(self.charged_before_answer(answer.status, settled, was_sent_before)))
            }
            Adopted::Refused(refused) => {
                self.back_to_channel(answer.status, None, Some(refused.to_string()));
                Ok(None)
            }
        }
    }

    fn charged_before_answer(&mut self, status: u16, settled: Settled, was_sent_before: bool) -> Step {
        self.stage = Stage::Over;
        self.held.clear();
        let reason = if was_sent_before {
            "it was paid before, and its answer was lost"
        } else {
            "the seller says that it has charged this payment, and gave nothing for it; nothing more is signed"
        };
        let url = self.address.to_string();
        let refused = RefusedPayment {
            url,
            status,
            problem: None,
            reason: Some(reason.to_owned()),
            on_chain: None,
            settled: Ok(settled),
        };
        done(Outcome::Refused(Box::new(refused)))
    }

    /// Goes on with a question to a node.
    pub(super) fn look(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let Stage::Look(look, _) = &mut self.stage else { return Err(WalletError::Misuse("a look")) };
        let seen = match look.next(wallet, event) {
            Ok(Sub::Send(request)) => return Ok(Some(Step::Send(request))),
            Ok(Sub::Done(seen)) => Some(seen),
            // Nobody can be asked: what is remembered has to do.
            Err(_) => None,
        };
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Look(_, then) => self.looked(wallet, seen, *then, now),
            _ => Err(WalletError::Misuse("a look")),
        }
    }
}

/// What budgets are charged with: what is signed allows so much beyond what was signed before.
fn exposure(lane: &Lane) -> u64 {
    let books = lane.channel.books.having_signed(&lane.signing);
    lane.channel.exposed_to(books.signed()).unwrap_or(u64::MAX)
}

/// Whether the chain should be asked before anything is signed: about a channel that nobody remembers (the words may have had
/// it before), one in doubt, and one whose deposit may have arrived, or should have long ago.
fn must_look(wallet: &Wallet, lane: &Lane, now: Timestamp) -> bool {
    let channel = &lane.channel;
    let is_open = channel.deposits.iter().any(|deposit| !deposit.told || deposit.is_over(now.secs()));
    let is_unclear = lane.is_new || channel.doubt.is_some() || is_open;
    is_unclear && wallet.node(channel.chain()).is_some()
}

/// Writes down what the chain says of a channel before it is used.
fn write_seen(wallet: &mut Wallet, lane: &Lane, seen: Seen, now: Timestamp) -> Result<(), WalletError> {
    let id = lane.channel.id();
    if !lane.is_new {
        return channel_see::write_down(wallet, id, seen, now).map(|_| ());
    }
    if seen.balance.is_zero() && seen.claimed.is_zero() {
        return Ok(());
    }
    let channel = channel_see::of_chain(lane.channel.clone(), seen);
    wallet.commit(vec![Change::Put(Row::Channel(Box::new(channel)))])?;
    channel_see::write_down(wallet, id, seen, now).map(|_| ())
}
