//! Reads the offers of a 402 that are paid on a chain: those for a token that the wallet knows, in a way that it can sign.
//! Each other one is passed over with a reason.

use std::cmp::Ordering;

use farthing_channel::Address;
use farthing_money::{Amount, Timestamp, Unit};
use farthing_wire::digest;
use farthing_wire::mpp::{self, evm};
use farthing_wire::x402::batch::{ChannelOfferText, SCHEME_BATCH};
use farthing_wire::x402::{
    self, AssetTransferMethod, PaymentFlow, PaymentRequired, Requirements, Resource, v1,
};
use serde_json::{Map, Value};

use super::{ChainId, Method, OnChain, Token};
use crate::channel::lane::OfferedChannel;
use crate::wallet::Wallet;

/// An offer that can be paid.
#[derive(Clone, Debug)]
pub(crate) struct ChainOffer {
    pub(crate) token: Token,
    /// Whether the wallet's owner has named the token himself.
    pub(crate) is_own: bool,
    pub(crate) pay_to: Address,
    /// In minor units of the token.
    pub(crate) units: Amount,
    /// The same as limits count it.
    pub(crate) price: u64,
    pub(crate) scheme: &'static str,
    pub(crate) method: Method,
    /// Who alone may carry it, where the payer signs that.
    pub(crate) facilitator: Option<Address>,
    /// For how many seconds it is to be good; an MPP challenge ends by itself.
    pub(crate) seconds: u64,
    pub(crate) is_usual_flow: bool,
    /// What channels it takes, if it is paid through one.
    pub(crate) channel: Option<OfferedChannel>,
    pub(crate) answer: Answer,
}

/// What the offer is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// x402 of today.
    X402 { resource: Resource, accepted: Box<Requirements>, extensions: Map<String, Value> },
    /// x402 of version 1.
    V1 { scheme: String, network: String },
    /// MPP's `evm`.
    Mpp { challenge: Box<mpp::Challenge>, until: Option<Timestamp> },
}

impl ChainOffer {
    pub(crate) fn unit(&self) -> Unit {
        self.token.counts_as
    }

    /// What would move, and to whom.
    pub(crate) fn on_chain(&self) -> OnChain {
        OnChain {
            chain: self.token.chain,
            token: self.token.address,
            symbol: self.token.symbol.clone(),
            pay_to: self.pay_to,
            scheme: self.scheme.to_owned(),
            units: self.units,
            taken: None,
            transaction: None,
            channel: None,
        }
    }

    /// The dialect's name, as receipts write it.
    pub(crate) fn dialect(&self) -> &'static str {
        match self.answer {
            Answer::X402 { .. } | Answer::V1 { .. } => "x402",
            Answer::Mpp { .. } => "mpp",
        }
    }

    /// Which of two is rather taken: what a channel pays that is there, what needs no allowance, what takes exactly the price, the owner's own tokens, and
    /// what is bound to its request.
    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let rank = |offer: &Self| {
            let dialect = match offer.answer {
                Answer::Mpp { .. } => 0_u8,
                Answer::X402 { .. } => 1,
                Answer::V1 { .. } => 2,
            };
            let is_ceiling = offer.scheme == x402::SCHEME_UPTO;
            (offer.channel.is_none(), offer.method, is_ceiling, !offer.is_own, !offer.is_usual_flow, dialect)
        };
        rank(self).cmp(&rank(other))
    }
}

/// Every way to pay of x402 that can be gone, and why each other cannot.
pub(crate) fn read_x402(wallet: &Wallet, required: &PaymentRequired) -> Vec<Result<ChainOffer, String>> {
    let one = |accepted: &Requirements| {
        // Where a channel stands is said to its payer, and is no part of what is offered.
        let extra = accepted.extra.without_channel();
        let accepted = Requirements { extra, ..accepted.clone() };
        let answer = Answer::X402 {
            resource: required.resource.clone(),
            accepted: Box::new(accepted.clone()),
            extensions: required.extensions.clone(),
        };
        read_requirements(wallet, &accepted, accepted.chain_id(), answer)
    };
    required.accepts.iter().map(one).collect()
}

