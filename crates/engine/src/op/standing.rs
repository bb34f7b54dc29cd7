//! What holds for the books as a whole: the issuer's mode, the epoch, the closed periods, published texts.

use farthing_ledger::{Entry, EntryKind, Reference};
use farthing_money::Timestamp;

use super::Decision;
use crate::{Answer, BOOKS, BooksRow, Mode, Publish, Reject, Rows};

pub(crate) fn set_mode(rows: &mut Rows, mode: Mode) -> Decision {
    let standing = rows.standing()?;
    if standing.mode == mode {
        return Ok((Answer::Done, None));
    }
    rows.books.put(BOOKS, BooksRow { mode, ..standing });
    let memo = Some(mode.as_str().to_owned());
    Ok((Answer::Done, Some(Entry { memo, ..Entry::of(EntryKind::Mode, Vec::new()) })))
}

/// Its entry in the journal is the line between two epochs: what stands before it belongs to the one that ends.
pub(crate) fn open_epoch(rows: &mut Rows, number: u32, now: Timestamp) -> Decision {
    let standing = rows.standing()?;
    if number == standing.epoch {
        return Ok((Answer::Done, None));
    }
    if Some(number) != standing.epoch.checked_add(1) {
        return Err(Reject::EpochOutOfTurn { present: standing.epoch, got: number });
    }
    rows.books.put(BOOKS, BooksRow { epoch: number, epoch_opened_at: now, ..standing });
    let reference = Some(epoch_reference(standing.epoch));
    Ok((Answer::Done, Some(Entry { reference, ..Entry::of(EntryKind::Epoch, Vec::new()) })))
}

/// What the mark at the end of an epoch is about: its number, big endian, in the last four bytes.
pub fn epoch_reference(epoch: u32) -> Reference {
    let mut bytes = [0; 32];
    bytes.iter_mut().rev().zip(epoch.to_le_bytes()).for_each(|(to, from)| *to = from);
    Reference::from_bytes(bytes)
}

pub(crate) fn close_period(rows: &mut Rows, until: Timestamp, now: Timestamp) -> Decision {
    let standing = rows.standing()?;
    if until <= standing.closed_until {
        return Ok((Answer::Done, None));
    }
    // The journal counts in hours: from here on no batch is dated before `until`.
    if until > now.hour() {
        return Err(Reject::PeriodOpen { until, now });
    }
    rows.books.put(BOOKS, BooksRow { closed_until: until, ..standing });
    let dated = Some(until);
    Ok((Answer::Done, Some(Entry { dated, ..Entry::of(EntryKind::Close, Vec::new()) })))
}

pub(crate) fn publish(rows: &mut Rows, command: &Publish) -> Decision {
    let Publish { id, row } = command;
    match rows.statements.get(id)? {
        Some(known) if known.text == row.text => return Ok((Answer::Done, None)),
        Some(_) => return Err(Reject::StatementExists(*id)),
        None => {}
    }
    rows.statements.put(*id, row.clone());
    Ok((Answer::Done, None))
}
