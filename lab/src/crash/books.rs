//! What the operator sees: the program's own `ledger` commands, in a process of their own.

use serde::Deserialize;

use crate::program::Home;

/// The totals of the trial balance that the clients can check, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Credits that are out.
    pub credits: u64,
    /// Codes that nobody has used.
    pub codes: u64,
    /// What the merchant has earned.
    pub earned: u64,
}

#[derive(Deserialize)]
struct Trial {
    rows: Vec<Row>,
    balances: bool,
    settled: bool,
}

#[derive(Deserialize)]
struct Row {
    account: String,
    debits: String,
    credits: String,
}

/// Codes that were made.
#[derive(Deserialize)]
pub struct Codes {
    /// Their texts.
    pub codes: Vec<String>,
}

/// The trial balance; nothing may be on hold.
pub fn trial(home: &Home) -> Result<Totals, String> {
    totals(&run(home, &["ledger", "trial", "--json"])?)
}

fn totals(text: &[u8]) -> Result<Totals, String> {
    let trial: Trial =
        serde_json::from_slice(text).map_err(|error| format!("reading the trial balance: {error}"))?;
    if !trial.balances {
        return Err("the books do not balance".to_owned());
    }
    if !trial.settled {
        return Err("something is on hold that nobody asked for".to_owned());
    }
    let mut totals = Totals::default();
    for row in &trial.rows {
        let own = micro(&row.credits)
            .zip(micro(&row.debits))
            .and_then(|(credits, debits)| credits.checked_sub(debits));
        let place = match row.account.as_str() {
            "codes" => &mut totals.codes,
            account if account.starts_with("credits:") => &mut totals.credits,
            account if account.starts_with("merchant:") => &mut totals.earned,
            _ => continue,
        };
        let own = own.ok_or_else(|| format!("the account {} is overdrawn or unreadable", row.account))?;
        *place = place.checked_add(own).ok_or("the books hold more than can be counted")?;
    }
    Ok(totals)
}

/// A decimal of an asset with six decimals, in minor units.
fn micro(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{part:0<6}");
    let part: u64 = if digits.len() == 6 { digits.parse().ok()? } else { return None };
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}

/// Replays the journal and compares it with the balances.
pub fn verify(home: &Home) -> Result<(), String> {
    run(home, &["ledger", "verify", "--json"]).map(drop)
}

fn run(home: &Home, words: &[&str]) -> Result<Vec<u8>, String> {
    let output = home.run(words, &[])?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`farthing {}` ended with {}: {said}", words.join(" "), output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_minor_units() {
        for (text, micros) in [("0.00", 0), ("1.50", 1_500_000), ("12.345678", 12_345_678), ("7", 7_000_000)]
        {
            assert_eq!(micro(text), Some(micros), "{text}");
        }
        assert_eq!(micro("1.2345678"), None);
        assert_eq!(micro("-1.00"), None);
    }

    #[test]
    fn the_totals_are_what_is_owed_and_earned() {
        let row = |account: &str, debits: &str, credits: &str| {
            format!(r#"{{"account":"{account}","debits":"{debits}","credits":"{credits}","kind":"x"}}"#)
        };
        let rows = [
            row("codes", "1.00", "3.00"),
            row("credits:a", "0.25", "1.00"),
            row("credits:b", "0.00", "0.50"),
        ];
        let text =
            |settled| format!(r#"{{"rows":[{}],"balances":true,"settled":{settled}}}"#, rows.join(","));
        let expected = Totals { credits: 1_250_000, codes: 2_000_000, earned: 0 };
        assert_eq!(totals(text(true).as_bytes()).unwrap(), expected);
        assert!(totals(text(false).as_bytes()).unwrap_err().contains("on hold"));
    }
}
