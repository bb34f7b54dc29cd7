//! What is had without a charge of its own: what is free a few times is counted by the answers, and a fare by the payments that
//! count in it. Neither is taken from the rows that the code under test keeps of them.

use std::collections::{BTreeMap, BTreeSet};

use farthing_engine::{Changes, Command, FareId, PaymentId, PaymentRow, QuotaCommand, QuotaId};
use farthing_money::Timestamp;

use super::broken::{Broken, hold};
use super::kept::Kept;
use crate::sim::shop::{CAP, FEW_FREE};

/// What is free a few times.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    /// How often each key was served for nothing, by the day on which it asked.
    had: BTreeMap<(String, u64), u32>,
    /// Takings that the upstream has not answered yet.
    under_way: i64,
    /// Counts that the server was told to forget.
    forgotten: BTreeSet<QuotaId>,
    /// How often the upstream was asked for nothing, and did it.
    pub served: u64,
}

/// Fares and what was charged in them.
#[derive(Clone, Debug, Default)]
pub struct Fares(BTreeMap<FareId, Fare>);

#[derive(Clone, Debug)]
struct Fare {
    ends: Timestamp,
    charged: BTreeMap<PaymentId, u128>,
    /// Whether a payment in it may be taken back by a chain.
    is_loose: bool,
}

impl Quotas {
    /// Commands that are about to be decided.
    pub fn asked(&mut self, command: &Command) {
        if let Command::Quota(QuotaCommand::Forget(forget)) = command {
            self.forgotten.extend(&forget.quotas);
        }
    }

    /// A commit, before it is kept: what was taken, less what was given back.
    pub fn take(&mut self, kept: &Kept, changes: &Changes) {
        for (id, row) in &changes.quotas {
            let before = kept.quotas.get(id);
            // Counts of newcomers are nobody's.
            let counts = before.or(row.as_ref()).is_some_and(|row| row.admitted_by.is_some());
            if !counts || row.is_none() && self.forgotten.contains(id) {
                continue;
            }
            let used = |row: Option<&farthing_engine::QuotaRow>| row.map_or(0, |row| i64::from(row.used));
            let more = used(row.as_ref()).saturating_sub(used(before));
            self.under_way = self.under_way.saturating_add(more);
        }
    }

    /// The upstream has done something for nothing.
    pub fn succeeded(&mut self) -> Result<(), Broken> {
        (self.under_way, self.served) = (self.under_way.saturating_sub(1), self.served.saturating_add(1));
        hold(self.under_way >= 0, "what is free is counted before it is served", || {
            format!("{} were served that nobody has taken", self.under_way.saturating_neg())
        })
    }

    /// A kill in the middle of an answer may cost the asker that one.
    pub const fn restarted(&mut self) {
        self.under_way = 0;
    }

    /// A free answer leaves the server.
    pub fn served(&mut self, key: &str, (earliest, latest): (Timestamp, Timestamp)) -> Result<(), Broken> {
        let (day, last) = (earliest.secs() / 86_400, latest.secs() / 86_400);
        if day != last {
            // Nobody can tell on which of them it was taken.
            return Ok(());
        }
        let had = self.had.entry((key.to_owned(), day)).or_default();
        *had = had.saturating_add(1);
        hold(*had <= FEW_FREE, "nobody has more for nothing than a rule gives", || {
            format!("{key:?} was served {had} times on day {day}")
        })
    }

    /// At the end all that was taken was had or is given back.
    pub fn at_rest(&self) -> Result<(), Broken> {
        hold(self.under_way == 0, "what is free and not had is given back", || {
            format!("{} takings were neither had nor given back", self.under_way)
        })
    }
}

impl Fares {
    /// A payment is charged: what counts in a fare never comes to more than its cap.
    pub fn charged(
        &mut self,
        payment: PaymentId,
        (held, row): (Option<&PaymentRow>, &PaymentRow),
        on_chain: bool,
    ) -> Result<(), Broken> {
        // In which fare a payment counts its row forgets when it is charged.
        let Some(share) = held.unwrap_or(row).marks.fare.or(row.marks.fare) else { return Ok(()) };
        let begun = || Fare { ends: share.ends, charged: BTreeMap::new(), is_loose: false };
        let fare = self.0.entry(share.fare).or_insert_with(begun);
        fare.charged.insert(payment, row.charged.value());
        fare.is_loose |= on_chain;
        let sum = fare.sum();
        hold(sum <= u128::from(CAP), "a fare is never charged more than its cap", || {
            format!("{sum} of {CAP} in {}, with {payment}", share.fare)
        })
    }

    /// A commit: what a fare says is what was charged in it.
    pub fn agree(&self, changes: &Changes) -> Result<(), Broken> {
        for (id, row) in &changes.fares {
            let Some(row) = row else { continue };
            let fare = self.0.get(id);
            let charged = fare.map_or(0, Fare::sum);
            let agrees = fare.is_some_and(|fare| fare.is_loose) || row.spent.value() == charged;
            hold(agrees && row.cap.value() == u128::from(CAP), "a fare counts what was charged", || {
                format!("{id}: {charged} were charged, {row:?}")
            })?;
        }
        Ok(())
    }

    /// Whether so much was charged in a fare that the rest is free, at a moment.
    pub fn is_paid(&self, id: FareId, at: Timestamp) -> bool {
        self.0.get(&id).is_some_and(|fare| fare.sum() >= u128::from(CAP) && at < fare.ends)
    }

    /// Whether a payment was ever charged in it.
    pub fn knows(&self, id: FareId) -> bool {
        self.0.contains_key(&id)
    }

    /// How many were paid.
    pub fn paid(&self) -> u64 {
        u64::try_from(self.0.values().filter(|fare| fare.sum() >= u128::from(CAP)).count())
            .unwrap_or(u64::MAX)
    }
}

impl Fare {
    fn sum(&self) -> u128 {
        self.charged.values().fold(0, |sum, amount| sum.saturating_add(*amount))
    }
}
