//! What a buyer decides about a channel of x402's `batch-settlement`: what to sign for a price, what to deposit, and which of a
//! seller's words to believe. Pure, as the rules of [`seller`](crate::seller) are.
//!
//! Whatever a seller says, it can take at the most what was signed: so [`BuyerBooks::signed`] is what a budget counts, and it
//! is written down before a voucher leaves. The rules are those of the reference's client (npm `@x402/evm` 2.27.0), which
//! `tests/vectors/buyer.rs` compares; where a seller lies about a total the reference forgets the deposit that came along, and
//! deposits again. Here that is a refusal, after which the chain is asked.

use farthing_money::Amount;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::seller::Proven;

/// So many times the price is deposited, unless an offer or the payer says otherwise.
const DEPOSIT_OF_PRICES: u128 = 5;

/// What a buyer has written down about one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuyerBooks {
    charged: Amount,
    signed: Amount,
    balance: Amount,
    claimed: Amount,
}

/// How much a buyer deposits at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepositPolicy {
    /// What the offer asks for at least: its `minDeposit`. Below the price it says nothing.
    pub announced: Option<Amount>,
    /// The most that is deposited, whatever is asked for.
    pub most: Option<Amount>,
}

/// What is signed for a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signing {
    /// The voucher's total.
    pub ceiling: Amount,
    /// What has to be deposited with it, if the channel does not cover it.
    pub deposit: Option<Amount>,
}

/// Why nothing is signed, or an answer is not believed. The books stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum BuyerRefused {
    /// More than an amount can be.
    #[error("the total of the channel would be larger than 2^128 - 1; open another channel")]
    TotalTooLarge,
    /// More than is deposited at once.
    #[error("the price needs a larger deposit than is allowed at once; allow more, or pay in another way")]
    DepositTooLarge,
    /// The seller takes more than its price.
    #[error("the seller has charged more than its price; stop paying it and ask the chain what it claims")]
    Overcharged,
    /// The seller counts otherwise.
    #[error("the seller's total is not ours; ask the chain where the channel stands before paying again")]
    TotalDiffers,
    /// What the seller shows does not hold together.
    #[error(
        "the seller shows a total that its voucher or the chain contradicts; ask the chain before paying again"
    )]
    Contradicted,
    /// There is nothing to get back.
    #[error("nothing is left in the channel to get back")]
    NothingLeft,
}

impl BuyerRefused {
    /// The stable code of this refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::TotalTooLarge => "channel-total-large",
            Self::DepositTooLarge => "channel-deposit-large",
            Self::Overcharged => "channel-overcharged",
            Self::TotalDiffers => "channel-total-differs",
            Self::Contradicted => "channel-contradicted",
            Self::NothingLeft => "channel-nothing-left",
        }
    }
}

impl BuyerBooks {
    /// Of a channel that only the chain knows: what was claimed was charged, and nothing else is known to be signed.
    pub fn of_chain(balance: Amount, claimed: Amount) -> Self {
        Self { charged: claimed, signed: claimed, balance, claimed }
    }

    /// What the seller has charged so far, as far as we believe it.
    pub const fn charged(&self) -> Amount {
        self.charged
    }

    /// The largest total that was ever signed: what the seller can take at the most.
    pub const fn signed(&self) -> Amount {
        self.signed
    }

    /// What is in the channel, claimed or not.
    pub const fn balance(&self) -> Amount {
        self.balance
    }

    /// What the seller has claimed, as far as it was seen.
    pub const fn claimed(&self) -> Amount {
        self.claimed
    }

    /// What the seller can still take, if it takes all that was signed.
    pub fn at_risk(&self) -> Amount {
        self.signed.min(self.balance).checked_sub(self.claimed).unwrap_or(Amount::ZERO)
    }

    /// What to sign for a price, and what to deposit with it.
    pub fn sign(&self, price: Amount, policy: &DepositPolicy) -> Result<Signing, BuyerRefused> {
        let ceiling = self.charged.checked_add(price).ok_or(BuyerRefused::TotalTooLarge)?;
        let missing = ceiling.checked_sub(self.balance).unwrap_or(Amount::ZERO);
        if missing.is_zero() && !self.balance.is_zero() {
            return Ok(Signing { ceiling, deposit: None });
        }
        let announced = policy.announced.filter(|least| !least.is_zero() && *least >= price);
        let usual = || price.checked_mul(DEPOSIT_OF_PRICES).unwrap_or(Amount::MAX);
        let wanted = announced.unwrap_or_else(usual).max(missing);
        let most = policy.most.unwrap_or(Amount::MAX);
        if missing > most {
            return Err(BuyerRefused::DepositTooLarge);
        }
        // The escrow holds no balance that is larger than an amount can be.
        let room = Amount::MAX.checked_sub(self.balance).unwrap_or(Amount::ZERO);
        let deposit = wanted.min(most).min(room);
        Ok(Signing { ceiling, deposit: (!deposit.is_zero()).then_some(deposit) })
    }

