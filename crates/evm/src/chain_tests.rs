//! Chains as configured: what is offered, what is wrong, and that no unit is lost between token and ledger.

use proptest::prelude::*;

use super::*;

fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

fn token(decimals: u8) -> TokenConfig {
    let address = Address::from_bytes([3; 20]);
    TokenConfig { decimals, ..TokenConfig::dollar(address, "USDC", "USD Coin", "2", usd()) }
}

fn chain(tokens: Vec<TokenConfig>) -> ChainConfig {
    let coin = Asset::new("ETH", 18, "wei").unwrap();
    let node = Uri::from_static("http://127.0.0.1:8545");
    ChainConfig::new(ChainId::new(84_532), vec![node], Address::from_bytes([4; 20]), coin, tokens)
}

#[test]
fn a_price_is_offered_in_every_way_that_does_not_round() {
    let facilitator = Address::from_bytes([7; 20]);
    let coarse = TokenConfig { symbol: "C".into(), address: Address::from_bytes([5; 20]), ..token(2) };
    let chain = chain(vec![token(6), coarse]);
    let offers = |amount| chain.offers(Money::new(Amount::new(amount), usd()), facilitator);
    assert_eq!(offers(1_000).len(), 3, "a tenth of a cent has no whole cents");
    assert_eq!(offers(20_000).len(), 6);
    assert_eq!(offers(0).len(), 0);
    let [eip3009, permit2, upto, in_cents, ..] = &offers(20_000)[..] else { panic!("six") };
    assert_eq!((eip3009.scheme.as_str(), eip3009.extra.name()), ("exact", Some("USD Coin")));
    assert_eq!(permit2.extra.get("assetTransferMethod").unwrap(), "permit2");
    assert_eq!((upto.scheme.as_str(), upto.network.as_str()), ("upto", "eip155:84532"));
    assert_eq!(upto.extra.get("facilitatorAddress").unwrap(), &facilitator.to_string());
    assert_eq!((eip3009.amount.as_str(), in_cents.amount.as_str()), ("20000", "2"));
    for offer in offers(20_000) {
        assert_eq!(offer.check(), Ok(()));
    }
    let other = Money::new(Amount::new(20_000), Asset::micro("EUR").unwrap());
    assert_eq!(chain.offers(other, facilitator), [], "another currency is another price");
}

#[test]
fn every_mistake_appears() {
    let nobody = TokenConfig { exact: false, permit2: false, escrow: false, channels: false, ..token(6) };
    let bad = ChainConfig {
        nodes: vec![],
        pay_to: Address::ZERO,
        confirmations: 0,
        ..chain(vec![token(6), token(37), nobody])
    };
    let mistakes = bad.mistakes();
    assert_eq!(mistakes.len(), 7, "{mistakes:?}");
    assert_eq!(chain(vec![token(6)]).mistakes(), []);
}

#[test]
fn accounts_are_named_after_the_chain() {
    let chain = chain(vec![token(6)]);
    let names: Vec<_> = chain.accounts().into_iter().map(|account| account.name.clone()).collect();
    assert_eq!(names, ["purse:eip155:84532", "gas:eip155:84532", "reserve:eip155:84532:USDC"]);
    assert_eq!(Contracts::default().multicall.to_string(), "0xcA11bde05977b3631167028862bE2a173976CA11");
}

proptest! {
    #[test]
    fn no_unit_is_lost(amount: u128, decimals in 0u8..30) {
        let (token, amount) = (token(decimals), Amount::new(amount));
        if let Some(units) = token.units(amount) {
            prop_assert_eq!(token.amount(units), Some(amount));
        }
        if let Some(back) = token.amount(amount) {
            prop_assert_eq!(token.units(back), Some(amount));
        }
    }
}
