//! The journal as comma-separated values (RFC 4180): one line a transfer, with everything that the journal has.

use super::super::journal::JournalLine;

const COLUMNS: [&str; 16] = [
    "batch",
    "entry",
    "at",
    "date",
    "kind",
    "reference",
    "tax_code",
    "memo",
    "step",
    "status",
    "debit",
    "credit",
    "amount",
    "held",
    "asset",
    "unit",
];

pub(super) fn head() -> String {
    row(COLUMNS.map(str::to_owned))
}

pub(super) fn line(line: &JournalLine) -> String {
    row([
        line.batch.to_string(),
        line.entry.to_string(),
        line.at.clone(),
        line.date.clone(),
        line.kind.to_string(),
        line.reference.clone().unwrap_or_default(),
        line.tax_code.map(|code| code.to_string()).unwrap_or_default(),
        line.memo.clone().unwrap_or_default(),
        line.step.clone(),
        line.status.clone(),
        line.debit.clone(),
        line.credit.clone(),
        line.decimal.clone(),
        line.held.clone().unwrap_or_default(),
        line.asset.clone(),
        line.unit.clone(),
    ])
}

fn row(cells: [String; COLUMNS.len()]) -> String {
    let mut row = cells.map(|cell| quoted(&cell)).join(",");
    row.push_str("\r\n");
    row
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) || cell.trim() != cell {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        for (cell, text) in
            [("plain", "plain"), ("a, b", "\"a, b\""), ("say \"so\"", "\"say \"\"so\"\"\""), (" x", "\" x\"")]
        {
            assert_eq!(quoted(cell), text);
        }
        assert_eq!(head().matches(',').count(), COLUMNS.len() - 1);
    }
}
