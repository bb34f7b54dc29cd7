//! Entries of the operator's own, and taking back what may be taken back: nothing is ever changed or removed.

use farthing_ledger::{EntryKind, LedgerReject, Step, Transfer};
use farthing_money::Timestamp;

use super::Decision;
use crate::books::Draft;
use crate::{Answer, Chart, CodeRow, CodeState, Enter, EntryRow, Leg, Reject, Reverse, Rows};

pub(crate) fn enter(rows: &mut Rows, command: &Enter) -> Decision {
    let Enter { reference, debit, credit, amount, asset, dated, memo, also } = command;
    let own = Leg { debit: *debit, credit: *credit, amount: *amount, asset: *asset };
    let legs: Vec<Leg> = [own].into_iter().chain(*also).collect();
    let transfer = |leg: &Leg| Transfer::post(leg.debit, leg.credit, leg.amount);
    let row = EntryRow {
        kind: EntryKind::Manual,
        asset: *asset,
        transfers: legs.iter().map(transfer).collect(),
        dated: *dated,
        memo: Some(memo.clone()),
        codes: Vec::new(),
        reversed: false,
    };
    match rows.entries.get(reference)? {
        Some(known) if (EntryRow { reversed: false, ..known.clone() }) == row => {
            return Ok((Answer::Done, None));
        }
        Some(_) => return Err(Reject::EntryExists(*reference)),
        None => {}
    }
    let closed_until = rows.standing()?.closed_until;
    if *dated < closed_until {
        return Err(Reject::PeriodClosed { until: closed_until, dated: *dated });
    }
    let sides = legs.iter().flat_map(|leg| [(leg.debit, leg.asset), (leg.credit, leg.asset)]);
    for (id, asset) in sides {
        let account = rows.accounts.get(&id)?.ok_or(Reject::Ledger(LedgerReject::UnknownAccount(id)))?;
        if !Chart::is_open_to_entries(account) {
            return Err(Reject::AccountReserved(account.name.clone()));
        }
        if account.asset != asset {
            return Err(Reject::WrongAsset { expected: account.asset, got: asset });
        }
    }
    let mut draft = Draft::new(EntryKind::Manual, Some(*reference)).dated(*dated).memo(memo.clone());
    for leg in &legs {
        draft.push(transfer(leg));
    }
    if draft.transfers().len() < legs.len() {
        return Err(Reject::Ledger(LedgerReject::ZeroAmount));
    }
    let entry = draft.apply(rows)?;
    rows.entries.put(*reference, row);
    Ok((Answer::Done, Some(entry)))
}

pub(crate) fn reverse(rows: &mut Rows, command: &Reverse, now: Timestamp) -> Decision {
    let Reverse { reference, codes, accounts: _, memo } = command;
    let row = rows.entries.get(reference)?.ok_or(Reject::UnknownEntry(*reference))?.clone();
    if row.reversed {
        return Err(Reject::EntryReversed(*reference));
    }
    if row.codes != *codes {
        return Err(Reject::NotLoaded);
    }
    let mut void = Vec::with_capacity(codes.len());
    for code in codes {
        let known = rows.codes.get(code)?.ok_or(Reject::UnknownCode)?;
        match known.state {
            CodeState::Unused => void.push((*code, CodeRow { state: CodeState::Void, ..known.clone() })),
            CodeState::Claimed(_) => return Err(Reject::CodeUsed),
            CodeState::Refunded | CodeState::Void => return Err(Reject::CodeWithdrawn),
        }
    }
    let mut draft = Draft::new(EntryKind::Reversal, Some(*reference)).dated(now).memo(memo.clone());
    for transfer in &row.transfers {
        if let Step::Post(amount) = transfer.step {
            draft.push(Transfer::post(transfer.credit, transfer.debit, amount));
        }
    }
    let entry = draft.apply(rows)?;
    for (code, row) in void {
        rows.codes.put(code, row);
    }
    rows.entries.put(*reference, EntryRow { reversed: true, ..row });
    Ok((Answer::Done, Some(entry)))
}
