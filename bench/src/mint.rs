//! A mint under load, ours or the peer's: its keyset, credits from it, and swaps ready to be sent.
//!
//! The driver does not blind: `B_` is the point of the secret itself, so that the signature is the credit's own. An issuer
//! cannot tell, and does the same work; the driver does less of it on the cores that it shares with the server.

use farthing_ecash::{PublicKey, hash_to_curve};
use farthing_wire::mpp::credit::{OutputText, SignatureText};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::connection::{Connection, get, post};
use crate::failure::{Failure, Result};

/// Credits in one request at the most, at both mints.
pub const BATCH: usize = 1000;
/// How often an unpaid quote is looked at again.
const PAID_TRIES: usize = 200;

/// A mint to be measured.
#[derive(Clone, Debug)]
pub struct Mint {
    /// `host:port`.
    pub address: String,
    /// What stands before `/v1`.
    pub prefix: String,
    /// What it counts.
    pub unit: String,
    /// The active keyset of that unit.
    pub keyset: String,
}

/// A credit, as a swap's input writes it.
#[derive(Clone, Debug, Serialize)]
pub struct Credit {
    /// What it is worth.
    pub amount: u64,
    /// Its keyset.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The issuer's signature.
    #[serde(rename = "C")]
    pub c: String,
}

/// An output, as a swap writes it.
#[derive(Clone, Debug, Serialize)]
struct Output {
    amount: u64,
    id: String,
    #[serde(rename = "B_")]
    b_: String,
}

/// Outputs and their secrets, in the same order.
#[derive(Clone)]
pub struct Outputs {
    secrets: Vec<String>,
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct SwapRequest<'a> {
    inputs: &'a [Credit],
    outputs: &'a [Output],
}

#[derive(Serialize)]
struct MintRequest<'a> {
    quote: &'a str,
    outputs: &'a [Output],
}

#[derive(Deserialize)]
struct Quote {
    quote: String,
    state: String,
}

#[derive(Deserialize)]
struct Signatures {
    signatures: Vec<SignatureText>,
}

#[derive(Deserialize)]
struct Keysets {
    keysets: Vec<KeysetLine>,
}

#[derive(Deserialize)]
struct KeysetLine {
    id: String,
    unit: String,
    active: bool,
    #[serde(default)]
    input_fee_ppk: u64,
}

