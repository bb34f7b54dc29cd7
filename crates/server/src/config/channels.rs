//! `[chain.channels]`: on which terms payment channels are taken on a chain.

use farthing_evm::{ChannelConfig, prudent_claim_after, usual_claim_after};
use farthing_money::{Amount, Asset, AssetTable, Money, Span};

use super::section::Section;
use super::server::positive;

/// The terms as they are written: amounts are of the asset that the tokens count as.
#[derive(Clone, Debug)]
pub(super) struct ChannelTerms {
    withdraw_delay: u32,
    deposit_prices: u32,
    claim_after: Span,
    rows_most: u32,
    takes_contracts: bool,
    exposure_most: Option<Money>,
    claim_from: Option<Money>,
    settle_from: Option<Money>,
}

/// The escrow takes no others.
const DELAY_LEAST: u64 = 900;
const DELAY_MOST: u64 = 2_592_000;

/// Reads them; nothing if something is wrong.
pub(super) fn read(section: Section<'_>, assets: &AssetTable) -> Option<ChannelTerms> {
    let usual = ChannelConfig::default();
    let delay = section.given_or("withdraw_delay", usual.withdraw_delay, |key| section.judged(key, delay));
    let prices = section.given_or("deposit_prices", 10, |key| section.number(key, 1..=1_000_000));
    let after =
        section.given_or("claim_after", usual_claim_after(delay.unwrap_or(usual.withdraw_delay)), |key| {
            section.parsed(key, positive)
        });
    if let (Some(delay), Some(after)) = (delay, after)
        && after > Span::from_secs(delay.into())
    {
        let hint =
            format!("leave it out, or set it to a third of that: {}s", prudent_claim_after(delay).secs());
        section.remark(
            "claim_after",
            format!("expected at most withdraw_delay, after which payers have their money back: {delay}s, got {}s", after.secs()),
            Some(hint),
        );
    }
    let rows = section.given_or("rows_most", 50, |key| section.number(key, 1..=100));
    let contracts = section.given_or("takes_contracts", false, |key| section.boolean(key));
    let money = |key| {
        section.given_or(key, None, |key| section.judged(key, |text| assets.parse_money(text)).map(Some))
    };
    let (exposure, from, settle) = (money("exposure_most"), money("claim_from"), money("settle_from"));
    if exposure.flatten().is_some_and(|most| most.amount().is_zero()) {
        section.remark("exposure_most", "expected more than nothing: with nothing no voucher is taken", None);
    }
    section.finish();
    Some(ChannelTerms {
        withdraw_delay: delay?,
        deposit_prices: prices?,
        claim_after: after?,
        rows_most: rows?,
        takes_contracts: contracts?,
        exposure_most: exposure?,
        claim_from: from?,
        settle_from: settle?,
    })
}

fn delay(text: &str) -> Result<u32, String> {
    let span: Option<Span> = text.parse().ok();
    let seconds = span.map(|span| span.millis() / 1_000);
    let fits = seconds.filter(|seconds| (DELAY_LEAST..=DELAY_MOST).contains(seconds));
    let fits = fits.and_then(|seconds| u32::try_from(seconds).ok());
    fits.ok_or_else(|| format!("expected a span from 15m to 30d, got {text:?}"))
}

impl ChannelTerms {
    /// The terms for tokens that count as this asset; refused if an amount is of another one.
    pub(super) fn of(&self, asset: Asset) -> Result<ChannelConfig, String> {
        let usual = ChannelConfig::default();
        let amount = |said: Option<Money>, usual: Amount| match said {
            Some(money) if money.asset() == asset => Ok(money.amount()),
            Some(money) => Err(format!("expected amounts of {asset} in [chain.channels], got {money}")),
            None => Ok(scaled(usual, asset)),
        };
        Ok(ChannelConfig {
            withdraw_delay: self.withdraw_delay,
            deposit_prices: self.deposit_prices.into(),
            exposure_most: amount(self.exposure_most, usual.exposure_most)?,
            claim_from: amount(self.claim_from, usual.claim_from)?,
            claim_after: self.claim_after,
            settle_from: amount(self.settle_from, usual.settle_from)?,
            rows_most: usize::try_from(self.rows_most).unwrap_or(usual.rows_most),
            takes_contracts: self.takes_contracts,
        })
    }
}

