//! The dollars that everybody knows: USDC where its issuer has it on a chain, with what its contract says of itself. The
//! wallet's owner may block each of them and name others.

use farthing_channel::{Address, ChainId};
use farthing_money::Unit;

use super::Token;

/// Chain, contract, name and version of the domain. All are USDC, with six decimals, and have EIP-3009; the facts are
/// those of npm `@x402/evm` 2.27.0.
const DOLLARS: [(u64, &str, &str, &str); 13] = [
    (1, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USD Coin", "2"),
    (50, "0xfA2958CB79b0491CC627c1557F441eF849Ca8eb1", "USDC", "2"),
    (51, "0xb5AB69F7bBada22B28e79C8FFAECe55eF1c771D4", "USDC", "2"),
    (137, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "USD Coin", "2"),
    (143, "0x754704Bc059F8C67012fEd69BC8A327a5aafb603", "USDC", "2"),
    (1_328, "0x4fCF1784B31630811181f670Aea7A7bEF803eaED", "USDC", "2"),
    (1_329, "0xe15fC38F6D8c56aF07bbCBe3BAf5708A2Bf42392", "USDC", "2"),
    (8_453, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD Coin", "2"),
    (42_161, "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", "USD Coin", "2"),
    (42_220, "0xcebA9300f2b948710d2653dD7B07f33A8B32118C", "USDC", "2"),
    (43_114, "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E", "USD Coin", "2"),
    (84_532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC", "2"),
    (421_614, "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d", "USD Coin", "2"),
];

/// All of them.
pub(crate) fn tokens() -> impl Iterator<Item = Token> {
    DOLLARS.iter().filter_map(|(chain, address, name, version)| {
        Some(Token {
            chain: ChainId::new(*chain),
            address: address.parse::<Address>().ok()?,
            symbol: "USDC".to_owned(),
            decimals: 6,
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            counts_as: "uusd".parse::<Unit>().ok()?,
            is_blocked: false,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_spelled_right_and_named_once() {
        // The capitals of an address are its checksum: a mistyped digit is no address.
        let all: Vec<Token> = tokens().collect();
        assert_eq!(all.len(), DOLLARS.len());
        assert!(all.iter().all(|token| token.check() == Ok(())));
        let mut places: Vec<_> = all.iter().map(|token| (token.chain, token.address)).collect();
        places.dedup();
        assert_eq!(places.len(), all.len());
    }
}
