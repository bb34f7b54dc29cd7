//! What is configured of a chain: where its nodes are, which tokens are taken, who is paid, and how long is waited.

use std::collections::BTreeSet;
use std::time::Duration;

use farthing_channel::{Address, ChainId, Domain, escrow, permit2};
use farthing_engine::{ChainAddress, Chart, GasAccounts};
use farthing_ledger::Account;
use farthing_money::{Amount, Asset, Money, Span, Timestamp};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{
    AddressText, EscrowTerms, Extra, Requirements, SCHEME_AUTH_CAPTURE, SCHEME_EXACT, SCHEME_UPTO,
    eip155_network,
};
use http::Uri;
use thiserror::Error;

use crate::channels::ChannelConfig;

/// A chain.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// Which.
    pub id: ChainId,
    /// Its nodes; the first that answers is asked.
    pub nodes: Vec<Uri>,
    /// What is taken.
    pub tokens: Vec<TokenConfig>,
    /// Who is paid for what the gate sells.
    pub pay_to: Address,
    /// How many blocks have to hold a transaction until it counts: 1 is the newest block alone.
    pub confirmations: u64,
    /// How often the chain is looked at while something is under way.
    pub poll: Duration,
    /// How long a payment may take, as offers say it.
    pub timeout_seconds: u64,
    /// How long a payer waits for the end of a settlement. Then it goes on by itself, and the same payment joins it.
    pub patience: Duration,
    /// What is paid for gas.
    pub fees: FeeConfig,
    /// The chain's own coin, in its smallest units.
    pub coin: Asset,
    /// Who may be called to create a payer's wallet (ERC-6492). A stranger says whom to call, so there is a list.
    pub factories: Vec<Address>,
    /// The contracts that payments go through.
    pub contracts: Contracts,
    /// How long a settled call is watched for a chain that takes it back, in blocks beyond the confirmations.
    pub watched_blocks: u64,
    /// How many calls are under way at once. Nodes keep a few dozen of one sender.
    pub at_once: usize,
    /// How long a payment may lie in escrow while its answer is made; then it goes back.
    pub escrow_hold: Span,
    /// Below this the purse raises an alarm.
    pub purse_low: Amount,
    /// The account that sends, if another program has its key.
    pub remote: Option<RemoteAccount>,
    /// The terms of channels, if they are taken.
    pub channels: Option<ChannelConfig>,
    /// The most coin that a payer is given for the gas of an approval.
    pub sponsor_most: Amount,
}

/// An account whose key another program has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAccount {
    /// Where that program is asked for signatures.
    pub signer: Uri,
    /// The account.
    pub account: Address,
}

/// What is paid for gas.
#[derive(Clone, Copy, Debug)]
pub struct FeeConfig {
    /// The most for a unit of gas, with the tip. When the chain asks for more, nothing is sent.
    pub most: Amount,
    /// The least tip.
    pub tip_least: Amount,
    /// The most gas that one call may use: what a stranger's token can make us pay.
    pub gas_most: u64,
    /// How long a transaction may wait until more is paid for it.
    pub patience: Span,
}

impl Default for FeeConfig {
    /// Up to 200 gwei, of which at least 1000 wei are a tip.
    fn default() -> Self {
        Self {
            most: Amount::new(200_000_000_000),
            tip_least: Amount::new(1_000),
            gas_most: 1_000_000,
            patience: Span::from_secs(30),
        }
    }
}

/// The contracts that payments go through; on most chains at the same addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contracts {
    /// Permit2.
    pub permit2: Address,
    /// The proxy of `exact`.
    pub exact: Address,
    /// The proxy of `upto`.
    pub upto: Address,
    /// The escrow of `auth-capture`.
    pub escrow: Address,
    /// What carries payers' authorizations into it.
    pub collector: Address,
    /// Multicall3, for payers whose wallet is not there yet.
    pub multicall: Address,
}

/// How long a capture may take when the answer is there: chains are slow at times, and payers pay late.
const CAPTURE_SECONDS: u64 = 3_600;
/// Multicall3: `0xcA11bde05977b3631167028862bE2a173976CA11`.
const MULTICALL: Address = Address::from_bytes([
    0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17, 0x39,
    0x76, 0xca, 0x11,
]);

