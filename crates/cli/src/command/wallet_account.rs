//! `farthing wallet address` and `deposit`: the account on chains, and how to fill it.

use clap::Args;
use farthing_wallet::{AccountAddress, ChainId, Token, Wallet};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Args)]
pub struct Address {}

/// The account on chains, to be shown.
pub struct Account {
    address: AccountAddress,
    tokens: Vec<Token>,
    /// What stands before the tokens.
    is_deposit: bool,
}

impl Address {
    #[expect(clippy::unused_self, reason = "it has no options yet, and is called as the others are")]
    pub fn run(&self, wallet: &Wallet, output: &Output) -> Result<(), Failure> {
        let tokens = spendable(wallet, None);
        output.show(&Account { address: wallet.account()?, tokens, is_deposit: false })
    }
}

impl Account {
    /// Shows how to fill it.
    pub fn to_fill(wallet: &Wallet, chain: Option<u64>, output: &Output) -> Result<(), Failure> {
        let tokens = spendable(wallet, chain.map(ChainId::new));
        if tokens.is_empty() {
            let message = "no token is known that could be sent there";
            return Err(Failure::new(Exit::NotFound, message)
                .hint("`farthing wallet token add` names one, `farthing wallet token list` shows all"));
        }
        output.show(&Self { address: wallet.account()?, tokens, is_deposit: true })
    }
}

fn spendable(wallet: &Wallet, chain: Option<ChainId>) -> Vec<Token> {
    let mut tokens = wallet.tokens();
    tokens.retain(|token| !token.is_blocked && chain.is_none_or(|chain| token.chain == chain));
    tokens
}

impl View for Account {
    fn json(&self) -> Value {
        let token =
            |token: &Token| json!({ "chain": token.chain, "token": token.address, "symbol": token.symbol });
        json!({
            "address": self.address,
            "tokens": self.tokens.iter().map(token).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let row = |token: &Token| [token.chain.to_string(), token.symbol.clone(), token.address.to_string()];
        let rows: Vec<_> = self.tokens.iter().map(row).collect();
        let tokens = table(["CHAIN", "TOKEN", "CONTRACT"], &rows);
        let address = self.address;
        if self.is_deposit {
            return format!(
                "send one of these tokens, on its own chain, to\n\n    {address}\n\n{tokens}\n\nanything else that is sent there, this wallet cannot spend; it needs no coin for gas"
            );
        }
        format!("{address}\n\n{tokens}")
    }
}
