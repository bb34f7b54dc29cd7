//! Where payments are asked back: whoever shows the receipt or the pass gets what it cost as fresh credits, once.
//!
//! Programs send JSON, and people press a button ([`refund_page`](super::refund_page)); both come to the same here.
//! Blank outputs come back signed, and nobody can link them to the payment. Without any the credits come as a token whose
//! secrets the gate has drawn. The same request again is answered alike, so that a lost answer costs nothing.

use std::sync::Arc;

use bytes::Bytes;
use farthing_ecash::{BlindSignature, BlindedMessage, Proof, Token, Y, hash_to_curve};
use farthing_engine::{
    Answer, BundleRow, ChangeOutput, Command, CreditId, KeyringReject, Output, PaymentId, PaymentRow,
    PaymentState, QuotaId, REFUND_STEPS_MAX, Refund, RefundReject, RefundRow, RefundStep, RefundedTo,
    Refusal, Reject, RequestTag, TakeRefund,
};
use farthing_money::{Amount, Asset, Timestamp};
use farthing_wire::mpp::credit::OutputText;
use farthing_wire::refund::REFUND_OUTPUTS_MAX;
use farthing_wire::{Pass, Problem, Receipt, RefundRequest};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Response};
use http_body_util::BodyExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::credits::{blank, own_blanks, own_proofs};
use super::quota::GRACE;
use super::refund_page::{self, is_called_form, is_form};
use super::refusal::Refused;
use super::terms::address_of;
use super::{Shared, is_preflight, read_bound, sale};
use crate::body::Body;
use crate::limit::Work;
use crate::network::neighbourhood;
use crate::page::prefers_html;
use crate::rule::Per;
use crate::{cors, problem};

/// What other sites' scripts may use.
const METHODS: &str = "POST, OPTIONS";
/// What there is.
const ALLOWED: &str = "GET, HEAD, POST, OPTIONS";
/// How often a request looks again when rows have changed between reading and deciding.
const TRIES: u32 = 3;

/// What a request wants back, and where it is to go.
pub(super) struct Wanted {
    payment: PaymentId,
    /// The step that is meant, counted among those in which it came to the payer; if it is not said, the next that there is.
    place: Option<usize>,
    blanks: Vec<BlindedMessage>,
    outputs: Vec<OutputText>,
}

/// What has come of it, now or before.
pub(super) struct Given {
    pub(super) payment: PaymentId,
    pub(super) row: PaymentRow,
    pub(super) amount: Amount,
    pub(super) credits: Credits,
}

/// What came back.
pub(super) enum Credits {
    /// On outputs of our own.
    Token(String),
    /// On the payer's.
    Signatures(Vec<BlindSignature>),
}

/// Why nothing comes of it.
pub(super) enum Denied {
    /// Nobody can read it.
    Malformed(String),
    /// What is shown is none of our receipts, passes or cookies.
    Unproven(String),
    /// A form that another site may have sent.
    CrossOrigin(String),
    /// What a script has asked for, as the browser says.
    ByScript(String),
    /// A form of a list that is not true any more.
    Stale,
    Refused(Refused),
}

impl<E: Into<Refused>> From<E> for Denied {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

fn reject(reject: impl Into<Reject>) -> Denied {
    Denied::Refused(Refused::Engine(Refusal::Reject(reject.into())))
}

impl Wanted {
    /// What came or comes of a payment in this step, as a token.
    pub(super) fn as_token(payment: PaymentId, place: usize) -> Self {
        Self { payment, place: Some(place), blanks: Vec::new(), outputs: Vec::new() }
    }
}

impl Shared {
    /// Answers who asks for a payment back.
    pub(super) async fn answer_refund(self: &Arc<Self>, parts: &Parts, body: Body) -> Response<Body> {
        if is_preflight(parts) {
            return sale::leave_by(METHODS);
        }
        let is_page = prefers_html(&parts.headers);
        let answered = match parts.method {
            Method::POST => self.answer_asked(parts, body).await,
            Method::GET | Method::HEAD if is_page => self.refunds_page(parts),
            _ => Ok(method_refused(&parts.method)),
        };
        let mut response = answered.unwrap_or_else(|denied| not_given(&denied, is_page));
        // What is for a person is read by no other site's script.
        if !is_page && !is_called_form(&parts.headers) {
            cors::open(response.headers_mut(), &parts.headers);
        }
        response
    }

