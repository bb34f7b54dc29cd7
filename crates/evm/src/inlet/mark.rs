//! The mark in the number of every authorization that moves something on from an inlet. Whoever sees such an authorization holds
//! what looks like a payment to us: presented as one, it would pay twice with what was counted when it came. So a payment
//! whose number has the mark is refused wherever payments are judged.
//!
//! The mark needs no key and no books: it is known after any restore, and by every installation that is paid at the same
//! account. Nobody gains by forging it, since what has it is refused.

use farthing_channel::{Address, AuthorizationNonce, ChainId, keccak256};
use farthing_engine::CallId;

const NAME: &[u8] = b"farthing/sweep/mark/1";

/// The number of the authorization that a sweep of this name carries: a half tells it from others, the other one is the mark.
pub(super) fn nonce(chain: ChainId, token: Address, from: Address, sweep: CallId) -> AuthorizationNonce {
    let mut nonce = [0; 32];
    let (own, place) = nonce.split_at_mut(16);
    own.iter_mut().zip(sweep.as_bytes()).for_each(|(byte, of_name)| *byte = *of_name);
    let mark = mark(chain, token, from, own);
    place.iter_mut().zip(mark).for_each(|(byte, of_mark)| *byte = of_mark);
    AuthorizationNonce::from_bytes(nonce)
}

/// Whether a number says that its authorization only moves on what is ours.
pub(crate) fn is_marked(chain: ChainId, token: Address, from: Address, nonce: &AuthorizationNonce) -> bool {
    let (own, place) = nonce.as_bytes().split_at(16);
    mark(chain, token, from, own).take(16).eq(place.iter().copied())
}

fn mark(chain: ChainId, token: Address, from: Address, own: &[u8]) -> impl Iterator<Item = u8> {
    let number = chain.number().to_be_bytes();
    let parts = [NAME, &number, token.as_bytes(), from.as_bytes(), own].concat();
    (*keccak256(&parts).as_bytes()).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_known_where_it_was_made_and_nowhere_else() {
        let at = |n| Address::from_bytes([n; 20]);
        let (chain, token, from) = (ChainId::new(1), at(1), at(2));
        let made = |n| nonce(chain, token, from, CallId::from_bytes([n; 32]));
        assert!(is_marked(chain, token, from, &made(1)));
        assert_ne!(made(1), made(2));
        assert!(!is_marked(ChainId::new(2), token, from, &made(1)));
        assert!(!is_marked(chain, at(3), from, &made(1)));
        assert!(!is_marked(chain, token, at(3), &made(1)));
        for place in 0..32 {
            let mut other = *made(1).as_bytes();
            other[place] ^= 1;
            assert!(!is_marked(chain, token, from, &AuthorizationNonce::from_bytes(other)), "{place}");
        }
        assert!(!is_marked(chain, token, from, &AuthorizationNonce::from_bytes([0; 32])));
    }
}
