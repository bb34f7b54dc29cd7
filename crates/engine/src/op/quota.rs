//! What is free up to a limit. Takings are decided in turn, so that however many ask at once, nobody has more than the limit.
//! No money moves: nothing of it is in the journal.

use farthing_money::Timestamp;

use super::Decision;
use crate::{
    Answer, DrawQuotaKey, ForgetQuotas, QuotaCommand, QuotaId, QuotaKeyRow, QuotaReject, QuotaRow, Reject,
    ReturnQuota, Rows, TakeQuota,
};

pub(crate) fn decide(rows: &mut Rows, command: &QuotaCommand, now: Timestamp) -> Decision {
    match command {
        QuotaCommand::DrawKey(command) => draw_key(rows, command),
        QuotaCommand::Take(command) => take(rows, command),
        QuotaCommand::Return(command) => give_back(rows, command),
        QuotaCommand::Forget(command) => forget(rows, command, now),
    }
}

/// A day has one key: whoever draws another gets nothing.
fn draw_key(rows: &mut Rows, command: &DrawQuotaKey) -> Decision {
    let row = match rows.quota_keys.get(&command.day)? {
        Some(known) if known.until >= command.until => return Ok((Answer::Done, None)),
        Some(known) => QuotaKeyRow { key: known.key, until: command.until },
        None => QuotaKeyRow { key: command.key, until: command.until },
    };
    rows.quota_keys.put(command.day, row);
    Ok((Answer::Done, None))
}

pub(crate) fn take(rows: &mut Rows, command: &TakeQuota) -> Decision {
    let known = rows.quotas.get(&command.quota)?.copied();
    let used = known.map_or(0, |row| row.used);
    // A limit that was lowered meanwhile holds for those who have had more, too.
    let used = used.checked_add(1).filter(|used| *used <= command.limit);
    let used = used.ok_or(Reject::Quota(QuotaReject::UsedUp { limit: command.limit }))?;
    let admitted_by = match known {
        Some(row) => row.admitted_by,
        None => command.admission.map(|admission| admission.by),
    };
    if known.is_none()
        && let Some(admission) = command.admission
    {
        let count = rows.quotas.get(&admission.by)?.copied();
        let let_in = count.map_or(0, |row| row.used).checked_add(1).filter(|used| *used <= admission.limit);
        let let_in = let_in.ok_or(Reject::Quota(QuotaReject::Crowded { limit: admission.limit }))?;
        let until = count.map_or(command.until, |row| row.until.max(command.until));
        rows.quotas.put(admission.by, QuotaRow { used: let_in, until, admitted_by: None });
    }
    let until = known.map_or(command.until, |row| row.until.max(command.until));
    let row = QuotaRow { used, until, admitted_by };
    rows.quotas.put(command.quota, row);
    Ok((Answer::Quota(row), None))
}

/// What was never had is not counted, and whoever has had nothing was not let in either.
pub(crate) fn give_back(rows: &mut Rows, command: &ReturnQuota) -> Decision {
    let Some(row) = rows.quotas.get(&command.quota)?.copied() else { return Ok((Answer::Done, None)) };
    // Whether it is there that is to be changed is seen before anything is.
    command.admitted_by.map(|by| rows.quotas.get(&by).map(drop)).transpose()?;
    if let Some(used @ 1..) = row.used.checked_sub(1) {
        rows.quotas.put(command.quota, QuotaRow { used, ..row });
        return Ok((Answer::Done, None));
    }
    rows.quotas.remove(command.quota);
    if let Some(by) = command.admitted_by.filter(|by| row.admitted_by == Some(*by)) {
        leave(rows, by)?;
    }
    Ok((Answer::Done, None))
}

fn leave(rows: &mut Rows, by: QuotaId) -> Result<(), Reject> {
    let Some(count) = rows.quotas.get(&by)?.copied() else { return Ok(()) };
    match count.used.checked_sub(1) {
        Some(used @ 1..) => rows.quotas.put(by, QuotaRow { used, ..count }),
        _ => rows.quotas.remove(by),
    }
    Ok(())
}

/// Only what is over goes: whoever names other rows loses nothing.
fn forget(rows: &mut Rows, command: &ForgetQuotas, now: Timestamp) -> Decision {
    let (mut quotas, mut keys) = (Vec::new(), Vec::new());
    for id in &command.quotas {
        if rows.quotas.get(id)?.is_some_and(|row| row.until <= now) {
            quotas.push(*id);
        }
    }
    for day in &command.keys {
        if rows.quota_keys.get(day)?.is_some_and(|row| row.until <= now) {
            keys.push(*day);
        }
    }
    for id in quotas {
        rows.quotas.remove(id);
    }
    for day in keys {
        rows.quota_keys.remove(day);
    }
    Ok((Answer::Done, None))
}
