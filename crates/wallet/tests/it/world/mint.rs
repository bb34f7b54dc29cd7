//! A mint of the real cryptography and no books but two sets.

use std::collections::{BTreeMap, BTreeSet};

use farthing_ecash::{
    BlindSignature, BlindedMessage, KeysetId, Proof, PublicKey, SigningKeyset, Y, input_fee, quote_signature,
};
use farthing_wallet::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

pub struct Mint {
    keysets: Vec<(SigningKeyset, bool)>,
    spent: BTreeMap<Y, String>,
    pub pending: BTreeSet<Y>,
    pub signed: BTreeMap<PublicKey, BlindSignature>,
    /// The keyset and the amount of every credit that was ever shown.
    shown: BTreeMap<Y, (KeysetId, u64)>,
    codes: BTreeMap<String, (u64, Option<String>)>,
    quotes: BTreeMap<String, (u64, PublicKey, Option<String>)>,
    /// Quotes that money on a chain pays.
    pub orders: BTreeMap<String, Order>,
    /// Melt quotes: the hash of the code, its worth, and the answer once it is paid.
    melts: BTreeMap<String, Melt>,
    /// The Unix second at which the next orders end.
    pub orders_end: u64,
    /// Codes that credits were turned into, by their hashes.
    pub funded: BTreeMap<String, u64>,
    /// What was ever put into circulation by codes.
    pub issued: u64,
    /// What the mint kept as fees.
    pub fees: u64,
    /// What was spent for good.
    pub taken: u64,
    /// Signs with this keyset's keys what another's are asked for: a mint that marks its payers.
    pub false_keys: Option<SigningKeyset>,
}

/// A quote that money on a chain pays, in parts and beyond what it asks for.
pub struct Order {
    amount: u64,
    pub paid: u64,
    pub issued: u64,
    expiry: u64,
    pubkey: PublicKey,
    /// The requests that were carried out.
    minted: BTreeSet<String>,
}

/// The hash of the code, its worth, and by which request it was paid with what answer.
type Melt = (String, u64, Option<(String, Value)>);

#[derive(Deserialize)]
struct Swap {
    inputs: Vec<Proof>,
    outputs: Vec<BlindedMessage>,
}

#[derive(Deserialize)]
struct MintBody {
    quote: String,
    outputs: Vec<BlindedMessage>,
    signature: Option<String>,
}

#[derive(Deserialize)]
struct QuoteBody {
    code: String,
    pubkey: PublicKey,
}

#[derive(Deserialize)]
struct OrderBody {
    amount: u64,
    pubkey: PublicKey,
}

#[derive(Deserialize)]
struct MeltQuoteBody {
    request: String,
    amount: u64,
}

#[derive(Deserialize)]
struct MeltBody {
    quote: String,
    inputs: Vec<Proof>,
    #[serde(default)]
    outputs: Vec<BlindedMessage>,
}

#[derive(Deserialize)]
struct Outputs {
    outputs: Vec<BlindedMessage>,
}

type Answer = Result<Value, (u64, String)>;

impl Mint {
    pub fn new() -> Self {
        Self::with_fee(0)
    }

    pub fn with_fee(input_fee_ppk: u64) -> Self {
        Self {
            keysets: vec![(keyset(0, input_fee_ppk), true)],
            spent: BTreeMap::new(),
            pending: BTreeSet::new(),
            signed: BTreeMap::new(),
            shown: BTreeMap::new(),
            codes: BTreeMap::new(),
            quotes: BTreeMap::new(),
            orders: BTreeMap::new(),
            melts: BTreeMap::new(),
            orders_end: u64::MAX,
            funded: BTreeMap::new(),
            issued: 0,
            fees: 0,
            taken: 0,
            false_keys: None,
        }
    }

    pub fn add_code(&mut self, code: &str, amount: u64) {
        self.codes.insert(code.to_owned(), (amount, None));
    }

    /// A new keyset signs; the old ones are only redeemed.
    pub fn rotate(&mut self) {
        self.keysets.iter_mut().for_each(|(_, active)| *active = false);
        let index = u32::try_from(self.keysets.len()).unwrap();
        self.keysets.push((keyset(index, 0), true));
    }

    fn keyset(&self, id: KeysetId) -> Result<&(SigningKeyset, bool), (u64, String)> {
        let found = self.keysets.iter().find(|(keyset, _)| keyset.id() == id);
        found.ok_or((12_001, "unknown keyset".to_owned()))
    }

    pub fn ids(&self) -> Vec<KeysetId> {
        self.keysets.iter().map(|(keyset, _)| keyset.id()).collect()
    }

