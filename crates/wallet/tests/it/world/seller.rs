//! A seller that is paid on a chain, honest or not. He checks what a facilitator checks.

use std::collections::BTreeMap;

use farthing_channel::permit2::{self, ExactWitness, UptoWitness};
use farthing_channel::{
    Address, Authorization, AuthorizationNonce, Digest, Permit2Transfer, Signature, Word,
};
use farthing_money::{Span, Timestamp};
use farthing_wallet::{HttpRequest, HttpResponse};
use farthing_wire::mpp::{self, evm};
use farthing_wire::x402::hex_text::HexText;
use farthing_wire::x402::v1::{PayloadV1, PaymentRequiredV1, RequirementsV1};
use farthing_wire::x402::{
    Eip3009, Extra, Payload, PaymentRequired, Permit2, Requirements, Resource, SchemePayload, SettleResponse,
    Uint, eip155_network,
};
use serde_json::Map;

use super::chain::{CHAIN, Chain, token};

pub const SELLER: &str = "https://seller.example";
const SECRET: [u8; 32] = [3; 32];

/// How he behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As he should; whoever pays again with the same gets the same.
    Honest,
    /// As the reference does: whoever comes again hears that the nonce is used.
    Forgetful,
    /// He says no, and does not take it.
    Refusing(&'static str),
    /// He says no and takes it.
    Stealing,
    /// He has sent it, and has not seen it settled.
    Pending,
    /// He fails.
    Broken(u16),
}

/// What he speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    X402,
    V1,
    Mpp,
}

pub struct Seller {
    pub manner: Manner,
    pub dialect: Dialect,
    pub accepts: Vec<Requirements>,
    /// What he takes of a ceiling.
    pub actual: Option<u64>,
    /// What he says that he has taken, if that is something else.
    pub claims: Option<u64>,
    /// The transaction that he tells of, if it is another.
    pub shows: Option<String>,
    pub offers_credits: bool,
    pub decimals: u8,
    pub answers: BTreeMap<Word, HttpResponse>,
    pub served: usize,
    /// Every offer that he ever made.
    pub offered: Vec<Requirements>,
    /// What was signed for him, each once, and until when it can be taken.
    pub signed: BTreeMap<Word, u64>,
}

pub fn payee() -> Address {
    Address::from_bytes([0x3c; 20])
}

pub fn facilitator() -> Address {
    Address::from_bytes([0xfa; 20])
}

pub fn requirements(units: u64) -> Requirements {
    Requirements {
        scheme: "exact".into(),
        network: eip155_network(CHAIN.number()),
        amount: Uint::from(units),
        asset: token().address.to_string(),
        pay_to: payee().to_string(),
        max_timeout_seconds: 300,
        extra: Extra::eip3009(&token().name, &token().version),
        other: Map::new(),
    }
}

pub fn upto(units: u64) -> Requirements {
    let extra = Extra::permit2(&token().name, "1").with("facilitatorAddress", facilitator().to_string());
    Requirements { scheme: "upto".into(), extra, ..requirements(units) }
}

/// What came to him.
struct Paid {
    payer: Address,
    to: Address,
    nonce: Word,
    units: u64,
    until: u64,
    is_ceiling: bool,
}

impl Seller {
    pub fn new() -> Self {
        Self {
            manner: Manner::Honest,
            dialect: Dialect::X402,
            accepts: vec![requirements(10_000)],
            actual: None,
            claims: None,
            shows: None,
            offers_credits: false,
            decimals: 6,
            answers: BTreeMap::new(),
            served: 0,
            offered: Vec::new(),
            signed: BTreeMap::new(),
        }
    }

