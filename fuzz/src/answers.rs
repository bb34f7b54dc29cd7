//! What the gate reads of an upstream's answer: playlists, what may be shown of it, and what is counted as it flows. The first byte says
//! which.

use std::str::from_utf8;

use bytes::Bytes;
use farthing_gate::meter::{Tally, number_at};
use farthing_gate::teaser::{self, Part, SHOWN_BYTES_MAX};
use farthing_gate::{Meter, media};
use farthing_money::{Amount, Asset};

use crate::Cut;

/// What is written from one playlist at the most.
const WRITTEN_BYTES_MAX: usize = 8 << 20;

/// An answer of an upstream, whatever it is.
pub fn upstream_answers(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    match cut.byte() % 4 {
        0 => playlist(cut.0),
        1 => text(&mut cut),
        2 => list(&mut cut),
        _ => meter(&mut cut),
    }
}

/// Few bytes name no more than there is room for.
fn playlist(bytes: &[u8]) {
    let written: usize = media::told(bytes).iter().map(|told| told.address.len()).sum();
    assert!(written <= WRITTEN_BYTES_MAX, "{written} bytes of {}", bytes.len());
}

/// A page and a text with a part of either: what is shown is no more than may go out.
fn text(cut: &mut Cut<'_>) {
    let whole = cut.byte() & 1 == 0;
    let Ok(part) = cut.text().parse::<Part>() else { return };
    let Ok(text) = from_utf8(cut.0) else { return };
    if let Some(shown) = teaser::text(text, whole, &part) {
        assert!(!shown.is_empty() && shown.len() <= SHOWN_BYTES_MAX && text.contains(shown));
    }
    if let Some(page) = teaser::page(text, whole, &part) {
        // Of what is shown, as of any page, a part can be shown.
        drop(teaser::page(&format!("{}{}", page.before, page.after), false, &part));
    }
}

/// A list in JSON: some of its items, and never all.
fn list(cut: &mut Cut<'_>) {
    let (count, at) = (u32::from(cut.byte()), cut.text());
    if let Some((shown, all)) = teaser::items(cut.0, count, at) {
        assert!(
            !shown.is_empty()
                && shown.len() <= usize::try_from(count).unwrap_or(usize::MAX)
                && shown.len() < all
        );
    }
}

/// A body that is counted: in whatever pieces it comes, it is as many, and what goes on is where it begins.
fn meter(cut: &mut Cut<'_>) {
    let counts = ["bytes", "rows", "events", "json usage.total_tokens", "seconds"];
    let count = counts[usize::from(cut.byte()) % counts.len()].parse().expect("it can be counted");
    let (most, step) = (u128::from(cut.byte()), usize::from(cut.byte()).max(1));
    let each = Asset::micro("USD").expect("an asset").money(Amount::new(1));
    let meter = Meter::new(count, each, 1);
    let body = cut.0;
    for most in [most, u128::MAX] {
        let whole = flown(&meter, [body].into_iter(), most);
        assert!(whole.0 <= most && body.starts_with(&whole.1));
        assert_eq!(flown(&meter, body.chunks(step), most), whole, "in pieces of {step}");
    }
    if let Ok(path) = "a.b".parse() {
        let _ = number_at(body, &path);
    }
}

/// How many there were, and what has gone on.
fn flown<'b>(meter: &Meter, pieces: impl Iterator<Item = &'b [u8]>, most: u128) -> (u128, Vec<u8>) {
    let mut tally = Tally::of(meter).expect("it can be counted as it flows");
    let mut all = Vec::new();
    for piece in pieces {
        let passed = tally.pass(Bytes::copy_from_slice(piece), most);
        all.extend(&passed.bytes);
        if passed.is_full {
            return (tally.count(), all);
        }
    }
    all.extend(&tally.end(most).bytes);
    (tally.count(), all)
}
