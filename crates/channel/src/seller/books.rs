//! What a seller has written down about one channel, and what may become of it: a hold for a voucher, a charge, a release,
//! a claim, a refund. Every step gives the books after it and changes nothing itself.

use farthing_money::Amount;
use serde::{Deserialize, Serialize};

use super::{ChannelOffer, Proven, Refused};
use crate::claim_row::ClaimRow;
use crate::terms::ChannelTerms;
use crate::word::Word;

/// What the chain has said of a channel, as deep as the seller wants it confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelOnChain {
    /// What came in less what went back; what was claimed is still in it.
    pub balance: Amount,
    /// What the receiver has claimed.
    pub claimed: Amount,
    /// The second since which the payer wants money back.
    pub withdraw_since: Option<u64>,
    /// The number of the next refund.
    pub refund_nonce: Word,
}

/// The voucher that a claim would show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptVoucher {
    /// What it allows in all.
    pub ceiling: Amount,
    /// Its signature.
    pub signature: Vec<u8>,
}

impl std::fmt::Debug for KeptVoucher {
    /// Without the signature.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptVoucher").field("ceiling", &self.ceiling).finish_non_exhaustive()
    }
}

/// What a payer wants for a voucher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To be served, for at most the price.
    Payment {
        /// The most that is charged.
        price: Amount,
    },
    /// The same, with a deposit that comes along.
    Deposit {
        /// The most that is charged.
        price: Amount,
        /// What is deposited.
        amount: Amount,
    },
    /// Money back.
    Refund,
}

/// The books of one channel. What was claimed was charged; what was charged is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelBooks {
    charged: Amount,
    kept: Option<KeptVoucher>,
    held: Option<KeptVoucher>,
    chain: ChannelOnChain,
}

/// What a payer is told whose total is not ours. Only for whoever has signed for the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrective {
    /// What was charged so far.
    pub charged: Amount,
    /// What the chain said.
    pub chain: ChannelOnChain,
    /// The payer's own voucher that covers the charge, for it to recognise; without one the payer asks the chain.
    pub voucher: Option<KeptVoucher>,
}

/// A refund as it goes to the escrow: the claim first, if there is one, then the money back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundPlan {
    /// How much goes back.
    pub amount: Amount,
    /// The number of the refund.
    pub nonce: Word,
    /// What has to be claimed before, so that what is left is the payer's.
    pub claim: Option<ClaimRow>,
}

impl ChannelBooks {
    /// Of a channel that nobody has written down yet: the voucher's own word for what was charged before, as the reference
    /// does it, but at least what was claimed.
    pub fn unknown(chain: ChannelOnChain, voucher: &Proven, asked: Asked) -> Self {
        let before = match asked {
            Asked::Payment { price } | Asked::Deposit { price, .. } => {
                voucher.ceiling().checked_sub(price).unwrap_or(Amount::ZERO)
            }
            Asked::Refund => voucher.ceiling(),
        };
        Self { charged: before, ..Self::default() }.observed(chain)
    }

    /// Of a channel that nobody has written down, whose payer has signed that so much was charged before.
    pub fn begun(charged: Amount) -> Self {
        Self { charged, ..Self::default() }
    }

    /// What was charged so far.
    pub const fn charged(&self) -> Amount {
        self.charged
    }

    /// What the chain said last.
    pub const fn chain(&self) -> &ChannelOnChain {
        &self.chain
    }

    /// Whether a request is under way.
    pub const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// What the payer may owe at the most when what is under way has been charged: signed, and not claimed.
    pub fn exposure(&self) -> Amount {
        let most = self.held.as_ref().map_or(self.charged, |held| held.ceiling.max(self.charged));
        most.checked_sub(self.chain.claimed).unwrap_or(Amount::ZERO)
    }

    /// What was charged and is not covered any more, because a withdrawal was faster: lost, unless the payer deposits again.
    pub fn uncovered(&self) -> Amount {
        self.charged.checked_sub(self.chain.balance).unwrap_or(Amount::ZERO)
    }

    /// What is the payer's: neither claimed nor owed.
    pub fn left(&self) -> Amount {
        self.chain.balance.checked_sub(self.charged).unwrap_or(Amount::ZERO)
    }

    /// Takes a voucher and holds the channel for it. `owed_elsewhere` is the exposure of the payer's other channels.
    pub fn accept(
        &self,
        voucher: &Proven,
        asked: Asked,
        offer: &ChannelOffer,
        owed_elsewhere: Amount,
    ) -> Result<Self, Refused> {
        let (price, deposit) = match asked {
            Asked::Payment { price } => (price, Amount::ZERO),
            Asked::Deposit { price, amount } => (price, amount),
            Asked::Refund => (Amount::ZERO, Amount::ZERO),
        };
        let is_deposit = matches!(asked, Asked::Deposit { .. });
        if is_deposit && offer.deposit_least.is_some_and(|least| deposit < least) {
            return Err(Refused::DepositBelowMinimum);
        }
        if self.charged.checked_add(price) != Some(voucher.ceiling()) {
            return Err(Refused::CumulativeAmountMismatch);
        }
        offer.check(voucher.terms())?;
        if voucher.signer().is_none() && !offer.takes_contracts {
            return Err(Refused::PayerAuthorizerRequired);
        }
        self.is_covered(voucher.ceiling(), asked, deposit)?;
        if asked != Asked::Refund && self.chain.withdraw_since.is_some() {
            return Err(Refused::WithdrawalPending);
        }
        let held = KeptVoucher { ceiling: voucher.ceiling(), signature: voucher.signature().to_vec() };
        let after = Self { held: Some(held), ..self.clone() };
        let owed = after.exposure().checked_add(owed_elsewhere);
        let is_within = |most| owed.is_some_and(|owed| owed <= most);
        if asked != Asked::Refund && !offer.exposure_most.is_none_or(is_within) {
            return Err(Refused::ExposureExceeded);
        }
        if self.is_held() { Err(Refused::ChannelBusy) } else { Ok(after) }
    }

