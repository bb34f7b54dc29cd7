//! A shop: a 402 gate in little, honest or not.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use farthing_ecash::{BlindedMessage, Proof, Token, Y, denomination, hash_to_curve};
use farthing_money::{Amount, Asset, Span, Timestamp};
use farthing_wallet::{HttpRequest, HttpResponse};
use farthing_wire::cashu::PaymentRequest;
use farthing_wire::mpp::credit::{self, MethodDetails, OutputText, ReceiptExtra, SignatureText};
use farthing_wire::{Bought, Credential, CredentialFields, Pass, Problem, Receipt, mpp};
use serde_json::{Value, json};

use super::mint::Mint;

/// So many passes of a request are looked at.
const PASSES_MAX: usize = 4;
const SECRET: [u8; 32] = [3; 32];

/// How the shop behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// As it should.
    Honest,
    /// The upstream fails: nothing is charged.
    Failing,
    /// It takes the money and says that it did not.
    Stealing,
    /// It takes the money and forgets the change.
    NoChange,
    /// It is busy with the same credential.
    Busy,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a way in which shops differ")]
pub struct Shop {
    pub price: u64,
    pub conduct: Conduct,
    pub mpp: bool,
    pub cashu: bool,
    /// Gives change as a token, whatever outputs came.
    pub token_change: bool,
    /// What it charges of its price, if that is counted.
    pub counted: Option<u64>,
    /// It says nothing of receipt and change with the head of an answer.
    pub streams: bool,
    pub pass: Option<Span>,
    /// Passes are for sale and come with nothing else, and those that are sold open none of these pages.
    pub is_apart: bool,
    /// Where it sells a pass that opens its pages.
    pub sells: Option<String>,
    /// How often that pass opens something, if that is counted.
    pub uses: Option<u32>,
    /// The payments of such passes all of whose uses are taken.
    pub used_up: BTreeSet<String>,
    pub lifetime: Span,
    pub decimals: u8,
    pub key: SigningKey,
    /// What it was paid, by each payment.
    pub payments: BTreeMap<Vec<Y>, HttpResponse>,
    pub revenue: u64,
    /// One of the credits of each payment that it took, and how much that was.
    pub sales: Vec<(Y, u64)>,
    /// How many answers were delivered.
    pub served: usize,
    /// The credits that were given as change in tokens.
    pub given: Vec<(Y, u64)>,
}

impl Shop {
    pub fn new() -> Self {
        Self {
            price: 10_000,
            conduct: Conduct::Honest,
            mpp: true,
            cashu: true,
            token_change: false,
            counted: None,
            streams: false,
            pass: None,
            is_apart: false,
            sells: None,
            uses: None,
            used_up: BTreeSet::new(),
            lifetime: Span::from_secs(300),
            decimals: 6,
            key: SigningKey::from_bytes(&[4; 32]),
            payments: BTreeMap::new(),
            revenue: 0,
            sales: Vec::new(),
            served: 0,
            given: Vec::new(),
        }
    }

    pub fn handle(&mut self, mint: &mut Mint, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        let values = |name: &str| -> Vec<&[u8]> {
            let here = request.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            here.map(|(_, value)| value.as_bytes()).collect()
        };
        if request.url.ends_with("/free") {
            self.served += 1;
            return page(200, Vec::new());
        }
        let shown = values("Farthing-Pass").into_iter().take(PASSES_MAX).filter_map(|text| {
            Pass::verify(std::str::from_utf8(text).unwrap(), &self.key.verifying_key(), now).ok()
        });
        let (used_up, shown): (Vec<Pass>, Vec<Pass>) =
            shown.partition(|pass| pass.bought.is_some() && self.used_up.contains(&pass.payment));
        let opens = |pass: &Pass| match plan(request) {
            // A pass is bought again, though there is one.
            Some(_) => false,
            None => pass.scope == scope(request) || !self.is_apart && pass.scope.starts_with("plan "),
        };
        if shown.iter().any(opens) {
            self.served += 1;
            return page(200, Vec::new());
        }
        let authorization = values("Authorization");
        let other = values("Payment-Authorization");
        let fields = CredentialFields {
            x_cashu: &values("X-Cashu"),
            authorization: &authorization,
            payment_authorization: &other,
            ..CredentialFields::default()
        };
        match Credential::from_headers(fields).unwrap() {
            None => self.named(self.challenge(request, now), !used_up.is_empty()),
            Some(credential) => self.paid(mint, request, &credential, now),
        }
    }

