//! The extensions of x402 around a payment: which ones a 402 declares, the name that a payer gives to a payment, and who comes
//! back by signing in.

use farthing_channel::Address;
use farthing_engine::{AccessId, Marks, NameId, PaymentId, Refusal, Reject};
use farthing_money::{Money, Span, Timestamp};
use farthing_wire::x402::extension::sign_in::{self, SignIn};
use farthing_wire::x402::extension::{gas_sponsoring, payment_identifier};
use farthing_wire::x402::{AssetTransferMethod, Payload, PaymentRequired, Requirements, eip155_network};
use farthing_wire::{Credential, QuotaBy, header};
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

use super::Shared;
use super::config::Demand;
use super::quote::Quote;
use super::refusal::Refused;
use super::sign_in::{Door, SignInRefusal, SignedIn};
use crate::chain::{offer, statement};
use crate::limit::Client;

/// About how many multiplications of a point a sign-in takes.
const WEIGHT: usize = 1;

impl Shared {
    /// Declares extensions, as many as there is room for: what a payer cannot do without first, the costly ones last.
    pub(super) fn declare(&self, required: &mut PaymentRequired, quote: &Quote, now: Timestamp, room: usize) {
        let wanted = self.config.offers.extensions;
        match wanted.payment_identifier {
            Demand::Required => {
                // A payment without one is refused, so it is declared in any case.
                let (name, declared) = (payment_identifier::NAME, payment_identifier::declare(true));
                required.extensions.insert(name.to_owned(), declared);
            }
            Demand::Optional | Demand::Off => {}
        }
        offer::fit(required, room);
        if required.accepts.iter().any(is_permit2) {
            let chains = self.config.chains.as_ref();
            let sponsored = |offer| chains.is_some_and(|chains| chains.sponsors(offer));
            // The reference's clients sign an allowance wherever one is declared, and fail on a token that takes none.
            let declared = if required.accepts.iter().any(sponsored) {
                (gas_sponsoring::ERC20_APPROVAL, gas_sponsoring::declare_erc20_approval())
            } else {
                (gas_sponsoring::EIP2612, gas_sponsoring::declare_eip2612())
            };
            offer::declare(required, declared, room);
        }
        if wanted.payment_identifier == Demand::Optional {
            let declared = (payment_identifier::NAME, payment_identifier::declare(false));
            offer::declare(required, declared, room);
        }
        if self.may_sign_in(quote) {
            let info = self.sign_ins.as_ref().map(|sign_ins| sign_ins.offer(door(quote), now));
            let networks = networks(&required.accepts);
            let networks: Vec<&str> = networks.iter().map(String::as_str).collect();
            if let Some(info) = info {
                offer::declare(required, (sign_in::NAME, sign_in::declare(&info, &networks)), room);
            }
        }
        if wanted.offer_receipt {
            let mut signed = statement::offers(&required.accepts, &quote.url, &self.statements, now);
            while !signed.is_empty() && !offer::declare(required, statement::declared(&signed), room) {
                signed.pop();
            }
        }
    }

    /// What a payment is known by besides. A name that another payment has is refused, here for who comes later, and in the
    /// books for who comes at once.
    pub(super) fn marks(
        &self,
        quote: &Quote,
        (name, payer): (Option<NameId>, Option<Address>),
        (payment, bound): (PaymentId, bool),
        (price, now): (Money, Timestamp),
    ) -> Result<Marks, Refused> {
        if let Some(name) = name {
            let known = self.config.read.name(name).map_err(Refusal::Fault)?;
            if known.is_some_and(|row| row.payment != payment && row.until > now) {
                return Err(Refusal::Reject(Reject::PaymentNameTaken).into());
            }
        }
        let payer = payer.filter(|_| bound && self.may_sign_in(quote));
        let access = payer.and_then(|payer| self.access_id(quote, payer));
        let refund = quote.refund_terms(&self.config.secrets.challenge);
        let (fare, extends) = (self.share(quote, (payment, price), now), quote.extends());
        Ok(Marks { name, access, fare, behind: None, refund, extends })
    }

    /// The payer's own name for a payment, as a code that only we can make: it holds for one resource.
    pub(super) fn name(&self, quote: &Quote, credential: &Credential) -> Result<Option<NameId>, Refused> {
        match credential {
            Credential::X402(payload) => self.name_in(quote, Some(payload)),
            Credential::X402V1(_) => self.name_in(quote, None),
            // Its challenge is a name already.
            _ => Ok(None),
        }
    }

