//! `[[chain]]`, `[[token]]` and `[facilitator]`: which chains payers may pay on, with what, and for whom else we settle.

use std::net::IpAddr;
use std::time::Duration;

use farthing_channel::{Address, AddressError, ChainId};
use farthing_evm::{ChainConfig, RemoteAccount, TokenConfig};
use farthing_money::{Amount, Asset, AssetTable, Span};
use http::Uri;
use thiserror::Error;

use super::channels::{self, ChannelTerms};
use super::section::Section;
use super::server::positive;

/// A chain that payers may pay on.
#[derive(Clone, Debug)]
pub struct ChainSection {
    /// All but who is paid.
    chain: ChainConfig,
    /// Who is paid; our own account on the chain if nobody else is named.
    pay_to: Option<Address>,
    /// For which tokens credits are bought and sold.
    sales: Vec<CreditSale>,
    /// On which terms channels are taken, and what the tokens count as that are.
    channels: (ChannelTerms, Option<Asset>),
}

/// On which terms credits are bought and sold for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditSale {
    /// On which chain.
    pub chain: ChainId,
    /// For which token.
    pub token: Address,
    /// In what.
    pub asset: Asset,
    /// The least that comes in or goes out at once: each costs a transaction.
    pub least: Amount,
    /// What the issuer keeps of each withdrawal, for its gas.
    pub withdrawal_fee: Amount,
    /// From how much on is moved on what lies at the address of a mint quote.
    pub sweep_least: Amount,
}

impl ChainSection {
    /// The chain, when it is known which account is our own.
    pub fn with_own_account(&self, own: Address) -> ChainConfig {
        let own = self.chain.remote.as_ref().map_or(own, |remote| remote.account);
        ChainConfig { pay_to: self.pay_to.unwrap_or(own), ..self.chain.clone() }
    }

    /// Who is paid, as far as the configuration says it.
    fn paid(&self) -> Option<Address> {
        self.pay_to.or_else(|| self.chain.remote.as_ref().map(|remote| remote.account))
    }

    /// For which of its tokens credits are bought and sold.
    pub fn sales(&self) -> &[CreditSale] {
        &self.sales
    }

    /// What is taken on it.
    pub fn tokens(&self) -> &[TokenConfig] {
        &self.chain.tokens
    }

    /// Which chain.
    pub fn id(&self) -> ChainId {
        self.chain.id
    }
}

/// `[facilitator]`: settling for other gates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacilitatorConfig {
    /// For whom: the addresses that are paid. Nobody means that there is no facilitator.
    pub settle_for: Vec<Address>,
}

/// Why a text is not the address of a node.
#[derive(Debug, Error)]
#[error("expected the address of a node such as http://127.0.0.1:8545, got {0:?}")]
struct NodeError(String);

/// Why a text is not the address of a signer. It is not repeated: it may hold a key.
#[derive(Debug, Error)]
#[error(
    "expected the address of a signer such as https://signer.example or, on this machine, http://127.0.0.1:9000, got another"
)]
struct SignerError;

/// Why a text is no way of moving a token, or no scheme.
#[derive(Debug, Error)]
#[error("expected {expected}, got {got:?}")]
struct WordError {
    expected: &'static str,
    got: String,
}

const GWEI: u128 = 1_000_000_000;
/// What any transaction uses.
const GAS_LEAST: u32 = 21_000;
/// A ten-thousandth of a coin.
const SPONSOR_MOST: u32 = 100_000;
const COIN_DECIMALS: u8 = 18;
const COIN_UNIT: &str = "wei";

/// The chains of a file.
pub(super) struct Chains {
    /// Those that could be read, with those of their tokens that could.
    pub(super) read: Vec<ChainSection>,
    /// Whether those are all that stand in the file.
    pub(super) whole: bool,
}