    async fn answer_asked(self: &Arc<Self>, parts: &Parts, body: Body) -> Result<Response<Body>, Denied> {
        // Before the work of the request itself begins: for one request a client does one thing at a time.
        let passes = if is_called_form(&parts.headers) { self.shown_passes(parts)? } else { Vec::new() };
        let (work, bytes) = self.read_asked(parts, body).await?;
        if is_form(&parts.headers, &bytes) {
            self.give_back_by_form(parts, &bytes, (passes, work)).await
        } else {
            self.give_back_by_proof(parts, &bytes, work).await
        }
    }

    /// What a request says. It costs its client something until it has turned out to be genuine.
    async fn read_asked(&self, parts: &Parts, body: Body) -> Result<(Work, Bytes), Denied> {
        let client = self.config.crypto.limiter().client(&parts.extensions, &parts.headers);
        let work = self.config.crypto.limiter().begin(client.as_ref(), 1)?;
        let unread = "expected a body of known length and at most 64 KiB";
        let (body, digest) =
            read_bound(body, true).await.map_err(|error| Denied::Malformed(error.to_string()))?;
        if digest.is_none_or(|digest| digest.is_empty()) {
            return Err(Denied::Malformed(unread.to_owned()));
        }
        let read = body.collect().await.map_err(|_| Denied::Malformed(unread.to_owned()))?;
        Ok((work, read.to_bytes()))
    }

    async fn give_back_by_proof(
        self: &Arc<Self>,
        parts: &Parts,
        bytes: &[u8],
        work: Work,
    ) -> Result<Response<Body>, Denied> {
        let wanted = self.wanted(bytes)?;
        self.give_back_wanted(&wanted, parts, work).await.map(|given| given.to_json())
    }

    pub(super) async fn give_back_wanted(
        self: &Arc<Self>,
        wanted: &Wanted,
        parts: &Parts,
        mut work: Work,
    ) -> Result<Given, Denied> {
        work.cost(1 + wanted.blanks.len());
        let now = (self.config.clock)();
        let by = self.asking(parts, now).await?;
        let mut tries = TRIES;
        let (row, step) = loop {
            tries = tries.saturating_sub(1);
            match self.try_back(wanted, by, (self.config.clock)()).await {
                // Somebody else was here between reading and deciding.
                Err(Denied::Refused(Refused::Engine(Refusal::Reject(
                    Reject::NotLoaded | Reject::Unbalanced { .. } | Reject::OutputSigned(_),
                )))) if tries > 0 => {}
                done => break done?,
            }
        };
        work.genuine();
        self.given(wanted, row, &step).await
    }

    fn wanted(&self, bytes: &[u8]) -> Result<Wanted, Denied> {
        let asked = RefundRequest::parse(bytes).map_err(|error| {
            Denied::Malformed(format!(
                "expected an object with receipt or pass, and outputs if they are not to come as a token: {error}"
            ))
        })?;
        let proven = |error: farthing_wire::JwsError| Denied::Unproven(error.to_string());
        let payment = match (&asked.receipt, &asked.pass) {
            (Some(receipt), None) => Receipt::verify(receipt, Some(&self.verifying)).map_err(proven)?.payment,
            (None, Some(pass)) => {
                Pass::verify(pass, &self.verifying, (self.config.clock)()).map_err(proven)?.payment
            }
            _ => return Err(Denied::Malformed("expected a receipt or a pass, one of them".to_owned())),
        };
        let payment = payment
            .parse()
            .map_err(|_| Denied::Unproven("what was shown is of no payment in these books".to_owned()))?;
        if asked.outputs.len() > REFUND_OUTPUTS_MAX {
            let got = asked.outputs.len();
            return Err(Denied::Malformed(format!(
                "expected at most {REFUND_OUTPUTS_MAX} outputs, got {got}"
            )));
        }
        let blanks = asked.outputs.iter().enumerate();
        let blanks = blanks.map(|(at, output)| blank(output).ok_or(Refused::Output(at)));
        let blanks = blanks.collect::<Result<_, _>>()?;
        Ok(Wanted { payment, place: None, blanks, outputs: asked.outputs })
    }

