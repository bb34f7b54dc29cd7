//! `farthing entitlement ..`: issue what applications check offline, take it back, and check it as they do.

use std::fs::File;
use std::io::{self, Read};

use clap::{Args, Subcommand};
use farthing_entitlement::{
    Check, Entitlement as Document, EntitlementError, Feature, Revoked, VerifyingKey,
};
use farthing_gate::flow::system_clock;
use farthing_money::{Span, Timestamp};
use farthing_server::entitlements::admin::Public;
use farthing_server::entitlements::{IssueRequest, Issued, Known};
use farthing_server::operator::period::read_day;
use serde_json::{Value, json};

use super::receipt::key;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask;
use crate::output::{Output, View, counted};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Entitlement {
    /// Sign one: which features somebody may use, and until when
    Issue(Issue),
    /// Check one offline, as an application does
    Verify(Verify),
    /// Take one back before its time
    Revoke(Revoke),
    /// What was issued and is not over
    List(List),
    /// The public key and the signed list of what was taken back, for applications
    Public(List),
}

#[derive(Debug, Args)]
pub struct Issue {
    /// A feature, such as export, or with a limit of your own measure, such as seats=5; may stand several times
    #[arg(long = "feature", value_name = "NAME[=LIMIT]", required = true, value_parser = feature)]
    features: Vec<Feature>,
    /// Until when: a span such as 30d, a day (to its end, UTC), or a time such as 2026-12-31T12:00:00Z
    #[arg(long, value_name = "WHEN")]
    until: String,
    /// From when on: a day (from its beginning, UTC) or a time; otherwise from now on
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Whom it is for, in words that the application knows; otherwise for whoever has it
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Put only the hash of the subject into it
    #[arg(long, requires = "subject")]
    hashed: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// The file with the entitlement; - is stdin
    #[arg(value_name = "FILE|-")]
    file: String,
    /// The seller's public key: 64 hexadecimal digits or 43 letters of base64url
    #[arg(long, value_name = "KEY", value_parser = key, allow_hyphen_values = true)]
    key: VerifyingKey,
    /// The feature that is to be used; otherwise any
    #[arg(long, value_name = "NAME")]
    feature: Option<String>,
    /// Who wants to use it
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// When; otherwise now
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// A file with the signed list of what was taken back
    #[arg(long, value_name = "FILE")]
    revoked: Option<String>,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// Its id of 32 hexadecimal digits, or a file with it; - is stdin
    #[arg(value_name = "ID|FILE|-")]
    named: String,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    config: ConfigFile,
}

struct All(Vec<Known>);

struct Holds {
    document: Document,
    feature: Option<Feature>,
}

struct Refused<'a>(&'a EntitlementError);

const DAY: Span = Span::from_secs(24 * 3_600);

/// More than any list.
const BYTES_MAX: u64 = 2 * 1024 * 1024;

impl Entitlement {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Issue(issue) => issue.run(output),
            Self::Verify(verify) => verify.run(output),
            Self::Revoke(revoke) => revoke.run(output),
            Self::List(list) => {
                output.show(&All(ask(&list.config, async |access| access.entitlements().await)?))
            }
            Self::Public(list) => {
                output.show(&ask(&list.config, async |access| access.entitlements_public().await)?)
            }
        }
    }
}

impl Issue {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let usage = |error| Failure::new(Exit::Usage, error);
        let now = system_clock()();
        let request = IssueRequest {
            features: self.features.clone(),
            from: self.from.as_deref().map(beginning).transpose().map_err(usage)?,
            until: end(&self.until, now).map_err(usage)?,
            subject: self.subject.clone(),
            hashed: self.hashed,
        };
        let issued = ask(&self.config, async |access| access.issue_entitlement(&request).await)?;
        output.say(format_args!("issued {}, until {}; it is shown only now", issued.id, issued.until));
        output.show(&issued)
    }
}

impl Verify {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let now = self.at.unwrap_or_else(|| system_clock()());
        let text = read(&self.file)?;
        let list = self.revoked.as_deref().map(read).transpose()?;
        match self.judge(text.trim(), list.as_deref(), now) {
            Ok(holds) => output.show(&holds),
            Err(error) => {
                if output.is_json() {
                    output.show(&Refused(&error))?;
                }
                let exit = if matches!(error, EntitlementError::Signed(_) | EntitlementError::Claims(_)) {
                    Exit::Failed
                } else {
                    Exit::NotAllowed
                };
                Err(Failure::new(exit, format!("{error} ({})", error.code())))
            }
        }
    }

    fn judge(&self, text: &str, list: Option<&str>, now: Timestamp) -> Result<Holds, EntitlementError> {
        let list = list.map(|list| Revoked::verify(list.trim(), &self.key, now)).transpose()?;
        let check = Check::new(&self.key, now);
        let check = self.subject.as_deref().map_or(check, |subject| check.subject(subject));
        let check = list.as_ref().map_or(check, |list| check.revoked(list));
        let document = check.entitlement(text)?;
        let feature = self.feature.as_deref().map(|name| document.feature(name).cloned()).transpose()?;
        Ok(Holds { document, feature })
    }
}

