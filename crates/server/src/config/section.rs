//! One section of the file, read key by key: what is wrong is noted with its place, and reading goes on.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml_edit::{Item, TableLike, Value};

use super::keys;
use super::source::Source;
use super::spelling::nearest;

/// A section that may be absent, in which case every key is.
pub(super) struct Section<'a> {
    source: &'a Source<'a>,
    /// As it is written, with its brackets; empty for the file itself.
    name: &'static str,
    table: Option<&'a dyn TableLike>,
    at: usize,
}

impl<'a> Section<'a> {
    /// The file itself.
    pub(super) fn root(source: &'a Source<'a>, table: &'a dyn TableLike) -> Self {
        Self { source, name: "", table: Some(table), at: 0 }
    }

    /// The section below this one, by its key and its name.
    pub(super) fn section(&self, key: &str, name: &'static str) -> Section<'a> {
        let absent = Section { source: self.source, name, table: None, at: self.at };
        let Some((at, item)) = self.item(key) else { return absent };
        if let Some(table) = item.as_table_like() {
            return Section { table: Some(table), at, ..absent };
        }
        let message = format!("expected the section {name}, got {}", describe(item));
        self.source.mistake(at, message, Some(format!("write {name} on a line of its own")));
        Section { at, ..absent }
    }

    /// The sections of a name that may stand several times.
    pub(super) fn sections(&self, key: &str, name: &'static str) -> Vec<Section<'a>> {
        let Some((at, item)) = self.item(key) else { return Vec::new() };
        let section = |table, at| Section { source: self.source, name, table: Some(table), at };
        if let Some(tables) = item.as_array_of_tables() {
            let place = |span: Option<std::ops::Range<usize>>| span.map_or(at, |span| span.start);
            return tables
                .iter()
                .map(|table| section(table as &dyn TableLike, place(table.span())))
                .collect();
        }
        let wrong = |at, item: String| {
            let hint = format!("write {name}, with two brackets, on a line of its own");
            self.source.mistake(at, format!("expected the section {name}, got {item}"), Some(hint));
        };
        let Some(list) = item.as_array() else {
            wrong(at, describe(item));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for value in list {
            let at = value.span().map_or(at, |span| span.start);
            match value {
                Value::InlineTable(table) => sections.push(section(table as &dyn TableLike, at)),
                other => wrong(at, describe_value(other)),
            }
        }
        sections
    }

    /// Whether the section stands in the file.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The byte at which it begins.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether a key stands in it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.item(key).is_some()
    }

    /// A text as it is, where another reader says what is wrong with it.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.item(key).and_then(|(_, item)| item.as_str())
    }

    /// The default when a key is absent; otherwise what a function reads, which may be nothing.
    pub(super) fn given_or<'k, T>(
        &self,
        key: &'k str,
        default: T,
        read: impl FnOnce(&'k str) -> Option<T>,
    ) -> Option<T> {
        if self.has(key) { read(key) } else { Some(default) }
    }

    /// A text of at most so many characters, on one line.
    pub(super) fn line(&self, key: &str, chars_max: usize) -> Option<String> {
        let (at, text) = self.placed_text(key)?;
        if text.chars().any(char::is_control) {
            return self.wrong(at, key, "expected a text on one line, got control characters");
        }
        let chars = text.chars().count();
        if chars > chars_max {
            return self.wrong(at, key, format!("expected at most {chars_max} characters, got {chars}"));
        }
        Some(text.to_owned())
    }

    /// A text, if it is one; what is wrong with it is noted by whoever reads the key.
    pub(super) fn unjudged_text(&self, key: &str) -> Option<&'a str> {
        self.item(key).and_then(|(_, item)| item.as_str())
    }

    /// A text that is read by a function; nothing means that it is not what the key expects.
    pub(super) fn parsed<T>(&self, key: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let (at, text) = self.placed_text(key)?;
        parse(text).or_else(|| self.unexpected(at, key, &format!("{text:?}")))
    }

