//! Rot: one byte of a file is changed while the program is away. It must be found and named, never served around.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::chance::Chance;
use super::report::{Found, Report, RotSeen};
use super::stage::{Believed, Stage};
use crate::program::{Home, Program};

/// Files of a folder, by kind.
type Kinds = BTreeMap<String, Vec<PathBuf>>;

/// Changes a byte in so many files of each kind, each in a fresh copy of the folder. The program must not run.
pub async fn rounds(
    stage: &mut Stage,
    report: &mut Report,
    after: &'static str,
    (seed, number, flips): (u64, u64, u64),
) -> Result<(), String> {
    let data = stage.home.data();
    let mut chance = Chance::of(seed, number, 1);
    for (kind, files) in kinds(&data)? {
        for _ in 0..flips {
            let Some(file) = files.get(chance.place(files.len())) else { continue };
            let inside = file.strip_prefix(&data).map_err(|error| error.to_string())?;
            let twin = Arc::new(stage.home.twin()?);
            let Some(at) = flip(&twin.data().join(inside), &mut chance)? else { continue };
            let (found, said) = look(stage, &twin).await?;
            eprintln!("crash: rot in {kind} {at}, {after}: {found:?} {said}");
            if found == Found::ServedAround {
                stage.found.violation(format!("rot in {} {at} was served around: {said}", inside.display()));
            }
            report.rot.push(RotSeen { kind: kind.clone(), after, at, found, said });
        }
    }
    Ok(())
}

/// Starts on a folder with rot in it and asks.
async fn look(stage: &mut Stage, twin: &Arc<Home>) -> Result<(Found, String), String> {
    let program = match Program::start(twin, &[]) {
        Ok(program) => program,
        Err(why) => return Ok((Found::AtStart, why)),
    };
    let believed = stage.believe(twin).await;
    program.kill()?;
    Ok(match believed {
        Believed::Whole => (Found::Harmless, String::new()),
        Believed::Refused(why) => (Found::AtFirstRead, why),
        Believed::Unsound(why) => (Found::ByVerify, why),
        Believed::Wrong(why) => (Found::ServedAround, why),
    })
}

/// Every file with something in it, by kind: digits stand for nothing.
fn kinds(data: &Path) -> Result<Kinds, String> {
    let mut kinds = Kinds::new();
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).map_err(|error| format!("reading {}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let (path, kind) = (entry.path(), entry.file_type().map_err(|error| error.to_string())?);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && entry.metadata().is_ok_and(|file| file.len() > 0) {
                let inside = path.strip_prefix(data).unwrap_or(&path).to_string_lossy().into_owned();
                kinds.entry(without_numbers(&inside)).or_default().push(path);
            }
        }
    }
    for files in kinds.values_mut() {
        files.sort();
    }
    Ok(kinds)
}

fn without_numbers(path: &str) -> String {
    let mut name = String::new();
    for letter in path.chars() {
        if !letter.is_ascii_digit() {
            name.push(letter);
        } else if !name.ends_with('N') {
            name.push('N');
        }
    }
    name
}

/// Changes a byte that is not zero: what was laid out beforehand and is still empty holds nothing.
fn flip(path: &Path, chance: &mut Chance) -> Result<Option<String>, String> {
    let failed = |error: std::io::Error| format!("changing {}: {error}", path.display());
    let bytes = fs::read(path).map_err(failed)?;
    let written: Vec<(usize, u8)> =
        bytes.iter().copied().enumerate().filter(|(_, byte)| *byte != 0).collect();
    let Some((at, old)) = written.get(chance.place(written.len())) else { return Ok(None) };
    let mask = u8::try_from(1 + chance.below(255)).unwrap_or(1);
    let file = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
    file.write_all_at(&[old ^ mask], u64::try_from(*at).unwrap_or_default()).map_err(failed)?;
    Ok(Some(format!("at byte {at} of {}", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_of_a_kind_whatever_their_numbers() {
        assert_eq!(without_numbers("books/keyspaces/12/tables/3"), "books/keyspaces/N/tables/N");
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        for (name, text) in [("a/1", "x"), ("a/2", "y"), ("empty", ""), ("seed.json", "{}")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let kinds = kinds(folder.path()).unwrap();
        assert_eq!(
            kinds.iter().map(|(kind, files)| (kind.as_str(), files.len())).collect::<Vec<_>>(),
            [("a/N", 2), ("seed.json", 1)]
        );
    }

    #[test]
    fn one_byte_is_changed_where_something_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for round in 0..50 {
            fs::write(&path, b"abc\0\0\0\0\0\0").unwrap();
            flip(&path, &mut Chance::of(1, round, 1)).unwrap().unwrap();
            let after = fs::read(&path).unwrap();
            let changed: Vec<usize> = (0..9).filter(|at| after[*at] != b"abc\0\0\0\0\0\0"[*at]).collect();
            assert!(matches!(changed[..], [0..3]), "{changed:?}");
        }
        fs::write(&path, [0; 9]).unwrap();
        assert_eq!(flip(&path, &mut Chance::of(1, 1, 1)).unwrap(), None);
    }
}
