//! The escrow of channels, which counts in memory like the real one and refuses where that one refuses. Signatures are not
//! looked at, and tokens do not move: who has what at the escrow is all that is kept.

use std::collections::BTreeMap;

use farthing_channel::ChainId;
use farthing_channel::{Address, BATCH_ESCROW, ChannelId, ChannelTerms, Word, batch_call, batch_domain};
use farthing_money::{Amount, Timestamp};

use crate::abi;
use crate::channels::{deposit_text, terms_of_row};
use crate::node::{Log, Trial};

/// The escrow of a chain at one moment.
#[derive(Clone, Debug)]
pub(super) struct Escrow {
    chain: ChainId,
    channels: BTreeMap<ChannelId, Channel>,
    receivers: BTreeMap<(Address, Address), (Amount, Amount)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Channel {
    balance: Amount,
    claimed: Amount,
    refunds: u64,
    wanted: Amount,
    wanted_at: u64,
}

/// What a call does, or why it does not.
type Done = Result<Vec<Log>, &'static str>;

const TERMS: &str = "(address,address,address,address,address,uint40,bytes32)";

impl Escrow {
    pub(super) fn new(chain: ChainId) -> Self {
        Self { chain, channels: BTreeMap::new(), receivers: BTreeMap::new() }
    }

    /// What a question is answered with; nothing if it is no question to the escrow.
    pub(super) fn answer(&self, trial: &Trial) -> Option<Vec<u8>> {
        if trial.to != BATCH_ESCROW {
            return None;
        }
        let (selector, row) = trial.input.split_first_chunk::<4>()?;
        let none = ChannelId::from_bytes([0; 32]);
        let asks = |question: Vec<u8>| question.starts_with(selector);
        let channel = || {
            let id = ChannelId::from_bytes(*abi::word(row, 0)?.as_bytes());
            Some(self.channels.get(&id).copied().unwrap_or_default())
        };
        let words = |words: &[Word]| words.iter().flat_map(|word| *word.as_bytes()).collect();
        if asks(batch_call::channels(none)) {
            let channel = channel()?;
            return Some(words(&[channel.balance.into(), channel.claimed.into()]));
        }
        if asks(batch_call::pending_withdrawals(none)) {
            let channel = channel()?;
            return Some(words(&[channel.wanted.into(), channel.wanted_at.into()]));
        }
        if asks(batch_call::refund_nonce(none)) {
            return Some(words(&[channel()?.refunds.into()]));
        }
        if asks(batch_call::receivers(Address::ZERO, Address::ZERO)) {
            let key = (abi::word(row, 0)?.to_address()?, abi::word(row, 1)?.to_address()?);
            let (claimed, settled) = self.receivers.get(&key).copied().unwrap_or_default();
            return Some(words(&[claimed.into(), settled.into()]));
        }
        None
    }

    /// Carries a call out; nothing if it is none of the escrow's.
    pub(super) fn change(&mut self, trial: &Trial, now: Timestamp) -> Option<Done> {
        if trial.to != BATCH_ESCROW {
            return None;
        }
        let (selector, row) = trial.input.split_first_chunk::<4>()?;
        let is = |text: &str| abi::selector(text) == *selector;
        if is(&deposit_text()) {
            return Some(self.deposit(terms_of_row(row)?, amount(row, 7)?));
        }
        if is(&format!("claim((({TERMS},uint128),bytes,uint128)[])")) {
            return Some(self.claim(trial.from, row));
        }
        if is("settle(address,address)") {
            let key = (abi::word(row, 0)?.to_address()?, abi::word(row, 1)?.to_address()?);
            let (claimed, settled) = self.receivers.entry(key).or_default();
            *settled = *claimed;
            return Some(Ok(Vec::new()));
        }
        if is(&format!("initiateWithdraw({TERMS},uint128)")) {
            return Some(self.want(terms_of_row(row)?, amount(row, 7)?, now));
        }
        if is(&format!("finalizeWithdraw({TERMS})")) {
            return Some(self.withdraw(terms_of_row(row)?, now));
        }
        if is(&format!("refund({TERMS},uint128)")) {
            return Some(self.refund(trial.from, terms_of_row(row)?, amount(row, 7)?));
        }
        is("multicall(bytes[])").then(|| self.several(trial, row, now))
    }

    /// Several calls, all or none.
    fn several(&mut self, trial: &Trial, row: &[u8], now: Timestamp) -> Done {
        let (before, mut logs) = (self.clone(), Vec::new());
        for input in parts(row).ok_or("unreadable")? {
            match self.change(&Trial { input, ..trial.clone() }, now) {
                Some(Ok(said)) => logs.extend(said),
                Some(Err(sentence)) => {
                    *self = before;
                    return Err(sentence);
                }
                None => return Err("unreadable"),
            }
        }
        Ok(logs)
    }

    fn id(&self, terms: &ChannelTerms) -> ChannelId {
        terms.id(&batch_domain(self.chain))
    }