    pub fn handle(&mut self, chain: &mut Chain, request: &HttpRequest, now: Timestamp) -> HttpResponse {
        let field =
            |name: &str| request.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        let paid = if let Some(text) = field("PAYMENT-SIGNATURE") {
            let payload = Payload::from_header(text, 16_384).unwrap();
            assert!(self.offered.contains(&payload.accepted), "the offer is copied word for word");
            assert_eq!(payload.resource.unwrap().url, request.url);
            match payload.payload {
                SchemePayload::Eip3009(signed) => eip3009(&signed),
                SchemePayload::Permit2(signed) => permit2(&signed),
                SchemePayload::AuthCapture(_) | SchemePayload::Other(_) => panic!("no such payload"),
            }
        } else if let Some(text) = field("X-PAYMENT") {
            eip3009(&PayloadV1::from_header(text, 16_384).unwrap().payload)
        } else if let Some(text) = field("Authorization") {
            let credential = mpp::Credential::decode(text, 16_384).unwrap().unwrap();
            credential.challenge.verify(&SECRET, now).unwrap();
            let paid = eip3009(&evm::payload_from_json(credential.payload).unwrap());
            let source = format!("did:pkh:{CHAIN}:{}", paid.payer);
            assert_eq!(credential.source, Some(source), "letter by letter");
            let challenge = &credential.challenge;
            assert_eq!(paid.nonce, AuthorizationNonce::of_challenge(&challenge.id, &challenge.realm).into());
            paid
        } else {
            self.offered.extend(self.accepts.iter().cloned());
            return self.challenge(request, now, None);
        };
        self.signed.insert(paid.nonce, paid.until);
        chain.seen.push(paid.nonce);
        self.paid(chain, request, &paid, now)
    }

    fn paid(
        &mut self,
        chain: &mut Chain,
        request: &HttpRequest,
        paid: &Paid,
        now: Timestamp,
    ) -> HttpResponse {
        if let Some(answer) = self.answers.get(&paid.nonce).filter(|_| self.manner == Manner::Honest) {
            self.served += 1;
            return answer.clone();
        }
        match self.manner {
            Manner::Refusing(reason) => return self.challenge(request, now, Some(reason)),
            Manner::Broken(status) => return HttpResponse { status, headers: Vec::new(), body: Vec::new() },
            _ => {}
        }
        let network = eip155_network(CHAIN.number());
        if now.secs() >= paid.until {
            return self.challenge(
                request,
                now,
                Some("invalid_exact_evm_payload_authorization_valid_before"),
            );
        }
        let units =
            self.actual.filter(|_| paid.is_ceiling).map_or(paid.units, |actual| actual.min(paid.units));
        // Nothing is carried for nothing.
        let transaction = match units {
            0 => Some(String::new()),
            units => chain.take(paid.payer, paid.to, paid.nonce, units),
        };
        if self.manner == Manner::Pending {
            let failed = SettleResponse::failed(&network, "settlement_pending", None);
            return answer(402, vec![("PAYMENT-RESPONSE".into(), failed.to_header().unwrap())]);
        }
        let Some(transaction) = transaction else {
            return self.challenge(request, now, Some("invalid_exact_evm_nonce_already_used"));
        };
        if self.manner == Manner::Stealing {
            return self.challenge(request, now, Some("invalid_exact_evm_insufficient_balance"));
        }
        self.served += 1;
        let shown = self.shows.clone().unwrap_or_else(|| transaction.clone());
        let mut settled = SettleResponse::settled(&network, shown, Some(paid.payer.to_string()));
        settled.amount = self.claims.or(paid.is_ceiling.then_some(units)).map(Uint::from);
        let headers = match self.dialect {
            Dialect::X402 => vec![("PAYMENT-RESPONSE".into(), settled.to_header().unwrap())],
            Dialect::V1 => vec![("X-PAYMENT-RESPONSE".into(), settled.to_header().unwrap())],
            Dialect::Mpp => {
                let receipt = evm::receipt(transaction.parse().unwrap(), now);
                vec![("Payment-Receipt".into(), receipt.encode().unwrap())]
            }
        };
        let served = answer(200, headers);
        self.answers.insert(paid.nonce, served.clone());
        served
    }

