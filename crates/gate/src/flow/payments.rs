//! What became of a payment, for who has its credential: `GET /.well-known/farthing/payments` with the credential that paid.
//!
//! An answer may be lost, and a stream has no room for a receipt in its head. Who shows the same credits is told the same
//! again: state, charge, receipt and change. Nothing is charged, and nobody else learns anything.

use farthing_ecash::Token;
use farthing_engine::{KeyringReject, PaymentRow, PaymentState, Refusal};
use farthing_money::{Asset, Money};
use farthing_wire::mpp::credit::OutputText;
use farthing_wire::{Credential, Problem, header};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use serde_json::{Map, Value, json};

use super::credits::{Change, Credits, change_of};
use super::deliver::{mpp_receipt, put};
use super::refusal::Refused;
use super::{Shared, credential};
use crate::body::Body;
use crate::{cors, problem};

/// Where payments are asked for.
pub const PAYMENTS_PATH: &str = "/.well-known/farthing/payments";

const METHODS: &str = "GET, OPTIONS";

impl Shared {
    /// Says what became of the payment of a credential.
    pub(super) async fn tell_payment(&self, parts: &Parts) -> Response<Body> {
        let mut answer = if parts.method == Method::OPTIONS {
            let mut leave = Response::new(Body::empty());
            cors::grant(leave.headers_mut(), METHODS);
            leave
        } else if parts.method == Method::GET {
            match self.payment_of(parts).await {
                Ok(answer) => answer,
                Err(problem) => problem::answer(&problem),
            }
        } else {
            let problem =
                Problem::new("method-refused", 405, "Method refused", "a payment is asked for by GET")
                    .expected("GET")
                    .got(parts.method.to_string())
                    .next("send the same credential by GET");
            let mut answer = problem::answer(&problem);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
            answer
        };
        cors::open(answer.headers_mut(), &parts.headers);
        answer
    }

    async fn payment_of(&self, parts: &Parts) -> Result<Response<Body>, Problem> {
        let client = self.config.crypto.limiter().client(&parts.extensions, &parts.headers);
        let cashu = parts.headers.contains_key(header::X_CASHU);
        let refused = |refused: Refused| refused.problem(cashu);
        let found = credential(&parts.headers).map_err(|error| refused(error.into()))?;
        let found = found.ok_or_else(|| {
            let detail = "the credential that paid says which payment is meant, and none came";
            Problem::new("credential-missing", 401, "Whose payment?", detail)
                .expected("the credential that paid, with credits")
                .got("none")
                .next("send the same credential again")
        })?;
        let (token, outputs) = match &found {
            Credential::Cashu { token } => (token.clone(), Vec::new()),
            Credential::Credit { payload, .. } => {
                (payload.token.clone(), payload.outputs.clone().unwrap_or_default())
            }
            other => return Err(refused(other.not_offered().into())),
        };
        let (mut work, _place) = self.begin(&found, client.as_ref()).map_err(refused)?;
        let credits = self.credits_of((token, outputs), &mut work).await;
        // Whose credits are good has asked for nothing in vain.
        if matches!(credits, Ok(_) | Err(Refused::Crypto(_))) {
            work.genuine();
        }
        let credits = credits.map_err(refused)?;
        let payment = credits.payment;
        let row = self.config.read.payment(payment).map_err(|fault| refused(Refusal::Fault(fault).into()))?;
        let row = row.ok_or_else(|| {
            let detail = "no payment was made with these credits, or it was given back";
            Problem::new("payment-unknown", 404, "No payment", detail)
                .expected("the credential of a payment that was charged or is under way")
                .got(payment.to_string())
                .next("pay with them, or swap them")
        })?;
        Ok(self.payment_told(&credits, &row, found.dialect()).await)
    }

    async fn credits_of(
        &self,
        (token, outputs): (String, Vec<OutputText>),
        work: &mut crate::limit::Work,
    ) -> Result<Credits, Refused> {
        let keyring = self.config.keyring.borrow().clone();
        let unit = Token::decode(&token)?.unit;
        let asset: Option<Asset> = keyring.active(unit).and_then(|keyset| keyring.asset(keyset.id).ok());
        let asset = asset.ok_or(Refused::Keyring(KeyringReject::NoActiveKeyset(unit)))?;
        let now = (self.config.clock)();
        self.recognise(keyring, (token, outputs, asset, now), work).await
    }

    async fn payment_told(
        &self,
        credits: &Credits,
        row: &PaymentRow,
        dialect: &'static str,
    ) -> Response<Body> {
        let (payment, charged) = (credits.payment, row.asset.money(row.charged));
        let (method, place) = row.resource.split_once(' ').unwrap_or(("", &row.resource));
        // What of a query is kept is a code.
        let place = place.split_once('?').map_or(place, |(place, _)| place);
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let mut members = Map::new();
        members.insert("payment".to_owned(), json!(payment.to_string()));
        members.insert("resource".to_owned(), json!(format!("{method} {place}")));
        members.insert("charged".to_owned(), told_money(charged));
        members.insert("at".to_owned(), json!(row.at.to_string()));
        let is_posted = row.state == PaymentState::Posted;
        members.insert("state".to_owned(), json!(if is_posted { "charged" } else { "held" }));
        if is_posted {
            members.insert("pass_until".to_owned(), json!(row.pass_until.map(|until| until.to_string())));
            let receipt = self.receipt((method, place), payment, row, dialect).ok();
            let signatures = self.change_again(payment, row).await;
            let mint = self.config.names.mints.first().map_or("", String::as_str);
            let change = change_of(row, signatures, &self.config.secrets.change, payment, mint);
            if let Some(receipt) = &receipt {
                put(headers, header::FARTHING_RECEIPT, receipt);
                members.insert("receipt".to_owned(), json!(receipt));
            }
            match &change {
                Change::None => {}
                Change::Token(token) => {
                    put(headers, header::X_CASHU, token);
                    members.insert("change".to_owned(), json!({ "token": token }));
                }
                Change::Signatures(signatures) => {
                    members.insert("change".to_owned(), json!({ "signatures": signatures }));
                }
            }
            if let Some(text) = mpp_receipt(payment, row, change, receipt).filter(|_| dialect == "mpp") {
                put(headers, header::PAYMENT_RECEIPT, &text);
            }
        }
        *response.body_mut() = Body::from(Value::Object(members).to_string());
        response
    }
}

fn told_money(money: Money) -> Value {
    let asset = money.asset();
    json!({
        "amount": money.amount(),
        "unit": asset.unit(),
        "asset": asset.code(),
        "decimal": money.to_decimal(),
    })
}
