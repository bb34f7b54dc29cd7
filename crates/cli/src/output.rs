//! What a command shows: data on stdout, talk on stderr. Tables on a terminal, JSON when piped or asked for.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use farthing_money::Money;
use serde_json::{Value, json};

use crate::args::Shape;
use crate::exit::{Exit, Failure};
use crate::locale::{self, localized};

/// Something to show, in both shapes.
pub trait View {
    /// For programs.
    fn json(&self) -> Value;
    /// For people; the last line without its end.
    fn text(&self) -> String;
}

/// Where a command shows what it found.
#[derive(Debug)]
pub struct Output {
    json: bool,
    is_json_wanted: bool,
    /// Whether talk is for people of a place.
    is_talk_localized: bool,
}

impl Output {
    /// The shape asked for, or else the one that fits stdout.
    pub fn new(shape: &Shape) -> Self {
        let json = shape.json || !shape.text && !io::stdout().is_terminal();
        locale::choose(shape.locale.as_ref(), io::stdout().is_terminal());
        let is_talk_localized = shape.locale.is_some() || io::stderr().is_terminal();
        Self { json, is_json_wanted: shape.json, is_talk_localized }
    }

    /// Whether JSON was asked for in so many words, and not just for want of a terminal.
    pub fn is_json_wanted(&self) -> bool {
        self.is_json_wanted
    }

    /// Whether data is JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Shows data.
    pub fn show(&self, view: &impl View) -> Result<(), Failure> {
        self.line(if self.json { format!("{:#}", view.json()) } else { localized(&view.text()).into_owned() })
    }

    /// Writes a line of data as it is.
    #[expect(clippy::unused_self, reason = "data belongs to the output, wherever it goes")]
    pub fn line(&self, text: impl Display) -> Result<(), Failure> {
        match writeln!(io::stdout().lock(), "{text}") {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::new(Exit::Failed, format!("cannot write to stdout: {error}"))),
            Ok(()) => Ok(()),
        }
    }

    /// Talks to whoever sits there.
    pub fn say(&self, talk: impl Display) {
        let talk = talk.to_string();
        let talk = if self.is_talk_localized { localized(&talk) } else { Cow::Borrowed(talk.as_str()) };
        // Nothing can be done if the terminal is gone.
        let _ = writeln!(io::stderr().lock(), "{talk}");
    }

    /// Talks in red, where there is colour.
    pub fn warn(&self, talk: impl Display) {
        if io::stderr().is_terminal() {
            self.say(format_args!("\u{1b}[1;31mwarning: {talk}\u{1b}[0m"));
        } else {
            self.say(format_args!("warning: {talk}"));
        }
    }

    /// Tells why it did not work and what to do next.
    pub fn fail(&self, failure: &Failure) {
        self.say(format_args!("error: {}", failure.message));
        if let Some(hint) = &failure.hint {
            self.say(format_args!("\nhint: {hint}"));
        }
    }
}

/// Money for programs: minor units as text, and the asset.
pub fn money_json(money: Money) -> Value {
    let asset = money.asset();
    json!({
        "amount": money.amount(),
        "asset": asset.code(),
        "unit": asset.unit(),
        "scale": asset.scale(),
        "decimal": money.to_decimal(),
    })
}

/// `1 payment`, `2 payments`.
pub fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
