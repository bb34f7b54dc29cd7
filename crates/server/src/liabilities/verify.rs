//! Whether what was published is what the journal says.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use farthing_engine::{Read, StatementKind, credits_account};
use farthing_ledger::AccountId;
use farthing_wire::liabilities::{Side, Statement};

use super::LiabilitiesError;
use super::api;
use super::booked::Journal;

/// Compares every statement that was published with the journal: the sums are what was booked when its epoch ended, and
/// it names the batch that says so. How many were compared.
pub fn verify_statements(read: &dyn Read, key: &SigningKey) -> Result<usize, LiabilitiesError> {
    let mut by_epoch: BTreeMap<u32, Vec<Statement>> = BTreeMap::new();
    let mut from = StatementKind::Liabilities.first();
    loop {
        let page = api::statements(read, from)?;
        for (_, row) in &page.rows {
            let (statement, _) = Statement::verify(&row.text, Some(&key.verifying_key()))?;
            by_epoch.entry(statement.epoch).or_default().push(statement);
        }
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    let mut accounts: BTreeMap<String, AccountId> = BTreeMap::new();
    for keyset in read.keysets()? {
        accounts.insert(keyset.id.clone(), credits_account(keyset.asset, &keyset.id).id());
    }
    let mut compared = 0_usize;
    Journal::walk(read, |epoch, journal| {
        for statement in by_epoch.get(&epoch).into_iter().flatten() {
            let account = accounts.get(&statement.keyset);
            let booked = account.and_then(|account| journal.booked.get(account)).copied().unwrap_or_default();
            for side in Side::ALL {
                let (listed, booked) = (statement.side(side).total(), booked.of(side));
                if listed != Some(booked) {
                    let (keyset, listed) = (statement.keyset.clone(), listed.unwrap_or_default());
                    return Err(LiabilitiesError::Differs { keyset, epoch, side, listed, booked });
                }
            }
            let head = &journal.head;
            if (statement.journal.batch, statement.journal.digest.as_bytes())
                != (head.number, head.digest.as_bytes())
            {
                return Err(LiabilitiesError::Mark(epoch));
            }
            compared = compared.saturating_add(1);
        }
        Ok(())
    })?;
    let stated = by_epoch.values().map(Vec::len).sum::<usize>();
    match by_epoch.keys().next_back() {
        Some(last) if compared < stated => Err(LiabilitiesError::Mark(*last)),
        _ => Ok(compared),
    }
}
