//! Turns a top-up code into credits, a trial for newcomers, or an order that is paid for. The same code asked for again gives the same quote, and the same outputs get the
//! same signatures, so every step may be repeated.

use farthing_ecash::{PublicKey, quote_signature, restore};
use farthing_money::{Span, Timestamp, Unit};

use super::exchange::found;
use super::keys::{self, Refresh};
use super::search::Search;
use super::settle::plan_again;
use super::{Flow, Sub, answer_of, done};
use crate::address::mint_address;
use crate::api::{self, CODE_ISSUED, CODE_SIGNED, Refusal};
use crate::attempt::{Attempt, AttemptKind};
use crate::budget::Asker;
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::{Event, HttpRequest, HttpResponse, Step};
use crate::outcome::Outcome;
use crate::outputs::{collect, messages};
use crate::state::{Draft, worth};
use crate::unit::money;
use crate::vault::Row;
use crate::wallet::Wallet;

/// Redeems a top-up code.
pub struct RedeemFlow {
    mint: String,
    code: String,
    unit: Option<Unit>,
    id: Option<u64>,
    searched: bool,
    stage: Stage,
}

enum Stage {
    Start,
    Keys(Refresh),
    Quote,
    Check,
    Mint,
    Restore(Refusal),
    Search(Box<Search>),
    Over,
}

/// The parts of an attempt to redeem.
struct Begun {
    attempt: Attempt,
    quote_key: u32,
    quote: Option<String>,
    amount: u64,
    method: &'static str,
}

/// So long after its end an order is kept, for what may still come.
const KEPT: Span = Span::from_secs(30 * 24 * 3600);

/// Whether an order is asked for by the way, and not only when all that is open is: until its end, as long as its credits are
/// here; then once more, when it is forgotten.
pub(super) fn is_asked_by_the_way(order: &Attempt, now: Timestamp) -> bool {
    let AttemptKind::Buy { expiry, .. } = order.kind else { return true };
    let end = expiry.map_or(order.at, Timestamp::from_secs);
    !order.is_kept_order() || now < end || end.after(KEPT) <= now
}

impl RedeemFlow {
    /// A flow for a code at a mint; the unit may be left out if the mint has only one. Begun before, it carries on.
    pub fn new(code: &str, mint: &str, unit: Option<Unit>) -> Result<Self, WalletError> {
        let (mint, code) = (mint_address(mint)?, code.trim().to_owned());
        Ok(Self { mint, code, unit, id: None, searched: false, stage: Stage::Start })
    }

    /// A flow for credits that a mint gives to newcomers. Begun before, it carries on.
    pub fn trial(mint: &str, unit: Option<Unit>) -> Result<Self, WalletError> {
        Self::new("", mint, unit)
    }

    /// A flow for credits that were ordered.
    pub fn of_order(attempt: &Attempt) -> Self {
        Self {
            mint: attempt.mint.clone(),
            code: String::new(),
            unit: Some(attempt.unit),
            id: Some(attempt.id),
            searched: false,
            stage: Stage::Start,
        }
    }

    fn begun(&self, wallet: &Wallet) -> Result<Begun, WalletError> {
        let id = self.id.ok_or(WalletError::Misuse("an attempt to redeem"))?;
        let attempt = wallet.state.attempt(id).cloned().ok_or(WalletError::UnknownAttempt(id))?;
        match attempt.kind.clone() {
            AttemptKind::Redeem { quote_key, quote, amount, code } => {
                let method = if code.is_empty() { "trial" } else { "code" };
                Ok(Begun { attempt, quote_key, quote, amount, method })
            }
            AttemptKind::Buy { quote_key, quote, amount, .. } => {
                Ok(Begun { attempt, quote_key, quote: Some(quote), amount, method: "evm" })
            }
            _ => Err(WalletError::UnknownAttempt(id)),
        }
    }

