//! A pay-per-request server as they are published, with all their mistakes, so that every attack has something to succeed
//! on: it verifies, serves, and settles afterwards; it remembers what paid once it has served; it believes headers and
//! challenges that come back; it compares amounts as text and takes any unit.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use farthing_ecash::{Proof, Token};
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Proxy, ProxyConfig};
use farthing_wire::mpp::{self, credit};
use farthing_wire::{Credential, CredentialFields, header};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};

use super::bank::{Bank, MINT, usd};
use super::{Server, start};

struct Naive {
    bank: Arc<Bank>,
    upstream: Proxy,
    /// Resources with the texts of the credentials that paid for them.
    used: Mutex<HashSet<(String, String)>>,
    receipts: Mutex<HashSet<String>>,
}

/// Serves what is behind `upstream` at 10,000 millionths, what is dear at 5,000,000, and on the cheap host at 1.
pub async fn naive(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    let upstream = Proxy::new(ProxyConfig::new(format!("http://{upstream}").parse().unwrap())).unwrap();
    let (used, receipts) = (Mutex::default(), Mutex::default());
    let shop = Arc::new(Naive { bank: Arc::clone(bank), upstream, used, receipts });
    start(Limits::default(), move |request| {
        let shop = Arc::clone(&shop);
        async move { shop.answer(request).await }
    })
    .await
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn refusal(why: &'static str) -> Response<Body> {
    Response::builder().status(402).body(Body::from(why)).unwrap()
}

impl Naive {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let receipt = text(&parts.headers, "x-receipt");
        // Mistake: a header says that it was paid for, and a receipt says so whatever it is of and whoever shows it.
        let paid =
            parts.headers.contains_key("farthing-payment") || self.receipts.lock().unwrap().contains(receipt);
        if paid {
            return self.serve(parts, body).await;
        }
        let price = price(&parts);
        let resource = parts.uri.to_string();
        let all =
            |name: &str| parts.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
        let credential = Credential::from_headers(CredentialFields {
            x_cashu: &all("x-cashu"),
            authorization: &all("authorization"),
            payment_authorization: &all("payment-authorization"),
            ..CredentialFields::default()
        });
        let (token, price) = match credential {
            Ok(None) => return challenge(&parts, &price),
            Ok(Some(Credential::Cashu { token })) => (token, price),
            // Mistake: the price is what the credential says that we said.
            Ok(Some(Credential::Credit { challenge, payload, .. })) => {
                let request = challenge.request_json().unwrap_or_default();
                (payload.token, request["amount"].as_str().unwrap_or_default().to_owned())
            }
            Ok(Some(_)) | Err(_) => return refusal("not a credential"),
        };
        let used = (resource.clone(), token.clone());
        if self.used.lock().unwrap().contains(&used) {
            return refusal("used before");
        }
        let Some(proofs) = self.verify(&token, &price) else { return refusal("not worth the price") };
        parts.headers.remove("x-cashu");
        // Mistake: what is believed of the scheme goes into what is given out.
        let scheme = text(&parts.headers, "x-forwarded-proto").to_owned();
        let mut response = self.serve(parts, body).await;
        // Mistake: served first, and settled whatever was served.
        let _ = self.bank.charge(&proofs, 0, "shop");
        let receipt = format!("{scheme} {resource} {}", self.used.lock().unwrap().len());
        self.used.lock().unwrap().insert(used);
        self.receipts.lock().unwrap().insert(receipt.clone());
        response.headers_mut().insert("x-receipt", HeaderValue::try_from(receipt).unwrap());
        response
    }

    async fn serve(&self, parts: Parts, body: Body) -> Response<Body> {
        let answer = self.upstream.forward(Request::from_parts(parts, body)).await;
        answer.unwrap_or_else(|_| Response::builder().status(502).body(Body::empty()).unwrap())
    }

    /// Whether each credit is signed, and their sum, as text, is not less than the price.
    fn verify(&self, token: &str, price: &str) -> Option<Vec<Proof>> {
        let keyring = &self.bank.keyring;
        let proofs = Token::decode(token).ok()?.resolve(&keyring.ids()).ok()?;
        let mut sum = 0;
        for proof in &proofs {
            // Mistake: what is locked and brings a proof of its signature is believed without a look at either.
            let locked = proof.secret.starts_with("[\"P2PK\"") && proof.dleq.is_some();
            // Mistake: in whichever unit, and whoever may open its lock.
            let asset = keyring.asset(proof.id).ok()?;
            if !locked && keyring.verify(proof, asset, self.bank.time()).is_err() {
                return None;
            }
            sum += proof.amount;
        }
        // Mistake: text is compared as text.
        (sum.to_string().as_str() >= price).then_some(proofs)
    }
}

fn price(parts: &Parts) -> String {
    // Mistake: whoever asks says which host was asked.
    let host = match text(&parts.headers, "x-forwarded-host") {
        "" => text(&parts.headers, "host"),
        forwarded => forwarded,
    };
    let dear = parts.uri.path().starts_with("/dear");
    if host == "cheap.example" {
        "1"
    } else if dear {
        "5000000"
    } else {
        "10000"
    }
    .to_owned()
}

fn challenge(parts: &Parts, price: &str) -> Response<Body> {
    let request = credit::Request {
        amount: price.parse().unwrap(),
        currency: usd().unit(),
        mints: vec![MINT.to_owned()],
        method_details: credit::MethodDetails {
            decimals: usd().scale(),
            asset: usd().code(),
            metered: false,
        },
    };
    let draft = mpp::Draft {
        realm: text(&parts.headers, "host"),
        method: mpp::METHOD_CREDIT,
        intent: mpp::INTENT_CHARGE,
        request: &request.to_json().unwrap(),
        expires: None,
        digest: None,
        header: None,
        opaque: None,
        description: None,
    };
    let challenge = mpp::Challenge::issue(&[3; 32], &draft).unwrap();
    let response = Response::builder().status(402);
    response.header(header::WWW_AUTHENTICATE, challenge.to_header().unwrap()).body(Body::empty()).unwrap()
}
