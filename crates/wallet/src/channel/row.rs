//! What is written down of a channel, and of a payment through one.

use farthing_channel::buyer::BuyerBooks;
use farthing_channel::{ChannelId, ChannelTerms, Salt, Transaction, TxHash, batch_domain, bytes_from_hex};
use farthing_money::{Amount, Money, Span, Timestamp};
use farthing_wire::x402::batch::SCHEME_BATCH;
use serde::{Deserialize, Serialize};

use crate::chain::{ChainId, Method, OnChain, Token};

/// A chain may take back its last blocks: so long after its end a deposit is surely over.
const MARGIN: Span = Span::from_secs(60);

/// A channel of the wallet's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Which token on which chain is in it.
    pub token: Token,
    /// What it is made of.
    pub terms: ChannelTerms,
    /// Which of several with one receiver: its salt.
    pub lane: u32,
    /// How deposits move the token: as the last one did.
    pub method: Method,
    /// The host that is paid through it.
    pub host: String,
    /// Where it was paid last: a refund is asked for there.
    pub url: String,
    /// What was charged, signed and deposited, as far as it is known.
    pub books: BuyerBooks,
    /// What budgets were charged with for it: at least what can still be taken, or was.
    pub booked: Amount,
    /// The largest total of which the history tells. What was charged may fall back, when a seller has lost its memory.
    pub entered: Amount,
    /// Deposits that are signed and that the chain has not shown yet, whatever the seller has said of them.
    #[serde(default)]
    pub deposits: Vec<SignedDeposit>,
    /// What was in it when the chain was asked last. No word of a seller changes it.
    #[serde(default)]
    pub found: Amount,
    /// What came back by the seller's word, as the history says, and the chain has not shown yet.
    #[serde(default)]
    pub returned: Amount,
    /// What the payer wants back by itself.
    #[serde(default)]
    pub withdrawal: Option<Withdrawal>,
    /// A transaction of the account's own that is under way.
    #[serde(default)]
    pub sent: Option<SentCall>,
    /// Why nothing more is paid through it before the chain was asked: the code of a refusal.
    #[serde(default)]
    pub doubt: Option<String>,
    /// When it was opened.
    pub opened: Timestamp,
}

/// A deposit that is signed: whoever has seen it can put it into the channel until its time is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedDeposit {
    /// How much.
    pub amount: Amount,
    /// How it moves the token. Signed in another way as well it would be two.
    pub method: Method,
    /// What tells it apart from others.
    pub salt: Salt,
    /// The second since 1970 after which it is good.
    pub since: u64,
    /// When it is over.
    pub until: Timestamp,
    /// Whether the seller has said that it is in: vouchers count on it then, and it is not sent again.
    #[serde(default)]
    pub told: bool,
    /// Whether the history tells of it.
    #[serde(default)]
    pub entered: bool,
}

/// What went into a channel and came back, as two looks at the chain differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Deposits that have come.
    pub(crate) came: Vec<SignedDeposit>,
    /// What is not in it any more.
    pub(crate) back: Amount,
    /// Deposits that did not come until their time was over, and of which the history tells because the seller did.
    pub(crate) lost: Vec<SignedDeposit>,
}

impl SignedDeposit {
    /// Whether it cannot come any more at this second, and the chain's blocks until then are old enough to stay.
    pub(crate) fn is_over(&self, secs: u64) -> bool {
        self.until.after(MARGIN).secs() < secs
    }
}

/// Something that the account itself has sent to the chain for a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// How much is wanted back.
    pub amount: Amount,
    /// From which second since 1970 on it can be taken, once the chain has the wish.
    pub ready: Option<u64>,
}

/// A transaction that the account itself has signed: sent again until a block has it, or another one its number. Where it became
/// too cheap it was signed again with higher fees; a block has one of them at the most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentCall {
    /// Its name, with its latest fees.
    pub hash: TxHash,
    /// Its names with lower fees, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<TxHash>,
    /// How many its sender had sent before.
    pub number: u64,
    /// Its bytes, hexadecimal.
    pub bytes: String,
    /// What it is for.
    pub call: CallKind,
    /// When the deposit that it carries is over: from then on it can only fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl SentCall {
    /// All its names, the latest first.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = &TxHash> {
        std::iter::once(&self.hash).chain(self.earlier.iter().rev())
    }

    /// What it says.
    pub(crate) fn transaction(&self) -> Option<Transaction> {
        let bytes = bytes_from_hex(&self.bytes, self.bytes.len()).ok()?;
        Transaction::read(&bytes).map(|(transaction, _)| transaction)
    }

    /// Whether it can only fail, at this second of the chain's.
    pub(crate) fn is_over(&self, secs: u64) -> bool {
        self.until.is_some_and(|until| until.after(MARGIN).secs() < secs)
    }
}

/// What a transaction for a channel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallKind {
    /// It puts this much in.
    Fill(Amount),
    /// It says what is wanted back.
    Ask(Amount),
    /// It takes it.
    Take,
}

/// Whether channels are opened without being asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPolicy {
    /// Whether any payment may open one.
    pub opens: bool,
}

/// What a payment through a channel has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPart {
    /// What moves, and to whom.
    pub on: OnChain,
    /// The channel.
    pub channel: ChannelId,
    /// What was charged before.
    pub base: Amount,
    /// The voucher's total.
    pub ceiling: Amount,
    /// The deposit that went along.
    pub deposit: Option<SignedDeposit>,
    /// How the channel stood before it was signed; nothing of one that began with it.
    pub before: Option<Box<Channel>>,
    /// Whether it answers an offer that was remembered, with no 402 before it.
    pub by_memory: bool,
}

