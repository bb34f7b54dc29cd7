//! Turns credits into a top-up code, which the operator takes back for money: the way out when an issuer ends.
//!
//! The code is the wallet's own secret and is written down before the issuer hears of it, by its hash alone. The same
//! melt asked for again gets the same answer, so every step may be repeated.

use farthing_ecash::{Proof, code, denomination, input_fee, restore};
use farthing_money::{Amount, Timestamp, Unit};
use sha2::{Digest, Sha256};

use super::exchange::{Exchange, Verdict};
use super::keys::{self, Refresh};
use super::leftovers::Leftovers;
use super::search::Search;
use super::settle::{gone, plan_again};
use super::{Flow, Sub, answer_of, done, exact};
use crate::address::mint_address;
use crate::api::{self, CODE_SIGNED, MeltQuote, Refusal};
use crate::attempt::{Attempt, AttemptKind, Outputs};
use crate::budget::Asker;
use crate::credit::Credit;
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::{Event, HttpResponse, Step};
use crate::outcome::Outcome;
use crate::outputs::{collect, messages};
use crate::select::select;
use crate::state::{Draft, worth};
use crate::unit::money;
use crate::wallet::Wallet;

/// More credits than this are turned into several codes.
const CREDITS_MAX: usize = 500;
/// How often a quote that ended is asked for anew in one run.
const QUOTES_MAX: u32 = 2;

/// Turns credits into a top-up code.
pub struct RefundFlow {
    mint: String,
    unit: Option<Unit>,
    amount: Option<u64>,
    id: Option<u64>,
    quotes: u32,
    searched: bool,
    stage: Stage,
}

enum Stage {
    Begin(Leftovers),
    Keys(Refresh),
    Quote,
    Melt,
    /// The issuer said no to the melt: is it paid all the same?
    Look(Refusal),
    Ask(Box<Exchange>, Refusal),
    Search(Box<Search>),
    Over,
}

/// The parts of an attempt.
struct Begun {
    attempt: Attempt,
    code: String,
    quote: Option<String>,
    amount: u64,
}

/// What is taken for a refund.
struct Chosen {
    credits: Vec<Credit>,
    amount: u64,
    rest: u64,
}

impl RefundFlow {
    /// A flow for so much of a mint's credits, or for all of them. The unit may be left out if there are credits of only
    /// one. Begun before, it carries on with what was begun.
    pub fn new(mint: &str, unit: Option<Unit>, amount: Option<u64>) -> Result<Self, WalletError> {
        if amount == Some(0) {
            return Err(WalletError::Misuse("an amount above zero"));
        }
        let stage = Stage::Begin(Leftovers::default());
        Ok(Self { mint: mint_address(mint)?, unit, amount, id: None, quotes: 0, searched: false, stage })
    }

    /// The flow that carries on with an attempt.
    pub(crate) fn again(attempt: &Attempt) -> Self {
        let stage = Stage::Keys(Refresh::usable(&attempt.mint));
        let (mint, unit) = (attempt.mint.clone(), Some(attempt.unit));
        Self { mint, unit, amount: None, id: Some(attempt.id), quotes: 0, searched: false, stage }
    }

    fn begun(&self, wallet: &Wallet) -> Result<Begun, WalletError> {
        let id = self.id.ok_or(WalletError::Misuse("a refund that was begun"))?;
        let attempt = wallet.state.attempt(id).cloned().ok_or(WalletError::UnknownAttempt(id))?;
        match attempt.kind.clone() {
            AttemptKind::Refund { code, quote, amount } => Ok(Begun { attempt, code, quote, amount }),
            _ => Err(WalletError::UnknownAttempt(id)),
        }
    }