    /// The same of a payment of x402, if it is of a version that can have one.
    pub(super) fn name_in(
        &self,
        quote: &Quote,
        payload: Option<&Payload>,
    ) -> Result<Option<NameId>, Refused> {
        let demand = self.config.offers.extensions.payment_identifier;
        if demand == Demand::Off {
            return Ok(None);
        }
        let name = payload.map(|payload| payment_identifier::read(&payload.extensions));
        let Some(name) = name.transpose().map_err(Refused::Name)?.flatten() else {
            return if demand == Demand::Required { Err(Refused::Unnamed) } else { Ok(None) };
        };
        let resource = quote.resource(&self.config.secrets.challenge);
        let code = self.code(b"farthing/payment-name/1", &[resource.as_bytes(), name.as_bytes()]);
        Ok(code.map(NameId::from_bytes))
    }

    /// Whether payments for this open it again for their account. What changes things is repeated only with its own credential.
    fn may_sign_in(&self, quote: &Quote) -> bool {
        self.config.offers.extensions.sign_in && quote.pass > Span::ZERO && quote.is_safe()
    }

    /// An account and what it opens, as a code that only we can make.
    fn access_id(&self, quote: &Quote, account: Address) -> Option<AccessId> {
        let code = self.code(b"farthing/access/1", &[account.as_bytes(), quote.scope.as_bytes()]);
        code.map(AccessId::from_bytes)
    }

    /// A code of parts, each preceded by its length.
    pub(super) fn code(&self, domain: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
        let code = Hmac::<Sha256>::new_from_slice(&self.config.secrets.challenge).ok()?.chain_update(domain);
        let code = parts.iter().fold(code, |code, part| {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            code.chain_update(length.to_be_bytes()).chain_update(part)
        });
        Some(code.finalize().into_bytes().into())
    }

    /// Who signs in, if a request brings a sign-in: by which payment it comes back, or which account it is where accounts are counted.
    pub(super) fn signed_in(
        &self,
        headers: &HeaderMap,
        quote: &Quote,
        client: Option<&Client>,
    ) -> Result<Option<SignedIn>, Refused> {
        let mut fields = headers.get_all(header::SIGN_IN_WITH_X).iter();
        let Some(field) = fields.next() else { return Ok(None) };
        if fields.next().is_some() {
            return Err(SignInRefusal::Several.into());
        }
        let Some(sign_ins) = self.sign_ins.as_ref().filter(|_| self.may_sign_in(quote)) else {
            return Err(SignInRefusal::NotOffered.into());
        };
        let offers = self.chain_offers(quote, quote.price);
        if offers.is_empty() {
            return Err(SignInRefusal::NotOffered.into());
        }
        let work = self.config.crypto.limiter().begin(client, WEIGHT)?;
        let now = (self.config.clock)();
        let sign_in = SignIn::from_header(field.to_str().unwrap_or_default()).map_err(SignInRefusal::from)?;
        let networks = networks(&offers);
        let account = sign_ins.judge(&sign_in, door(quote), networks.iter().map(String::as_str), now)?;
        let access = self.access_id(quote, account).map(|id| self.config.read.access(id));
        let row = access.transpose().map_err(Refusal::Fault)?.flatten().filter(|row| row.until > now);
        let counts = quote.quota.as_ref().is_some_and(|terms| terms.quota.by == QuotaBy::Wallet);
        let signed_in = match row {
            Some(row) => SignedIn::Paid(row),
            // Accounts are easily invented: one that has paid nothing asks for this work in vain.
            None if counts => SignedIn::Account(account),
            None => {
                work.genuine();
                return Err(SignInRefusal::Unpaid.into());
            }
        };
        if let SignedIn::Paid(_) = signed_in {
            work.genuine();
        }
        match sign_ins.take(&sign_in.info.nonce, now) {
            Some(taken) => taken?,
            None => return Err(Refusal::Busy { retry_after: Span::from_secs(1) }.into()),
        }
        Ok(Some(signed_in))
    }
}

fn door(quote: &Quote) -> Door<'_> {
    Door { url: &quote.url, tag: quote.tag() }
}

fn is_permit2(offer: &Requirements) -> bool {
    offer.extra.method() == Some(AssetTransferMethod::Permit2)
}

/// The networks of offers, each once, in their order.
fn networks(offers: &[Requirements]) -> Vec<String> {
    let mut networks = Vec::new();
    for network in offers.iter().filter_map(Requirements::chain_id).map(eip155_network) {
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    networks
}
