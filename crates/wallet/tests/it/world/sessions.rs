//! An issuer's sessions and a gate that takes their steps, honest or not.

use std::collections::{BTreeMap, BTreeSet};

use farthing_channel::{ChainSalt, Link, Lock, session_name};
use farthing_ecash::{BlindedMessage, Proof, Y, denomination};
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

/// A chain as its payer names it.
#[derive(Clone)]
struct Chain {
    salt: ChainSalt,
    anchor: Link,
    lock: Lock,
    step: u64,
    steps: u32,
}

/// A session.
#[derive(Clone)]
pub struct Row {
    chain: Chain,
    generation: u32,
    /// What was there when the present chain began.
    funds: u64,
    high: u32,
    taken: u32,
    /// What the chains before were charged.
    before: u64,
    used: BTreeSet<u32>,
    ends_at: u64,
    /// The request that last opened it or topped it up.
    tag: Vec<u8>,
    closed: Option<(Vec<u8>, Value)>,
}

/// Money that went into a session or came out of it.
pub enum Moved {
    /// These credits, of which all were worth so much.
    In(String, Vec<Y>, u64),
    /// So much.
    Out(String, u64),
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
    /// What was moved, the oldest first.
    pub moved: Vec<Moved>,
}

impl Row {
    /// A session that begins with a chain.
    fn new(chain: Chain, funds: u64, ends_at: u64, tag: &[u8]) -> Self {
        let (tag, used, closed) = (tag.to_vec(), BTreeSet::new(), None);
        Self { chain, generation: 0, funds, high: 0, taken: 0, before: 0, used, ends_at, tag, closed }
    }

    /// What the present chain was charged.
    fn spent(&self) -> u64 {
        u64::from(self.taken) * self.chain.step
    }

    /// What a backup does not know.
    pub fn lose_all_above(&mut self, step: u32) {
        self.used.retain(|used| *used <= step);
        (self.high, self.taken) = (step, u32::try_from(self.used.len()).unwrap());
    }

    fn left(&self) -> u64 {
        self.funds - self.spent()
    }

