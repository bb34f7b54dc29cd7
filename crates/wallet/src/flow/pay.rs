//! Pays for a request, like curl with a purse: asks, reads the 402, sets credits aside or signs for a chain, asks again with a
//! credential.
//!
//! The same credential is the same payment, so whenever it is unknown what became of it, it is sent again, now or the next
//! time that the same request is made. A refusal is followed by taking the credits back at the mint. What was signed for a
//! chain cannot be taken back: it is sent again until it is known what became of it, and no second one is signed meanwhile.

use farthing_ecash::{Token, denomination};
use farthing_money::{Amount, Money, Span, Timestamp, Unit};
use farthing_wire::Problem;
use farthing_wire::header::{AUTHORIZATION, FARTHING_PASS, PAYMENT_AUTHORIZATION, X_CASHU};
use farthing_wire::mpp::{self, credit};
use sha2::{Digest, Sha256};

use super::keys::{self, Refresh};
use super::leftovers::Leftovers;
use super::on_chain::{self, Order, Refusal};
use super::quote::quote;
use super::settle::{Settle, never_sent};
use super::{Flow, Sub, answer_of, done, exact, paid};
use crate::address::Address;
use crate::attempt::{Attempt, AttemptKind, Booking, Outputs, Payment};
use crate::budget::{Call, day_of};
use crate::chain::offer::ChainOffer;
use crate::chain::{ChainPayment, OnChain};
use crate::credit::Credit;
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, HttpResponse, Read, Step};
use crate::offer::{Choice, Chosen, Means, Terms, choose};
use crate::outcome::{Outcome, Paid, RefusedPayment, Settled};
use crate::select::select;
use crate::state::Draft;
use crate::unit::{at_least, at_most};
use crate::wallet::Wallet;

