//! The text of a configuration file and the mistakes found in it so far.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use toml_edit::Document;

use super::Mistake;

/// A file that the configuration names and that must be readable when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedFile {
    pub(super) path: PathBuf,
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// The text, its name, and what was found in it.
pub(super) struct Source<'a> {
    text: &'a str,
    file: &'a Path,
    mistakes: RefCell<Vec<Mistake>>,
    files: RefCell<Vec<NamedFile>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str, file: &'a Path) -> Self {
        Self { text, file, mistakes: RefCell::default(), files: RefCell::default() }
    }

    /// Notes a mistake at a byte of the text.
    pub(super) fn mistake(&self, at: usize, message: impl Into<String>, hint: Option<String>) {
        let (line, column) = self.place(at);
        let (file, message) = (self.file.to_owned(), message.into());
        self.mistakes.borrow_mut().push(Mistake { file, line, column, message, hint });
    }

    /// A path as it stands in the file: relative to the file's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
    }

    /// Notes a file that must be readable.
    pub(super) fn needs(&self, path: &Path, key: String, at: usize) {
        let (line, column) = self.place(at);
        self.files.borrow_mut().push(NamedFile { path: path.to_owned(), key, line, column });
    }

    /// Line and column of a byte, both from 1.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(start..).map_or(0, |rest| rest.chars().count()) + 1;
        (line, column)
    }

    /// Parses the text. A line that is not TOML is noted and left out, so that the next one is found as well; the
    /// second answer says whether any line was left out.
    pub(super) fn parse(&self) -> (Option<Document<String>>, bool) {
        let mut text = self.text.to_owned();
        let mut torn = false;
        loop {
            let error = match Document::parse(text.clone()) {
                Ok(document) => return (Some(document), torn),
                Err(error) => error,
            };
            torn = true;
            let at = error.span().map_or(text.len(), |span| span.start);
            self.mistake(at, format!("this is not TOML: {}", error.message()), syntax_hint(error.message()));
            if !leave_out_line(&mut text, at) {
                return (None, torn);
            }
        }
    }

    /// All mistakes in the order of the file, or the files to be looked at.
    pub(super) fn finish(self) -> Result<Vec<NamedFile>, Vec<Mistake>> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        if mistakes.is_empty() { Ok(self.files.into_inner()) } else { Err(mistakes) }
    }
}

fn syntax_hint(message: &str) -> Option<String> {
    let hint = if message.contains("duplicate key") {
        "give each key once"
    } else if message.contains("string") {
        "text stands between double quotes"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// Blanks the line around a byte, keeping every other byte where it is. A section's head is never left out, since what
/// follows it would then be read as part of the section before.
fn leave_out_line(text: &mut String, at: usize) -> bool {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let end = text.get(start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |length| start + length);
    let line = text.get(start..end).unwrap_or_default();
    if line.trim().is_empty() || line.trim_start().starts_with('[') {
        return false;
    }
    let blank = " ".repeat(end - start);
    text.replace_range(start..end, &blank);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<(usize, usize)> {
        let source = Source::new(text, Path::new("f.toml"));
        source.parse();
        source.finish().unwrap_err().iter().map(|mistake| (mistake.line, mistake.column)).collect()
    }

    #[test]
    fn columns_are_characters() {
        let text = "a = 1\nb = \"é\" !\n";
        let source = Source::new(text, Path::new("f.toml"));
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(text.find('!').unwrap()), (2, 9));
        assert_eq!(source.place(10_000), (3, 1));
    }

    #[test]
    fn every_line_that_is_not_toml_is_found() {
        assert_eq!(places("[a]\nx = \ny = 1\nz = tru\n").len(), 2);
        assert_eq!(places("[a]\nx = 1\nx = 2\n"), [(3, 1)]);
        assert_eq!(places("[a\nx = \n").len(), 1, "a broken head ends the search");
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let source = Source::new("", Path::new("/etc/farthing/farthing.toml"));
        assert_eq!(source.resolve("data"), Path::new("/etc/farthing/data"));
        assert_eq!(source.resolve("/var/data"), Path::new("/var/data"));
        assert_eq!(Source::new("", Path::new("f.toml")).resolve("./data"), Path::new("./data"));
    }
}
