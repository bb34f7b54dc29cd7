//! Payments through channels of x402's `batch-settlement`: a voucher is verified and held on its channel, the upstream is
//! asked, and what that has cost is charged. No chain is asked on the way.
//!
//! Nothing is said of a channel to whoever cannot sign for it: the signature comes first, whatever else is wrong.
//!
//! A voucher is public as soon as it was claimed. So it opens what it paid for until that was delivered, and never again:
//! who wants to come back has the pass.

mod again;
mod charge;
mod deposit;
mod funds;
mod hold;
mod keys;
mod look;
mod owed;
mod pace;
mod prove;
mod public;
mod refund;
mod session;
mod told;
mod wait;

use std::sync::Arc;

use farthing_channel::seller::Proven;
use farthing_channel::{ChannelId, seller};
use farthing_engine::{ChannelAccounts, PaymentId, Refusal, Reject};
use farthing_money::{Amount, Money};
use farthing_wire::Credential;
use farthing_wire::x402::batch::{DepositPayload, PayerPayload, SCHEME_BATCH};
use farthing_wire::x402::{Payload, PaymentFlow, Requirements};

use self::again::Resumed;
use self::deposit::Deposited;
use self::funds::Funds;
use self::keys::Keys;
use self::look::Looks;
use self::owed::{Owed, Payer};
pub(super) use self::told::Corrective;
use self::wait::Waits;
use super::Shared;
use super::currency::Payable;
use super::pay::Outcome;
use super::quote::Quote;
use super::refusal::Refused;
use crate::chain::channel::{ChannelDesk, Channels};
use crate::chain::claim::{self, ClaimError};
use crate::chain::{ChainRefusal, Chains};
use crate::limit::Work;

/// What a gate remembers of channels. All of it is in memory, and nothing is lost with it.
#[derive(Default)]
pub(super) struct ChannelMemory {
    keys: Keys,
    looks: Looks,
    owed: Arc<Owed>,
    resumed: Resumed,
    waits: Waits,
    funds: Funds,
}

/// A payment through a channel.
#[derive(Debug)]
pub(super) struct ChannelPayment {
    offer: Requirements,
    desk: ChannelDesk,
    channel: ChannelId,
    /// What was charged before, in the token's units.
    base: Amount,
    /// The price in the token's units.
    units: Amount,
    /// Who owes it, where that is limited.
    payer: Payer,
    /// The accounts of the channel, as its row names them.
    accounts: ChannelAccounts,
    /// The deposit that came with it.
    deposit: Option<Deposited>,
}

impl ChannelPayment {
    /// Whether a deposit came with it, which stays in the channel whatever becomes of the payment.
    pub(super) fn has_deposit(&self) -> bool {
        self.deposit.is_some()
    }
}

/// What a payer has shown: an offer of ours, and a voucher that its channel's signer has signed.
struct Shown<'a> {
    quote: &'a Quote,
    payload: &'a Payload,
    /// The digest of the request's body, if it was read.
    digest: Option<&'a str>,
    chains: &'a dyn Chains,
    channels: &'a dyn Channels,
    offer: Requirements,
    payable: Payable,
    desk: ChannelDesk,
    voucher: Proven,
    /// The deposit that comes with it.
    deposit: Option<&'a DepositPayload>,
    /// The price in the token's units.
    units: Amount,
    /// Why it makes no new payment, if so: its price is over.
    over: Option<Refused>,
    /// Whether it came in a session of MPP.
    is_session: bool,
}

/// Whether a credential pays through a channel.
pub(super) fn is_in_channel(credential: &Credential) -> bool {
    match credential {
        Credential::X402(payload) => payload.accepted.scheme == SCHEME_BATCH,
        Credential::Session { .. } => true,
        _ => false,
    }
}

/// Nobody is to blame for a chain that says nothing.
fn excuse<T>(work: Work, asked: Result<T, ChainRefusal>) -> Result<(T, Work), Refused> {
    match asked {
        Ok(said) => Ok((said, work)),
        Err(refused) => {
            if matches!(refused, ChainRefusal::Unreachable(_)) {
                work.genuine();
            }
            Err(refused.into())
        }
    }
}

