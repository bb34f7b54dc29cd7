//! Where payments are asked back: whoever shows the receipt or the pass gets what it cost as fresh credits, once.
//!
//! Blank outputs come back signed, and nobody can link them to the payment. Without any the credits come as a token whose
//! secrets the gate has drawn. The same request again is answered alike, so that a lost answer costs nothing.

use std::sync::Arc;

use farthing_ecash::{BlindedMessage, Proof, Token, Y, hash_to_curve};
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
use super::refusal::Refused;
use super::terms::address_of;
use super::{Shared, is_preflight, read_bound, sale};
use crate::body::Body;
use crate::network::neighbourhood;
use crate::rule::Per;
use crate::{cors, problem};

const METHODS: &str = "POST, OPTIONS";
/// How often a request looks again when rows have changed between reading and deciding.
const TRIES: u32 = 3;

/// What a request wants back, and where it is to go.
struct Wanted {
    payment: PaymentId,
    blanks: Vec<BlindedMessage>,
    outputs: Vec<OutputText>,
}

/// Why it gets nothing.
enum Denied {
    /// Nobody can read it.
    Malformed(String),
    /// What is shown is none of our receipts or passes.
    Unproven(String),
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

impl Shared {
    /// Answers who asks for a payment back.
    pub(super) async fn answer_refund(self: &Arc<Self>, parts: &Parts, body: Body) -> Response<Body> {
        if is_preflight(parts) {
            return sale::leave_by(METHODS);
        }
        let mut response = if parts.method == Method::POST {
            match self.ask_back(parts, body).await {
                Ok(response) => response,
                Err(denied) => denied.answer(),
            }
        } else {
            let problem = Problem::new(
                "method-refused",
                405,
                "Method refused",
                "payments are asked back by POST",
            )
            .expected("POST with JSON: the receipt or the pass of the payment, and blank outputs")
            .got(parts.method.to_string())
            .next("send {\"receipt\": \"..\", \"outputs\": [..]}, or use `farthing wallet refund-payment`");
            let mut answer = problem::answer(&problem);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
            answer
        };
        cors::open(response.headers_mut(), &parts.headers);
        response
    }

    async fn ask_back(self: &Arc<Self>, parts: &Parts, body: Body) -> Result<Response<Body>, Denied> {
        let client = self.config.crypto.limiter().client(&parts.extensions, &parts.headers);
        let mut work = self.config.crypto.limiter().begin(client.as_ref(), 1)?;
        let wanted = self.wanted(body).await?;
        work.cost(1 + wanted.blanks.len());
        let now = (self.config.clock)();
        let by = self.asking(parts, now).await?;
        let mut tries = TRIES;
        let (row, step) = loop {
            tries = tries.saturating_sub(1);
            match self.try_back(&wanted, by, (self.config.clock)()).await {
                // Somebody else was here between reading and deciding.
                Err(Denied::Refused(Refused::Engine(Refusal::Reject(
                    Reject::NotLoaded | Reject::Unbalanced { .. } | Reject::OutputSigned(_),
                )))) if tries > 0 => {}
                done => break done?,
            }
        };
        work.genuine();
        self.given(&wanted, &row, &step).await
    }

    async fn wanted(&self, body: Body) -> Result<Wanted, Denied> {
        let unread = "expected a JSON body of known length and at most 64 KiB";
        let (body, digest) =
            read_bound(body, true).await.map_err(|error| Denied::Malformed(error.to_string()))?;
        if digest.is_none_or(|digest| digest.is_empty()) {
            return Err(Denied::Malformed(unread.to_owned()));
        }
        let bytes = body.collect().await.map_err(|_| Denied::Malformed(unread.to_owned()))?.to_bytes();
        let asked = RefundRequest::parse(&bytes).map_err(|error| {
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
        Ok(Wanted { payment, blanks, outputs: asked.outputs })
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
        let place = known.steps.iter().filter(|step| matches!(step.to, RefundedTo::Payer { .. })).count();
        let place = if amount.is_zero() { place.saturating_sub(1) } else { place };
        let tag = tag(wanted, place);
        if let Some(step) = known.step(tag) {
            return Ok((row, step.clone()));
        }
        let outputs = self.sign_back(wanted, (&row, amount, place), now).await?;
        let command = TakeRefund {
            payment,
            merchant: row.merchant.clone(),
            asset: row.asset,
            marks: row.marks,
            fare: known.fare,
            outputs,
            by,
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
    async fn given(
        &self,
        wanted: &Wanted,
        row: &PaymentRow,
        step: &RefundStep,
    ) -> Result<Response<Body>, Denied> {
        let RefundedTo::Payer { credits, .. } = &step.to else { return Err(reject(Reject::NotLoaded)) };
        let (amount, name, money) = if wanted.blanks.is_empty() {
            let (amount, token) = self.own_token(wanted.payment, row.asset, credits).await?;
            (amount, "token", json!(token))
        } else {
            let (keyring, change) = (self.config.keyring.borrow().clone(), credits.clone());
            let again = move || keyring.sign_change_again(&change);
            let signatures = self.config.crypto.run(3 * credits.len(), again).await??;
            (step.amount, "signatures", json!(signatures))
        };
        let asset = row.asset;
        let sum = |amount: Amount| json!({ "amount": amount, "unit": asset.unit(), "asset": asset.code(), "scale": asset.scale() });
        let told = json!({
            "payment": wanted.payment.to_string(),
            "refunded": sum(amount),
            "kept": sum(row.kept()),
            name: money,
        });
        let mut response = Response::new(Body::from(told.to_string()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
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

fn credits_of(step: RefundStep) -> Option<Vec<ChangeOutput>> {
    if let RefundedTo::Payer { credits, .. } = step.to { Some(credits) } else { None }
}

fn credit_of(proof: &Proof) -> CreditId {
    let y: Y = hash_to_curve(proof.secret.as_bytes());
    CreditId::from_bytes(y.to_bytes())
}

/// What a payer would get.
fn available(row: &PaymentRow, (known, bundle): (&RefundRow, Option<BundleRow>), now: Timestamp) -> Amount {
    match known.due {
        due if !due.is_zero() => due,
        _ if known.until > now => row.unused(bundle),
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
    fn answer(self) -> Response<Body> {
        let (status, retry_after_secs, code, detail, next) = match &self {
            Self::Malformed(why) => (
                400,
                None,
                "refund-malformed",
                why.clone(),
                "send the receipt that came with the answer that was paid for",
            ),
            Self::Unproven(why) => (
                400,
                None,
                "refund-unproven",
                why.clone(),
                "send the receipt or the pass as it came, within its time",
            ),
            Self::Refused(refused) => {
                let (status, retry) = status_of(refused);
                (status, retry, refused.code(), refused.to_string(), next_of(refused))
            }
        };
        let mut answer = problem::answer(&Problem::new(code, status, "Not given back", detail).next(next));
        answer.headers_mut().extend(retry_after_secs.map(|secs| (RETRY_AFTER, HeaderValue::from(secs))));
        answer
    }
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

fn next_of(refused: &Refused) -> &'static str {
    match status_of(refused) {
        (503, _) => "send the same request again as Retry-After says: it is given back once",
        (429, _) => "wait as long as Retry-After says, or ask the seller",
        (400, _) => "send 64 blank outputs of an active keyset, or none to get a token",
        _ => "ask the seller, who can give back what it likes",
    }
}
