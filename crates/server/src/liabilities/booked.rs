//! What the journal says was issued and redeemed until the end of an epoch, by account.

use std::collections::{BTreeMap, BTreeSet};

use farthing_engine::{Read, epoch_reference};
use farthing_ledger::{AccountId, Batch, EntryKind, Head, Step, Transfer};
use farthing_money::Amount;
use farthing_wire::liabilities::Side;

use super::LiabilitiesError;

/// Frames that are read before others have their turn.
const PAGE: usize = 256;

/// What was booked on a keyset's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Booked {
    pub(super) issued: Amount,
    pub(super) redeemed: Amount,
}

/// A stretch of the journal, summed up.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    /// Credits and debits that stand, by account.
    pub(super) booked: BTreeMap<AccountId, Booked>,
    /// Accounts that were opened in the stretch.
    pub(super) opened: BTreeSet<AccountId>,
    /// The batch at its end.
    pub(super) head: Head,
}

impl Booked {
    pub(super) fn of(self, side: Side) -> Amount {
        match side {
            Side::Issued => self.issued,
            Side::Redeemed => self.redeemed,
        }
    }
}

impl Journal {
    fn new() -> Self {
        Self { booked: BTreeMap::new(), opened: BTreeSet::new(), head: Head::START }
    }

    /// From the end of an earlier epoch, whose mark is in this batch, or from the beginning, to the end of an epoch.
    pub(super) async fn read(
        read: &dyn Read,
        from: Option<(u64, u32)>,
        until: u32,
    ) -> Result<Self, LiabilitiesError> {
        let mut journal = Self::new();
        let mut begins = from.map(|(_, epoch)| epoch_reference(epoch));
        let ends = Some(epoch_reference(until));
        let mut next = from.map_or(1, |(batch, _)| batch);
        loop {
            let frames = read.frames(next, PAGE)?;
            if frames.is_empty() {
                return Err(LiabilitiesError::Mark(until));
            }
            for frame in &frames {
                let batch = batch(next, frame)?;
                if begins.is_none() {
                    journal.opened.extend(batch.opened.iter().map(farthing_ledger::Account::id));
                }
                for entry in &batch.entries {
                    let is_mark = entry.kind == EntryKind::Epoch;
                    if is_mark && begins.is_some() && entry.reference == begins {
                        begins = None;
                    } else if is_mark && begins.is_none() && entry.reference == ends {
                        journal.head = head(&batch, frame);
                        return Ok(journal);
                    } else if begins.is_none() {
                        journal.add(&entry.transfers)?;
                    }
                }
                next = next.saturating_add(1);
            }
            tokio::task::yield_now().await;
        }
    }

    /// From the beginning; told at the end of each epoch.
    pub(super) fn walk(
        read: &dyn Read,
        mut at_end: impl FnMut(u32, &Self) -> Result<(), LiabilitiesError>,
    ) -> Result<(), LiabilitiesError> {
        let (mut journal, mut next, mut epoch) = (Self::new(), 1_u64, 0_u32);
        loop {
            let frames = read.frames(next, PAGE)?;
            if frames.is_empty() {
                return Ok(());
            }
            for frame in &frames {
                let batch = batch(next, frame)?;
                for entry in &batch.entries {
                    journal.add(&entry.transfers)?;
                    if entry.kind == EntryKind::Epoch {
                        if entry.reference != Some(epoch_reference(epoch)) {
                            return Err(LiabilitiesError::Mark(epoch));
                        }
                        journal.head = head(&batch, frame);
                        at_end(epoch, &journal)?;
                        epoch = epoch.saturating_add(1);
                    }
                }
                next = next.saturating_add(1);
            }
        }
    }

    /// With what was booked before the stretch began.
    pub(super) fn on_top_of(
        mut self,
        before: impl Iterator<Item = (AccountId, Option<Booked>)>,
    ) -> Result<Self, LiabilitiesError> {
        for (account, booked) in before {
            let Booked { issued, redeemed } = booked.ok_or(LiabilitiesError::Overflow)?;
            self.raise(account, Side::Issued, issued)?;
            self.raise(account, Side::Redeemed, redeemed)?;
        }
        Ok(self)
    }

    fn add(&mut self, transfers: &[Transfer]) -> Result<(), LiabilitiesError> {
        for transfer in transfers {
            let (Step::Post(posted) | Step::PostHeld { posted, .. }) = transfer.step else { continue };
            self.raise(transfer.debit, Side::Redeemed, posted)?;
            self.raise(transfer.credit, Side::Issued, posted)?;
        }
        Ok(())
    }

    fn raise(&mut self, account: AccountId, side: Side, amount: Amount) -> Result<(), LiabilitiesError> {
        let booked = self.booked.entry(account).or_default();
        let sum = match side {
            Side::Issued => &mut booked.issued,
            Side::Redeemed => &mut booked.redeemed,
        };
        *sum = sum.checked_add(amount).ok_or(LiabilitiesError::Overflow)?;
        Ok(())
    }
}

fn batch(number: u64, frame: &[u8]) -> Result<Batch, LiabilitiesError> {
    Batch::from_frame(frame).map_err(|error| LiabilitiesError::Frame { number, error })
}

fn head(batch: &Batch, frame: &[u8]) -> Head {
    Head { number: batch.number, digest: Batch::digest(frame), at: batch.at }
}
