//! What is refused of a request to `/v1/authorize` before the books are asked, in HTTP.

use std::fmt::Display;

use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use farthing_engine::Fault;
use farthing_gate::problem;
use farthing_wire::Problem;

use crate::operator::OperatorError;

/// A refusal, as an answer.
pub(super) struct Refusal(Box<Response<farthing_gate::Body>>);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        self.0.map(Body::new)
    }
}

impl From<Box<Response<farthing_gate::Body>>> for Refusal {
    fn from(response: Box<Response<farthing_gate::Body>>) -> Self {
        Self(response)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        broken(&fault)
    }
}

impl From<OperatorError> for Refusal {
    fn from(error: OperatorError) -> Self {
        broken(&error)
    }
}

fn of(problem: &Problem) -> Refusal {
    Refusal(Box::new(problem::answer(problem)))
}

/// Something of ours is wrong; what, is not for strangers.
pub(super) fn broken(error: &dyn Display) -> Refusal {
    tracing::error!(%error, "a use of a feature cannot be answered");
    of(&Problem::new("unavailable", 503, "Not now", "something is wrong inside")
        .next("send the same request with the same Idempotency-Key again; nothing is charged twice"))
}

/// A part of the request is not what was expected. What came is not repeated where it could be money.
pub(super) fn malformed(expected: String, got: String) -> Refusal {
    let detail = format!("expected {expected}, got {got}");
    of(&Problem::new("request-malformed", 400, "Request refused", detail)
        .expected(expected)
        .got(got)
        .next("correct the request; nothing was taken"))
}

/// The body is too long, or broke off.
pub(super) fn unread(rejection: &BytesRejection) -> Refusal {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let problem = Problem::new("request-malformed", 413, "Request refused", "the body is too long");
        return of(&problem.next("pay with fewer, larger credits"));
    }
    malformed("a whole body".to_owned(), "one that broke off".to_owned())
}

/// Nothing of this name is sold.
pub(super) fn no_such_feature(name: &str) -> Refusal {
    let got: String = name.chars().take(64).collect();
    of(&Problem::new("feature-unknown", 404, "No such feature", format!("there is no feature {got:?}"))
        .expected("the name of a [[feature]]")
        .got(got)
        .next("correct the name, or add the feature to the configuration"))
}

/// What is free is counted for somebody.
pub(super) fn no_subject(feature: &str) -> Refusal {
    let expected = format!("a subject, since {feature} is free a few times for each");
    malformed(expected, "none".to_owned())
}

/// An entitlement is for whom its use was authorized.
pub(super) fn other_subject() -> Refusal {
    of(&Problem::new(
        "subject-differs",
        422,
        "Another subject",
        "the commit brings an entitlement, which is for whom the use was authorized",
    )
    .expected("the subject of the authorization, or none if it had none")
    .got("another")
    .next("commit with the same subject; nothing was charged by this"))
}
