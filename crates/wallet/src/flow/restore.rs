//! Finds credits again by the words alone (NUT-09, NUT-13): every keyset that the mint ever had is searched, signing or
//! not, because a credit outlives the rotation of keysets.

use std::collections::{BTreeMap, BTreeSet};

use farthing_ecash::{KeysetId, Proof, Y};
use farthing_money::{Timestamp, Unit};

use super::exchange::found;
use super::keys::{self, Refresh};
use super::{Flow, Sub, answer_of, done};
use crate::address::mint_address;
use crate::api::{self, SpentState};
use crate::attempt::{Attempt, Outputs};
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::{Event, HttpResponse, Step};
use crate::outcome::{Outcome, RestoredUnit};
use crate::outputs::messages;
use crate::state::{Draft, worth};
use crate::unit::money;
use crate::vault::{Row, RowKey};
use crate::wallet::Wallet;

/// Counters asked for at once.
const BATCH: u32 = 100;
/// A keyset is done after so many batches without a find.
const EMPTY_BATCHES: u32 = 3;

/// Searches a mint.
pub struct RestoreFlow {
    mint: String,
    stage: Stage,
    keysets: Vec<(KeysetId, Unit)>,
    sums: BTreeMap<Unit, u64>,
}

enum Stage {
    Start,
    Keys(Refresh),
    Batch(Search),
    Check(Search),
    Over,
}

/// The search in one keyset.
struct Search {
    keyset: KeysetId,
    unit: Unit,
    batch: Outputs,
    empty: u32,
    /// The counter after the last that was used.
    end: u32,
    found: Vec<Proof>,
}

impl RestoreFlow {
    /// A flow for a mint.
    pub fn new(mint: &str) -> Result<Self, WalletError> {
        let (keysets, sums) = (Vec::new(), BTreeMap::new());
        Ok(Self { mint: mint_address(mint)?, stage: Stage::Start, keysets, sums })
    }

    /// The next batch, or the next keyset, or the end.
    fn search(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<Step, WalletError> {
        let Some((keyset, unit)) = self.keysets.pop() else { return self.finish(wallet, now) };
        let batch = batch(keyset, 0);
        let search = Search { keyset, unit, batch, empty: 0, end: 0, found: Vec::new() };
        self.ask(wallet, search)
    }

    fn ask(&mut self, wallet: &Wallet, search: Search) -> Result<Step, WalletError> {
        let outputs = messages(&search.batch.derive(&wallet.seed)?);
        self.stage = Stage::Batch(search);
        api::restore_request(&self.mint, &outputs).map(Step::Send)
    }

    fn batch(
        &mut self,
        wallet: &mut Wallet,
        mut search: Search,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let restored = api::restored(&self.mint, answer)?;
        let busy = busy_counters(wallet, search.keyset);
        let mut any = false;
        for counter in search.batch.first..search.batch.end()? {
            let one = Outputs { keyset: search.keyset, first: counter, amounts: vec![0] };
            let proofs = found(wallet, &self.mint, &one, &restored)?;
            if proofs.is_empty() {
                continue;
            }
            (any, search.end) = (true, counter.saturating_add(1));
            // What belongs to an open attempt is found by that attempt; what is here already stays as it is.
            let known = |proof: &Proof| wallet.state.credits.contains_key(&RowKey::credit(proof.y()));
            if !busy.contains(&counter) {
                search.found.extend(proofs.into_iter().filter(|proof| !known(proof)));
            }
        }
        search.empty = if any { 0 } else { search.empty.saturating_add(1) };
        let next = search.batch.end()?;
        if search.empty < EMPTY_BATCHES && next.checked_add(BATCH).is_some() {
            search.batch = batch(search.keyset, next);
            return self.ask(wallet, search);
        }
        if search.found.is_empty() {
            return self.keep(wallet, &search, &BTreeSet::new(), now);
        }
        let ys: Vec<Y> = search.found.iter().map(Proof::y).collect();
        self.stage = Stage::Check(search);
        api::state_request(&self.mint, &ys).map(Step::Send)
    }

    fn checked(
        &mut self,
        wallet: &mut Wallet,
        search: &Search,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let ys: Vec<Y> = search.found.iter().map(Proof::y).collect();
        let states = api::states(&self.mint, &ys, answer)?;
        let unspent = states.iter().filter(|one| one.state == SpentState::Unspent).map(|one| one.y).collect();
        self.keep(wallet, search, &unspent, now)
    }

    /// Takes in what is unspent and moves the counter past everything that was ever used.
    fn keep(
        &mut self,
        wallet: &mut Wallet,
        search: &Search,
        unspent: &BTreeSet<Y>,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let kept: Vec<Proof> =
            search.found.iter().filter(|proof| unspent.contains(&proof.y())).cloned().collect();
        let sum = self.sums.entry(search.unit).or_default();
        *sum = sum.saturating_add(worth(&kept));
        let mut draft = Draft::new(&wallet.state);
        draft.take_in(&kept, &self.mint, search.unit, now);
        draft.advance(search.keyset, search.end);
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.search(wallet, now)
    }

    fn finish(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<Step, WalletError> {
        let mut draft = Draft::new(&wallet.state);
        let mut units = Vec::new();
        for (unit, sum) in std::mem::take(&mut self.sums) {
            let money = money(unit, sum)?;
            units.push(RestoredUnit { money });
            if sum > 0 {
                let number = draft.attempt_number();
                let (kind, party) = (EntryKind::Restore, self.mint.clone());
                let (url, receipt, notes) = (None, None, Vec::new());
                let entry = Entry { number, at: now, kind, party, money, url, receipt, notes };
                draft.put(Row::Entry(Box::new(entry)));
            }
        }
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.stage = Stage::Over;
        Ok(done(Outcome::Restored { mint: self.mint.clone(), units }))
    }
}

fn batch(keyset: KeysetId, first: u32) -> Outputs {
    Outputs { keyset, first, amounts: (0..BATCH).map(|_| 0).collect() }
}

/// The counters of a keyset that open attempts have used.
fn busy_counters(wallet: &Wallet, keyset: KeysetId) -> BTreeSet<u32> {
    let plans = wallet.attempts().flat_map(|attempt: &Attempt| {
        let change = attempt.payment().and_then(|payment| payment.change.as_ref());
        attempt.plans.iter().chain(change)
    });
    let here = plans.filter(|plan| plan.keyset == keyset);
    here.flat_map(|plan| plan.first..plan.end().unwrap_or(plan.first)).collect()
}

impl Flow for RestoreFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Start => self.stage = Stage::Keys(Refresh::all(&self.mint)),
                Stage::Keys(mut refresh) => {
                    if let Sub::Send(request) = refresh.next(wallet, came, now)? {
                        self.stage = Stage::Keys(refresh);
                        return Ok(Step::Send(request));
                    }
                    let mint = keys::known(wallet, &self.mint)?;
                    self.keysets = mint.keys.iter().map(|keyset| (keyset.id, keyset.unit)).collect();
                    return self.search(wallet, now);
                }
                Stage::Batch(search) => {
                    let answer = answer_of(&self.mint, came)?;
                    return self.batch(wallet, search, &answer, now);
                }
                Stage::Check(search) => {
                    let answer = answer_of(&self.mint, came)?;
                    return self.checked(wallet, &search, &answer, now);
                }
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            }
        }
    }
}
