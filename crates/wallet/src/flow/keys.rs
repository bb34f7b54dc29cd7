//! Learns the keysets of a mint: the list, and the keys of those that matter. Every set of keys is checked against its
//! name, and keys once seen under a name are kept. A wallet that was made again from its words searches those that sign.

use farthing_ecash::{Keyset, KeysetInfo};
use farthing_money::Timestamp;

use super::search::Search;
use super::{Sub, answer_of};
use crate::api;
use crate::error::WalletError;
use crate::http::Event;
use crate::mint::Mint;
use crate::unit::asset_of;
use crate::vault::{Change, Row};
use crate::wallet::Wallet;

/// No honest mint has more keysets than this.
const KEYSETS_MAX: usize = 1_000;

/// Fetches what is missing or old.
pub(crate) struct Refresh {
    mint: String,
    all: bool,
    stage: Stage,
}

enum Stage {
    Start,
    List,
    Keys { list: Vec<KeysetInfo>, missing: Vec<KeysetInfo>, fetched: Vec<Keyset> },
    Search(Box<Search>),
}

impl Refresh {
    /// The keysets that sign, and those of the credits that the wallet has; not asked for again within the hour. Afterwards
    /// outputs can be planned.
    pub(crate) fn usable(mint: &str) -> Self {
        Self { mint: mint.to_owned(), all: false, stage: Stage::Start }
    }

    /// Every keyset, asked for now.
    pub(crate) fn all(mint: &str) -> Self {
        Self { all: true, ..Self::usable(mint) }
    }

    pub(crate) fn next(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Sub<()>, WalletError> {
        let known = wallet.state.mints.get(&self.mint);
        match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Start => {
                if !self.all && known.is_some_and(|mint| mint.is_fresh(now)) {
                    return self.search(wallet, now);
                }
                self.stage = Stage::List;
                Ok(Sub::Send(api::keysets_request(&self.mint)))
            }
            Stage::List => {
                let answer = match answer_of(&self.mint, event) {
                    Ok(answer) => answer,
                    // Old keys are good enough for what does not need new ones; the mint will say so if they are not.
                    Err(_) if !self.all && known.is_some_and(|mint| !mint.keys.is_empty()) => {
                        return self.search(wallet, now);
                    }
                    Err(error) => return Err(error),
                };
                let mut list = api::keysets(&self.mint, &answer)?;
                list.retain(|info| asset_of(info.unit).is_some());
                if list.len() > KEYSETS_MAX {
                    let got = list.len().to_string();
                    return Err(WalletError::bad_answer(&self.mint, "at most 1000 keysets", got));
                }
                let held = |info: &KeysetInfo| {
                    wallet.state.credits.values().any(|credit| credit.proof.id == info.id)
                };
                let missing = list.iter().filter(|info| {
                    known.is_none_or(|mint| mint.keyset(info.id).is_none())
                        && (self.all || info.active || held(info))
                });
                let missing = missing.copied().collect();
                self.fetch(wallet, list, missing, Vec::new(), now)
            }
            Stage::Keys { list, mut missing, mut fetched } => {
                let answer = answer_of(&self.mint, event)?;
                if let Some(asked) = missing.pop() {
                    fetched.push(api::keys(&self.mint, &asked, &answer)?);
                }
                self.fetch(wallet, list, missing, fetched, now)
            }
            Stage::Search(mut search) => match search.next(wallet, event, now)? {
                Sub::Send(request) => {
                    self.stage = Stage::Search(search);
                    Ok(Sub::Send(request))
                }
                Sub::Done(_) => self.search(wallet, now),
            },
        }
    }

    /// Looks for what a lost wallet has had signed by the keysets that sign, one after another, if it was not looked for.
    fn search(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<Sub<()>, WalletError> {
        let mint = known(wallet, &self.mint)?;
        let next = mint.unsearched.iter().find_map(|id| {
            let keyset = mint.keyset(*id).filter(|_| mint.is_active(*id));
            keyset.map(|keyset| Search::new(&self.mint, *id, keyset.unit))
        });
        match next {
            Some(mut search) if !self.all => {
                let first = search.next(wallet, Event::Go, now)?;
                self.stage = Stage::Search(Box::new(search));
                Ok(match first {
                    Sub::Send(request) => Sub::Send(request),
                    Sub::Done(_) => Sub::Done(()),
                })
            }
            _ => Ok(Sub::Done(())),
        }
    }

    fn fetch(
        &mut self,
        wallet: &mut Wallet,
        list: Vec<KeysetInfo>,
        missing: Vec<KeysetInfo>,
        fetched: Vec<Keyset>,
        now: Timestamp,
    ) -> Result<Sub<()>, WalletError> {
        if let Some(next) = missing.last() {
            let request = api::keys_request(&self.mint, next);
            self.stage = Stage::Keys { list, missing, fetched };
            return Ok(Sub::Send(request));
        }
        let mut mint = wallet.state.mints.get(&self.mint).cloned().unwrap_or_else(|| Mint::new(&self.mint));
        // A keyset that is no longer listed may still have credits: what it cost to spend them stays known.
        if wallet.state.numbers.restored && mint.keysets.is_empty() {
            mint.unsearched = list.iter().map(|info| info.id).collect();
        }
        let gone = mint.keysets.iter().filter(|old| list.iter().all(|info| info.id != old.id));
        let gone: Vec<_> = gone.map(|old| KeysetInfo { active: false, ..*old }).collect();
        mint.keysets = list.into_iter().chain(gone).collect();
        mint.keys.extend(fetched);
        mint.fetched_at = now;
        wallet.commit(vec![Change::Put(Row::Mint(Box::new(mint)))])?;
        self.search(wallet, now)
    }
}

/// The mint, which [`Refresh`] has made known.
pub(crate) fn known<'w>(wallet: &'w Wallet, mint: &str) -> Result<&'w Mint, WalletError> {
    wallet.state.mints.get(mint).ok_or(WalletError::Misuse("a mint whose keysets were fetched"))
}

/// The change that makes the next operation ask for the keysets again.
pub(crate) fn stale(wallet: &Wallet, mint: &str) -> Option<Change> {
    let mint = wallet.state.mints.get(mint)?;
    let stale = Mint { fetched_at: Timestamp::default(), ..mint.clone() };
    Some(Change::Put(Row::Mint(Box::new(stale))))
}
