//! A small wallet: secrets by NUT-13, every keyset's name and every signature's proof checked.

use farthing_ecash::{
    BlindSignature, BlindedMessage, Keyset, Proof, ProofDleq, SecretKey, blind, restore, unblind,
};
use serde_json::{Value, json};

use super::Mint;

pub struct Payer {
    pub keyset: Keyset,
    seed: [u8; 64],
    counter: u32,
}

/// Blinded messages and what it takes to unblind their signatures.
#[derive(Clone)]
pub struct Outputs {
    pub messages: Vec<BlindedMessage>,
    secrets: Vec<(String, SecretKey)>,
}

impl Payer {
    /// A payer of an issuer's active keyset in a unit. Payers with other numbers make other secrets.
    pub async fn of(mint: &Mint, unit: &str, number: u8) -> Self {
        let keys = mint.get("/v1/keys").await.ok();
        let keysets: Vec<Keyset> = serde_json::from_value(keys["keysets"].clone()).unwrap();
        let keyset = keysets.into_iter().find(|keyset| keyset.unit.as_str() == unit && keyset.active);
        let keyset = keyset.expect("the unit has an active keyset");
        keyset.check_id().expect("the keyset's name is the hash of its keys");
        Self { keyset, seed: [number; 64], counter: 0 }
    }

    /// The same payer after it lost everything but its words.
    pub fn with_words_alone(&self) -> Self {
        Self { keyset: self.keyset.clone(), seed: self.seed, counter: 0 }
    }

    pub fn outputs(&mut self, amounts: &[u64]) -> Outputs {
        let derived = amounts.iter().map(|_| self.next_secret()).collect();
        self.blinded(amounts, derived)
    }

    /// Outputs whose secrets are locks.
    pub fn locked_outputs(&mut self, amounts: &[u64], lock: &farthing_ecash::Lock) -> Outputs {
        let derived = amounts
            .iter()
            .map(|_| {
                let (nonce, r) = self.next_secret();
                (lock.to_secret(&nonce).unwrap(), r)
            })
            .collect();
        self.blinded(amounts, derived)
    }

    /// Outputs with secrets of the caller's choice.
    pub fn chosen_outputs(&mut self, amounts: &[u64], secrets: &[String]) -> Outputs {
        let derived = secrets.iter().map(|secret| (secret.clone(), self.next_secret().1)).collect();
        self.blinded(amounts, derived)
    }

    fn next_secret(&mut self) -> (String, SecretKey) {
        let derived = restore::derive(&self.seed, self.keyset.id, self.counter).unwrap();
        self.counter += 1;
        derived
    }

    fn blinded(&self, amounts: &[u64], secrets: Vec<(String, SecretKey)>) -> Outputs {
        let message = |(amount, (secret, r)): (&u64, &(String, SecretKey))| BlindedMessage {
            amount: *amount,
            id: self.keyset.id,
            b_: blind(secret.as_bytes(), r).unwrap(),
        };
        Outputs { messages: amounts.iter().zip(&secrets).map(message).collect(), secrets }
    }

    /// Credits from signatures: each must be proven to be made with the published key. There may be fewer than outputs
    /// (NUT-08).
    pub fn credits(&self, outputs: &Outputs, signatures: &Value) -> Vec<Proof> {
        let signatures: Vec<BlindSignature> = serde_json::from_value(signatures.clone()).unwrap();
        assert!(!signatures.is_empty() && signatures.len() <= outputs.messages.len());
        let credit = |((message, (secret, r)), signature): (
            (&BlindedMessage, &(String, SecretKey)),
            &BlindSignature,
        )| {
            assert_eq!(signature.id, self.keyset.id);
            let key = self.keyset.key(signature.amount).expect("a denomination");
            signature.check_dleq(key, message.b_).expect("the published key signed");
            let c = unblind(signature.c_, r, key).unwrap();
            let mut credit = Proof::new(signature.amount, signature.id, secret.clone(), c);
            credit.dleq = signature.dleq.as_ref().map(|proof| ProofDleq::new(proof, r));
            credit.check_dleq(key).expect("a payee can check it too");
            credit.for_issuer()
        };
        outputs.messages.iter().zip(&outputs.secrets).zip(&signatures).map(credit).collect()
    }

    /// Credits for nothing, by the method for tests.
    pub async fn funded(&mut self, mint: &Mint, amounts: &[u64]) -> Vec<Proof> {
        let outputs = self.outputs(amounts);
        self.funded_as(mint, &outputs).await
    }

    /// Credits for nothing, of outputs that were made before.
    pub async fn funded_as(&self, mint: &Mint, outputs: &Outputs) -> Vec<Proof> {
        let amount: u64 = outputs.messages.iter().map(|message| message.amount).sum();
        let quote = json!({ "unit": self.keyset.unit.as_str(), "amount": amount });
        let quote = mint.post("/v1/mint/quote/bolt11", &quote).await.ok();
        let request = json!({ "quote": quote["quote"], "outputs": outputs.messages });
        let signatures = mint.post("/v1/mint/bolt11", &request).await.ok();
        self.credits(outputs, &signatures["signatures"])
    }

    /// Swaps credits for others of these amounts.
    pub async fn swapped(&mut self, mint: &Mint, inputs: &[Proof], amounts: &[u64]) -> Vec<Proof> {
        let outputs = self.outputs(amounts);
        let swapped = mint.post("/v1/swap", &swap(inputs, &outputs)).await.ok();
        self.credits(&outputs, &swapped["signatures"])
    }
}

/// The body of a swap.
pub fn swap(inputs: &[Proof], outputs: &Outputs) -> Value {
    json!({ "inputs": inputs, "outputs": outputs.messages })
}

/// The points under which the issuer remembers credits.
pub fn ys(credits: &[Proof]) -> Vec<String> {
    credits.iter().map(|credit| credit.y().point().to_string()).collect()
}