    /// A text that is read by a function whose errors say themselves what was expected and what came.
    pub(super) fn judged<T, E: Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        let (at, text) = self.placed_text(key)?;
        parse(text).map_or_else(|error| self.wrong(at, key, error.to_string()), Some)
    }

    /// True or false.
    pub(super) fn boolean(&self, key: &str) -> Option<bool> {
        let (at, item) = self.item(key)?;
        item.as_bool().or_else(|| self.unexpected(at, key, &describe(item)))
    }

    /// A whole number within a range.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let (at, item) = self.item(key)?;
        let Some(number) = item.as_integer() else { return self.unexpected(at, key, &describe(item)) };
        u32::try_from(number).ok().filter(|number| range.contains(number)).or_else(|| {
            let expected = format!("expected a whole number from {} to {}", range.start(), range.end());
            self.wrong(at, key, format!("{expected}, got {number}"))
        })
    }

    /// A list of texts, or one text alone, each read by a function. Each wrong one is noted.
    pub(super) fn list<T, E: Display>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let (at, item) = self.item(key)?;
        let values: Vec<&Value> = match item.as_value() {
            Some(Value::Array(array)) => array.iter().collect(),
            Some(value @ Value::String(_)) => vec![value],
            _ => return self.unexpected(at, key, &describe(item)),
        };
        let read = |value: &&Value| {
            let at = value.span().map_or(at, |span| span.start);
            match value.as_str().map(&parse) {
                Some(Ok(read)) => Some(read),
                Some(Err(error)) => self.wrong(at, key, error.to_string()),
                None => self.unexpected(at, key, &format!("{} in it", describe_value(value))),
            }
        };
        let read: Vec<Option<T>> = values.iter().map(read).collect();
        read.into_iter().collect()
    }

    /// The path of something, relative to the file's folder.
    pub(super) fn path(&self, key: &str) -> Option<PathBuf> {
        let (at, text) = self.placed_text(key)?;
        if text.is_empty() { self.unexpected(at, key, "\"\"") } else { Some(self.source.resolve(text)) }
    }

    /// The path of a file that must be readable.
    pub(super) fn file(&self, key: &str) -> Option<PathBuf> {
        let path = self.path(key)?;
        let at = self.item(key).map_or(self.at, |(at, _)| at);
        self.source.needs(&path, format!("{key} in {}", self.name), at);
        Some(path)
    }

    /// Notes that a key is missing, unless it is there, or there with a slip, or the file could not be read whole.
    pub(super) fn require(&self, key: &str, torn: bool) {
        let known = keys::words_of(self.name);
        let is_meant =
            |word: &str| !known.contains(&word) && nearest(word, known.iter().copied()) == Some(key);
        let slip = self.table.is_some_and(|table| table.iter().any(|(word, _)| is_meant(word)));
        if !torn && !slip && !self.has(key) {
            let example = keys::find(self.name, key).map(|note| format!("write {key} = {}", note.example));
            let message = format!("expected the key \"{key}\" in {}, got none", self.name);
            self.source.mistake(self.at, message, example);
        }
    }

    /// Notes what is wrong with a key's value.
    pub(super) fn wrong<T>(&self, at: usize, key: &str, message: impl Display) -> Option<T> {
        self.source.mistake(at, format!("{key} in {}: {message}", self.name), None);
        None
    }

    /// Notes something about a key, at its value.
    pub(super) fn remark(&self, key: &str, message: impl Display, hint: Option<String>) {
        let at = self.item(key).map_or(self.at, |(at, _)| at);
        self.source.mistake(at, format!("{key} in {}: {message}", self.name), hint);
    }

    /// Notes every key that does not belong here.
    pub(super) fn finish(self) {
        let Some(table) = self.table else { return };
        let known = keys::words_of(self.name);
        for (word, _) in table.iter().filter(|(word, _)| !known.contains(word)) {
            let at = table.key(word).and_then(toml_edit::Key::span).map_or(self.at, |span| span.start);
            let message = match self.name {
                "" => format!("unknown section or key \"{word}\""),
                name => format!("unknown key \"{word}\" in {name}"),
            };
            self.source.mistake(at, message, Some(suggestion(word, &known)));
        }
    }

    fn item(&self, key: &str) -> Option<(usize, &'a Item)> {
        let (name, item) = self.table?.get_key_value(key)?;
        let span = item.span().or_else(|| name.span());
        Some((span.map_or(self.at, |span| span.start), item))
    }

    fn placed_text(&self, key: &str) -> Option<(usize, &'a str)> {
        let (at, item) = self.item(key)?;
        match item.as_str() {
            Some(text) => Some((at, text)),
            None => self.unexpected(at, key, &describe(item)),
        }
    }

    fn unexpected<T>(&self, at: usize, key: &str, got: &str) -> Option<T> {
        let expected = keys::find(self.name, key).map_or_else(String::new, |note| {
            format!("expected {} such as {}, ", note.expected, note.example)
        });
        self.wrong(at, key, format!("{expected}got {got}"))
    }
}

fn suggestion(word: &str, known: &[&str]) -> String {
    if let Some(near) = nearest(word, known.iter().copied()) {
        return format!("did you mean \"{near}\"?");
    }
    match keys::sections_of(word).next() {
        Some(section) => format!("it belongs in {section}"),
        None => format!("known here: {}", known.join(", ")),
    }
}

fn describe(item: &Item) -> String {
    match item {
        Item::None => "nothing".to_owned(),
        Item::Value(value) => describe_value(value),
        Item::Table(_) => "a section".to_owned(),
        Item::ArrayOfTables(_) => "a list of sections".to_owned(),
    }
}

fn describe_value(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {:?}", text.value().chars().take(64).collect::<String>()),
        Value::Integer(number) => format!("the number {}", number.value()),
        Value::Float(number) => format!("the number {}", number.value()),
        Value::Boolean(truth) => format!("{}", truth.value()),
        Value::Datetime(time) => format!("the time {}", time.value()),
        Value::Array(_) => "a list".to_owned(),
        Value::InlineTable(_) => "a table".to_owned(),
    }
}