/// What is usual is said in millionths.
fn scaled(millionths: Amount, asset: Asset) -> Amount {
    let step = |places: u8| Amount::new(10_u128.checked_pow(places.into()).unwrap_or(u128::MAX));
    let scale = asset.scale();
    let scaled = match scale.checked_sub(6) {
        Some(finer) => millionths.checked_mul(step(finer).value()),
        None => millionths.value().checked_div(step(6_u8.saturating_sub(scale)).value()).map(Amount::new),
    };
    // Nothing would be no bound at all.
    scaled.unwrap_or(Amount::MAX).max(Amount::new(1))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use farthing_channel::Address;

    use super::*;
    use crate::config::Config;

    const CHAIN: &str = "[[chain]]\nid = 84532\nnodes = [\"http://127.0.0.1:8545\"]\n";
    const TOKEN: &str = "[[token]]\nchain = 84532\naddress = \"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"\nsymbol = \"USDC\"\nname = \"USDC\"\nversion = \"2\"\ncounts_as = \"USD\"\n";
    const CHANNELS: &str = "schemes = [\"exact\", \"batch-settlement\"]\n";

    fn read(text: &str) -> Result<Option<ChannelConfig>, String> {
        let text = format!("[server]\nupstream = \"http://127.0.0.1:3000\"\n{text}");
        let config =
            Config::read(&text, Path::new("farthing.toml")).map_err(|mistakes| format!("{mistakes:?}"))?;
        Ok(config.chains[0].with_own_account(Address::ZERO).channels)
    }

    #[test]
    fn channels_are_taken_where_a_token_says_so() {
        assert_eq!(read(&format!("{CHAIN}{TOKEN}")), Ok(None));
        assert_eq!(read(&format!("{CHAIN}[chain.channels]\n{TOKEN}")), Ok(None), "no token says so");
        assert_eq!(read(&format!("{CHAIN}{TOKEN}{CHANNELS}")), Ok(Some(ChannelConfig::default())));
        let alone = "schemes = \"batch-settlement\"\n";
        assert!(read(&format!("{CHAIN}{TOKEN}{alone}")).unwrap().is_some(), "nothing else has to be taken");
    }

    #[test]
    fn the_terms_are_the_operators() {
        let terms = "[chain.channels]\nwithdraw_delay = \"15m\"\ndeposit_prices = 5\nexposure_most = \"2 USD\"\nclaim_from = \"0.50 USD\"\nclaim_after = \"10m\"\nsettle_from = \"3 USD\"\nrows_most = 7\ntakes_contracts = true\n";
        let expected = ChannelConfig {
            withdraw_delay: 900,
            deposit_prices: 5,
            exposure_most: Amount::new(2_000_000),
            claim_from: Amount::new(500_000),
            claim_after: Span::from_secs(600),
            settle_from: Amount::new(3_000_000),
            rows_most: 7,
            takes_contracts: true,
        };
        assert_eq!(read(&format!("{CHAIN}{terms}{TOKEN}{CHANNELS}")), Ok(Some(expected)));
    }

    #[test]
    fn what_is_little_is_claimed_long_before_payers_have_their_money() {
        let after = |lines: &str| {
            let config =
                read(&format!("{CHAIN}[chain.channels]\n{lines}{TOKEN}{CHANNELS}")).unwrap().unwrap();
            (config.claim_after.secs(), config.claims_late())
        };
        for (lines, expected) in [
            ("", (3_600, false)),
            ("withdraw_delay = \"15m\"\n", (300, false)),
            ("withdraw_delay = \"2h\"\n", (2_400, false)),
            ("withdraw_delay = \"3h\"\n", (3_600, false)),
            ("withdraw_delay = \"15m\"\nclaim_after = \"300s\"\n", (300, false)),
            ("withdraw_delay = \"15m\"\nclaim_after = \"301s\"\n", (301, true)),
            ("withdraw_delay = \"15m\"\nclaim_after = \"15m\"\n", (900, true)),
        ] {
            assert_eq!(after(lines), expected, "{lines}");
        }
    }

    #[test]
    fn every_mistake_is_named() {
        let terms = |line: &str| format!("{CHAIN}[chain.channels]\n{line}\n{TOKEN}{CHANNELS}");
        for (text, expected) in [
            (terms("withdraw_delay = \"14m\""), "expected a span from 15m to 30d"),
            (terms("withdraw_delay = \"31d\""), "expected a span from 15m to 30d"),
            (terms("deposit_prices = 0"), "deposit_prices in [chain.channels]"),
            (terms("exposure_most = \"0.00 USD\""), "expected more than nothing"),
            (terms("exposure_most = \"1 sat\""), "exposure_most in [chain.channels]"),
            (terms("claim_after = \"0s\""), "claim_after in [chain.channels]"),
            (terms("withdraw_delay = \"15m\"\nclaim_after = \"901s\""), "expected at most withdraw_delay"),
            (terms("claim_after = \"25h\""), "expected at most withdraw_delay"),
            (terms("rows_most = 101"), "rows_most in [chain.channels]"),
            (terms("delay = \"1d\""), "unknown key"),
            (
                format!(
                    "[[asset]]\ncode = \"USD\"\nunit = \"uusd\"\nscale = 6\n[[asset]]\ncode = \"EUR\"\nunit = \"ueur\"\nscale = 6\n{}",
                    terms("claim_from = \"1 EUR\"")
                ),
                "expected amounts of USD in [chain.channels]",
            ),
        ] {
            let mistakes = read(&text).unwrap_err();
            assert!(mistakes.contains(expected), "expected {expected:?} in {mistakes}");
        }
    }

    #[test]
    fn what_is_usual_follows_the_scale() {
        let of = |scale| Asset::new("XYZ", scale, "xyz").unwrap();
        assert_eq!(scaled(Amount::new(100_000), of(6)), Amount::new(100_000));
        assert_eq!(scaled(Amount::new(100_000), of(2)), Amount::new(10));
        assert_eq!(scaled(Amount::new(100_000), of(0)), Amount::new(1));
        assert_eq!(scaled(Amount::new(1_000_000), of(18)), Amount::new(10_u128.pow(18)));
    }
}
