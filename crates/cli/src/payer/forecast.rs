//! Whether the wallet's limits would let a payment through, for those who only ask.

use farthing_money::Amount;
use farthing_wallet::{
    Address, BudgetReject, LimitKind, Scope, Shown, Wallet, WalletError, asset_of, day_of,
};

use super::amount::Typed;
use super::driver::now;
use crate::exit::Failure;

/// Refuses what the first limit in the way would refuse.
pub fn forecast(wallet: &Wallet, url: &str, asked: Shown, max: Option<&Typed>) -> Result<(), Failure> {
    let unit = asked.unit;
    let limits = wallet.limits(unit);
    let host = url.parse::<Address>().map(|address| address.host()).unwrap_or_default();
    let spent = |scope| wallet.spent(unit, &scope);
    let max_amount = |max: &Typed| {
        let asset = asset_of(unit).filter(|asset| asset.code() == max.code())?;
        max.at_most(asset).ok().map(|money| money.amount())
    };
    // A limit in another asset lets nothing of this one through.
    let call = match max {
        Some(max) => (LimitKind::ThisCall, Some(max_amount(max).unwrap_or_default())),
        None => (LimitKind::PerCall, limits.per_call),
    };
    for (kind, limit, spent) in [
        (call.0, call.1, Amount::ZERO),
        (LimitKind::PerHost, limits.per_host, spent(Scope::Host(host))),
        (LimitKind::PerDay, limits.per_day, spent(Scope::Day(day_of(now())))),
        (LimitKind::Total, limits.total, spent(Scope::Total)),
    ] {
        let Some(limit) = limit else { continue };
        let left = limit.checked_sub(spent).unwrap_or_default();
        if asked.amount > left {
            let shown = |amount| Shown { amount, unit };
            let reject = BudgetReject { kind, limit: shown(limit), left: shown(left), asked };
            return Err(WalletError::from(reject).into());
        }
    }
    Ok(())
}
