//! What happened, in order, in hash-chained batches: the truth from which every total can be rebuilt.

use std::fmt;

use farthing_money::{Label, Timestamp, byte_id};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::{Account, Transfer};

byte_id!(
    /// SHA-256 over a batch and its predecessor's digest.
    BatchDigest,
    32
);
byte_id!(
    /// What an entry is about, such as a payment's id. Never a payer.
    Reference,
    32
);

/// What kind of movement an entry records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// Top-up codes were made and sold.
    CodeSold,
    /// Credits were issued for a paid quote.
    Issue,
    /// Credits were swapped for others.
    Swap,
    /// Credits were melted: paid out.
    Melt,
    /// Money was set aside for a payment.
    Hold,
    /// A held payment was charged.
    Post,
    /// A held payment was given back.
    Release,
    /// What was out of an expired keyset became income.
    Expire,
    /// Unused top-up codes were paid back.
    Refund,
    /// The operator entered it.
    Manual,
    /// An earlier entry was taken back.
    Reversal,
    /// An epoch ended: no money moved, but what was issued and redeemed up to here is what its lists say.
    Epoch,
    /// A period was closed: no money moved.
    Close,
    /// The issuer was opened, paused or sent into its sunset: no money moved.
    Mode,
    /// A call on a chain ended, beside those that charge or release a payment of ours.
    Settle,
    /// A payout to a merchant went a step further: proposed, approved, sent, ended.
    Payout,
    /// Credits went into a session, or what was left of one went back.
    Session,
}

impl EntryKind {
    /// The name in lists and exports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CodeSold => "code-sold",
            Self::Issue => "issue",
            Self::Swap => "swap",
            Self::Melt => "melt",
            Self::Hold => "hold",
            Self::Post => "post",
            Self::Release => "release",
            Self::Expire => "expire",
            Self::Refund => "refund",
            Self::Manual => "manual",
            Self::Reversal => "reversal",
            Self::Epoch => "epoch",
            Self::Close => "close",
            Self::Mode => "mode",
            Self::Session => "session",
            Self::Settle => "settle",
            Self::Payout => "payout",
        }
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One movement: what, about what, and its transfers, which stand or fall together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What happened.
    pub kind: EntryKind,
    /// About what, where that can be told without telling of a payer.
    pub reference: Option<Reference>,
    /// The day that it is about, where that is not the day on which it was written.
    pub dated: Option<Timestamp>,
    /// The tax code of the rule that set the price.
    pub tax_code: Option<Label>,
    /// What the operator wrote beside it.
    pub memo: Option<String>,
    /// How the money moved; nothing for a mark in the journal.
    pub transfers: Vec<Transfer>,
}

impl Entry {
    /// An entry with nothing beside its transfers.
    pub const fn of(kind: EntryKind, transfers: Vec<Transfer>) -> Self {
        Self { kind, reference: None, dated: None, tax_code: None, memo: None, transfers }
    }
}

/// All that one commit did, sealed to the batch before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// 1 for the first, then one more each.
    pub number: u64,
    /// The digest of the batch before, zeros for the first.
    pub previous: BatchDigest,
    /// The hour in which it was decided. Never before the batch before it; not more exact, so that the journal does not
    /// tell when a payer was issued credits.
    pub at: Timestamp,
    /// Accounts that it opened, with nothing on them.
    pub opened: Vec<Account>,
    /// What it did.
    pub entries: Vec<Entry>,
}

/// The end of the journal: what the next batch must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last batch's number; 0 if there is none.
    pub number: u64,
    /// Its digest; zeros if there is none.
    pub digest: BatchDigest,
    /// Its hour; the beginning of 1970 if there is none.
    pub at: Timestamp,
}

/// Why bytes are not a batch of this journal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Not a frame that this version writes.
    #[error("a journal frame of format {0}; this version reads formats {FORMAT_BEFORE} and {FORMAT}")]
    Format(u8),
    /// Damaged.
    #[error("a journal frame cannot be read: it is damaged")]
    Damaged,
}

const FORMAT: u8 = 2;
const FORMAT_BEFORE: u8 = 1;
const DOMAIN: &[u8] = b"farthing/journal/1";

impl Head {
    /// Before the first batch.
    pub const START: Self =
        Self { number: 0, digest: BatchDigest::from_bytes([0; 32]), at: Timestamp::from_millis(0) };

    /// The head that this frame makes.
    pub fn of(frame: &[u8]) -> Result<Self, FrameError> {
        let batch = Batch::from_frame(frame)?;
        Ok(Self { number: batch.number, digest: Batch::digest(frame), at: batch.at })
    }
}

/// A batch as format 1 had it.
#[derive(Deserialize)]
struct BatchBefore {
    number: u64,
    previous: BatchDigest,
    at: Timestamp,
    opened: Vec<Account>,
    entries: Vec<EntryBefore>,
}

