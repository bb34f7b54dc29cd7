//! What the attacker has: the rows and the journal of the folder, joined with the proxy's log. The n-th request that issued is
//! the n-th entry that issued, and so on: the order of things is in both.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;

use farthing_engine::{CreditRow, OutputId, PaymentId, QuoteId, Read};
use farthing_ledger::{AccountId, Batch, Entry, EntryKind};
use farthing_store::{Fjall, RowStore};
use serde::Serialize;
use serde_json::Value;

use super::purse::Shown;
use super::server::told;
use super::traffic::{Line, Visit};

/// A top-up as the attacker sees it.
#[derive(Clone, Debug)]
pub struct TopUp {
    /// When, by the proxy's log.
    pub at: u64,
    /// How much was issued.
    pub amount: u64,
    /// By which keyset's account.
    pub keyset: AccountId,
    /// Everything about it in the folder, and the request itself, as text.
    pub text: String,
}

/// A payment as the attacker sees it.
#[derive(Clone, Debug)]
pub struct Payment {
    /// When, by the proxy's log.
    pub at: u64,
    /// What was charged.
    pub price: u64,
    /// What it shows of the purse.
    pub shown: Shown,
    /// The accounts of the keysets of its credits.
    pub keysets: BTreeSet<AccountId>,
    /// Whether the wallet asked for the list of keysets in this visit: it does when it has not for an hour.
    pub asked_keysets: bool,
    /// Everything about it in the folder, as text.
    pub text: String,
}

/// A round, and who was who.
#[derive(Clone, Debug)]
pub struct Round {
    /// Pages for each top-up.
    pub pages: usize,
    /// Whether payments are exact.
    pub exact: bool,
    /// The top-ups, in order of time.
    pub top_ups: Vec<TopUp>,
    /// The payments, in order of time.
    pub payments: Vec<Payment>,
    /// For each payment the place of its top-up. No guesser may look at it.
    pub truth: Vec<usize>,
}

/// The folder, opened after the program has stopped.
pub struct Folder {
    rows: RowStore<Fjall>,
    issued: VecDeque<Entry>,
    swapped: VecDeque<Entry>,
    posted: VecDeque<Entry>,
}

impl Folder {
    /// Opens it and reads the journal.
    pub fn open(data: &Path) -> Result<Self, String> {
        let rows = RowStore::open(Fjall::open(&data.join("books")).map_err(told)?).map_err(told)?;
        let mut entries = Vec::new();
        for frame in rows.frames(1, usize::MAX).map_err(told)? {
            entries.extend(Batch::from_frame(&frame).map_err(told)?.entries);
        }
        let of = |kind| entries.iter().filter(|entry| entry.kind == kind).cloned().collect();
        let (issued, swapped, posted) = (of(EntryKind::Issue), of(EntryKind::Swap), of(EntryKind::Post));
        Ok(Self { rows, issued, swapped, posted })
    }

    /// Whether every entry was found in the log.
    pub fn is_used_up(&self) -> bool {
        self.issued.is_empty() && self.swapped.is_empty() && self.posted.is_empty()
    }

    /// The next top-up.
    pub fn top_up(&mut self, visit: &Visit) -> Result<TopUp, String> {
        let line = visit.lines.iter().find(|line| is_post(line, "/v1/mint/code"));
        let line = line.ok_or("expected a mint request in a top-up")?;
        let entry = self.issued.pop_front().ok_or("expected an entry for each top-up")?;
        let last = entry.transfers.last().ok_or("expected transfers")?;
        let amount = last.amount().to_u64().ok_or("expected an amount that fits")?;
        let text = self.text_of_top_up(&line.body)?;
        Ok(TopUp { at: line.at, amount, keyset: last.credit, text })
    }

    /// The quote's row, the rows of its outputs, and the request.
    fn text_of_top_up(&self, body: &[u8]) -> Result<String, String> {
        let request: Value = serde_json::from_slice(body).map_err(told)?;
        let quote = request.get("quote").and_then(Value::as_str).ok_or("expected a quote")?;
        let id: QuoteId = quote.parse().map_err(told)?;
        let row = self.rows.mint_quote(id).map_err(told)?.ok_or("expected the quote's row")?;
        let mut text = format!("{quote} {} ", json(&row)?);
        for output in request.get("outputs").and_then(Value::as_array).into_iter().flatten() {
            let id = output.get("B_").and_then(Value::as_str).ok_or("expected a blinded output")?;
            let id: OutputId = id.parse().map_err(told)?;
            let row = self.rows.outputs(&[id]).map_err(told)?;
            text.push_str(&[&id.to_string(), " ", &json(&row)?, " "].concat());
        }
        Ok(text + &String::from_utf8_lossy(body))
    }

    /// The next payment.
    pub fn payment(&mut self, visit: &Visit) -> Result<Payment, String> {
        let paid = |line: &&Line| !line.path.contains("/v1/") && line.status == 200;
        let line = visit.lines.iter().find(paid).ok_or("expected a page in a payment")?;
        let entry = self.posted.pop_front().ok_or("expected an entry for each payment")?;
        let reference = entry.reference.ok_or("expected the payment's id")?;
        let id = PaymentId::from_bytes(*reference.as_bytes());
        let row = self.rows.payment(id).map_err(told)?.ok_or("expected the payment's row")?;
        let credits = self.rows.credits(&row.credits).map_err(told)?;
        let (mut inputs, mut keysets) = (Vec::new(), BTreeSet::new());
        for credit in credits.iter().flatten() {
            if let CreditRow::Spent { worth: Some(worth), .. } = credit {
                inputs.push(worth.amount);
                keysets.insert(worth.account);
            }
        }
        inputs.sort_unstable();
        let swaps = visit.lines.iter().filter(|line| is_post(line, "/v1/swap")).count();
        let swaps: Vec<Entry> = self.swapped.drain(..swaps.min(self.swapped.len())).collect();
        let swapped = swaps.first().and_then(|entry| entry.transfers.first());
        let swapped = swapped.and_then(|transfer| transfer.amount().to_u64());
        let asked_keysets = visit.lines.iter().any(|line| line.path.ends_with("/v1/keysets"));
        let price = row.charged.to_u64().ok_or("expected a price that fits")?;
        let text = format!("{id} {} {}", json(&row)?, json(&credits)?);
        let shown = Shown { swapped, inputs };
        Ok(Payment { at: line.at, price, shown, keysets, asked_keysets, text })
    }
}

fn is_post(line: &Line, path: &str) -> bool {
    line.method == "POST" && line.status == 200 && line.path.ends_with(path)
}

fn json(row: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(row).map_err(told)
}
