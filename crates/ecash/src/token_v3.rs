//! Tokens of version A: JSON, deprecated, only read.

use serde::Deserialize;

use crate::token::{KeysetRef, Token, TokenError, TokenLimits, TokenProof};
use crate::{ProofDleq, PublicKey};

#[derive(Deserialize)]
struct Body {
    token: Vec<Entry>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    memo: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    mint: String,
    proofs: Vec<Credit>,
}

#[derive(Deserialize)]
struct Credit {
    amount: u64,
    id: KeysetRef,
    secret: String,
    #[serde(rename = "C")]
    c: PublicKey,
    #[serde(default)]
    witness: Option<serde_json::Value>,
    #[serde(default)]
    dleq: Option<ProofDleq>,
    #[serde(default)]
    p2pk_e: Option<PublicKey>,
}

impl From<Credit> for TokenProof {
    fn from(credit: Credit) -> Self {
        let Credit { amount, id, secret, c, witness, dleq, p2pk_e } = credit;
        let witness = witness.map(|witness| match witness {
            serde_json::Value::String(text) => text,
            object => object.to_string(),
        });
        Self { amount, id, secret, c, witness, dleq, p2pk_e }
    }
}

/// Reads the JSON. A token of several issuers is refused: no payment can be settled at two places at once.
pub(crate) fn decode(json: &[u8], limits: &TokenLimits) -> Result<Token, TokenError> {
    let body: Body = serde_json::from_slice(json).map_err(|error| TokenError::Form(error.to_string()))?;
    let unit = body.unit.as_deref().unwrap_or("sat");
    let unit = unit.parse().map_err(|_| TokenError::Unit(unit.chars().take(32).collect()))?;
    let mut mint: Option<String> = None;
    let mut proofs = Vec::new();
    for entry in body.token {
        let address = entry.mint.trim_end_matches('/');
        match &mint {
            Some(first) if first != address => {
                return Err(TokenError::SeveralMints(first.clone(), address.to_owned()));
            }
            _ => mint = Some(address.to_owned()),
        }
        proofs.extend(entry.proofs.into_iter().map(TokenProof::from));
        if proofs.len() > limits.proofs {
            return Err(TokenError::TooManyProofs(limits.proofs));
        }
    }
    Ok(Token { mint: mint.ok_or(TokenError::Empty)?, unit, memo: body.memo, proofs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_issuer_in_several_parts_is_one_token_but_two_are_none() {
        let credit = r#"{"amount":1,"id":"009a1f293253e41e","secret":"s","C":"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"}"#;
        let entry = |mint: &str| format!(r#"{{"mint":"{mint}","proofs":[{credit}]}}"#);
        let read = |mints: [&str; 2]| {
            let json = format!(r#"{{"token":[{},{}]}}"#, entry(mints[0]), entry(mints[1]));
            decode(json.as_bytes(), &TokenLimits::default())
        };
        let token = read(["https://a", "https://a/"]).unwrap();
        assert_eq!((token.mint.as_str(), token.unit.as_str(), token.proofs.len()), ("https://a", "sat", 2));
        assert!(matches!(read(["https://a", "https://b"]), Err(TokenError::SeveralMints(..))));
        let few = TokenLimits { proofs: 0, ..TokenLimits::default() };
        let json = format!(r#"{{"token":[{}],"unit":"s a t"}}"#, entry("https://a"));
        assert_eq!(decode(json.as_bytes(), &few), Err(TokenError::Unit("s a t".to_owned())));
        assert_eq!(decode(json.replace("s a t", "usd").as_bytes(), &few), Err(TokenError::TooManyProofs(0)));
        assert!(matches!(decode(b"{}", &few), Err(TokenError::Form(_))));
        assert_eq!(decode(br#"{"token":[]}"#, &few), Err(TokenError::Empty));
    }
}
