//! The journal's head at the end of each day, signed and published: whoever keeps one can tell later whether anything
//! before it was changed, by us or by anybody else.

use farthing_engine::{Command, Publish, StatementId, StatementKind, StatementRow};
use farthing_ledger::{AuditError, Head as JournalHead};
use farthing_money::Span;
use farthing_wire::DayHead;
use serde::{Deserialize, Serialize};

use super::journal::first_at;
use super::period::{day_of, day_text, start_of};
use super::{Operator, OperatorError};

/// The heads of so many days are published for strangers.
const LATEST_DAYS: u64 = 62;

/// After midnight a commit of the evening may still be under way.
const GRACE: Span = Span::from_secs(600);

const PAGE: usize = 256;

/// A published head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The signed text (JWS), for whoever keeps it.
    pub text: String,
    /// What it says.
    #[serde(flatten)]
    pub head: DayHead,
}

impl Operator {
    /// Signs and publishes the head of each past day that has batches and no head yet. Says how many they were.
    pub async fn publish_heads(&self) -> Result<usize, OperatorError> {
        let mut published = 0_usize;
        while let Some((id, head)) = self.next_head()? {
            let text = head.sign(&self.key)?;
            let row = StatementRow { text, at: head.signed_at };
            self.execute.execute(Command::Publish(Publish { id, row })).await?;
            published = published.saturating_add(1);
        }
        Ok(published)
    }

    /// Published heads, the oldest first; the last `limit` of them.
    pub fn heads(&self, limit: usize) -> Result<Vec<Head>, OperatorError> {
        let rows = self.statements(StatementKind::DayHead)?;
        let skipped = rows.len().saturating_sub(limit);
        let key = self.key.verifying_key();
        rows.into_iter()
            .skip(skipped)
            .map(|(_, StatementRow { text, .. })| Ok(Head { head: DayHead::verify(&text, &key)?, text }))
            .collect()
    }

    /// The signed texts of the latest days alone, for strangers.
    pub fn latest_heads(&self) -> Result<Vec<String>, OperatorError> {
        let first = day_of((self.clock)()).saturating_sub(LATEST_DAYS);
        let rows = self.read.statements(StatementId::day_head(first), PAGE)?;
        let heads = rows.into_iter().filter(|(id, _)| id.kind() == Some(StatementKind::DayHead));
        Ok(heads.map(|(_, row)| row.text).collect())
    }

    /// The key that signed, as others know it.
    pub fn key_text(&self) -> String {
        farthing_wire::jws::key_text(&self.key.verifying_key())
    }

    /// All published texts of a kind, in their order.
    pub(super) fn statements(
        &self,
        kind: StatementKind,
    ) -> Result<Vec<(StatementId, StatementRow)>, OperatorError> {
        let mut all: Vec<(StatementId, StatementRow)> = Vec::new();
        let mut from = kind.first();
        loop {
            let page = self.read.statements(from, PAGE)?;
            let more = page.len() == PAGE && page.iter().all(|(id, _)| id.kind() == Some(kind));
            all.extend(page.into_iter().filter(|(id, _)| id.kind() == Some(kind)));
            if !more {
                return Ok(all);
            }
            // The last of this page is the first of the next: it is not taken twice.
            let Some((last, _)) = all.pop() else { return Ok(all) };
            from = last;
        }
    }

    /// The head that is to be published next.
    fn next_head(&self) -> Result<Option<(StatementId, DayHead)>, OperatorError> {
        let now = (self.clock)();
        let last = self.heads(1)?.pop().map(|Head { head, .. }| head);
        let (number, next_day) = match &last {
            Some(last) => (last.number, super::period::read_day(&last.day).map(day_of)?.saturating_add(1)),
            None => (0, 0),
        };
        let first = number.saturating_add(1);
        let Some(frame) = self.read.frames(first, 1)?.pop() else { return Ok(None) };
        // A batch that came after the head of its own day, because the clock was set back, is under the next head.
        let day = day_of(head_of(&frame, first)?.at).max(next_day);
        let end = start_of(day.saturating_add(1));
        if now < end.after(GRACE) {
            return Ok(None);
        }
        let after = first_at(&*self.read, self.read.head()?, end)?;
        let closing = after.saturating_sub(1);
        let Some(frame) = self.read.frames(closing, 1)?.pop() else { return Ok(None) };
        let head = head_of(&frame, closing)?;
        let statement = DayHead {
            day: day_text(start_of(day)),
            number: head.number,
            digest: head.digest.to_string(),
            batches: head.number.saturating_sub(number),
            signed_at: now,
        };
        Ok(Some((StatementId::day_head(day), statement)))
    }
}

fn head_of(frame: &[u8], number: u64) -> Result<JournalHead, OperatorError> {
    Ok(JournalHead::of(frame).map_err(|error| AuditError::Frame { number, error })?)
}
