//! Sessions: opened with credits, topped up with more, closed with change.

use farthing_channel::Steps;
use farthing_ledger::{EntryKind, Transfer};
use farthing_money::{Amount, Asset, Span, Timestamp};

use super::Decision;
use super::melt::change_outputs;
use crate::books::{Draft, input_sums, output_sums, total};
use crate::{
    Answer, CLOSED_KEPT, ChainTerms, Chart, CloseSession, Input, OpenSession, Reject, Rows, SessionId,
    SessionReject, SessionRow, SessionState, TopUpSession,
};

pub(crate) fn open(rows: &mut Rows, command: &OpenSession) -> Decision {
    let OpenSession { session, chain, inputs, asset, ends_at, restored, tag } = command;
    if let Some(row) = rows.sessions.get(session)? {
        return if row.tag == *tag {
            Ok((Answer::Session(Box::new(row.clone())), None))
        } else {
            Err(Reject::Session(SessionReject::Exists(*session)))
        };
    }
    let epoch = super::epoch(rows)?;
    let (draft, funds) = funded(rows, inputs, Chart::of(*asset))?;
    check_worth(chain, funds)?;
    let entry = draft.apply(rows)?;
    super::spend(rows, inputs, *tag, epoch);
    let row = SessionRow {
        asset: *asset,
        generation: 0,
        chain: *chain,
        funds,
        taken: Steps::default(),
        link: chain.anchor,
        state: SessionState::Open,
        tag: *tag,
        ends_at: *ends_at,
        kept_until: *ends_at,
        restored: *restored,
    };
    rows.sessions.put(*session, row.clone());
    Ok((Answer::Session(Box::new(row)), Some(entry)))
}

pub(crate) fn top_up(rows: &mut Rows, command: &TopUpSession) -> Decision {
    let TopUpSession { session, key, chain, inputs, asset, ends_at, restored, tag } = command;
    let row = rows.sessions.get(session)?.ok_or(Reject::Session(SessionReject::Unknown(*session)))?.clone();
    if row.tag == *tag && row.generation > 0 {
        return Ok((Answer::Session(Box::new(row)), None));
    }
    check_open(*session, &row, key)?;
    check_asset(&row, *asset)?;
    let epoch = super::epoch(rows)?;
    let (draft, more) = funded(rows, inputs, Chart::of(*asset))?;
    let left = row.left().ok_or(Reject::AmountOverflow)?;
    let funds = left.checked_add(more).ok_or(Reject::AmountOverflow)?;
    check_worth(chain, funds)?;
    let generation = row.generation.checked_add(1).ok_or(Reject::AmountOverflow)?;
    let entry = draft.apply(rows)?;
    super::spend(rows, inputs, *tag, epoch);
    let row = SessionRow {
        generation,
        chain: *chain,
        funds,
        taken: Steps::default(),
        link: chain.anchor,
        tag: *tag,
        ends_at: *ends_at,
        restored: *restored,
        ..row
    };
    rows.sessions.put(*session, row.clone());
    Ok((Answer::Session(Box::new(row)), Some(entry)))
}

/// A pause does not keep anybody from what is left, but new credits are signed: it waits as a swap does.
pub(crate) fn close(rows: &mut Rows, command: &CloseSession, now: Timestamp) -> Decision {
    let CloseSession { session, key, change, asset, tag } = command;
    let row = rows.sessions.get(session)?.ok_or(Reject::Session(SessionReject::Unknown(*session)))?.clone();
    if row.tag == *tag && row.state != SessionState::Open {
        return Ok((Answer::Session(Box::new(row)), None));
    }
    check_open(*session, &row, key)?;
    check_asset(&row, *asset)?;
    let epoch = super::epoch(rows)?;
    super::check_outputs(rows, change)?;
    let signed = output_sums(change)?;
    let (back, left) = (total(&signed)?, row.left().ok_or(Reject::AmountOverflow)?);
    if back != left {
        return Err(Reject::Unbalanced { inputs: left, outputs: back, fee: Amount::ZERO });
    }
    let sessions = Chart::of(*asset).sessions;
    let mut draft = Draft::new(EntryKind::Session, None);
    for (account, amount) in signed {
        draft.push(Transfer::post(sessions, account, amount));
    }
    let entry = if back.is_zero() { None } else { Some(draft.apply(rows)?) };
    super::sign(rows, change, epoch);
    let state = SessionState::Closed(change_outputs(change));
    let row = SessionRow { state, tag: *tag, kept_until: kept_until(now), ..row };
    rows.sessions.put(*session, row.clone());
    Ok((Answer::Session(Box::new(row)), entry))
}

/// Whoever shows the next link of these sessions pays for all below it.
pub(crate) fn mark_restored(rows: &mut Rows, sessions: &[SessionId]) -> Decision {
    for session in sessions {
        if rows.sessions.get(session)?.is_none() {
            return Err(Reject::Session(SessionReject::Unknown(*session)));
        }
    }
    for session in sessions {
        if let Ok(Some(row)) = rows.sessions.get(session)
            && row.state == SessionState::Open
        {
            let row = SessionRow { restored: true, ..row.clone() };
            rows.sessions.put(*session, row);
        }
    }
    Ok((Answer::Done, None))
}

/// Until when a session is known that is closed now, by whole hours: nothing that is kept says when exactly somebody came.
fn kept_until(now: Timestamp) -> Timestamp {
    now.after(CLOSED_KEPT).after(Span::from_secs(3_599)).hour()
}

/// What the credits are worth, and the entry that sets them aside.
fn funded(rows: &Rows, inputs: &[Input], chart: Chart) -> Result<(Draft, Amount), Reject> {
    super::check_inputs(rows, inputs)?;
    let sums = input_sums(inputs)?;
    let funds = total(&sums)?;
    let mut draft = Draft::new(EntryKind::Session, None);
    for (account, amount) in sums {
        draft.push(Transfer::post(account, chart.sessions, amount));
    }
    Ok((draft, funds))
}

fn check_worth(chain: &ChainTerms, funds: Amount) -> Result<(), Reject> {
    let price = chain.worth().filter(|worth| !worth.is_zero()).ok_or(Reject::AmountOverflow)?;
    if price > funds { Err(Reject::Insufficient { price, got: funds }) } else { Ok(()) }
}

fn check_open(session: SessionId, row: &SessionRow, key: &[u8; 32]) -> Result<(), Reject> {
    if row.state != SessionState::Open {
        return Err(Reject::Session(SessionReject::Closed(session)));
    }
    if !row.chain.lock.is_opened_by(key) {
        return Err(Reject::Session(SessionReject::Locked(session)));
    }
    Ok(())
}

fn check_asset(row: &SessionRow, asset: Asset) -> Result<(), Reject> {
    if row.asset == asset { Ok(()) } else { Err(Reject::WrongAsset { expected: row.asset, got: asset }) }
}
