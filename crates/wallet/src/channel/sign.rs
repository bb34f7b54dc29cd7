//! What is signed for a channel, as the field of a request: vouchers by the session key, deposits by the account's.

use farthing_channel::permit2::{self, DepositWitness};
use farthing_channel::{
    AUTHORIZATION_COLLECTOR, AuthorizedDeposit, PERMIT2_COLLECTOR, Permit2Transfer, PermittedDeposit,
    Signature, SigningKey, Voucher, Word, batch_domain, keccak256,
};
use farthing_money::Amount;
use farthing_wire::x402::batch::{
    ChannelConfig, Deposit, DepositAuthorization, DepositPayload, DepositPermit2, DepositReceive,
    DepositWitness as WitnessText, PayerPayload, RefundPayload, VoucherFields, VoucherPayload,
};
use farthing_wire::x402::extension::payment_identifier;
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{Payload, SignatureText, TokenPermissions};

use super::{Channel, SignedDeposit};
use crate::chain::Method;
use crate::chain::account;
use crate::chain::offer::Answer;
use crate::error::WalletError;
use crate::wallet::Wallet;

fn text(address: farthing_channel::Address) -> HexText<20> {
    HexText(*address.as_bytes())
}

fn signature_text(signature: Signature) -> Result<SignatureText, WalletError> {
    SignatureText::new(signature.to_bytes().to_vec()).ok_or(WalletError::Misuse("a signature"))
}

fn voucher(wallet: &Wallet, channel: &Channel, total: Amount) -> Result<VoucherFields, WalletError> {
    let id = channel.id();
    let digest = Voucher { channel: id, cumulative: total }.batch_digest(&batch_domain(channel.chain()));
    let signature = account::session_key(&wallet.seed)?.sign(&digest);
    Ok(VoucherFields {
        channel_id: HexText(*id.as_bytes()),
        max_claimable_amount: total.into(),
        signature: signature_text(signature)?,
    })
}

/// A payment: a voucher, with a deposit if one is needed.
pub(crate) fn payment(
    wallet: &Wallet,
    channel: &Channel,
    total: Amount,
    deposit: Option<&SignedDeposit>,
) -> Result<PayerPayload, WalletError> {
    let channel_config = ChannelConfig::from_parts(channel.terms.parts());
    let voucher = voucher(wallet, channel, total)?;
    let Some(deposit) = deposit else {
        return Ok(PayerPayload::Voucher(VoucherPayload { channel_config, voucher }));
    };
    let key = account::key(&wallet.seed)?;
    let authorization = match deposit.method {
        Method::Eip3009 => DepositAuthorization::Eip3009(by_token(channel, deposit, &key)?),
        Method::Permit2 => DepositAuthorization::Permit2(by_permit2(channel, deposit, &key)?),
    };
    let deposit = Deposit { amount: deposit.amount.into(), authorization };
    Ok(PayerPayload::Deposit(DepositPayload { channel_config, voucher, deposit }))
}

/// The wish for a refund; everything if no amount is said.
pub(crate) fn refund(
    wallet: &Wallet,
    channel: &Channel,
    total: Amount,
    amount: Option<Amount>,
) -> Result<PayerPayload, WalletError> {
    let channel_config = ChannelConfig::from_parts(channel.terms.parts());
    let voucher = voucher(wallet, channel, total)?;
    Ok(PayerPayload::Refund(RefundPayload { channel_config, voucher, amount: amount.map(Into::into) }))
}

/// The deposit as its collector wants it, for a transaction of the account's own.
pub(crate) fn collected(
    wallet: &Wallet,
    channel: &Channel,
    deposit: &SignedDeposit,
) -> Result<farthing_channel::CollectedDeposit, WalletError> {
    let (key, id) = (account::key(&wallet.seed)?, channel.id());
    Ok(match deposit.method {
        Method::Eip3009 => {
            let signed = authorized(deposit);
            let digest =
                signed.authorization(channel.terms.payer, id).receive_digest(&channel.token.domain());
            signed.collected(&key.sign(&digest).to_bytes())
        }
        Method::Permit2 => {
            let transfer = permitted(channel, deposit);
            let digest = transfer.digest(&permit2::domain(channel.chain()));
            permitted_deposit(deposit).collected(&key.sign(&digest).to_bytes(), None)
        }
    })
}

fn authorized(deposit: &SignedDeposit) -> AuthorizedDeposit {
    AuthorizedDeposit {
        amount: deposit.amount,
        valid_after: deposit.since.into(),
        valid_before: deposit.until.secs().into(),
        salt: deposit.salt,
    }
}

fn by_token(
    channel: &Channel,
    deposit: &SignedDeposit,
    key: &SigningKey,
) -> Result<DepositReceive, WalletError> {
    let authorization = authorized(deposit).authorization(channel.terms.payer, channel.id());
    debug_assert!(authorization.to == AUTHORIZATION_COLLECTOR);
    let signature = key.sign(&authorization.receive_digest(&channel.token.domain()));
    Ok(DepositReceive {
        valid_after: deposit.since.into(),
        valid_before: deposit.until.secs().into(),
        salt: HexText(*deposit.salt.as_bytes()),
        signature: signature_text(signature)?,
    })
}

fn permitted_deposit(deposit: &SignedDeposit) -> PermittedDeposit {
    // The deadline itself is still in time, the end is not.
    let deadline = deposit.until.secs().saturating_sub(1);
    PermittedDeposit { amount: deposit.amount, nonce: deposit.salt.into(), deadline: deadline.into() }
}

fn permitted(channel: &Channel, deposit: &SignedDeposit) -> Permit2Transfer<DepositWitness> {
    permitted_deposit(deposit).transfer(channel.terms.token, channel.id())
}

fn by_permit2(
    channel: &Channel,
    deposit: &SignedDeposit,
    key: &SigningKey,
) -> Result<DepositPermit2, WalletError> {
    let transfer = permitted(channel, deposit);
    let nonce = Word::from(deposit.salt).to_string();
    Ok(DepositPermit2 {
        from: text(channel.terms.payer),
        permitted: TokenPermissions { token: text(channel.terms.token), amount: deposit.amount.into() },
        spender: text(PERMIT2_COLLECTOR),
        nonce: nonce.parse().map_err(|_| WalletError::Misuse("a nonce"))?,
        deadline: deposit.until.secs().saturating_sub(1).into(),
        witness: WitnessText { channel_id: HexText(*channel.id().as_bytes()) },
        signature: signature_text(key.sign(&transfer.digest(&permit2::domain(channel.chain()))))?,
    })
}

/// The value of `PAYMENT-SIGNATURE` that answers an offer. `name` is drawn for this payment alone.
pub(crate) fn field(answer: &Answer, payload: &PayerPayload, name: &[u8]) -> Result<String, WalletError> {
    let unwritable = || WalletError::Misuse("a credential that can be written");
    let Answer::X402 { resource, accepted, extensions } = answer else {
        return Err(WalletError::Misuse("an offer of x402"));
    };
    let mut extensions = extensions.clone();
    let name = hex::encode(keccak256(name).as_bytes());
    payment_identifier::put(&mut extensions, &format!("pay_{name}")).map_err(|_| unwritable())?;
    let payload = payload.to_payload().map_err(|_| unwritable())?;
    let (resource, accepted) = (Some(resource.clone()), (**accepted).clone());
    let payment = Payload { resource, accepted, payload, extensions };
    payment.to_header().map_err(|_| unwritable())
}