impl Default for Contracts {
    fn default() -> Self {
        Self {
            permit2: permit2::PERMIT2,
            exact: permit2::EXACT_PROXY,
            upto: permit2::UPTO_PROXY,
            escrow: escrow::AUTH_CAPTURE_ESCROW,
            collector: escrow::ESCROW_COLLECTOR,
            multicall: MULTICALL,
        }
    }
}

/// A token.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the configuration")]
pub struct TokenConfig {
    /// Its contract.
    pub address: Address,
    /// What people call it. It is a part of the account's name.
    pub symbol: String,
    /// How many decimals its contract counts in.
    pub decimals: u8,
    /// The name in the domain that its payers sign for, not always its symbol.
    pub name: String,
    /// The version in that domain.
    pub version: String,
    /// What the ledger takes it for.
    pub asset: Asset,
    /// Whether it moves by EIP-3009.
    pub eip3009: bool,
    /// Whether it moves by Permit2.
    pub permit2: bool,
    /// Whether exact amounts are taken.
    pub exact: bool,
    /// Whether amounts up to a ceiling are taken; they move by Permit2 alone.
    pub upto: bool,
    /// Whether a payer's approval of Permit2 is sent, and its gas paid, before what needs it.
    pub sponsored: bool,
    /// Whether it goes through escrow where a rule says so; it moves by EIP-3009 alone.
    pub escrow: bool,
    /// Whether channels of it are taken.
    pub channels: bool,
}

/// A mistake in the configuration of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChainMistake {
    /// Nobody to ask.
    #[error("the chain {0} has no node; give the address of one, such as http://127.0.0.1:8545")]
    NoNode(ChainId),
    /// A token twice.
    #[error("the chain {0} has the token {1} twice; keep one")]
    TokenTwice(ChainId, String),
    /// A token that nobody can pay with.
    #[error(
        "the token {0} is taken in no way; allow exact with eip3009 or permit2, upto with permit2, or auth-capture with eip3009"
    )]
    NoWay(String),
    /// Decimals beyond what is counted in.
    #[error("the token {symbol} has {decimals} decimals, at most 36 can be counted; look at its contract")]
    Decimals {
        /// Which.
        symbol: String,
        /// How many.
        decimals: u8,
    },
    /// Money goes to nobody.
    #[error("the chain {0} pays the address of nobody; give your own as pay-to")]
    PaysNobody(ChainId),
    /// Nothing counts.
    #[error("the chain {0} waits for no confirmation; the least is 1")]
    NoConfirmation(ChainId),
}

impl ChainConfig {
    /// A chain with these tokens, all else as usual: one confirmation, a look every second.
    pub fn new(id: ChainId, nodes: Vec<Uri>, pay_to: Address, coin: Asset, tokens: Vec<TokenConfig>) -> Self {
        Self {
            id,
            nodes,
            tokens,
            pay_to,
            confirmations: 1,
            poll: Duration::from_secs(1),
            timeout_seconds: 300,
            patience: Duration::from_secs(30),
            fees: FeeConfig::default(),
            coin,
            factories: Vec::new(),
            contracts: Contracts::default(),
            watched_blocks: 64,
            at_once: 16,
            escrow_hold: Span::from_secs(600),
            purse_low: Amount::ZERO,
            remote: None,
            channels: None,
            sponsor_most: Amount::new(100_000_000_000_000),
        }
    }

    /// Its name by CAIP-2.
    pub fn network(&self) -> String {
        eip155_network(self.id.number())
    }

    /// All that is wrong with it.
    pub fn mistakes(&self) -> Vec<ChainMistake> {
        let mut mistakes = Vec::new();
        if self.nodes.is_empty() {
            mistakes.push(ChainMistake::NoNode(self.id));
        }
        if self.pay_to.is_zero() {
            mistakes.push(ChainMistake::PaysNobody(self.id));
        }
        if self.confirmations == 0 {
            mistakes.push(ChainMistake::NoConfirmation(self.id));
        }
        let (mut addresses, mut symbols) = (BTreeSet::new(), BTreeSet::new());
        for token in &self.tokens {
            if !addresses.insert(token.address) || !symbols.insert(&token.symbol) {
                mistakes.push(ChainMistake::TokenTwice(self.id, token.symbol.clone()));
            }
            if token.ways().is_empty() && !token.goes_through_escrow() && !token.channels {
                mistakes.push(ChainMistake::NoWay(token.symbol.clone()));
            }
            if token.decimals > 36 {
                let (symbol, decimals) = (token.symbol.clone(), token.decimals);
                mistakes.push(ChainMistake::Decimals { symbol, decimals });
            }
        }
        mistakes
    }

