//! What pays: a token of credits, alone in `X-Cashu` or in the credential of an MPP challenge.

use farthing_ecash::{Proof, Token};
use farthing_wire::header::WWW_AUTHENTICATE;
use farthing_wire::mpp::credit::{OutputText, Payload, is_credit_charge};
use farthing_wire::mpp::{Challenge, Credential};

use crate::connection::{Answer, Connection, get};
use crate::failure::{Failure, Result};
use crate::mint::Credit;

/// A token of these credits of an issuer.
pub fn token(issuer: &str, unit: &str, credits: &[Credit]) -> Result<String> {
    let proof = |credit: &Credit| {
        let id = credit.id.parse().map_err(Failure::at("reading a keyset's name"))?;
        let c = credit.c.parse().map_err(Failure::at("reading a signature"))?;
        Ok(Proof::new(credit.amount, id, credit.secret.clone(), c))
    };
    let proofs: Vec<Proof> = credits.iter().map(proof).collect::<Result<_>>()?;
    let unit = unit.parse().map_err(Failure::at("reading a unit"))?;
    Ok(Token::new(issuer, unit, None, proofs).with_short_ids().encode())
}

/// The challenge of a page: it is not used up, the credits are.
pub async fn challenge(address: &str, path: &str) -> Result<Challenge> {
    let mut connection = Connection::open(address).await?;
    challenge_of(&connection.exchange(&get(address, path, "")).await?)
}

/// The challenge in a 402.
pub fn challenge_of(answer: &Answer<'_>) -> Result<Challenge> {
    answer.expect(402)?;
    let fields: Vec<&str> = answer.fields(WWW_AUTHENTICATE).collect();
    let challenge = Challenge::parse_all(&fields).into_iter().find(is_credit_charge);
    challenge.ok_or_else(|| Failure::new("the 402 offers no credit charge"))
}

/// The value of `Authorization` that pays a challenge with a token; change is signed into the blank outputs.
pub fn authorization(
    challenge: &Challenge,
    token: String,
    blanks: Option<Vec<OutputText>>,
) -> Result<String> {
    let payload = Payload { token, outputs: blanks }.to_json().map_err(Failure::at("writing a payload"))?;
    let credential = Credential { challenge: challenge.clone(), source: None, payload };
    credential.encode().map_err(Failure::at("writing a credential"))
}