    fn standing(&self) -> (String, String) {
        let left = self.chain.steps - self.taken;
        let standing = format!("generation={}; high={}; left={left}", self.generation, self.high);
        ("Farthing-Session".into(), standing)
    }
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
            moved: Vec::new(),
        }
    }

    /// What calls were charged.
    pub fn charged(&self) -> u64 {
        self.rows.values().map(|row| row.before + row.spent()).sum()
    }

    /// What lies in sessions that are not closed.
    pub fn inside(&self) -> u64 {
        self.rows.values().filter(|row| row.closed.is_none()).map(Row::left).sum()
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
                    self.told(id, &Value::Null)
                }
                "top-up" => self.top_up(mint, id, &request.body, ends_at),
                "close" => match &self.closing {
                    Some(answer) => answer.clone(),
                    None => self.close(mint, id, &request.body),
                },
                other => panic!("unexpected request {other}"),
            },
            Some(_) => refusal("unknown-session"),
        })
    }

    fn open(&mut self, mint: &mut Mint, body: &[u8], ends_at: u64) -> HttpResponse {
        let (text, chain, inputs) = put(body);
        assert!(text["key"].is_null());
        let id = hex::encode(session_name(&chain.salt, &chain.anchor, &chain.lock));
        match self.rows.get(&id) {
            Some(row) if row.tag == body => {}
            Some(_) => return refusal("session-exists"),
            None => {
                let Ok(ys) = mint.check(&inputs) else { return refusal("credit-spent") };
                let funds = worth(&inputs);
                if chain.step * u64::from(chain.steps) > funds {
                    return refusal("insufficient");
                }
                mint.spend(&ys, "session");
                self.moved.push(Moved::In(id.clone(), ys, funds));
                self.rows.insert(id.clone(), Row::new(chain, funds, ends_at, body));
            }
        }
        self.told(&id, &Value::Null)
    }

    fn top_up(&mut self, mint: &mut Mint, id: &str, body: &[u8], ends_at: u64) -> HttpResponse {
        let row = self.rows.get_mut(id).unwrap();
        if row.tag != body {
            let (text, chain, inputs) = put(body);
            if row.closed.is_some() {
                return refusal("session-closed");
            }
            if !opens(&row.chain.lock, &text) {
                return refusal("session-locked");
            }
            let Ok(ys) = mint.check(&inputs) else { return refusal("credit-spent") };
            let funds = row.left() + worth(&inputs);
            if chain.step * u64::from(chain.steps) > funds {
                return refusal("insufficient");
            }
            mint.spend(&ys, "session");
            self.moved.push(Moved::In(id.to_owned(), ys, worth(&inputs)));
            let (generation, before) = (row.generation + 1, row.before + row.spent());
            *row = Row { generation, before, ..Row::new(chain, funds, ends_at, body) };
        }
        self.told(id, &Value::Null)
    }

    /// Charges what its payer says was charged and is not known.
    fn own_up(&mut self, id: &str, body: &[u8]) {
        let Ok(said) = serde_json::from_slice::<Value>(body) else { return };
        self.owned_up.push(said["step"].as_u64().unwrap());
        let (row, step) =
            (self.rows.get_mut(id).unwrap(), u32::try_from(said["step"].as_u64().unwrap()).unwrap());
        let link = hex::decode(said["link"].as_str().unwrap()).unwrap();
        let link = Link::from_bytes(link.try_into().unwrap());
        let is_ours = said["generation"] == json!(row.generation)
            && link.is_above(row.chain.anchor, &row.chain.salt, step);
        if row.closed.is_none() && step > row.high && is_ours {
            row.used.extend(row.high + 1..=step);
            row.taken += step - row.high;
            row.high = step;
        }
    }

    fn close(&mut self, mint: &mut Mint, id: &str, body: &[u8]) -> HttpResponse {
        let row = self.rows.get_mut(id).unwrap();
        let signatures = match &row.closed {
            Some((by, signatures)) if by == body => signatures.clone(),
            Some(_) => return refusal("session-closed"),
            None => {
                let text: Value = serde_json::from_slice(body).unwrap();
                if !opens(&row.chain.lock, &text) {
                    return refusal("session-locked");
                }
                let blanks: Vec<BlindedMessage> = serde_json::from_value(text["outputs"].clone()).unwrap();
                let parts = denomination::split(row.left(), denomination::powers_of_two(32)).unwrap();
                if parts.len() > blanks.len() {
                    return refusal("blank-outputs");
                }
                let sign =
                    |(amount, blank): (u64, &BlindedMessage)| mint.sign(&BlindedMessage { amount, ..*blank });
                let signed: Result<Vec<_>, _> = parts.into_iter().zip(&blanks).map(sign).collect();
                let signatures = match signed {
                    Ok(signatures) => json!(signatures),
                    Err((number, said)) => {
                        return super::json(400, &json!({ "detail": said, "code": number, "reject": said }));
                    }
                };
                self.moved.push(Moved::Out(id.to_owned(), row.left()));
                row.closed = Some((body.to_vec(), signatures.clone()));
                signatures
            }
        };
        self.told(id, &signatures)
    }

    fn told(&self, id: &str, signatures: &Value) -> HttpResponse {
        let row = &self.rows[id];
        let mut told = json!({
            "session": id, "unit": "uusd", "state": if row.closed.is_some() { "CLOSED" } else { "OPEN" },
            "generation": row.generation, "step": row.chain.step, "steps": row.chain.steps, "high": row.high,
            "left": row.chain.steps - row.taken, "change": row.left().to_string(), "ends_at": row.ends_at,
        });
        if !signatures.is_null() {
            told["signatures"] = signatures.clone();
        }
        super::json(200, &told)
    }

    /// What a gate says to a call that brings a step; nothing if it brings none.
    pub fn gate(&mut self, price: u64, request: &HttpRequest, now: Timestamp) -> Option<HttpResponse> {
        let (_, text) =
            request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Farthing-Session"))?;
        let step: SessionStep = text.parse().unwrap();
        self.seen.push((step.step, step.steps));
        let Some(row) = self.rows.get_mut(&hex::encode(step.session)) else {
            return Some(problem("unknown-session", 402));
        };
        if row.closed.is_some() {
            return Some(problem("session-closed", 409));
        }
        if row.ends_at <= now.secs() {
            return Some(problem("session-ended", 402));
        }
        let with_standing = |mut refused: HttpResponse, row: &Row| {
            refused.headers.push(row.standing());
            Some(refused)
        };
        let link = Link::from_bytes(step.link);
        if step.step > row.chain.steps || !link.is_above(row.chain.anchor, &row.chain.salt, step.step) {
            return with_standing(problem("session-link", 409), row);
        }
        let count = u32::try_from(price.div_ceil(row.chain.step)).unwrap();
        let is_used = row.used.contains(&step.step);
        if let (Calls::Denied(code), true) = (self.calls, is_used) {
            return Some(problem(code, 402));
        }
        // First of all: who asks again is told that it was charged, whatever has become of the price.
        if is_used {
            return with_standing(problem("session-step-used", 409), row);
        }
        if step.steps.is_some_and(|steps| count != steps) {
            return Some(problem("session-price", 402));
        }
        if step.step < count {
            return with_standing(problem("session-exhausted", 402), row);
        }
        let steps: BTreeSet<u32> = (1 + step.step - count..=step.step).collect();
        if !row.used.is_disjoint(&steps) {
            return with_standing(problem("session-step-used", 409), row);
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
        with_standing(HttpResponse { status: 200, headers: Vec::new(), body: Vec::new() }, row)
    }
}

/// A request that puts credits in: its text, its chain, and its credits.
fn put(body: &[u8]) -> (Value, Chain, Vec<Proof>) {
    let text: Value = serde_json::from_slice(body).unwrap();
    let bytes = |name: &str| hex::decode(text["chain"][name].as_str().unwrap()).unwrap();
    let chain = Chain {
        salt: ChainSalt::from_bytes(bytes("salt").try_into().unwrap()),
        anchor: Link::from_bytes(bytes("anchor").try_into().unwrap()),
        lock: Lock::from_bytes(bytes("lock").try_into().unwrap()),
        step: text["chain"]["step"].as_u64().unwrap(),
        steps: u32::try_from(text["chain"]["steps"].as_u64().unwrap()).unwrap(),
    };
    let inputs = serde_json::from_value(text["inputs"].clone()).unwrap();
    (text, chain, inputs)
}

fn worth(inputs: &[Proof]) -> u64 {
    inputs.iter().map(|proof| proof.amount).sum()
}

/// Whether the key in a request opens a lock.
fn opens(lock: &Lock, text: &Value) -> bool {
    let key = hex::decode(text["key"].as_str().unwrap()).unwrap();
    lock.is_opened_by(&key.try_into().unwrap())
}

fn refusal(code: &str) -> HttpResponse {
    super::json(400, &json!({ "detail": code, "code": 20_000, "reject": code }))
}

fn problem(code: &str, status: u16) -> HttpResponse {
    let headers = vec![("Content-Type".into(), "application/problem+json".into())];
    let body: Value = serde_json::from_str(&Problem::new(code, status, "Refused", code).to_json()).unwrap();
    HttpResponse { headers, ..super::json(status, &body) }
}
