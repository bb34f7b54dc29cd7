//! Pays for a request, like curl with a purse: asks, reads the 402, sets credits aside or signs for a chain, asks again with a
//! credential.
//!
//! The same credential is the same payment, so whenever it is unknown what became of it, it is sent again, now or the next
//! time that the same request is made. A refusal is followed by taking the credits back at the mint. What was signed for a
//! chain cannot be taken back: it is sent again until it is known what became of it, and no second one is signed meanwhile.

mod channel;
mod credits;
mod passes;
mod refused;
mod session;
mod session_call;
mod spending;

use std::collections::BTreeMap;
use std::sync::Arc;

use farthing_channel::ChannelId;
use farthing_money::{Amount, AssetCode, Money, Span, Timestamp, Unit};
use farthing_wire::Problem;
use farthing_wire::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

use self::channel::Then;
use self::session::{InSession, Turn};
use self::spending::{Later, Spending};
use super::channel_look::ChannelLook;
use super::keys::Refresh;
use super::leftovers::Leftovers;
use super::on_chain::{self, Order};
use super::settle::{Settle, never_sent};
use super::{Flow, Sub, answer_of, done, in_channel, paid};
use crate::address::Address;
use crate::attempt::{Attempt, AttemptKind, Payment};
use crate::chain::offer::ChainOffer;
use crate::chain::{ChainPayment, OnChain};
use crate::channel::ChannelPart;
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, HttpResponse, Read, Step};
use crate::offer::{Choice, Chosen, Means, Terms, choose};
use crate::outcome::{Outcome, Paid};
use crate::unit::counts;
use crate::vault::RowKey;
use crate::wallet::Wallet;

/// How often the same credential is sent before the outcome is called unknown.
const TRIES_MAX: u32 = 4;

/// What is to be paid for.
#[derive(Clone, Debug)]
pub struct PayRequest {
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    /// Fields that the user wants.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The most that this call may cost, with what it was charged before ([`PayFlow::charged_before`]). It goes before the limit
    /// per call, and before no other limit.
    pub max: Option<Money>,
}

/// Pays for a request.
pub struct PayFlow {
    request: PayRequest,
    address: Address,
    /// What the call was charged before this request.
    charged: Vec<Money>,
    /// On whose behalf, and within what.
    spending: Spending,
    /// What alone may pay.
    means: Option<Means>,
    /// In what alone it is paid.
    asset: Option<AssetCode>,
    /// Random bytes for what is signed for a chain; without them nothing is.
    random: Option<[u8; 32]>,
    asks_only: bool,
    /// Whether a channel may be opened or filled up.
    opens: bool,
    /// How a session pays for it, if one does.
    session: Option<Box<InSession>>,
    /// The channel that the chain was asked about.
    looked: Option<ChannelId>,
    /// How often a refusal was answered with another voucher.
    corrections: u8,
    /// What was signed for channels before this call.
    signed_before: BTreeMap<ChannelId, Amount>,
    /// What no other flow of this program touches meanwhile.
    held: Vec<Arc<()>>,
    stage: Stage,
    /// What is shown with the payment: fares that it counts in, and passes that it extends.
    shown: Vec<(String, String)>,
    /// The passes that it was asked with.
    tried: Vec<String>,
    /// The attempt that is under way.
    id: Option<u64>,
    /// Whether the attempt was begun by an earlier run.
    resumed: bool,
    tries: u32,
}

enum Stage {
    Begin(Leftovers),
    Start,
    Asked { by_pass: bool },
    Served { status: u16, by_pass: bool },
    Keys(Refresh, Box<Chosen>),
    Change(Settle, Box<Chosen>),
    Lane(Box<ChainOffer>),
    Later(Later),
    Session(Box<session::Part>),
    Look(ChannelLook, Box<Then>),
    Sent,
    Again,
    Paid { paid: Box<Paid>, open: Vec<u64>, settle: Option<Settle> },
    Back { status: u16, refused: Box<Refused>, settle: Settle },
    Over,
}

