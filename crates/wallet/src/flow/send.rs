//! Gives credits away as a token. The wallet keeps a record, so that a token that nobody took can be taken back.

use farthing_ecash::{Proof, Token};
use farthing_money::{Amount, Money, Timestamp, Unit};

use super::keys::{self, Refresh};
use super::leftovers::Leftovers;
use super::settle::Settle;
use super::{Flow, Sub, done, exact};
use crate::address::{Address, mint_address};
use crate::attempt::{Attempt, AttemptKind};
use crate::budget::{Asker, Asking, Call, Grant};
use crate::credit::Credit;
use crate::error::WalletError;
use crate::history::{Entry, EntryKind};
use crate::http::{Event, Step};
use crate::outcome::Outcome;
use crate::select::select;
use crate::state::Draft;
use crate::vault::Row;
use crate::wallet::Wallet;

/// Makes a token of exactly an amount.
pub struct SendFlow {
    money: Money,
    mint: Option<String>,
    memo: Option<String>,
    stage: Stage,
}

enum Stage {
    Begin(Leftovers),
    Start,
    Keys(Refresh, String),
    Change(Settle, String),
    Over,
}

impl SendFlow {
    /// A flow for an amount, of a mint or of the one at which there is the most.
    pub fn new(money: Money, mint: Option<&str>, memo: Option<String>) -> Result<Self, WalletError> {
        let mint = mint.map(mint_address).transpose()?;
        Ok(Self { money, mint, memo, stage: Stage::Begin(Leftovers::default()) })
    }

    fn amount(&self) -> Result<u64, WalletError> {
        let amount = self.money.amount().to_u64().filter(|amount| *amount > 0);
        amount.ok_or(WalletError::Misuse("an amount between 1 and 2^64 - 1 minor units"))
    }

    /// The mint whose credits are sent.
    fn choose(&self, wallet: &Wallet, now: Timestamp) -> Result<String, WalletError> {
        let (unit, amount) = (self.money.asset().unit(), self.amount()?);
        let mints =
            wallet.state.mints.keys().filter(|mint| self.mint.as_ref().is_none_or(|only| only == *mint));
        let mints: Vec<String> = mints.cloned().collect();
        let have = |mint: &String| wallet.state.free_total(mint, unit, now.secs());
        match mints.iter().max_by_key(|mint| have(mint)).filter(|mint| have(mint) >= amount) {
            Some(mint) => Ok(mint.clone()),
            None => Err(exact::funds_short(wallet, &mints, unit, amount, now)?),
        }
    }

    /// Sets the credits aside and makes the token; or begins a change of credits first.
    fn reserve(
        &mut self,
        wallet: &mut Wallet,
        mint: String,
        again: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let (unit, amount) = (self.money.asset().unit(), self.amount()?);
        let free = wallet.state.free(&mint, unit, now.secs());
        let amounts: Vec<u64> = free.iter().map(|credit| credit.amount()).collect();
        let places = select(&amounts, amount).unwrap_or_default();
        let credits: Vec<&Credit> = places.iter().filter_map(|place| free.get(*place).copied()).collect();
        let total = credits.iter().fold(0_u64, |sum, credit| sum.saturating_add(credit.amount()));
        if total < amount || (total > amount && again) {
            return Err(exact::funds_short(wallet, &[mint], unit, amount, now)?);
        }
        if total > amount {
            keys::known(wallet, &mint)?;
            let id = exact::begin(wallet, &mint, unit, amount, now)?;
            self.stage = Stage::Change(Settle::new(id), mint);
            return Ok(None);
        }
        let grant = granted(wallet, &mint, unit, amount, now)?;
        let proofs: Vec<Proof> = credits.iter().map(|credit| credit.proof.clone()).collect();
        let token = Token::new(&mint, unit, self.memo.clone(), proofs).encode();
        let mut draft = Draft::new(&wallet.state);
        let id = draft.attempt_number();
        draft.reserve(&credits, id);
        let booking = grant.map(|grant| {
            draft.grant(unit, &grant);
            grant.booking
        });
        let inputs = credits.iter().map(|credit| credit.y()).collect();
        draft.put(Row::Entry(Box::new(Entry {
            number: id,
            at: now,
            kind: EntryKind::Send,
            party: mint.clone(),
            money: self.money,
            url: None,
            receipt: None,
            on_chain: None,
            asker: Asker::default(),
            subscription: None,
            notes: self.memo.iter().cloned().collect(),
        })));
        let kind = AttemptKind::Sent { amount, reclaiming: false, booking };
        draft.attempt(Attempt { id, at: now, mint, unit, inputs, plans: Vec::new(), kind });
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.stage = Stage::Over;
        Ok(Some(done(Outcome::Sent { attempt: id, token, money: self.money })))
    }
}

/// In a wallet that a mandate binds, what is given away is spent: it counts against everything, as if the mint were paid.
fn granted(
    wallet: &Wallet,
    mint: &str,
    unit: Unit,
    amount: u64,
    now: Timestamp,
) -> Result<Option<Grant>, WalletError> {
    if !wallet.is_bound() {
        return Ok(None);
    }
    let (address, asker): (Address, _) = (mint.parse()?, Asker::default());
    let call = Call { max: None, spent: Amount::ZERO };
    let asking = Asking::unasked(&address, &asker, call);
    wallet.weigh(unit, &asking, (amount, amount), now).map(Some)
}

impl Flow for SendFlow {
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
                Stage::Start => {
                    let mint = self.choose(wallet, now)?;
                    self.stage = Stage::Keys(Refresh::usable(&mint), mint);
                    None
                }
                Stage::Keys(refresh, mint) => match refresh.next(wallet, came, now)? {
                    Sub::Send(request) => Some(Step::Send(request)),
                    Sub::Done(()) => {
                        let mint = mint.clone();
                        self.reserve(wallet, mint, false, now)?
                    }
                },
                Stage::Change(settle, mint) => match settle.next(wallet, came, now)? {
                    Sub::Send(request) => Some(Step::Send(request)),
                    Sub::Done(_) => {
                        let mint = mint.clone();
                        self.reserve(wallet, mint, true, now)?
                    }
                },
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }
}
