//! How often a payer's money moves at our gas. Deposits and refunds cost us transactions and the payer nothing, so that money is
//! not given back twice in a row for nothing: in between something is paid for, or a minute passes.

use farthing_channel::seller::Refused;
use farthing_engine::ChannelRow;
use farthing_money::{Amount, Span, Timestamp};

/// How long who has paid for nothing waits.
const PAUSE: Span = Span::from_secs(60);

/// Whether a payer gets so much back now. Two times at once are good where something was charged in between; so is all that a
/// refund has left, if nothing came in since.
pub(super) fn may_give_back(row: &ChannelRow, amount: Amount, now: Timestamp) -> Result<(), Refused> {
    let (since, has_paid, takes_rest) = match row.gave_back {
        None => (row.used_at, !row.books.charged().is_zero(), false),
        Some(before) => (
            before.at,
            row.books.charged() > before.charged,
            amount == row.books.left() && row.books.chain().balance <= before.balance,
        ),
    };
    let is_over = since.after(PAUSE) <= now;
    if has_paid || takes_rest || is_over { Ok(()) } else { Err(Refused::RefundTooSoon) }
}