    /// Reads, signs, decides. Nothing is signed for whom the rows refuse already.
    async fn try_back(
        &self,
        wanted: &Wanted,
        by: Option<(QuotaId, Timestamp)>,
        now: Timestamp,
    ) -> Result<(PaymentRow, RefundStep), Denied> {
        let payment = wanted.payment;
        let row = self.config.read.payment(payment).map_err(Refusal::Fault)?;
        let row = row.ok_or_else(|| reject(RefundReject::Unknown(payment)))?;
        if row.state != PaymentState::Posted {
            return Err(reject(Reject::PaymentUnderWay(payment)));
        }
        let known = self.config.read.refund(payment).map_err(Refusal::Fault)?.unwrap_or_default();
        let bundle = self.config.read.bundle(payment).map_err(Refusal::Fault)?;
        let amount = available(&row, (&known, bundle), now);
        let next = known.taken();
        let last = if amount.is_zero() { next.saturating_sub(1) } else { next };
        let place = wanted.place.unwrap_or(last);
        let tag = tag(wanted, place);
        if let Some(step) = known.step(tag) {
            return Ok((row, step.clone()));
        }
        if wanted.place.is_some_and(|place| place != next) {
            return Err(Denied::Stale);
        }
        let outputs = self.sign_back(wanted, (&row, amount, place), now).await?;
        let command = TakeRefund {
            payment,
            merchant: row.merchant.clone(),
            asset: row.asset,
            marks: row.marks,
            ties: known.ties(),
            outputs,
            by,
            place: next,
            tag,
        };
        match self.config.execute.execute(Command::Refund(Refund::Take(command))).await? {
            Answer::Refund(step) => {
                let row = self.config.read.payment(payment).map_err(Refusal::Fault)?.unwrap_or(row);
                Ok((row, *step))
            }
            _ => Err(reject(Reject::NotLoaded)),
        }
    }

    async fn sign_back(
        &self,
        wanted: &Wanted,
        (row, amount, place): (&PaymentRow, Amount, usize),
        now: Timestamp,
    ) -> Result<Vec<Output>, Denied> {
        if amount.is_zero() {
            return Ok(Vec::new());
        }
        let keyring = self.config.keyring.borrow().clone();
        let (secret, asset) = (self.config.secrets.change, row.asset);
        let (blanks, id) = (wanted.blanks.clone(), own_id(wanted.payment, place));
        let work = move || {
            let blanks =
                if blanks.is_empty() { own_blanks(&keyring, &secret, id, amount, asset)? } else { blanks };
            keyring.sign_change(&blanks, amount, asset, now)
        };
        let weight = 3 * wanted.blanks.len().clamp(4, 64);
        let signed = self.config.crypto.run(weight, work).await?;
        Ok(signed?.into_iter().map(|signed| signed.output).collect())
    }

    /// By what a payer is counted: the neighbourhood that asks, under a key that is forgotten after the day.
    async fn asking(&self, parts: &Parts, now: Timestamp) -> Result<Option<(QuotaId, Timestamp)>, Refusal> {
        let Some(network) = address_of(&self.config, parts).map(neighbourhood) else { return Ok(None) };
        let day = Per::Day.at(now);
        let key = self.quota_key(day, now).await?;
        let id = self.quota_id(&key, ("refunds", Per::Day), "network", &network)?;
        Ok(Some((id, day.ends.after(GRACE))))
    }

    /// What went back, now or before.
    async fn given(&self, wanted: &Wanted, row: PaymentRow, step: &RefundStep) -> Result<Given, Denied> {
        let RefundedTo::Payer { credits, .. } = &step.to else { return Err(reject(Reject::NotLoaded)) };
        let (amount, credits) = if wanted.blanks.is_empty() {
            let (amount, token) = self.own_token(wanted.payment, row.asset, credits).await?;
            (amount, Credits::Token(token))
        } else {
            let (keyring, change) = (self.config.keyring.borrow().clone(), credits.clone());
            let again = move || keyring.sign_change_again(&change);
            let signatures = self.config.crypto.run(3 * credits.len(), again).await??;
            (step.amount, Credits::Signatures(signatures))
        };
        Ok(Given { payment: wanted.payment, row, amount, credits })
    }

