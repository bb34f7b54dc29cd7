//! Begins a change of credits, so that afterwards an amount can be paid exactly.

use farthing_ecash::input_fee;
use farthing_money::{Amount, Timestamp, Unit};

use super::keys;
use crate::attempt::{Attempt, AttemptKind};
use crate::credit::Credit;
use crate::error::{FundsShort, WalletError};
use crate::select::select;
use crate::state::Draft;
use crate::unit::money;
use crate::wallet::Wallet;

/// Sets credits aside that are worth `amount` and the mint's fee, and plans outputs of which some add up to `amount`.
/// Answers with the attempt that is to be settled.
pub(crate) fn begin(
    wallet: &mut Wallet,
    mint_url: &str,
    unit: Unit,
    amount: u64,
    now: Timestamp,
) -> Result<u64, WalletError> {
    let mint = keys::known(wallet, mint_url)?;
    let credits = wallet.state.free(mint_url, unit, now.secs());
    let amounts: Vec<u64> = credits.iter().map(|credit| credit.amount()).collect();
    let short = |wallet: &Wallet| funds_short(wallet, &[mint_url.to_owned()], unit, amount, now);
    // The fee depends on the credits, and which credits are needed on the fee: it rises until both fit.
    let mut target = amount;
    let (chosen, rest) = loop {
        let Some(places) = select(&amounts, target) else { return Err(short(wallet)?) };
        let chosen: Vec<&Credit> = places.iter().filter_map(|place| credits.get(*place).copied()).collect();
        let fee = input_fee(chosen.iter().map(|credit| mint.fee_ppk(credit.proof.id)));
        let total = chosen.iter().try_fold(0_u64, |sum, credit| sum.checked_add(credit.amount()));
        let Some(needed) = fee.and_then(|fee| amount.checked_add(fee)) else { return Err(short(wallet)?) };
        match total.and_then(|total| total.checked_sub(needed)) {
            Some(rest) => break (chosen, rest),
            None => target = needed,
        }
    };
    let keyset = mint.active(unit)?;
    let mut outputs = keyset.split(amount)?;
    outputs.extend(keyset.split(rest)?);
    // In order of size, so that the mint does not see which are to pay.
    outputs.sort_unstable();
    let mut draft = Draft::new(&wallet.state);
    let id = draft.attempt_number();
    draft.reserve(&chosen, id);
    let inputs = chosen.iter().map(|credit| credit.y()).collect();
    let plans = vec![draft.plan(keyset.id, outputs)?];
    let mint = mint_url.to_owned();
    draft.attempt(Attempt { id, at: now, mint, unit, inputs, plans, kind: AttemptKind::Change });
    let changes = draft.into_changes();
    wallet.commit(changes)?;
    Ok(id)
}

/// Free credits that are worth exactly so much; none if credits have to be changed first.
pub(crate) fn choose(
    wallet: &Wallet,
    (mint, unit): (&str, Unit),
    amount: u64,
    now: Timestamp,
) -> Result<Option<Vec<Credit>>, WalletError> {
    let free = wallet.state.free(mint, unit, now.secs());
    let amounts: Vec<u64> = free.iter().map(|credit| credit.amount()).collect();
    let Some(places) = select(&amounts, amount) else {
        return Err(funds_short(wallet, &[mint.to_owned()], unit, amount, now)?);
    };
    let chosen: Vec<Credit> =
        places.iter().filter_map(|place| free.get(*place).map(|credit| (*credit).clone())).collect();
    let sum = chosen.iter().try_fold(0_u64, |sum, credit| sum.checked_add(credit.amount()));
    Ok((sum == Some(amount)).then_some(chosen))
}

/// What to say when the free credits of some mints are not enough.
pub(crate) fn funds_short(
    wallet: &Wallet,
    mints: &[String],
    unit: Unit,
    amount: u64,
    now: Timestamp,
) -> Result<WalletError, WalletError> {
    let totals = mints.iter().map(|mint| Amount::from(wallet.state.free_total(mint, unit, now.secs())));
    let have = Amount::try_sum(totals).unwrap_or(Amount::MAX);
    let whose = if mints.is_empty() { String::new() } else { format!(" at {}", mints.join(", ")) };
    let short = FundsShort { asked: money(unit, amount)?, have: money(unit, have)?, whose };
    Ok(WalletError::FundsShort(Box::new(short)))
}