/// What a refusal says.
#[derive(Default)]
struct Refused {
    problem: Option<Problem>,
    reason: Option<String>,
    on_chain: Option<(OnChain, Timestamp)>,
}

impl PayFlow {
    /// A flow for a request. Refuses addresses that money must not be sent to.
    pub fn new(request: PayRequest) -> Result<Self, WalletError> {
        let address = Address::safe(&request.url)?;
        Ok(Self::fresh(request, address))
    }

    fn fresh(request: PayRequest, address: Address) -> Self {
        Self {
            request,
            address,
            charged: Vec::new(),
            spending: Spending::default(),
            means: None,
            asset: None,
            random: None,
            asks_only: false,
            opens: false,
            session: None,
            looked: None,
            corrections: 0,
            signed_before: BTreeMap::new(),
            held: Vec::new(),
            shown: Vec::new(),
            tried: Vec::new(),
            stage: Stage::Begin(Leftovers::default()),
            id: None,
            resumed: false,
            tries: 0,
        }
    }

    /// Another flow for the same request and in the same way, which signs with other random bytes where this one may sign.
    #[must_use]
    pub fn again(&self, random: [u8; 32]) -> Self {
        Self {
            charged: self.charged.clone(),
            spending: self.spending.clone(),
            means: self.means,
            asset: self.asset,
            random: self.random.map(|_| random),
            asks_only: self.asks_only,
            opens: self.opens,
            session: self.session.as_deref().map(InSession::again),
            ..Self::fresh(self.request.clone(), self.address.clone())
        }
    }

    /// The same flow as part of a call that was charged so much before: its limits have only the rest left.
    #[must_use]
    pub fn charged_before(self, charged: impl IntoIterator<Item = Money>) -> Self {
        Self { charged: charged.into_iter().collect(), ..self }
    }

    /// The same flow, which may also pay on a chain. The caller draws these bytes for this flow alone.
    #[must_use]
    pub fn on_chains(self, random: [u8; 32]) -> Self {
        Self { random: Some(random), ..self }
    }

    /// The same flow, which pays with nothing else.
    #[must_use]
    pub fn only_with(self, means: Option<Means>) -> Self {
        Self { means, ..self }
    }

    /// The same flow, which pays in this asset alone. A payment that is under way already goes to its end in its own.
    #[must_use]
    pub fn only_in(self, asset: Option<AssetCode>) -> Self {
        Self { asset, ..self }
    }

    /// The same flow, which may open a channel or fill one up for an offer that takes one. Otherwise only a channel is used that
    /// is there and covers the price.
    #[must_use]
    pub fn opening_channels(self, opens: bool) -> Self {
        Self { opens, ..self }
    }

    /// The same flow, which ends with [`Outcome::Quoted`] where it would pay: nothing is set aside or signed.
    #[must_use]
    pub fn only_asking(self) -> Self {
        // What earlier runs have left over is not touched.
        Self { asks_only: true, stage: Stage::Start, ..self }
    }

    /// What a credential is for: the same request made again carries on with the same payment.
    fn body_digest(&self) -> String {
        hex::encode(Sha256::digest(&self.request.body))
    }

