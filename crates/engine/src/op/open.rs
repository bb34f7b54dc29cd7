//! Opens accounts and keysets. Opening what is open already, alike, is no error.

use farthing_ledger::Account;

use super::Decision;
use crate::{Answer, OpenKeyset, Reject, Rows};

pub(crate) fn accounts(rows: &mut Rows, accounts: &[Account]) -> Decision {
    for account in accounts {
        rows.accounts.get(&account.id())?;
    }
    for account in accounts {
        open(rows, account)?;
    }
    Ok((Answer::Done, None))
}

pub(crate) fn keyset(rows: &mut Rows, command: &OpenKeyset) -> Decision {
    let OpenKeyset { keyset, account, retire } = command;
    let mut retired = Vec::new();
    for index in retire {
        let row = rows.keysets.get(index)?.ok_or(Reject::UnknownKeyset(*index))?;
        if row.active {
            retired.push((*index, crate::KeysetRow { active: false, ..row.clone() }));
        }
    }
    match rows.keysets.get(&keyset.index)? {
        Some(known) if known.id == keyset.id => return Ok((Answer::Done, None)),
        Some(_) => return Err(Reject::KeysetExists(keyset.index)),
        None => {}
    }
    rows.accounts.get(&account.id())?;
    for (index, row) in retired {
        rows.keysets.put(index, row);
    }
    rows.keysets.put(keyset.index, keyset.clone());
    open(rows, account)?;
    Ok((Answer::Done, None))
}

fn open(rows: &mut Rows, account: &Account) -> Result<(), Reject> {
    if rows.accounts.get(&account.id())?.is_none() {
        rows.accounts.put(account.id(), account.clone());
        rows.opened.push(account.clone());
    }
    Ok(())
}
