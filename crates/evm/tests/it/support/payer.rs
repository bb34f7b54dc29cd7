//! Payers who sign what is offered, and what tests change about it.

use farthing_channel::permit2::{self, ExactWitness, UptoWitness};
use farthing_channel::{
    Address, Authorization, AuthorizationNonce, Domain, Permit, Permit2Transfer, Signature, SigningKey, Word,
    bytes_to_hex, call,
};
use farthing_evm::{Fees, Transaction};
use farthing_money::Amount;
use farthing_wire::x402::{
    AddressText, Eip3009, Eip3009Authorization, Payload, Permit2, Permit2Authorization, Requirements,
    SCHEME_UPTO, SchemePayload, SignatureText, TokenPermissions, Uint, Witness,
};
use serde_json::{Map, Value, json};

use super::CHAIN;

pub fn text(address: Address) -> AddressText {
    address.to_string().parse().unwrap()
}

/// What a payment by EIP-3009 says.
#[derive(Clone)]
pub struct Transfer {
    pub from: Address,
    pub to: Address,
    pub value: u128,
    pub valid_after: u64,
    pub valid_before: u64,
    pub nonce: [u8; 32],
}

impl Transfer {
    /// As it is offered, for five minutes from now on.
    pub fn of(offer: &Requirements, from: Address, now: u64, nonce: u8) -> Self {
        Self {
            from,
            to: offer.pay_to.parse().unwrap(),
            value: offer.amount.amount().unwrap().value(),
            valid_after: 0,
            valid_before: now + 300,
            nonce: [nonce; 32],
        }
    }

    pub fn authorization(&self) -> Authorization {
        Authorization {
            from: self.from,
            to: self.to,
            value: Amount::new(self.value).into(),
            valid_after: self.valid_after.into(),
            valid_before: self.valid_before.into(),
            nonce: AuthorizationNonce::from_bytes(self.nonce),
        }
    }

    /// What is signed of it.
    pub fn digest(&self, offer: &Requirements) -> farthing_channel::Digest {
        let token = offer.asset.parse().unwrap();
        let (name, version) = (offer.extra.name().unwrap(), offer.extra.version());
        self.authorization().transfer_digest(&Domain::new(name, version, CHAIN, Some(token)))
    }

    pub fn signed_with(&self, offer: &Requirements, signature: &[u8]) -> Payload {
        let authorization = Eip3009Authorization {
            from: text(self.from),
            to: text(self.to),
            value: Amount::new(self.value).into(),
            valid_after: self.valid_after.into(),
            valid_before: self.valid_before.into(),
            nonce: farthing_wire::x402::hex_text::HexText(self.nonce),
        };
        let signature = SignatureText::new(signature.to_vec()).unwrap();
        payload(offer, SchemePayload::Eip3009(Eip3009 { signature, authorization }))
    }

    pub fn signed(&self, offer: &Requirements, key: &SigningKey) -> Payload {
        self.signed_with(offer, &key.sign(&self.digest(offer)).to_bytes())
    }
}

/// The offer, signed by its payer.
pub fn pay(offer: &Requirements, key: &SigningKey, now: u64, nonce: u8) -> Payload {
    Transfer::of(offer, key.address(), now, nonce).signed(offer, key)
}

/// What a payment by Permit2 says.
#[derive(Clone)]
pub struct Permitted {
    pub from: Address,
    pub to: Address,
    pub token: Address,
    pub spender: Address,
    pub amount: u128,
    pub nonce: u64,
    pub deadline: u64,
    pub valid_after: u64,
    /// Only with `upto`.
    pub facilitator: Option<Address>,
}

impl Permitted {
    pub fn of(offer: &Requirements, from: Address, now: u64, nonce: u64) -> Self {
        let upto = offer.scheme == SCHEME_UPTO;
        let named = || offer.extra.get("facilitatorAddress").unwrap().as_str().unwrap().parse().unwrap();
        Self {
            from,
            to: offer.pay_to.parse().unwrap(),
            token: offer.asset.parse().unwrap(),
            spender: if upto { permit2::UPTO_PROXY } else { permit2::EXACT_PROXY },
            amount: offer.amount.amount().unwrap().value(),
            nonce,
            deadline: now + 300,
            valid_after: 0,
            facilitator: upto.then(named),
        }
    }

    pub fn digest(&self) -> farthing_channel::Digest {
        let domain = permit2::domain(CHAIN);
        let valid_after = Word::from(self.valid_after);
        match self.facilitator {
            None => self.transfer(ExactWitness { to: self.to, valid_after }).digest(&domain),
            Some(facilitator) => {
                self.transfer(UptoWitness { to: self.to, facilitator, valid_after }).digest(&domain)
            }
        }
    }

