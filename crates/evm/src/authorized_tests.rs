//! The authorisation in a call is the one that was put in, in all ways in which calls are made.

use farthing_channel::{
    Authorization, Permit, Permit2Transfer, Signature, SigningKey, keccak256,
    permit2::{ExactWitness, UptoWitness},
};
use farthing_engine::Movement;
use farthing_money::{Amount, Asset, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::abi::Part;

fn chain() -> ChainConfig {
    let coin = Asset::new("ETH", 18, "wei").unwrap();
    ChainConfig::new(farthing_channel::ChainId::new(1), vec![], Address::ZERO, coin, vec![])
}

fn call_of(to: Address, input: Vec<u8>) -> Call {
    let moves =
        Movement { token: to_engine(to), from: to_engine(to), to: to_engine(to), units: Amount::ZERO };
    Call { chain: 1, to: to_engine(to), input, moves, until: Timestamp::from_secs(0), approval: None }
}

fn signature() -> Signature {
    SigningKey::from_bytes([1; 32]).unwrap().sign(&keccak256(b""))
}

fn transfer<W>(nonce: [u8; 32], witness: W) -> Permit2Transfer<W> {
    let other = Address::from_bytes([9; 20]);
    let number = Word::from(77);
    let nonce = Word::from_bytes(nonce);
    Permit2Transfer { token: other, amount: number, spender: other, nonce, deadline: number, witness }
}

proptest! {
    #[test]
    fn transfers_of_tokens(payer: [u8; 20], nonce: [u8; 32], value: u64) {
        let (chain, token, payer) = (chain(), Address::from_bytes([5; 20]), Address::from_bytes(payer));
        let authorization = Authorization {
            from: payer,
            to: Address::from_bytes([6; 20]),
            value: value.into(),
            valid_after: Word::ZERO,
            valid_before: Word::MAX,
            nonce: AuthorizationNonce::from_bytes(nonce),
        };
        let expected = Some(Authorized { counter: Counter::Token(token), payer, nonce });
        let vrs = call::transfer_with_authorization(&authorization, &signature());
        prop_assert_eq!(Authorized::of_call(&chain, &call_of(token, vrs)), expected);
        let bytes = call::transfer_with_authorization_bytes(&authorization, &[1; 100]);
        prop_assert_eq!(Authorized::of_call(&chain, &call_of(token, bytes.clone())), expected);
        let parts = [
            Part { to: payer, may_fail: true, input: &[1, 2, 3] },
            Part { to: token, may_fail: false, input: &bytes },
        ];
        let wrapped = call_of(chain.contracts.multicall, abi::aggregate(&parts));
        prop_assert_eq!(Authorized::of_call(&chain, &wrapped), expected);
    }

    #[test]
    fn transfers_of_permit2(payer: [u8; 20], nonce: [u8; 32]) {
        let (chain, payer) = (chain(), Address::from_bytes(payer));
        let permit = Permit { owner: payer, spender: payer, value: Word::MAX, nonce: Word::MAX, deadline: Word::MAX };
        let (signature, word) = (signature(), Word::from(3));
        let exact = transfer(nonce, ExactWitness { to: Address::ZERO, valid_after: word });
        let upto = transfer(nonce, UptoWitness { to: Address::ZERO, facilitator: Address::ZERO, valid_after: word });
        let contracts = chain.contracts;
        let expected = Some(Authorized { counter: Counter::Permit2(contracts.permit2), payer, nonce });
        for (to, input) in [
            (contracts.exact, call::settle_exact(&exact, payer, &[1; 65])),
            (contracts.exact, call::settle_exact_with_permit((&permit, &signature), &exact, payer, &[1; 65])),
            (contracts.upto, call::settle_upto(&upto, word, payer, &[1; 65])),
            (contracts.upto, call::settle_upto_with_permit((&permit, &signature), &upto, word, payer, &[1; 65])),
        ] {
            prop_assert_eq!(Authorized::of_call(&chain, &call_of(to, input)), expected);
        }
    }

    #[test]
    fn each_number_of_permit2_has_a_bit_of_its_own(place: u8, other: u8) {
        let of = |place| {
            let mut nonce = [0; 32];
            nonce[31] = place;
            Authorized { counter: Counter::Permit2(Address::ZERO), payer: Address::ZERO, nonce }
        };
        let mut word = [0; 32];
        word[31 - usize::from(place) / 8] = 1 << (place % 8);
        prop_assert_eq!(of(place).is_used(&word), Some(true));
        prop_assert_eq!(of(other).is_used(&word), Some(place == other));
    }
}

#[test]
fn other_calls_carry_no_authorisation() {
    let token = Address::from_bytes([5; 20]);
    for input in [vec![], call::transfer(token, Word::from(1)), vec![0; 400]] {
        assert_eq!(Authorized::of_call(&chain(), &call_of(token, input.clone())), None);
        assert_eq!(Authorized::of_call(&chain(), &call_of(chain().contracts.exact, input.clone())), None);
        assert_eq!(Authorized::of_call(&chain(), &call_of(chain().contracts.multicall, input)), None);
    }
}
