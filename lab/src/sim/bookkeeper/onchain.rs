//! What the books may say of money on the chain, watched commit by commit: nothing counts before it lies deep, nothing is
//! charged without the chain's word, nothing that settles is let go, and who has paid is served once.

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::TxHash;
use farthing_engine::{
    CallId, CallRow, Changes, Outcome, PaymentId, PaymentRow, PaymentState, Purpose, SettlementRow,
};
use farthing_evm::SignedTransaction;

use super::broken::{Broken, hold};
use super::kept::Kept;
use crate::sim::chain::{Chain, Once};
use crate::sim::shop::AHEAD;

/// How a payment that is not charged yet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// On hold, and whether the upstream has done what was paid for.
    Held(bool),
    /// On its way to the chain.
    Settling,
}

/// Payments on the chain.
#[derive(Clone, Default)]
pub struct Onchain {
    chain: Option<Chain>,
    signed: BTreeMap<PaymentId, Once>,
    stages: BTreeMap<PaymentId, Stage>,
    /// How often the content of a payment was handed over.
    pub handed: BTreeMap<PaymentId, u32>,
    /// How often somebody else's gate was told that a payment is settled.
    pub told: BTreeMap<Once, u32>,
    /// Payments that may be handed over once more, because a crash came before that was written down.
    again: BTreeSet<PaymentId>,
}

/// Whether a payment is one on a chain: it spends no credits, and nothing of a channel.
pub fn is_onchain(row: &PaymentRow) -> bool {
    row.credits.is_empty() && row.channel.is_none()
}

/// Whether a payment moves money on the chain in either direction for what is not a page.
pub fn is_trade(row: &PaymentRow) -> bool {
    row.resource.starts_with("mint quote") || row.resource.starts_with("melt quote")
}

impl Onchain {
    /// The chain that everything is compared with.
    pub fn watches(&mut self, chain: Chain) {
        self.chain = Some(chain);
    }

    /// A holder of tokens has signed a payment.
    pub fn signs(&mut self, payment: PaymentId, once: Once) {
        self.signed.insert(payment, once);
    }

    /// Whether somebody has signed a payment.
    pub fn is_signed(&self, payment: PaymentId) -> bool {
        self.signed.contains_key(&payment)
    }

