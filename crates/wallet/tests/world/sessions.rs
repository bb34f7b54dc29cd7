//! An issuer's sessions and a gate that takes their steps, honest or not. It believes links: chains are tested where they are made.

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::{ChainSalt, Link, Lock, session_name};
use farthing_ecash::{BlindedMessage, Proof, denomination};
use farthing_money::Timestamp;
use farthing_wallet::{HttpRequest, HttpResponse};
use farthing_wire::{Problem, SessionStep};
use serde_json::{Value, json};

use super::mint::Mint;

/// What happens to a call that brings a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// It is served and charged.
    Served,
    /// It is served and charged, and something on the way answers this instead, which no gate has written.
    Hidden(u16),
    /// As hidden, and whoever asks again is told this of the session.
    Denied(&'static str),
    /// It fails, and the gate says so.
    Refused(u16),
    /// It fails, and the gate hands on what the upstream says and that it was not charged.
    Passed(u16),
}

/// A session.
pub struct Row {
    pub step: u64,
    pub steps: u32,
    pub funds: u64,
    pub high: u32,
    pub taken: u32,
    used: BTreeSet<u32>,
    closed: Option<(Vec<u8>, Value)>,
}

impl Row {
    /// What a backup does not know.
    pub fn lose_all_above(&mut self, step: u32) {
        self.used.retain(|used| *used <= step);
        (self.high, self.taken) = (step, u32::try_from(self.used.len()).unwrap());
    }
}

pub struct Sessions {
    pub rows: BTreeMap<String, Row>,
    pub calls: Calls,
    /// The step and the count of every call that came.
    pub seen: Vec<(u32, Option<u32>)>,
    /// How long sessions pay, in seconds.
    pub lifetime: u64,
    /// The steps that payers have said were charged.
    pub owned_up: Vec<u64>,
    /// What a closing is answered instead of being carried out.
    pub closing: Option<HttpResponse>,
}

impl Sessions {
    pub fn new() -> Self {
        Self {
            rows: BTreeMap::new(),
            calls: Calls::Served,
            seen: Vec::new(),
            lifetime: 86_400,
            owned_up: Vec::new(),
            closing: None,
        }
    }

    /// What was charged and is not given back.
    pub fn charged(&self) -> u64 {
        self.rows.values().map(|row| u64::from(row.taken) * row.step).sum()
    }

