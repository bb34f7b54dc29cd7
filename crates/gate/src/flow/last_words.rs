//! What a stream says at its end: what was charged, the change, and why it ends. Events have a last event, other bodies have
//! trailers; who gets neither asks for the payment.

use farthing_money::Amount;
use farthing_wire::{Problem, header, last_event};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use serde_json::{Map, Value, json};
use thiserror::Error;
use tokio::sync::mpsc;

use super::deliver::Posted;
use super::end::Charged;
use super::metered::put_meter;
use super::pieces::Piece;
use super::refusal::Refused;
use super::stream::{End, Pump};
use crate::body::Body;
use crate::own_header::FARTHING_CHARGE;
use crate::problem;

/// Why a body breaks off that its upstream has not ended.
#[derive(Debug, Error)]
#[error("what was set aside for the answer is used up")]
struct CutOff;

impl Pump {
    /// Says what has come of it, as far as somebody listens.
    pub(super) async fn tell(
        &self,
        sender: mpsc::Sender<Piece>,
        end: End,
        charged: Result<Option<Charged>, Refused>,
        mut trailers: HeaderMap,
    ) {
        let (words, row) = self.words(&end, charged);
        let problem = self.problem(&end, &words);
        tracing::info!(
            payment = %self.streamed.held.payment, counted = %self.count(), end = end.word().as_str(), "a stream has ended"
        );
        if let End::Unwritten(refused) = &end {
            tracing::error!(%refused, payment = %self.streamed.held.payment, "what has flowed cannot be written down");
        }
        trailers.extend(words.clone());
        if self.is_events {
            let text = event(&words, problem.as_ref(), row);
            let _ = sender.send(Ok(Frame::data(text.into()))).await;
        }
        let last: Option<Piece> = match end {
            End::Whole => Some(Ok(Frame::trailers(trailers))),
            End::Ceiling if self.is_events => Some(Ok(Frame::trailers(trailers))),
            End::Ceiling | End::Unwritten(_) => Some(Err(CutOff.into())),
            End::Broken(error) => Some(Err(error)),
            End::Left => None,
        };
        if let Some(last) = last {
            let _ = sender.send(last).await;
        }
    }

    /// What is said in header fields.
    fn words(&self, end: &End, charged: Result<Option<Charged>, Refused>) -> (HeaderMap, Option<Amount>) {
        let streamed = &self.streamed;
        let mut response = Response::new(Body::empty());
        let mut sum = None;
        match charged {
            Ok(Some((row, signatures))) => {
                let (payment, dialect) = (streamed.held.payment, streamed.dialect);
                let channel = streamed.held.channel().map(|paid| (paid, true));
                sum = Some(row.charged);
                let posted = Posted { payment, row: &row, signatures, dialect, channel };
                let now = (self.shared.config.clock)();
                self.shared.deliver(&mut response, &streamed.quote, posted, now);
            }
            Ok(None) => {
                response.headers_mut().insert(FARTHING_CHARGE, HeaderValue::from_static("none"));
                sum = Some(Amount::ZERO);
            }
            Err(refused) => {
                tracing::error!(%refused, payment = %streamed.held.payment, "what a stream has come to is not charged yet");
            }
        }
        let mut words = HeaderMap::new();
        for name in [
            header::FARTHING_RECEIPT,
            header::PAYMENT_RECEIPT,
            header::PAYMENT_RESPONSE,
            header::X_CASHU,
            FARTHING_CHARGE,
        ] {
            if let (Ok(field), Some(value)) = (name.parse::<http::HeaderName>(), response.headers().get(name))
            {
                words.insert(field, value.clone());
            }
        }
        put_meter(&mut words, &streamed.meter.field(self.most(), Some(self.count()), Some(end.word())));
        (words, sum)
    }

    /// Why it ends before its upstream has ended it.
    fn problem(&self, end: &End, words: &HeaderMap) -> Option<Problem> {
        let money = self.streamed.meter.asset().money(self.most());
        match end {
            End::Whole | End::Left => None,
            End::Ceiling => {
                let meter = words.get(header::FARTHING_METER).and_then(|value| value.to_str().ok());
                Some(problem::of_ceiling(&money.to_string(), meter.unwrap_or_default()))
            }
            End::Broken(_) => Some(problem::of_broken_stream()),
            End::Unwritten(_) => Some(problem::broken()),
        }
    }
}

/// The last event.
fn event(words: &HeaderMap, problem: Option<&Problem>, charged: Option<Amount>) -> String {
    let text = |name: &str| words.get(name).and_then(|value| value.to_str().ok()).map(Value::from);
    let mut members = Map::new();
    members.insert("charged".to_owned(), json!(charged));
    for (member, name) in [
        ("meter", header::FARTHING_METER),
        ("receipt", header::FARTHING_RECEIPT),
        ("paymentReceipt", header::PAYMENT_RECEIPT),
        ("paymentResponse", header::PAYMENT_RESPONSE),
        ("change", header::X_CASHU),
    ] {
        members.extend(text(name).map(|value| (member.to_owned(), value)));
    }
    let problem = problem.and_then(|problem| serde_json::from_str::<Value>(&problem.to_json()).ok());
    members.extend(problem.map(|problem| ("problem".to_owned(), problem)));
    last_event::write(&Value::Object(members).to_string())
}
