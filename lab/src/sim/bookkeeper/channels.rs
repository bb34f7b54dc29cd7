//! Payment channels, watched commit by commit and step by step: nothing is held or charged but what was signed, no payer owes more
//! than the seller waits for, nobody is served more often than he is charged, and the escrow always has what it owes.

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::{ChannelId, ChannelTerms};
use farthing_engine::{Changes, ChannelRow, Command, PaymentId, PaymentRow};

use super::broken::{Broken, hold};
use super::deliveries::Served;
use super::kept::Kept;
use crate::sim::chain::Chain;
use crate::sim::depositor::id_of;

/// A voucher that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    channel: ChannelId,
    /// What was charged before it.
    base: u128,
    /// What it allows in all.
    ceiling: u128,
}

/// What a payment through a channel has bought.
#[derive(Clone, Copy, Debug, Default)]
struct Bought {
    /// How often it was charged, be it nothing.
    charged: u32,
    /// How often content may be handed over for it: once for each charge, and once more after each start, because nobody knows
    /// then whether it was.
    may: u32,
    /// How often it was.
    handed: u32,
}

/// All channels.
#[derive(Clone, Default)]
pub struct Channels {
    chain: Option<Chain>,
    /// What a payer may owe through all his channels.
    most: u128,
    /// The totals that were signed, each with the highest price that was agreed to with it.
    signed: BTreeMap<ChannelId, BTreeMap<u128, u128>>,
    held: BTreeMap<PaymentId, Held>,
    bought: BTreeMap<PaymentId, Bought>,
    /// What was charged on which sum, so that nothing is charged twice.
    charges: BTreeSet<(ChannelId, u128)>,
    /// Charges of nothing that are about to be decided.
    nothing: BTreeSet<PaymentId>,
}

const SIGNED: &str = "nobody is held to what he did not sign";

impl Channels {
    /// The chain that everything is compared with, and what a payer may owe.
    pub fn watches(&mut self, chain: Chain, most: u128) {
        (self.chain, self.most) = (Some(chain), most);
    }

    /// Somebody has signed a total, and agreed to a price.
    pub fn signs(&mut self, terms: &ChannelTerms, ceiling: u128, price: u128) {
        let signed = self.signed.entry(id_of(terms)).or_default();
        let agreed = signed.entry(ceiling).or_default();
        *agreed = price.max(*agreed);
    }

    /// The highest total that was ever signed.
    pub fn top(&self, channel: ChannelId) -> u128 {
        let signed = self.signed.get(&channel);
        signed.and_then(|signed| signed.last_key_value()).map_or(0, |(ceiling, _)| *ceiling)
    }

    /// Whether a payment is one through a channel.
    pub fn knows(&self, payment: PaymentId) -> bool {
        self.held.contains_key(&payment) || self.bought.contains_key(&payment)
    }

    /// How often content was handed over for what a channel paid.
    pub fn handed(&self) -> u64 {
        self.bought.values().map(|bought| u64::from(bought.handed)).sum()
    }

    /// Commands that are about to be decided.
    pub fn asked(&mut self, command: &Command) {
        if let Command::ChargeVoucher(charge) = command
            && charge.charged.is_zero()
        {
            self.nothing.insert(charge.payment);
        }
    }