    /// The attempt, new or begun before.
    fn begin(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<(), WalletError> {
        if self.id.is_some() {
            return Ok(());
        }
        let same = |attempt: &&Attempt| {
            let code = matches!(&attempt.kind, AttemptKind::Redeem { code, .. } if *code == self.code);
            code && attempt.mint == self.mint
        };
        let open = wallet.attempts().find(same).map(|attempt| attempt.id);
        if open.is_some() {
            self.id = open;
            return Ok(());
        }
        let mint = keys::known(wallet, &self.mint)?;
        let (which, known) = (self.mint.clone(), mint.unit_list());
        let unit = match (self.unit, mint.units().as_slice()) {
            (Some(unit), _) => mint.active(unit).map(|_| unit)?,
            (None, [only]) => *only,
            (None, _) => return Err(WalletError::WhichUnit { mint: which, known }),
        };
        let mut draft = Draft::new(&wallet.state);
        let (id, quote_key) = (draft.attempt_number(), draft.quote_key());
        let kind = AttemptKind::Redeem { code: self.code.clone(), quote_key, quote: None, amount: 0 };
        let (inputs, plans) = (Vec::new(), Vec::new());
        draft.attempt(Attempt { id, at: now, mint: self.mint.clone(), unit, inputs, plans, kind });
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.id = Some(id);
        Ok(())
    }

    /// Asks how an order stands, unless its credits were asked for before: then the same request finds what became of it.
    fn ask_first(&mut self, wallet: &mut Wallet) -> Result<Step, WalletError> {
        let begun = self.begun(wallet)?;
        match begun.attempt.kind {
            AttemptKind::Buy { quote, .. } if begun.attempt.plans.is_empty() => {
                self.stage = Stage::Check;
                Ok(Step::Send(api::order_state_request(&self.mint, &quote)))
            }
            _ => self.ask(wallet),
        }
    }

    /// How an order stands: all that has come is minted, when it is what was asked for, or when no more is expected. What comes
    /// after that is minted as well.
    fn checked(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let mut attempt = self.begun(wallet)?.attempt;
        let order = api::order(&self.mint, answer)?.map_err(|refusal| refusal.at(&self.mint))?;
        let AttemptKind::Buy { asked, amount, expiry, minted, .. } = &mut attempt.kind else {
            return Err(WalletError::Misuse("an order"));
        };
        let left = order.amount_paid.saturating_sub(order.amount_issued);
        let ends = expiry.map(Timestamp::from_secs);
        let is_over = ends.is_some_and(|end| end <= now);
        if left > 0 && (order.amount_paid >= *asked || is_over) {
            *amount = left;
            let mut draft = Draft::new(&wallet.state);
            draft.attempt(attempt);
            let changes = draft.into_changes();
            wallet.commit(changes)?;
            return self.ask(wallet);
        }
        let (asked, unit) = (money(attempt.unit, *asked)?, attempt.unit);
        let ends = ends.or((*minted > 0).then_some(attempt.at));
        if ends.is_some_and(|end| end.after(KEPT) <= now) {
            let mut draft = Draft::new(&wallet.state);
            draft.finish(attempt.id, None);
            let changes = draft.into_changes();
            wallet.commit(changes)?;
        }
        self.stage = Stage::Over;
        let paid = money(unit, order.amount_paid)?;
        Ok(done(Outcome::Waiting { mint: self.mint.clone(), asked, paid }))
    }

    /// What to send, as far as the attempt has come.
    fn ask(&mut self, wallet: &mut Wallet) -> Result<Step, WalletError> {
        let begun = self.begun(wallet)?;
        let key = restore::quote_key(wallet.seed.bytes(), begun.quote_key)?;
        let Some(quote) = begun.quote else {
            self.stage = Stage::Quote;
            let pubkey = key.public_key().to_string();
            let (mint, unit) = (&self.mint, begun.attempt.unit);
            let request = if self.code.is_empty() {
                api::trial_request(mint, unit, pubkey)
            } else {
                api::quote_request(mint, unit, &self.code, pubkey)
            };
            return request.map(Step::Send);
        };
        let mint = keys::known(wallet, &self.mint)?;
        let mut attempt = begun.attempt;
        if attempt.plans.last().is_none_or(|plan| !mint.is_active(plan.keyset)) {
            let keyset = mint.active(attempt.unit)?;
            let (keyset, amounts) = (keyset.id, keyset.split(begun.amount)?);
            let mut draft = Draft::new(&wallet.state);
            attempt.plans.push(draft.plan(keyset, amounts)?);
            draft.attempt(attempt.clone());
            let changes = draft.into_changes();
            wallet.commit(changes)?;
        }
        let plan = attempt.plans.last().ok_or(WalletError::Misuse("outputs"))?;
        let outputs = messages(&plan.derive(&wallet.seed)?);
        let signature = quote_signature::sign(&quote, &outputs, &key);
        self.stage = Stage::Mint;
        api::mint_request(&self.mint, (begun.method, &quote), &outputs, signature).map(Step::Send)
    }

    fn quoted(&mut self, wallet: &mut Wallet, answer: &HttpResponse) -> Result<Step, WalletError> {
        let Begun { mut attempt, quote_key, .. } = self.begun(wallet)?;
        let key: PublicKey = restore::quote_key(wallet.seed.bytes(), quote_key)?.public_key();
        let refusal = match api::quote(&self.mint, answer)? {
            Ok(quote) if quote.pubkey.is_some_and(|other| other != key) => Refusal {
                detail: "the code was used before, by another wallet or earlier by this one".into(),
                code: 0,
            },
            Ok(quote) if quote.unit != attempt.unit || quote.amount == 0 => {
                let detail =
                    format!("the code is for {} {}, not for {}", quote.amount, quote.unit, attempt.unit);
                Refusal { detail, code: 0 }
            }
            Ok(quote) => {
                let (code, amount) = (self.code.clone(), quote.amount);
                attempt.kind = AttemptKind::Redeem { code, quote_key, quote: Some(quote.id), amount };
                let mut draft = Draft::new(&wallet.state);
                draft.attempt(attempt);
                let changes = draft.into_changes();
                wallet.commit(changes)?;
                return self.ask(wallet);
            }
            Err(refusal) => refusal,
        };
        let mut draft = Draft::new(&wallet.state);
        draft.finish(attempt.id, None);
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Err(refusal.at(&self.mint))
    }

    fn minted(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let attempt = self.begun(wallet)?.attempt;
        match api::signatures(&self.mint, answer)? {
            Ok(signatures) => {
                let plan = attempt.plans.last().ok_or(WalletError::Misuse("outputs"))?;
                let mint = keys::known(wallet, &self.mint)?;
                let keyset = mint.keyset(plan.keyset).ok_or(WalletError::Misuse("known keys"))?;
                let proofs = collect(&plan.derive(&wallet.seed)?, &signatures, keyset, &self.mint)?;
                self.finish(wallet, &attempt, &proofs, now)
            }
            // Whoever asks again for what was issued is told so, or is given it: these were signed for something else.
            Err(refusal) if refusal.code == CODE_SIGNED && !self.searched => {
                let plan = attempt.plans.last().ok_or(WalletError::Misuse("outputs"))?;
                self.searched = true;
                self.stage = Stage::Search(Box::new(Search::for_attempt(&attempt, plan.keyset)));
                self.next(wallet, Event::Go, now)
            }
            Err(refusal) => {
                self.stage = Stage::Restore(refusal);
                restore_request(wallet, &attempt).map(Step::Send)
            }
        }
    }

    /// The mint said no; perhaps because an earlier request, whose answer was lost, had succeeded.
    fn restored(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let attempt = self.begun(wallet)?.attempt;
        let restored = api::restored(&self.mint, answer)?;
        for plan in &attempt.plans {
            let proofs = found(wallet, &self.mint, plan, &restored)?;
            if !proofs.is_empty() && proofs.len() == plan.amounts.len() {
                return self.finish(wallet, &attempt, &proofs, now);
            }
        }
        let mut changes: Vec<_> = keys::stale(wallet, &self.mint).into_iter().collect();
        if refusal.code == CODE_ISSUED {
            // For outputs that are none of these: another copy of the wallet was first.
            let mut draft = Draft::new(&wallet.state);
            match attempt.kind {
                AttemptKind::Buy { .. } => draft.attempt(Attempt { plans: Vec::new(), ..attempt }),
                _ => draft.finish(attempt.id, None),
            }
            changes.extend(draft.into_changes());
        }
        wallet.commit(changes)?;
        Err(refusal.at(&self.mint))
    }

    fn finish(
        &mut self,
        wallet: &mut Wallet,
        attempt: &Attempt,
        proofs: &[farthing_ecash::Proof],
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let came = worth(proofs);
        let money = money(attempt.unit, came)?;
        let mut draft = Draft::new(&wallet.state);
        draft.take_in(proofs, &attempt.mint, attempt.unit, now);
        // An order has an entry for each time that it brought something.
        let (number, is_bought) = match &attempt.kind {
            AttemptKind::Buy { minted, .. } if *minted > 0 => (draft.attempt_number(), true),
            kind => (attempt.id, matches!(kind, AttemptKind::Buy { .. })),
        };
        let entry = Entry {
            number,
            at: now,
            kind: if is_bought { EntryKind::Buy } else { EntryKind::Redeem },
            party: attempt.mint.clone(),
            money,
            url: None,
            receipt: None,
            on_chain: None,
            asker: Asker::default(),
            subscription: None,
            notes: Vec::new(),
        };
        let mut kept = Attempt { plans: Vec::new(), ..attempt.clone() };
        if let AttemptKind::Buy { minted, .. } = &mut kept.kind {
            *minted = minted.saturating_add(came);
            draft.put_all([Row::Attempt(Box::new(kept)), Row::Entry(Box::new(entry))]);
        } else {
            draft.finish(attempt.id, Some(entry));
        }
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.stage = Stage::Over;
        Ok(done(Outcome::Redeemed { mint: self.mint.clone(), money }))
    }
}

fn restore_request(wallet: &Wallet, attempt: &Attempt) -> Result<HttpRequest, WalletError> {
    let mut outputs = Vec::new();
    for plan in &attempt.plans {
        outputs.extend(messages(&plan.derive(&wallet.seed)?));
    }
    api::restore_request(&attempt.mint, &outputs)
}

impl Flow for RedeemFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match &mut self.stage {
                Stage::Start => self.stage = Stage::Keys(Refresh::usable(&self.mint)),
                Stage::Keys(refresh) => match refresh.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => {
                        self.begin(wallet, now)?;
                        return self.ask_first(wallet);
                    }
                },
                Stage::Quote => {
                    let answer = answer_of(&self.mint, came)?;
                    return self.quoted(wallet, &answer);
                }
                Stage::Check => {
                    let answer = answer_of(&self.mint, came)?;
                    return self.checked(wallet, &answer, now);
                }
                Stage::Mint => {
                    let answer = answer_of(&self.mint, came)?;
                    return self.minted(wallet, &answer, now);
                }
                Stage::Restore(refusal) => {
                    let refusal = refusal.clone();
                    let answer = answer_of(&self.mint, came)?;
                    return self.restored(wallet, &answer, refusal, now);
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
