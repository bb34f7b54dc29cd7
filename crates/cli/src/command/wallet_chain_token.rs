//! `farthing wallet token`: the tokens on chains that may be spent, what they count as, and which nodes are asked.

use clap::{Args, Subcommand};
use farthing_wallet::{AccountAddress, ChainId, Token, Wallet};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum ChainToken {
    /// Name a token that may be spent, or the node of its chain
    Add(Box<Add>),
    /// Show every token that is known
    List,
    /// Forget a token, or never pay with one that everybody knows
    Remove(Remove),
}

#[derive(Debug, Args)]
#[command(
    disable_version_flag = true,
    after_long_help = "Limits and history count a token as an asset, minor unit for minor unit: 1 USDC that counts as USD is 1.00 USD. Name and version are those of the domain that the token's signatures are for (EIP-712); an offer that names others is not paid. Of a token that is known already only what is to change need be given. Paying needs no node; one is asked for `farthing wallet balance` and for what became of a payment whose answer was lost. Without one such a payment counts as spent."
)]
pub struct Add {
    /// The number of the chain, such as 8453
    #[arg(long, value_name = "NUMBER")]
    chain: u64,
    /// The token's contract
    #[arg(long, value_name = "0x..")]
    address: AccountAddress,
    /// What people call it
    #[arg(long, value_name = "TEXT")]
    symbol: Option<String>,
    /// Its decimals
    #[arg(long, value_name = "N")]
    decimals: Option<u8>,
    /// The name in its domain
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// The version in its domain
    #[arg(long, value_name = "TEXT")]
    version: Option<String>,
    /// The asset that it counts as
    #[arg(long, value_name = "CODE")]
    counts_as: Option<String>,
    /// Where a node of the chain answers JSON-RPC, or `none`
    #[arg(long, value_name = "URL")]
    rpc: Option<String>,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// The number of the chain
    #[arg(long, value_name = "NUMBER")]
    chain: u64,
    /// The token's contract
    #[arg(long, value_name = "0x..")]
    address: AccountAddress,
}

struct Tokens(Vec<(Token, bool)>);

impl ChainToken {
    pub fn run(&self, wallet: &mut Wallet, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.apply(wallet)?,
            Self::List => {}
            Self::Remove(remove) => remove.apply(wallet)?,
        }
        let with_node = |token: Token| {
            let has_node = wallet.node(token.chain).is_some();
            (token, has_node)
        };
        output.show(&Tokens(wallet.tokens().into_iter().map(with_node).collect()))
    }
}

impl Add {
    fn apply(&self, wallet: &mut Wallet) -> Result<(), Failure> {
        let chain = ChainId::new(self.chain);
        let known = wallet.token(chain, self.address);
        let missing = |what: &str| {
            Failure::new(Exit::Usage, format!("expected --{what} of a token that is not known yet, got none"))
                .hint(
                    "the token's contract tells its symbol, decimals, and the name and version of its domain",
                )
        };
        let text = |given: &Option<String>, known: Option<&String>, what: &str| {
            given.clone().or_else(|| known.cloned()).ok_or_else(|| missing(what))
        };
        let token = Token {
            chain,
            address: self.address,
            symbol: text(&self.symbol, known.as_ref().map(|token| &token.symbol), "symbol")?,
            decimals: self
                .decimals
                .or(known.as_ref().map(|token| token.decimals))
                .ok_or_else(|| missing("decimals"))?,
            name: text(&self.name, known.as_ref().map(|token| &token.name), "name")?,
            version: text(&self.version, known.as_ref().map(|token| &token.version), "version")?,
            counts_as: match (&self.counts_as, &known) {
                (Some(code), _) => Token::unit_of(code).map_err(farthing_wallet::WalletError::from)?,
                (None, Some(token)) => token.counts_as,
                (None, None) => return Err(missing("counts-as")),
            },
            is_blocked: false,
        };
        match self.rpc.as_deref() {
            None => {}
            Some("none") => wallet.set_node(chain, None)?,
            Some(url) => wallet.set_node(chain, Some(url))?,
        }
        Ok(wallet.add_token(token)?)
    }
}

impl Remove {
    fn apply(&self, wallet: &mut Wallet) -> Result<(), Failure> {
        if wallet.remove_token(ChainId::new(self.chain), self.address)? {
            return Ok(());
        }
        let message = format!("the token {} on eip155:{} is not known", self.address, self.chain);
        Err(Failure::new(Exit::NotFound, message).hint("`farthing wallet token list` shows all"))
    }
}

impl View for Tokens {
    fn json(&self) -> Value {
        let one = |(token, has_node): &(Token, bool)| {
            json!({
                "chain": token.chain,
                "token": token.address,
                "symbol": token.symbol,
                "decimals": token.decimals,
                "name": token.name,
                "version": token.version,
                "counts_as": token.counts_as,
                "blocked": token.is_blocked,
                "has_node": has_node,
            })
        };
        json!({ "tokens": self.0.iter().map(one).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        let row = |(token, has_node): &(Token, bool)| {
            let counts_as =
                if token.is_blocked { "never paid".to_owned() } else { token.counts_as.to_string() };
            let node = if *has_node { "yes" } else { "no" };
            [
                token.chain.to_string(),
                token.symbol.clone(),
                token.address.to_string(),
                counts_as,
                node.to_owned(),
            ]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table(["CHAIN", "TOKEN", "CONTRACT", "COUNTS AS", "NODE"], &rows)
    }
}