/// Reads all chains with their tokens.
pub(super) fn read(root: &Section<'_>, assets: &AssetTable, torn: bool) -> Chains {
    let mut chains: Vec<ChainSection> = Vec::new();
    let mut whole = !torn;
    for section in root.sections("chain", "[[chain]]") {
        section.require("id", torn);
        section.require("nodes", torn);
        if let Some(chain) = read_chain(&section, assets) {
            if chains.iter().any(|other| other.id() == chain.id()) {
                section.remark("id", format!("expected each chain once, got {} again", chain.id()), None);
            } else {
                chains.push(chain);
            }
        }
        section.finish();
    }
    for section in root.sections("token", "[[token]]") {
        for key in ["chain", "address", "symbol", "name", "version", "counts_as"] {
            section.require(key, torn);
        }
        if let Some((chain, token, sale)) = read_token(&section, assets) {
            if let Some(known) = chains.iter_mut().find(|known| known.id() == chain) {
                if token.sponsored && known.chain.purse_low.is_zero() {
                    let message =
                        format!("expected purse_low in [[chain]] {chain}, since coin is given away");
                    let hint = "set purse_low: nobody is given coin when less would be left";
                    section.remark("sponsor_approvals", message, Some(hint.to_owned()));
                }
                take_channels(&section, known, &token);
                known.sales.extend(sale);
                known.chain.tokens.push(token);
                // What is wrong with all tokens together is said at the one that makes it so.
                let ours = known.with_own_account(Address::from_bytes([1; 20]));
                if let Some(mistake) = ours.mistakes().first() {
                    section.remark("address", mistake, None);
                    known.chain.tokens.pop();
                    whole = false;
                }
            } else {
                let hint = format!("write [[chain]] with id = {}", chain.number());
                section.remark("chain", format!("there is no chain {chain}"), Some(hint));
                whole = false;
            }
        } else {
            whole = false;
        }
        section.finish();
    }
    Chains { read: chains, whole }
}

/// Takes channels of a token, if it says so: all tokens of a chain that do count as one asset, which the amounts are of.
fn take_channels(section: &Section<'_>, known: &mut ChainSection, token: &TokenConfig) {
    if !token.channels {
        return;
    }
    let (terms, asset) = &mut known.channels;
    let first = *asset.get_or_insert(token.asset);
    if first != token.asset {
        let message = format!(
            "expected tokens with channels that count as {first}, as the one before, got {}",
            token.asset
        );
        section.remark("schemes", message, None);
    }
    match terms.of(first) {
        Ok(config) => known.chain.channels = Some(config),
        Err(message) => section.remark("schemes", message, None),
    }
}

/// Reads for whom else is settled: for nobody whom payers pay here, or one payment could buy something of two sellers.
pub(super) fn read_facilitator(section: Section<'_>, chains: &[ChainSection]) -> FacilitatorConfig {
    let settle_for = section.given_or("settle_for", Vec::new(), |key| section.list(key, address));
    let settle_for = settle_for.unwrap_or_default();
    for chain in chains {
        if let Some(paid) = chain.paid().filter(|paid| settle_for.contains(paid)) {
            let which = if chain.pay_to.is_some() { "pay_to" } else { "account" };
            let message =
                format!("expected accounts of others, got {paid}, which is {which} of {}", chain.id());
            let hint = "one payment could buy something here and something there; give each its own account";
            section.remark("settle_for", message, Some(hint.to_owned()));
        }
    }
    section.finish();
    FacilitatorConfig { settle_for }
}