    fn challenge(&self, request: &HttpRequest, now: Timestamp, error: Option<&str>) -> HttpResponse {
        let resource = Resource::of(request.url.clone());
        let error = error.map(str::to_owned);
        let mut headers = Vec::new();
        if self.offers_credits {
            let asked = farthing_wire::cashu::PaymentRequest {
                amount: Some(10_000),
                unit: Some("uusd".into()),
                mints: vec![super::MINT.to_owned()],
                ..Default::default()
            };
            headers.push(("X-Cashu".to_owned(), asked.encode_a().unwrap()));
        }
        match self.dialect {
            Dialect::X402 => {
                let accepts = self.accepts.clone();
                let required = PaymentRequired { error, resource, accepts, extensions: Map::new() };
                headers.push(("PAYMENT-REQUIRED".into(), required.to_header().unwrap()));
                answer(402, headers)
            }
            Dialect::V1 => {
                let entry = |one: &Requirements| {
                    // No chain of tests has a name.
                    let named = Requirements { network: eip155_network(84_532), ..one.clone() };
                    let entry = RequirementsV1::of(&named, &resource).unwrap();
                    RequirementsV1 { network: one.network.clone(), ..entry }
                };
                let accepts = self.accepts.iter().map(entry).collect();
                let body = PaymentRequiredV1 { error, accepts }.to_json().unwrap();
                let mut found = answer(402, headers);
                found.headers.push(("Content-Type".into(), "application/json".into()));
                HttpResponse { body: body.into_bytes(), ..found }
            }
            Dialect::Mpp => {
                let one = &self.accepts[0];
                let (asset, to) = (one.asset_address().unwrap(), one.pay_to_address().unwrap());
                let chain = (one.chain_id().unwrap(), self.decimals);
                let draft = mpp::Draft {
                    realm: "seller.example",
                    method: mpp::METHOD_EVM,
                    intent: mpp::INTENT_CHARGE,
                    request: &evm::Request::charge(one.amount.clone(), asset, to, chain).to_json().unwrap(),
                    expires: Some(now.after(Span::from_secs(300))),
                    digest: Some(farthing_wire::digest::content_digest(&request.body)),
                    header: None,
                    opaque: None,
                    description: None,
                };
                let challenge = mpp::Challenge::issue(&SECRET, &draft).unwrap();
                headers.push(("WWW-Authenticate".into(), challenge.to_header().unwrap()));
                answer(402, headers)
            }
        }
    }
}

fn answer(status: u16, headers: Vec<(String, String)>) -> HttpResponse {
    HttpResponse { status, headers, body: Vec::new() }
}

fn account(text: HexText<20>) -> Address {
    Address::from_bytes(text.0)
}

fn signer(signature: &[u8], digest: &Digest) -> Address {
    Signature::from_bytes(signature).unwrap().recover(digest).unwrap()
}

fn eip3009(signed: &Eip3009) -> Paid {
    let said = &signed.authorization;
    let (after, before) = (said.valid_after.to_u64().unwrap(), said.valid_before.to_u64().unwrap());
    let authorization = Authorization {
        from: account(said.from),
        to: account(said.to),
        value: said.value.amount().unwrap().into(),
        valid_after: after.into(),
        valid_before: before.into(),
        nonce: AuthorizationNonce::from_bytes(said.nonce.0),
    };
    let token = token();
    let domain = farthing_channel::Domain::new(&token.name, Some(&token.version), CHAIN, Some(token.address));
    assert_eq!(
        signer(signed.signature.as_bytes(), &authorization.transfer_digest(&domain)),
        authorization.from
    );
    let (payer, to, nonce) = (authorization.from, authorization.to, authorization.nonce.into());
    Paid { payer, to, nonce, units: said.value.to_u64().unwrap(), until: before, is_ceiling: false }
}

fn permit2(signed: &Permit2) -> Paid {
    let said = &signed.permit2_authorization;
    let (token, spender) = (account(said.permitted.token), account(said.spender));
    let amount = said.permitted.amount.amount().unwrap().into();
    let word = |uint: &Uint| uint.as_str().parse::<Word>().unwrap();
    let (nonce, deadline) = (word(&said.nonce), word(&said.deadline));
    let (to, valid_after) = (account(said.witness.to), word(&said.witness.valid_after));
    let domain = permit2::domain(CHAIN);
    let digest = match said.witness.facilitator.map(account) {
        None => {
            assert_eq!(spender, permit2::EXACT_PROXY);
            let witness = ExactWitness { to, valid_after };
            Permit2Transfer { token, amount, spender, nonce, deadline, witness }.digest(&domain)
        }
        Some(who) => {
            assert_eq!((spender, who), (permit2::UPTO_PROXY, facilitator()));
            let witness = UptoWitness { to, facilitator: who, valid_after };
            Permit2Transfer { token, amount, spender, nonce, deadline, witness }.digest(&domain)
        }
    };
    let payer = account(said.from);
    assert_eq!(signer(signed.signature.as_bytes(), &digest), payer);
    let (until, is_ceiling) = (said.deadline.to_u64().unwrap() + 1, said.witness.facilitator.is_some());
    Paid { payer, to, nonce, units: said.permitted.amount.to_u64().unwrap(), until, is_ceiling }
}