    /// After signing, and before anything leaves.
    #[must_use]
    pub fn having_signed(&self, signing: &Signing) -> Self {
        Self { signed: self.signed.max(signing.ceiling), ..*self }
    }

    /// After an answer: what it has cost, at most the price, and the total that the seller says. A deposit that came along is
    /// in the channel now.
    pub fn settled(
        &self,
        price: Amount,
        cost: Amount,
        told: Option<Amount>,
        deposit: Option<Amount>,
    ) -> Result<Self, BuyerRefused> {
        self.settled_after(self.charged, price, cost, told, deposit)
    }

    /// The same of a voucher that was signed when `base` was charged. Its cost may have been seen on the chain since: it counts
    /// once.
    pub fn settled_after(
        &self,
        base: Amount,
        price: Amount,
        cost: Amount,
        told: Option<Amount>,
        deposit: Option<Amount>,
    ) -> Result<Self, BuyerRefused> {
        if cost > price {
            return Err(BuyerRefused::Overcharged);
        }
        let total = base.checked_add(cost).ok_or(BuyerRefused::TotalTooLarge)?;
        if told.is_some_and(|told| told != total) {
            return Err(BuyerRefused::TotalDiffers);
        }
        let balance = self.balance.checked_add(deposit.unwrap_or(Amount::ZERO));
        let balance = balance.ok_or(BuyerRefused::TotalTooLarge)?;
        Ok(Self { charged: self.charged.max(total), balance, ..*self })
    }

    /// After an offer that corrects us: the total that the seller says, and the voucher that it shows for it, which has to be
    /// our own; beside it what the chain says. The chain has the last word on what is in the channel.
    pub fn corrected(
        &self,
        told: Amount,
        shown: &Proven,
        (balance, claimed): (Amount, Amount),
    ) -> Result<Self, BuyerRefused> {
        if told > shown.ceiling() || told < claimed {
            return Err(BuyerRefused::Contradicted);
        }
        Ok(Self { charged: told, signed: self.signed.max(shown.ceiling()), balance, claimed })
    }

    /// With what the chain says now. Without a better word what was claimed is what was charged at least; what was signed
    /// stays signed.
    #[must_use]
    pub fn observed(&self, balance: Amount, claimed: Amount) -> Self {
        let (charged, signed) = (self.charged.max(claimed), self.signed.max(claimed));
        Self { charged, signed, balance, claimed }
    }

    /// A seller that has forgotten the channel, or shows no voucher: both begin again at what was claimed. What was signed
    /// stays signed.
    #[must_use]
    pub fn restarted(&self, balance: Amount, claimed: Amount) -> Self {
        Self { charged: claimed, signed: self.signed.max(claimed), balance, claimed }
    }

