//! The README's transcript: what `farthing demo --play` says, kept between two markers and never written by hand.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const BEGIN: &str = "<!-- transcript:begin -->";
const END: &str = "<!-- transcript:end -->";

/// Plays the demo and compares it with the README.
pub fn compare(root: &Path) -> Result<String, String> {
    let readme = read(root)?;
    let written =
        block(&readme)?.ok_or("README.md has no transcript yet; run `cargo xtask readme --write`")?;
    fresh(written, &play(root)?)?;
    Ok("the README's transcript is fresh".to_owned())
}

/// Plays the demo and writes what it says into the README.
pub fn write(root: &Path) -> Result<String, String> {
    let readme = read(root)?;
    let said = play(root)?;
    let new = with_block(&readme, &said)?;
    fs::write(root.join("README.md"), new).map_err(|error| format!("README.md: {error}"))?;
    Ok(format!("wrote {} lines of transcript into README.md", said.lines().count()))
}

/// What stands between the markers, without the fence; `None` when nothing does.
pub fn block(readme: &str) -> Result<Option<&str>, String> {
    let inner = inner(readme)?.trim();
    if inner.is_empty() {
        return Ok(None);
    }
    let text = inner.strip_prefix("```text\n").and_then(|rest| rest.strip_suffix("```"));
    text.map(Some).ok_or_else(|| {
        "the transcript must be one fenced block of `text`; run `cargo xtask readme --write`".to_owned()
    })
}

fn inner(readme: &str) -> Result<&str, String> {
    let missing = || format!("expected `{BEGIN}` and then `{END}` in README.md, once each");
    let (_, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (inner, after) = rest.split_once(END).ok_or_else(missing)?;
    if after.contains(BEGIN) || after.contains(END) {
        return Err(missing());
    }
    Ok(inner)
}

fn with_block(readme: &str, said: &str) -> Result<String, String> {
    let old = format!("{BEGIN}{}{END}", inner(readme)?);
    Ok(readme.replace(&old, &format!("{BEGIN}\n```text\n{}\n```\n{END}", said.trim_end())))
}

/// Whether the README tells the demo's story: line by line the same shape.
pub fn fresh(written: &str, said: &str) -> Result<(), String> {
    let shapes = |text: &str| text.trim().lines().map(shape).collect::<Vec<_>>();
    let (written, said) = (shapes(written), shapes(said));
    if written == said {
        return Ok(());
    }
    let line = written.iter().zip(&said).position(|(a, b)| a != b).unwrap_or(written.len().min(said.len()));
    Err(format!(
        "README.md: line {} of the transcript is not what the demo says\n  README: {}\n  demo:   {}\nrun `cargo xtask readme --write`",
        line.saturating_add(1),
        written.get(line).map_or("(nothing)", String::as_str),
        said.get(line).map_or("(nothing)", String::as_str),
    ))
}

/// A line with everything that differs from run to run replaced: words with a digit, and keys, which may by chance have
/// none, become `#`; sums of money stay, they are the story.
fn shape(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let shaped = words.iter().enumerate().map(|(index, word)| {
        let money = words.get(index.saturating_add(1)).is_some_and(|next| is_currency(next));
        let varies = word.bytes().any(|byte| byte.is_ascii_digit()) && !money;
        if varies || is_key(word) { "#" } else { word }
    });
    shaped.collect::<Vec<_>>().join(" ")
}

/// 32 bytes as base64url have 43 letters.
fn is_key(word: &str) -> bool {
    word.len() >= 43 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn is_currency(word: &str) -> bool {
    let letters = word.trim_end_matches(|c: char| c.is_ascii_punctuation());
    letters.len() == 3 && letters.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn read(root: &Path) -> Result<String, String> {
    fs::read_to_string(root.join("README.md")).map_err(|error| format!("README.md: {error}"))
}

/// Both streams of the demo, as a person at a terminal sees them.
fn play(root: &Path) -> Result<String, String> {
    let output = Command::new("sh")
        .args(["-c", "exec cargo run --quiet --package farthing --bin farthing -- demo --play 2>&1"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("expected to run the demo, got: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("the demo failed:\n{said}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_must_be_there_once() {
        assert!(block("no markers").is_err());
        assert!(block(&format!("{END}{BEGIN}")).is_err());
        assert!(block(&format!("{BEGIN}{END}{BEGIN}{END}")).is_err());
        assert!(block(&format!("{BEGIN} by hand {END}")).is_err());
        assert_eq!(block(&format!("{BEGIN}\n\n{END}")), Ok(None));
    }

    #[test]
    fn what_is_written_is_read_back_and_fresh() {
        let readme = with_block(&format!("a\n{BEGIN}{END}\nb\n"), "paid 0.01 USD\n").unwrap();
        assert_eq!(readme, format!("a\n{BEGIN}\n```text\npaid 0.01 USD\n```\n{END}\nb\n"));
        let written = block(&readme).unwrap().unwrap();
        assert_eq!(fresh(written, "paid 0.01 USD"), Ok(()));
    }

    #[test]
    fn ports_and_ids_may_differ_but_words_and_sums_may_not() {
        let written = "listening on http://127.0.0.1:4001\npaid 0.01 USD\n";
        assert_eq!(fresh(written, "listening on http://127.0.0.1:9\npaid 0.01 USD\n"), Ok(()));
        assert!(fresh(written, "waiting on http://127.0.0.1:9\npaid 0.01 USD\n").is_err());
        assert!(fresh(written, "listening on http://127.0.0.1:9\npaid 0.02 USD\n").is_err());
        assert!(fresh(written, "listening on http://127.0.0.1:9\n").is_err());
        let key = |letter: &str| format!("signed by {}", letter.repeat(43));
        assert_eq!(fresh(&key("a"), &key("-")), Ok(()), "a key without a digit is still a key");
    }
}