    fn start(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<Option<Step>, WalletError> {
        let (url, body) = (self.address.to_string(), self.body_digest());
        let same = |payment: &&Payment| {
            payment.method == self.request.method
                && payment.url == url
                && payment.body == body
                && !payment.delivered
                && !self.asks_only
        };
        let is_left = |attempt: &&Attempt| {
            attempt.payment().as_ref().is_some_and(same) && !wallet.is_held(&RowKey::attempt(attempt.id))
        };
        let open = wallet.attempts().find(is_left).cloned();
        let is_late = |part: &ChannelPart| part.deposit.as_ref().is_some_and(|deposit| deposit.until <= now);
        if let Some(late) = open.as_ref().filter(|one| one.channel().is_some_and(is_late)) {
            // Its deposit is over: whether it came is seen when the channel is used again.
            in_channel::give_up(wallet, late)?;
            return self.start(wallet, now);
        }
        if let Some(Attempt { id, unit, kind: AttemptKind::Pay(payment), .. }) = open {
            self.check_again(wallet, unit, &payment)?;
            self.join_run(wallet, id)?;
            (self.id, self.resumed, self.stage) = (Some(id), true, Stage::Sent);
            self.held = vec![wallet.hold(RowKey::attempt(id))];
            if let Some(part) = payment.channel.as_deref() {
                self.held.push(wallet.hold(RowKey::channel(part.on.chain, part.channel)));
            }
            self.shown = wallet.shown(&self.address, now);
            if let Some(signed) = payment.chain.as_deref().filter(|signed| signed.until <= now) {
                // Nobody takes it any more: what became of it comes first.
                self.stage = Stage::Back {
                    status: 0,
                    refused: Box::new(Refused { on_chain: Some(on_chain_of(signed)), ..Refused::default() }),
                    settle: Settle::new(id),
                };
                return Ok(None);
            }
            return Ok(Some(Step::Send(self.with_credential(&payment))));
        }
        self.shown = wallet.shown(&self.address, now);
        let (request, by_pass) = self.asking(wallet, now);
        if !by_pass && let Turn::Taken(step) = self.by_session(wallet, now)? {
            return Ok(step);
        }
        if !by_pass && let Some(step) = self.by_memory(wallet, now)? {
            return Ok(Some(step));
        }
        self.stage = Stage::Asked { by_pass };
        Ok(Some(Step::Send(request)))
    }

    /// Whether it may be paid in a unit.
    fn may_pay_in(&self, unit: Unit) -> bool {
        self.asset.is_none_or(|only| counts(unit, only))
    }

    /// Where it goes.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    fn plain_request(&self) -> HttpRequest {
        HttpRequest {
            method: self.request.method.clone(),
            url: self.address.to_string(),
            headers: self.request.headers.clone(),
            body: self.request.body.clone(),
            read: Read::Problem,
        }
    }

    fn with_credential(&self, payment: &Payment) -> HttpRequest {
        let mut request = self.plain_request();
        request.headers.extend(self.shown.iter().cloned());
        request.headers.push((payment.field.clone(), payment.credential.clone()));
        request
    }

    fn asked(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        by_pass: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let answer = match event {
            // Nothing was paid yet, so nothing about money is unknown.
            Event::NoAnswer(reason) => {
                return Err(WalletError::Unreachable { whom: self.address.origin(), reason });
            }
            event => answer_of(&self.address.origin(), event)?,
        };
        // HEAD delivers nothing, so nothing is paid for it.
        if answer.status != 402 || self.request.method == "HEAD" {
            let by_pass = by_pass && answer.is_success();
            self.stage = Stage::Served { status: answer.status, by_pass };
            return Ok(Some(Step::Deliver));
        }
        if by_pass && let Some(request) = self.asking_again(wallet, &answer, now) {
            return Ok(Some(Step::Send(request)));
        }
        self.choose(wallet, &answer, now)
    }

