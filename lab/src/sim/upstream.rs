//! The web server behind the gate: mostly it does what it is paid for, sometimes it is slow, fails, breaks or panics.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ed25519_dalek::{SigningKey, VerifyingKey};
use farthing_engine::PaymentId;
use farthing_gate::{Body, UpstreamError};
use farthing_money::Span;
use farthing_wire::upstream::Standing;
use farthing_wire::{PaymentNote, header};
use http::{HeaderValue, Request, Response, StatusCode};
use tower::Service;

use super::server::Surroundings;

/// The first word of everything that costs something.
pub const CONTENT: &str = "content";

/// How long the gate waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The service.
#[derive(Clone)]
pub struct Upstream {
    around: Surroundings,
    gate: VerifyingKey,
}

impl Upstream {
    /// One that believes the gate's notes.
    pub fn new(around: Surroundings, gate: &SigningKey) -> Self {
        Self { around, gate: gate.verifying_key() }
    }

    /// What an answer has cost that a channel pays for: mostly the price, at times less or nothing, or more than was agreed.
    fn cost(&self, payment: PaymentId) -> Option<String> {
        let price = u64::try_from(self.around.bookkeeper.book().channels.price(payment)?).ok()?;
        let mut dice = self.around.chance.dice();
        let micro = match dice.below(100) {
            0..60 => return None,
            60..85 => dice.within(1..=price.max(1)),
            85..95 => 0,
            _ => price.saturating_add(dice.within(1..=500)),
        };
        Some(format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000))
    }

    /// What was paid for is done; in a word how it came to be let through.
    fn is_done(&self, payment: PaymentId, standing: Standing) -> &'static str {
        let mut book = self.around.bookkeeper.book();
        match standing {
            Standing::Held => {
                book.succeeded(payment);
                "held"
            }
            Standing::Free => {
                book.gave();
                "free"
            }
            Standing::Pass => "pass",
            Standing::Session => "session",
            Standing::Teaser => "teaser",
        }
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, UpstreamError> {
        if self.around.disk.is_off() {
            pending::<Infallible>().await;
        }
        let note = request.headers().get(header::FARTHING_PAYMENT).and_then(|value| value.to_str().ok());
        let note = note.and_then(|text| {
            PaymentNote::verify(text, &self.gate, self.around.time.now(), Span::from_secs(86_400)).ok()
        });
        let paid =
            note.as_ref().and_then(|note| Some((note.payment.parse::<PaymentId>().ok()?, note.standing)));
        if let Some((payment, Standing::Held)) = paid {
            self.around.bookkeeper.book().asks(payment);
        }
        let (mood, millis) = {
            let mut dice = self.around.chance.dice();
            let mood = dice.below(100);
            (
                mood,
                match dice.below(100) {
                    0..50 => 0,
                    50..93 => dice.within(1..=40),
                    _ => dice.within(500..=40_000),
                },
            )
        };
        if millis > 0 {
            let waited =
                tokio::time::timeout(PATIENCE, tokio::time::sleep(Duration::from_millis(millis))).await;
            if waited.is_err() {
                let stage = farthing_gate::proxy::Stage::Answer;
                return Err(UpstreamError::Timeout { stage, after: PATIENCE });
            }
        }
        if self.around.disk.is_off() {
            pending::<Infallible>().await;
        }
        let status = match mood {
            0..84 => StatusCode::OK,
            84..88 => StatusCode::INTERNAL_SERVER_ERROR,
            88..91 => StatusCode::NOT_FOUND,
            91..93 => StatusCode::FOUND,
            93..97 => return Err(UpstreamError::Reset("it broke".into())),
            // Not a panic that is printed.
            97 => std::panic::resume_unwind(Box::new("simulated")),
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let text = match paid {
            Some((payment, standing)) if status.is_success() => {
                let word = self.is_done(payment, standing);
                format!("{CONTENT} {payment} {word}")
            }
            None if status.is_success() && request.uri().path() != "/free" => format!("{CONTENT} unpaid"),
            _ => "nothing".to_owned(),
        };
        let cost = paid.filter(|_| status.is_success()).and_then(|(payment, _)| self.cost(payment));
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        if let Some(cost) = cost.and_then(|cost| HeaderValue::from_str(&cost).ok()) {
            response.headers_mut().insert(header::FARTHING_COST, cost);
        }
        Ok(response)
    }
}

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = UpstreamError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, UpstreamError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}