    /// The attempt, new or begun before.
    fn begin(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<(), WalletError> {
        let same = |attempt: &&Attempt| {
            let refund = matches!(attempt.kind, AttemptKind::Refund { .. });
            refund && attempt.mint == self.mint && self.unit.is_none_or(|unit| unit == attempt.unit)
        };
        let open = self.id.or_else(|| wallet.attempts().find(same).map(|attempt| attempt.id));
        if open.is_some() {
            self.id = open;
            return Ok(());
        }
        wallet.check_unbound("a refund")?;
        let unit = self.unit(wallet, now)?;
        let Chosen { credits, amount, rest } = self.choose(wallet, unit, now)?;
        let credits: Vec<&Credit> = credits.iter().collect();
        let mut draft = Draft::new(&wallet.state);
        let id = draft.attempt_number();
        let code = new_code(wallet, draft.quote_key())?;
        draft.reserve(&credits, id);
        let inputs = credits.iter().map(|credit| credit.y()).collect();
        let mut plans = Vec::new();
        if rest > 0 {
            let keyset = keys::known(wallet, &self.mint)?.active(unit)?.id;
            let blanks = usize::try_from(denomination::blank_outputs(rest)).unwrap_or(64);
            plans.push(draft.plan(keyset, vec![0; blanks])?);
        }
        let kind = AttemptKind::Refund { code, quote: None, amount };
        draft.attempt(Attempt { id, at: now, mint: self.mint.clone(), unit, inputs, plans, kind });
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.id = Some(id);
        Ok(())
    }

    fn unit(&self, wallet: &Wallet, now: Timestamp) -> Result<Unit, WalletError> {
        if let Some(unit) = self.unit {
            return Ok(unit);
        }
        let mint = keys::known(wallet, &self.mint)?;
        let units = mint.units();
        let filled = |unit: &Unit| wallet.state.free_total(&self.mint, *unit, now.secs()) > 0;
        let filled: Vec<Unit> = units.iter().copied().filter(filled).collect();
        match (filled.as_slice(), units.as_slice()) {
            ([only], _) | ([], [only, ..]) => Ok(*only),
            _ => Err(WalletError::WhichUnit { mint: self.mint.clone(), known: mint.unit_list() }),
        }
    }

    /// The credits, what the code is worth, and what comes back as change.
    fn choose(&self, wallet: &Wallet, unit: Unit, now: Timestamp) -> Result<Chosen, WalletError> {
        let mint = keys::known(wallet, &self.mint)?;
        let mut have = wallet.state.free(&self.mint, unit, now.secs());
        have.sort_by_key(|credit| std::cmp::Reverse(credit.amount()));
        have.truncate(CREDITS_MAX);
        let fee = |credits: &[&Credit]| input_fee(credits.iter().map(|credit| mint.fee_ppk(credit.proof.id)));
        let total =
            |credits: &[&Credit]| credits.iter().try_fold(0_u64, |sum, one| sum.checked_add(one.amount()));
        let short = |asked| exact::funds_short(wallet, std::slice::from_ref(&self.mint), unit, asked, now);
        let owned = |credits: &[&Credit]| credits.iter().map(|credit| (*credit).clone()).collect();
        let Some(amount) = self.amount else {
            let all = total(&have).zip(fee(&have)).and_then(|(total, fee)| total.checked_sub(fee));
            return match all.filter(|amount| *amount > 0) {
                Some(amount) => Ok(Chosen { credits: owned(&have), amount, rest: 0 }),
                None => Err(short(1)?),
            };
        };
        let amounts: Vec<u64> = have.iter().map(|credit| credit.amount()).collect();
        // The fee depends on the credits, and which credits are needed on the fee: it rises until both fit.
        let mut target = amount;
        loop {
            let Some(places) = select(&amounts, target) else { return Err(short(amount)?) };
            let chosen: Vec<&Credit> = places.iter().filter_map(|place| have.get(*place).copied()).collect();
            let needed = fee(&chosen).and_then(|fee| amount.checked_add(fee));
            let Some((total, needed)) = total(&chosen).zip(needed) else { return Err(short(amount)?) };
            match total.checked_sub(needed) {
                Some(rest) => return Ok(Chosen { credits: owned(&chosen), amount, rest }),
                None => target = needed,
            }
        }
    }

    /// What to send, as far as the attempt has come.
    fn ask(&mut self, wallet: &Wallet) -> Result<Step, WalletError> {
        let Begun { attempt, code, quote, amount } = self.begun(wallet)?;
        let Some(quote) = quote else {
            self.stage = Stage::Quote;
            return api::melt_quote_request(
                &self.mint,
                attempt.unit,
                &hex::encode(code::hash(&code)),
                amount,
            )
            .map(Step::Send);
        };
        let inputs: Vec<Proof> = wallet.state.inputs(&attempt).iter().map(Proof::for_issuer).collect();
        let blanks = attempt.plans.last().map(|plan| plan.derive(&wallet.seed)).transpose()?;
        let blanks = blanks.map(|planned| messages(&planned));
        self.stage = Stage::Melt;
        api::melt_request(&self.mint, &quote, &inputs, blanks.as_deref()).map(Step::Send)
    }

    fn quoted(&mut self, wallet: &mut Wallet, answer: &HttpResponse) -> Result<Step, WalletError> {
        let Begun { mut attempt, code, amount, .. } = self.begun(wallet)?;
        match api::melt_quote(&self.mint, answer)? {
            Ok(quote) if quote.amount != amount || quote.unit != attempt.unit || quote.fee_reserve > 0 => {
                let expected = "a quote for the amount that was asked for, without a reserve";
                let got = format!("{} {}", quote.amount, quote.unit);
                Err(WalletError::bad_answer(&self.mint, expected, got))
            }
            // It becomes part of an address.
            Ok(quote) if !quote.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') => {
                Err(WalletError::bad_answer(&self.mint, "a quote with a plain name", "another"))
            }
            Ok(quote) => {
                attempt.kind = AttemptKind::Refund { code, quote: Some(quote.id), amount };
                let mut draft = Draft::new(&wallet.state);
                draft.attempt(attempt);
                let changes = draft.into_changes();
                wallet.commit(changes)?;
                self.ask(wallet)
            }
            Err(refusal) => self.give_up(wallet, refusal),
        }
    }

