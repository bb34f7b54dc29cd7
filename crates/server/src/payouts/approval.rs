//! What a person signs: a text that says all of a payout, so that what is read is what is approved. A signature fits no other
//! payout, no other amount or destination, and no other books.

use std::fmt::Write;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use farthing_engine::{Approval, ApprovePayout, Command, OperatorKey, PayoutId, PayoutRow, PayoutTo};
use serde::{Deserialize, Serialize};

use super::{PayoutView, Payouts};
use crate::operator::OperatorError;

/// The first line of what is signed.
const TITLE: &str = "farthing payout 1";

/// A person's word, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// The payout.
    pub payout: String,
    /// The person's public key, in hexadecimal.
    pub key: String,
    /// The signature over the statement, in hexadecimal.
    pub signature: String,
}

/// Signs a statement.
pub fn sign(key: &SigningKey, statement: &str) -> String {
    hex::encode(key.sign(statement.as_bytes()).to_bytes())
}

/// The public key as the configuration writes it.
pub fn statement_key(key: &SigningKey) -> String {
    hex::encode(key.verifying_key().as_bytes())
}

/// What is signed of a payout in these books.
pub fn statement(books: &str, id: PayoutId, row: &PayoutRow) -> String {
    let terms = &row.terms;
    let money = terms.asset.money(terms.amount);
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = writeln!(text, "{TITLE}");
    let _ = writeln!(text, "books: {books}");
    let _ = writeln!(text, "payout: {id}");
    let _ = writeln!(text, "merchant: {}", terms.merchant);
    let _ = writeln!(text, "name: {}", terms.name);
    let _ = writeln!(text, "amount: {money} ({} {})", terms.amount, terms.asset.unit());
    let _ = writeln!(text, "to: {}", to_text(&terms.to));
    let _ = writeln!(text, "proposed: {}", row.at);
    text
}

/// A destination on one line.
pub fn to_text(to: &PayoutTo) -> String {
    match to {
        PayoutTo::Evm { chain, token, from, to, units, .. } => {
            let shown = |address: &farthing_engine::ChainAddress| {
                farthing_channel::Address::from_bytes(*address.as_bytes())
            };
            let (token, from, to) = (shown(token), shown(from), shown(to));
            format!("eip155:{chain} {to}, {units} units of {token} from {from}")
        }
        PayoutTo::Credits => "a top-up code".to_owned(),
        PayoutTo::Bank { holder, iban, bic, country, .. } => {
            let bic = bic.as_ref().map(|bic| format!(", BIC {bic}")).unwrap_or_default();
            let country = country.as_ref().map(|country| format!(", {country}")).unwrap_or_default();
            format!("IBAN {iban}{bic} of {holder}{country}")
        }
    }
}

/// Whether a signature of this key fits the text.
fn fits(key: OperatorKey, statement: &str, signature: &str) -> bool {
    let mut bytes = [0; 64];
    if hex::decode_to_slice(signature, &mut bytes).is_err() {
        return false;
    }
    let Ok(key) = VerifyingKey::from_bytes(key.as_bytes()) else { return false };
    key.verify_strict(statement.as_bytes(), &Signature::from_bytes(&bytes)).is_ok()
}

impl Payouts {
    /// The text that persons sign.
    pub fn statement(&self, id: PayoutId, row: &PayoutRow) -> String {
        statement(&self.books, id, row)
    }

    /// Takes a person's word.
    pub async fn approve(&self, request: &ApprovalRequest) -> Result<PayoutView, OperatorError> {
        let (id, row) = self.find(&request.payout)?;
        let key: Option<OperatorKey> = request.key.parse().ok();
        let person = key.and_then(|key| self.config.needs.trusted.iter().find(|(_, known)| *known == key));
        let Some((name, key)) = person else {
            return Err(OperatorError::Request(format!(
                "expected the key of an [[operator]], got {}; add the person to the configuration",
                request.key.chars().take(64).collect::<String>()
            )));
        };
        if !fits(*key, &self.statement(id, &row), &request.signature) {
            return Err(OperatorError::Request(format!(
                "the signature is not {name}'s over this payout as it stands; look at `farthing payout show` and sign that"
            )));
        }
        let (name, signature) = (name.clone(), request.signature.to_ascii_lowercase());
        let approval = Approval { name, key: *key, signature, at: (self.clock)() };
        let command = ApprovePayout { payout: id, approval, needs: self.config.needs.clone() };
        let (id, row) = self.run(Command::ApprovePayout(command)).await?;
        self.view(id, &row)
    }

    /// The payout as it is, without approvals whose signatures do not fit it: rows are not believed where money goes out.
    pub(super) fn proven(&self, id: PayoutId, row: &PayoutRow) -> Result<(), OperatorError> {
        let text = self.statement(id, row);
        match row.approvals.iter().find(|approval| !fits(approval.key, &text, &approval.signature)) {
            None => Ok(()),
            Some(approval) => Err(OperatorError::Disagree(format!(
                "the approval of the payout {id} by {} does not fit what it says; nothing was sent",
                approval.name
            ))),
        }
    }
}

/// Writes an amount and a time that a test knows.
#[cfg(test)]
fn example(amount: u128, at: u64) -> PayoutRow {
    let asset = farthing_money::Asset::micro("USD").expect("an asset");
    let account = farthing_engine::Chart::of(asset).merchant("shop").id();
    let (merchant, name) = ("shop".to_owned(), "2026-11".to_owned());
    let amount = farthing_money::Amount::new(amount);
    let terms =
        farthing_engine::PayoutTerms { merchant, name, account, asset, amount, to: PayoutTo::Credits };
    PayoutRow {
        terms,
        by: None,
        period: None,
        at: farthing_money::Timestamp::from_secs(at),
        approvals: Vec::new(),
        state: farthing_engine::PayoutState::Proposed,
        since: farthing_money::Timestamp::from_secs(at),
        file: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_says_all_of_it() {
        let row = example(5_000_000, 1_764_000_000);
        let id = row.terms.id();
        assert_eq!(
            statement("ab", id, &row),
            format!(
                "farthing payout 1\nbooks: ab\npayout: {id}\nmerchant: shop\nname: 2026-11\namount: 5.00 USD (5000000 uusd)\nto: a top-up code\nproposed: 2025-11-24T16:00:00.000Z\n"
            )
        );
    }

    #[test]
    fn a_signature_fits_one_statement_and_one_key() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public: OperatorKey = statement_key(&key).parse().unwrap();
        let row = example(5, 1);
        let id = row.terms.id();
        let signed = sign(&key, &statement("ab", id, &row));
        assert!(fits(public, &statement("ab", id, &row), &signed));
        assert!(!fits(public, &statement("ac", id, &row), &signed), "other books");
        assert!(!fits(public, &statement("ab", id, &example(6, 1)), &signed), "another amount");
        assert!(!fits(public, &statement("ab", id, &example(5, 2)), &signed), "proposed anew");
        let mut other = example(5, 1);
        other.terms.to = PayoutTo::Bank {
            holder: "A".into(),
            iban: "DE89370400440532013000".into(),
            bic: None,
            country: None,
            own: row.terms.account,
        };
        assert!(!fits(public, &statement("ab", id, &other), &signed), "another destination");
        let stranger: OperatorKey = statement_key(&SigningKey::from_bytes(&[8; 32])).parse().unwrap();
        assert!(!fits(stranger, &statement("ab", id, &row), &signed));
        for forged in ["", "00", &"0".repeat(128), &signed[2..]] {
            assert!(!fits(public, &statement("ab", id, &row), forged));
        }
    }
}
