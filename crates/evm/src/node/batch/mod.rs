//! The escrow of channels (x402's `batch-settlement`) in memory: it counts as the published contract does and refuses where that
//! one refuses, in its words and its order. `contracts/src/standin` is the same in Solidity.
//!
//! Who has signed what, and where tokens are, is said by whoever holds it ([`EscrowAround`]): a test that does not care
//! believes everything, a simulator looks.

mod event;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use farthing_channel::{
    Address, BATCH_ESCROW, ChainId, ChannelId, ChannelTerms, Claim, ClaimRow, Digest, Domain, Refund,
    Voucher, Word, batch_call, batch_domain, claims_digest,
};
use farthing_money::{Amount, Timestamp};

use crate::abi;
use crate::node::{Log, Trial};
use read::{Called, called};

/// The shortest and the longest delay of a withdrawal, in seconds.
const DELAYS: std::ops::RangeInclusive<u32> = 900..=2_592_000;

/// What an escrow in memory has around it.
pub trait EscrowAround {
    /// Whether this account has signed a digest.
    fn is_signed_by(&self, signer: Address, digest: &Digest, signature: &[u8]) -> bool;
    /// Whether a sender may take the payer's money back: he himself, and who signs for him.
    fn is_paying(&self, terms: &ChannelTerms, sender: Address) -> bool {
        sender == terms.payer || sender == terms.payer_authorizer
    }
    /// Fetches a deposit for the escrow, all of it.
    fn collect(&mut self, deposit: &Collecting<'_>) -> Result<Vec<Log>, &'static str>;
    /// Sends units that the escrow has.
    fn send(&mut self, token: Address, to: Address, units: Amount) -> Result<Vec<Log>, &'static str>;
}

/// A deposit that a collector is asked for.
#[derive(Clone, Copy)]
pub struct Collecting<'a> {
    /// Into which channel.
    pub channel: ChannelId,
    /// Whose money.
    pub payer: Address,
    /// In which token.
    pub token: Address,
    /// How much.
    pub units: Amount,
    /// Who fetches it.
    pub collector: Address,
    /// What that one reads.
    pub bytes: &'a [u8],
}

/// The escrow of a chain at one moment.
#[derive(Clone, Debug)]
pub struct BatchEscrow {
    domain: Domain,
    channels: BTreeMap<ChannelId, EscrowChannel>,
    receivers: BTreeMap<(Address, Address), EscrowReceiver>,
}

/// What the escrow keeps of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EscrowChannel {
    /// What came in less what went back; what was claimed is still in it.
    pub balance: Amount,
    /// What the receiver has claimed.
    pub claimed: Amount,
    /// The number of the next refund.
    pub refunds: u64,
    /// What the payer wants back.
    pub wanted: Amount,
    /// The second since which it is wanted; 0 if nothing is.
    pub wanted_at: u64,
    /// What was withdrawn, all in all. The contract does not keep it.
    pub withdrawn: Amount,
}

/// What the escrow keeps of a receiver and a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EscrowReceiver {
    /// What was claimed of all its channels.
    pub claimed: Amount,
    /// What of it was sent.
    pub settled: Amount,
}

/// What a call does, or why it does not.
type Done = Result<Vec<Log>, &'static str>;

impl BatchEscrow {
    /// An empty one.
    pub fn new(chain: ChainId) -> Self {
        let (channels, receivers) = (BTreeMap::new(), BTreeMap::new());
        Self { domain: batch_domain(chain), channels, receivers }
    }

    /// A channel.
    pub fn channel(&self, id: ChannelId) -> EscrowChannel {
        self.channels.get(&id).copied().unwrap_or_default()
    }

