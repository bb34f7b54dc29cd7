//! Signs what an offer asks for, and writes it as the field of a request.

use farthing_channel::permit2::{self, EXACT_PROXY, ExactWitness, UPTO_PROXY, UptoWitness};
use farthing_channel::{
    Address, Authorization, AuthorizationNonce, Permit2Transfer, Signature, SigningKey, Word, keccak256,
};
use farthing_money::{Span, Timestamp};
use farthing_wire::header::{AUTHORIZATION, PAYMENT_AUTHORIZATION, PAYMENT_SIGNATURE, X_PAYMENT};
use farthing_wire::mpp::{self, evm};
use farthing_wire::x402::extension::payment_identifier;
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{
    AddressText, Eip3009, Eip3009Authorization, Payload, Permit2, Permit2Authorization, SchemePayload,
    SignatureText, TokenPermissions, Uint, Witness, v1,
};

use super::offer::{Answer, ChainOffer};
use super::payment::{ChainPayment, Method};
use crate::error::WalletError;

/// Whatever the offer says, what is signed is good for no longer: until then the wallet must be ready to see it taken.
const LIFE_MAX_SECS: u64 = 600;
/// Clocks differ: it is good from so long ago.
const BEFORE_SECS: u64 = 600;

/// A payment that is ready to be sent.
pub(crate) struct Signed {
    pub(crate) field: String,
    pub(crate) credential: String,
    pub(crate) payment: ChainPayment,
}

/// Signs an offer. `random` was drawn for this payment alone; `has_login` tells that `Authorization` is taken.
pub(crate) fn sign(
    offer: &ChainOffer,
    key: &SigningKey,
    random: [u8; 32],
    now: Timestamp,
    has_login: bool,
) -> Result<Signed, WalletError> {
    let nonce = match &offer.answer {
        Answer::Mpp { challenge, .. } => {
            Word::from(AuthorizationNonce::of_challenge(&challenge.id, &challenge.realm))
        }
        Answer::X402 { .. } | Answer::V1 { .. } => Word::from_bytes(random),
    };
    let payment = ChainPayment {
        on: offer.on_chain(),
        payer: key.address(),
        method: offer.method,
        nonce,
        until: until(offer, now),
    };
    let scheme_payload = match payment.method {
        Method::Eip3009 => SchemePayload::Eip3009(authorization(offer, &payment, key, now)?),
        Method::Permit2 => SchemePayload::Permit2(permit2(offer, &payment, key, now)?),
    };
    let (field, credential) = credential(offer, &payment, scheme_payload, has_login)?;
    Ok(Signed { field, credential, payment })
}

/// The whole second from which on nobody can take it.
fn until(offer: &ChainOffer, now: Timestamp) -> Timestamp {
    let most = now.after(Span::from_secs(LIFE_MAX_SECS));
    let wanted = match &offer.answer {
        Answer::Mpp { until, .. } => until.unwrap_or(most),
        Answer::X402 { .. } | Answer::V1 { .. } => now.after(Span::from_secs(offer.seconds)),
    };
    Timestamp::from_secs(wanted.min(most).secs())
}

fn since(now: Timestamp) -> u64 {
    now.secs().saturating_sub(BEFORE_SECS)
}

fn text(address: Address) -> AddressText {
    HexText(*address.as_bytes())
}

fn signature_text(signature: Signature) -> Result<SignatureText, WalletError> {
    SignatureText::new(signature.to_bytes().to_vec()).ok_or(WalletError::Misuse("a signature"))
}

fn authorization(
    offer: &ChainOffer,
    payment: &ChainPayment,
    key: &SigningKey,
    now: Timestamp,
) -> Result<Eip3009, WalletError> {
    let (from, to) = (payment.payer, payment.on.pay_to);
    let (after, before) = (since(now), payment.until.secs());
    let authorization = Authorization {
        from,
        to,
        value: payment.on.units.into(),
        valid_after: after.into(),
        valid_before: before.into(),
        nonce: AuthorizationNonce::from_bytes(*payment.nonce.as_bytes()),
    };
    let signature = key.sign(&authorization.transfer_digest(&offer.token.domain()));
    Ok(Eip3009 {
        signature: signature_text(signature)?,
        authorization: Eip3009Authorization {
            from: text(from),
            to: text(to),
            value: payment.on.units.into(),
            valid_after: after.into(),
            valid_before: before.into(),
            nonce: HexText(*payment.nonce.as_bytes()),
        },
    })
}