impl From<seller::Refused> for Refused {
    fn from(refused: seller::Refused) -> Self {
        Self::Engine(Refusal::Reject(Reject::Channel(refused)))
    }
}

impl Shown<'_> {
    fn channel(&self) -> ChannelId {
        self.voucher.channel()
    }

    /// The payment that it makes; nothing if it is for less than the price.
    fn payment(&self) -> Option<(PaymentId, Amount)> {
        let base = self.voucher.ceiling().checked_sub(self.units)?;
        Some((PaymentId::of_voucher(self.channel(), base, self.voucher.ceiling()), base))
    }
}

impl Shared {
    /// Recognises what came through a channel and sets it aside; or finds what became of it when it came before.
    pub(super) async fn hold_in_channel(
        self: &Arc<Self>,
        quote: &Quote,
        credential: &Credential,
        digest: Option<&str>,
        work: Work,
    ) -> Result<Outcome, Refused> {
        let chains = self.config.chains.clone().ok_or(Refused::NotOffered)?;
        let channels = chains.channels().ok_or(Refused::NotOffered)?;
        let (payload, expired) = self.in_words_of_x402(quote, credential, digest)?;
        let payload = &*payload;
        let payables = self.payables(quote);
        let (offer, payable, over) = channel_offer(&*chains, channels, (quote, payables), payload)?;
        let (over, is_session) = (expired.or(over), matches!(credential, Credential::Session { .. }));
        let desk = channels.desk(&offer).ok_or(Refused::NotOffered)?;
        let units = offer.amount.amount().ok_or(Refused::NotOffered)?;
        let sent = PayerPayload::read(&payload.payload)?;
        let voucher = match self.prove(channels, &desk, &sent).await {
            Err(refused @ (Refused::Crypto(_) | Refused::Chain(ChainRefusal::Unreachable(_)))) => {
                work.genuine();
                return Err(refused);
            }
            voucher => voucher?,
        };
        let deposit = if let PayerPayload::Deposit(deposit) = &sent { Some(deposit) } else { None };
        let chains = &*chains;
        let shown = Shown {
            quote,
            payload,
            digest,
            chains,
            channels,
            offer,
            payable,
            desk,
            voucher,
            deposit,
            units,
            over,
            is_session,
        };
        match &sent {
            PayerPayload::Voucher(_) | PayerPayload::Deposit(_) => self.hold_voucher(shown, work).await,
            PayerPayload::Refund(refund) => self.refund_channel(shown, refund, work).await,
        }
    }
}

/// The offer that a payment meets, at which price, and why it makes no new payment, if so: the price is another one by now.
fn channel_offer(
    chains: &dyn Chains,
    channels: &dyn Channels,
    (quote, payables): (&Quote, Vec<Payable>),
    payload: &Payload,
) -> Result<(Requirements, Payable, Option<Refused>), Refused> {
    if quote.flow != PaymentFlow::Authorization {
        return Err(Refused::NotOffered);
    }
    let accepted = &payload.accepted;
    let mut before = None;
    for payable in payables {
        let offers = channels.offers(payable.price);
        let alike = offers.iter().find(|offer| {
            offer.network == accepted.network && offer.asset_address() == accepted.asset_address()
        });
        let priced = alike.and_then(|offer| chains.price(offer, accepted.amount.amount()?));
        match claim::offer_of_x402(payload, &quote.url, offers) {
            Ok(offer) => return Ok((offer, payable, None)),
            Err(ClaimError::NotOffered) => {
                let of_asset = |price: &Money| price.asset() == payable.price.asset();
                before = before.or(priced.filter(of_asset).filter(|price| *price != payable.price));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let price = before.ok_or(ClaimError::NotOffered)?;
    let offer = claim::offer_of_x402(payload, &quote.url, channels.offers(price))?;
    Ok((offer, Payable::own(price), Some(ClaimError::NotOffered.into())))
}
