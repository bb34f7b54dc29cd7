//! Searches one keyset for credits by the words alone (NUT-09, NUT-13), and moves its counter past everything that was ever
//! used of it.

use std::collections::BTreeSet;

use farthing_ecash::{KeysetId, Proof, Y};
use farthing_money::{Timestamp, Unit};

use super::exchange::found;
use super::{Sub, answer_of};
use crate::api::{self, SpentState};
use crate::attempt::{Attempt, Outputs};
use crate::budget::Asker;
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::{Event, HttpResponse};
use crate::outputs::messages;
use crate::state::{Draft, worth};
use crate::unit::money;
use crate::vault::{Row, RowKey};
use crate::wallet::Wallet;

/// Counters asked for at once.
const BATCH: u32 = 100;
/// A keyset is done after so many batches without a find, beyond what this wallet has drawn itself.
const EMPTY_BATCHES: u32 = 3;

/// The search in one keyset.
pub(crate) struct Search {
    mint: String,
    keyset: KeysetId,
    unit: Unit,
    /// The open attempt of which it is known that nothing was signed for it; the counters of others are left to them.
    asking: Option<u64>,
    stage: Stage,
    batch: Outputs,
    empty: u32,
    /// The counter after the last that was used.
    end: u32,
    found: Vec<Proof>,
}

#[derive(Clone, Copy)]
enum Stage {
    Start,
    Batch,
    Check,
}

impl Search {
    /// A search for everything but what belongs to open attempts.
    pub(crate) fn new(mint: &str, keyset: KeysetId, unit: Unit) -> Self {
        Self {
            mint: mint.to_owned(),
            keyset,
            unit,
            asking: None,
            stage: Stage::Start,
            batch: batch(keyset, 0),
            empty: 0,
            end: 0,
            found: Vec::new(),
        }
    }

    /// The same for an attempt whose outputs the mint has signed for something else. Afterwards new ones can be planned.
    pub(crate) fn for_attempt(attempt: &Attempt, keyset: KeysetId) -> Self {
        Self { asking: Some(attempt.id), ..Self::new(&attempt.mint, keyset, attempt.unit) }
    }

    /// Ends with what the credits that were found are worth.
    pub(crate) fn next(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Sub<u64>, WalletError> {
        match self.stage {
            Stage::Start => self.ask(wallet),
            Stage::Batch => self.batch(wallet, &answer_of(&self.mint, event)?, now),
            Stage::Check => self.checked(wallet, &answer_of(&self.mint, event)?, now),
        }
    }

    fn ask(&mut self, wallet: &Wallet) -> Result<Sub<u64>, WalletError> {
        let outputs = messages(&self.batch.derive(&wallet.seed)?);
        self.stage = Stage::Batch;
        api::restore_request(&self.mint, &outputs).map(Sub::Send)
    }

    fn batch(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Sub<u64>, WalletError> {
        let restored = api::restored(&self.mint, answer)?;
        let busy = self.busy_counters(wallet);
        let mut any = false;
        for counter in self.batch.first..self.batch.end()? {
            let one = Outputs { keyset: self.keyset, first: counter, amounts: vec![0] };
            let proofs = found(wallet, &self.mint, &one, &restored)?;
            if proofs.is_empty() {
                continue;
            }
            (any, self.end) = (true, counter.saturating_add(1));
            // What belongs to an open attempt is found by that attempt; what is here already stays as it is.
            let known = |proof: &Proof| wallet.state.credits.contains_key(&RowKey::credit(proof.y()));
            if !busy.contains(&counter) {
                self.found.extend(proofs.into_iter().filter(|proof| !known(proof)));
            }
        }
        self.empty = if any { 0 } else { self.empty.saturating_add(1) };
        let next = self.batch.end()?;
        let drawn = wallet.state.counters.get(&self.keyset).is_some_and(|drawn| next < *drawn);
        if (drawn || self.empty < EMPTY_BATCHES) && next.checked_add(BATCH).is_some() {
            self.batch = batch(self.keyset, next);
            return self.ask(wallet);
        }
        if self.found.is_empty() {
            return self.keep(wallet, &BTreeSet::new(), now);
        }
        self.stage = Stage::Check;
        api::state_request(&self.mint, &self.ys()).map(Sub::Send)
    }

    fn checked(
        &mut self,
        wallet: &mut Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Sub<u64>, WalletError> {
        let states = api::states(&self.mint, &self.ys(), answer)?;
        let unspent = states.iter().filter(|one| one.state == SpentState::Unspent).map(|one| one.y).collect();
        self.keep(wallet, &unspent, now)
    }

    /// Takes in what is unspent and moves the counter past everything that was ever used.
    fn keep(
        &mut self,
        wallet: &mut Wallet,
        unspent: &BTreeSet<Y>,
        now: Timestamp,
    ) -> Result<Sub<u64>, WalletError> {
        let kept: Vec<Proof> =
            self.found.iter().filter(|proof| unspent.contains(&proof.y())).cloned().collect();
        let sum = worth(&kept);
        let mut draft = Draft::new(&wallet.state);
        draft.take_in(&kept, &self.mint, self.unit, now);
        draft.advance(self.keyset, self.end);
        if let Some(mint) =
            wallet.state.mints.get(&self.mint).filter(|mint| mint.unsearched.contains(&self.keyset))
        {
            let mut mint = mint.clone();
            mint.unsearched.retain(|id| *id != self.keyset);
            draft.put(Row::Mint(Box::new(mint)));
        }
        if sum > 0 {
            let (number, money) = (draft.attempt_number(), money(self.unit, sum)?);
            let (kind, party) = (EntryKind::Restore, self.mint.clone());
            let (url, receipt, notes) = (None, None, Vec::new());
            let entry = Entry {
                asker: Asker::default(),
                subscription: None,
                number,
                at: now,
                kind,
                party,
                money,
                url,
                receipt,
                on_chain: None,
                notes,
            };
            draft.put(Row::Entry(Box::new(entry)));
        }
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok(Sub::Done(sum))
    }

    fn ys(&self) -> Vec<Y> {
        self.found.iter().map(Proof::y).collect()
    }

    /// The counters of the keyset that open attempts have used.
    fn busy_counters(&self, wallet: &Wallet) -> BTreeSet<u32> {
        let others = wallet.attempts().filter(|attempt| Some(attempt.id) != self.asking);
        let plans = others.flat_map(|attempt: &Attempt| {
            let change = attempt.payment().and_then(|payment| payment.change.as_ref());
            attempt.plans.iter().chain(change)
        });
        let here = plans.filter(|plan| plan.keyset == self.keyset);
        here.flat_map(|plan| plan.first..plan.end().unwrap_or(plan.first)).collect()
    }
}

fn batch(keyset: KeysetId, first: u32) -> Outputs {
    Outputs { keyset, first, amounts: (0..BATCH).map(|_| 0).collect() }
}
