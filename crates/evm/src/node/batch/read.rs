//! The calls of the escrow of channels, read from their bytes as the contract reads them.

use farthing_channel::{Address, ChannelTerms, ClaimRow, Word};
use farthing_money::Amount;

use crate::abi;
use crate::channels::{deposit_text, terms_of_row as terms};

const TERMS: &str = "(address,address,address,address,address,uint40,bytes32)";

/// What is called.
pub(super) enum Called<'a> {
    Deposit { terms: ChannelTerms, units: Amount, collector: Address, bytes: &'a [u8] },
    Claim(Vec<ClaimRow>),
    ClaimWithSignature(Vec<ClaimRow>, &'a [u8]),
    Settle(Address, Address),
    Initiate(ChannelTerms, Amount),
    Finalize(ChannelTerms),
    Refund(ChannelTerms, Amount),
    RefundWithSignature { terms: ChannelTerms, units: Amount, nonce: Word, signature: &'a [u8] },
    Several(Vec<&'a [u8]>),
}

/// What these bytes call; nothing if it is none of the functions here, or cannot be read.
pub(super) fn called(input: &[u8]) -> Option<Called<'_>> {
    let (selector, row) = input.split_first_chunk::<4>()?;
    let is = |text: &str| abi::selector(text) == *selector;
    let address = |place| abi::word(row, place)?.to_address();
    if is(&deposit_text()) {
        let (terms, units, collector) = (terms(row)?, amount(row, 7)?, address(8)?);
        return Some(Called::Deposit { terms, units, collector, bytes: abi::bytes_at(row, 9)? });
    }
    if is(&format!("claim((({TERMS},uint128),bytes,uint128)[])")) {
        return Some(Called::Claim(claim_rows(row)?));
    }
    if is(&format!("claimWithSignature((({TERMS},uint128),bytes,uint128)[],bytes)")) {
        return Some(Called::ClaimWithSignature(claim_rows(row)?, abi::bytes_at(row, 1)?));
    }
    if is("settle(address,address)") {
        return Some(Called::Settle(address(0)?, address(1)?));
    }
    if is(&format!("initiateWithdraw({TERMS},uint128)")) {
        return Some(Called::Initiate(terms(row)?, amount(row, 7)?));
    }
    if is(&format!("finalizeWithdraw({TERMS})")) {
        return Some(Called::Finalize(terms(row)?));
    }
    if is(&format!("refund({TERMS},uint128)")) {
        return Some(Called::Refund(terms(row)?, amount(row, 7)?));
    }
    if is(&format!("refundWithSignature({TERMS},uint128,uint256,bytes)")) {
        let (terms, units, nonce) = (terms(row)?, amount(row, 7)?, abi::word(row, 8)?);
        return Some(Called::RefundWithSignature { terms, units, nonce, signature: abi::bytes_at(row, 9)? });
    }
    if is("multicall(bytes[])") {
        let (count, body) = list(row, 0)?;
        let calls = (0..count).map(|place| abi::bytes_at(body, place));
        return Some(Called::Several(calls.collect::<Option<Vec<_>>>()?));
    }
    None
}

fn amount(row: &[u8], place: usize) -> Option<Amount> {
    abi::word(row, place)?.to_amount()
}

fn place(row: &[u8], at: usize) -> Option<usize> {
    usize::try_from(abi::word(row, at)?.to_u64()?).ok()
}

/// How many elements a list has, and where the places of its elements are counted from.
fn list(row: &[u8], at: usize) -> Option<(usize, &[u8])> {
    let list = row.get(place(row, at)?..)?;
    Some((place(list, 0)?, list.get(32..)?))
}

/// The rows of a claim.
fn claim_rows(input: &[u8]) -> Option<Vec<ClaimRow>> {
    let (count, body) = list(input, 0)?;
    let row = |at| {
        let row = body.get(place(body, at)?..)?;
        let signature = abi::bytes_at(row, 8)?.to_vec();
        Some(ClaimRow {
            terms: terms(row)?,
            ceiling: amount(row, 7)?,
            signature,
            total_claimed: amount(row, 9)?,
        })
    };
    (0..count).map(row).collect()
}
