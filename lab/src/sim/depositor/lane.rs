//! One channel as its payer knows it, and what he signs for it.

use farthing_channel::{
    Address, AuthorizedDeposit, ChainId, ChannelId, ChannelTerms, CollectedDeposit, Salt, SigningKey,
    Voucher, batch_domain,
};
use farthing_money::Amount;
use farthing_wire::x402::batch::{
    ChannelConfig, ChannelOfferText, ChannelStateText, Deposit, DepositAuthorization, DepositPayload,
    DepositReceive, PayerPayload, RefundPayload, VoucherFields, VoucherPayload,
};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{Requirements, SignatureText};

use crate::sim::authorize::times;
use crate::sim::chain::{self, domain};
use crate::sim::dice::Dice;

/// A payer with a key for his money and one for his vouchers.
pub struct Payer {
    /// Whose money it is.
    pub key: SigningKey,
    /// What signs vouchers.
    pub session: SigningKey,
}

/// Who signs the vouchers of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signs {
    /// A key for that alone.
    Session,
    /// The payer's own.
    Payer,
    /// Nobody is named, so that the payer may be a contract.
    Nobody,
}

/// A channel as its payer knows it.
pub struct Lane {
    /// Whose, as a place among the payers.
    pub payer: usize,
    /// Who signs.
    pub signs: Signs,
    /// What tells it apart.
    pub salt: Salt,
    /// What he believes was charged.
    pub charged: u128,
    /// What he believes is in it.
    pub balance: u128,
}

/// A deposit that is signed: as it goes to a seller, and as it goes to the escrow.
pub struct SignedDeposit {
    /// For the seller.
    pub told: Deposit,
    /// For the escrow.
    pub collected: CollectedDeposit,
}

/// The name of a channel.
pub fn id_of(terms: &ChannelTerms) -> ChannelId {
    terms.id(&batch_domain(ChainId::new(chain::ID)))
}

impl Lane {
    /// What the channel of an offer is made of.
    pub fn terms(&self, payer: &Payer, offer: &Requirements) -> Option<ChannelTerms> {
        let wanted = ChannelOfferText::of(&offer.extra)?;
        Some(ChannelTerms {
            payer: payer.key.address(),
            payer_authorizer: match self.signs {
                Signs::Session => payer.session.address(),
                Signs::Payer => payer.key.address(),
                Signs::Nobody => Address::ZERO,
            },
            receiver: Address::from_bytes(offer.pay_to_address()?.0),
            receiver_authorizer: Address::from_bytes(wanted.receiver_authorizer.0),
            token: Address::from_bytes(offer.asset_address()?.0),
            withdraw_delay: u32::try_from(wanted.withdraw_delay).ok()?,
            salt: self.salt,
        })
    }

    /// The key that signs its vouchers.
    pub fn signer<'a>(&self, payer: &'a Payer) -> &'a SigningKey {
        if self.signs == Signs::Session { &payer.session } else { &payer.key }
    }

    /// Believes what a seller says of it.
    pub fn adopt(&mut self, state: &ChannelStateText) {
        let number = |amount: Option<Amount>| amount.map(Amount::value);
        let charged = state.charged_cumulative_amount.as_ref().and_then(|charged| number(charged.amount()));
        self.charged = charged.unwrap_or(self.charged);
        self.balance = number(state.balance.amount()).unwrap_or(self.balance);
    }
}

/// The terms as they are sent.
fn config(terms: &ChannelTerms) -> ChannelConfig {
    ChannelConfig::from_parts(terms.parts())
}

/// A voucher of a channel.
pub fn voucher(key: &SigningKey, channel: ChannelId, ceiling: u128) -> Option<VoucherFields> {
    let cumulative = Amount::new(ceiling);
    let digest = Voucher { channel, cumulative }.batch_digest(&batch_domain(ChainId::new(chain::ID)));
    let signature = SignatureText::new(key.sign(&digest).to_bytes().to_vec())?;
    let channel_id = HexText(*channel.as_bytes());
    Some(VoucherFields { channel_id, max_claimable_amount: cumulative.into(), signature })
}

/// A payment.
pub fn payment(terms: &ChannelTerms, voucher: VoucherFields) -> PayerPayload {
    PayerPayload::Voucher(VoucherPayload { channel_config: config(terms), voucher })
}

/// A payment that fills the channel first.
pub fn payment_with(terms: &ChannelTerms, voucher: VoucherFields, deposit: Deposit) -> PayerPayload {
    PayerPayload::Deposit(DepositPayload { channel_config: config(terms), voucher, deposit })
}

/// The wish for so much back, or for everything.
pub fn refund(terms: &ChannelTerms, voucher: VoucherFields, amount: Option<u128>) -> PayerPayload {
    let amount = amount.map(|amount| Amount::new(amount).into());
    PayerPayload::Refund(RefundPayload { channel_config: config(terms), voucher, amount })
}

/// A deposit of so much, signed for the token.
pub fn deposit(
    key: &SigningKey,
    terms: &ChannelTerms,
    units: u128,
    at: u64,
    dice: &mut Dice,
) -> Option<SignedDeposit> {
    let (mut salt, (after, before)) = ([0; 32], times(at, dice));
    dice.fill(&mut salt);
    let wanted = AuthorizedDeposit {
        amount: Amount::new(units),
        valid_after: after.into(),
        valid_before: before.into(),
        salt: Salt::from_bytes(salt),
    };
    let said = wanted.authorization(terms.payer, id_of(terms));
    let signature = key.sign(&said.receive_digest(&domain(ChainId::new(chain::ID)))).to_bytes();
    let authorization = DepositAuthorization::Eip3009(DepositReceive {
        valid_after: after.into(),
        valid_before: before.into(),
        salt: HexText(salt),
        signature: SignatureText::new(signature.to_vec())?,
    });
    let told = Deposit { amount: wanted.amount.into(), authorization };
    Some(SignedDeposit { told, collected: wanted.collected(&signature) })
}