fn read_chain(section: &Section<'_>, assets: &AssetTable) -> Option<ChainSection> {
    let id = chain_id(section, "id");
    let nodes = section.list("nodes", node);
    let pay_to = section.given_or("pay_to", None, |key| section.judged(key, str::parse::<Address>).map(Some));
    let coin = section.given_or("coin", "ETH".to_owned(), |key| section.line(key, 8));
    let coin = coin.and_then(|code| match Asset::new(&code, COIN_DECIMALS, COIN_UNIT) {
        Ok(coin) => Some(coin),
        Err(error) => section.wrong(section.at(), "coin", error),
    });
    let confirmations = section.given_or("confirmations", 1, |key| section.number(key, 1..=10_000));
    let poll = section.given_or("poll", Span::from_secs(1), |key| section.parsed(key, positive));
    let timeout = section.given_or("timeout", Span::from_secs(300), |key| section.parsed(key, positive));
    let patience = section.given_or("patience", Span::from_secs(30), |key| section.parsed(key, positive));
    let escrow_hold =
        section.given_or("escrow_hold", Span::from_secs(600), |key| section.parsed(key, positive));
    let gas = section.given_or("gas_price_most", 200, |key| section.number(key, 1..=1_000_000));
    let gas_most =
        section.given_or("gas_most", 1_000_000, |key| section.number(key, GAS_LEAST..=1_000_000_000));
    let low = section.given_or("purse_low", 0, |key| section.number(key, 0..=u32::MAX));
    let factories = section.given_or("wallet_factories", Vec::new(), |key| section.list(key, address));
    let most = section.given_or("sponsor_most", SPONSOR_MOST, |key| section.number(key, 1..=u32::MAX));
    let remote = read_remote(section);
    let channels = channels::read(section.section("channels", "[chain.channels]"), assets);
    let (id, nodes) = (id?, nodes?);
    let mut chain = ChainConfig::new(id, nodes, Address::ZERO, coin?, Vec::new());
    chain.confirmations = u64::from(confirmations?);
    chain.poll = Duration::from_millis(poll?.millis());
    chain.timeout_seconds = timeout?.millis().div_ceil(1_000);
    chain.patience = Duration::from_millis(patience?.millis());
    chain.escrow_hold = escrow_hold?;
    chain.fees.most = gwei(gas?);
    chain.fees.gas_most = u64::from(gas_most?);
    chain.purse_low = gwei(low?);
    chain.factories = factories?;
    chain.sponsor_most = gwei(most?);
    chain.remote = remote;
    Some(ChainSection { chain, pay_to: pay_to?, sales: Vec::new(), channels: (channels?, None) })
}

/// The account that sends, if another program has its key: that program and the account belong together.
fn read_remote(section: &Section<'_>) -> Option<RemoteAccount> {
    for (given, missing) in [("signer", "account"), ("account", "signer")] {
        if section.has(given) && !section.has(missing) {
            let message =
                format!("expected {missing:?} beside it: a signer signs for the account that is named");
            section.remark(given, message, None);
        }
    }
    let signer = section.has("signer").then(|| section.judged("signer", signer)).flatten();
    let account = section.has("account").then(|| section.judged("account", own_account)).flatten();
    Some(RemoteAccount { signer: signer?, account: account? })
}

fn own_account(text: &str) -> Result<Address, String> {
    match text.parse::<Address>() {
        Ok(account) if account.is_zero() => Err("expected an account, got the address of nobody".to_owned()),
        Ok(account) => Ok(account),
        Err(error) => Err(error.to_string()),
    }
}

/// Whoever is between us and the signer could answer in its place, and learn what is about to be sent.
fn signer(text: &str) -> Result<Uri, SignerError> {
    let uri: Option<Uri> = text.parse().ok();
    let safe = |uri: &Uri| match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => is_loopback(host),
        _ => false,
    };
    uri.filter(safe).ok_or(SignerError)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn gwei(number: u32) -> Amount {
    Amount::new(GWEI).checked_mul(u128::from(number)).unwrap_or(Amount::MAX)
}