/// More credits than this do not fit in the headers that servers accept: they are changed for fewer first.
const CREDITS_MAX: usize = 32;
/// More passes than this are not shown at once.
const PASSES_MAX: usize = 4;
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
    /// What alone may pay.
    means: Option<Means>,
    /// Random bytes for what is signed for a chain; without them nothing is.
    random: Option<[u8; 32]>,
    asks_only: bool,
    stage: Stage,
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
        Ok(Self {
            request,
            address,
            charged: Vec::new(),
            means: None,
            random: None,
            asks_only: false,
            stage: Stage::Begin(Leftovers::default()),
            id: None,
            resumed: false,
            tries: 0,
        })
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

    /// The same flow, which ends with [`Outcome::Quoted`] where it would pay: nothing is set aside or signed.
    #[must_use]
    pub fn only_asking(self) -> Self {
        Self { asks_only: true, ..self }
    }

    /// What a credential is for: the same request made again carries on with the same payment.
    fn body_digest(&self) -> String {
        hex::encode(Sha256::digest(&self.request.body))
    }

    fn start(&mut self, wallet: &Wallet, now: Timestamp) -> Result<Option<Step>, WalletError> {
        let (url, body) = (self.address.to_string(), self.body_digest());
        let same = |payment: &&Payment| {
            payment.method == self.request.method
                && payment.url == url
                && payment.body == body
                && !payment.delivered
                && !self.asks_only
        };
        let open = wallet.attempts().find(|attempt| attempt.payment().as_ref().is_some_and(same));
        if let Some(Attempt { id, unit, kind: AttemptKind::Pay(payment), .. }) = open {
            // The other limits were charged when it began; this call may be another one, which allows less.
            let asked = Amount::from(payment.booking.amount);
            wallet.limits(*unit).check_call(self.call(*unit), asked)?;
            (self.id, self.resumed, self.stage) = (Some(*id), true, Stage::Sent);
            if let Some(signed) = payment.chain.as_deref().filter(|signed| signed.until <= now) {
                // Nobody takes it any more: what became of it comes first.
                self.stage = Stage::Back {
                    status: 0,
                    refused: Box::new(Refused { on_chain: Some(on_chain_of(signed)), ..Refused::default() }),
                    settle: Settle::new(*id),
                };
                return Ok(None);
            }
            return Ok(Some(Step::Send(self.with_credential(payment))));
        }
        let mut request = self.plain_request();
        let mut by_pass = false;
        // What changes things is repeated with its own credential only.
        if matches!(self.request.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
            let passes = wallet.passes(&self.address, now).into_iter().take(PASSES_MAX);
            let before = request.headers.len();
            request.headers.extend(passes.map(|pass| (FARTHING_PASS.to_owned(), pass.to_owned())));
            by_pass = request.headers.len() > before;
        }
        self.stage = Stage::Asked { by_pass };
        Ok(Some(Step::Send(request)))
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
        let url = self.address.to_string();
        let terms = Terms { means: self.means, may_sign: self.random.is_some() };
        match choose(wallet, &url, &answer, &self.request.body, terms, now)? {
            choice if self.asks_only => {
                self.stage = Stage::Over;
                Ok(Some(done(Outcome::Quoted(Box::new(quote(url, choice)?)))))
            }
            Choice::Credits(chosen) => {
                self.stage = Stage::Keys(Refresh::usable(&chosen.mint), chosen);
                Ok(None)
            }
            Choice::Chain(offer) => self.sign(wallet, &offer, now).map(Some),
        }
    }

    /// Signs what is asked for, within the limits, and writes it down.
    fn sign(&mut self, wallet: &mut Wallet, offer: &ChainOffer, now: Timestamp) -> Result<Step, WalletError> {
        self.check_budget(wallet, offer.unit(), offer.price, now)?;
        let order = Order {
            method: self.request.method.clone(),
            address: self.address.clone(),
            body_digest: self.body_digest(),
            has_login: self.has_login(),
            random: self.random.ok_or(WalletError::Misuse("random bytes"))?,
        };
        let (id, payment) = on_chain::write_down(wallet, offer, order, now)?;
        (self.id, self.resumed, self.tries, self.stage) = (Some(id), false, 0, Stage::Sent);
        Ok(Step::Send(self.with_credential(&payment)))
    }

    fn has_login(&self) -> bool {
        self.request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(AUTHORIZATION))
    }

    /// Sets credits aside and writes the credential down; or begins a change of credits, if exact payment is needed.
    fn reserve(
        &mut self,
        wallet: &mut Wallet,
        chosen: Box<Chosen>,
        changed: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let Chosen { ref mint, unit, price, .. } = *chosen;
        self.check_budget(wallet, unit, price, now)?;
        let free = wallet.state.free(mint, unit, now.secs());
        let amounts: Vec<u64> = free.iter().map(|credit| credit.amount()).collect();
        let places = select(&amounts, price).unwrap_or_default();
        let credits: Vec<&Credit> = places.iter().filter_map(|place| free.get(*place).copied()).collect();
        let total = credits.iter().try_fold(0_u64, |sum, credit| sum.checked_add(credit.amount()));
        let Some((total, over)) = total.and_then(|total| Some((total, total.checked_sub(price)?))) else {
            return Err(exact::funds_short(wallet, std::slice::from_ref(mint), unit, price, now)?);
        };
        let within = self.check_budget(wallet, unit, total, now);
        // Who is asked for change may keep it: what is over the price must be within the limits too, and a dialect that
        // promises no change is paid exactly.
        let inexact = over > 0 && (within.is_err() || chosen.challenge.is_none());
        if (inexact || credits.len() > CREDITS_MAX) && !changed {
            let id = exact::begin(wallet, mint, unit, price, now)?;
            self.stage = Stage::Change(Settle::new(id), chosen);
            return Ok(None);
        }
        within?;
        let attempt = self.write_down(wallet, &chosen, &credits_of(&credits), total, now)?;
        let (id, payment) = attempt;
        (self.id, self.resumed, self.tries, self.stage) = (Some(id), false, 0, Stage::Sent);
        Ok(Some(Step::Send(self.with_credential(&payment))))
    }

    fn call(&self, unit: Unit) -> Call {
        // A limit in another asset lets nothing of this one through.
        let max = self.request.max.map(|max| at_most(max, unit));
        let spent = Amount::try_sum(self.charged.iter().map(|money| at_least(*money, unit)));
        Call { max, spent: spent.unwrap_or(Amount::MAX) }
    }

    fn check_budget(
        &self,
        wallet: &Wallet,
        unit: Unit,
        amount: u64,
        now: Timestamp,
    ) -> Result<(), WalletError> {
        let spent = |scope: &_| wallet.state.spent(unit, scope);
        let (host, day) = (self.address.host(), day_of(now));
        Ok(wallet.limits(unit).check(self.call(unit), &host, day, Amount::from(amount), spent)?)
    }

    /// One commit: credits set aside, budget charged, change planned, credential kept. Only then is anything sent.
    fn write_down(
        &self,
        wallet: &mut Wallet,
        chosen: &Chosen,
        credits: &[Credit],
        total: u64,
        now: Timestamp,
    ) -> Result<(u64, Payment), WalletError> {
        let mint = keys::known(wallet, &chosen.mint)?;
        let over = total.saturating_sub(chosen.price);
        let keyset = mint.active(chosen.unit).map(|keyset| keyset.id);
        let mut draft = Draft::new(&wallet.state);
        let id = draft.attempt_number();
        let change = match (&chosen.challenge, over) {
            (Some(_), 1..) => {
                let count = denomination::blank_outputs(over).saturating_add(1).min(u64::BITS);
                let blanks = (0..count).map(|_| 0).collect();
                Some(draft.plan(keyset?, blanks)?)
            }
            _ => None,
        };
        let (field, credential) = self.credential(wallet, chosen, credits, change.as_ref())?;
        let booking = Booking { host: self.address.host(), day: day_of(now), amount: total };
        draft.book(chosen.unit, &booking);
        draft.reserve(&credits.iter().collect::<Vec<_>>(), id);
        let payment = Payment {
            method: self.request.method.clone(),
            url: self.address.to_string(),
            body: self.body_digest(),
            dialect: chosen.dialect().to_owned(),
            field,
            credential,
            price: chosen.price,
            booking,
            change,
            delivered: false,
            receipt: None,
            chain: None,
        };
        let inputs = credits.iter().map(Credit::y).collect();
        let kind = AttemptKind::Pay(Box::new(payment.clone()));
        let (mint, unit) = (chosen.mint.clone(), chosen.unit);
        draft.attempt(Attempt { id, at: now, mint, unit, inputs, plans: Vec::new(), kind });
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok((id, payment))
    }

    /// The field and the text that pay. Proofs of equality stay here: they would link the credits to their issue.
    fn credential(
        &self,
        wallet: &Wallet,
        chosen: &Chosen,
        credits: &[Credit],
        change: Option<&Outputs>,
    ) -> Result<(String, String), WalletError> {
        let proofs = credits.iter().map(|credit| credit.proof.for_issuer());
        let token = Token::new(&chosen.mint_text, chosen.unit, None, proofs).encode();
        let Some(challenge) = &chosen.challenge else { return Ok((X_CASHU.to_owned(), token)) };
        let unwritable = || WalletError::Misuse("a credential that can be written");
        let outputs = change.map(|change| paid::output_texts(wallet, change)).transpose()?;
        let payload = credit::Payload { token, outputs }.to_json().map_err(|_| unwritable())?;
        let challenge = (**challenge).clone();
        let wanted = challenge.header.as_deref();
        let other =
            self.has_login() || wanted.is_some_and(|name| name.eq_ignore_ascii_case(PAYMENT_AUTHORIZATION));
        let field = if other { PAYMENT_AUTHORIZATION } else { AUTHORIZATION };
        let credential = mpp::Credential { challenge, source: None, payload };
        Ok((field.to_owned(), credential.encode().map_err(|_| unwritable())?))
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
                    self.stage = Stage::Paid { paid: Box::new(paid), open, settle: None };
                    return Ok(Some(Step::Deliver));
                }
                if later && may_repeat && answer.header("Retry-After").is_some() {
                    self.stage = Stage::Again;
                    return Ok(Some(Step::Wait(answer.retry_after())));
                }
                let signed = self.attempt(wallet)?.0.chain().cloned();
                self.refused(&answer, signed.as_ref(), later)
            }
        }
    }

    /// An answer that is not a problem of the gate's is the user's to see; the credits are taken back either way.
    fn refused(
        &mut self,
        answer: &HttpResponse,
        signed: Option<&ChainPayment>,
        later: bool,
    ) -> Result<Option<Step>, WalletError> {
        let id = self.id.unwrap_or_default();
        let is_problem = answer.header("Content-Type").is_some_and(|kind| Read::Problem.wants(kind));
        let problem = Problem::from_json(&answer.body).ok().filter(|_| is_problem);
        let (mut refusal, mut on_chain) = (Refusal::default(), None);
        if let Some(signed) = signed {
            refusal = Refusal::of(answer, problem.as_ref());
            if refusal.is_pending && self.tries < TRIES_MAX {
                self.stage = Stage::Again;
                return Ok(Some(Step::Wait(answer.retry_after())));
            }
            if refusal.is_pending || later {
                let reason = refusal.reason.unwrap_or_else(|| format!("it answered {}", answer.status));
                return Err(WalletError::Unknown { whom: self.address.origin(), reason });
            }
            on_chain = Some(on_chain_of(signed));
        }
        let deliver = problem.is_none() && answer.status != 402 && !self.resumed;
        let settle = Settle::told(id, refusal.is_used);
        let refused = Box::new(Refused { problem, reason: refusal.reason, on_chain });
        self.stage = Stage::Back { status: answer.status, refused, settle };
        Ok(deliver.then_some(Step::Deliver))
    }

    fn back(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let Stage::Back { status, refused, settle } = &mut self.stage else {
            return Err(WalletError::Misuse("a refusal"));
        };
        let settled = match settle.next(wallet, event, now) {
            Ok(Sub::Send(request)) => return Ok(Some(Step::Send(request))),
            Ok(Sub::Done(settled)) => Ok(settled),
            Err(error @ WalletError::Vault(_)) => return Err(error),
            Err(error) => Err(error),
        };
        let is_back = match &settled {
            Ok(Settled::Back(money)) => money.amount() > Amount::ZERO,
            // Long over: that it counts as spent is in the history.
            Ok(Settled::Unknown(_)) => true,
            _ => false,
        };
        if self.resumed && is_back {
            // That was an earlier run's payment, and it cost nothing; this run's begins now. One that was charged is told
            // first: whether to pay again is not for the wallet to decide.
            (self.id, self.resumed, self.tries, self.stage) = (None, false, 0, Stage::Start);
            return Ok(None);
        }
        let (status, Refused { problem, reason, on_chain }) = (*status, std::mem::take(&mut **refused));
        self.stage = Stage::Over;
        let url = self.address.to_string();
        let refused = RefusedPayment { url, status, problem, reason, on_chain, settled };
        Ok(Some(done(Outcome::Refused(Box::new(refused)))))
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

fn credits_of(credits: &[&Credit]) -> Vec<Credit> {
    credits.iter().map(|credit| (*credit).clone()).collect()
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
        self.id.is_some()
    }
}
