//! Writes down what was issued, so that it can be taken back before its time.

use farthing_money::Timestamp;

use super::Decision;
use crate::{
    Answer, EntitlementCommand, EntitlementId, EntitlementReject, EntitlementRow, IssueEntitlement, Reject,
    Rows,
};

pub(crate) fn decide(rows: &mut Rows, command: &EntitlementCommand, now: Timestamp) -> Decision {
    match command {
        EntitlementCommand::Issue(command) => issue(rows, command),
        EntitlementCommand::Revoke(id) => revoke(rows, *id, now),
        EntitlementCommand::Forget(ids) => forget(rows, ids, now),
    }
}

fn issue(rows: &mut Rows, command: &IssueEntitlement) -> Decision {
    let IssueEntitlement { id, row } = command;
    match rows.entitlements.get(id)? {
        Some(known) if known == row => return Ok((Answer::Done, None)),
        Some(_) => return Err(Reject::Entitlement(EntitlementReject::Exists(*id))),
        None => {}
    }
    rows.entitlements.put(*id, row.clone());
    Ok((Answer::Done, None))
}

/// Once taken back, it stays so: the first time counts.
fn revoke(rows: &mut Rows, id: EntitlementId, now: Timestamp) -> Decision {
    let row = rows.entitlements.get(&id)?.ok_or(Reject::Entitlement(EntitlementReject::Unknown(id)))?;
    if row.revoked_at.is_none() {
        let row = EntitlementRow { revoked_at: Some(now), ..row.clone() };
        rows.entitlements.put(id, row);
    }
    Ok((Answer::Done, None))
}

/// Only what is over goes.
fn forget(rows: &mut Rows, ids: &[EntitlementId], now: Timestamp) -> Decision {
    let mut over = Vec::new();
    for id in ids {
        if rows.entitlements.get(id)?.is_some_and(|row| row.until <= now) {
            over.push(*id);
        }
    }
    for id in over {
        rows.entitlements.remove(id);
    }
    Ok((Answer::Done, None))
}
