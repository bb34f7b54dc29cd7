//! What would be paid, for those who only ask: by the offer that would be taken, or by each of them.

use farthing_money::{Money, Timestamp};

use super::{Flow, PayRequest, answer_of, done};
use crate::address::Address;
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, Read, Step};
use crate::offer::{Choice, Means, Terms, survey};
use crate::outcome::{LimitUse, Offers, Outcome, Quote, Verdict};
use crate::unit::money;
use crate::wallet::Wallet;

/// What is told beside the offer.
pub(crate) struct Told {
    pub(crate) deposit: Option<Money>,
    pub(crate) set_aside: Money,
    pub(crate) limits: Vec<LimitUse>,
    pub(crate) verdict: Verdict,
}

/// The offer that would be taken, as a quote.
pub(crate) fn quote(url: String, choice: Choice, told: Told) -> Result<Quote, WalletError> {
    let Told { deposit, set_aside, limits, verdict } = told;
    Ok(match choice {
        Choice::Credits(chosen) => Quote {
            url,
            price: money(chosen.unit, chosen.price)?,
            dialect: chosen.dialect().to_owned(),
            mint: Some(chosen.mint),
            on_chain: None,
            deposit: None,
            set_aside,
            limits,
            verdict,
        },
        Choice::Chain(offer) => Quote {
            url,
            price: money(offer.unit(), offer.price)?,
            dialect: offer.dialect().to_owned(),
            mint: None,
            on_chain: Some(offer.on_chain()),
            deposit,
            set_aside,
            limits,
            verdict,
        },
    })
}

/// Asks for all that a 402 offers, and pays nothing. No pass is shown: the price is asked for, not the page.
pub struct QuoteFlow {
    request: PayRequest,
    address: Address,
    means: Option<Means>,
    may_sign: bool,
    is_asked: bool,
}

impl QuoteFlow {
    /// A flow for a request. `may_sign` says whether there is a wallet whose account could pay on a chain.
    pub fn new(request: PayRequest, means: Option<Means>, may_sign: bool) -> Result<Self, WalletError> {
        let address = Address::safe(&request.url)?;
        Ok(Self { request, address, means, may_sign, is_asked: false })
    }
}

impl Flow for QuoteFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let PayRequest { method, headers, body, .. } = &self.request;
        let url = self.address.to_string();
        if !self.is_asked {
            self.is_asked = true;
            let (method, headers, body) = (method.clone(), headers.clone(), body.clone());
            return Ok(Step::Send(HttpRequest { method, url, headers, body, read: Read::Problem }));
        }
        let answer = match event {
            Event::NoAnswer(reason) => {
                return Err(WalletError::Unreachable { whom: self.address.origin(), reason });
            }
            event => answer_of(&self.address.origin(), event)?,
        };
        let (status, mut found) = (answer.status, (Vec::new(), Vec::new()));
        if status == 402 {
            let (host, opens) = (self.address.host(), wallet.channel_policy().opens);
            let terms = Terms { means: self.means, asset: None, may_sign: self.may_sign, opens, host: &host };
            found = survey(wallet, &answer, body, terms, now)?;
        }
        let (offers, unread) = found;
        Ok(done(Outcome::Offers(Box::new(Offers { url, status, offers, unread }))))
    }
}
