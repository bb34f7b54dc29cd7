//! What the submitter has to pay gas with, and what the operator has of each token: to be compared with the books, and to
//! raise an alarm before nothing can be sent any more.

use std::sync::atomic::{AtomicBool, Ordering};

use farthing_channel::{Address, call};
use farthing_money::{Amount, Money};

use crate::abi;
use crate::chain::TokenConfig;
use crate::node::{NodeError, Trial};
use crate::submit::Ports;

/// How full the purse is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurseStatus {
    /// The account.
    pub account: Address,
    /// What it has of the chain's coin.
    pub coin: Money,
    /// Below this it is low.
    pub low_below: Amount,
}

impl PurseStatus {
    /// Whether it should be filled.
    pub fn is_low(&self) -> bool {
        self.coin.amount() < self.low_below
    }
}

/// The purse of one chain.
#[derive(Debug, Default)]
pub struct Purse {
    warned: AtomicBool,
}

impl Purse {
    /// Looks how full it is. When it becomes low, that is said once.
    pub async fn look(&self, ports: &Ports) -> Result<PurseStatus, NodeError> {
        let account = ports.signer.address();
        let coin = Money::new(ports.node.balance(account).await?, ports.chain.coin);
        let status = PurseStatus { account, coin, low_below: ports.chain.purse_low };
        let before = self.warned.swap(status.is_low(), Ordering::Relaxed);
        if status.is_low() && !before {
            tracing::warn!(%account, %coin, chain = %ports.chain.id, "the purse for gas is low; send coin to the account");
        }
        if !status.is_low() && before {
            tracing::info!(%account, %coin, chain = %ports.chain.id, "the purse for gas is filled again");
        }
        Ok(status)
    }
}

/// How many units of a token an account has.
pub async fn units_of(ports: &Ports, token: &TokenConfig, account: Address) -> Result<Amount, NodeError> {
    let trial = Trial { from: account, to: token.address, input: call::balance_of(account) };
    let answer = ports.node.call(trial).await?;
    let units = abi::only_word(&answer).and_then(farthing_channel::Word::to_amount);
    units.ok_or_else(|| NodeError::Lying {
        node: ports.chain.id.to_string(),
        expected: format!("the balance of {account} from the token {}", token.symbol),
        got: "something else".to_owned(),
    })
}
