//! The calls that carry what was signed to the chain, and those that ask a contract about it, as the bytes that go
//! into a transaction. Sending them is done upstairs.

use crate::abi::Arguments;
use crate::address::Address;
use crate::authorization::{Authorization, CancelAuthorization};
use crate::digest::{AuthorizationNonce, Digest};
use crate::permit::Permit;
use crate::permit2::{ExactWitness, Permit2Transfer, UptoWitness};
use crate::signature::Signature;
use crate::word::Word;

/// What a contract answers to [`is_valid_signature`] if the signature is its own (ERC-1271).
pub const IS_VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

/// A token's `transfer`: from whoever sends the transaction.
pub fn transfer(to: Address, amount: Word) -> Vec<u8> {
    Arguments::new().word(to).word(amount).call("transfer(address,uint256)")
}

/// A token's `approve`: an allowance of whoever sends the transaction.
pub fn approve(spender: Address, amount: Word) -> Vec<u8> {
    Arguments::new().word(spender).word(amount).call("approve(address,uint256)")
}

/// Asks a token what an account has.
pub fn balance_of(account: Address) -> Vec<u8> {
    Arguments::new().word(account).call("balanceOf(address)")
}

/// Asks a token what a spender may take of an account.
pub fn allowance(owner: Address, spender: Address) -> Vec<u8> {
    Arguments::new().word(owner).word(spender).call("allowance(address,address)")
}

/// Asks a token for an account's count of permits (EIP-2612).
pub fn nonces(owner: Address) -> Vec<u8> {
    Arguments::new().word(owner).call("nonces(address)")
}

/// Asks a token for its name.
pub fn name() -> Vec<u8> {
    Arguments::new().call("name()")
}

/// Asks a token for the version of its domain.
pub fn version() -> Vec<u8> {
    Arguments::new().call("version()")
}

/// Asks a token how many decimals it has.
pub fn decimals() -> Vec<u8> {
    Arguments::new().call("decimals()")
}

/// Asks a contract for the hash of its domain, to compare it with [`Domain::separator`](crate::Domain::separator).
pub fn domain_separator() -> Vec<u8> {
    Arguments::new().call("DOMAIN_SEPARATOR()")
}

/// Asks a token whether an authorisation's nonce has been used (EIP-3009).
pub fn authorization_state(authorizer: Address, nonce: AuthorizationNonce) -> Vec<u8> {
    Arguments::new().word(authorizer).word(nonce).call("authorizationState(address,bytes32)")
}

/// Asks Permit2 which of the 256 nonces with these first 248 bits an account has used: a word of one bit each.
pub fn nonce_bitmap(owner: Address, nonce: Word) -> Vec<u8> {
    let bytes = nonce.as_bytes();
    let place = Word::padded(bytes.split_last().map_or(&[][..], |(_, first)| first));
    Arguments::new().word(owner).word(place).call("nonceBitmap(address,uint256)")
}

/// Carries an authorisation that an account has signed.
pub fn transfer_with_authorization(authorization: &Authorization, signature: &Signature) -> Vec<u8> {
    with_vrs(of_authorization(authorization), signature).call(
        "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
    )
}

/// Carries an authorisation that a contract has signed, in whatever way it signs.
pub fn transfer_with_authorization_bytes(authorization: &Authorization, signature: &[u8]) -> Vec<u8> {
    of_authorization(authorization)
        .bytes(signature)
        .call("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)")
}

/// Carries an authorisation as its receiver.
pub fn receive_with_authorization(authorization: &Authorization, signature: &Signature) -> Vec<u8> {
    with_vrs(of_authorization(authorization), signature).call(
        "receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
    )
}

/// Takes an authorisation back.
pub fn cancel_authorization(cancel: &CancelAuthorization, signature: &Signature) -> Vec<u8> {
    with_vrs(Arguments::new().word(cancel.authorizer).word(cancel.nonce), signature)
        .call("cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)")
}

/// Carries an allowance that an account has signed (EIP-2612).
pub fn permit(permit: &Permit, signature: &Signature) -> Vec<u8> {
    let arguments =
        Arguments::new().word(permit.owner).word(permit.spender).word(permit.value).word(permit.deadline);
    with_vrs(arguments, signature).call("permit(address,address,uint256,uint256,uint8,bytes32,bytes32)")
}

