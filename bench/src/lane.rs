//! A channel of a payer, and what pays through it: vouchers that are signed before the clock starts, each for the sum of the last one and
//! the price.

use farthing_channel::{
    Address, AuthorizedDeposit, ChainId, ChannelId, ChannelTerms, CollectedDeposit, Domain, Salt, SigningKey,
    Voucher, batch_domain,
};
use farthing_money::Amount;
use farthing_wire::header::{PAYMENT_REQUIRED, PAYMENT_SIGNATURE};
use farthing_wire::x402::batch::{
    ChannelConfig, ChannelOfferText, PayerPayload, SCHEME_BATCH, VoucherFields, VoucherPayload,
};
use farthing_wire::x402::{
    AssetTransferMethod, HexText, Payload, PaymentRequired, Requirements, SignatureText, Uint,
};
use serde_json::Map;

use crate::connection::{Connection, get};
use crate::failure::{Failure, Result};
use crate::payer::now_secs;

/// How long a signed deposit is good.
const LIFETIME_SECS: u64 = 3600;

/// A request that is paid, and the sum that an answer has to name.
pub struct Paying {
    /// Its bytes.
    pub request: Vec<u8>,
    /// All that was paid through the channel, this request included.
    pub total: u128,
}

/// A channel and its payer.
pub struct Lane {
    key: SigningKey,
    terms: ChannelTerms,
    id: ChannelId,
    domain: Domain,
    offer: Requirements,
    price: u128,
    /// What was charged through it, as far as the seller has said so.
    pub charged: u128,
}

impl Lane {
    /// The channel of a payer whose key is made of this byte, on the terms of an offer.
    pub fn new(byte: u8, offer: &Requirements) -> Result<Self> {
        let key = SigningKey::from_bytes([byte; 32]).map_err(Failure::at("making a key"))?;
        let said = ChannelOfferText::of(&offer.extra);
        let said = said.ok_or_else(|| Failure::new("the offer does not say how a channel is opened"))?;
        let chain = offer.chain_id().ok_or_else(|| Failure::new("expected an offer on a chain"))?;
        let address = |text: &str| text.parse::<Address>().map_err(Failure::at("reading an offer"));
        let delay = u32::try_from(said.withdraw_delay).map_err(Failure::at("reading a delay"))?;
        let terms = ChannelTerms {
            payer: key.address(),
            payer_authorizer: key.address(),
            receiver: address(&offer.pay_to)?,
            receiver_authorizer: Address::from_bytes(said.receiver_authorizer.0),
            token: address(&offer.asset)?,
            withdraw_delay: delay,
            salt: Salt::from_bytes([0; 32]),
        };
        let domain = batch_domain(ChainId::new(chain));
        let price = offer.amount.amount().ok_or_else(|| Failure::new("the offer asks for too much"))?.value();
        Ok(Self { key, terms, id: terms.id(&domain), domain, offer: offer.clone(), price, charged: 0 })
    }

    /// The channel.
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// Its terms.
    pub fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// Money for it, signed by the payer.
    pub fn deposit(&self, amount: u128) -> CollectedDeposit {
        let extra = &self.offer.extra;
        let chain = ChainId::new(self.offer.chain_id().unwrap_or_default());
        let token =
            Domain::new(extra.name().unwrap_or_default(), extra.version(), chain, Some(self.terms.token));
        let deposit = AuthorizedDeposit {
            amount: Amount::new(amount),
            valid_after: 0.into(),
            valid_before: (now_secs() + LIFETIME_SECS).into(),
            salt: Salt::from_bytes([0; 32]),
        };
        let signed = deposit.authorization(self.terms.payer, self.id).receive_digest(&token);
        deposit.collected(&self.key.sign(&signed).to_bytes())
    }

    /// The next requests, as many as that, that pay what was offered.
    pub fn next(&self, address: &str, path: &str, count: usize) -> Result<Vec<Paying>> {
        let totals = std::iter::successors(self.charged.checked_add(self.price), |total| {
            total.checked_add(self.price)
        });
        let paying = |total| {
            let field = format!("{PAYMENT_SIGNATURE}: {}\r\n", self.pay(total)?);
            Ok(Paying { request: get(address, path, &field), total })
        };
        totals.take(count).map(paying).collect()
    }

    /// What allows so much in all, as `PAYMENT-SIGNATURE` carries it.
    fn pay(&self, total: u128) -> Result<String> {
        let voucher = Voucher { channel: self.id, cumulative: Amount::new(total) };
        let signature = self.key.sign(&voucher.batch_digest(&self.domain));
        let signature = SignatureText::new(signature.to_bytes().to_vec());
        let signature = signature.ok_or_else(|| Failure::new("a signature is too long"))?;
        let fields = VoucherFields {
            channel_id: HexText(*self.id.as_bytes()),
            max_claimable_amount: Uint::from(Amount::new(total)),
            signature,
        };
        let channel_config = ChannelConfig::from_parts(self.terms.parts());
        let payload = PayerPayload::Voucher(VoucherPayload { channel_config, voucher: fields });
        let payload = payload.to_payload().map_err(Failure::at("writing a voucher"))?;
        let payment =
            Payload { resource: None, accepted: self.offer.clone(), payload, extensions: Map::new() };
        payment.to_header().map_err(Failure::at("writing a payment"))
    }
}

/// What a page asks for through a channel that is filled by EIP-3009.
pub async fn channel_offer(address: &str, path: &str) -> Result<Requirements> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.exchange(&get(address, path, "")).await?;
    answer.expect(402)?;
    let field = answer.fields(PAYMENT_REQUIRED).next().unwrap_or_default();
    let required = PaymentRequired::from_header(field).map_err(Failure::at("reading a 402"))?;
    let fits = |offer: &Requirements| {
        offer.scheme == SCHEME_BATCH && offer.extra.method() != Some(AssetTransferMethod::Permit2)
    };
    let offer = required.accepts.into_iter().find(fits);
    offer.ok_or_else(|| Failure::new("the 402 offers nothing through a channel that EIP-3009 fills"))
}