    /// The points of credits, if all of them are good and free.
    pub fn check(&mut self, proofs: &[Proof]) -> Result<Vec<Y>, (u64, String)> {
        let mut ys = BTreeSet::new();
        for proof in proofs {
            assert!(proof.dleq.is_none(), "the mint must not see the proof of equality");
            let y = self.keyset(proof.id)?.0.verify(proof).map_err(|error| (10_001, error.to_string()))?;
            if self.pending.contains(&y) {
                return Err((11_002, "pending".to_owned()));
            }
            if self.spent.contains_key(&y) || !ys.insert(y) {
                return Err((11_001, "spent".to_owned()));
            }
            self.shown.insert(y, (proof.id, proof.amount));
        }
        Ok(ys.into_iter().collect())
    }

    pub fn spend(&mut self, ys: &[Y], by: &str) {
        self.spent.extend(ys.iter().map(|y| (*y, by.to_owned())));
    }

    /// What a backup knows of what was spent.
    pub fn backup(&self) -> BTreeMap<Y, String> {
        self.spent.clone()
    }

    /// Goes back to it.
    pub fn go_back_to(&mut self, spent: BTreeMap<Y, String>) {
        self.spent = spent;
    }

    pub fn is_spent(&self, y: Y) -> bool {
        self.spent.contains_key(&y)
    }

