//! The calls of x402's escrow of `batch-settlement`, and those that ask it about a channel, as the bytes that go into a
//! transaction. The amounts are the escrow's `uint128`, which is why they fit.

use farthing_money::Amount;

use crate::abi::{Arguments, encoded_bytes};
use crate::address::Address;
use crate::claim_row::ClaimRow;
use crate::deposit::CollectedDeposit;
use crate::terms::{ChannelId, ChannelTerms};
use crate::word::Word;

/// The struct of a channel's terms in the text of a function.
const TERMS: &str = "(address,address,address,address,address,uint40,bytes32)";

/// Puts money into a channel. Anyone may send it; the signatures in it are the payer's.
pub fn deposit(terms: &ChannelTerms, deposit: &CollectedDeposit) -> Vec<u8> {
    Arguments::new()
        .words(terms.words())
        .word(deposit.amount)
        .word(deposit.collector)
        .bytes(&deposit.collector_bytes)
        .call(&format!("deposit({TERMS},uint128,address,bytes)"))
}

/// Claims what vouchers allow; only the receiver or its authorizer may send it.
pub fn claim(rows: &[ClaimRow]) -> Vec<u8> {
    of_rows(rows).call(&format!("claim((({TERMS},uint128),bytes,uint128)[])"))
}

/// The same with the signature of the one authorizer of all rows over [`claims_digest`](crate::claims_digest); anyone may
/// send it.
pub fn claim_with_signature(rows: &[ClaimRow], authorizer_signature: &[u8]) -> Vec<u8> {
    of_rows(rows)
        .bytes(authorizer_signature)
        .call(&format!("claimWithSignature((({TERMS},uint128),bytes,uint128)[],bytes)"))
}

/// Sends a receiver all that was claimed of all its channels of a token. Anyone may send it.
pub fn settle(receiver: Address, token: Address) -> Vec<u8> {
    Arguments::new().word(receiver).word(token).call("settle(address,address)")
}

/// Says what the payer wants back, after the channel's delay. Only the payer or its authorizer may send it.
pub fn initiate_withdraw(terms: &ChannelTerms, amount: Amount) -> Vec<u8> {
    of_terms(terms, amount).call(&format!("initiateWithdraw({TERMS},uint128)"))
}

/// Takes it back when the delay is over, as far as it was not claimed. Only the payer or its authorizer may send it.
pub fn finalize_withdraw(terms: &ChannelTerms) -> Vec<u8> {
    Arguments::new().words(terms.words()).call(&format!("finalizeWithdraw({TERMS})"))
}

/// Gives back at once what was not claimed, at most so much. Only the receiver or its authorizer may send it.
pub fn refund(terms: &ChannelTerms, amount: Amount) -> Vec<u8> {
    of_terms(terms, amount).call(&format!("refund({TERMS},uint128)"))
}

/// The same with the authorizer's signature over [`Refund`](crate::Refund); anyone may send it.
pub fn refund_with_signature(
    terms: &ChannelTerms,
    amount: Amount,
    nonce: Word,
    authorizer_signature: &[u8],
) -> Vec<u8> {
    of_terms(terms, amount)
        .word(nonce)
        .bytes(authorizer_signature)
        .call(&format!("refundWithSignature({TERMS},uint128,uint256,bytes)"))
}

/// Several of these calls in one, all or none: a claim before its refund.
pub fn multicall(calls: &[Vec<u8>]) -> Vec<u8> {
    Arguments::new().list(calls.iter().map(|call| encoded_bytes(call))).call("multicall(bytes[])")
}

/// Asks for a channel's balance and what was claimed of it: two words.
pub fn channels(channel: ChannelId) -> Vec<u8> {
    Arguments::new().word(channel).call("channels(bytes32)")
}

/// Asks what a payer wants back, and since which second (0 if nothing is wanted): two words.
pub fn pending_withdrawals(channel: ChannelId) -> Vec<u8> {
    Arguments::new().word(channel).call("pendingWithdrawals(bytes32)")
}

/// Asks what a receiver has claimed of a token, and how much of it was sent: two words.
pub fn receivers(receiver: Address, token: Address) -> Vec<u8> {
    Arguments::new().word(receiver).word(token).call("receivers(address,address)")
}

/// Asks for the number that a channel's next refund has.
pub fn refund_nonce(channel: ChannelId) -> Vec<u8> {
    Arguments::new().word(channel).call("refundNonce(bytes32)")
}

fn of_terms(terms: &ChannelTerms, amount: Amount) -> Arguments {
    Arguments::new().words(terms.words()).word(amount)
}

fn of_rows(rows: &[ClaimRow]) -> Arguments {
    Arguments::new().list(rows.iter().map(ClaimRow::encode))
}