impl Channel {
    /// Its name.
    pub fn id(&self) -> ChannelId {
        self.terms.id(&batch_domain(self.chain()))
    }

    /// Its chain.
    pub const fn chain(&self) -> ChainId {
        self.token.chain
    }

    /// What is in it and was not charged, in the token's minor units.
    pub fn left(&self) -> Amount {
        self.books.balance().checked_sub(self.books.charged()).unwrap_or_default()
    }

    /// What lies in it unspent or may still be put into it, as limits count it: by the chain, and by what was signed since. Whether a
    /// deposit came only the chain can say.
    pub(crate) fn locked(&self) -> Amount {
        let signed = self.deposits.iter().map(|deposit| deposit.amount);
        let units = Amount::try_sum(signed.chain([self.found])).unwrap_or(Amount::MAX);
        let units = units.checked_sub(self.books.charged()).unwrap_or_default();
        self.token.counted(units).map_or(Amount::MAX, Amount::from)
    }

    /// The difference of two totals, as limits count it: what several steps count is what one would.
    pub(crate) fn counted(&self, from: Amount, to: Amount) -> Option<u64> {
        self.token.counted(to)?.checked_sub(self.token.counted(from)?)
    }

    /// What budgets have to be charged with more, if the seller may take so much in all.
    pub(crate) fn exposed_to(&self, signed: Amount) -> Option<u64> {
        self.counted(self.booked, signed.max(self.booked))
    }

    /// So many of its units as a movement to its receiver.
    pub(crate) fn on_chain(&self, units: Amount) -> OnChain {
        OnChain {
            chain: self.chain(),
            token: self.token.address,
            symbol: self.token.symbol.clone(),
            pay_to: self.terms.receiver,
            scheme: SCHEME_BATCH.to_owned(),
            units,
            taken: None,
            transaction: None,
            channel: Some(self.id()),
        }
    }

    /// So many of its units, as money.
    pub fn money(&self, units: Amount) -> Option<Money> {
        self.token.money(units)
    }

    /// So much money as the token's minor units; nothing of another asset.
    pub fn units_of(&self, money: Money) -> Option<Amount> {
        let is_counted = crate::unit::counts(self.token.counts_as, money.asset().code());
        let counted = is_counted.then(|| crate::unit::at_most(money, self.token.counts_as))?;
        self.token.units_within(counted)
    }

    /// Whether a payment may use it now.
    pub(crate) fn is_open(&self) -> bool {
        self.withdrawal.is_none()
    }

    /// Deposits that neither the chain nor the seller has shown.
    pub fn under_way(&self) -> impl Iterator<Item = &SignedDeposit> {
        self.deposits.iter().filter(|deposit| !deposit.told)
    }

    /// With what the chain says at a second of its own.
    pub(crate) fn seen(&mut self, balance: Amount, claimed: Amount, time: u64) -> Moved {
        let (counted, moved) = self.found_deposits(balance, time);
        self.books = self.books.observed(counted, claimed);
        self.doubt = None;
        // What is claimed does not come back, whatever its seller has said.
        self.returned = self.returned.min(moved.back.max(balance.checked_sub(claimed).unwrap_or_default()));
        moved
    }

    /// No transaction of the account's own is under way any more.
    pub(crate) fn call_ended(&mut self, is_done: bool) {
        match self.sent.take().map(|sent| sent.call) {
            Some(CallKind::Ask(_)) if !is_done => self.withdrawal = None,
            Some(CallKind::Take) if is_done => self.withdrawal = None,
            _ => {}
        }
    }

    /// Deposits that explain why the chain has more than it had, or that are over, are no deposits any more that may come. Says
    /// what vouchers may count on: what the chain has, and what the seller has said of the others.
    pub(crate) fn found_deposits(&mut self, balance: Amount, time: u64) -> (Amount, Moved) {
        let mut more = balance.checked_sub(self.found).unwrap_or_default();
        let back = self.found.checked_sub(balance).unwrap_or_default();
        let mut moved = Moved { back, ..Moved::default() };
        let mut over = Vec::new();
        // Those that the seller has shown come first: of two of one amount the other one may never have left.
        for is_told in [true, false] {
            self.deposits.retain(|deposit| match more.checked_sub(deposit.amount) {
                _ if deposit.told != is_told => true,
                Some(rest) => {
                    more = rest;
                    moved.came.push(deposit.clone());
                    false
                }
                None if deposit.is_over(time) => {
                    over.push(deposit.clone());
                    false
                }
                None => true,
            });
        }
        // One that came and went again between two looks leaves a rest, or what the seller has given back of it.
        if more.is_zero() && self.returned.is_zero() {
            moved.lost = over.into_iter().filter(|deposit| deposit.entered).collect();
        }
        self.found = balance;
        let told = self.deposits.iter().filter(|deposit| deposit.told).map(|deposit| deposit.amount);
        (Amount::try_sum(told.chain([balance])).unwrap_or(balance), moved)
    }

    /// The seller says that so much is in it: deposits that explain why that is more.
    pub(crate) fn told_deposits(&mut self, balance: Amount) {
        let mut more = balance.checked_sub(self.books.balance()).unwrap_or_default();
        for deposit in self.deposits.iter_mut().filter(|deposit| !deposit.told) {
            if let Some(rest) = more.checked_sub(deposit.amount) {
                (more, deposit.told) = (rest, true);
            }
        }
    }
}
