//! `farthing wallet audit`: does an issuer count the wallet's credits among what it says it owes? Whole lists are fetched
//! and looked through here, so that nobody learns which credits are the wallet's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use farthing_money::{Amount, Unit};
use farthing_wallet::{
    AuditFlow, AuditReport, CheckedKeyset, Counted, Finding, Outcome, OwnCredits, asset_of,
};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, counted};
use crate::payer::{Payer, WalletPlace, write_secret};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 nothing wrong was found, 1 the issuer was caught: the evidence is written to a \
                        file, 5 it publishes no statements, 8 it did not answer as it should: try again later."
)]
pub struct Audit {
    /// The issuer: any address of it, such as the mint's
    #[arg(value_name = "URL")]
    url: String,
    /// Fetch the lists of all keysets, not only of those that this wallet has used, and check them against every
    /// statement, not only against the newest and the one that was seen last
    #[arg(long)]
    full: bool,
    /// Where to write evidence, if there is any; otherwise a new file in the wallet's folder
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
}

struct Report<'a> {
    report: &'a AuditReport,
    evidence: Option<&'a Path>,
}

impl Audit {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let mut payer = Payer::new(place.open().await?);
        payer.recover(output).await?;
        let Outcome::Audited(report) = payer.run(&mut AuditFlow::new(&self.url, self.full)?).await? else {
            return Err(Failure::new(Exit::Failed, "expected an audit, got another outcome"));
        };
        if report.findings.is_empty() {
            return output.show(&Report { report: &report, evidence: None });
        }
        let path = match &self.evidence {
            Some(path) => path.clone(),
            None => place.folder()?.join(format!("evidence-{}.json", report.at.millis())),
        };
        write_secret(&path, &format!("{:#}\n", evidence(&report)))?;
        output.show(&Report { report: &report, evidence: Some(&path) })?;
        let (issuer, count) = (&report.issuer, counted(report.findings.len(), "thing"));
        let message = format!("{issuer} was caught: {count} that cannot be if it is honest");
        Err(Failure::new(Exit::Failed, message)
            .hint("spend or refund your credits there, and show the evidence to others; it shows no credit"))
    }
}

/// The file of evidence: what others need to judge for themselves.
fn evidence(report: &AuditReport) -> Value {
    json!({
        "issuer": report.issuer,
        "key": report.key,
        "found_at": report.at.to_string(),
        "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "code": finding.kind.code(),
        "keyset": finding.keyset,
        "epoch": finding.epoch,
        "message": finding.message,
        "evidence": finding.evidence,
    })
}

fn counted_json(counted: Counted) -> Value {
    json!({ "count": counted.count, "amount": counted.sum.to_string() })
}

fn own_json(own: &OwnCredits) -> Value {
    json!({
        "listed": counted_json(own.listed),
        "too_new": counted_json(own.too_new),
        "under_way": counted_json(own.under_way),
        "unknown": counted_json(own.unknown),
        "spent": counted_json(own.spent),
        "earlier_statements_checked": own.past,
    })
}

fn keyset_json(checked: &CheckedKeyset) -> Value {
    json!({
        "statement": checked.statement,
        "signed": checked.text,
        "statements": checked.statements,
        "own": checked.own.as_ref().map(own_json),
    })
}

/// An amount for people: as money if the unit is known, otherwise as it is.
fn shown(unit: Unit, amount: Amount) -> String {
    asset_of(unit).map_or_else(|| format!("{amount} {unit}"), |asset| asset.money(amount).to_string())
}

/// Amounts by unit, added up over keysets.
fn sums(report: &AuditReport, of: impl Fn(&OwnCredits) -> Counted) -> BTreeMap<Unit, Counted> {
    let mut sums: BTreeMap<Unit, Counted> = BTreeMap::new();
    for checked in &report.keysets {
        let Some(one) = checked.own.as_ref().map(&of).filter(|one| one.count > 0) else { continue };
        let sum = sums.entry(checked.statement.unit).or_default();
        sum.count = sum.count.saturating_add(one.count);
        sum.sum = sum.sum.saturating_add(one.sum);
    }
    sums
}

impl View for Report<'_> {
    fn json(&self) -> Value {
        let report = self.report;
        let uncovered = report.uncovered.iter().map(|(unit, sum)| (unit.to_string(), counted_json(*sum)));
        json!({
            "issuer": report.issuer,
            "honest": report.findings.is_empty(),
            "key": report.key,
            "key_known": report.is_key_known,
            "keysets": report.keysets.iter().map(keyset_json).collect::<Vec<_>>(),
            "uncovered": uncovered.collect::<BTreeMap<_, _>>(),
            "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
            "notes": report.notes,
            "evidence": self.evidence,
        })
    }

    fn text(&self) -> String {
        let report = self.report;
        let mut lines = Vec::new();
        for checked in &report.keysets {
            lines.extend(keyset_lines(checked));
        }
        for (what, sums) in [
            ("listed as issued and not as redeemed", sums(report, |own| own.listed)),
            ("too new for the last statement", sums(report, |own| own.too_new)),
            ("under way, and listed as redeemed", sums(report, |own| own.under_way)),
            ("of unknown age, not listed", sums(report, |own| own.unknown)),
            ("of keysets without a statement yet", report.uncovered.clone()),
        ] {
            for (unit, sum) in sums {
                let count = counted(usize::try_from(sum.count).unwrap_or(usize::MAX), "credit");
                lines.push(format!("yours: {count} of {}: {what}", shown(unit, Amount::from(sum.sum))));
            }
        }
        if let Some(key) = &report.key {
            let known = if report.is_key_known { "known before" } else { "seen for the first time" };
            lines.push(format!("signed by {key} ({known})"));
        }
        lines.extend(report.notes.iter().map(|note| format!("note: {note}")));
        for finding in &report.findings {
            let keyset = finding.keyset.as_ref().map(|id| format!(" keyset {id}:")).unwrap_or_default();
            lines.push(format!("CAUGHT ({}):{keyset} {}", finding.kind.code(), finding.message));
        }
        match self.evidence {
            Some(path) => lines.push(format!("the evidence is in {}", path.display())),
            None => lines.push(format!("nothing is wrong with what {} says it owes", report.issuer)),
        }
        lines.join("\n")
    }
}

fn keyset_lines(checked: &CheckedKeyset) -> Vec<String> {
    let statement = &checked.statement;
    let unit = statement.unit;
    let listed = |one: &farthing_wire::liabilities::Listed| {
        let unlisted = if one.unlisted.is_zero() {
            String::new()
        } else {
            format!(", and {} that is not listed", shown(unit, one.unlisted))
        };
        format!("{} in {} entries{unlisted}", shown(unit, one.sum), one.count)
    };
    let how = match checked.own {
        Some(own) => format!("lists checked, and against {}", counted(own.past, "earlier statement")),
        None => "lists not fetched".to_owned(),
    };
    let (id, epoch, until) = (&statement.keyset, statement.epoch, statement.closed_at);
    vec![
        format!("keyset {id}, until the end of epoch {epoch} ({until}); {how}"),
        format!("  issued   {}", listed(&statement.issued)),
        format!("  redeemed {}", listed(&statement.redeemed)),
        format!("  owed     {}", shown(unit, statement.outstanding)),
    ]
}