    /// The 402 of a page that a pass opens.
    fn named(&self, answer: HttpResponse, is_used_up: bool) -> HttpResponse {
        let Some(path) = &self.sells else { return answer };
        let mut problem: Value = serde_json::from_slice(&answer.body).unwrap();
        if is_used_up {
            problem["pass"] =
                json!({ "code": "bundle-used-up", "detail": "all 10 uses of this pass are taken" });
        }
        problem["passes"] = json!([{ "name": "day", "url": path }]);
        HttpResponse { body: problem.to_string().into_bytes(), ..answer }
    }

    fn challenge(&self, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        let mut headers = Vec::new();
        let asked = PaymentRequest {
            amount: Some(self.price),
            unit: Some("uusd".into()),
            mints: vec![format!("{}/", super::MINT)],
            ..PaymentRequest::default()
        };
        if self.cashu {
            headers.push(("X-Cashu".to_owned(), asked.encode_a().unwrap()));
        }
        if self.mpp {
            let asked = credit::Request {
                amount: Amount::from(self.price),
                currency: "uusd".parse().unwrap(),
                mints: vec!["https://other.example".into(), format!("{}/", super::MINT)],
                method_details: MethodDetails {
                    decimals: self.decimals,
                    asset: "USD".parse().unwrap(),
                    metered: self.counted.is_some(),
                },
            };
            let draft = mpp::Draft {
                realm: "shop.example",
                method: mpp::METHOD_CREDIT,
                intent: mpp::INTENT_CHARGE,
                request: &asked.to_json().unwrap(),
                expires: Some(now.after(self.lifetime)),
                digest: Some(farthing_wire::digest::content_digest(&request.body)),
                header: None,
                opaque: None,
                description: None,
            };
            let challenge = mpp::Challenge::issue(&SECRET, &draft).unwrap();
            headers.push(("WWW-Authenticate".to_owned(), challenge.to_header().unwrap()));
        }
        HttpResponse { headers, ..problem("payment-required", 402) }
    }

