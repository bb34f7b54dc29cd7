//! A page of another origin pays a quote in a browser: the question that its browser asks first, and what it may read.

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use axum::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode};
use farthing_gate::crypto::Crypto;
use farthing_gate::limit::{Limiter, WorkLimits};
use farthing_money::Timestamp;
use tower::ServiceExt;

use super::deposits::{path, payment, quote};
use super::support::Mint;

const PAGE: &str = "https://reader.example";

/// What the reference's client sends with a payment, as a browser asks for it.
const SENT: &str = "access-control-expose-headers,payment-signature";

/// All names in a field, as a browser compares them.
fn names(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_lowercase());
    values.flat_map(|value| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()).collect()
}

async fn ask(mint: &Mint, method: Method, path: &str, fields: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path).header(ORIGIN, PAGE);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    mint.router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn may_be_read(answer: &Response<Body>, field: &str) {
    assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{answer:?}");
    let exposed = names(answer.headers(), ACCESS_CONTROL_EXPOSE_HEADERS);
    assert!(exposed.iter().any(|name| name == field), "{field} in {exposed:?}");
    assert!(answer.headers().contains_key(field), "{answer:?}");
}

/// Went wrong: a browser's question was answered with 405, so that no page could pay for credits.
#[tokio::test]
async fn a_page_of_another_origin_pays_a_quote() {
    let mint = Mint::on_chain().await;
    let quote = quote(&mint, 96).await;
    let path = path(&quote);
    let asked = ask(&mint, Method::GET, &path, &[]).await;
    assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED);
    may_be_read(&asked, "payment-required");
    may_be_read(&asked, "www-authenticate");
    for method in ["GET", "POST"] {
        let question = [
            (ACCESS_CONTROL_REQUEST_METHOD.as_str(), method),
            (ACCESS_CONTROL_REQUEST_HEADERS.as_str(), SENT),
        ];
        let leave = ask(&mint, Method::OPTIONS, &path, &question).await;
        assert_eq!(leave.status(), StatusCode::NO_CONTENT);
        assert_eq!(leave.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(names(leave.headers(), ACCESS_CONTROL_ALLOW_METHODS).contains(&method.to_lowercase()));
        let allowed = names(leave.headers(), ACCESS_CONTROL_ALLOW_HEADERS);
        for name in SENT.split(',').chain(["authorization", "x-payment", "content-type"]) {
            assert!(allowed.iter().any(|allowed| allowed == name), "{name} in {allowed:?}");
        }
    }
    let signed = payment(&mint, &quote, 1).await.to_header().unwrap();
    let paid = ask(&mint, Method::POST, &path, &[("payment-signature", &signed)]).await;
    assert_eq!(paid.status(), StatusCode::OK);
    may_be_read(&paid, "payment-response");
    // Who does not ask from a page is told nothing of it, and what is no question of a browser's is none.
    let plain = mint.router().oneshot(Request::get(&path).body(Body::empty()).unwrap()).await.unwrap();
    assert!(!plain.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    let odd = ask(&mint, Method::OPTIONS, &path, &[]).await;
    assert_eq!(odd.status(), StatusCode::METHOD_NOT_ALLOWED);
}

/// A page has to see that it has to wait, too.
#[tokio::test]
async fn a_page_reads_why_it_may_not_pay_now() {
    let mint = Mint::on_chain().await;
    let quote = quote(&mint, 96).await;
    let limiter = Limiter::new(
        WorkLimits { per_second: 1, burst: 1 },
        std::sync::Arc::new(|| Timestamp::from_secs(1)),
        vec![],
    );
    let router = mint.router_with(Crypto::on_the_spot().limited(limiter));
    let peer = farthing_gate::Peer::new("192.0.2.1:5".parse().unwrap(), false);
    let mut last = None;
    for _ in 0..3 {
        let request = Request::get(path(&quote)).header(ORIGIN, PAGE).header("payment-signature", "e30=");
        let request = request.extension(peer.clone()).body(Body::empty()).unwrap();
        last = Some(router.clone().oneshot(request).await.unwrap());
    }
    let refused = last.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    may_be_read(&refused, "retry-after");
}