    /// Pays what a 402 asks for, in one of its ways.
    fn choose(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        if self.spending.gives_way
            && self.shows_passes()
            && !self.asks_only
            && let Some(number) = wallet.renews_first(&self.address, answer, now)
        {
            self.stage = Stage::Over;
            return Ok(Some(done(Outcome::RenewFirst(number))));
        }
        if self.session.is_some() && !self.asks_only {
            return self.in_session(wallet, answer, now);
        }
        let url = self.address.to_string();
        let opens = self.opens_channels(wallet);
        let host = self.address.host();
        let (means, asset) = (self.means, self.asset);
        let terms = Terms { means, asset, may_sign: self.random.is_some(), opens, host: &host };
        let choice = match choose(wallet, &url, answer, &self.request.body, terms, now) {
            Ok(choice) => choice,
            Err(error) => return self.or_later(wallet, error, || Later::Choose(answer.clone())),
        };
        match choice {
            choice if self.asks_only => {
                self.stage = Stage::Over;
                Ok(Some(done(Outcome::Quoted(Box::new(self.quote(wallet, choice, now)?)))))
            }
            Choice::Credits(chosen) => {
                self.stage = Stage::Keys(Refresh::usable(&chosen.mint), chosen);
                Ok(None)
            }
            Choice::Chain(offer) if offer.channel.is_some() => self.through_channel(wallet, offer, now),
            Choice::Chain(offer) => match self.sign(wallet, &offer, now) {
                Ok(step) => Ok(Some(step)),
                Err(error) => self.or_later(wallet, error, || Later::Choose(answer.clone())),
            },
        }
    }

    /// Signs what is asked for, within the limits, and writes it down.
    fn sign(&mut self, wallet: &mut Wallet, offer: &ChainOffer, now: Timestamp) -> Result<Step, WalletError> {
        let grant = self.grant(wallet, offer.unit(), (offer.price, offer.price), now)?;
        let order = self.order()?;
        let (id, payment) = on_chain::write_down(wallet, offer, (order, grant), now)?;
        self.held = vec![wallet.hold(RowKey::attempt(id))];
        (self.id, self.resumed, self.tries, self.stage) = (Some(id), false, 0, Stage::Sent);
        Ok(Step::Send(self.with_credential(&payment)))
    }

    /// What is paid for, as it is written down.
    fn order(&self) -> Result<Order, WalletError> {
        Ok(Order {
            method: self.request.method.clone(),
            address: self.address.clone(),
            body_digest: self.body_digest(),
            has_login: self.has_login(),
            random: self.random.ok_or(WalletError::Misuse("random bytes"))?,
        })
    }

    fn has_login(&self) -> bool {
        self.request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION))
    }

    fn attempt<'w>(&self, wallet: &'w Wallet) -> Result<(&'w Attempt, &'w Payment), WalletError> {
        let id = self.id.ok_or(WalletError::Misuse("a payment under way"))?;
        let attempt = wallet.state.attempt(id).ok_or(WalletError::UnknownAttempt(id))?;
        let payment = attempt.payment().ok_or(WalletError::UnknownAttempt(id))?;
        Ok((attempt, payment))
    }

    fn sent(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        self.tries = self.tries.saturating_add(1);
        let may_repeat = self.tries < TRIES_MAX;
        match event {
            Event::NotSent(reason) if self.tries == 1 && !self.resumed => {
                let (attempt, payment) = self.attempt(wallet)?;
                let (attempt, payment) = (attempt.clone(), payment.clone());
                never_sent(wallet, &attempt, &payment)?;
                Err(WalletError::Unreachable { whom: self.address.origin(), reason })
            }
            Event::NotSent(_) | Event::NoAnswer(_) if may_repeat => {
                self.stage = Stage::Again;
                Ok(Some(Step::Wait(Span::from_secs(1))))
            }
            Event::NotSent(reason) => Err(WalletError::Unknown { whom: self.address.origin(), reason }),
            event => {
                let answer = answer_of(&self.address.origin(), event)?;
                let later = matches!(answer.status, 409 | 425 | 429 | 503);
                if answer.is_success() {
                    let (attempt, _) = self.attempt(wallet)?;
                    let (paid, open) = paid::finish(wallet, attempt.id, &self.address, &answer, now)?;
                    self.held = open.iter().map(|id| wallet.hold(RowKey::attempt(*id))).collect();
                    self.stage = Stage::Paid { paid: Box::new(paid), open, settle: None };
                    return Ok(Some(Step::Deliver));
                }
                if later && may_repeat && answer.header("Retry-After").is_some() {
                    self.stage = Stage::Again;
                    return Ok(Some(Step::Wait(answer.retry_after())));
                }
                if self.attempt(wallet)?.0.channel().is_some() {
                    return self.refused_in_channel(wallet, answer, later, now);
                }
                let signed = self.attempt(wallet)?.0.chain().cloned();
                self.refused(&answer, signed.as_ref(), later)
            }
        }
    }

    /// After the delivery: change that still has to be fetched.
    fn after(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let Stage::Paid { paid, open, settle } = &mut self.stage else {
            return Err(WalletError::Misuse("a payment"));
        };
        if let (Event::Receipt(text), None) = (&event, &settle) {
            paid::tell_receipt(wallet, (paid, open), &self.address, text)?;
        }
        if let Some(settling) = settle {
            match settling.next(wallet, event, now) {
                Ok(Sub::Send(request)) => return Ok(Some(Step::Send(request))),
                Ok(Sub::Done(settled)) => paid::note(paid, settled),
                Err(error @ WalletError::Vault(_)) => return Err(error),
                Err(error) => paid.notes.push(format!("the change is not there yet: {error}")),
            }
        }
        *settle = open.pop().map(Settle::new);
        if settle.is_some() {
            return Ok(None);
        }
        let paid = paid.clone();
        self.stage = Stage::Over;
        Ok(Some(done(Outcome::Paid(paid))))
    }
}