impl Revoke {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let is_id = self.named.len() == 32 && self.named.bytes().all(|byte| byte.is_ascii_hexdigit());
        let named = if is_id { self.named.clone() } else { read(&self.named)? };
        let known = ask(&self.config, async |access| access.revoke_entitlement(&named).await)?;
        output.say(
            "applications that check offline know it once they have the list anew: `farthing entitlement public`",
        );
        output.show(&All(vec![known]))
    }
}

fn read(file: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = match file {
        "-" => io::stdin().lock().take(BYTES_MAX).read_to_end(&mut bytes),
        path => File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes)),
    };
    read.map_err(|error| {
        let exit = if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, format!("cannot read {file}: {error}"))
    })?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Failed, format!("expected text in {file}, got other bytes")))
}

/// `export` or `seats=5`.
fn feature(text: &str) -> Result<Feature, String> {
    let Some((name, limit)) = text.split_once('=') else {
        return Ok(Feature { name: text.to_owned(), limit: None });
    };
    let limit = limit.parse().map_err(|_| format!("expected a whole number after =, got {limit:?}"))?;
    Ok(Feature { name: name.to_owned(), limit: Some(limit) })
}

/// A day from its beginning, or a time.
fn beginning(text: &str) -> Result<Timestamp, String> {
    read_day(text).or_else(|_| text.parse()).map_err(|_| {
        format!("expected a day such as 2026-12-31 or a time such as 2026-12-31T12:00:00Z, got {text:?}")
    })
}

/// A span from now on, a day to its end, or a time.
fn end(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(span) = text.parse::<Span>() {
        return Ok(now.after(span));
    }
    if let Ok(day) = read_day(text) {
        return Ok(day.after(DAY));
    }
    text.parse().map_err(|_| {
        format!("expected a span such as 30d, a day such as 2026-12-31 or a time such as 2026-12-31T12:00:00Z, got {text:?}")
    })
}

fn shown(feature: &Feature) -> String {
    feature.limit.map_or_else(|| feature.name.clone(), |limit| format!("{}={limit}", feature.name))
}

fn all_shown(features: &[Feature]) -> String {
    features.iter().map(shown).collect::<Vec<_>>().join(", ")
}

impl View for Issued {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        self.text.clone()
    }
}

impl View for Public {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        format!("key      {}\nrevoked  {}", self.key, self.revoked)
    }
}

impl View for All {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return counted(0, "entitlement");
        }
        let row = |known: &Known| {
            let revoked = known.revoked_at.map_or_else(String::new, |at| at.to_string());
            [known.id.clone(), all_shown(&known.features), known.until.to_string(), revoked]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table(["ID", "FEATURES", "UNTIL", "TAKEN BACK"], &rows)
    }
}

impl View for Holds {
    fn json(&self) -> Value {
        json!({ "holds": true, "entitlement": self.document, "feature": self.feature })
    }

    fn text(&self) -> String {
        let document = &self.document;
        let what = self.feature.as_ref().map_or_else(|| all_shown(&document.features), shown);
        format!("holds: {what}, until {}, issued by {}", document.until, document.issuer)
    }
}

impl View for Refused<'_> {
    fn json(&self) -> Value {
        json!({ "holds": false, "code": self.0.code(), "message": self.0.to_string() })
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_to_its_end_and_from_its_beginning() {
        let now: Timestamp = "2026-11-27T10:00:00Z".parse().unwrap();
        for (text, time) in [
            ("30d", "2026-12-27T10:00:00.000Z"),
            ("2026-12-31", "2027-01-01T00:00:00.000Z"),
            ("2026-12-31T12:00:00Z", "2026-12-31T12:00:00.000Z"),
        ] {
            assert_eq!(end(text, now).unwrap().to_string(), time);
        }
        assert_eq!(beginning("2026-12-31").unwrap().to_string(), "2026-12-31T00:00:00.000Z");
        for bad in ["", "tomorrow", "2026-13-01", "30"] {
            assert!(end(bad, now).is_err() && beginning(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_feature_may_have_a_limit() {
        assert_eq!(feature("seats=5").map(|feature| shown(&feature)), Ok("seats=5".to_owned()));
        assert_eq!(feature("export").map(|feature| shown(&feature)), Ok("export".to_owned()));
        assert!(feature("seats=many").is_err());
    }
}