    fn deposit(&mut self, terms: ChannelTerms, amount: Amount) -> Done {
        let id = self.id(&terms);
        let channel = self.channels.entry(id).or_default();
        channel.balance = channel.balance.checked_add(amount).ok_or("DepositOverflow()")?;
        Ok(vec![said(id, "Deposited(bytes32,address,uint128,uint128)")])
    }

    fn claim(&mut self, from: Address, input: &[u8]) -> Done {
        let rows = claim_rows(input).ok_or("EmptyBatch()")?;
        let mut logs = Vec::new();
        for (terms, ceiling, total) in rows {
            if ![terms.receiver, terms.receiver_authorizer].contains(&from) {
                return Err("NotAuthorizedToClaim()");
            }
            let id = self.id(&terms);
            let channel = self.channels.entry(id).or_default();
            if total <= channel.claimed {
                continue;
            }
            if total > ceiling {
                return Err("ClaimExceedsCeiling()");
            }
            if total > channel.balance {
                return Err("ClaimExceedsBalance()");
            }
            let more = total.checked_sub(channel.claimed).unwrap_or_default();
            channel.claimed = total;
            let (claimed, _) = self.receivers.entry((terms.receiver, terms.token)).or_default();
            *claimed = claimed.checked_add(more).ok_or("overflow")?;
            logs.push(said(id, "Claimed(bytes32,address,uint128,uint128)"));
        }
        Ok(logs)
    }

    fn want(&mut self, terms: ChannelTerms, amount: Amount, now: Timestamp) -> Done {
        let id = self.id(&terms);
        let channel = self.channels.entry(id).or_default();
        if channel.wanted_at != 0 {
            return Err("WithdrawalAlreadyPending()");
        }
        if amount > channel.available() {
            return Err("WithdrawAmountExceedsAvailable()");
        }
        (channel.wanted, channel.wanted_at) = (amount, now.secs());
        Ok(vec![said(id, "WithdrawInitiated(bytes32,uint128,uint40)")])
    }

    fn withdraw(&mut self, terms: ChannelTerms, now: Timestamp) -> Done {
        let id = self.id(&terms);
        let channel = self.channels.entry(id).or_default();
        if channel.wanted_at == 0 {
            return Err("WithdrawalNotPending()");
        }
        if now.secs() < channel.wanted_at.saturating_add(terms.withdraw_delay.into()) {
            return Err("WithdrawDelayNotElapsed()");
        }
        channel.pay_back(channel.wanted);
        (channel.wanted, channel.wanted_at) = (Amount::ZERO, 0);
        Ok(vec![said(id, "WithdrawFinalized(bytes32,address,uint128)")])
    }

    fn refund(&mut self, from: Address, terms: ChannelTerms, amount: Amount) -> Done {
        if ![terms.receiver, terms.receiver_authorizer].contains(&from) {
            return Err("NotAuthorizedToRefund()");
        }
        let id = self.id(&terms);
        let channel = self.channels.entry(id).or_default();
        channel.refunds = channel.refunds.saturating_add(1);
        channel.pay_back(amount);
        (channel.wanted, channel.wanted_at) = (Amount::ZERO, 0);
        Ok(vec![said(id, "Refunded(bytes32,address,uint128)")])
    }
}

impl Channel {
    fn available(&self) -> Amount {
        self.balance.checked_sub(self.claimed).unwrap_or_default()
    }

    fn pay_back(&mut self, asked: Amount) {
        let amount = asked.min(self.available());
        self.balance = self.balance.checked_sub(amount).unwrap_or_default();
    }
}

fn amount(row: &[u8], place: usize) -> Option<Amount> {
    abi::word(row, place)?.to_amount()
}

/// The calls in a call of several.
fn parts(input: &[u8]) -> Option<Vec<Vec<u8>>> {
    let place = |row: &[u8], at| usize::try_from(abi::word(row, at)?.to_u64()?).ok();
    let list = input.get(place(input, 0)?..)?;
    let (count, body) = (place(list, 0)?, list.get(32..)?);
    (0..count).map(|at| abi::bytes_at(body, at).map(<[u8]>::to_vec)).collect()
}

/// The rows of a claim: terms, ceiling, and what is claimed in all.
fn claim_rows(input: &[u8]) -> Option<Vec<(ChannelTerms, Amount, Amount)>> {
    let place = |row: &[u8], at| usize::try_from(abi::word(row, at)?.to_u64()?).ok();
    let list = input.get(place(input, 0)?..)?;
    let (count, body) = (place(list, 0)?, list.get(32..)?);
    let row = |at| {
        let row = body.get(place(body, at)?..)?;
        Some((terms_of_row(row)?, amount(row, 7)?, amount(row, 9)?))
    };
    (0..count).map(row).collect::<Option<Vec<_>>>().filter(|rows| !rows.is_empty())
}

fn said(channel: ChannelId, event: &str) -> Log {
    Log {
        contract: BATCH_ESCROW,
        topics: vec![abi::topic(event), channel.into()],
        rest: Vec::new(),
        transaction: farthing_channel::TxHash::from_bytes([0; 32]),
    }
}