fn read_token(
    section: &Section<'_>,
    assets: &AssetTable,
) -> Option<(ChainId, TokenConfig, Option<CreditSale>)> {
    let chain = chain_id(section, "chain");
    let token = section.judged("address", str::parse::<Address>);
    let symbol = section.line("symbol", 16);
    let name = section.line("name", 64);
    let version = section.line("version", 16);
    let decimals = section.given_or("decimals", 6, |key| section.number(key, 0..=36));
    let counts_as = section.line("counts_as", 16).and_then(|code| match assets.by_code(&code) {
        Some(asset) => Some(asset),
        None => section.wrong(section.at(), "counts_as", format!("there is no asset {code:?}")),
    });
    let methods = section.given_or("transfer", vec!["eip3009"], |key| section.list(key, method));
    let schemes = section.given_or("schemes", vec!["exact"], |key| section.list(key, scheme));
    let (methods, schemes) = (methods?, schemes?);
    let sponsored = section.given_or("sponsor_approvals", false, |key| section.boolean(key));
    if sponsored == Some(true) && !methods.contains(&"permit2") {
        let message = "expected \"permit2\" in transfer: only Permit2 needs approvals";
        section.remark("sponsor_approvals", message, None);
    }
    let token = TokenConfig {
        address: token?,
        symbol: symbol?,
        decimals: u8::try_from(decimals?).ok()?,
        name: name?,
        version: version?,
        asset: counts_as?,
        eip3009: methods.contains(&"eip3009"),
        permit2: methods.contains(&"permit2"),
        exact: schemes.contains(&"exact"),
        upto: schemes.contains(&"upto"),
        sponsored: sponsored?,
        escrow: schemes.contains(&"auth-capture"),
        channels: schemes.contains(&"batch-settlement"),
    };
    let chain = chain?;
    let sale = read_sale(section, assets, (chain, &token));
    Some((chain, token, sale))
}

/// On which terms credits are bought and sold for a token; not at all unless the operator says so.
fn read_sale(
    section: &Section<'_>,
    assets: &AssetTable,
    (chain, token): (ChainId, &TokenConfig),
) -> Option<CreditSale> {
    let asset = token.asset;
    let amount = |text: &str| match assets.parse_money(text) {
        Ok(money) if money.asset() == asset => Ok(money.amount()),
        Ok(money) => Err(format!("expected an amount of {asset}, got {money}")),
        Err(error) => Err(error.to_string()),
    };
    let least = section.judged("credits_least", amount);
    let withdrawal_fee =
        section.given_or("withdrawal_fee", Amount::ZERO, |key| section.judged(key, amount))?;
    let least = least?;
    if least.is_zero() {
        section.remark("credits_least", "expected more than nothing: each costs a transaction", None);
    }
    let sweep_least = section.given_or("sweep_least", least, |key| section.judged(key, amount))?;
    Some(CreditSale { chain, token: token.address, asset, least, withdrawal_fee, sweep_least })
}

fn chain_id(section: &Section<'_>, key: &str) -> Option<ChainId> {
    section.number(key, 1..=u32::MAX).map(|number| ChainId::new(u64::from(number)))
}

fn address(text: &str) -> Result<Address, AddressError> {
    text.parse()
}

fn node(text: &str) -> Result<Uri, NodeError> {
    let uri: Option<Uri> = text.parse().ok();
    let good = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    uri.filter(good).ok_or_else(|| NodeError(text.to_owned()))
}

fn method(text: &str) -> Result<&'static str, WordError> {
    word(text, "eip3009 or permit2", ["eip3009", "permit2"])
}

fn scheme(text: &str) -> Result<&'static str, WordError> {
    let known = ["exact", "upto", "auth-capture", "batch-settlement"];
    word(text, "exact, upto, auth-capture or batch-settlement", known)
}

