//! Chooses among the offers of a 402: one that can be understood, is not over, and is payable with credits at hand, or else
//! on a chain.

use farthing_money::{AssetCode, Timestamp, Unit};
use farthing_wire::cashu::PaymentRequest;
use farthing_wire::mpp::{self, credit, evm};
use farthing_wire::{Challenge, Offer, digest};

use crate::address::mint_address;
use crate::chain::offer::{self as on_chain, ChainOffer};
use crate::channel::lane::{self, NoLane};
use crate::error::WalletError;
use crate::flow::funds_short;
use crate::http::HttpResponse;
use crate::outcome::SeenOffer;
use crate::state::State;
use crate::unit::{asset_of, counts, money};
use crate::wallet::Wallet;

/// What pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Credits.
    Credits,
    /// A token on a chain.
    Chain,
}

/// What may be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms<'a> {
    /// What alone may pay; otherwise credits do if there are enough, and a chain if not.
    pub(crate) means: Option<Means>,
    /// In what alone it may be paid.
    pub(crate) asset: Option<AssetCode>,
    /// Whether anything may be signed for a chain.
    pub(crate) may_sign: bool,
    /// Whether a channel may be opened or filled up.
    pub(crate) opens: bool,
    /// Who is paid.
    pub(crate) host: &'a str,
}

/// The offer that is taken.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    Credits(Box<Chosen>),
    Chain(Box<ChainOffer>),
}

/// An offer that is paid with credits.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// The mint, as the wallet names it.
    pub(crate) mint: String,
    /// The mint, as the offer names it.
    pub(crate) mint_text: String,
    pub(crate) unit: Unit,
    pub(crate) price: u64,
    /// The challenge that a credential answers; a bare Cashu token answers none.
    pub(crate) challenge: Option<Box<mpp::Challenge>>,
}

impl Chosen {
    /// Whether less than the price may be charged.
    pub(crate) fn is_metered(&self) -> bool {
        let request = self.challenge.as_deref().map(credit::Request::of);
        request.is_some_and(|request| request.is_ok_and(|request| request.method_details.metered))
    }

    /// The dialect's name, as receipts write it.
    pub(crate) fn dialect(&self) -> &'static str {
        if self.challenge.is_some() { "mpp" } else { "cashu" }
    }
}

/// What an offer asks for, once it is understood.
struct Asked {
    price: u64,
    unit: Unit,
    /// As the offer names them; none means any.
    mints: Vec<String>,
    challenge: Option<Box<mpp::Challenge>>,
}

/// The offers that are understood, and why each other is not.
#[derive(Default)]
struct Understood {
    credits: Vec<Asked>,
    chain: Vec<ChainOffer>,
    reasons: Vec<String>,
}

impl Understood {
    fn of(wallet: &Wallet, answer: &HttpResponse, body: &[u8], now: Timestamp) -> Self {
        let mut found = Self::default();
        let fields = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let mut is_today = false;
        for offer in Challenge::from_fields(fields).offers {
            match offer {
                Offer::Mpp(challenge) if evm::is_evm_charge(&challenge) => {
                    found.chain([on_chain::read_mpp(wallet, challenge, body, now)]);
                }
                Offer::Mpp(challenge) => found.credits(read_mpp(challenge, body, now)),
                Offer::Cashu(request) => found.credits(read_cashu(request)),
                Offer::X402(required) => {
                    is_today = true;
                    found.chain(on_chain::read_x402(wallet, &required));
                }
            }
        }
        if !is_today {
            found.chain(on_chain::read_v1(wallet, &answer.body));
        }
        found.credits.sort_by_key(|asked| asked.challenge.is_none());
        found.chain.sort_by(ChainOffer::compare);
        found
    }

    /// Without what is asked for in other assets, if one alone may pay.
    fn only_in(mut self, asset: Option<AssetCode>) -> Self {
        if let Some(asset) = asset {
            let reasons = &mut self.reasons;
            self.credits.retain(|asked| is_in(asset, asked.unit, reasons));
            self.chain.retain(|offer| is_in(asset, offer.unit(), reasons));
        }
        self
    }

    fn credits(&mut self, read: Result<Asked, String>) {
        match read {
            Ok(asked) => self.credits.push(asked),
            Err(reason) => self.reasons.push(reason),
        }
    }

    fn chain(&mut self, read: impl IntoIterator<Item = Result<ChainOffer, String>>) {
        for one in read {
            match one {
                Ok(offer) => self.chain.push(offer),
                Err(reason) => self.reasons.push(reason),
            }
        }
    }
}

