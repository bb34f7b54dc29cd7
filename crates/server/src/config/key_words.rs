//! What is said of a key of the configuration file, and which words may stand where, by the list of all keys.

use super::keys::keys;

/// A key of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyNote {
    /// Its section as it is written: `[server]` or, when it may stand several times, `[[price]]`.
    pub section: &'static str,
    /// Its name.
    pub key: &'static str,
    /// What kind of value is expected.
    pub expected: &'static str,
    /// A value as it stands in the file.
    pub example: &'static str,
    /// What it is when it is left out; nothing when it must be given or when there is nothing then.
    pub default: Option<&'static str>,
    /// What it does.
    pub meaning: &'static str,
}

pub(super) const fn note(
    section: &'static str,
    key: &'static str,
    expected: &'static str,
    example: &'static str,
    default: Option<&'static str>,
    meaning: &'static str,
) -> KeyNote {
    KeyNote { section, key, expected, example, default, meaning }
}

/// The keys of a section.
pub(super) fn of_section(section: &str) -> impl Iterator<Item = &'static KeyNote> {
    keys().filter(move |note| note.section == section)
}

/// The note of one key.
pub(super) fn find(section: &str, key: &str) -> Option<&'static KeyNote> {
    of_section(section).find(|note| note.key == key)
}

/// The sections in which a key stands.
pub(super) fn sections_of(key: &str) -> impl Iterator<Item = &'static str> {
    keys().filter(move |note| note.key == key).map(|note| note.section)
}

/// The words that may stand in a section: its keys and the sections below it. The file itself is the section "".
pub(super) fn words_of(section: &str) -> Vec<&'static str> {
    let mut words: Vec<&str> = of_section(section).map(|note| note.key).collect();
    for name in keys().map(|note| note.section.trim_matches(['[', ']'])) {
        let own = section.trim_matches(['[', ']']);
        let below = if own.is_empty() {
            Some(name)
        } else {
            name.strip_prefix(own).and_then(|rest| rest.strip_prefix('.'))
        };
        let word = below.and_then(|below| below.split('.').next());
        if let Some(word) = word.filter(|word| !words.contains(word)) {
            words.push(word);
        }
    }
    words
}
