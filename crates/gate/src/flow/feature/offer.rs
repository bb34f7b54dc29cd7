//! What the seller's software is told when a use is refused: how it may be paid for, or what else to do.

use farthing_engine::{Mode, Refusal, Reject, UseReject};
use farthing_wire::header;
use farthing_wire::problem::{PaymentAuthType, Problem};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response};
use serde_json::json;

use super::UseAsked;
use crate::body::Body;
use crate::flow::challenge::append;
use crate::flow::quote::Quote;
use crate::flow::refusal::{Kind, Refused};
use crate::flow::{Shared, offered};
use crate::problem;

impl Shared {
    /// Nothing is authorized for want of a payment, or for what came instead of one.
    pub(super) fn use_unpaid(&self, asked: &UseAsked, refused: Option<&Refused>) -> Response<Body> {
        let paused = self.config.read.books().is_ok_and(|books| books.mode == Mode::Paused);
        let paused = paused.then_some(Refused::Engine(Refusal::Reject(Reject::Paused)));
        let refused = refused.or(paused.as_ref());
        let payable = refused.is_none_or(|refused| {
            matches!(refused.kind(), Kind::Invalid | Kind::Unsupported | Kind::Over)
                && !matches!(refused, Refused::Engine(Refusal::Reject(Reject::Use(_))))
        });
        let Some(quote) = asked.quote().filter(|_| payable) else {
            let refusal = || Refused::Engine(Refusal::Reject(Reject::NotLoaded));
            return use_refused(refused.unwrap_or(&refusal()));
        };
        let (name, price) = (&asked.feature.name, quote.price);
        let problem = match refused {
            Some(refused) => refused.problem(false),
            None => Problem::new(
                "payment-required",
                402,
                "Payment Required",
                format!("A use of {name} costs {price}."),
            )
            .of_type(PaymentAuthType::PaymentRequired)
            .expected(format!("a credential worth {price}"))
            .got("none")
            .next("hand the offers of this answer on to whoever pays, and ask again with the credential"),
        };
        self.use_offers(problem, name, &quote)
    }

    /// The answer with every offer, in its fields and in its body.
    fn use_offers(&self, problem: Problem, name: &str, quote: &Quote) -> Response<Body> {
        let now = (self.config.clock)();
        let mut fields = Vec::new();
        self.add_cashu_requests(quote, &mut fields);
        match self.mpp_challenge(quote, quote.price, None, now) {
            Ok((_, text)) => fields.push((header::WWW_AUTHENTICATE, text)),
            Err(error) => tracing::error!(%error, "an MPP challenge cannot be written"),
        }
        let offers: Vec<_> =
            fields.iter().map(|(name, value)| json!({ "header": name, "value": value })).collect();
        let problem = problem
            .with("allowed", false)
            .with("feature", name)
            .with("price", offered::priced(quote.price))
            .with("offers", offers);
        let mut response = problem::answer(&problem);
        append(response.headers_mut(), fields);
        response
    }
}

/// The answer to what no offer helps with.
pub(super) fn use_refused(refused: &Refused) -> Response<Body> {
    if let Refused::Engine(Refusal::Reject(Reject::Use(reject))) = refused {
        return problem::answer(&of_use(reject));
    }
    let mut response = problem::answer(&refused.problem(false).with("allowed", false));
    let secs = match refused.kind() {
        Kind::Conflict => Some(1),
        Kind::Limited(span) | Kind::Unavailable(span) | Kind::Later(span) => {
            Some(span.millis().div_ceil(1_000).max(1))
        }
        _ => None,
    };
    response.headers_mut().extend(secs.map(|secs| (RETRY_AFTER, HeaderValue::from(secs))));
    response
}

/// A refusal that is about the authorization itself.
fn of_use(reject: &UseReject) -> Problem {
    let (status, title, next) = match reject {
        UseReject::Unknown(_) => (404, "No such authorization", "authorize the feature first"),
        UseReject::Over(_) => (410, "Over", "authorize the feature again"),
        UseReject::Committed(_) => (409, "Committed before", "look at the authorization as it stands"),
        UseReject::Elsewhere(_) => {
            (422, "Idempotency-Key used before", "send the same request, or another Idempotency-Key")
        }
        UseReject::Exceeded { .. } => (422, "Too much", "commit at most what is held"),
    };
    Problem::new(reject.code(), status, title, reject.to_string()).next(next)
}
