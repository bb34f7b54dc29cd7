//! Where a merchant's money goes, by the configuration of today, and the transfer that takes it there.

use farthing_channel::Address;
use farthing_engine::{Call, ChainAddress, Chart, PayoutTo};
use farthing_evm::{ChainConfig, TokenConfig};
use farthing_ledger::AccountKind;
use farthing_money::{Amount, Span, Timestamp};

use super::{Payouts, pain};
use crate::config::{MerchantTerms, PayoutWay};
use crate::operator::OperatorError;

/// How long a transfer may wait for a cheaper block. It has no end of its own.
const TRANSFER_TIME: Span = Span::from_secs(24 * 3600);

impl Payouts {
    /// Where so much would go.
    pub(super) fn destination(
        &self,
        terms: &MerchantTerms,
        amount: Amount,
    ) -> Result<PayoutTo, OperatorError> {
        match &terms.way {
            PayoutWay::Evm { to, .. } => {
                let (chain, token) = self.place(terms)?;
                let units = token.units(amount).filter(|units| !units.is_zero()).ok_or_else(|| {
                    let money = terms.asset.money(amount);
                    OperatorError::Request(format!(
                        "{money} is no whole number of the units of {}",
                        token.symbol
                    ))
                })?;
                Ok(PayoutTo::Evm {
                    chain: chain.id.number(),
                    token: engine_address(token.address),
                    from: engine_address(self.account(chain)?),
                    to: engine_address(*to),
                    units,
                    reserve: chain.reserve(token).id(),
                })
            }
            PayoutWay::Credits if amount.to_u64().is_none() => {
                Err(OperatorError::Amount(terms.asset.money(amount)))
            }
            PayoutWay::Credits => Ok(PayoutTo::Credits),
            PayoutWay::Bank { holder, iban, bic, country } => {
                pain::decimal(terms.asset.money(amount)).map_err(OperatorError::Request)?;
                Ok(PayoutTo::Bank {
                    holder: holder.clone(),
                    iban: iban.clone(),
                    bic: bic.clone(),
                    country: country.clone(),
                    own: Chart::of(terms.asset).own(&self.config.bank, AccountKind::Asset).id(),
                })
            }
        }
    }

    /// The most of it that can be sent: what is too fine for the token, the bank or a code stays.
    pub(super) fn sendable(&self, terms: &MerchantTerms, amount: Amount) -> Result<Amount, OperatorError> {
        let (scale, most) = match &terms.way {
            PayoutWay::Evm { .. } => (self.place(terms)?.1.decimals, None),
            PayoutWay::Credits => (terms.asset.scale(), Some(Amount::from(u64::MAX))),
            PayoutWay::Bank { .. } => {
                (pain::decimals(terms.asset).unwrap_or_default(), Some(pain::most(terms.asset)))
            }
        };
        let amount = most.map_or(amount, |most| amount.min(most));
        let finer = terms.asset.scale().saturating_sub(scale);
        let step = 10_u128.checked_pow(finer.into()).ok_or(OperatorError::Overflow)?;
        let rest = amount.value().checked_rem(step).unwrap_or_default();
        Ok(Amount::new(amount.value().saturating_sub(rest)))
    }

    /// The transfer that makes a payout; nothing if it is not made on a chain.
    pub(super) fn call_of(to: &PayoutTo, now: Timestamp) -> Option<Call> {
        let PayoutTo::Evm { to: target, units, .. } = to else { return None };
        let (chain, moves) = to.movement()?;
        Some(Call {
            chain,
            to: moves.token,
            input: farthing_channel::call::transfer(Address::from_bytes(*target.as_bytes()), (*units).into()),
            moves,
            until: now.after(TRANSFER_TIME),
            approval: None,
        })
    }

    /// The chain and the token of a merchant.
    fn place(&self, terms: &MerchantTerms) -> Result<(&ChainConfig, &TokenConfig), OperatorError> {
        let PayoutWay::Evm { chain, token, .. } = &terms.way else {
            return Err(OperatorError::Request(format!("{} is not paid on a chain", terms.name)));
        };
        let known = self.chains.iter().find(|known| known.id == *chain);
        let place = known.and_then(|known| known.token(*token).map(|token| (known, token)));
        place.ok_or_else(|| OperatorError::Missing(format!("the chain {chain} has no token {token}")))
    }

    /// Our account on a chain, if what is paid to us lies there.
    fn account(&self, chain: &ChainConfig) -> Result<Address, OperatorError> {
        let own = chain.remote.as_ref().map(|remote| remote.account).or(self.own);
        let own = own
            .ok_or_else(|| OperatorError::Missing(format!("there is no account of ours on {}", chain.id)))?;
        if chain.pay_to == own {
            Ok(own)
        } else {
            Err(OperatorError::Request(format!(
                "payers on {} pay {}, and payouts would come from {own}; leave pay_to out of its [[chain]], or pay by hand and enter it",
                chain.id, chain.pay_to
            )))
        }
    }
}

fn engine_address(address: Address) -> ChainAddress {
    ChainAddress::from_bytes(*address.as_bytes())
}