/// The same of the body of a 402 of version 1.
pub(crate) fn read_v1(wallet: &Wallet, body: &[u8]) -> Vec<Result<ChainOffer, String>> {
    let Ok(required) = v1::PaymentRequiredV1::from_json(body) else { return Vec::new() };
    let one = |entry: &v1::RequirementsV1| {
        let chain = v1::chain_id(&entry.network).or_else(|| x402::eip155_chain_id(&entry.network));
        let accepted = Requirements {
            scheme: entry.scheme.clone(),
            network: entry.network.clone(),
            amount: entry.max_amount_required.clone(),
            asset: entry.asset.clone(),
            pay_to: entry.pay_to.clone(),
            max_timeout_seconds: entry.max_timeout_seconds,
            extra: entry.extra.clone(),
            other: Map::new(),
        };
        if accepted.scheme != x402::SCHEME_EXACT
            || accepted.extra.method() != Some(AssetTransferMethod::Eip3009)
        {
            return Err("x402 of version 1 is paid by EIP-3009 alone".to_owned());
        }
        let answer = Answer::V1 { scheme: entry.scheme.clone(), network: entry.network.clone() };
        read_requirements(wallet, &accepted, chain, answer)
    };
    required.accepts.iter().map(one).collect()
}

pub(crate) fn read_requirements(
    wallet: &Wallet,
    asked: &Requirements,
    chain: Option<u64>,
    answer: Answer,
) -> Result<ChainOffer, String> {
    let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(64).collect::<String>();
    let chain = chain.ok_or_else(|| format!("the network {} is none of the EVM", shown(&asked.network)))?;
    let (scheme, method) = way(asked)?;
    let flow = asked.extra.flow().ok_or("its payment flow is not known here")?;
    let asset: Address =
        asked.asset.parse().map_err(|_| format!("{} is no token's address", shown(&asked.asset)))?;
    let (token, is_own) = known(wallet, ChainId::new(chain), asset)?;
    if method == Method::Eip3009 {
        let (name, version) = (asked.extra.name(), asked.extra.version());
        if name != Some(token.name.as_str()) || version != Some(token.version.as_str()) {
            return Err(format!(
                "the offer calls the token {} version {}, but it signs as {} version {}",
                shown(name.unwrap_or("nothing")),
                shown(version.unwrap_or("nothing")),
                token.name,
                token.version
            ));
        }
    }
    let facilitator = match scheme {
        x402::SCHEME_UPTO => Some(facilitator(asked)?),
        _ => None,
    };
    let channel = match scheme {
        SCHEME_BATCH => Some(OfferedChannel::of(ChannelOfferText::of(&asked.extra))?),
        _ => None,
    };
    let pay_to = recipient(wallet, &asked.pay_to)?;
    let (units, price) = priced(&token, asked.amount.amount(), asked.amount.as_str())?;
    Ok(ChainOffer {
        token,
        is_own,
        pay_to,
        units,
        price,
        scheme,
        method,
        facilitator,
        seconds: asked.max_timeout_seconds,
        is_usual_flow: flow == PaymentFlow::Authorization,
        channel,
        answer,
    })
}

