//! The rows and the journal of the folder, joined with what a proxy saw. The n-th request that issued is the n-th entry that
//! issued, and so on: the order of things is in both.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farthing_ecash::Proof;
use farthing_engine::{CreditId, CreditRow, OutputId, PaymentId, QuoteId, Read, SessionId};
use farthing_ledger::{AccountId, Batch, Entry, EntryKind};
use farthing_store::{Fjall, RowStore};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::evidence::{Origin, Payment};
use super::purse::Shown;
use super::reading::{points, read};
use super::server::told;
use super::traffic::{Line, Visit};
use super::words::openings;

/// The folder, opened after the program has stopped.
pub struct Folder {
    rows: RowStore<Fjall>,
    issued: VecDeque<Entry>,
    swapped: VecDeque<Entry>,
    posted: VecDeque<Entry>,
    refunded: VecDeque<Entry>,
    sessions: VecDeque<Entry>,
    /// Blinded outputs that the attacker has opened, each with the name of its credit.
    opened: BTreeMap<String, String>,
}

/// The credits that paid.
#[derive(Default)]
struct Paying {
    inputs: Vec<u64>,
    keysets: BTreeSet<AccountId>,
}

impl Folder {
    /// Opens it, reads the journal, and tries as many guesses at the words of wallets.
    pub fn open(data: &Path, guesses: usize) -> Result<Self, String> {
        let rows = RowStore::open(Fjall::open(&data.join("books")).map_err(told)?).map_err(told)?;
        let mut entries = Vec::new();
        for frame in rows.frames(1, usize::MAX).map_err(told)? {
            entries.extend(Batch::from_frame(&frame).map_err(told)?.entries);
        }
        let keysets = rows.keysets().map_err(told)?;
        let keysets: Vec<_> = keysets.iter().filter_map(|row| row.id.parse().ok()).collect();
        let opened = openings(guesses, &keysets)?;
        let of = |kind| entries.iter().filter(|entry| entry.kind == kind).cloned().collect();
        let (issued, swapped) = (of(EntryKind::Issue), of(EntryKind::Swap));
        let (refunded, sessions) = (of(EntryKind::Refund), of(EntryKind::Session));
        // What was taken from sessions is brought into the books without saying from which.
        let mut posted: VecDeque<Entry> = of(EntryKind::Post);
        posted.retain(|entry| entry.reference.is_some());
        Ok(Self { rows, issued, swapped, posted, refunded, sessions, opened })
    }

    /// Whether every entry was found in the log.
    pub fn is_used_up(&self) -> bool {
        let left = [&self.issued, &self.swapped, &self.posted, &self.refunded, &self.sessions];
        left.iter().all(|entries| entries.is_empty())
    }

    /// The next top-up.
    pub fn top_up(&mut self, visit: &Visit) -> Result<Origin, String> {
        let line = found(visit, |line| is_post(line, "/v1/mint/code"), "a mint request in a top-up")?;
        let entry = self.issued.pop_front().ok_or("expected an entry for each top-up")?;
        let request: Value = serde_json::from_slice(&line.body).map_err(told)?;
        let quote = request.get("quote").and_then(Value::as_str).ok_or("expected a quote")?;
        let id: QuoteId = quote.parse().map_err(told)?;
        let row = self.rows.mint_quote(id).map_err(told)?.ok_or("expected the quote's row")?;
        self.origin(visit, line, &entry, &json(&row)?)
    }

    /// The next refund, and the swap of what came.
    pub fn refund(&mut self, visit: &Visit) -> Result<Origin, String> {
        let line = found(visit, |line| is_post(line, "/refunds"), "a refund")?;
        let entry = self.refunded.pop_front().ok_or("expected an entry for each refund")?;
        self.swaps(visit);
        let reference = entry.reference.ok_or("expected the payment's id")?;
        let row = self.rows.refund(PaymentId::from_bytes(*reference.as_bytes())).map_err(told)?;
        self.origin(visit, line, &entry, &json(&row)?)
    }

    /// The next closing of a session.
    pub fn closing(&mut self, visit: &Visit) -> Result<Origin, String> {
        let is_closing = |line: &&Line| line.path.contains("/v1/sessions/") && is_post(line, "/close");
        let line = found(visit, is_closing, "the closing of a session")?;
        let entry = self.sessions.pop_front().ok_or("expected an entry for each closing")?;
        let row = self.session(line)?.1;
        self.origin(visit, line, &entry, &row)
    }

    fn origin(&self, visit: &Visit, line: &Line, entry: &Entry, row: &str) -> Result<Origin, String> {
        let last = entry.transfers.last().ok_or("expected transfers")?;
        let amount = last.amount().to_u64().ok_or("expected an amount that fits")?;
        let text = self.text(visit, row)?;
        let asked_keysets = asked_keysets(visit);
        Ok(Origin { at: line.at, amount, keyset: last.credit, asked_keysets, text })
    }

