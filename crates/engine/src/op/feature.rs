//! A use of a feature: authorized with what it takes, then committed or given back, each in one commit with the money, the quota
//! and the entitlement that go with it. The same request is the same use, however often it comes.

use farthing_money::Timestamp;

use super::Decision;
use crate::{
    Answer, AuthorizeUse, Claim, CommitUse, EntitlementReject, GivenBack, IssueEntitlement, Reject,
    ReleaseUse, Rows, UseBy, UseCommand, UseId, UseReject, UseRow, UseState,
};

pub(crate) fn decide(rows: &mut Rows, command: &UseCommand, now: Timestamp) -> Decision {
    match command {
        UseCommand::Authorize(command) => authorize(rows, command, now),
        UseCommand::Commit(command) => commit(rows, command, now),
        UseCommand::Release(command) => release(rows, command, now),
        UseCommand::Forget(ids) => forget(rows, ids, now),
    }
}

fn known(rows: &Rows, id: UseId) -> Result<Option<UseRow>, Reject> {
    let open = rows.open_uses.get(&id)?;
    Ok(open.or(rows.ended_uses.get(&id)?).cloned())
}

fn told(row: UseRow) -> Answer {
    Answer::Use(Box::new(row))
}

fn authorize(rows: &mut Rows, command: &AuthorizeUse, now: Timestamp) -> Decision {
    let AuthorizeUse { id, feature, tag, whom, lapses, claim } = command;
    if let Some(row) = known(rows, *id)? {
        return if row.feature == *feature && row.tag == *tag && row.whom == *whom {
            Ok((told(row), None))
        } else {
            Err(UseReject::Elsewhere(*id).into())
        };
    }
    let (by, entry) = match claim {
        Claim::Nothing => (UseBy::Nothing, None),
        Claim::Quota(take) => {
            let (Answer::Quota(row), _) = super::quota::take(rows, take)? else {
                return Err(Reject::NotLoaded);
            };
            let left = take.limit.saturating_sub(row.used);
            (UseBy::Quota { quota: take.quota, admitted_by: row.admitted_by, left }, None)
        }
        Claim::Payment(hold) => {
            let payment = hold.payment;
            if hold.marks.behind != Some(*id) {
                return Err(Reject::NotLoaded);
            }
            // A credential stands behind one use: whoever sends it for another gets nothing for it.
            if rows.payments.get(&payment)?.is_some() {
                return Err(Reject::PaymentElsewhere(payment));
            }
            if rows.held.get(&payment)?.is_some() {
                return Err(Reject::PaymentUnderWay(payment));
            }
            let (_, entry) = super::hold::hold(rows, hold, now)?;
            (UseBy::Payment { payment, most: hold.price }, entry)
        }
    };
    let row = UseRow {
        feature: feature.clone(),
        tag: *tag,
        whom: *whom,
        state: UseState::Open,
        by,
        opened_at: now,
        lapses: *lapses,
        ended_at: None,
        entitlement: None,
    };
    rows.open_uses.put(*id, row.clone());
    Ok((told(row), entry))
}

fn commit(rows: &mut Rows, command: &CommitUse, now: Timestamp) -> Decision {
    let CommitUse { id, post, entitlement } = command;
    let row = known(rows, *id)?.ok_or(UseReject::Unknown(*id))?;
    match row.state {
        UseState::Committed => return Ok((told(row), None)),
        UseState::Open if !row.has_lapsed(now) => {}
        UseState::Open | UseState::Released => return Err(UseReject::Over(*id).into()),
    }
    // All that could be refused is looked at before anything is changed.
    if let Some(IssueEntitlement { id, .. }) = entitlement
        && rows.entitlements.get(id)?.is_some()
    {
        return Err(EntitlementReject::Exists(*id).into());
    }
    let entry = match (row.by, post) {
        (UseBy::Payment { payment, most }, Some(post)) if post.payment == payment => {
            if post.charged > most {
                return Err(UseReject::Exceeded { most, got: post.charged }.into());
            }
            super::post::post(rows, post, now)?.1
        }
        (UseBy::Nothing | UseBy::Quota { .. }, None) => None,
        _ => return Err(Reject::NotLoaded),
    };
    if let Some(IssueEntitlement { id, row }) = entitlement {
        rows.entitlements.put(*id, row.clone());
    }
    let entitlement = entitlement.as_ref().map(|issued| issued.id);
    Ok((end(rows, *id, UseRow { state: UseState::Committed, entitlement, ..row }, now), entry))
}

fn release(rows: &mut Rows, command: &ReleaseUse, now: Timestamp) -> Decision {
    let ReleaseUse { id, back } = command;
    let row = known(rows, *id)?.ok_or(UseReject::Unknown(*id))?;
    match row.state {
        UseState::Released => return Ok((told(row), None)),
        UseState::Committed => return Err(UseReject::Committed(*id).into()),
        UseState::Open => {}
    }
    let entry = match (row.by, back) {
        (UseBy::Nothing, GivenBack::Nothing) => None,
        (UseBy::Quota { quota, .. }, GivenBack::Quota(back)) if back.quota == quota => {
            super::quota::give_back(rows, back)?.1
        }
        (UseBy::Payment { payment, .. }, GivenBack::Payment(release)) if release.payment == payment => {
            super::release::release(rows, release)?.1
        }
        _ => return Err(Reject::NotLoaded),
    };
    Ok((end(rows, *id, UseRow { state: UseState::Released, ..row }, now), entry))
}

fn end(rows: &mut Rows, id: UseId, row: UseRow, now: Timestamp) -> Answer {
    let row = UseRow { ended_at: Some(now), ..row };
    rows.open_uses.remove(id);
    rows.ended_uses.put(id, row.clone());
    told(row)
}

/// Only what nobody asks for any more goes.
fn forget(rows: &mut Rows, ids: &[UseId], now: Timestamp) -> Decision {
    let mut over = Vec::new();
    for id in ids {
        if rows.ended_uses.get(id)?.is_some_and(|row| row.may_be_forgotten(now)) {
            over.push(*id);
        }
    }
    for id in over {
        rows.ended_uses.remove(id);
    }
    Ok((Answer::Done, None))
}