/// The scheme and how the token moves.
fn way(asked: &Requirements) -> Result<(&'static str, Method), String> {
    let method = asked.extra.method();
    match (asked.scheme.as_str(), method) {
        (x402::SCHEME_EXACT, Some(AssetTransferMethod::Eip3009)) => Ok((x402::SCHEME_EXACT, Method::Eip3009)),
        (x402::SCHEME_EXACT, Some(AssetTransferMethod::Permit2)) => Ok((x402::SCHEME_EXACT, Method::Permit2)),
        (SCHEME_BATCH, Some(AssetTransferMethod::Eip3009)) => Ok((SCHEME_BATCH, Method::Eip3009)),
        (SCHEME_BATCH, Some(AssetTransferMethod::Permit2)) => Ok((SCHEME_BATCH, Method::Permit2)),
        // It has no other way, whether it says so or not.
        (x402::SCHEME_UPTO, Some(_)) => Ok((x402::SCHEME_UPTO, Method::Permit2)),
        (_, None) => Err("its way to move the token is not known here".to_owned()),
        (other, _) => {
            let scheme: String = other.chars().filter(|c| !c.is_control()).take(32).collect();
            Err(format!("the scheme {scheme} is not known here"))
        }
    }
}

fn facilitator(asked: &Requirements) -> Result<Address, String> {
    let named = asked.extra.get("facilitatorAddress").and_then(Value::as_str);
    let address = named.and_then(|text| text.parse::<Address>().ok());
    address.ok_or_else(|| "an offer of upto must name the facilitator that may carry it".to_owned())
}

/// MPP's `evm` with the intent `charge`.
pub(crate) fn read_mpp(
    wallet: &Wallet,
    challenge: mpp::Challenge,
    body: &[u8],
    now: Timestamp,
) -> Result<ChainOffer, String> {
    let until = challenge.expires_at().map_err(|error| error.to_string())?;
    if let Some(end) = until.filter(|end| *end <= now) {
        return Err(format!("the offer ended {end}; is this machine's clock right?"));
    }
    if challenge.digest.as_deref().is_some_and(|wanted| !digest::matches(wanted, body)) {
        return Err("the offer is for another request body".to_owned());
    }
    let request = evm::Request::of(&challenge).map_err(|error| error.to_string())?;
    if !request.takes_authorization() {
        return Err("it does not take an authorization by EIP-3009".to_owned());
    }
    let details = &request.method_details;
    let asset = Address::from_bytes(request.currency.0);
    let (token, is_own) = known(wallet, ChainId::new(details.chain_id), asset)?;
    if details.decimals.is_some_and(|decimals| decimals != token.decimals) {
        return Err(format!("the offer counts {} with other decimals than {}", token.symbol, token.decimals));
    }
    let pay_to = recipient(wallet, &request.recipient.to_string())?;
    let (units, price) = priced(&token, request.amount.amount(), request.amount.as_str())?;
    Ok(ChainOffer {
        token,
        is_own,
        pay_to,
        units,
        price,
        scheme: x402::SCHEME_EXACT,
        method: Method::Eip3009,
        facilitator: None,
        seconds: u64::MAX,
        is_usual_flow: true,
        channel: None,
        answer: Answer::Mpp { challenge: Box::new(challenge), until },
    })
}

fn known(wallet: &Wallet, chain: ChainId, asset: Address) -> Result<(Token, bool), String> {
    let found = wallet.token(chain, asset).filter(|token| !token.is_blocked);
    let token = found.ok_or_else(|| {
        format!("the token {asset} on {chain} is not known here; `farthing wallet token add` names it")
    })?;
    let is_own = wallet.state.tokens.contains_key(&(chain, asset));
    Ok((token, is_own))
}

fn recipient(wallet: &Wallet, text: &str) -> Result<Address, String> {
    let address: Address = text.parse().map_err(|_| "it names no account to be paid".to_owned())?;
    let own = wallet.account().map_err(|error| error.to_string())?;
    if address.is_zero() || address == own {
        return Err(format!("{address} is nobody who could be paid"));
    }
    Ok(address)
}

fn priced(token: &Token, units: Option<Amount>, text: &str) -> Result<(Amount, u64), String> {
    let units = units.filter(|units| !units.is_zero());
    let price = units.and_then(|units| Some((units, token.counted(units)?)));
    price.ok_or_else(|| format!("the price of {text} minor units of {} cannot be paid", token.symbol))
}
