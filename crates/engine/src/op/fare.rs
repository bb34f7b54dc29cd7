//! What a payment takes of its fare: in the commit that holds it, and given back or counted in the commit that ends it. So
//! whatever comes in whichever order, what is charged in a fare is never more than its cap.

use farthing_money::{Amount, Asset, Timestamp};

use crate::{FareReject, FareRow, FareShare, Funds, Marks, Reject, Rows};

/// The price of a payment, and its share; lower than the full price if its fare has less room.
pub(crate) fn due(
    rows: &Rows,
    marks: &Marks,
    (price, asset): (Amount, Asset),
    funds: &Funds,
    now: Timestamp,
) -> Result<(Amount, Marks), Reject> {
    let Some(share) = marks.fare else { return Ok((price, *marks)) };
    let row = known(rows, share, asset)?;
    if row.asset != asset {
        return Err(Reject::WrongAsset { expected: row.asset, got: asset });
    }
    if row.ends <= now {
        return Err(Reject::Fare(FareReject::Changed));
    }
    let due = share.full.min(row.room());
    if due.is_zero() {
        return Err(if row.is_paid() {
            Reject::Fare(FareReject::Paid)
        } else {
            Reject::Fare(FareReject::UnderWay)
        });
    }
    // Nobody pays more than he was told, and what is signed for a chain is taken as it is.
    if due > share.took || due < share.took && !matches!(funds, Funds::Credits(_)) {
        return Err(Reject::Fare(FareReject::Changed));
    }
    Ok((due, Marks { fare: Some(FareShare { took: due, ..share }), ..*marks }))
}

fn known(rows: &Rows, share: FareShare, asset: Asset) -> Result<FareRow, Reject> {
    let begun =
        || FareRow { asset, cap: share.cap, spent: Amount::ZERO, held: Amount::ZERO, ends: share.ends };
    Ok(rows.fares.get(&share.fare)?.copied().unwrap_or_else(begun))
}

/// Holds the share that is due.
pub(crate) fn hold(rows: &mut Rows, marks: &Marks, asset: Asset) {
    let Some(share) = marks.fare else { return };
    let Ok(row) = known(rows, share, asset) else { return };
    let held = row.held.checked_add(share.took).unwrap_or(Amount::MAX);
    rows.fares.put(share.fare, FareRow { held, ..row });
}

/// Gives the share back. What nothing was ever paid in is forgotten.
pub(crate) fn free(rows: &mut Rows, marks: &Marks) {
    end(rows, marks, |share| (share.took, Amount::ZERO));
}

/// Counts what was charged of the share.
pub(crate) fn charge(rows: &mut Rows, marks: &Marks, charged: Amount) {
    end(rows, marks, |share| (share.took, charged));
}

/// A chain has taken back what was charged: it is held until the chain has said its last word, so that no room comes of it.
pub(crate) fn take_back(rows: &mut Rows, marks: &Marks, charged: Amount) {
    let Some(share) = marks.fare else { return };
    let Some(row) = rows.fares.get(&share.fare).ok().flatten().copied() else { return };
    let back = charged.min(row.spent);
    let spent = row.spent.checked_sub(back).unwrap_or_default();
    let held = row.held.checked_add(back).unwrap_or(Amount::MAX);
    rows.fares.put(share.fare, FareRow { spent, held, ..row });
}

/// The chain's last word about what it has taken back: it has moved after all, or never will.
pub(crate) fn end_again(rows: &mut Rows, marks: &Marks, charged: Amount, has_moved: bool) {
    end(rows, marks, |_| (charged, if has_moved { charged } else { Amount::ZERO }));
}

fn end(rows: &mut Rows, marks: &Marks, of: impl Fn(&FareShare) -> (Amount, Amount)) {
    let Some(share) = marks.fare else { return };
    let Some(row) = rows.fares.get(&share.fare).ok().flatten().copied() else { return };
    let (held, charged) = of(&share);
    let held = row.held.checked_sub(held).unwrap_or_default();
    let spent = row.spent.checked_add(charged).unwrap_or(Amount::MAX);
    if held.is_zero() && spent.is_zero() {
        rows.fares.remove(share.fare);
    } else {
        rows.fares.put(share.fare, FareRow { spent, held, ..row });
    }
}