fn word<const N: usize>(
    text: &str,
    expected: &'static str,
    known: [&'static str; N],
) -> Result<&'static str, WordError> {
    let found = known.into_iter().find(|word| *word == text);
    found.ok_or_else(|| WordError { expected, got: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const CHAIN: &str = "[[chain]]\nid = 84532\nnodes = [\"http://127.0.0.1:8545\"]\n";
    const TOKEN: &str = "[[token]]\nchain = 84532\naddress = \"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"\nsymbol = \"USDC\"\nname = \"USDC\"\nversion = \"2\"\ncounts_as = \"USD\"\n";

    const PAID: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

    fn read(text: &str) -> Result<Config, String> {
        let text = format!("[server]\nupstream = \"http://127.0.0.1:3000\"\n{text}");
        let lines = |mistakes: Vec<crate::config::Mistake>| {
            mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        Config::read(&text, Path::new("farthing.toml")).map_err(lines)
    }

    #[test]
    fn a_chain_with_a_token_is_little_to_write() {
        let config = read(&format!("{CHAIN}{TOKEN}[facilitator]\nsettle_for = []\n")).unwrap();
        let own = Address::from_bytes([7; 20]);
        let chain = config.chains[0].with_own_account(own);
        assert_eq!((chain.id.number(), chain.pay_to, chain.confirmations), (84_532, own, 1));
        assert_eq!(chain.fees.gas_most, 1_000_000);
        assert_eq!((chain.fees.most, chain.coin.scale()), (Amount::new(200 * GWEI), 18));
        assert_eq!(chain.sponsor_most, Amount::new(100_000 * GWEI));
        let token = &chain.tokens[0];
        assert!(!token.sponsored, "coin is given where the operator says so");
        assert_eq!((token.symbol.as_str(), token.decimals, token.asset.code().as_str()), ("USDC", 6, "USD"));
        assert!(token.eip3009 && !token.permit2 && token.exact && !token.upto && !token.escrow);
        assert!(config.chains[0].sales().is_empty(), "credits are sold where the operator says so");
        let sold = read(&format!("{CHAIN}{TOKEN}credits_least = \"1 USD\"\nwithdrawal_fee = \"0.05 USD\"\n"))
            .unwrap();
        let sale = sold.chains[0].sales()[0];
        assert_eq!((sale.least, sale.withdrawal_fee), (Amount::new(1_000_000), Amount::new(50_000)));
        assert_eq!(sale.sweep_least, sale.least, "unless the operator says otherwise");
        assert_eq!(config.facilitator, FacilitatorConfig::default());
    }

    #[test]
    fn the_most_gas_of_a_call_and_the_longest_wait_are_the_operators_word() {
        let config = read(&format!("{CHAIN}gas_most = 300_000\npatience = \"1500ms\"\n{TOKEN}")).unwrap();
        let chain = config.chains[0].with_own_account(Address::ZERO);
        assert_eq!((chain.fees.gas_most, chain.patience), (300_000, Duration::from_millis(1_500)));
        let usual = read(&format!("{CHAIN}{TOKEN}")).unwrap().chains[0].with_own_account(Address::ZERO);
        assert_eq!(usual.patience, Duration::from_secs(30));
    }

    /// Went wrong: approvals were sponsored until the last coin.
    #[test]
    fn approvals_are_sponsored_above_a_bound() {
        let token = format!("{TOKEN}transfer = [\"permit2\"]\nsponsor_approvals = true\n");
        let config = read(&format!("{CHAIN}purse_low = 1\n{token}")).unwrap();
        let chain = config.chains[0].with_own_account(Address::ZERO);
        assert!(chain.tokens[0].sponsored);
        assert_eq!(chain.purse_low, Amount::new(GWEI));
        let mistakes = read(&format!("{CHAIN}{token}")).unwrap_err();
        assert!(mistakes.contains("farthing.toml:14:"), "{mistakes}");
    }

    #[test]
    fn a_signer_and_its_account_take_the_place_of_our_own() {
        for signer in
            ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost:9000/key", "https://hsm.example"]
        {
            let text = format!("{CHAIN}signer = \"{signer}\"\naccount = \"{PAID}\"\n{TOKEN}");
            let chain = read(&text).unwrap().chains[0].with_own_account(Address::from_bytes([7; 20]));
            let remote = chain.remote.unwrap();
            assert_eq!((remote.account.to_string(), chain.pay_to), (PAID.to_owned(), remote.account));
        }
    }

    #[test]
    fn every_mistake_is_named_with_what_was_expected() {
        let chain = |line: &str| format!("{CHAIN}{line}\n{TOKEN}");
        let token = |line: &str| format!("{CHAIN}{TOKEN}{line}\n");
        for (text, expected) in [
            (chain("pay_to = \"0x12\""), "pay_to in [[chain]]"),
            (chain("pay_to = \"0x0000000000000000000000000000000000000000\""), "pays the address of nobody"),
            (chain("coin = \"e\""), "coin in [[chain]]"),
            (chain("confirmations = 0"), "a whole number from 1"),
            (format!("{CHAIN}{CHAIN}{TOKEN}"), "expected each chain once"),
            (TOKEN.to_owned(), "there is no chain eip155:84532"),
            (token("transfer = \"wire\""), "expected eip3009 or permit2, got \"wire\""),
            (
                token("schemes = [\"all\"]"),
                "expected exact, upto, auth-capture or batch-settlement, got \"all\"",
            ),
            (token("transfer = [\"permit2\"]\nschemes = [\"auth-capture\"]"), "is taken in no way"),
            (chain("escrow_hold = \"0s\""), "escrow_hold in [[chain]]"),
            (token("schemes = [\"upto\"]"), "is taken in no way"),
            (format!("{CHAIN}{TOKEN}{TOKEN}"), "has the token USDC twice"),
            (format!("{CHAIN}{}", TOKEN.replace("\"USD\"", "\"XYZ\"")), "there is no asset \"XYZ\""),
            (CHAIN.replace("http", "ftp"), "expected the address of a node"),
            ("[[chain]]\nid = 1\n".to_owned(), "expected the key \"nodes\""),
            (chain("gas_most = 20_999"), "gas_most in [[chain]]"),
            (chain("patience = \"0s\""), "patience in [[chain]]"),
            (chain("signer = \"http://127.0.0.1:9000\""), "expected \"account\" beside it"),
            (chain(&format!("account = \"{PAID}\"")), "expected \"signer\" beside it"),
            (
                chain(&format!("signer = \"http://10.0.0.5:9000\"\naccount = \"{PAID}\"")),
                "expected the address of a signer",
            ),
            (
                chain(&format!("signer = \"http://hsm\"\naccount = \"{PAID}\"")),
                "expected the address of a signer",
            ),
            (
                chain(&format!("signer = \"https://hsm\"\naccount = \"0x{}\"", "0".repeat(40))),
                "got the address of nobody",
            ),
            (
                format!(
                    "{}[facilitator]\nsettle_for = [\"{PAID}\"]\n",
                    chain(&format!("signer = \"https://hsm\"\naccount = \"{PAID}\""))
                ),
                "which is account of eip155:84532",
            ),
            ("[facilitator]\nsettle_for = [\"me\"]\n".to_owned(), "settle_for in [facilitator]"),
            (token("sponsor_approvals = true"), "expected \"permit2\" in transfer"),
            (
                token("transfer = [\"permit2\"]\nsponsor_approvals = true"),
                "set purse_low: nobody is given coin when less would be left",
            ),
            (chain("sponsor_most = 0"), "sponsor_most in [[chain]]"),
            (token("credits_least = \"0.00 USD\""), "expected more than nothing"),
            (token("credits_least = \"1 EUR\""), "credits_least in [[token]]"),
            (token("credits_least = \"1 USD\"\nwithdrawal_fee = \"x\""), "withdrawal_fee in [[token]]"),
            (token("credits_least = \"1 USD\"\nsweep_least = \"1 EUR\""), "sweep_least in [[token]]"),
            (
                format!(
                    "{}[facilitator]\nsettle_for = [\"{PAID}\"]\n",
                    chain(&format!("pay_to = \"{PAID}\""))
                ),
                "got 0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC, which is pay_to of eip155:84532",
            ),
        ] {
            let mistakes = read(&text).unwrap_err();
            assert!(mistakes.contains(expected), "expected {expected:?} in {mistakes}");
        }
    }
}
