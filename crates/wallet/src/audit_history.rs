//! Checks that an issuer's statements are one history: signed by one key, each following the one before, and going on
//! from what the wallet saw last time. Pure: texts in, findings out.

use std::collections::BTreeMap;

use farthing_wire::jws;
use farthing_wire::liabilities::{Break, Side, Statement};
use serde_json::json;

use crate::audit::{Audited, Finding, FindingKind, Signed};

/// The statements of an issuer by keyset, each list in the order of epochs.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) key: Option<String>,
    pub(crate) keysets: BTreeMap<String, Vec<Signed>>,
    pub(crate) findings: Vec<Finding>,
}

impl History {
    /// Reads and checks the texts. `key` is the key that is expected, `before` what was seen last time.
    pub(crate) fn read(texts: &[String], key: Option<&str>, before: Option<&Audited>) -> Self {
        let mut history = Self { key: key.map(str::to_owned), ..Self::default() };
        for text in texts {
            history.take(text);
        }
        for statements in history.keysets.values_mut() {
            statements.sort_by(|a, b| (a.statement.epoch, &a.text).cmp(&(b.statement.epoch, &b.text)));
            statements.dedup_by(|a, b| a.text == b.text);
            history.findings.extend(follow(statements));
        }
        for (keyset, text) in before.map(|before| &before.heads).into_iter().flatten() {
            history.findings.extend(history.goes_on(keyset, text));
        }
        history
    }

    fn take(&mut self, text: &str) {
        let (statement, by) = match Statement::verify(text, None) {
            Ok(read) => read,
            Err(error) => {
                let message = format!("a statement is not good: {error}");
                let evidence = json!({ "statement": text, "code": error.code() });
                let kind = FindingKind::Malformed;
                self.findings.push(Finding { kind, keyset: None, epoch: None, message, evidence });
                return;
            }
        };
        let by = jws::key_text(&by);
        let key = self.key.get_or_insert_with(|| by.clone());
        if *key != by {
            let message = format!("a statement is signed by the key {by}, the issuer's is {key}");
            let evidence = json!({ "statement": text, "expected_key": key });
            self.findings.push(finding(FindingKind::Key, &statement, message, evidence));
            return;
        }
        let digest = Statement::digest(text);
        let signed = Signed { statement, text: text.to_owned(), digest };
        self.keysets.entry(signed.statement.keyset.clone()).or_default().push(signed);
    }

    /// Whether the statement that was seen last time is still there.
    fn goes_on(&self, keyset: &str, text: &str) -> Option<Finding> {
        let (seen, _) = Statement::verify(text, None).ok()?;
        let now = self.keysets.get(keyset).map(Vec::as_slice).unwrap_or_default();
        if now.iter().any(|signed| signed.text == text) {
            return None;
        }
        let other = now.iter().find(|signed| signed.statement.epoch == seen.epoch);
        let epoch = seen.epoch;
        Some(if let Some(other) = other {
            let message =
                format!("epoch {epoch} of the keyset {keyset} was stated otherwise before: two histories");
            finding(FindingKind::Forked, &seen, message, json!({ "statements": [text, other.text] }))
        } else {
            let message = format!("the statement of epoch {epoch} of the keyset {keyset} is gone");
            let shown: Vec<_> = now.iter().map(|signed| signed.text.as_str()).collect();
            finding(FindingKind::Withdrawn, &seen, message, json!({ "statement": text, "shown": shown }))
        })
    }
}

/// Whether the statements of a keyset are a chain.
fn follow(statements: &[Signed]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(first) = statements.first().filter(|first| first.statement.previous.is_some()) {
        let message = "the first statement that is shown follows one that is not".to_owned();
        let evidence = json!({ "statement": first.text });
        findings.push(finding(FindingKind::Withdrawn, &first.statement, message, evidence));
    }
    for (before, now) in statements.iter().zip(statements.iter().skip(1)) {
        let evidence = json!({ "statements": [before.text, now.text] });
        let statement = &now.statement;
        if before.statement.epoch == statement.epoch {
            let message = format!("two statements of epoch {}: two histories", statement.epoch);
            findings.push(finding(FindingKind::Forked, statement, message, evidence));
        } else if let Err(error) = statement.follows(&before.statement, before.digest) {
            let why = match error {
                Break::Other => "is of another unit or expiry than".to_owned(),
                Break::Time => "overlaps in time with".to_owned(),
                Break::Fell(side) => {
                    let what = match side {
                        Side::Issued => "issued",
                        Side::Redeemed => "redeemed",
                    };
                    format!("shows less {what} (or more that is not listed) than")
                }
                Break::Chain => "does not name".to_owned(),
            };
            let (epoch, earlier) = (statement.epoch, before.statement.epoch);
            let message =
                format!("the statement of epoch {epoch} {why} the one before it, of epoch {earlier}");
            findings.push(finding(FindingKind::Broken, statement, message, evidence));
        }
    }
    findings
}

pub(crate) fn finding(
    kind: FindingKind,
    statement: &Statement,
    message: String,
    evidence: serde_json::Value,
) -> Finding {
    Finding { kind, keyset: Some(statement.keyset.clone()), epoch: Some(statement.epoch), message, evidence }
}