impl Mint {
    /// Asks a mint for its keyset of a unit.
    pub async fn at(address: &str, prefix: &str, unit: &str) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        let answer = connection.exchange(&get(address, &format!("{prefix}/v1/keysets"), "")).await?;
        answer.expect(200)?;
        let keysets: Keysets = read(answer.body, "keysets")?;
        let found = keysets.keysets.into_iter().find(|line| line.active && line.unit == unit);
        let line = found.ok_or_else(|| Failure::new(format!("{address} has no active keyset of {unit}")))?;
        if line.input_fee_ppk != 0 {
            return Err(Failure::new(format!("{address} takes a fee; the bench expects none")));
        }
        Ok(Self {
            address: address.to_owned(),
            prefix: prefix.to_owned(),
            unit: unit.to_owned(),
            keyset: line.id,
        })
    }

    /// The path of an endpoint.
    pub fn path(&self, end: &str) -> String {
        format!("{}/v1/{end}", self.prefix)
    }

    /// Outputs of these amounts, each with a new random secret.
    pub fn outputs(&self, amounts: &[u64]) -> Result<Outputs> {
        let mut random = vec![0; amounts.len() * 32];
        getrandom::fill(&mut random).map_err(Failure::at("asking for random bytes"))?;
        let secrets: Vec<String> = random.chunks(32).map(hex::encode).collect();
        let blind = |(secret, amount): (&String, &u64)| {
            let point: PublicKey = hash_to_curve(secret.as_bytes()).point();
            Output { amount: *amount, id: self.keyset.clone(), b_: point.to_string() }
        };
        let outputs = secrets.par_iter().zip(amounts).map(blind).collect();
        Ok(Outputs { secrets, outputs })
    }

    /// Has credits of these amounts signed for nothing, as both mints do for tests.
    pub async fn fund(&self, amounts: &[u64]) -> Result<Vec<Credit>> {
        let mut connection = Connection::open(&self.address).await?;
        let mut credits = Vec::with_capacity(amounts.len());
        for batch in amounts.chunks(BATCH) {
            let sum: u64 = batch.iter().sum();
            let body = format!(r#"{{"amount":{sum},"unit":"{}"}}"#, self.unit);
            let ask = post(&self.address, &self.path("mint/quote/bolt11"), &body);
            let answer = connection.exchange(&ask).await?;
            answer.expect(200)?;
            let quote: Quote = read(answer.body, "a mint quote")?;
            self.wait_paid(&mut connection, &quote).await?;
            let outputs = self.outputs(batch)?;
            let answer = connection.exchange(&self.minting("bolt11", &quote.quote, &outputs)?).await?;
            answer.expect(200)?;
            credits.extend(outputs.signed(answer.body)?);
        }
        Ok(credits)
    }

    /// Has outputs signed for a paid quote.
    pub fn minting(&self, method: &str, quote: &str, outputs: &Outputs) -> Result<Vec<u8>> {
        let body = write(&MintRequest { quote, outputs: &outputs.outputs })?;
        Ok(post(&self.address, &self.path(&format!("mint/{method}")), &body))
    }

    async fn wait_paid(&self, connection: &mut Connection, quote: &Quote) -> Result<()> {
        let mut state = quote.state.clone();
        for _ in 0..PAID_TRIES {
            if state == "PAID" {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            let path = self.path(&format!("mint/quote/bolt11/{}", quote.quote));
            let answer = connection.exchange(&get(&self.address, &path, "")).await?;
            answer.expect(200)?;
            state = read::<Quote>(answer.body, "a mint quote")?.state;
        }
        Err(Failure::new(format!("expected {} to pay its own quote, its state is {state}", self.address)))
    }

    /// A swap of these credits for as many new ones.
    pub fn swap(&self, inputs: &[Credit], outputs: &Outputs) -> Result<Vec<u8>> {
        let body = write(&SwapRequest { inputs, outputs: &outputs.outputs })?;
        Ok(post(&self.address, &self.path("swap"), &body))
    }

    /// Swaps of so many credits for as many, each ready to be sent.
    pub async fn swaps(&self, count: usize, width: usize) -> Result<Vec<Vec<u8>>> {
        let credits = self.fund(&vec![1; count * width]).await?;
        let one = |inputs: &[Credit]| self.swap(inputs, &self.outputs(&vec![1; width])?);
        credits.par_chunks(width).map(one).collect()
    }
}

impl Outputs {
    /// As JSON writes them.
    pub fn texts(&self) -> impl Iterator<Item = OutputText> {
        self.outputs.iter().map(|output| OutputText {
            amount: output.amount,
            id: output.id.clone(),
            blinded: output.b_.clone(),
        })
    }

    /// The credits that an answer's signatures make of the outputs.
    pub fn signed(self, answer: &[u8]) -> Result<Vec<Credit>> {
        let Signatures { signatures } = read(answer, "signatures")?;
        if signatures.len() != self.secrets.len() {
            let (expected, got) = (self.secrets.len(), signatures.len());
            return Err(Failure::new(format!("expected {expected} signatures, got {got}")));
        }
        Ok(self.credits(signatures))
    }

    /// The credits that signatures make of the first outputs, with the signatures' own amounts.
    pub fn credits(self, signatures: Vec<SignatureText>) -> Vec<Credit> {
        let credit = |(secret, signature): (String, SignatureText)| {
            let SignatureText { amount, id, signed: c, .. } = signature;
            Credit { amount, id, secret, c }
        };
        self.secrets.into_iter().zip(signatures).map(credit).collect()
    }
}

/// The powers of two that add up to an amount.
pub fn split(amount: u64) -> Vec<u64> {
    (0..u64::BITS).map(|bit| 1 << bit).filter(|part| amount & part != 0).collect()
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T> {
    serde_json::from_slice(body).map_err(Failure::at(&format!("reading {what}")))
}

fn write(body: &impl Serialize) -> Result<String> {
    serde_json::to_string(body).map_err(Failure::at("writing a request"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mint() -> Mint {
        let (address, prefix, unit, keyset) = ("h:1".into(), "/m".into(), "sat".into(), "00ab".into());
        Mint { address, prefix, unit, keyset }
    }

    #[test]
    fn a_swap_is_written_as_wallets_write_it() {
        let input = Credit { amount: 1, id: "00ab".into(), secret: "s".into(), c: "02cd".into() };
        let outputs = mint().outputs(&[1]).unwrap();
        let request = String::from_utf8(mint().swap(&[input], &outputs).unwrap()).unwrap();
        assert!(request.starts_with("POST /m/v1/swap HTTP/1.1\r\n"), "{request}");
        let inputs =
            r#"{"inputs":[{"amount":1,"id":"00ab","secret":"s","C":"02cd"}],"outputs":[{"amount":1,"#;
        assert!(request.contains(inputs), "{request}");
    }

    #[test]
    fn signatures_become_credits_in_order() {
        let outputs = mint().outputs(&[1, 2]).unwrap();
        let secrets = outputs.secrets.clone();
        let answer =
            br#"{"signatures":[{"amount":1,"id":"00ab","C_":"x"},{"amount":2,"id":"00ab","C_":"y"}]}"#;
        let credits = outputs.signed(answer).unwrap();
        assert_eq!(credits.iter().map(|credit| credit.c.as_str()).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(credits.iter().map(|credit| credit.amount).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(credits.into_iter().map(|credit| credit.secret).collect::<Vec<_>>(), secrets);
        assert!(mint().outputs(&[1]).unwrap().signed(answer).is_err(), "one signature too many");
    }

    #[test]
    fn a_cent_is_five_credits() {
        assert_eq!(split(10_000), [16, 256, 512, 1024, 8192]);
    }
}
