//! Passes that come with a request: which of them are ours, and which opens what is asked for.

use farthing_engine::{PaymentId, Refusal};
use farthing_wire::upstream::Standing;
use farthing_wire::{Pass, header};
use http::{HeaderMap, Response};

use super::fare::Ridden;
use super::quote::Quote;
use super::refusal::Refused;
use super::upstream::Upstream;
use super::{Answering, Shared, bundle, deliver};
use crate::body::Body;
use crate::limit::{Client, Limited};
use crate::own_header;
use crate::problem;
use crate::rule::Covers;

/// Nobody needs more passes in one request; checking signatures for free is work that anyone could ask for.
const PASSES_MAX: usize = 4;

/// The pass that opens what is asked for: the one that was paid for it before others, and those that can be used up last.
fn opening<'p>(passes: &'p [Pass], quote: &Quote) -> Option<&'p Pass> {
    let covers = |pass: &&Pass| {
        let Some(bought) = &pass.bought else { return false };
        bought.uses.is_none()
            && Covers::of(bought).is_some_and(|covers| quote.place.is_covered(&covers, &quote.method))
    };
    let paid = passes.iter().find(|pass| pass.bought.is_none() && pass.scope == quote.scope);
    paid.or_else(|| passes.iter().find(covers))
}

/// What opens a request without a payment.
pub(super) struct Opened {
    /// What has paid for it, as far as it is one payment.
    payment: Option<PaymentId>,
    /// The pass that single payments have paid, if it is theirs.
    earned: Option<Box<Pass>>,
}

impl Shared {
    /// Looks for a pass, or a fare that is paid, that opens what is asked for. A fare that is not paid lowers the price, and a
    /// pass lets the next one last longer.
    pub(super) fn opened(
        &self,
        quote: &mut Quote,
        headers: &HeaderMap,
        (client, pays): (Option<&Client>, bool),
    ) -> Result<Option<Opened>, Refused> {
        let passes = self.passes(headers, client)?;
        if let Some(sale) = &mut quote.sale {
            sale.extend(&passes);
        } else if let Some(pass) = opening(&passes, quote) {
            return Ok(Some(Opened { payment: pass.payment.parse().ok(), earned: None }));
        } else {
            quote.bundles = bundle::covering(passes, quote);
        }
        match self.ride(quote, headers, (client, pays))? {
            Ridden::Priced => Ok(None),
            Ridden::Paid(earned) => {
                Ok(Some(Opened { payment: earned.payment.parse().ok(), earned: Some(earned) }))
            }
        }
    }

    /// Serves what is opened, with the pass that was earned.
    pub(super) async fn serve_opened<S: Upstream>(
        &self,
        answering: Answering<S>,
        opened: Opened,
    ) -> Response<Body> {
        let secure = answering.quote.url.starts_with("https:");
        let mut response = self.serve_pass(answering, opened.payment).await;
        if let Some(pass) = opened.earned {
            self.put_paid(response.headers_mut(), (&pass, secure), (self.config.clock)());
        }
        response
    }

    /// The passes that a request brings, as far as they are ours, last, and were not given back.
    pub(super) fn passes(&self, headers: &HeaderMap, client: Option<&Client>) -> Result<Vec<Pass>, Refused> {
        Ok(self.not_refunded(self.genuine_passes(headers, client)?).map_err(Refusal::Fault)?)
    }

    /// The passes that a request brings, as far as they are ours and last.
    pub(super) fn genuine_passes(
        &self,
        headers: &HeaderMap,
        client: Option<&Client>,
    ) -> Result<Vec<Pass>, Limited> {
        let fields = headers.get_all(header::FARTHING_PASS).iter().filter_map(|value| value.to_str().ok());
        let passes: Vec<&str> = fields.chain(own_header::pass_cookies(headers)).take(PASSES_MAX).collect();
        if passes.is_empty() {
            return Ok(Vec::new());
        }
        let mut work = self.config.crypto.limiter().begin(client, passes.len())?;
        let now = (self.config.clock)();
        let genuine: Vec<Pass> =
            passes.iter().filter_map(|text| Pass::verify(text, &self.verifying, now).ok()).collect();
        if genuine.is_empty() {
            work.cost(passes.len());
        } else {
            work.genuine();
        }
        Ok(genuine)
    }

    /// Serves who comes back: nothing is charged.
    pub(super) async fn serve_pass<S: Upstream>(
        &self,
        answering: Answering<S>,
        payment: Option<PaymentId>,
    ) -> Response<Body> {
        let price = answering.quote.price;
        let note =
            payment.and_then(|payment| self.note(&answering.quote, payment, Standing::Pass, price, None));
        match answering.call(note).await {
            Ok(mut response) => {
                own_header::remove_from_answer(response.headers_mut());
                deliver::keep_private(response.headers_mut());
                response
            }
            Err(error) => problem::answer(&problem::of_upstream_again(&error)),
        }
    }
}