/// An entry as format 1 had it.
#[derive(Deserialize)]
struct EntryBefore {
    kind: EntryKind,
    reference: Option<Reference>,
    transfers: Vec<Transfer>,
}

impl From<BatchBefore> for Batch {
    fn from(before: BatchBefore) -> Self {
        let BatchBefore { number, previous, at, opened, entries } = before;
        let entries = entries.into_iter().map(|EntryBefore { kind, reference, transfers }| Entry {
            kind,
            reference,
            dated: None,
            tax_code: None,
            memo: None,
            transfers,
        });
        Self { number, previous, at, opened, entries: entries.collect() }
    }
}

impl Batch {
    /// The batch as the bytes that are stored and hashed: a format byte, then postcard.
    pub fn to_frame(&self) -> Result<Vec<u8>, FrameError> {
        let mut frame = vec![FORMAT];
        frame.extend(postcard::to_allocvec(self).map_err(|_| FrameError::Damaged)?);
        Ok(frame)
    }

    /// Reads what [`to_frame`](Self::to_frame) wrote, now or in the format before; trailing bytes are damage.
    pub fn from_frame(frame: &[u8]) -> Result<Self, FrameError> {
        match frame.split_first() {
            Some((&FORMAT, body)) => whole(body),
            Some((&FORMAT_BEFORE, body)) => whole::<BatchBefore>(body).map(Self::from),
            Some((&format, _)) => Err(FrameError::Format(format)),
            None => Err(FrameError::Damaged),
        }
    }

    /// Whether the frame was written by a version whose journal never goes back in time.
    pub(crate) fn keeps_time(frame: &[u8]) -> bool {
        frame.first() != Some(&FORMAT_BEFORE)
    }

    /// The digest of a frame. The frame itself names its predecessor's digest, which makes the chain.
    pub fn digest(frame: &[u8]) -> BatchDigest {
        let digest = Sha256::new().chain_update(DOMAIN).chain_update(frame).finalize();
        BatchDigest::from_bytes(digest.into())
    }
}

fn whole<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(FrameError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Asset};
    use proptest::prelude::*;

    use super::*;
    use crate::{AccountId, AccountKind, Limit};

    fn batch() -> Batch {
        let usd = Asset::micro("USD").unwrap();
        let (a, b) = (AccountId::derive(usd, "a"), AccountId::derive(usd, "b"));
        Batch {
            number: 7,
            previous: BatchDigest::from_bytes([3; 32]),
            at: Timestamp::from_millis(1_795_341_457_943),
            opened: vec![Account::new("a", usd, AccountKind::Liability, Limit::DebitsWithinCredits)],
            entries: vec![Entry {
                kind: EntryKind::Hold,
                reference: Some(Reference::from_bytes([9; 32])),
                dated: Some(Timestamp::from_secs(86_400)),
                tax_code: Some("standard".parse().unwrap()),
                memo: Some("a note".to_owned()),
                transfers: vec![Transfer::hold(a, b, Amount::new(u128::MAX))],
            }],
        }
    }

    #[test]
    fn frames_and_batches_are_inverse() {
        let frame = batch().to_frame().unwrap();
        assert_eq!(Batch::from_frame(&frame), Ok(batch()));
        assert_eq!(Batch::from_frame(&[&frame[..], &[0]].concat()), Err(FrameError::Damaged));
        assert_eq!(Batch::from_frame(&[9, 1, 2]), Err(FrameError::Format(9)));
        assert_eq!(Batch::from_frame(&[]), Err(FrameError::Damaged));
    }

    #[test]
    fn frames_of_the_format_before_are_read() {
        let batch = batch();
        let entry = &batch.entries[0];
        let entries = vec![(entry.kind, entry.reference, entry.transfers.clone())];
        let before = (batch.number, batch.previous, batch.at, batch.opened.clone(), entries);
        let frame = [vec![1], postcard::to_allocvec(&before).unwrap()].concat();
        let read = Batch::from_frame(&frame).unwrap();
        assert_eq!(read.entries[0], Entry { dated: None, tax_code: None, memo: None, ..entry.clone() });
        assert_eq!(
            Head::of(&frame).unwrap(),
            Head { number: 7, digest: Batch::digest(&frame), at: batch.at }
        );
    }

    proptest! {
        #[test]
        fn strange_bytes_are_an_error(bytes: Vec<u8>) {
            let _ = Batch::from_frame(&bytes);
        }

        #[test]
        fn every_byte_counts(at in 1usize..100, flip in 1u8..) {
            let mut frame = batch().to_frame().unwrap();
            let at = at % frame.len();
            frame[at] ^= flip;
            prop_assert_ne!(Batch::digest(&frame), Batch::digest(&batch().to_frame().unwrap()));
        }
    }
}