    /// Everything that came of a payment on outputs of our own and is not spent, so that what was in an answer that was lost comes
    /// with the next one. If all of it is spent, what was asked for now.
    async fn own_token(
        &self,
        payment: PaymentId,
        asset: Asset,
        asked: &[ChangeOutput],
    ) -> Result<(Amount, String), Denied> {
        let known = self.config.read.refund(payment).map_err(Refusal::Fault)?.unwrap_or_default();
        let came: Vec<Vec<ChangeOutput>> = known.steps.into_iter().filter_map(credits_of).collect();
        let asked = asked.to_vec();
        let weight = 3 * came.iter().map(Vec::len).sum::<usize>().max(asked.len());
        let (keyring, secret) = (self.config.keyring.borrow().clone(), self.config.secrets.change);
        let work = move || {
            let own = |credits: &[ChangeOutput]| -> Result<Vec<Proof>, KeyringReject> {
                let signatures = keyring.sign_change_again(credits)?;
                // Which of the steps it was is seen by its outputs.
                let of = |place| own_proofs(&secret, own_id(payment, place), credits, &signatures);
                Ok((0..REFUND_STEPS_MAX).find_map(of).unwrap_or_default())
            };
            // What a keyset that is written off has signed is worth nothing any more.
            let all: Vec<Proof> = came.iter().filter_map(|credits| own(credits).ok()).flatten().collect();
            own(&asked).map(|asked| (all, asked))
        };
        let (all, asked) = self.config.crypto.run(weight, work).await??;
        let ids: Vec<CreditId> = all.iter().map(credit_of).collect();
        let spent = self.config.read.credits(&ids).map_err(Refusal::Fault)?;
        let unspent = all.into_iter().zip(spent).filter(|(_, row)| row.is_none());
        let unspent: Vec<Proof> = unspent.map(|(proof, _)| proof).collect();
        let proofs = if unspent.is_empty() { asked } else { unspent };
        let amount = Amount::try_sum(proofs.iter().map(|proof| Amount::from(proof.amount)));
        let amount = amount.ok_or_else(|| reject(Reject::AmountOverflow))?;
        let mint = self.config.names.mints.first().map_or("", String::as_str);
        Ok((amount, Token::new(mint, asset.unit(), None, proofs).encode()))
    }
}

impl Given {
    /// As programs are told it.
    pub(super) fn to_json(&self) -> Response<Body> {
        let asset = self.row.asset;
        let sum = |amount: Amount| json!({ "amount": amount, "unit": asset.unit(), "asset": asset.code(), "scale": asset.scale() });
        let (name, credits) = match &self.credits {
            Credits::Token(token) => ("token", json!(token)),
            Credits::Signatures(signatures) => ("signatures", json!(signatures)),
        };
        let told = json!({
            "payment": self.payment.to_string(),
            "refunded": sum(self.amount),
            "kept": sum(self.row.kept()),
            name: credits,
        });
        let mut response = Response::new(Body::from(told.to_string()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The last step in which something came as a token, which is shown again for the asking.
pub(super) fn token_place(payment: PaymentId, known: &RefundRow) -> Option<usize> {
    let came = |place: &usize| known.step(tag(&Wanted::as_token(payment, *place), *place)).is_some();
    (0..known.taken()).rev().find(came)
}

fn method_refused(method: &Method) -> Response<Body> {
    let problem = Problem::new("method-refused", 405, "Method refused", "programs ask payments back by POST, and browsers get their page by GET")
        .expected("POST with JSON: the receipt or the pass of the payment, and blank outputs; or GET with Accept: text/html")
        .got(method.to_string())
        .next("send {\"receipt\": \"..\", \"outputs\": [..]}, use `farthing wallet refund-payment`, or open the page in a browser");
    let mut answer = problem::answer(&problem);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(ALLOWED));
    answer
}

fn credits_of(step: RefundStep) -> Option<Vec<ChangeOutput>> {
    if let RefundedTo::Payer { credits, .. } = step.to { Some(credits) } else { None }
}

fn credit_of(proof: &Proof) -> CreditId {
    let y: Y = hash_to_curve(proof.secret.as_bytes());
    CreditId::from_bytes(y.to_bytes())
}

/// What a payer would get.
pub(super) fn available(
    row: &PaymentRow,
    (known, bundle): (&RefundRow, Option<BundleRow>),
    now: Timestamp,
) -> Amount {
    match known.due {
        due if !due.is_zero() => due,
        _ if known.until > now && known.extended == 0 => row.unused(bundle),
        _ => Amount::ZERO,
    }
}

/// The same outputs are the same request. Without any it is one request for each time that something is there.
fn tag(wanted: &Wanted, place: usize) -> RequestTag {
    let outputs: Vec<_> = wanted
        .outputs
        .iter()
        .map(|o| format!("{} {} {}", o.amount, o.id, o.blinded.to_ascii_lowercase()))
        .collect();
    let place = if outputs.is_empty() { place.to_string() } else { String::new() };
    let parts = [&wanted.payment.as_bytes()[..], place.as_bytes()].into_iter();
    RequestTag::of_parts("farthing/refund/1", parts.chain(outputs.iter().map(String::as_bytes)))
}

/// What the secrets of our own outputs are drawn for: not those of the payment's change.
fn own_id(payment: PaymentId, place: usize) -> PaymentId {
    let place = u64::try_from(place).unwrap_or(u64::MAX).to_le_bytes();
    let hash = Sha256::new().chain_update(b"farthing/refund/own/1").chain_update(payment.as_bytes());
    PaymentId::from_bytes(hash.chain_update(place).finalize().into())
}

impl Denied {
    /// What it is in HTTP, and after how many seconds to come back.
    pub(super) fn status(&self) -> (u16, Option<u64>) {
        match self {
            Self::Malformed(_) | Self::Unproven(_) => (400, None),
            Self::CrossOrigin(_) | Self::ByScript(_) => (403, None),
            Self::Stale => (409, None),
            Self::Refused(refused) => status_of(refused),
        }
    }

    /// The problem, with this to do next.
    pub(super) fn problem(&self, next: &str) -> Problem {
        let (code, detail) = match self {
            Self::Malformed(why) => ("refund-malformed", why.clone()),
            Self::Unproven(why) => ("refund-unproven", why.clone()),
            Self::CrossOrigin(_) => (
                "refund-cross-origin",
                "the form was not sent by a page of this very site, as far as the browser says".to_owned(),
            ),
            Self::ByScript(_) => (
                "refund-by-script",
                "it was not a person who opened the page or pressed its button, as far as the browser says"
                    .to_owned(),
            ),
            Self::Stale => (
                "refund-stale",
                "it stands otherwise with this payment than the page said that has sent this".to_owned(),
            ),
            Self::Refused(refused) => (refused.code(), refused.to_string()),
        };
        let problem = Problem::new(code, self.status().0, "Not given back", detail).next(next);
        match self {
            Self::CrossOrigin(got) => {
                problem.expected("Sec-Fetch-Site: same-origin, or the Origin of this site").got(got.clone())
            }
            Self::ByScript(got) => {
                problem.expected("Sec-Fetch-Mode: navigate and Sec-Fetch-Dest: document").got(got.clone())
            }
            _ => problem,
        }
    }

    fn next(&self) -> &'static str {
        match (self, self.status().0) {
            (Self::Malformed(_), _) => "send the receipt that came with the answer that was paid for",
            (Self::Unproven(_), _) => "send the receipt or the pass as it came, within its time",
            (Self::CrossOrigin(_) | Self::ByScript(_) | Self::Stale, _) => {
                "send JSON with the receipt or the pass: forms are for the page here"
            }
            (_, 503) => "send the same request again as Retry-After says: it is given back once",
            (_, 429) => "wait as long as Retry-After says, or ask the seller",
            (_, 400) => "send 64 blank outputs of an active keyset, or none to get a token",
            _ => "ask the seller, who can give back what it likes",
        }
    }
}

/// Says why nothing comes of it, to a program or as a page.
fn not_given(denied: &Denied, is_page: bool) -> Response<Body> {
    let mut answer = if is_page {
        refund_page::not_given(denied)
    } else {
        problem::answer(&denied.problem(denied.next()))
    };
    answer.headers_mut().extend(denied.status().1.map(|secs| (RETRY_AFTER, HeaderValue::from(secs))));
    answer
}

fn status_of(refused: &Refused) -> (u16, Option<u64>) {
    match refused {
        Refused::Engine(Refusal::Reject(reject)) => match reject {
            Reject::Refund(RefundReject::Unknown(_)) => (404, None),
            Reject::Refund(RefundReject::PayerLimit { .. }) => (429, Some(3_600)),
            Reject::Refund(RefundReject::NotFinal) | Reject::Paused => (503, Some(60)),
            Reject::Refund(_) | Reject::PaymentUnderWay(_) => (409, None),
            _ => (400, None),
        },
        Refused::Limited(limited) => (429, Some(limited.retry_after_secs())),
        Refused::Keyring(_) | Refused::Output(_) => (400, None),
        _ => (503, Some(5)),
    }
}