    /// The payments that were signed, with their authorizations.
    pub fn signed(&self) -> impl Iterator<Item = (PaymentId, Once)> + '_ {
        self.signed.iter().map(|(payment, once)| (*payment, *once))
    }

    /// A commit, before it is kept.
    pub fn take(&mut self, kept: &Kept, changes: &Changes, opening: bool) -> Result<(), Broken> {
        let ended: BTreeMap<CallId, &SettlementRow> =
            changes.settlements.iter().filter_map(|(id, row)| Some((*id, row.as_ref()?))).collect();
        for (id, row) in &ended {
            let known = kept.settlements.get(id).is_some_and(|known| known.outcome == row.outcome);
            if !known {
                self.counts_for(*id, row)?;
            }
        }
        for (id, row) in &changes.calls {
            if let Some(row) = row {
                one_number(*id, row)?;
            }
        }
        for (payment, row) in &changes.payments {
            let Some(row) = row.as_ref().filter(|row| is_onchain(row)) else { continue };
            let settled = matches!(
                ended.get(&CallId::of_payment(*payment)).map(|row| &row.outcome),
                Some(Outcome::Settled { .. })
            );
            hold(settled, "nothing is charged without the chain's word", || {
                format!("{payment} for {}", row.resource)
            })?;
        }
        for (payment, row) in &changes.held {
            match row {
                Some(row) if is_onchain(row) || is_trade(row) => self.set_aside(*payment, row)?,
                Some(_) => {}
                None => self.let_go(*payment, changes, &ended, opening)?,
            }
        }
        Ok(())
    }

    /// An outcome is taken for good only if it lies as deep as the operator says.
    fn counts_for(&self, id: CallId, row: &SettlementRow) -> Result<(), Broken> {
        let (Some(chain), Outcome::Settled { transaction, block, .. }) = (&self.chain, &row.outcome) else {
            return Ok(());
        };
        let hash = TxHash::from_bytes(*transaction.as_bytes());
        let deep = chain.inner().was_confirmed(hash, *block);
        hold(deep, "nothing counts before it lies as deep as the operator says", || {
            format!("the call {id} ({:?}) by {hash} in block {block}", row.row.purpose)
        })
    }

    fn set_aside(&mut self, payment: PaymentId, row: &PaymentRow) -> Result<(), Broken> {
        let stage = match row.state {
            PaymentState::Held => Stage::Held(false),
            _ => Stage::Settling,
        };
        let before = self.stages.insert(payment, stage);
        let served = before != Some(Stage::Held(false)) || row.resource.contains(AHEAD);
        hold(stage != Stage::Settling || served, "nobody is charged for what the upstream did not do", || {
            format!("{payment} for {} goes to the chain", row.resource)
        })
    }

    fn let_go(
        &mut self,
        payment: PaymentId,
        changes: &Changes,
        ended: &BTreeMap<CallId, &SettlementRow>,
        opening: bool,
    ) -> Result<(), Broken> {
        let Some(stage) = self.stages.remove(&payment) else { return Ok(()) };
        if changes.payments.iter().any(|(id, row)| *id == payment && row.is_some()) {
            return Ok(());
        }
        match stage {
            Stage::Held(succeeded) => {
                hold(opening || !succeeded, "no payment is both released and delivered", || {
                    payment.to_string()
                })
            }
            Stage::Settling => {
                let ended = ended.get(&CallId::of_payment(payment));
                // What was paid out is kept with its quote, not among the payments.
                let over = ended.is_some_and(|row| {
                    matches!(row.outcome, Outcome::Failed { .. })
                        || matches!(row.row.purpose, Purpose::Withdrawal { .. })
                });
                hold(over, "nothing that is on its way to the chain is let go", || payment.to_string())
            }
        }
    }

    /// Whether a payment is known here.
    pub fn knows(&self, payment: PaymentId) -> bool {
        self.signed.contains_key(&payment)
    }

    /// The upstream is asked for the first time, with a note that money is set aside or has moved.
    pub fn asks(&self, payment: PaymentId, kept: &Kept) -> Result<(), Broken> {
        let held = matches!(self.stages.get(&payment), Some(Stage::Held(_)));
        let paid = kept.payments.contains_key(&payment);
        hold(held || paid, "nothing is served before its money is set aside", || payment.to_string())
    }

    /// The upstream has done what was paid for.
    pub fn succeeded(&mut self, payment: PaymentId) {
        if let Some(Stage::Held(succeeded)) = self.stages.get_mut(&payment) {
            *succeeded = true;
        }
    }

    /// Content is handed over.
    pub fn served(&mut self, payment: PaymentId, kept: &Kept) -> Result<(), Broken> {
        let paid = kept.payments.contains_key(&payment);
        hold(paid, "nothing is delivered without a charge", || format!("{payment} is not charged"))?;
        let handed = self.handed.entry(payment).or_default();
        *handed = handed.saturating_add(1);
        let allowed = *handed == 1 || self.again.remove(&payment);
        hold(allowed, "an authorization opens what it paid for once", || {
            format!("{payment} was delivered {handed} times")
        })
    }

    /// Somebody else's gate is told that a payment is settled.
    pub fn tells(&mut self, once: Once) -> Result<(), Broken> {
        let told = self.told.entry(once).or_default();
        *told = told.saturating_add(1);
        hold(*told == 1, "a success is told once", || format!("{once:?} was told {told} times"))?;
        let deep = self.chain.as_ref().is_some_and(|chain| chain.inner().was_confirmed_once(&once));
        hold(deep, "nothing counts before it lies as deep as the operator says", || {
            format!("{once:?} was told")
        })
    }

    /// A payment is refused because it was used.
    pub fn refused_as_used(&self, payment: PaymentId) -> Result<(), Broken> {
        let handed = self.handed.get(&payment).copied().unwrap_or_default();
        hold(handed > 0, "nobody pays and is refused for good", || {
            format!("{payment} is said to be used and was never delivered")
        })
    }

    /// A restart: what was handed over and is not written down may be handed over once more.
    pub fn restarted(&mut self, kept: &Kept) {
        for stage in self.stages.values_mut() {
            if let Stage::Held(succeeded) = stage {
                *succeeded = false;
            }
        }
        for payment in self.handed.keys() {
            let id = CallId::of_payment(*payment);
            let row = kept.settlements.get(&id).map(|ended| &ended.row).or(kept.calls.get(&id));
            if row.is_some_and(|row| !row.delivered) {
                self.again.insert(*payment);
            } else {
                self.again.remove(payment);
            }
        }
    }
}

/// All transactions of a call have one sender and one number.
fn one_number(id: CallId, row: &CallRow) -> Result<(), Broken> {
    for attempt in &row.attempts {
        let signed = SignedTransaction::decode(&attempt.signed);
        let number = signed.map(|signed| signed.transaction.number);
        let slot = row.slot.map(|(_, number)| number);
        hold(number.is_some() && number == slot, "all transactions of a call have one number", || {
            format!("the call {id} has {slot:?} and a transaction {number:?}")
        })?;
    }
    Ok(())
}
