//! Finds credits again by the words alone (NUT-09, NUT-13): every keyset that the mint ever had is searched, signing or
//! not, because a credit outlives the rotation of keysets.

use std::collections::BTreeMap;

use farthing_ecash::KeysetId;
use farthing_money::{Timestamp, Unit};

use super::keys::{self, Refresh};
use super::search::Search;
use super::{Flow, Sub, done};
use crate::address::mint_address;
use crate::error::WalletError;
use crate::http::{Event, Step};
use crate::outcome::{Outcome, RestoredUnit};
use crate::unit::money;
use crate::wallet::Wallet;

/// Searches a mint.
pub struct RestoreFlow {
    mint: String,
    stage: Stage,
    keysets: Vec<(KeysetId, Unit)>,
    sums: BTreeMap<Unit, u64>,
}

enum Stage {
    Keys(Refresh),
    Search(Box<Search>, Unit),
    Over,
}

impl RestoreFlow {
    /// A flow for a mint.
    pub fn new(mint: &str) -> Result<Self, WalletError> {
        let mint = mint_address(mint)?;
        let stage = Stage::Keys(Refresh::all(&mint));
        Ok(Self { mint, stage, keysets: Vec::new(), sums: BTreeMap::new() })
    }

    /// The next keyset; `None` after the last.
    fn search(&mut self) -> Option<Stage> {
        let (keyset, unit) = self.keysets.pop()?;
        Some(Stage::Search(Box::new(Search::new(&self.mint, keyset, unit)), unit))
    }

    fn outcome(&mut self) -> Result<Step, WalletError> {
        let sums = std::mem::take(&mut self.sums).into_iter();
        let units = sums.map(|(unit, sum)| Ok(RestoredUnit { money: money(unit, sum)? }));
        let units = units.collect::<Result<_, WalletError>>()?;
        Ok(done(Outcome::Restored { mint: self.mint.clone(), units }))
    }
}

impl Flow for RestoreFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match &mut self.stage {
                Stage::Keys(refresh) => {
                    if let Sub::Send(request) = refresh.next(wallet, came, now)? {
                        return Ok(Step::Send(request));
                    }
                    let mint = keys::known(wallet, &self.mint)?;
                    self.keysets = mint.keys.iter().map(|keyset| (keyset.id, keyset.unit)).collect();
                }
                Stage::Search(search, unit) => {
                    let unit = *unit;
                    match search.next(wallet, came, now)? {
                        Sub::Send(request) => return Ok(Step::Send(request)),
                        Sub::Done(sum) => {
                            let all = self.sums.entry(unit).or_default();
                            *all = all.saturating_add(sum);
                        }
                    }
                }
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            }
            let Some(stage) = self.search() else {
                self.stage = Stage::Over;
                return self.outcome();
            };
            self.stage = stage;
        }
    }
}