    /// The token with this contract, if approvals of it are sponsored.
    pub(crate) fn sponsors(&self, address: Address) -> bool {
        self.token(address).is_some_and(|token| token.sponsored && token.permit2)
    }

    /// The token with this contract.
    pub fn token(&self, address: Address) -> Option<&TokenConfig> {
        self.tokens.iter().find(|token| token.address == address)
    }

    /// What the operator has of a token, as an account of the ledger: `reserve:eip155:84532:USDC`.
    pub fn reserve(&self, token: &TokenConfig) -> Account {
        Chart::of(token.asset).reserve(&format!("{}:{}", self.id, token.symbol))
    }

    /// The accounts that must be open before anything is settled.
    pub fn accounts(&self) -> Vec<Account> {
        let (chart, name) = (Chart::of(self.coin), self.id.to_string());
        let mut accounts = vec![chart.purse(&name), chart.gas(&name)];
        accounts.extend(self.tokens.iter().map(|token| self.reserve(token)));
        if self.channels.is_some() {
            let of_token = |token: &TokenConfig| {
                Chart::of(token.asset).channels(&format!("{}:{}", self.id, token.symbol))
            };
            accounts.extend(self.tokens.iter().flat_map(of_token));
        }
        accounts
    }

    /// The accounts that pay for gas.
    pub fn gas_accounts(&self) -> GasAccounts {
        let (chart, name) = (Chart::of(self.coin), self.id.to_string());
        GasAccounts { asset: self.coin, purse: chart.purse(&name).id(), spent: chart.gas(&name).id() }
    }

    /// Whose typed data Permit2 looks at.
    pub fn permit2_domain(&self) -> Domain {
        Domain::new("Permit2", None, self.id, Some(self.contracts.permit2))
    }

    /// Every way to pay a price on this chain, the usual one first. A token in which the price would have to be rounded
    /// is left out. `facilitator` is the account that settles.
    pub fn offers(&self, price: Money, facilitator: Address) -> Vec<Requirements> {
        let of_token = |token: &TokenConfig| {
            let units = (token.asset == price.asset()).then(|| token.units(price.amount())).flatten();
            let ways = if units.is_some_and(|units| !units.is_zero()) { token.ways() } else { Vec::new() };
            let offer = |way| self.offer(token, way, units.unwrap_or_default(), facilitator);
            ways.into_iter().map(offer).collect::<Vec<_>>()
        };
        self.tokens.iter().flat_map(of_token).collect()
    }

    /// Every way to pay a price through escrow. Only `operator`, the account that settles, may move what lies there, and
    /// until a deadline that is counted from now.
    pub fn escrow_offers(&self, price: Money, operator: Address, now: Timestamp) -> Vec<Requirements> {
        let hold = self.escrow_hold.millis().div_ceil(1_000);
        let deadline = [self.timeout_seconds, hold, CAPTURE_SECONDS];
        let deadline = deadline.into_iter().fold(now.secs(), u64::saturating_add);
        let terms = EscrowTerms {
            escrow: to_text(self.contracts.escrow),
            authorizer: to_text(operator),
            capture_deadline: deadline,
            refund_deadline: deadline,
        };
        let offer = |token: &TokenConfig| {
            let units = token.units(price.amount()).filter(|units| !units.is_zero())?;
            (token.asset == price.asset() && token.goes_through_escrow()).then(|| Requirements {
                scheme: SCHEME_AUTH_CAPTURE.to_owned(),
                network: self.network(),
                amount: units.into(),
                asset: token.address.to_string(),
                pay_to: self.pay_to.to_string(),
                max_timeout_seconds: self.timeout_seconds,
                extra: Extra::auth_capture(&token.name, &token.version, &terms),
                other: serde_json::Map::new(),
            })
        };
        self.tokens.iter().filter_map(offer).collect()
    }

