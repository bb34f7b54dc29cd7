//! A payer with dollars on a chain, who signs what a 402 offers before the clock starts.

use std::time::{SystemTime, UNIX_EPOCH};

use farthing_channel::{Address, Authorization, AuthorizationNonce, ChainId, Domain, Signature, SigningKey};
use farthing_wire::header::{PAYMENT_REQUIRED, PAYMENT_SIGNATURE};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::{
    AssetTransferMethod, Eip3009, Eip3009Authorization, Payload, PaymentRequired, Requirements, SCHEME_EXACT,
    SchemePayload, SignatureText,
};
use serde_json::Map;

use crate::connection::{Connection, get};
use crate::failure::{Failure, Result};

/// How long a signed payment is good.
const LIFETIME_SECS: u64 = 3600;

/// A payer.
pub struct Payer {
    key: SigningKey,
}

impl Payer {
    /// One whose key is made of this byte.
    pub fn new(byte: u8) -> Result<Self> {
        let key = SigningKey::from_bytes([byte; 32]).map_err(Failure::at("making a key"))?;
        Ok(Self { key })
    }

    /// Its account.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// The key itself, for transactions of its own.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// An authorization of what is offered, with a nonce that was never used, and its signature.
    pub fn authorize(&self, offer: &Requirements) -> Result<(Authorization, Signature)> {
        let chain = offer.chain_id().ok_or_else(|| Failure::new("expected an offer on a chain"))?;
        let address = |text: &str| text.parse::<Address>().map_err(Failure::at("reading an offer"));
        let value = offer.amount.as_str().parse().map_err(Failure::at("reading an amount"))?;
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(Failure::at("drawing a nonce"))?;
        let authorization = Authorization {
            from: self.address(),
            to: address(&offer.pay_to)?,
            value,
            valid_after: 0.into(),
            valid_before: (now_secs() + LIFETIME_SECS).into(),
            nonce: AuthorizationNonce::from_bytes(nonce),
        };
        let (name, version) = (offer.extra.name().unwrap_or_default(), offer.extra.version());
        let domain = Domain::new(name, version, ChainId::new(chain), Some(address(&offer.asset)?));
        let signature = self.key.sign(&authorization.transfer_digest(&domain));
        Ok((authorization, signature))
    }

    /// What pays an offer, as `PAYMENT-SIGNATURE` carries it.
    pub fn pay(&self, offer: &Requirements) -> Result<String> {
        let (signed, signature) = self.authorize(offer)?;
        let text = |address: Address| address.to_string().parse().map_err(Failure::at("writing an account"));
        let authorization = Eip3009Authorization {
            from: text(signed.from)?,
            to: text(signed.to)?,
            value: offer.amount.clone(),
            valid_after: 0_u64.into(),
            valid_before: signed.valid_before.to_u64().unwrap_or_default().into(),
            nonce: HexText(*signed.nonce.as_bytes()),
        };
        let signature = SignatureText::new(signature.to_bytes().to_vec());
        let signature = signature.ok_or_else(|| Failure::new("a signature is too long"))?;
        let payload = SchemePayload::Eip3009(Eip3009 { signature, authorization });
        let payload = Payload { resource: None, accepted: offer.clone(), payload, extensions: Map::new() };
        payload.to_header().map_err(Failure::at("writing a payment"))
    }

    /// A request that pays an offer.
    pub fn request(&self, address: &str, path: &str, offer: &Requirements) -> Result<Vec<u8>> {
        let field = format!("{PAYMENT_SIGNATURE}: {}\r\n", self.pay(offer)?);
        Ok(get(address, path, &field))
    }
}

/// What a page asks for by `exact` with EIP-3009.
pub async fn offer(address: &str, path: &str) -> Result<Requirements> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.exchange(&get(address, path, "")).await?;
    answer.expect(402)?;
    let field = answer.fields(PAYMENT_REQUIRED).next().unwrap_or_default();
    let required = PaymentRequired::from_header(field).map_err(Failure::at("reading a 402"))?;
    let fits = |offer: &Requirements| {
        offer.scheme == SCHEME_EXACT && offer.extra.method() == Some(AssetTransferMethod::Eip3009)
    };
    let offer = required.accepts.into_iter().find(fits);
    offer.ok_or_else(|| Failure::new("the 402 offers nothing by exact with EIP-3009"))
}

/// The time.
pub fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
