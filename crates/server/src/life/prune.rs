//! Forgets the rows of keysets that were written off, a page at a time, so that the folder does not grow for ever.

use std::collections::BTreeMap;

use farthing_engine::{
    Command, CreditId, CreditRow, Fault, KeysetRow, OutputId, PaymentId, Prune, Refusal, StatementId,
    credits_account, pages,
};
use farthing_ledger::AccountId;
use farthing_money::Timestamp;

use crate::installation::Installation;

/// Rows that are looked at, and forgotten, in one commit at the most.
const PAGE: usize = 500;

/// How many rows were forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Spent credits.
    pub credits: usize,
    /// Signed outputs.
    pub outputs: usize,
    /// Payments.
    pub payments: usize,
}

/// The keysets whose rows may go, by their accounts.
type Closed = BTreeMap<AccountId, u32>;

/// Rows of one keyset that go together.
#[derive(Default)]
struct Rows {
    credits: Vec<CreditId>,
    outputs: Vec<OutputId>,
    payments: Vec<PaymentId>,
}

/// Forgets what is left of every keyset that was written off. Small commits, one after another, so that payments go
/// between them; cut short, it goes on where it was the next time.
pub async fn prune(at: &Installation) -> Result<Pruned, Refusal> {
    let mut closed = Closed::new();
    let mut last_of_all = Vec::new();
    for row in at.books.keysets()?.into_iter().filter(|row| row.closed) {
        if !at.keysets.is_forgotten(row.index) && may_go(at, &row)? {
            closed.insert(credits_account(row.asset, &row.id).id(), row.index);
            last_of_all.push(row.index);
        }
    }
    let mut pruned = Pruned::default();
    if closed.is_empty() {
        return Ok(pruned);
    }
    credits(at, &closed, &mut pruned).await?;
    outputs(at, &closed, &mut pruned).await?;
    payments(at, &closed, &mut pruned).await?;
    // A closed keyset gets no new rows: until the next start it is not looked for again.
    for index in last_of_all {
        at.keysets.forget(index);
    }
    Ok(pruned)
}

/// Whether nobody needs the rows any more. Where statements of what is owed are published, the last one of the keyset
/// comes first: it is made of these rows.
fn may_go(at: &Installation, row: &KeysetRow) -> Result<bool, Fault> {
    let books = at.books.books()?;
    let Some(last) = books.epoch.checked_sub(1) else { return Ok(true) };
    let ended = row.final_expiry.map(|expiry| Timestamp::from_secs(expiry).after(super::GRACE));
    let is_past = ended.is_some_and(|ended| books.epoch_opened_at > ended);
    Ok(is_past && at.books.statement(StatementId::liabilities(last, row.index))?.is_some())
}

async fn credits(at: &Installation, closed: &Closed, pruned: &mut Pruned) -> Result<(), Refusal> {
    for page in pages(PAGE, |after, limit| at.books.credits_after(after, limit)) {
        let page = page?;
        let mut found: BTreeMap<AccountId, Rows> = BTreeMap::new();
        for (id, row) in &page {
            if let CreditRow::Spent { worth: Some(worth), .. } = row
                && closed.contains_key(&worth.account)
            {
                found.entry(worth.account).or_default().credits.push(*id);
            }
        }
        pruned.credits = pruned.credits.saturating_add(found.values().map(|rows| rows.credits.len()).sum());
        forget(at, closed, found).await?;
    }
    Ok(())
}

async fn outputs(at: &Installation, closed: &Closed, pruned: &mut Pruned) -> Result<(), Refusal> {
    for page in pages(PAGE, |after, limit| at.books.outputs_after(after, limit)) {
        let page = page?;
        let mut found: BTreeMap<AccountId, Rows> = BTreeMap::new();
        for (id, row) in page.iter().filter(|(_, row)| closed.contains_key(&row.account)) {
            found.entry(row.account).or_default().outputs.push(*id);
        }
        pruned.outputs = pruned.outputs.saturating_add(found.values().map(|rows| rows.outputs.len()).sum());
        forget(at, closed, found).await?;
    }
    Ok(())
}

async fn payments(at: &Installation, closed: &Closed, pruned: &mut Pruned) -> Result<(), Refusal> {
    for page in pages(PAGE, |after, limit| at.books.payments_after(after, limit)) {
        let page = page?;
        let mut found: BTreeMap<AccountId, Rows> = BTreeMap::new();
        for (id, row) in &page {
            // One that was made with credits of several keysets stays, and one that went back.
            if let Some((account, _)) = row.held.first()
                && closed.contains_key(account)
                && row.held.iter().all(|(other, _)| other == account)
                && !row.is_refunded()
            {
                found.entry(*account).or_default().payments.push(*id);
            }
        }
        pruned.payments =
            pruned.payments.saturating_add(found.values().map(|rows| rows.payments.len()).sum());
        forget(at, closed, found).await?;
    }
    Ok(())
}

async fn forget(at: &Installation, closed: &Closed, found: BTreeMap<AccountId, Rows>) -> Result<(), Refusal> {
    if found.is_empty() {
        tokio::task::yield_now().await;
    }
    for (account, Rows { credits, outputs, payments }) in found {
        let Some(index) = closed.get(&account).copied() else { continue };
        let command = Prune { index, account, credits, outputs, payments };
        at.writer.execute(Command::Prune(command)).await?;
    }
    Ok(())
}

/// The worker.
pub(crate) async fn work(at: Installation) {
    match prune(&at).await {
        Ok(pruned) if pruned == Pruned::default() => {}
        Ok(Pruned { credits, outputs, payments }) => {
            tracing::info!(credits, outputs, payments, "rows of closed keysets were forgotten");
        }
        Err(error) => tracing::error!(%error, "rows of closed keysets could not be forgotten"),
    }
}
