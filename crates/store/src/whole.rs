//! Looks whether a folder of books is whole before fjall opens it. Where a file that names others is gone, fjall takes those
//! others for leftovers and removes them: a lost entry of a directory would cost every table.

use std::io;
use std::path::Path;

use farthing_engine::{Fault, FaultKind};
use xxhash_rust::xxh3::xxh3_128;

use crate::seal::{in_use, is_missing};

/// What a restore is called until it is done.
pub(crate) const UNDONE: &str = "restoring";

/// Refuses a folder that a restore left behind unfinished, that is in use, or that has lost a file that others hang on. Where
/// something was committed before, there must be something.
pub(crate) fn check(folder: &Path, has_commits: bool) -> Result<(), Fault> {
    let unreadable = |error: &io::Error| {
        Fault::new(FaultKind::Disk, format!("the folder {} cannot be read: {error}", folder.display()))
    };
    let undone = folder.with_extension(UNDONE);
    if undone != folder && undone.try_exists().map_err(|error| unreadable(&error))? {
        let message = format!(
            "a restore was broken off here: {} is not done; run `farthing restore` again",
            undone.display()
        );
        return Err(Fault::new(FaultKind::Corrupt, message));
    }
    match std::fs::File::open(folder.join("lock")).map(|lock| lock.try_lock()) {
        Err(error) if !is_missing(&error) => return Err(unreadable(&error)),
        Ok(Err(std::fs::TryLockError::WouldBlock)) => return Err(in_use(folder)),
        _ => {}
    }
    let has = |name: &str| folder.join(name).try_exists().map_err(|error| unreadable(&error));
    if !has("version")? {
        // A new folder. One that was begun and not finished has nothing but an empty log, a lock and no table.
        let is_lost = has_commits || has("keyspaces/0")?;
        return if is_lost { Err(gone(folder, "version")) } else { Ok(()) };
    }
    let tables = std::fs::read_dir(folder.join("keyspaces"));
    let tables = tables.and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let tables = match tables {
        Ok(tables) => tables,
        Err(error) if is_missing(&error) => return Err(gone(folder, "keyspaces")),
        Err(error) => return Err(unreadable(&error)),
    };
    let mut is_log_there = false;
    for entry in std::fs::read_dir(folder).map_err(|error| unreadable(&error))? {
        let path = entry.map_err(|error| unreadable(&error))?.path();
        is_log_there |= path.extension().is_some_and(|extension| extension == "jnl");
    }
    if !is_log_there {
        return Err(gone(folder, "*.jnl, the write-ahead log"));
    }
    let is_new = !has_commits && tables_are_new(folder);
    for table in tables {
        let name = table.file_name().to_string_lossy().into_owned();
        let current = format!("keyspaces/{name}/current");
        // A table that was being made when the power went has none yet, and no rows either.
        if !has(&current)? && (name == "0" && !is_new || has_rows(&table.path())) {
            return Err(gone(folder, &current));
        }
        if has(&current)? && !is_list_sound(&table.path()).map_err(|error| unreadable(&error))? {
            return Err(damaged(
                folder,
                &format!("the list of files of keyspaces/{name} is not the one that was written"),
            ));
        }
    }
    if !is_new && !has("keyspaces/0")? {
        return Err(gone(folder, "keyspaces/0"));
    }
    Ok(())
}

/// Whether no table was made yet: there is none but the list of tables.
fn tables_are_new(folder: &Path) -> bool {
    let tables = std::fs::read_dir(folder.join("keyspaces"));
    !tables.is_ok_and(|mut tables| {
        tables.any(|table| table.is_ok_and(|table| table.file_name().to_string_lossy() != "0"))
    })
}

fn has_rows(table: &Path) -> bool {
    std::fs::read_dir(table.join("tables")).is_ok_and(|mut files| files.next().is_some())
}

/// Whether a table's list of files has the checksum that `current` has of it: a number, XXH3 of 128 bits, and a zero, little
/// endian. fjall reads the list as it is.
fn is_list_sound(table: &Path) -> io::Result<bool> {
    let current = std::fs::read(table.join("current"))?;
    let parts =
        current.split_first_chunk().and_then(|(number, rest)| Some((number, rest.split_first_chunk()?)));
    let Some((number, (sum, [0]))) = parts else { return Ok(false) };
    match std::fs::read(table.join(format!("v{}", u64::from_le_bytes(*number)))) {
        Ok(list) => Ok(xxh3_128(&list) == u128::from_le_bytes(*sum)),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn gone(folder: &Path, what: &str) -> Fault {
    damaged(folder, &format!("{what} is missing"))
}

fn damaged(folder: &Path, what: &str) -> Fault {
    let message = format!(
        "the books {} are damaged: {what}; nothing was changed. Keep them as they are, restore a backup, and look at the disk",
        folder.display()
    );
    Fault::new(FaultKind::Corrupt, message)
}
