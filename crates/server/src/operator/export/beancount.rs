//! The journal as beancount reads it. What stands beside an entry becomes its metadata.

use std::fmt::Write;

use super::super::journal::Dated;
use super::super::period::day_text;
use super::Book;

/// The day on which accounts are opened: before any day that an entry can be about.
const BEGINNING: &str = "1970-01-01";

pub(super) fn head(book: &Book) -> String {
    let mut text = String::new();
    for line in book.title() {
        let _ = writeln!(text, "; {line}");
    }
    text.push_str("\noption \"title\" \"Farthing\"\noption \"inferred_tolerance_default\" \"*:0\"\n");
    for code in book.codes().keys() {
        let _ = writeln!(text, "option \"operating_currency\" \"{}\"", currency(code));
    }
    text.push('\n');
    for (code, scale) in book.codes() {
        let _ = writeln!(text, "{BEGINNING} commodity {}\n  precision: {scale}", currency(code));
    }
    for (name, (own, codes)) in book.by_name() {
        let codes: Vec<String> = codes.into_iter().map(currency).collect();
        let _ = writeln!(text, "{BEGINNING} open {name} {}\n  farthing: {}", codes.join(","), quoted(own));
    }
    text
}

/// Nothing for an entry that moved no money for good.
pub(super) fn entry(book: &Book, dated: &Dated) -> String {
    let postings = book.postings(dated);
    if postings.is_empty() {
        return String::new();
    }
    let entry = &dated.entry;
    let memo = entry.memo.as_deref().unwrap_or_default();
    let mut text = format!("\n{} * {} {}\n", day_text(dated.date), quoted(entry.kind.as_str()), quoted(memo));
    let _ = writeln!(text, "  batch: {}\n  entry: {}", dated.batch, dated.place);
    if let Some(reference) = entry.reference {
        let _ = writeln!(text, "  reference: \"{reference}\"");
    }
    if let Some(tax_code) = entry.tax_code {
        let _ = writeln!(text, "  tax: \"{tax_code}\"");
    }
    for (account, amount, code) in postings {
        let _ = writeln!(text, "  {account}  {amount} {}", currency(code));
    }
    text
}

/// A code that begins with a digit or has one letter alone is no currency to beancount: no other code has a dash.
fn currency(code: &str) -> String {
    let fits = code.len() > 1 && code.starts_with(|c: char| c.is_ascii_uppercase());
    if fits { code.to_owned() } else { format!("X-{code}") }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