    /// Every spent credit with its keyset and amount.
    pub fn redeemed(&self) -> impl Iterator<Item = (Y, KeysetId, u64)> + '_ {
        self.spent.keys().map(|y| (*y, self.shown[y].0, self.shown[y].1))
    }

    /// Whether it would sign this output.
    pub fn signs(&self, id: KeysetId, b_: &PublicKey) -> bool {
        self.keyset(id).is_ok_and(|(_, active)| *active) && !self.signed.contains_key(b_)
    }

    pub fn sign(&mut self, message: &BlindedMessage) -> Result<BlindSignature, (u64, String)> {
        let (keyset, active) = self.keyset(message.id)?;
        if !active {
            return Err((12_002, "inactive keyset".to_owned()));
        }
        if self.signed.contains_key(&message.b_) {
            return Err((11_003, "signed before".to_owned()));
        }
        let signature = match &self.false_keys {
            Some(other) => {
                let signed = other.sign(&BlindedMessage { id: other.id(), ..*message }).unwrap();
                BlindSignature { id: message.id, ..signed }
            }
            None => keyset.sign(message).map_err(|error| (10_000, error.to_string()))?,
        };
        self.signed.insert(message.b_, signature);
        Ok(signature)
    }

    fn sign_all(&mut self, outputs: &[BlindedMessage]) -> Result<Vec<BlindSignature>, (u64, String)> {
        for output in outputs {
            let (_, active) = self.keyset(output.id)?;
            if !active {
                return Err((12_002, "inactive keyset".to_owned()));
            }
            if self.signed.contains_key(&output.b_) {
                return Err((11_003, "signed before".to_owned()));
            }
        }
        outputs.iter().map(|output| self.sign(output)).collect()
    }

    fn again(&self, outputs: &[BlindedMessage]) -> Vec<BlindSignature> {
        outputs.iter().filter_map(|output| self.signed.get(&output.b_).copied()).collect()
    }

    /// The credits in circulation that nobody has spent.
    pub fn outstanding(&self) -> u64 {
        self.issued - self.fees - self.taken
    }

    pub fn handle(&mut self, request: &HttpRequest) -> HttpResponse {
        let path = request.url.strip_prefix(super::MINT).unwrap();
        let answer = match (request.method.as_str(), path) {
            ("GET", "/v1/keysets") => Ok(self.list()),
            ("GET", path) if path.starts_with("/v1/keys/") => {
                self.keys(path.strip_prefix("/v1/keys/").unwrap())
            }
            ("GET", path) if path.starts_with("/v1/melt/quote/code/") => self.melt_state(path),
            (_, "/v1/melt/quote/code") => self.melt_quote(&request.body),
            (_, "/v1/melt/code") => self.melt(&request.body),
            (_, "/v1/swap") => self.swap(&request.body),
            (_, "/v1/mint/quote/code") => self.quote(&request.body),
            (_, "/v1/mint/code") => self.mint(&request.body),
            ("GET", path) if path.starts_with("/v1/mint/quote/evm/") => {
                self.order_state(path.rsplit('/').next().unwrap())
            }
            (_, "/v1/mint/quote/evm") => self.order(&request.body),
            (_, "/v1/mint/evm") => self.mint_order(&request.body),
            (_, "/v1/restore") => Ok(self.restore(&request.body)),
            (_, "/v1/checkstate") => Ok(self.states(&request.body)),
            other => panic!("unexpected request {other:?}"),
        };
        match answer {
            Ok(body) => super::json(200, &body),
            Err((code, detail)) => super::json(400, &json!({ "detail": detail, "code": code })),
        }
    }

    fn list(&self) -> Value {
        let info = |(keyset, active): &(SigningKeyset, bool)| {
            let mut info = keyset.public().info();
            info.active = *active;
            serde_json::to_value(info).unwrap()
        };
        json!({ "keysets": self.keysets.iter().map(info).collect::<Vec<_>>() })
    }

    fn keys(&self, id: &str) -> Answer {
        let keyset = self.keyset(id.parse().unwrap())?.0.public().clone();
        Ok(json!({ "keysets": [keyset] }))
    }

    fn swap(&mut self, body: &[u8]) -> Answer {
        let Swap { inputs, outputs } = serde_json::from_slice(body).unwrap();
        if inputs.is_empty() {
            return Err((11_005, "no inputs".to_owned()));
        }
        let tag = String::from_utf8(body.to_vec()).unwrap();
        if inputs.iter().all(|proof| self.spent.get(&proof.y()) == Some(&tag)) {
            return Ok(json!({ "signatures": self.again(&outputs) }));
        }
        let ys = self.check(&inputs)?;
        let rates = inputs.iter().map(|proof| self.keyset(proof.id).unwrap().0.public().input_fee_ppk);
        let fee = input_fee(rates).unwrap();
        let sum = |amounts: Vec<u64>| amounts.into_iter().sum::<u64>();
        let came = sum(inputs.iter().map(|proof| proof.amount).collect());
        let goes = sum(outputs.iter().map(|output| output.amount).collect());
        if came != goes + fee {
            return Err((11_005, format!("{came} is not {goes} and {fee}")));
        }
        let signatures = self.sign_all(&outputs)?;
        self.spend(&ys, &tag);
        self.fees += fee;
        Ok(json!({ "signatures": signatures }))
    }

    fn quote(&mut self, body: &[u8]) -> Answer {
        let QuoteBody { code, pubkey } = serde_json::from_slice(body).unwrap();
        let id = format!("quote-{}", self.quotes.len());
        let (amount, quote) = self.codes.get_mut(&code).ok_or((20_000, "no such code".to_owned()))?;
        let id = quote.get_or_insert(id).clone();
        let (amount, pubkey, _) = self.quotes.entry(id.clone()).or_insert((*amount, pubkey, None));
        Ok(json!({ "quote": id, "unit": "uusd", "amount": amount, "pubkey": pubkey, "request": code }))
    }

    fn mint(&mut self, body: &[u8]) -> Answer {
        let MintBody { quote, outputs, signature } = serde_json::from_slice(body).unwrap();
        let tag = String::from_utf8(body.to_vec()).unwrap();
        let (amount, pubkey, by) = self.quotes.get(&quote).cloned().ok_or((20_000, "no quote".to_owned()))?;
        quote_signature::verify(&quote, &outputs, pubkey, signature.as_deref())
            .map_err(|error| (20_008, error.to_string()))?;
        match by {
            Some(by) if by == tag => return Ok(json!({ "signatures": self.again(&outputs) })),
            Some(_) => return Err((20_002, "issued before".to_owned())),
            None => {}
        }
        assert_eq!(outputs.iter().map(|output| output.amount).sum::<u64>(), amount);
        let signatures = self.sign_all(&outputs)?;
        self.quotes.insert(quote, (amount, pubkey, Some(tag)));
        self.issued += amount;
        Ok(json!({ "signatures": signatures }))
    }

    fn order(&mut self, body: &[u8]) -> Answer {
        let OrderBody { amount, pubkey } = serde_json::from_slice(body).unwrap();
        let id = format!("order-{}", self.orders.len());
        let expiry = self.orders_end;
        let order = Order { amount, paid: 0, issued: 0, expiry, pubkey, minted: BTreeSet::new() };
        self.orders.insert(id.clone(), order);
        self.order_state(&id)
    }

    fn order_state(&self, id: &str) -> Answer {
        let order = self.orders.get(id).ok_or((20_000, "no quote".to_owned()))?;
        Ok(json!({
            "quote": id, "unit": "uusd", "amount": order.amount, "request": "https://mint.example/pay",
            "amount_paid": order.paid, "amount_issued": order.issued, "expiry": order.expiry,
            "transfer": { "address": "0x1111111111111111111111111111111111111111", "ways": [] },
        }))
    }

    fn mint_order(&mut self, body: &[u8]) -> Answer {
        let MintBody { quote, outputs, signature } = serde_json::from_slice(body).unwrap();
        let tag = String::from_utf8(body.to_vec()).unwrap();
        let order = self.orders.get(&quote).ok_or((20_000, "no quote".to_owned()))?;
        quote_signature::verify(&quote, &outputs, order.pubkey, signature.as_deref())
            .map_err(|error| (20_008, error.to_string()))?;
        if order.minted.contains(&tag) {
            return Ok(json!({ "signatures": self.again(&outputs) }));
        }
        let amount = outputs.iter().map(|output| output.amount).sum::<u64>();
        if order.paid == order.issued {
            return Err((20_002, "issued before".to_owned()));
        }
        assert!(amount <= order.paid - order.issued, "no more than has come");
        let signatures = self.sign_all(&outputs)?;
        let order = self.orders.get_mut(&quote).unwrap();
        order.issued += amount;
        order.minted.insert(tag);
        self.issued += amount;
        Ok(json!({ "signatures": signatures }))
    }

    /// Quotes that nobody paid end: the next request for one gets `quote expired`.
    pub fn forget_melt_quotes(&mut self) {
        self.melts.retain(|_, (_, _, paid)| paid.is_some());
    }

    fn melt_quote(&mut self, body: &[u8]) -> Answer {
        let MeltQuoteBody { request, amount } = serde_json::from_slice(body).unwrap();
        if self.funded.contains_key(&request) {
            return Err((20_000, "the code exists".to_owned()));
        }
        let id = format!("melt-{}", self.melts.len());
        self.melts.insert(id.clone(), (request, amount, None));
        Ok(json!({ "quote": id, "unit": "uusd", "amount": amount, "fee_reserve": 0, "paid": false }))
    }

    fn melt_state(&self, path: &str) -> Answer {
        let id = path.rsplit('/').next().unwrap();
        let (_, amount, paid) = self.melts.get(id).ok_or((20_000, "no quote".to_owned()))?;
        let unpaid = json!({ "quote": id, "unit": "uusd", "amount": amount, "paid": false });
        Ok(paid.as_ref().map_or(unpaid, |(_, answer)| answer.clone()))
    }

    fn melt(&mut self, body: &[u8]) -> Answer {
        let MeltBody { quote, inputs, outputs } = serde_json::from_slice(body).unwrap();
        let tag = String::from_utf8(body.to_vec()).unwrap();
        let (code, amount, paid) =
            self.melts.get(&quote).cloned().ok_or((20_007, "quote expired".to_owned()))?;
        match paid {
            Some((by, answer)) if by == tag => return Ok(answer),
            Some(_) => return Err((20_006, "paid before".to_owned())),
            None => {}
        }
        let ys = self.check(&inputs)?;
        let rates = inputs.iter().map(|proof| self.keyset(proof.id).unwrap().0.public().input_fee_ppk);
        let fee = input_fee(rates).unwrap();
        let came = inputs.iter().map(|proof| proof.amount).sum::<u64>();
        let change = came.checked_sub(amount + fee).ok_or((11_005, "too little".to_owned()))?;
        assert!(change == 0 || !outputs.is_empty(), "the rest would be lost");
        let powers = (0..64).map(|order| 1_u64 << order).filter(|power| change & power > 0);
        let signed: Vec<BlindedMessage> =
            outputs.iter().zip(powers).map(|(blank, amount)| BlindedMessage { amount, ..*blank }).collect();
        assert_eq!(signed.iter().map(|one| one.amount).sum::<u64>(), change, "there are blanks enough");
        let change = self.sign_all(&signed)?;
        self.spend(&ys, &tag);
        self.fees += fee;
        self.taken += amount;
        self.funded.insert(code.clone(), amount);
        let answer =
            json!({ "quote": quote, "unit": "uusd", "amount": amount, "paid": true, "change": change });
        self.melts.insert(quote, (code, amount, Some((tag, answer.clone()))));
        Ok(answer)
    }

    fn restore(&self, body: &[u8]) -> Value {
        let Outputs { outputs } = serde_json::from_slice(body).unwrap();
        let known = |output: &BlindedMessage| self.signed.contains_key(&output.b_);
        let outputs: Vec<_> = outputs.into_iter().filter(known).collect();
        json!({ "outputs": outputs, "signatures": self.again(&outputs) })
    }

    fn states(&self, body: &[u8]) -> Value {
        let body: Value = serde_json::from_slice(body).unwrap();
        let state = |y: &Value| {
            let point: Y = y.as_str().unwrap().parse().unwrap();
            let state = match () {
                () if self.spent.contains_key(&point) => "SPENT",
                () if self.pending.contains(&point) => "PENDING",
                () => "UNSPENT",
            };
            json!({ "Y": y, "state": state })
        };
        let states: Vec<_> = body["Ys"].as_array().unwrap().iter().map(state).collect();
        json!({ "states": states })
    }
}

pub fn keyset(index: u32, input_fee_ppk: u64) -> SigningKeyset {
    SigningKeyset::derive(&[5; 32], "uusd".parse().unwrap(), index, input_fee_ppk, None, 32).unwrap()
}