/// Whether a unit counts an asset; if not, why that is of no use, once.
fn is_in(asset: AssetCode, unit: Unit, reasons: &mut Vec<String>) -> bool {
    let is_in = counts(unit, asset);
    if !is_in {
        let found = asset_of(unit).map_or_else(|| unit.to_string(), |found| found.code().to_string());
        let reason = format!("it could be paid in {found}, but only {asset} may pay");
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    is_in
}

/// The offer to take. Of credits MPP comes before Cashu, because it gives change; then the mint with the most credits. A chain
/// comes after them, unless it is asked for.
pub(crate) fn choose(
    wallet: &Wallet,
    url: &str,
    answer: &HttpResponse,
    body: &[u8],
    terms: Terms<'_>,
    now: Timestamp,
) -> Result<Choice, WalletError> {
    let Understood { credits, chain, mut reasons } =
        Understood::of(wallet, answer, body, now).only_in(terms.asset);
    let may = |means| terms.means.is_none_or(|only| only == means);
    if may(Means::Credits) {
        let payable = credits.iter().find_map(|asked| {
            let (mint, mint_text, have) = richest(&wallet.state, asked, now)?;
            let Asked { price, unit, ref challenge, .. } = *asked;
            (have >= price).then(|| Chosen { mint, mint_text, unit, price, challenge: challenge.clone() })
        });
        if let Some(chosen) = payable {
            return Ok(Choice::Credits(Box::new(chosen)));
        }
    }
    let (mut rejected, mut payable) = (None, Vec::new());
    for offer in chain {
        match is_payable(wallet, &offer, terms, now) {
            Ok(()) => payable.push(offer),
            Err(no) => {
                reasons.push(no.reason());
                if let NoLane::Limit(reject) = no {
                    rejected.get_or_insert(reject);
                }
            }
        }
    }
    match payable.into_iter().next() {
        Some(offer) if may(Means::Chain) && terms.may_sign => return Ok(Choice::Chain(Box::new(offer))),
        Some(_) if may(Means::Chain) => {
            reasons.push("no wallet is here whose account could pay on a chain".to_owned());
        }
        Some(_) => reasons.push("a chain could pay it, but only credits may".to_owned()),
        // Only a limit stands in the way, and nobody should look for another reason.
        None if may(Means::Chain) && terms.may_sign && credits.is_empty() => {
            if let Some(reject) = rejected {
                return Err(WalletError::Budget(reject));
            }
        }
        None => {}
    }
    match credits.first() {
        Some(asked) if may(Means::Credits) => {
            let mints: Vec<_> = asked.mints.iter().filter_map(|mint| mint_address(mint).ok()).collect();
            return Err(funds_short(wallet, &mints, asked.unit, asked.price, now)?);
        }
        Some(_) => reasons.push("credits could pay it, but only a chain may".to_owned()),
        None => {}
    }
    let none = "it names no way at all, or none that can be read".to_owned();
    let reasons = if reasons.is_empty() { none } else { reasons.join("; ") };
    Err(WalletError::NoOffer { url: url.to_owned(), reasons })
}

/// Every way in which credits of the mints that are known here could pay, whether or not there are any.
pub(crate) fn of_credits(
    wallet: &Wallet,
    answer: &HttpResponse,
    body: &[u8],
    asset: Option<AssetCode>,
    now: Timestamp,
) -> Vec<Chosen> {
    let Understood { credits, .. } = Understood::of(wallet, answer, body, now).only_in(asset);
    let chosen = credits.iter().flat_map(|asked| {
        known_mints(&wallet.state, asked).into_iter().map(|(mint, mint_text)| {
            let Asked { price, unit, ref challenge, .. } = *asked;
            Chosen { mint, mint_text, unit, price, challenge: challenge.clone() }
        })
    });
    chosen.collect()
}

/// Every offer that is understood, with what keeps this wallet from paying it, and why each other is not understood.
pub(crate) fn survey(
    wallet: &Wallet,
    answer: &HttpResponse,
    body: &[u8],
    terms: Terms<'_>,
    now: Timestamp,
) -> Result<(Vec<SeenOffer>, Vec<String>), WalletError> {
    let Understood { credits, chain, reasons } = Understood::of(wallet, answer, body, now);
    let only = |means| terms.means.is_some_and(|only| only != means);
    let mut offers = Vec::new();
    for asked in credits {
        let have = richest(&wallet.state, &asked, now).map(|(_, _, have)| have).unwrap_or_default();
        let hindrance = if only(Means::Credits) {
            Some("only a chain may pay".to_owned())
        } else if have < asked.price {
            Some(format!("{} is there of credits that are taken", money(asked.unit, have)?))
        } else {
            None
        };
        let dialect = if asked.challenge.is_some() { "mpp" } else { "cashu" }.to_owned();
        let price = money(asked.unit, asked.price)?;
        offers.push(SeenOffer { price, dialect, mints: asked.mints, on_chain: None, hindrance });
    }
    for offer in chain {
        let hindrance = if only(Means::Chain) {
            Some("only credits may pay".to_owned())
        } else if terms.may_sign {
            is_payable(wallet, &offer, terms, now).err().map(|no| no.reason())
        } else {
            Some("no wallet is here whose account could pay on a chain".to_owned())
        };
        let (price, dialect) = (money(offer.unit(), offer.price)?, offer.dialect().to_owned());
        offers.push(SeenOffer {
            price,
            dialect,
            mints: Vec::new(),
            on_chain: Some(offer.on_chain()),
            hindrance,
        });
    }
    Ok((offers, reasons))
}

/// Whether an offer can be paid: one that takes channels only if one is there, or may be opened.
fn is_payable(wallet: &Wallet, offer: &ChainOffer, terms: Terms<'_>, now: Timestamp) -> Result<(), NoLane> {
    if offer.channel.is_none() || !terms.may_sign {
        return Ok(());
    }
    lane::find(wallet, offer, terms.host, terms.opens, now).map(|_| ())
}

/// The mints of an offer that are known here, by their own name and by the offer's.
fn known_mints(state: &State, asked: &Asked) -> Vec<(String, String)> {
    if asked.mints.is_empty() {
        return state.mints.keys().map(|mint| (mint.clone(), mint.clone())).collect();
    }
    let named = asked.mints.iter().filter_map(|text| Some((mint_address(text).ok()?, text.clone())));
    named.filter(|(mint, _)| state.mints.contains_key(mint)).collect()
}

/// The mint among those of an offer at which the wallet has the most, by its own name and by the offer's.
fn richest(state: &State, asked: &Asked, now: Timestamp) -> Option<(String, String, u64)> {
    let rich = known_mints(state, asked).into_iter().map(|(mint, text)| {
        let have = state.free_total(&mint, asked.unit, now.secs());
        (mint, text, have)
    });
    rich.max_by_key(|(_, _, have)| *have)
}

fn read_mpp(challenge: mpp::Challenge, body: &[u8], now: Timestamp) -> Result<Asked, String> {
    if !credit::is_credit_charge(&challenge) {
        let method = &challenge.method;
        return Err(format!("the method {method} with the intent {} is not known here", challenge.intent));
    }
    if let Some(end) = challenge.expires_at().ok().flatten().filter(|end| *end <= now) {
        return Err(format!("the offer ended {end}; is this machine's clock right?"));
    }
    if challenge.digest.as_deref().is_some_and(|wanted| !digest::matches(wanted, body)) {
        return Err("the offer is for another request body".to_owned());
    }
    let request = credit::Request::of(&challenge).map_err(|error| error.to_string())?;
    let unit = request.currency;
    let details = request.method_details;
    let asset = asset_of(unit).ok_or_else(|| format!("the unit {unit} is not known here"))?;
    if asset.scale() != details.decimals || asset.code() != details.asset {
        return Err(format!(
            "the offer calls {unit} {} with {} decimals, but it is {} with {}",
            details.asset,
            details.decimals,
            asset.code(),
            asset.scale()
        ));
    }
    if request.mints.is_empty() {
        return Err("the offer names no mint".to_owned());
    }
    let price = request.amount.to_u64().filter(|price| *price > 0);
    let price = price.ok_or_else(|| format!("the price of {} cannot be paid", request.amount))?;
    Ok(Asked { price, unit, mints: request.mints, challenge: Some(Box::new(challenge)) })
}

fn read_cashu(request: PaymentRequest) -> Result<Asked, String> {
    if request.nut10.is_some() {
        return Err("the Cashu request wants locked credits, which this wallet does not make".to_owned());
    }
    if !request.transports.is_empty() {
        return Err("the Cashu request wants to be paid outside of HTTP".to_owned());
    }
    let price = request.amount.filter(|price| *price > 0).ok_or("the Cashu request names no amount")?;
    let unit = request.unit.as_deref().unwrap_or_default();
    let unit: Unit = unit.parse().map_err(|_| format!("the unit {unit:?} is not known here"))?;
    Ok(Asked { price, unit, mints: request.mints, challenge: None })
}