    fn offer(&self, token: &TokenConfig, way: Way, units: Amount, facilitator: Address) -> Requirements {
        let (name, version) = (&token.name, &token.version);
        let extra = match way {
            Way::ExactEip3009 => Extra::eip3009(name, version),
            Way::ExactPermit2 => Extra::permit2(name, version),
            Way::Upto => Extra::permit2(name, version).with("facilitatorAddress", facilitator.to_string()),
        };
        let scheme = if way == Way::Upto { SCHEME_UPTO } else { SCHEME_EXACT };
        Requirements {
            scheme: scheme.to_owned(),
            network: self.network(),
            amount: units.into(),
            asset: token.address.to_string(),
            pay_to: self.pay_to.to_string(),
            max_timeout_seconds: self.timeout_seconds,
            extra,
            other: serde_json::Map::new(),
        }
    }
}

/// How a token may be paid with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The whole amount, by EIP-3009.
    ExactEip3009,
    /// The whole amount, by Permit2.
    ExactPermit2,
    /// At most the amount, by Permit2.
    Upto,
}

impl TokenConfig {
    /// USDC and its like: six decimals, exact amounts by EIP-3009, and the two other ways by Permit2.
    pub fn dollar(address: Address, symbol: &str, name: &str, version: &str, asset: Asset) -> Self {
        Self {
            address,
            symbol: symbol.to_owned(),
            decimals: 6,
            name: name.to_owned(),
            version: version.to_owned(),
            asset,
            eip3009: true,
            permit2: true,
            exact: true,
            upto: true,
            sponsored: false,
            escrow: true,
            channels: true,
        }
    }

    /// Whether a payment with it may go through escrow.
    pub fn goes_through_escrow(&self) -> bool {
        self.escrow && self.eip3009
    }

    /// How it may be paid with, the usual way first.
    pub fn ways(&self) -> Vec<Way> {
        [
            (Way::ExactEip3009, self.exact && self.eip3009),
            (Way::ExactPermit2, self.exact && self.permit2),
            (Way::Upto, self.upto && self.permit2),
        ]
        .into_iter()
        .filter_map(|(way, allowed)| allowed.then_some(way))
        .collect()
    }

    /// What its payers sign for.
    pub fn domain(&self, chain: ChainId) -> Domain {
        Domain::new(&self.name, Some(&self.version), chain, Some(self.address))
    }

    /// An amount of the ledger in the token's units; nothing if it would have to be rounded.
    pub fn units(&self, amount: Amount) -> Option<Amount> {
        rescale(amount, self.asset.scale(), self.decimals)
    }

    /// Units of the token as an amount of the ledger; nothing if they would have to be rounded.
    pub fn amount(&self, units: Amount) -> Option<Amount> {
        rescale(units, self.decimals, self.asset.scale())
    }
}

impl TokenConfig {
    /// How many of these units count, and what they are worth: a token may have finer ones than the ledger.
    pub fn counted(&self, units: Amount) -> Option<(Amount, Amount)> {
        let finer = self.decimals.saturating_sub(self.asset.scale());
        let step = 10_u128.checked_pow(finer.into())?;
        let whole = units.value().checked_sub(units.value().checked_rem(step)?)?;
        Some((Amount::new(whole), self.amount(Amount::new(whole))?))
    }
}

fn rescale(amount: Amount, from: u8, to: u8) -> Option<Amount> {
    let step = |more: u8| 10_u128.checked_pow(more.into());
    if let Some(more) = to.checked_sub(from) {
        return amount.checked_mul(step(more)?);
    }
    let step = step(from.checked_sub(to)?)?;
    let exact = amount.value().checked_rem(step)? == 0;
    exact.then(|| amount.value().checked_div(step).map(Amount::new))?
}

/// An address in the words of the engine.
pub(crate) fn to_engine(address: Address) -> ChainAddress {
    ChainAddress::from_bytes(*address.as_bytes())
}

/// An address of the engine's.
pub(crate) fn of_engine(address: ChainAddress) -> Address {
    Address::from_bytes(*address.as_bytes())
}

/// An address as it goes out.
fn to_text(address: Address) -> AddressText {
    HexText(*address.as_bytes())
}

/// An address as it came.
pub(crate) fn of_text(address: AddressText) -> Address {
    Address::from_bytes(address.0)
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