    /// All channels that anything was ever done with.
    pub fn channels(&self) -> impl Iterator<Item = (ChannelId, EscrowChannel)> + '_ {
        self.channels.iter().map(|(id, channel)| (*id, *channel))
    }

    /// A receiver and a token.
    pub fn receiver(&self, receiver: Address, token: Address) -> EscrowReceiver {
        self.receivers.get(&(receiver, token)).copied().unwrap_or_default()
    }

    /// What a question is answered with; nothing if it is no question to the escrow.
    pub fn answer(&self, trial: &Trial) -> Option<Vec<u8>> {
        if trial.to != BATCH_ESCROW {
            return None;
        }
        let (selector, row) = trial.input.split_first_chunk::<4>()?;
        let none = ChannelId::from_bytes([0; 32]);
        let asks = |question: Vec<u8>| question.starts_with(selector);
        let channel = || Some(self.channel(ChannelId::from_bytes(*abi::word(row, 0)?.as_bytes())));
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
            let receiver = self.receiver(abi::word(row, 0)?.to_address()?, abi::word(row, 1)?.to_address()?);
            return Some(words(&[receiver.claimed.into(), receiver.settled.into()]));
        }
        None
    }

    /// Carries a call out; nothing if it is none of the escrow's. After a refusal it is spoilt: go on with a copy from before.
    pub fn change(&mut self, trial: &Trial, now: Timestamp, around: &mut impl EscrowAround) -> Option<Done> {
        if trial.to != BATCH_ESCROW {
            return None;
        }
        let called = called(&trial.input)?;
        Some(self.carry(trial.from, called, now, around))
    }

    fn carry(
        &mut self,
        from: Address,
        called: Called<'_>,
        now: Timestamp,
        around: &mut impl EscrowAround,
    ) -> Done {
        match called {
            Called::Deposit { terms, units, collector, bytes } => {
                self.deposit(from, terms, (units, collector, bytes), around)
            }
            Called::Claim(rows) => self.claim(from, &rows, around),
            Called::ClaimWithSignature(rows, signature) => {
                self.claim_with_signature(from, &rows, signature, around)
            }
            Called::Settle(receiver, token) => self.settle(from, (receiver, token), around),
            Called::Initiate(terms, units) => self.initiate(from, &terms, (units, now), around),
            Called::Finalize(terms) => self.finalize(from, &terms, now, around),
            Called::Refund(terms, units) => {
                if ![terms.receiver, terms.receiver_authorizer].contains(&from) {
                    return Err("NotAuthorizedToRefund()");
                }
                self.refund(from, &terms, units, around)
            }
            Called::RefundWithSignature { terms, units, nonce, signature } => {
                let id = self.id(&terms);
                if nonce != Word::from(self.channel(id).refunds) {
                    return Err("InvalidRefundNonce()");
                }
                let digest = Refund { channel: id, nonce, amount: units }.digest(&self.domain);
                if !around.is_signed_by(terms.receiver_authorizer, &digest, signature) {
                    return Err("InvalidSignature()");
                }
                self.refund(from, &terms, units, around)
            }
            Called::Several(calls) => {
                let mut logs = Vec::new();
                for call in calls {
                    let called = read::called(call).ok_or("FailedCall()")?;
                    if matches!(called, Called::Several(_)) {
                        return Err("FailedCall()");
                    }
                    logs.extend(self.carry(from, called, now, around)?);
                }
                Ok(logs)
            }
        }
    }

    fn id(&self, terms: &ChannelTerms) -> ChannelId {
        terms.id(&self.domain)
    }

    fn deposit(
        &mut self,
        from: Address,
        terms: ChannelTerms,
        (units, collector, bytes): (Amount, Address, &[u8]),
        around: &mut impl EscrowAround,
    ) -> Done {
        let named = [terms.payer, terms.receiver, terms.token, terms.receiver_authorizer];
        if named.iter().any(Address::is_zero) {
            return Err("InvalidChannel()");
        }
        if !DELAYS.contains(&terms.withdraw_delay) {
            return Err("WithdrawDelayOutOfRange()");
        }
        if units.is_zero() {
            return Err("ZeroDeposit()");
        }
        if collector.is_zero() {
            return Err("InvalidCollector()");
        }
        let id = self.id(&terms);
        let channel = self.channels.entry(id).or_default();
        let is_new = channel.balance.is_zero() && channel.claimed.is_zero();
        channel.balance = channel.balance.checked_add(units).ok_or("DepositOverflow()")?;
        let balance = channel.balance;
        let (payer, token) = (terms.payer, terms.token);
        let mut logs = around.collect(&Collecting { channel: id, payer, token, units, collector, bytes })?;
        if is_new {
            logs.push(event::created(id, &terms));
        }
        logs.push(event::deposited(id, from, units, balance));
        Ok(logs)
    }

    fn claim(&mut self, from: Address, rows: &[ClaimRow], around: &impl EscrowAround) -> Done {
        if rows.is_empty() {
            return Err("EmptyBatch()");
        }
        let mut logs = Vec::new();
        for row in rows {
            if ![row.terms.receiver, row.terms.receiver_authorizer].contains(&from) {
                return Err("NotAuthorizedToClaim()");
            }
            logs.extend(self.claim_row(from, row, around)?);
        }
        Ok(logs)
    }

    fn claim_with_signature(
        &mut self,
        from: Address,
        rows: &[ClaimRow],
        signature: &[u8],
        around: &impl EscrowAround,
    ) -> Done {
        let authorizer = rows.first().ok_or("EmptyBatch()")?.terms.receiver_authorizer;
        let claims: Vec<Claim> = rows.iter().map(|row| row.claim(&self.domain)).collect();
        if !around.is_signed_by(authorizer, &claims_digest(&claims, &self.domain), signature) {
            return Err("InvalidSignature()");
        }
        let mut logs = Vec::new();
        for row in rows {
            if row.terms.receiver_authorizer != authorizer {
                return Err("NotReceiverAuthorizer()");
            }
            logs.extend(self.claim_row(from, row, around)?);
        }
        Ok(logs)
    }

    /// A row that claims nothing new is passed over, whatever its signature.
    fn claim_row(
        &mut self,
        from: Address,
        row: &ClaimRow,
        around: &impl EscrowAround,
    ) -> Result<Option<Log>, &'static str> {
        let ClaimRow { terms, ceiling, signature, total_claimed: total } = row;
        let id = self.id(terms);
        let digest = Voucher { channel: id, cumulative: *ceiling }.batch_digest(&self.domain);
        let channel = self.channels.entry(id).or_default();
        let Some(more) = total.checked_sub(channel.claimed).filter(|more| !more.is_zero()) else {
            return Ok(None);
        };
        if total > ceiling {
            return Err("ClaimExceedsCeiling()");
        }
        if *total > channel.balance {
            return Err("ClaimExceedsBalance()");
        }
        if !around.is_signed_by(terms.voucher_signer().unwrap_or(terms.payer), &digest, signature) {
            return Err("InvalidSignature()");
        }
        channel.claimed = *total;
        let receiver = self.receivers.entry((terms.receiver, terms.token)).or_default();
        receiver.claimed = receiver.claimed.checked_add(more).ok_or("Panic(0x11)")?;
        Ok(Some(event::claimed(id, from, more, *total)))
    }

    fn settle(
        &mut self,
        from: Address,
        (receiver, token): (Address, Address),
        around: &mut impl EscrowAround,
    ) -> Done {
        let state = self.receivers.entry((receiver, token)).or_default();
        let units = state.claimed.checked_sub(state.settled).unwrap_or_default();
        if units.is_zero() {
            return Ok(Vec::new());
        }
        state.settled = state.claimed;
        let mut logs = around.send(token, receiver, units)?;
        logs.push(event::settled(receiver, token, from, units));
        Ok(logs)
    }

    fn initiate(
        &mut self,
        from: Address,
        terms: &ChannelTerms,
        (units, now): (Amount, Timestamp),
        around: &impl EscrowAround,
    ) -> Done {
        if !around.is_paying(terms, from) {
            return Err("InvalidChannel()");
        }
        if units.is_zero() {
            return Err("NothingToWithdraw()");
        }
        let id = self.id(terms);
        let channel = self.channels.entry(id).or_default();
        if channel.wanted_at != 0 {
            return Err("WithdrawalAlreadyPending()");
        }
        if units > channel.available() {
            return Err("WithdrawAmountExceedsAvailable()");
        }
        (channel.wanted, channel.wanted_at) = (units, now.secs());
        let after = now.secs().saturating_add(terms.withdraw_delay.into());
        Ok(vec![event::initiated(id, units, after)])
    }

    fn finalize(
        &mut self,
        from: Address,
        terms: &ChannelTerms,
        now: Timestamp,
        around: &mut impl EscrowAround,
    ) -> Done {
        if !around.is_paying(terms, from) {
            return Err("NotAuthorizedToFinalizeWithdraw()");
        }
        let id = self.id(terms);
        let channel = self.channels.entry(id).or_default();
        if channel.wanted_at == 0 {
            return Err("WithdrawalNotPending()");
        }
        if now.secs() < channel.wanted_at.saturating_add(terms.withdraw_delay.into()) {
            return Err("WithdrawDelayNotElapsed()");
        }
        let units = channel.pay_back(channel.wanted);
        (channel.wanted, channel.wanted_at) = (Amount::ZERO, 0);
        channel.withdrawn = channel.withdrawn.checked_add(units).unwrap_or(Amount::MAX);
        let mut logs = vec![event::finalized(id, from, units)];
        logs.extend(self.give_back(id, terms, units, around)?);
        Ok(logs)
    }

    /// The number moves on also where nothing is left to give back. What is given back is no longer withdrawn.
    fn refund(
        &mut self,
        from: Address,
        terms: &ChannelTerms,
        asked: Amount,
        around: &mut impl EscrowAround,
    ) -> Done {
        if asked.is_zero() {
            return Err("ZeroRefund()");
        }
        let id = self.id(terms);
        let channel = self.channels.entry(id).or_default();
        channel.refunds = channel.refunds.saturating_add(1);
        let units = channel.pay_back(asked);
        if units.is_zero() {
            return Ok(Vec::new());
        }
        channel.wanted = channel.wanted.checked_sub(units).unwrap_or_default();
        if channel.wanted.is_zero() {
            channel.wanted_at = 0;
        }
        let mut logs = vec![event::refunded(id, from, units)];
        logs.extend(self.give_back(id, terms, units, around)?);
        Ok(logs)
    }

    fn give_back(
        &self,
        id: ChannelId,
        terms: &ChannelTerms,
        units: Amount,
        around: &mut impl EscrowAround,
    ) -> Done {
        let channel = self.channel(id);
        let closed = channel.balance.is_zero() && channel.claimed.is_zero();
        let mut logs: Vec<Log> = closed.then(|| event::closed(id, terms)).into_iter().collect();
        if !units.is_zero() {
            logs.extend(around.send(terms.token, terms.payer, units)?);
        }
        Ok(logs)
    }
}

impl EscrowChannel {
    /// What was not claimed.
    pub fn available(&self) -> Amount {
        self.balance.checked_sub(self.claimed).unwrap_or_default()
    }

    fn pay_back(&mut self, asked: Amount) -> Amount {
        let units = asked.min(self.available());
        self.balance = self.balance.checked_sub(units).unwrap_or_default();
        units
    }
}
