//! Tokens with EIP-3009 that count in memory and refuse in the sentences of USDC.

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::{Address, AuthorizationNonce, Word, call};
use farthing_money::{Amount, Timestamp};

use super::log_of;
use crate::abi;
use crate::authorized::Authorized;
use crate::movement;
use crate::node::{Log, Trial};

/// All tokens of a chain at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens(BTreeMap<Address, Token>);

#[derive(Clone, Debug, Default)]
struct Token {
    name: String,
    version: String,
    units: BTreeMap<Address, Amount>,
    used: BTreeSet<(Address, AuthorizationNonce)>,
}

impl Tokens {
    pub(super) fn open(&mut self, address: Address, name: &str, version: &str) {
        let token = Token { name: name.to_owned(), version: version.to_owned(), ..Token::default() };
        self.0.insert(address, token);
    }

    pub(super) fn mint(&mut self, token: Address, account: Address, units: Amount) {
        if let Some(token) = self.0.get_mut(&token) {
            let had = token.units.entry(account).or_default();
            *had = had.checked_add(units).unwrap_or(*had);
        }
    }

    pub(super) fn units(&self, token: Address, account: Address) -> Amount {
        self.0.get(&token).and_then(|token| token.units.get(&account)).copied().unwrap_or_default()
    }

    /// What a question to a token is answered with; nothing if it is no question.
    pub(super) fn answer(&self, trial: &Trial) -> Option<Vec<u8>> {
        let token = self.0.get(&trial.to)?;
        let (selector, row) = trial.input.split_first_chunk::<4>()?;
        let asks = |question: Vec<u8>| question.starts_with(selector);
        if asks(call::balance_of(Address::ZERO)) {
            let account = abi::word(row, 0)?.to_address()?;
            return Some(Word::from(self.units(trial.to, account)).as_bytes().to_vec());
        }
        if asks(call::authorization_state(Address::ZERO, AuthorizationNonce::from_bytes([0; 32]))) {
            let nonce = AuthorizationNonce::from_bytes(*abi::word(row, 1)?.as_bytes());
            let used = token.used.contains(&(abi::word(row, 0)?.to_address()?, nonce));
            return Some(Word::from(u64::from(used)).as_bytes().to_vec());
        }
        if asks(call::name()) {
            return Some(text(&token.name));
        }
        asks(call::version()).then(|| text(&token.version))
    }

    /// Carries an authorisation out or takes it back; nothing if this is none for a token here.
    pub(super) fn change(&mut self, trial: &Trial, now: Timestamp) -> Option<Result<Vec<Log>, &'static str>> {
        self.transfer(trial, now).or_else(|| self.cancel(trial)).or_else(|| self.send(trial))
    }

    /// A plain transfer.
    fn send(&mut self, trial: &Trial) -> Option<Result<Vec<Log>, &'static str>> {
        let row = trial.input.strip_prefix(&abi::selector("transfer(address,uint256)"))?;
        let token = self.0.get_mut(&trial.to)?;
        let (to, units) = (abi::word(row, 0)?.to_address()?, abi::word(row, 1)?.to_amount()?);
        let had = token.units.get(&trial.from).copied().unwrap_or_default();
        let Some(left) = had.checked_sub(units) else {
            return Some(Err("ERC20: transfer amount exceeds balance"));
        };
        token.units.insert(trial.from, left);
        self.mint(trial.to, to, units);
        let rest = Word::from(units).as_bytes().to_vec();
        Some(Ok(vec![log_of(trial.to, movement::TRANSFER, [trial.from.into(), to.into()], rest)]))
    }

    fn cancel(&mut self, trial: &Trial) -> Option<Result<Vec<Log>, &'static str>> {
        let row = trial.input.strip_prefix(&abi::selector("cancelAuthorization(address,bytes32,bytes)"))?;
        let token = self.0.get_mut(&trial.to)?;
        let (payer, nonce) = (abi::word(row, 0)?.to_address()?, abi::word(row, 1)?);
        if !token.used.insert((payer, AuthorizationNonce::from_bytes(*nonce.as_bytes()))) {
            return Some(Err("FiatTokenV2: authorization is used or canceled"));
        }
        Some(Ok(vec![log_of(trial.to, movement::CANCELED, [payer.into(), nonce], Vec::new())]))
    }

    fn transfer(&mut self, trial: &Trial, now: Timestamp) -> Option<Result<Vec<Log>, &'static str>> {
        let authorized = Authorized::of_transfer(trial.to, &trial.input)?;
        let token = self.0.get_mut(&trial.to)?;
        let (_, row) = trial.input.split_first_chunk::<4>()?;
        let to = abi::word(row, 1)?.to_address()?;
        let units = abi::word(row, 2)?.to_amount()?;
        let seconds = Word::from_seconds(now);
        let used = (authorized.payer, AuthorizationNonce::from_bytes(authorized.nonce));
        if seconds <= abi::word(row, 3)? {
            return Some(Err("FiatTokenV2: authorization is not yet valid"));
        }
        if seconds >= abi::word(row, 4)? {
            return Some(Err("FiatTokenV2: authorization is expired"));
        }
        if token.used.contains(&used) {
            return Some(Err("FiatTokenV2: authorization is used or canceled"));
        }
        let had = token.units.get(&authorized.payer).copied().unwrap_or_default();
        let Some(left) = had.checked_sub(units) else {
            return Some(Err("ERC20: transfer amount exceeds balance"));
        };
        token.used.insert(used);
        token.units.insert(authorized.payer, left);
        self.mint(trial.to, to, units);
        let (payer, nonce) = (authorized.payer.into(), Word::from_bytes(authorized.nonce));
        let rest = Word::from(units).as_bytes().to_vec();
        Some(Ok(vec![
            log_of(trial.to, movement::USED, [payer, nonce], Vec::new()),
            log_of(trial.to, movement::TRANSFER, [payer, to.into()], rest),
        ]))
    }
}

/// A text as contracts answer it.
fn text(text: &str) -> Vec<u8> {
    let mut answer = Word::from(32).as_bytes().to_vec();
    answer.extend(Word::from(u64::try_from(text.len()).unwrap_or_default()).as_bytes());
    answer.extend(text.as_bytes());
    answer.resize(answer.len().next_multiple_of(32), 0);
    answer
}
