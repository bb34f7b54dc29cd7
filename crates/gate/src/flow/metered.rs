//! What an answer has cost: the price, or what was counted of it. What is known before the answer goes out is charged before;
//! what is counted while it flows goes to the [stream](super::stream).

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use farthing_engine::Exchange;
use farthing_money::{Amount, Money};
use farthing_wire::{MeterEnd, MeterField, Problem, header};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::json;

use super::Shared;
use super::end::{Funding, Held};
use super::pieces::Followed;
use super::quote::Quote;
use crate::body::Body;
use crate::meter::{Count, Counted, Meter, Tally, is_plain, number_at};
use crate::own_header::{self, FARTHING_CHARGE};
use crate::problem;
use crate::proxy::UpstreamError;

/// What an answer comes to.
pub(super) enum Reckoned {
    /// So much, and this is told of its meter.
    Now(Response<Body>, Money, Option<MeterField>),
    /// It is known once the body has flowed.
    Flows(Response<Body>, Arc<Meter>, Tally),
}

impl Held {
    /// What is charged at the most, in the asset of the rule's price.
    pub(super) fn agreed(&self) -> Money {
        self.row.merchant.exchange().map_or(self.price, Exchange::price)
    }

    /// What a cost in the asset of the price comes to in what is paid.
    pub(super) fn paid_for(&self, cost: Amount) -> Money {
        let paid = self.row.merchant.exchange().map_or(cost, |exchange| exchange.charge_for(cost));
        self.price.asset().money(paid.min(self.price.amount()))
    }

    /// What an upstream says in `Farthing-Cost`, in the asset of the price.
    fn cost(&self, text: &str) -> Option<Amount> {
        let asset = self.agreed().asset();
        let decimal = text.strip_suffix(asset.code().as_str()).map_or(text, str::trim_end);
        Money::from_decimal(decimal, asset).ok().map(|cost| cost.amount())
    }

    fn is_in_credits(&self) -> bool {
        matches!(self.funding, Funding::Credits { .. })
    }
}

/// Whether an answer is a stream of events.
pub(super) fn is_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}

/// Whether what is counted is counted while this answer flows.
fn flows(meter: &Meter, answer: &HeaderMap) -> bool {
    match &meter.count {
        Count::Bytes | Count::Seconds => true,
        Count::Rows => is_plain(answer),
        Count::Events | Count::Json(_) => is_plain(answer) && is_events(answer),
        Count::Cost | Count::Header(_) | Count::Segments => false,
    }
}

impl Shared {
    /// Counts what an answer has cost. The answer is another one if nothing is charged for it.
    pub(super) async fn reckon(
        &self,
        held: &Held,
        meter: Option<&Arc<Meter>>,
        response: Response<Body>,
    ) -> Result<Reckoned, Response<Body>> {
        let Some(meter) = meter else {
            let charged = held.charge_for(response.headers());
            return Ok(Reckoned::Now(response, charged, None));
        };
        let tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !tunnel
            && flows(meter, response.headers())
            && let Some(tally) = Tally::of(meter)
        {
            return Ok(Reckoned::Flows(response, Arc::clone(meter), tally));
        }
        let (response, counted) = match &meter.count {
            Count::Json(path) if is_plain(response.headers()) => {
                let (response, text) = whole(response, meter).await?;
                let count = text.and_then(|text| number_at(&text, path));
                (response, count.map_or(Counted::Unread, Counted::So))
            }
            _ => {
                let counted = meter.in_head(response.headers(), |text| held.cost(text));
                (response, counted)
            }
        };
        let most = held.agreed().amount();
        let cost = meter.charge_for(counted, most);
        let (count, end) = match counted {
            Counted::So(count) if meter.charge(count, Amount::MAX) > most => (Some(count), MeterEnd::Ceiling),
            Counted::So(count) => (Some(count), MeterEnd::Whole),
            Counted::Cost(cost) => (Some(cost.value()), MeterEnd::Whole),
            Counted::Unread => {
                let (count, unread) = (meter.count.to_string(), meter.unread.as_str());
                tracing::error!(payment = %held.payment, count, charged = unread, "expected a count in the answer, got none");
                (None, MeterEnd::Unread)
            }
        };
        let field = meter.field(most, count, Some(end));
        let charged = held.paid_for(cost);
        if charged.amount().is_zero() && held.is_in_credits() {
            return Err(for_nothing(response, &field));
        }
        Ok(Reckoned::Now(response, charged, Some(field)))
    }
}

/// An answer that was delivered and has cost nothing: the credits stay what they were.
fn for_nothing(mut response: Response<Body>, field: &MeterField) -> Response<Body> {
    let headers = response.headers_mut();
    own_header::remove_from_answer(headers);
    headers.insert(FARTHING_CHARGE, HeaderValue::from_static("none"));
    put_meter(headers, field);
    response
}

/// Says in a 402 what is counted.
pub(super) fn in_problem(problem: Problem, quote: &Quote) -> Problem {
    let Some(meter) = &quote.meter else { return problem };
    let told = json!({
        "count": meter.count.to_string(),
        "each": meter.each.to_string(),
        "per": meter.per,
        "least": meter.asset().money(meter.least).to_string(),
        "most": quote.price.to_string(),
    });
    problem.with("meter", told)
}

/// The same in a field.
pub(super) fn put_asked(headers: &mut HeaderMap, quote: &Quote) {
    if let Some(meter) = &quote.meter {
        put_meter(headers, &meter.field(quote.price.amount(), None, None));
    }
}

/// Says what was counted.
pub(super) fn put_meter(headers: &mut HeaderMap, field: &MeterField) {
    if let Ok(value) = HeaderValue::try_from(field.to_string()) {
        headers.insert(header::FARTHING_METER, value);
    }
}

/// Reads a whole answer, up to what is read at the most; a longer one goes on unread. One that breaks off was not delivered.
async fn whole(
    response: Response<Body>,
    meter: &Meter,
) -> Result<(Response<Body>, Option<Bytes>), Response<Body>> {
    let most = usize::try_from(meter.read_most).unwrap_or(usize::MAX);
    let (parts, mut body) = response.into_parts();
    let (mut text, mut trailers) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(bytes)) => text.extend_from_slice(&bytes),
            Ok(Err(other)) => trailers = Some(other),
            Err(error) => {
                return Err(problem::answer(&problem::of_upstream(&UpstreamError::Reset(error))));
            }
        }
        if text.len() > most {
            let read = Frame::data(text.freeze());
            let body = Body::boxed(Followed { read: [read].into(), rest: body });
            return Ok((Response::from_parts(parts, body), None));
        }
    }
    let text = text.freeze();
    let body = match trailers {
        None => Body::from(text.clone()),
        Some(trailers) => {
            let read = [Frame::data(text.clone()), trailers].into();
            Body::boxed(Followed { read, rest: Body::empty() })
        }
    };
    Ok((Response::from_parts(parts, body), Some(text)))
}
