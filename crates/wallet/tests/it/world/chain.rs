//! A chain with one token, and a node that answers for it: what authorizations were taken, and what the time is.

use std::collections::BTreeMap;

use farthing_channel::{Address, ChainId, Word, bytes_from_hex, bytes_to_hex, keccak256};
use farthing_money::Timestamp;
use farthing_wallet::{HttpRequest, HttpResponse, Token};
use serde_json::{Value, json};

use super::sender::Sender;
use super::toll::{self, Escrow};

pub const NODE: &str = "https://node.example/rpc";
pub const CHAIN: ChainId = ChainId::new(31_337);

/// What was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub payer: Address,
    pub to: Address,
    pub units: u64,
    pub transaction: String,
}

pub struct Chain {
    /// By their nonces.
    pub taken: BTreeMap<Word, Taken>,
    pub balance: u64,
    pub number: u64,
    /// A transaction whose bytes hold every nonce that anybody looks for in it.
    pub decoy: Option<String>,
    /// What was signed, whether it was taken or not.
    pub seen: Vec<Word>,
    pub escrow: Escrow,
    pub sender: Sender,
}

pub fn token() -> Token {
    Token {
        chain: CHAIN,
        address: Address::from_bytes([0x70; 20]),
        symbol: "TUSD".into(),
        decimals: 6,
        name: "Test Dollar".into(),
        version: "1".into(),
        counts_as: Token::unit_of("USD").unwrap(),
        is_blocked: false,
    }
}

impl Chain {
    pub fn new() -> Self {
        Self {
            taken: BTreeMap::new(),
            balance: 5_000_000,
            number: CHAIN.number(),
            decoy: None,
            seen: Vec::new(),
            escrow: Escrow::default(),
            sender: Sender::default(),
        }
    }

    /// Carries what was signed; `None` if its nonce was used before.
    pub fn take(&mut self, payer: Address, to: Address, nonce: Word, units: u64) -> Option<String> {
        if self.taken.contains_key(&nonce) {
            return None;
        }
        let transaction = keccak256(nonce.as_bytes()).to_string();
        self.balance -= units;
        self.taken.insert(nonce, Taken { payer, to, units, transaction: transaction.clone() });
        Some(transaction)
    }

    /// A block takes a transaction that came before.
    pub fn mine(&mut self, place: usize, now: Timestamp) {
        let signed = self.sender.seen[place].clone();
        self.sender.mine(&signed, &mut self.escrow, &mut self.balance, now);
    }

    /// What was taken in all.
    pub fn total(&self) -> u64 {
        self.taken.values().map(|taken| taken.units).sum()
    }

    /// What the node says.
    pub fn handle(&mut self, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let params = &asked["params"];
        let method = asked["method"].as_str().unwrap();
        let of_sender = self.sender.answer((method, params), &mut self.escrow, &mut self.balance, now);
        if let Some(result) = of_sender {
            let mut answer = json!({"jsonrpc": "2.0", "id": asked["id"]});
            match result {
                Ok(result) => answer["result"] = result,
                Err(message) => answer["error"] = json!({"code": -32_000, "message": message}),
            }
            return super::json(200, &answer);
        }
        let by_hash = || {
            let hash = params[0].as_str().unwrap();
            self.taken.iter().find(|(_, taken)| taken.transaction == hash)
        };
        let result = match method {
            "eth_chainId" => json!(format!("{:#x}", self.number)),
            "eth_getBlockByNumber" => json!({"timestamp": format!("{:#x}", now.secs())}),
            "eth_call" if toll::is_asked(&params[0]) => json!(self.escrow.answer(&params[0])),
            "eth_call" => json!(bytes_to_hex(self.call(&params[0]).as_bytes())),
            "eth_getTransactionByHash" => by_hash().map_or(Value::Null, |(nonce, _)| {
                let is_decoy = self.decoy.as_deref() == params[0].as_str();
                let nonces = self.seen.iter().filter(|_| is_decoy).chain([nonce]);
                let nonces: String = nonces.map(|nonce| hex::encode(nonce.as_bytes())).collect();
                json!({"input": format!("0xcf092995{nonces}")})
            }),
            "eth_getTransactionReceipt" => by_hash().map_or(Value::Null, |(_, taken)| receipt(taken)),
            other => panic!("{other} is not asked by a wallet"),
        };
        super::json(200, &json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}))
    }

    fn call(&self, call: &Value) -> Word {
        let calldata = bytes_from_hex(call["data"].as_str().unwrap(), 1_000).unwrap();
        let is = |signature: &str| calldata[..4] == keccak256(signature.as_bytes()).as_bytes()[..4];
        let word =
            |place: usize| -> [u8; 32] { calldata[4 + 32 * place..36 + 32 * place].try_into().unwrap() };
        if is("authorizationState(address,bytes32)") {
            assert_eq!(call["to"], json!(token().address));
            return Word::from(u64::from(self.taken.contains_key(&Word::from_bytes(word(1)))));
        }
        if is("balanceOf(address)") {
            return Word::from(self.balance);
        }
        assert!(is("nonceBitmap(address,uint256)"));
        let mut bitmap = [0_u8; 32];
        for nonce in self.taken.keys().map(Word::as_bytes).filter(|nonce| nonce[..31] == word(1)[1..]) {
            bitmap[31 - usize::from(nonce[31] / 8)] |= 1 << (nonce[31] % 8);
        }
        Word::from_bytes(bitmap)
    }
}

fn receipt(taken: &Taken) -> Value {
    let topics =
        [Word::from(keccak256(b"Transfer(address,address,uint256)")), taken.payer.into(), taken.to.into()];
    let topics = topics.map(|topic| bytes_to_hex(topic.as_bytes()));
    let moved = bytes_to_hex(Word::from(taken.units).as_bytes());
    json!({"status": "0x1", "logs": [{"address": token().address, "topics": topics, "data": moved}]})
}