    /// The total of a voucher that asks for a refund: exactly what was charged.
    pub fn refund_total(&self) -> Result<Amount, BuyerRefused> {
        if self.balance <= self.charged { Err(BuyerRefused::NothingLeft) } else { Ok(self.charged) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chain_id::ChainId;
    use crate::key::SigningKey;
    use crate::seller::Presented;
    use crate::terms::{ChannelTerms, Salt, batch_domain};
    use crate::voucher::Voucher;
    use crate::{Address, Word};

    fn amount(units: u128) -> Amount {
        Amount::new(units)
    }

    fn own(ceiling: u128) -> Proven {
        let (key, batch) = (SigningKey::from_bytes([7; 32]).unwrap(), batch_domain(ChainId::new(1)));
        let terms = ChannelTerms {
            payer: key.address(),
            payer_authorizer: key.address(),
            receiver: Address::ZERO,
            receiver_authorizer: Address::ZERO,
            token: Address::ZERO,
            withdraw_delay: 900,
            salt: Salt::from_bytes(*Word::ZERO.as_bytes()),
        };
        let channel = terms.id(&batch);
        let signature =
            key.sign(&Voucher { channel, cumulative: amount(ceiling) }.batch_digest(&batch)).to_bytes();
        Presented { terms, channel, ceiling: amount(ceiling), signature: &signature }
            .prove(&batch, None)
            .unwrap()
    }

    #[test]
    fn a_corrective_is_believed_as_far_as_our_own_voucher_and_the_chain_go() {
        let books = BuyerBooks::default();
        let chain = (amount(10_000), amount(1_000));
        let adopted = books.corrected(amount(1_137), &own(2_000), chain).unwrap();
        assert_eq!((adopted.charged(), adopted.signed()), (amount(1_137), amount(2_000)));
        assert_eq!((adopted.balance(), adopted.at_risk()), (amount(10_000), amount(1_000)));
        assert_eq!(books.corrected(amount(2_001), &own(2_000), chain), Err(BuyerRefused::Contradicted));
        assert_eq!(books.corrected(amount(999), &own(2_000), chain), Err(BuyerRefused::Contradicted));
        // Who has signed more before still has.
        let more = BuyerBooks::of_chain(chain.0, chain.1)
            .having_signed(&Signing { ceiling: amount(9_000), deposit: None });
        assert_eq!(more.corrected(amount(1_137), &own(2_000), chain).unwrap().signed(), amount(9_000));
        assert_eq!(more.restarted(chain.0, chain.1).signed(), amount(9_000));
    }

    #[test]
    fn totals_do_not_wrap() {
        let full = BuyerBooks::of_chain(Amount::MAX, Amount::MAX);
        let policy = DepositPolicy::default();
        assert_eq!(full.sign(amount(1), &policy), Err(BuyerRefused::TotalTooLarge));
        assert_eq!(full.settled(amount(1), amount(1), None, None), Err(BuyerRefused::TotalTooLarge));
        let almost = BuyerBooks::of_chain(amount(u128::MAX - 1), amount(u128::MAX - 1));
        let signing = almost.sign(amount(1), &policy).unwrap();
        assert_eq!((signing.ceiling, signing.deposit), (Amount::MAX, Some(amount(1))), "no more fits");
        assert_eq!(
            full.settled(amount(1), amount(0), None, Some(amount(1))),
            Err(BuyerRefused::TotalTooLarge)
        );
    }

    #[test]
    fn a_cost_that_the_chain_has_shown_counts_once() {
        let seen = BuyerBooks::of_chain(amount(10_000), amount(2_000));
        let settled = |told| seen.settled_after(amount(1_000), amount(1_000), amount(1_000), told, None);
        assert_eq!(settled(None), Ok(seen));
        assert_eq!(settled(Some(amount(2_000))), Ok(seen));
        assert_eq!(settled(Some(amount(3_000))), Err(BuyerRefused::TotalDiffers));
    }

    #[test]
    fn nothing_is_no_deposit() {
        let signing = BuyerBooks::default().sign(Amount::ZERO, &DepositPolicy::default()).unwrap();
        assert_eq!(
            (signing.ceiling, signing.deposit),
            (Amount::ZERO, None),
            "the escrow takes none of nothing"
        );
    }

    #[test]
    fn a_refund_is_asked_with_what_was_charged() {
        let books = BuyerBooks::of_chain(amount(10_000), amount(4_000));
        assert_eq!(books.refund_total(), Ok(amount(4_000)));
        assert_eq!(
            books.observed(amount(4_000), amount(4_000)).refund_total(),
            Err(BuyerRefused::NothingLeft)
        );
        assert_eq!(books.observed(amount(9_000), amount(5_000)).charged(), amount(5_000));
    }

    proptest! {
        /// Whatever a seller says: a voucher is at most what we believe was charged and the price, what is at risk is at most
        /// what was signed, and no deposit is larger than allowed.
        #[test]
        fn a_lying_seller_gets_what_was_signed(
            steps in prop::collection::vec((0u128..5_000, 0u128..6_000, prop::option::of(0u128..50_000), any::<bool>()), 1..30),
            most in 1u128..20_000,
        ) {
            let mut books = BuyerBooks::default();
            let policy = DepositPolicy { announced: None, most: Some(amount(most)) };
            let mut largest = Amount::ZERO;
            for (price, cost, told, is_answered) in steps {
                let Ok(signing) = books.sign(amount(price), &policy) else { continue };
                prop_assert_eq!(Some(signing.ceiling), books.charged().checked_add(amount(price)));
                prop_assert!(signing.deposit.is_none_or(|deposit| deposit <= amount(most)));
                let funds = books.balance().checked_add(signing.deposit.unwrap_or(Amount::ZERO)).unwrap();
                prop_assert!(signing.ceiling <= funds, "what is signed is covered");
                books = books.having_signed(&signing);
                largest = largest.max(signing.ceiling);
                if is_answered && let Ok(after) = books.settled(amount(price), amount(cost), told.map(amount), signing.deposit) {
                    books = after;
                }
                prop_assert_eq!(books.signed(), largest);
                prop_assert!(books.charged() <= books.signed() && books.at_risk() <= books.signed());
            }
        }
    }
}