    fn transfer<W>(&self, witness: W) -> Permit2Transfer<W> {
        Permit2Transfer {
            token: self.token,
            amount: Amount::new(self.amount).into(),
            spender: self.spender,
            nonce: self.nonce.into(),
            deadline: self.deadline.into(),
            witness,
        }
    }

    pub fn signed_with(&self, offer: &Requirements, signature: &[u8]) -> Payload {
        let permit2_authorization = Permit2Authorization {
            from: text(self.from),
            permitted: TokenPermissions { token: text(self.token), amount: Amount::new(self.amount).into() },
            spender: text(self.spender),
            nonce: self.nonce.into(),
            deadline: self.deadline.into(),
            witness: Witness {
                to: text(self.to),
                facilitator: self.facilitator.map(text),
                valid_after: self.valid_after.into(),
            },
        };
        let signature = SignatureText::new(signature.to_vec()).unwrap();
        payload(offer, SchemePayload::Permit2(Permit2 { signature, permit2_authorization }))
    }

    pub fn signed(&self, offer: &Requirements, key: &SigningKey) -> Payload {
        self.signed_with(offer, &key.sign(&self.digest()).to_bytes())
    }
}

fn payload(offer: &Requirements, payload: SchemePayload) -> Payload {
    Payload { resource: None, accepted: offer.clone(), payload, extensions: Map::new() }
}

/// An allowance for Permit2, signed as `eip2612GasSponsoring` has it.
pub fn sponsored(
    mut payload: Payload,
    offer: &Requirements,
    key: &SigningKey,
    (nonce, deadline): (u64, u64),
) -> Payload {
    let token: Address = offer.asset.parse().unwrap();
    let value: Word = offer.amount.as_str().parse().unwrap();
    let permit = Permit {
        owner: key.address(),
        spender: permit2::PERMIT2,
        value,
        nonce: nonce.into(),
        deadline: deadline.into(),
    };
    let (name, version) = (offer.extra.name().unwrap(), offer.extra.version());
    let signature: Signature = key.sign(&permit.digest(&Domain::new(name, version, CHAIN, Some(token))));
    let info = json!({
        "from": key.address(), "asset": token, "spender": permit2::PERMIT2, "amount": value.to_string(),
        "nonce": nonce.to_string(), "deadline": deadline.to_string(), "signature": signature.to_string(), "version": "1",
    });
    payload.extensions.insert("eip2612GasSponsoring".into(), json!({"info": info}));
    payload
}

/// What a client asks a facilitator to send before: an approval of Permit2, as the reference's client makes it.
pub fn approval(token: Address, number: u64) -> Transaction {
    let fees = Fees { most: Amount::new(2_000_000_000), tip: Amount::new(1_000_000_000) };
    let input = call::approve(permit2::PERMIT2, Word::MAX);
    Transaction { chain: CHAIN, number, fees, gas: 70_000, to: token, coin: Amount::ZERO, input }
}

/// A payment with a signed transaction, as `erc20ApprovalGasSponsoring` has it.
pub fn approved(payload: Payload, offer: &Requirements, key: &SigningKey, approval: Transaction) -> Payload {
    let signature = key.sign(&approval.digest());
    let signed = bytes_to_hex(&approval.signed(&signature).unwrap().bytes);
    approved_with(payload, "signedTransaction", &json!(signed), (offer, key))
}

/// The same with one member of its own.
pub fn approved_with(
    mut payload: Payload,
    member: &str,
    value: &Value,
    (offer, key): (&Requirements, &SigningKey),
) -> Payload {
    let known = payload.extensions.get("erc20ApprovalGasSponsoring").map(|known| known["info"].clone());
    let mut info = known.unwrap_or_else(|| {
        json!({
            "from": key.address(), "asset": offer.asset, "spender": permit2::PERMIT2,
            "amount": Word::MAX.to_string(), "version": "1",
        })
    });
    info[member] = value.clone();
    payload.extensions.insert("erc20ApprovalGasSponsoring".into(), json!({"info": info}));
    payload
}

/// The same payment with one word of its message changed after it was signed.
pub fn tampered(payload: &Payload) -> Payload {
    let mut changed = payload.clone();
    match &mut changed.payload {
        SchemePayload::Eip3009(paid) => paid.authorization.valid_after = Uint::from(1_u64),
        SchemePayload::Permit2(paid) => paid.permit2_authorization.nonce = Uint::from(9_999_u64),
        SchemePayload::AuthCapture(_) | SchemePayload::Other(_) => panic!("a payment"),
    }
    changed
}
