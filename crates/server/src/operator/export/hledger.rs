//! The journal as hledger reads it. What stands beside an entry becomes tags in comments.

use std::fmt::Write;

use super::super::balance::exact;
use super::super::journal::Dated;
use super::super::period::day_text;
use super::Book;

pub(super) fn head(book: &Book) -> String {
    let mut text = String::new();
    for line in book.title() {
        let _ = writeln!(text, "; {line}");
    }
    text.push_str("\ndecimal-mark .\n\n");
    for (code, scale) in book.codes() {
        let _ = writeln!(text, "commodity {} {}", sample(scale), commodity(code));
    }
    text.push('\n');
    for (name, (own, _)) in book.by_name() {
        let _ = writeln!(text, "account {name}  ; farthing:{own}");
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
    let memo = entry.memo.as_deref().map(|memo| format!(" | {}", note(memo))).unwrap_or_default();
    let mut text = format!("\n{} * {}{memo}", day_text(dated.date), entry.kind);
    let _ = write!(text, "  ; batch:{}, entry:{}, kind:{}", dated.batch, dated.place, entry.kind);
    if let Some(tax_code) = entry.tax_code {
        let _ = write!(text, ", tax:{tax_code}");
    }
    text.push('\n');
    if let Some(reference) = entry.reference {
        let _ = writeln!(text, "    ; reference:{reference}");
    }
    for (account, amount, code) in postings {
        let _ = writeln!(text, "    {account}  {amount} {}", commodity(code));
    }
    text
}

/// A number as the commodity's are shown.
fn sample(scale: u8) -> String {
    let number = exact(farthing_money::Amount::ZERO, scale);
    // A number without decimals is shown without them only if its mark says so.
    if scale == 0 { format!("1000{number}.") } else { format!("1000{number}") }
}

/// A code with digits must stand in quotes.
fn commodity(code: &str) -> String {
    if code.bytes().all(|byte| byte.is_ascii_alphabetic()) { code.to_owned() } else { format!("\"{code}\"") }
}

/// A memo as a part of a description: a semicolon would begin a comment, a bar a second note.
fn note(memo: &str) -> String {
    memo.replace(';', ",").replace('|', "/")
}