    /// A commit, before it is kept.
    pub fn take(&mut self, kept: &Kept, changes: &Changes) -> Result<(), Broken> {
        self.free_and_held_anew(kept, changes);
        let after = |id: &ChannelId| {
            let newer = changes.channels.iter().rev().find(|(other, _)| other == id);
            newer.and_then(|(_, row)| row.as_ref()).or_else(|| kept.channels.get(id))
        };
        for (id, row) in &changes.channels {
            let row = row.as_ref();
            let row = row.ok_or_else(|| Broken::new("a channel stays in the books", id.to_string()))?;
            let before = kept.channels.get(id);
            self.moves(*id, before, row)?;
            let Some(payment) = row.held.filter(|held| before.and_then(|before| before.held) != Some(*held))
            else {
                continue;
            };
            // One commit may end a payment and hold the next one.
            let last = before.and_then(|before| before.held);
            let ended = |last| changes.held.iter().any(|(ended, row)| *ended == last && row.is_none());
            self.holds(*id, payment, last.is_none_or(ended), row)?;
            let ids: BTreeSet<ChannelId> =
                kept.channels.keys().copied().chain(changes.channels.iter().map(|(id, _)| *id)).collect();
            let own = ids.iter().filter_map(after).filter(|other| other.terms.payer == row.terms.payer);
            let owed: u128 = own.map(|row| row.books.exposure().value()).sum();
            // A claim that a fork deeper than the confirmations has taken back was counted on.
            let deep = self.chain.as_ref().is_some_and(|chain| chain.inner().counts().deep > 0);
            hold(deep || owed <= self.most, "no payer owes more than the seller waits for", || {
                format!("{} may owe {owed} of {} after {payment}", row.terms.payer, self.most)
            })?;
        }
        Ok(())
    }

    /// What was charged only rises, and never above what was signed.
    fn moves(&self, id: ChannelId, before: Option<&ChannelRow>, row: &ChannelRow) -> Result<(), Broken> {
        let charged = row.books.charged().value();
        let last = before.map_or(0, |before| before.books.charged().value());
        let seen = || format!("{id}: {charged} are charged after {last}, {} are signed", self.top(id));
        hold(
            row.terms == before.map_or(row.terms, |before| before.terms),
            "a channel keeps its terms",
            seen,
        )?;
        hold(id_of(&row.terms) == id, "a channel's name is the hash of its terms", seen)?;
        hold(charged >= last, "what was charged stays charged", seen)?;
        hold(charged <= self.top(id), SIGNED, seen)
    }

    fn holds(
        &mut self,
        channel: ChannelId,
        payment: PaymentId,
        is_free: bool,
        row: &ChannelRow,
    ) -> Result<(), Broken> {
        let chain = row.books.chain();
        let ceiling = row.books.exposure().value().saturating_add(chain.claimed.value());
        let base = row.books.charged().value();
        let agreed = self.signed.get(&channel).and_then(|signed| signed.get(&ceiling));
        let seen = || format!("{payment} on {channel}: {ceiling} on top of {base}, agreed {agreed:?}");
        hold(agreed.is_some(), SIGNED, seen)?;
        let price = ceiling.saturating_sub(base);
        hold(agreed.is_some_and(|agreed| price <= *agreed), "nobody is charged beyond the price", seen)?;
        hold(ceiling <= chain.balance.value(), "nothing is held that is not covered", seen)?;
        hold(chain.withdraw_since.is_none(), "a payer who wants his money is not served", seen)?;
        hold(is_free && row.refund.is_none(), "a channel serves one payment at a time", seen)?;
        self.held.insert(payment, Held { channel, base, ceiling });
        Ok(())
    }

    /// A payment is charged: what it was held for at the most, and for no sum twice.
    pub fn charged(&mut self, payment: PaymentId, row: &PaymentRow) -> Result<(), Broken> {
        let held = self.held.remove(&payment);
        let held = held.ok_or_else(|| Broken::new("what is charged was held", payment.to_string()))?;
        let Held { channel, base, ceiling } = held;
        let charged = row.charged.value();
        let seen = || format!("{payment}: {charged} on {base} of {ceiling} through {channel}");
        hold(charged <= ceiling.saturating_sub(base), "nobody is charged beyond the price", seen)?;
        hold(self.charges.insert((channel, base)), "nobody is charged twice for one voucher", seen)?;
        self.buys(payment);
        Ok(())
    }