    fn paid(
        &mut self,
        mint: &mut Mint,
        request: &HttpRequest,
        credential: &Credential,
        now: Timestamp,
    ) -> HttpResponse {
        let token = Token::decode(credential.token().unwrap()).unwrap();
        let proofs = token.resolve(&mint.ids()).unwrap();
        let mut ys: Vec<Y> = proofs.iter().map(Proof::y).collect();
        ys.sort_unstable();
        if let Some(answer) = self.payments.get(&ys) {
            self.served += 1;
            return answer.clone();
        }
        let blanks = match credential {
            Credential::Credit { challenge, payload } => {
                if challenge.verify(&SECRET, now).is_err() {
                    return problem("challenge-expired", 402);
                }
                payload.outputs.clone().unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let total: u64 = proofs.iter().map(|proof| proof.amount).sum();
        match self.conduct {
            Conduct::Failing => return problem("upstream-failed", 502),
            Conduct::Busy => {
                let mut busy = problem("payment-under-way", 409);
                busy.headers.push(("Retry-After".into(), "2".into()));
                return busy;
            }
            _ => {}
        }
        if self.counted == Some(0) && !self.streams {
            self.served += 1;
            return page(200, vec![("Farthing-Charge".into(), "none".into())]);
        }
        match mint.check(&proofs) {
            Err(_) => return problem("credit-spent", 402),
            Ok(_) if total < self.price => return problem("insufficient", 402),
            Ok(ys) => mint.spend(&ys, "shop"),
        }
        if matches!(self.conduct, Conduct::Stealing | Conduct::NoChange) {
            mint.taken += total;
            self.takes(&ys, total);
            if self.conduct == Conduct::Stealing {
                return problem("upstream-failed", 502);
            }
            self.served += 1;
            return page(200, Vec::new());
        }
        let charged = self.counted.unwrap_or(self.price);
        mint.taken += charged;
        self.takes(&ys, charged);
        self.served += 1;
        let change = total - charged;
        let headers = self.headers(mint, request, &blanks, change, now);
        let answer = page(200, if self.streams { Vec::new() } else { headers });
        self.payments.insert(ys, answer.clone());
        answer
    }

    fn takes(&mut self, ys: &[Y], amount: u64) {
        self.revenue += amount;
        self.sales.push((ys[0], amount));
    }

    fn headers(
        &mut self,
        mint: &mut Mint,
        request: &HttpRequest,
        blanks: &[OutputText],
        change: u64,
        now: Timestamp,
    ) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        let money = Asset::micro("USD").unwrap().money(Amount::from(self.price));
        let receipt = Receipt::new("ab".into(), request.url.clone(), "mpp", money, now);
        let farthing = receipt.sign(&self.key).unwrap();
        headers.push(("Farthing-Receipt".into(), farthing.clone()));
        if let Some(span) = self.pass.filter(|_| !self.is_apart || plan(request).is_some()) {
            let extended = shown(request, &self.key, now).filter(|_| self.uses.is_none());
            let bundle = plan(request).filter(|_| self.uses.is_some());
            let pass = Pass {
                payment: bundle.map_or_else(|| "ab".into(), |_| format!("{:04x}", self.payments.len())),
                scope: scope(request),
                expires: extended.unwrap_or(now).after(span),
                checked: false,
                bought: bundle.map(|plan| Bought {
                    plan: plan.to_owned(),
                    covers: vec!["/**".into()],
                    methods: Vec::new(),
                    uses: self.uses,
                }),
            };
            headers.push(("Farthing-Pass".into(), pass.sign(&self.key).unwrap()));
        }
        let parts = denomination::split(change, denomination::powers_of_two(32)).unwrap();
        let mut extra = ReceiptExtra { change: Vec::new(), farthing: Some(farthing) };
        let signs =
            |blank: &OutputText| mint.signs(blank.id.parse().unwrap(), &blank.blinded.parse().unwrap());
        if self.token_change || blanks.len() < parts.len() || !blanks.iter().all(signs) {
            let proofs: Vec<_> = parts.iter().map(|part| self.own_credit(mint, *part)).collect();
            if change > 0 {
                let token = Token::new(super::MINT, "uusd".parse().unwrap(), None, proofs);
                headers.push(("X-Cashu".into(), token.encode()));
            }
        } else {
            let sign = |(amount, blank): (u64, &OutputText)| {
                let (id, b_) = (blank.id.parse().unwrap(), blank.blinded.parse().unwrap());
                let signature = mint.sign(&BlindedMessage { amount, id, b_ }).unwrap();
                serde_json::from_value::<SignatureText>(serde_json::to_value(signature).unwrap()).unwrap()
            };
            extra.change = parts.into_iter().zip(blanks).map(sign).collect();
        }
        let mut receipt = mpp::Receipt::success("credit", "ab".into(), now);
        extra.put(&mut receipt).unwrap();
        headers.push(("Payment-Receipt".into(), receipt.encode().unwrap()));
        headers
    }

    /// What comes with a pass that another seller of this key sells.
    pub fn pass_of(&self, request: &HttpRequest, lasts: Span, now: Timestamp) -> Vec<(String, String)> {
        let money = Asset::micro("USD").unwrap().money(Amount::from(self.price));
        let receipt = Receipt::new("ab".into(), request.url.clone(), "x402", money, now);
        let pass = Pass {
            payment: "ab".into(),
            scope: scope(request),
            expires: shown(request, &self.key, now).unwrap_or(now).after(lasts),
            checked: false,
            bought: None,
        };
        vec![
            ("Farthing-Receipt".into(), receipt.sign(&self.key).unwrap()),
            ("Farthing-Pass".into(), pass.sign(&self.key).unwrap()),
        ]
    }

    fn own_credit(&mut self, mint: &mut Mint, amount: u64) -> Proof {
        let secret = format!("shop {}", self.given.len());
        let id = *mint.ids().last().unwrap();
        let y = hash_to_curve(secret.as_bytes());
        self.given.push((y, amount));
        let b_ = y.point();
        let signature = mint.sign(&BlindedMessage { amount, id, b_ }).unwrap();
        Proof::new(amount, id, secret, signature.c_)
    }
}

/// The end of the pass of the same plan that came along: the new one lasts from there.
fn shown(request: &HttpRequest, key: &SigningKey, now: Timestamp) -> Option<Timestamp> {
    let here = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Farthing-Pass"));
    let passes = here.filter_map(|(_, text)| Pass::verify(text, &key.verifying_key(), now).ok());
    passes
        .filter(|pass| plan(request).is_some() && pass.scope == scope(request))
        .map(|pass| pass.expires)
        .max()
}

fn plan(request: &HttpRequest) -> Option<&str> {
    request.url.split_once("/.well-known/farthing/passes/").map(|(_, name)| name)
}

fn scope(request: &HttpRequest) -> String {
    if let Some(name) = plan(request) {
        return format!("plan {name}");
    }
    format!("url GET {}", request.url)
}

fn page(status: u16, mut headers: Vec<(String, String)>) -> HttpResponse {
    headers.push(("Content-Type".into(), "text/html".into()));
    HttpResponse { status, headers, body: Vec::new() }
}

fn problem(code: &str, status: u16) -> HttpResponse {
    let headers = vec![("Content-Type".into(), "application/problem+json".into())];
    let body: Value = serde_json::from_str(&Problem::new(code, status, "Refused", code).to_json()).unwrap();
    HttpResponse { headers, ..super::json(status, &json!(body)) }
}