fn on_chain_of(signed: &ChainPayment) -> (OnChain, Timestamp) {
    (signed.on.clone(), signed.until)
}

impl Flow for PayFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            let step = match &mut self.stage {
                Stage::Begin(leftovers) => match leftovers.next(wallet, came, now)? {
                    Sub::Send(request) => Some(Step::Send(request)),
                    Sub::Done(()) => {
                        self.stage = Stage::Start;
                        None
                    }
                },
                Stage::Start => self.start(wallet, now)?,
                Stage::Asked { by_pass } => {
                    let by_pass = *by_pass;
                    self.asked(wallet, came, by_pass, now)?
                }
                Stage::Served { status, by_pass } => {
                    Some(done(Outcome::Served { status: *status, by_pass: *by_pass }))
                }
                Stage::Keys(refresh, chosen) => match refresh.next(wallet, came, now)? {
                    Sub::Send(request) => Some(Step::Send(request)),
                    Sub::Done(()) => {
                        let chosen = chosen.clone();
                        self.reserve(wallet, chosen, false, now)?
                    }
                },
                Stage::Change(settle, chosen) => match settle.next(wallet, came, now)? {
                    Sub::Send(request) => Some(Step::Send(request)),
                    Sub::Done(_) => {
                        let chosen = chosen.clone();
                        self.reserve(wallet, chosen, true, now)?
                    }
                },
                Stage::Lane(offer) => {
                    let offer = offer.clone();
                    self.through_channel(wallet, offer, now)?
                }
                Stage::Later(_) => self.later(wallet, now)?,
                Stage::Session(_) => self.session_part(wallet, came, now)?,
                Stage::Look(..) => self.look(wallet, came, now)?,
                Stage::Sent => self.sent(wallet, came, now)?,
                Stage::Again => {
                    let (_, payment) = self.attempt(wallet)?;
                    if payment.chain.as_deref().is_some_and(|signed| signed.until <= now) {
                        let reason = "the time of what was signed is over".to_owned();
                        return Err(WalletError::Unknown { whom: self.address.origin(), reason });
                    }
                    let request = self.with_credential(payment);
                    self.stage = Stage::Sent;
                    Some(Step::Send(request))
                }
                Stage::Paid { .. } => self.after(wallet, came, now)?,
                Stage::Back { .. } => self.back(wallet, came, now)?,
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn is_paying(&self) -> bool {
        self.id.is_some() || self.session.as_ref().is_some_and(|session| session.is_calling())
    }
}
