//! Where money is paid out to, as requests of melt quotes write it: `eip155:84532:0xTOKEN/0xADDRESS`, or an address alone.

use farthing_channel::{Address, ChainId};
use farthing_gate::chain::{Destination, Withdrawal};

use super::IssuerError;

/// A chain, a token on it, and who has it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) chain: u64,
    pub(super) token: Address,
    pub(super) to: Address,
}

impl Place {
    /// Where a withdrawal's money goes.
    pub(super) fn of(withdrawal: &Withdrawal) -> Self {
        let (chain, moves) = (withdrawal.call.chain, &withdrawal.call.moves);
        let address = |address: farthing_engine::ChainAddress| Address::from_bytes(*address.as_bytes());
        Self { chain, token: address(moves.token), to: address(moves.to) }
    }
}

/// Reads a request.
pub(super) fn read(text: &str) -> Result<Destination, IssuerError> {
    let wrong = |why: String| {
        IssuerError::malformed(format!(
            "request: {why}: expected an address, or a token and an address as in eip155:84532:0xTOKEN/0xADDRESS"
        ))
    };
    let address = |text: &str| text.parse::<Address>().map_err(|error| wrong(error.to_string()));
    let Some((token, to)) = text.split_once('/') else {
        return Ok(Destination { token: None, to: address(text)? });
    };
    let (chain, token) =
        token.rsplit_once(':').ok_or_else(|| wrong("no token before the stroke".to_owned()))?;
    let chain: ChainId =
        chain.parse().map_err(|error: farthing_channel::ChainIdError| wrong(error.to_string()))?;
    Ok(Destination { token: Some((chain.number(), address(token)?)), to: address(to)? })
}

/// The whole text of a place.
pub(super) fn write(place: &Place) -> String {
    let Place { chain, token, to } = place;
    format!("eip155:{chain}:{token}/{to}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    const TO: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

    #[test]
    fn places_are_read_as_they_are_written() {
        let text = format!("eip155:84532:{TOKEN}/{TO}");
        let Destination { token: Some((chain, token)), to } = read(&text).unwrap() else { panic!("a token") };
        assert_eq!(write(&Place { chain, token, to }), text);
        let alone = read(&TO.to_lowercase().replace("0X", "0x")).unwrap();
        assert_eq!(alone, Destination { token: None, to: TO.parse().unwrap() });
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, chain: u64, token: [u8; 20], to: [u8; 20]) {
            let _ = read(&text);
            let (token, to) = (Address::from_bytes(token), Address::from_bytes(to));
            let place = read(&write(&Place { chain, token, to })).unwrap();
            prop_assert_eq!(place, Destination { token: Some((chain, token)), to });
        }
    }

    #[test]
    fn strange_places_are_refused() {
        let mistyped = TO.replace("4293BC", "4293bC");
        for text in [
            "",
            "0x12",
            "alice",
            &mistyped,
            &format!("{TOKEN}/{TO}"),
            &format!("eip155:84532/{TO}"),
            &format!("solana:84532:{TOKEN}/{TO}"),
            &format!("eip155:84532:{TOKEN}/"),
            &format!("eip155:84532:{TOKEN}/{TO}/{TO}"),
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