    fn is_covered(&self, ceiling: Amount, asked: Asked, deposit: Amount) -> Result<(), Refused> {
        let ChannelOnChain { balance, claimed, .. } = self.chain;
        if balance.is_zero() && !matches!(asked, Asked::Deposit { .. }) {
            return Err(Refused::ChannelNotFound);
        }
        // The escrow takes no deposit that makes a balance larger than an amount can be.
        if balance.checked_add(deposit).is_none_or(|funds| ceiling > funds) {
            return Err(Refused::CumulativeExceedsBalance);
        }
        let is_above = if asked == Asked::Refund { ceiling >= claimed } else { ceiling > claimed };
        if is_above { Ok(()) } else { Err(Refused::CumulativeBelowClaimed) }
    }

    /// Charges what was really used, at most the price, and keeps the voucher for the claim. Of what was free nothing is claimed,
    /// so that the voucher before it is kept: once claimed, a voucher is public, and this one still pays for the next request.
    pub fn posted(&self, actual: Amount) -> Result<Self, Refused> {
        let held = self.held.clone().ok_or(Refused::ChannelBusy)?;
        let charged = self.charged.checked_add(actual).filter(|charged| *charged <= held.ceiling);
        let charged = charged.ok_or(Refused::ChargeExceedsSigned)?;
        let covers = |kept: &KeptVoucher| kept.ceiling >= charged;
        let before = self.kept.clone().filter(|kept| actual.is_zero() && covers(kept));
        let is_owed = charged > self.chain.claimed;
        let kept = before.or((!actual.is_zero() || is_owed).then_some(held));
        Ok(Self { charged, kept, held: None, chain: self.chain })
    }

    /// Gives the channel free again and charges nothing; the voucher is forgotten.
    #[must_use]
    pub fn released(&self) -> Self {
        Self { held: None, ..self.clone() }
    }

    /// With what the chain says now. What was claimed was charged, whatever stands here.
    #[must_use]
    pub fn observed(&self, chain: ChannelOnChain) -> Self {
        Self { charged: self.charged.max(chain.claimed), chain, ..self.clone() }
    }

    /// What a payer is told after [`Refused::CumulativeAmountMismatch`].
    pub fn corrective(&self) -> Corrective {
        let voucher = self.kept.clone().filter(|kept| kept.ceiling >= self.charged);
        Corrective { charged: self.charged, chain: self.chain, voucher }
    }

    /// What can be claimed now: what was charged, as far as the balance still covers it; `None` if that is nothing new.
    pub fn claim(&self, terms: &ChannelTerms) -> Option<ClaimRow> {
        self.claim_with(self.kept.as_ref()?, terms)
    }

    fn claim_with(&self, voucher: &KeptVoucher, terms: &ChannelTerms) -> Option<ClaimRow> {
        let total_claimed = self.charged.min(self.chain.balance).min(voucher.ceiling);
        let signature = voucher.signature.clone();
        let row = ClaimRow { terms: *terms, ceiling: voucher.ceiling, signature, total_claimed };
        (total_claimed > self.chain.claimed).then_some(row)
    }

    /// What a refund does, of so much or of everything. The voucher of the hold is for exactly what was charged.
    pub fn refund(&self, terms: &ChannelTerms, asked: Option<Amount>) -> Result<RefundPlan, Refused> {
        let left = Some(self.left()).filter(|left| !left.is_zero()).ok_or(Refused::RefundNoBalance)?;
        if asked.is_some_and(Amount::is_zero) {
            return Err(Refused::RefundAmountInvalid);
        }
        let amount = asked.map_or(left, |asked| asked.min(left));
        let claim =
            self.held.as_ref().or(self.kept.as_ref()).and_then(|voucher| self.claim_with(voucher, terms));
        Ok(RefundPlan { amount, nonce: self.chain.refund_nonce, claim })
    }

    /// The same for a payer who asks for it: a part has to be worth its transaction.
    pub fn refund_to_payer(
        &self,
        terms: &ChannelTerms,
        asked: Option<Amount>,
        offer: &ChannelOffer,
    ) -> Result<RefundPlan, Refused> {
        let plan = self.refund(terms, asked)?;
        let least = offer.deposit_least.unwrap_or_default();
        let is_all = plan.amount == self.left();
        if is_all || plan.amount >= least { Ok(plan) } else { Err(Refused::RefundBelowLeast { least }) }
    }
}