    /// The next payment.
    pub fn payment(&mut self, visit: &Visit) -> Result<Payment, String> {
        let is_paid = |line: &&Line| !line.path.contains("/v1/") && line.status == 200;
        let line = found(visit, is_paid, "a page in a payment")?;
        let entry = self.posted.pop_front().ok_or("expected an entry for each payment")?;
        let reference = entry.reference.ok_or("expected the payment's id")?;
        let id = PaymentId::from_bytes(*reference.as_bytes());
        let row = self.rows.payment(id).map_err(told)?.ok_or("expected the payment's row")?;
        let Paying { inputs, keysets } = self.paying(&row.credits)?;
        let price = row.charged.to_u64().ok_or("expected a price that fits")?;
        let text = self.text(visit, &format!("{id} {}", json(&row)?))?;
        let shown = Shown { swapped: self.swaps(visit), inputs };
        let (asked_keysets, names) = (asked_keysets(visit), vec![id.to_string()]);
        Ok(Payment { at: line.at, price, shown, keysets, asked_keysets, names, text })
    }

    /// The next opening of a session, which is paid for at once with what goes into it.
    pub fn opening(&mut self, visit: &Visit) -> Result<Payment, String> {
        #[derive(Deserialize)]
        struct Opening {
            inputs: Vec<Proof>,
        }
        let line = found(visit, |line| is_post(line, "/v1/sessions"), "the opening of a session")?;
        let entry = self.sessions.pop_front().ok_or("expected an entry for each opening")?;
        let opening: Opening = serde_json::from_slice(&line.body).map_err(told)?;
        let ids: Vec<CreditId> =
            opening.inputs.iter().map(|proof| CreditId::from_bytes(proof.y().to_bytes())).collect();
        let Paying { inputs, keysets } = self.paying(&ids)?;
        let moved = entry.transfers.iter().filter_map(|transfer| transfer.amount().to_u64());
        let (id, row) = self.session(line)?;
        let text = self.text(visit, &row)?;
        let shown = Shown { swapped: self.swaps(visit), inputs };
        let names = vec![id.to_string(), URL_SAFE_NO_PAD.encode(id.as_bytes())];
        let (price, asked_keysets) = (moved.sum(), asked_keysets(visit));
        Ok(Payment { at: line.at, price, shown, keysets, asked_keysets, names, text })
    }

    /// A visit that only names what was paid for before: a page by a pass, a call of a session.
    pub fn naming(&self, visit: &Visit) -> Result<String, String> {
        self.text(visit, "")
    }

    /// The session that an answer is about, and its row.
    fn session(&self, line: &Line) -> Result<(SessionId, String), String> {
        let answer: Value = serde_json::from_slice(&line.answer).map_err(told)?;
        let name = answer.get("session").and_then(Value::as_str).ok_or("expected a session's name")?;
        let id: SessionId = name.parse().map_err(told)?;
        let row = self.rows.session(id).map_err(told)?.ok_or("expected the session's row")?;
        Ok((id, format!("{id} {}", json(&row)?)))
    }

    fn paying(&self, ids: &[CreditId]) -> Result<Paying, String> {
        let mut paying = Paying::default();
        for credit in self.rows.credits(ids).map_err(told)?.iter().flatten() {
            if let CreditRow::Spent { worth: Some(worth), .. } = credit {
                paying.inputs.push(worth.amount);
                paying.keysets.insert(worth.account);
            }
        }
        paying.inputs.sort_unstable();
        Ok(paying)
    }

    /// What was swapped in a visit, if anything was.
    fn swaps(&mut self, visit: &Visit) -> Option<u64> {
        let swaps = visit.lines.iter().filter(|line| is_post(line, "/v1/swap")).count();
        let swaps: Vec<Entry> = self.swapped.drain(..swaps.min(self.swapped.len())).collect();
        let transfer = swaps.first().and_then(|entry| entry.transfers.first());
        transfer.and_then(|transfer| transfer.amount().to_u64())
    }

    /// A row, all that was said in a visit, and the rows of all outputs and credits that are named in either.
    fn text(&self, visit: &Visit, row: &str) -> Result<String, String> {
        let said: Vec<String> = visit.lines.iter().map(Line::text).collect();
        let mut text = read(&[row, &said.concat()].join("\n"));
        let mut more = String::new();
        for point in points(&text) {
            let (output, credit): (OutputId, CreditId) =
                (point.parse().map_err(told)?, point.parse().map_err(told)?);
            let rows =
                (self.rows.outputs(&[output]).map_err(told)?, self.rows.credits(&[credit]).map_err(told)?);
            more.push_str(&json(&rows)?);
            if let Some(name) = self.opened.get(point) {
                more.push_str(name);
            }
        }
        text.push_str(&more);
        Ok(text)
    }
}

fn found<'v>(visit: &'v Visit, is_it: impl Fn(&&Line) -> bool, what: &str) -> Result<&'v Line, String> {
    visit.lines.iter().find(is_it).ok_or_else(|| format!("expected {what}"))
}

fn is_post(line: &Line, path: &str) -> bool {
    line.method == "POST" && line.status == 200 && line.path.ends_with(path)
}

fn asked_keysets(visit: &Visit) -> bool {
    visit.lines.iter().any(|line| line.path.ends_with("/v1/keysets"))
}

fn json(row: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(row).map_err(told)
}