fn permit2(
    offer: &ChainOffer,
    payment: &ChainPayment,
    key: &SigningKey,
    now: Timestamp,
) -> Result<Permit2, WalletError> {
    let (token, to, valid_after) = (payment.on.token, payment.on.pay_to, Word::from(since(now)));
    // The deadline itself is still in time, the end is not.
    let deadline = payment.until.secs().saturating_sub(1);
    let domain = permit2::domain(payment.on.chain);
    let (nonce, amount) = (payment.nonce, Word::from(payment.on.units));
    let (spender, digest) = match offer.facilitator {
        None => {
            let witness = ExactWitness { to, valid_after };
            let (spender, deadline) = (EXACT_PROXY, deadline.into());
            let transfer = Permit2Transfer { token, amount, spender, nonce, deadline, witness };
            (spender, transfer.digest(&domain))
        }
        Some(facilitator) => {
            let witness = UptoWitness { to, facilitator, valid_after };
            let (spender, deadline) = (UPTO_PROXY, deadline.into());
            let transfer = Permit2Transfer { token, amount, spender, nonce, deadline, witness };
            (spender, transfer.digest(&domain))
        }
    };
    let nonce = nonce.to_string().parse().map_err(|_| WalletError::Misuse("a nonce"))?;
    Ok(Permit2 {
        signature: signature_text(key.sign(&digest))?,
        permit2_authorization: Permit2Authorization {
            from: text(payment.payer),
            permitted: TokenPermissions { token: text(token), amount: payment.on.units.into() },
            spender: text(spender),
            nonce,
            deadline: deadline.into(),
            witness: Witness {
                to: text(to),
                facilitator: offer.facilitator.map(text),
                valid_after: Uint::from(since(now)),
            },
        },
    })
}

fn credential(
    offer: &ChainOffer,
    payment: &ChainPayment,
    payload: SchemePayload,
    has_login: bool,
) -> Result<(String, String), WalletError> {
    let unwritable = || WalletError::Misuse("a credential that can be written");
    match (&offer.answer, payload) {
        (Answer::X402 { resource, accepted, extensions }, payload) => {
            let mut extensions = extensions.clone();
            let name = hex::encode(keccak256(payment.nonce.as_bytes()).as_bytes());
            payment_identifier::put(&mut extensions, &format!("pay_{name}")).map_err(|_| unwritable())?;
            let resource = Some(resource.clone());
            let payload = Payload { resource, accepted: (**accepted).clone(), payload, extensions };
            Ok((PAYMENT_SIGNATURE.to_owned(), payload.to_header().map_err(|_| unwritable())?))
        }
        (Answer::V1 { scheme, network }, SchemePayload::Eip3009(payload)) => {
            let payload = v1::PayloadV1 { scheme: scheme.clone(), network: network.clone(), payload };
            Ok((X_PAYMENT.to_owned(), payload.to_header().map_err(|_| unwritable())?))
        }
        (Answer::Mpp { challenge, .. }, SchemePayload::Eip3009(payload)) => {
            let payload = evm::payload_to_json(&payload).map_err(|_| unwritable())?;
            let wanted = challenge.header.as_deref();
            let other =
                has_login || wanted.is_some_and(|name| name.eq_ignore_ascii_case(PAYMENT_AUTHORIZATION));
            let field = if other { PAYMENT_AUTHORIZATION } else { AUTHORIZATION };
            let source = Some(evm::source(payment.on.chain.number(), payment.payer));
            let credential = mpp::Credential { challenge: (**challenge).clone(), source, payload };
            Ok((field.to_owned(), credential.encode().map_err(|_| unwritable())?))
        }
        _ => Err(WalletError::Misuse("an authorization by EIP-3009")),
    }
}