    /// Went unseen: one commit may end a payment that is charged nothing and hold it anew, since the same voucher on the same sum
    /// is the same payment. Its row is there before and after.
    fn free_and_held_anew(&mut self, kept: &Kept, changes: &Changes) {
        for (payment, row) in &changes.held {
            if row.is_some() && kept.held.contains_key(payment) && self.nothing.remove(payment) {
                self.buys(*payment);
            }
        }
    }

    /// A payment leaves the held ones without a charge that is kept. Says whether it was charged nothing, which is a charge too.
    pub fn was_free(&mut self, payment: PaymentId) -> bool {
        let free = self.held.remove(&payment).is_some() && self.nothing.remove(&payment);
        if free {
            self.buys(payment);
        }
        free
    }

    fn buys(&mut self, payment: PaymentId) {
        let bought = self.bought.entry(payment).or_default();
        bought.charged = bought.charged.saturating_add(1);
        bought.may = bought.may.saturating_add(1);
    }

    /// A restart.
    pub fn restarted(&mut self) {
        self.bought.values_mut().for_each(|bought| bought.may = bought.may.saturating_add(1));
        self.nothing.clear();
    }

    /// What a payment that is held may be charged at the most.
    pub fn price(&self, payment: PaymentId) -> Option<u128> {
        self.held.get(&payment).map(|held| held.ceiling.saturating_sub(held.base))
    }

    /// Content is handed over.
    pub fn served(&mut self, served: Served<'_>) -> Result<(), Broken> {
        let Served { payment, row, resource, wide, .. } = served;
        let bought = self.bought.entry(payment).or_default();
        bought.handed = bought.handed.saturating_add(1);
        let Bought { charged, may, handed } = *bought;
        hold(charged > 0, "nothing is delivered without a charge", || format!("{payment} is not charged"))?;
        let opened = row.map(|row| row.resource.split('?').next().unwrap_or_default());
        hold(
            wide || opened.is_none_or(|opened| opened == resource),
            "a payment opens what it paid for",
            || format!("{payment} bought {opened:?} and opened {resource}"),
        )?;
        hold(handed <= may, "a voucher opens what it paid for once", || {
            format!("{payment} was charged {charged} times and delivered {handed} times")
        })
    }

    /// A payment is refused because it was used. After a start nobody may know any more whether its answer was lost.
    pub fn refused_as_used(&self, payment: PaymentId) -> Result<(), Broken> {
        let Bought { charged, may, handed } = self.bought.get(&payment).copied().unwrap_or_default();
        hold(handed > 0 || may > charged, "nobody pays and is refused for good", || {
            format!("{payment} is said to be used, was charged {charged} times and never delivered")
        })
    }

    /// What must hold at any moment, of the chain as it is.
    pub fn stand(&self, kept: &Kept) -> Result<(), Broken> {
        let Some(chain) = &self.chain else { return Ok(()) };
        let inner = chain.inner();
        let Some(state) = inner.newest() else { return Ok(()) };
        let mut owed: BTreeMap<_, u128> = BTreeMap::new();
        for (id, row) in &kept.channels {
            let claimed = state.escrow.channel(*id).claimed.value();
            hold(claimed <= self.top(*id), "nobody loses more than he has signed", || {
                format!("{id}: {claimed} are claimed, {} are signed", self.top(*id))
            })?;
            let open = row.books.charged().value().saturating_sub(claimed);
            let sum = owed.entry(row.terms.payer).or_default();
            *sum = sum.saturating_add(open);
        }
        // What was claimed, and is not any more, the seller had not to wait for.
        let shallow = inner.counts().deep == 0;
        let worst = owed.iter().max_by_key(|(_, owed)| **owed).filter(|_| shallow);
        hold(
            worst.is_none_or(|(_, owed)| *owed <= self.most),
            "the seller loses at most what it risks",
            || format!("{worst:?} of {}", self.most),
        )?;
        let beyond = kept.channels.values().next().map_or(0, |row| state.beyond_owed(row.terms.receiver));
        hold(beyond == 0, "the escrow has what it owes", || format!("{beyond} more"))
    }
}
