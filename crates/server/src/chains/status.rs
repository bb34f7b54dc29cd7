//! How the chains stand: what our account has to pay gas with, and whether the tokens on the chain are those of the books.

use farthing_engine::{PayoutRow, Purpose, Read};
use farthing_evm::{ChainConfig, Facilitator, Lying};
use farthing_ledger::{Account, AccountId, Totals};
use farthing_money::{Amount, Asset};
use serde::{Deserialize, Serialize};

use super::ChainRoom;
use super::outbox::{UnderWay, under_way};
use crate::operator::OperatorError;

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStatus {
    /// Its name by CAIP-2.
    pub network: String,
    /// Our own account on it, which sends transactions and pays their gas.
    pub account: String,
    /// Who is paid.
    pub pay_to: String,
    /// What our account has of the chain's coin, for people.
    pub coin: String,
    /// Whether that is less than the configuration wants.
    pub coin_low: bool,
    /// Whoever signs for the account, if that is another program.
    pub signer: Option<SignerStatus>,
    /// How many calls are under way.
    pub under_way: usize,
    /// Those calls.
    #[serde(default)]
    pub calls: Vec<UnderWay>,
    /// The tokens that are taken.
    pub tokens: Vec<TokenStatus>,
}

/// A program that has the key of our account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignerStatus {
    /// Its host and port.
    pub place: String,
    /// Why it would not sign now; nothing if it would.
    pub fault: Option<String>,
}

/// A token: what the chain says and what the books say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenStatus {
    /// What people call it.
    pub symbol: String,
    /// Its contract.
    pub address: String,
    /// The account of the books.
    pub account: String,
    /// What is there on the chain, in the token's units: what the account that is paid has, and what lies at addresses of mint
    /// quotes and was counted.
    pub units_on_chain: Amount,
    /// What of it lies at those addresses.
    pub units_at_quotes: Amount,
    /// What lies there besides and is not counted: too new, too little, or of another token than its quote asks for.
    pub units_uncounted: Amount,
    /// What the books say that it has, in the token's units.
    pub units_in_books: Amount,
    /// What of that is on its way to merchants: payouts that were sent and of which the chain has not said its word.
    #[serde(default)]
    pub units_to_merchants: Amount,
    /// The same for people, in the asset that it counts as: chain and books.
    pub shown: [String; 2],
    /// Whether both are the same.
    pub agrees: bool,
}

impl ChainRoom {
    /// Asks every chain how it stands.
    pub async fn status(&self) -> Result<Vec<ChainStatus>, OperatorError> {
        let mut all = Vec::new();
        for facilitator in self.facilitators.iter() {
            all.push(self.one(facilitator).await?);
        }
        Ok(all)
    }

    /// What lies at addresses of mint quotes, in the order of the chain's tokens.
    async fn lying(&self, chain: &ChainConfig) -> Result<Vec<Lying>, OperatorError> {
        let watcher = self.inlets.iter().find(|watcher| watcher.chain() == chain.id.number());
        let Some(watcher) = watcher else { return Ok(vec![Lying::default(); chain.tokens.len()]) };
        let silent = |error: farthing_evm::RoundFault| {
            OperatorError::Chain(format!("the chain {} cannot be asked: {error}", chain.id))
        };
        watcher.lying_there().await.map_err(silent)
    }

    async fn one(&self, facilitator: &Facilitator) -> Result<ChainStatus, OperatorError> {
        let ports = facilitator.submitter().ports();
        let chain: &ChainConfig = &ports.chain;
        let silent = |error: farthing_evm::NodeError| {
            OperatorError::Chain(format!("the chain {} cannot be asked: {error}", chain.id))
        };
        let signer = match ports.signer.place() {
            Some(place) => {
                let fault = ports.signer.look().await.err().map(|fault| fault.to_string());
                Some(SignerStatus { place: place.to_owned(), fault })
            }
            None => None,
        };
        let purse = facilitator.purse().await.map_err(silent)?;
        let reserves = facilitator.reserves().await.map_err(silent)?;
        let lying = self.lying(chain).await?;
        let books = ports.read.as_ref();
        let mut calls = under_way(books)?;
        calls.retain(|call| call.chain == chain.id.number());
        let accounts = books.accounts()?;
        let payouts = called_payouts(books)?;
        let token =
            |((token, lying), (account, own)): ((&farthing_evm::TokenConfig, Lying), (Account, Amount))| {
                let units = own.checked_add(lying.counted).ok_or(OperatorError::Overflow)?;
                let kept = accounts.iter().find(|kept| kept.id() == account.id());
                let in_books = kept.map_or(Amount::ZERO, |kept| debits_less_credits(&kept.totals));
                let to_merchants = kept.map_or(Amount::ZERO, |kept| on_way(&payouts, kept.id()));
                let units_to_merchants = token.units(to_merchants).ok_or(OperatorError::Overflow)?;
                let units_in_books = token.units(in_books).ok_or(OperatorError::Overflow)?;
                Ok(TokenStatus {
                    symbol: token.symbol.clone(),
                    address: token.address.to_string(),
                    account: account.name,
                    units_on_chain: units,
                    units_at_quotes: lying.counted,
                    units_uncounted: lying.uncounted,
                    units_in_books,
                    units_to_merchants,
                    shown: [
                        shown(token.amount(units), token.asset, units),
                        token.asset.money(in_books).to_string(),
                    ],
                    agrees: units == units_in_books,
                })
            };
        let tokens =
            chain.tokens.iter().zip(lying).zip(reserves).map(token).collect::<Result<_, OperatorError>>()?;
        Ok(ChainStatus {
            network: chain.network(),
            account: purse.account.to_string(),
            pay_to: chain.pay_to.to_string(),
            coin: purse.coin.to_string(),
            coin_low: purse.is_low(),
            signer,
            under_way: calls.len(),
            calls,
            tokens,
        })
    }
}

/// Payouts whose call has not ended.
fn called_payouts(books: &dyn Read) -> Result<Vec<PayoutRow>, OperatorError> {
    let mut called = Vec::new();
    for (_, call) in books.calls()? {
        let Purpose::Payout(payout) = call.purpose else { continue };
        called.extend(books.payout(payout)?);
    }
    Ok(called)
}

/// What of them comes out of an account.
fn on_way(payouts: &[PayoutRow], account: AccountId) -> Amount {
    let own = payouts.iter().filter(|row| row.terms.to.source(row.terms.asset) == account);
    Amount::try_sum(own.map(|row| row.terms.amount)).unwrap_or(Amount::MAX)
}

/// A token may have more decimals than the asset that it counts as.
fn shown(amount: Option<Amount>, asset: Asset, units: Amount) -> String {
    amount.map_or_else(|| format!("{units} units"), |amount| asset.money(amount).to_string())
}

fn debits_less_credits(totals: &Totals) -> Amount {
    totals.debits_posted.checked_sub(totals.credits_posted).unwrap_or_default()
}