/// Asks a contract whether a signature is its own (ERC-1271): it answers [`IS_VALID_SIGNATURE`].
pub fn is_valid_signature(digest: &Digest, signature: &[u8]) -> Vec<u8> {
    Arguments::new().word(*digest).bytes(signature).call("isValidSignature(bytes32,bytes)")
}

/// Carries a Permit2 transfer to x402's proxy of `exact`: the whole amount.
pub fn settle_exact(transfer: &Permit2Transfer<ExactWitness>, owner: Address, signature: &[u8]) -> Vec<u8> {
    exact(Arguments::new(), transfer, owner, signature)
        .call("settle(((address,uint256),uint256,uint256),address,(address,uint256),bytes)")
}

/// As [`settle_exact`], with the token's allowance for Permit2 by a permit in the same transaction.
pub fn settle_exact_with_permit(
    allowance: (&Permit, &Signature),
    transfer: &Permit2Transfer<ExactWitness>,
    owner: Address,
    signature: &[u8],
) -> Vec<u8> {
    exact(of_allowance(allowance), transfer, owner, signature).call(
        "settleWithPermit((uint256,uint256,bytes32,bytes32,uint8),((address,uint256),uint256,uint256),address,(address,uint256),bytes)",
    )
}

/// Carries a Permit2 transfer to x402's proxy of `upto`: as much as was used, up to the amount that was signed.
pub fn settle_upto(
    transfer: &Permit2Transfer<UptoWitness>,
    used: Word,
    owner: Address,
    signature: &[u8],
) -> Vec<u8> {
    upto(Arguments::new(), transfer, used, owner, signature)
        .call("settle(((address,uint256),uint256,uint256),uint256,address,(address,address,uint256),bytes)")
}

/// As [`settle_upto`], with the token's allowance for Permit2 by a permit in the same transaction.
pub fn settle_upto_with_permit(
    allowance: (&Permit, &Signature),
    transfer: &Permit2Transfer<UptoWitness>,
    used: Word,
    owner: Address,
    signature: &[u8],
) -> Vec<u8> {
    upto(of_allowance(allowance), transfer, used, owner, signature).call(
        "settleWithPermit((uint256,uint256,bytes32,bytes32,uint8),((address,uint256),uint256,uint256),uint256,address,(address,address,uint256),bytes)",
    )
}

fn exact(
    arguments: Arguments,
    transfer: &Permit2Transfer<ExactWitness>,
    owner: Address,
    signature: &[u8],
) -> Arguments {
    let witness = &transfer.witness;
    of_transfer(arguments, transfer)
        .word(owner)
        .words([witness.to.into(), witness.valid_after])
        .bytes(signature)
}

fn upto(
    arguments: Arguments,
    transfer: &Permit2Transfer<UptoWitness>,
    used: Word,
    owner: Address,
    signature: &[u8],
) -> Arguments {
    let witness = &transfer.witness;
    of_transfer(arguments, transfer)
        .word(used)
        .word(owner)
        .words([witness.to.into(), witness.facilitator.into(), witness.valid_after])
        .bytes(signature)
}

fn of_transfer<W>(arguments: Arguments, transfer: &Permit2Transfer<W>) -> Arguments {
    arguments.words([transfer.token.into(), transfer.amount, transfer.nonce, transfer.deadline])
}

fn of_allowance((permit, signature): (&Permit, &Signature)) -> Arguments {
    let [r, s] = [signature.r(), signature.s()].map(|number| Word::from_bytes(*number));
    Arguments::new().words([permit.value, permit.deadline, r, s, u64::from(signature.v()).into()])
}

fn of_authorization(authorization: &Authorization) -> Arguments {
    Arguments::new()
        .word(authorization.from)
        .word(authorization.to)
        .word(authorization.value)
        .word(authorization.valid_after)
        .word(authorization.valid_before)
        .word(authorization.nonce)
}

fn with_vrs(arguments: Arguments, signature: &Signature) -> Arguments {
    let [r, s] = [signature.r(), signature.s()].map(|number| Word::from_bytes(*number));
    arguments.words([u64::from(signature.v()).into(), r, s])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::keccak256;

    #[test]
    fn a_valid_signature_is_answered_with_its_own_question() {
        let call = is_valid_signature(&keccak256(b""), &[]);
        assert_eq!(call[..4], IS_VALID_SIGNATURE);
    }

    #[test]
    fn nonces_of_permit2_have_a_place_and_a_bit() {
        let call = nonce_bitmap(Address::ZERO, Word::from(0x1_02ff));
        assert_eq!(call[36..], *Word::from(0x102).as_bytes());
    }
}