    /// What an issuer says of sessions; nothing if something else is asked.
    pub fn issuer(&mut self, mint: &mut Mint, request: &HttpRequest, now: Timestamp) -> Option<HttpResponse> {
        let path = request.url.strip_prefix(super::MINT)?;
        if path == "/v1/info" {
            return Some(super::json(200, &json!({ "sessions": { "steps": 100_000 } })));
        }
        let rest = path.strip_prefix("/v1/sessions")?;
        let ends_at = now.secs() + self.lifetime;
        Some(match rest.strip_prefix('/').map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            None => self.open(mint, &request.body, ends_at),
            Some((id, what)) if self.rows.contains_key(id) => match what {
                "" => {
                    self.own_up(id, &request.body);
                    self.told(id, ends_at, &Value::Null)
                }
                "close" => match &self.closing {
                    Some(answer) => answer.clone(),
                    None => self.close(mint, id, &request.body, ends_at),
                },
                other => panic!("unexpected request {other}"),
            },
            Some(_) => refusal("unknown-session"),
        })
    }

    fn open(&mut self, mint: &mut Mint, body: &[u8], ends_at: u64) -> HttpResponse {
        let body: Value = serde_json::from_slice(body).unwrap();
        let inputs: Vec<Proof> = serde_json::from_value(body["inputs"].clone()).unwrap();
        let chain = &body["chain"];
        let hex = |name: &str| hex::decode(chain[name].as_str().unwrap()).unwrap();
        let salt = ChainSalt::from_bytes(hex("salt").try_into().unwrap());
        let anchor = Link::from_bytes(hex("anchor").try_into().unwrap());
        let lock = Lock::from_bytes(hex("lock").try_into().unwrap());
        let id = hex::encode(session_name(&salt, &anchor, &lock));
        if !self.rows.contains_key(&id) {
            let Ok(ys) = mint.check(&inputs) else { return refusal("credit-spent") };
            mint.spend(&ys, "session");
            let row = Row {
                step: chain["step"].as_u64().unwrap(),
                steps: u32::try_from(chain["steps"].as_u64().unwrap()).unwrap(),
                funds: inputs.iter().map(|proof| proof.amount).sum(),
                high: 0,
                taken: 0,
                used: BTreeSet::new(),
                closed: None,
            };
            self.rows.insert(id.clone(), row);
        }
        self.told(&id, ends_at, &Value::Null)
    }

    /// Charges what its payer says was charged and is not known.
    fn own_up(&mut self, id: &str, body: &[u8]) {
        let Ok(said) = serde_json::from_slice::<Value>(body) else { return };
        self.owned_up.push(said["step"].as_u64().unwrap());
        let (row, step) =
            (self.rows.get_mut(id).unwrap(), u32::try_from(said["step"].as_u64().unwrap()).unwrap());
        if row.closed.is_none() && step > row.high {
            row.used.extend(row.high + 1..=step);
            row.taken += step - row.high;
            row.high = step;
        }
    }

    fn close(&mut self, mint: &mut Mint, id: &str, body: &[u8], ends_at: u64) -> HttpResponse {
        let row = self.rows.get_mut(id).unwrap();
        let signatures = match &row.closed {
            Some((by, signatures)) if by == body => signatures.clone(),
            Some(_) => return refusal("session-closed"),
            None => {
                let text: Value = serde_json::from_slice(body).unwrap();
                let blanks: Vec<BlindedMessage> = serde_json::from_value(text["outputs"].clone()).unwrap();
                let left = row.funds - u64::from(row.taken) * row.step;
                let parts = denomination::split(left, denomination::powers_of_two(32)).unwrap();
                let sign =
                    |(amount, blank): (u64, &BlindedMessage)| mint.sign(&BlindedMessage { amount, ..*blank });
                let signed: Result<Vec<_>, _> = parts.into_iter().zip(&blanks).map(sign).collect();
                let signatures = match signed {
                    Ok(signatures) => json!(signatures),
                    Err((number, said)) => {
                        return super::json(400, &json!({ "detail": said, "code": number, "reject": said }));
                    }
                };
                row.closed = Some((body.to_vec(), signatures.clone()));
                signatures
            }
        };
        self.told(id, ends_at, &signatures)
    }

    fn told(&self, id: &str, ends_at: u64, signatures: &Value) -> HttpResponse {
        let row = &self.rows[id];
        let mut told = json!({
            "session": id, "unit": "uusd", "state": if row.closed.is_some() { "CLOSED" } else { "OPEN" },
            "generation": 0, "step": row.step, "steps": row.steps, "high": row.high,
            "left": row.steps - row.taken, "change": (row.funds - u64::from(row.taken) * row.step).to_string(),
            "ends_at": ends_at,
        });
        if !signatures.is_null() {
            told["signatures"] = signatures.clone();
        }
        super::json(200, &told)
    }

    /// What a gate says to a call that brings a step; nothing if it brings none.
    pub fn gate(&mut self, price: u64, request: &HttpRequest) -> Option<HttpResponse> {
        let (_, text) =
            request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Farthing-Session"))?;
        let step: SessionStep = text.parse().unwrap();
        self.seen.push((step.step, step.steps));
        let Some(row) = self.rows.get_mut(&hex::encode(step.session)) else {
            return Some(problem("unknown-session", 402));
        };
        let count = u32::try_from(price.div_ceil(row.step)).unwrap();
        let standing = |row: &Row| format!("generation=0; high={}; left={}", row.high, row.steps - row.taken);
        let steps: BTreeSet<u32> = (1 + step.step - count..=step.step).collect();
        if let (Calls::Denied(code), false) = (self.calls, row.used.is_disjoint(&steps)) {
            return Some(problem(code, 402));
        }
        if !row.used.is_disjoint(&steps) {
            let mut refused = problem("session-step-used", 409);
            refused.headers.push(("Farthing-Session".into(), standing(row)));
            return Some(refused);
        }
        if step.steps.is_some_and(|steps| count != steps) {
            return Some(problem("session-price", 402));
        }
        match self.calls {
            Calls::Refused(status) => return Some(problem("upstream-failed", status)),
            Calls::Passed(status) => {
                let headers = vec![("Farthing-Charge".into(), "none".into())];
                return Some(HttpResponse { status, headers, body: b"<h1>No</h1>".to_vec() });
            }
            Calls::Served | Calls::Hidden(_) | Calls::Denied(_) => {}
        }
        row.used.extend(steps);
        row.taken += count;
        row.high = row.high.max(step.step);
        let hidden = match self.calls {
            Calls::Hidden(status) => Some(status),
            Calls::Denied(_) => Some(504),
            _ => None,
        };
        if let Some(status) = hidden {
            return Some(HttpResponse { status, headers: Vec::new(), body: b"<h1>Gateway</h1>".to_vec() });
        }
        let headers = vec![("Farthing-Session".into(), standing(row))];
        Some(HttpResponse { status: 200, headers, body: Vec::new() })
    }
}

fn refusal(code: &str) -> HttpResponse {
    super::json(400, &json!({ "detail": code, "code": 20_000, "reject": code }))
}

fn problem(code: &str, status: u16) -> HttpResponse {
    let headers = vec![("Content-Type".into(), "application/problem+json".into())];
    let body: Value = serde_json::from_str(&Problem::new(code, status, "Refused", code).to_json()).unwrap();
    HttpResponse { headers, ..super::json(status, &body) }
}