    /// Nothing was sent that could be spent: the credits are free again.
    fn give_up(&self, wallet: &mut Wallet, refusal: Refusal) -> Result<Step, WalletError> {
        let Begun { attempt, .. } = self.begun(wallet)?;
        let stale = keys::stale(wallet, &self.mint);
        let mut draft = Draft::new(&wallet.state);
        draft.free(&attempt.inputs);
        draft.finish(attempt.id, None);
        let mut changes = draft.into_changes();
        changes.extend(stale);
        wallet.commit(changes)?;
        Err(refusal.at(&self.mint))
    }

    fn melted(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        match api::melt_quote(&self.mint, answer)? {
            Ok(quote) if quote.paid => self.paid(wallet, &quote, now),
            Ok(_) => Err(WalletError::bad_answer(&self.mint, "a paid melt quote", "an unpaid one")),
            Err(refusal) => {
                let quote = self.begun(wallet)?.quote.ok_or(WalletError::Misuse("a quote"))?;
                self.stage = Stage::Look(refusal);
                Ok(Step::Send(api::melt_state_request(&self.mint, &quote)))
            }
        }
    }

    /// After a refusal: an earlier request whose answer was lost may have paid the quote.
    fn looked(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        if let Ok(quote) = api::melt_quote(&self.mint, answer)?
            && quote.paid
        {
            return self.paid(wallet, &quote, now);
        }
        let Begun { attempt, .. } = self.begun(wallet)?;
        let mut exchange = Exchange::ask(&self.mint, &wallet.state.inputs(&attempt), attempt.plans.last());
        match exchange.next(wallet, Event::Go)? {
            Sub::Send(request) => {
                self.stage = Stage::Ask(Box::new(exchange), refusal);
                Ok(Step::Send(request))
            }
            Sub::Done(_) => Err(WalletError::Misuse("a question first")),
        }
    }

    fn end(
        &mut self,
        wallet: &mut Wallet,
        verdict: Verdict,
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let Begun { mut attempt, code, amount, .. } = self.begun(wallet)?;
        match verdict {
            Verdict::Change(change) => self.finish(wallet, &change, now),
            Verdict::Spent(spent) => {
                gone(wallet, &attempt, &spent, now)?;
                Err(WalletError::Spent(self.mint.clone()))
            }
            Verdict::Pending => Err(WalletError::Pending(self.mint.clone())),
            // The quote may have ended while nobody looked.
            Verdict::Unspent(_) if refusal.code == CODE_SIGNED && !self.searched => {
                let plan = attempt.plans.last().ok_or(WalletError::Misuse("outputs"))?;
                self.searched = true;
                self.stage = Stage::Search(Box::new(Search::for_attempt(&attempt, plan.keyset)));
                self.next(wallet, Event::Go, now)
            }
            Verdict::Unspent(_) | Verdict::Signed(_) | Verdict::Swapped(_) if self.quotes < QUOTES_MAX => {
                self.quotes = self.quotes.saturating_add(1);
                attempt.kind = AttemptKind::Refund { code, quote: None, amount };
                let mut draft = Draft::new(&wallet.state);
                draft.attempt(attempt);
                let changes = draft.into_changes();
                wallet.commit(changes)?;
                self.ask(wallet)
            }
            Verdict::Unspent(_) | Verdict::Signed(_) | Verdict::Swapped(_) => self.give_up(wallet, refusal),
        }
    }

