//! The one map from the gate's refusals to HTTP: status, problem+json, and what to do next.

use farthing_wire::Problem;
use farthing_wire::header::PROBLEM_JSON;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::body::Body;
use crate::proxy::{Fault, UpstreamError};
use crate::target::{PATH_BYTES_MAX, TargetError};

/// A problem as an answer. Nothing of it may be kept by a cache.
pub fn answer(problem: &Problem) -> Response<Body> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(Body::from(problem.to_json()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    response
}

/// A target that is refused.
pub fn of_target(error: &TargetError) -> Problem {
    let (status, next) = match error {
        TargetError::TooLong(_) => (414, format!("ask for a path of at most {PATH_BYTES_MAX} bytes")),
        TargetError::Ambiguous { plain } => (400, format!("ask for {plain}")),
        TargetError::Percent | TargetError::Byte(_) => (400, "correct the path and ask again".to_owned()),
        TargetError::Form(_) => (400, "ask for a path such as /articles/1".to_owned()),
        _ => (400, "name the host once, in the Host field".to_owned()),
    };
    Problem::new(error.code(), status, "Request refused", error.to_string()).next(next)
}

/// A host that no rule names although rules name hosts (RFC 9110, 15.5.20).
pub fn of_host(host: &str) -> Problem {
    let got = if host.is_empty() { "none" } else { host };
    Problem::new("host-unknown", 421, "Not served here", "prices are by host here, and this host has none")
        .expected("a host that a price rule names")
        .got(got.to_owned())
        .next("ask for a host that is served here; the operator adds this host to a rule")
}

/// A method that no gate passes on: it would open a tunnel, or show the upstream's view of the request.
pub fn of_method(method: &http::Method) -> Problem {
    Problem::new("method-refused", 405, "Method refused", format!("{method} is not passed on"))
        .expected("a method such as GET or POST")
        .got(method.to_string())
        .next("use another method")
}

/// An upstream that gave no answer, or a request that did not arrive whole. Nothing is charged for either.
pub fn of_upstream(error: &UpstreamError) -> Problem {
    let (code, status) = match (error.fault(), error.is_timeout()) {
        _ if matches!(error, UpstreamError::Panicked) => ("unavailable", 503),
        (Fault::Upstream, true) => ("upstream-failed", 504),
        (Fault::Upstream, false) => ("upstream-failed", 502),
        (Fault::Downstream, true) => ("request-body-slow", 408),
        (Fault::Downstream, false) => ("request-body-broken", 400),
    };
    Problem::new(code, status, "Not delivered", format!("{error}; nothing was charged"))
        .next("ask again; a credential that was sent is unspent and can be used again")
}

/// The same when what was asked for is paid already.
pub fn of_upstream_again(error: &UpstreamError) -> Problem {
    Problem {
        detail: format!("{error}; it was paid for before and nothing more was charged"),
        ..of_upstream(error).next("ask again with the same pass or credential while the pass lasts")
    }
}

/// An upstream that answered with a failure of its own. Nothing is charged for it.
pub fn of_status(status: StatusCode) -> Problem {
    let code = if status == StatusCode::GATEWAY_TIMEOUT { 504 } else { 502 };
    Problem::new("upstream-failed", code, "Not delivered", "the upstream failed; nothing was charged")
        .expected("an answer of 2xx, 3xx or 4xx")
        .got(status.to_string())
        .next("ask again; a credential that was sent is unspent and can be used again")
}

/// A stream whose price is used up.
pub fn of_ceiling(most: &str, meter: &str) -> Problem {
    let detail = format!("the {most} that were set aside are used up ({meter}); the answer ends here");
    Problem::new("meter-ceiling", 402, "Used up", detail).next("pay again for the rest")
}

/// An upstream that broke off in the middle of a stream.
pub fn of_broken_stream() -> Problem {
    let detail = "the upstream broke off; what was sent until then was charged and nothing else";
    Problem::new("upstream-failed", 502, "Broken off", detail).next("pay again for the rest")
}

/// A bug of ours.
pub fn broken() -> Problem {
    Problem::new("unavailable", 503, "Not now", "the request broke off inside the gate")
        .next("send the same request with the same credential again; it is charged once")
}
