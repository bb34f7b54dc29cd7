//! What a client may ask of the issuer in vain: the same buckets as at the gate.
//!
//! Work is weighed by the length of the body, before a byte of it is read: a credit to recognise takes some 250 bytes and
//! one multiplication of a point, an output to sign some 130 and three. What is carried out costs the client nothing.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use farthing_gate::flow::credential;
use farthing_gate::limit::Client;

use super::deposit::places::Asker;
use super::{Issuer, IssuerError, MAX_BODY_BYTES};

/// Bytes of a body for one multiplication.
const BYTES_PER_WORK: usize = 96;
/// Reading a point and a row costs less than that.
const BYTES_PER_LOOK: usize = 512;
/// What a body of unknown length is taken for.
const BYTES_UNKNOWN: usize = 64 * 1024;
/// What it takes to look at a payment on a chain, with what its chain is asked.
const PAYMENT: usize = 4;
/// What a paid quote's change may cost to sign again.
const CHANGE: usize = 4;

/// Marks an answer that was good and costs us something all the same: a row that nobody has paid for.
#[derive(Clone, Copy)]
pub(super) struct Costly;

/// What a request costs whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Price {
    /// Nothing.
    Free,
    /// Only who is refused.
    InVain(usize),
    /// Everybody: what is asked for was given before.
    Always(usize),
}

fn price(method: &Method, path: &str, bytes: usize, pays: bool) -> Price {
    let per = |bytes_each: usize| bytes.div_ceil(bytes_each).max(1);
    if pays && path.ends_with("/pay") {
        return Price::InVain(PAYMENT.max(per(BYTES_PER_WORK)));
    }
    if path.ends_with("/v1/restore") {
        return Price::Always(per(BYTES_PER_WORK));
    }
    if path.ends_with("/v1/checkstate") {
        return Price::Always(per(BYTES_PER_LOOK));
    }
    if *method == Method::POST {
        return Price::InVain(per(BYTES_PER_WORK));
    }
    if path.contains("/v1/melt/quote/") { Price::Always(CHANGE) } else { Price::Free }
}

/// Watches over a request.
pub(super) async fn watch(State(issuer): State<Arc<Issuer>>, mut request: Request, next: Next) -> Response {
    let limiter = issuer.crypto.limiter();
    let client = limiter.client(request.extensions(), request.headers());
    request.extensions_mut().insert(Asker(client.clone()));
    if let Some(from) = issuer.trials.from(&request) {
        request.extensions_mut().insert(from);
    }
    let bytes = request.body().size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.unwrap_or(BYTES_UNKNOWN).min(MAX_BODY_BYTES);
    let pays = !matches!(credential(request.headers()), Ok(None));
    let price = price(request.method(), request.uri().path(), bytes, pays);
    let (Price::InVain(work) | Price::Always(work)) = price else { return next.run(request).await };
    // What was given before is given again, but not without end.
    let client = if matches!(price, Price::Always(_)) { client.map(Client::by_address) } else { client };
    let work = match limiter.begin(client.as_ref(), work) {
        Ok(work) => work,
        Err(error) => return IssuerError::from(error).into_response(),
    };
    let response = next.run(request).await;
    let (refused, failed) = (response.status().is_client_error(), response.status().is_server_error());
    match price {
        Price::InVain(_) if refused || response.extensions().get::<Costly>().is_some() => drop(work),
        Price::Always(_) if !failed => drop(work),
        _ => work.genuine(),
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_weighed() {
        for (method, path, bytes, expected) in [
            (Method::POST, "/v1/swap", 0, Price::InVain(1)),
            (Method::POST, "/v1/swap", 380_000, Price::InVain(3_959)),
            (Method::POST, "/v1/mint/quote/code", 100, Price::InVain(2)),
            (Method::POST, "/v1/restore", 13_000, Price::Always(136)),
            (Method::POST, "/v1/checkstate", 7_000, Price::Always(14)),
            (Method::GET, "/v1/melt/quote/code/abc", 0, Price::Always(4)),
            (Method::GET, "/v1/keys", 0, Price::Free),
        ] {
            assert_eq!(price(&method, path, bytes, false), expected, "{method} {path}");
        }
        let pay = "/v1/mint/quote/evm/abc/pay";
        assert_eq!(price(&Method::GET, pay, 0, false), Price::Free);
        assert_eq!(price(&Method::GET, pay, 0, true), Price::InVain(4));
        assert_eq!(price(&Method::GET, "/v1/keys", 0, true), Price::Free);
    }
}