    fn paid(&mut self, wallet: &mut Wallet, quote: &MeltQuote, now: Timestamp) -> Result<Step, WalletError> {
        let Begun { attempt, .. } = self.begun(wallet)?;
        let change = match (attempt.plans.last(), &quote.change) {
            (Some(plan), Some(signatures)) => {
                let mint = keys::known(wallet, &self.mint)?;
                let keyset = mint.keyset(plan.keyset).ok_or(WalletError::Misuse("known keys"))?;
                let planned = Outputs::derive(plan, &wallet.seed)?;
                collect(&planned, signatures, keyset, &self.mint)?
            }
            _ => Vec::new(),
        };
        self.finish(wallet, &change, now)
    }

    fn finish(&mut self, wallet: &mut Wallet, change: &[Proof], now: Timestamp) -> Result<Step, WalletError> {
        let Begun { attempt, code, amount, .. } = self.begun(wallet)?;
        let refunded = money(attempt.unit, amount)?;
        let came = worth(&wallet.state.inputs(&attempt));
        let fee = came.saturating_sub(amount).saturating_sub(worth(change));
        let mut draft = Draft::new(&wallet.state);
        draft.spend(&attempt.inputs);
        draft.take_in(change, &attempt.mint, attempt.unit, now);
        let entry = Entry {
            number: attempt.id,
            at: now,
            kind: EntryKind::Refund,
            party: attempt.mint.clone(),
            money: refunded,
            url: None,
            receipt: None,
            on_chain: None,
            asker: Asker::default(),
            subscription: None,
            notes: vec![format!("top-up code {code}")],
        };
        draft.finish(attempt.id, Some(entry));
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.stage = Stage::Over;
        let fee = money(attempt.unit, Amount::from(fee))?;
        Ok(done(Outcome::Refunded { mint: self.mint.clone(), code, money: refunded, fee }))
    }
}

/// The code of this number: 100 bits that follow from the seed.
fn new_code(wallet: &Wallet, number: u32) -> Result<String, WalletError> {
    let key = restore::quote_key(wallet.seed.bytes(), number)?;
    let digest = Sha256::new().chain_update(b"farthing/refund-code/1").chain_update(*key.expose_bytes());
    let digest: [u8; 32] = digest.finalize().into();
    let mut bits = [0; 20];
    bits.iter_mut().zip(digest).for_each(|(bit, byte)| *bit = byte);
    Ok(code::text(&bits))
}

impl Flow for RefundFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match &mut self.stage {
                Stage::Begin(leftovers) => match leftovers.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => self.stage = Stage::Keys(Refresh::usable(&self.mint)),
                },
                Stage::Keys(refresh) => match refresh.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => {
                        self.begin(wallet, now)?;
                        return self.ask(wallet);
                    }
                },
                Stage::Quote => {
                    let answer = answer_of(&self.mint, came)?;
                    return self.quoted(wallet, &answer);
                }
                Stage::Melt => {
                    let answer = answer_of(&self.mint, came)?;
                    return self.melted(wallet, &answer, now);
                }
                Stage::Look(refusal) => {
                    let refusal = refusal.clone();
                    let answer = answer_of(&self.mint, came)?;
                    return self.looked(wallet, &answer, refusal, now);
                }
                Stage::Ask(exchange, refusal) => {
                    let refusal = refusal.clone();
                    return match exchange.next(wallet, came)? {
                        Sub::Send(request) => Ok(Step::Send(request)),
                        Sub::Done(verdict) => self.end(wallet, verdict, refusal, now),
                    };
                }
                Stage::Search(search) => match search.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(_) => {
                        plan_again(wallet, self.begun(wallet)?.attempt)?;
                        return self.ask(wallet);
                    }
                },
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            }
        }
    }
}
