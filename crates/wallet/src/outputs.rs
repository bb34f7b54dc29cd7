//! From counters to blinded messages, and from a mint's signatures to credits.

use farthing_ecash::{
    BlindSignature, BlindedMessage, DleqError, Keyset, Proof, ProofDleq, RestoreError, SecretKey, blind,
    restore, unblind,
};

use crate::attempt::Outputs;
use crate::error::WalletError;
use crate::words::Seed;

/// An output with the secrets that turn its signature into a credit.
pub(crate) struct Planned {
    secret: String,
    r: SecretKey,
    pub(crate) message: BlindedMessage,
}

/// Whether a signature without a proof of equality is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proving {
    /// It is not.
    Required,
    /// It is: signatures from before the mint gave proofs are better than nothing.
    IfGiven,
}

impl Outputs {
    /// The counter after the last.
    pub(crate) fn end(&self) -> Result<u32, RestoreError> {
        let count = u32::try_from(self.amounts.len()).unwrap_or(u32::MAX);
        self.first.checked_add(count).ok_or(RestoreError::Counter(u32::MAX))
    }

    /// The outputs, derived again.
    pub(crate) fn derive(&self, seed: &Seed) -> Result<Vec<Planned>, RestoreError> {
        let end = self.end()?;
        let counters = self.first..end;
        counters.zip(&self.amounts).map(|(counter, amount)| self.planned(seed, counter, *amount)).collect()
    }

    fn planned(&self, seed: &Seed, counter: u32, amount: u64) -> Result<Planned, RestoreError> {
        let (secret, r) = restore::derive(seed.bytes(), self.keyset, counter)?;
        let b_ = blind(secret.as_bytes(), &r).ok_or(RestoreError::Skip(counter))?;
        Ok(Planned { secret, r, message: BlindedMessage { amount, id: self.keyset, b_ } })
    }
}

pub(crate) fn messages(planned: &[Planned]) -> Vec<BlindedMessage> {
    planned.iter().map(|output| output.message).collect()
}

impl Planned {
    /// The credit, from the mint's signature. A blank output takes the amount that the mint gave it.
    pub(crate) fn unblind(
        &self,
        signature: &BlindSignature,
        keyset: &Keyset,
        mint: &str,
        proving: Proving,
    ) -> Result<Proof, WalletError> {
        let BlindedMessage { amount, id, b_ } = self.message;
        let fits = signature.id == id && keyset.id == id && (amount == 0 || signature.amount == amount);
        let key = keyset.key(signature.amount).filter(|_| fits);
        let key =
            key.ok_or_else(|| WalletError::bad_answer(mint, "a signature of this output", "another"))?;
        match signature.check_dleq(key, b_) {
            Err(DleqError::Missing) if proving == Proving::IfGiven => {}
            checked => checked.map_err(|source| WalletError::Dleq { mint: mint.to_owned(), source })?,
        }
        let c = unblind(signature.c_, &self.r, key)
            .ok_or_else(|| WalletError::bad_answer(mint, "a signature", "a point that is none"))?;
        let dleq = signature.dleq.map(|proof| ProofDleq::new(&proof, &self.r));
        Ok(Proof { dleq, ..Proof::new(signature.amount, id, self.secret.clone(), c) })
    }
}

/// The credits of all outputs, signed in their order. Of blank outputs only the first few may be signed.
pub(crate) fn collect(
    planned: &[Planned],
    signatures: &[BlindSignature],
    keyset: &Keyset,
    mint: &str,
) -> Result<Vec<Proof>, WalletError> {
    let blank = planned.iter().all(|output| output.message.amount == 0);
    if signatures.len() > planned.len() || (signatures.len() < planned.len() && !blank) {
        let got = format!("{} for {}", signatures.len(), planned.len());
        return Err(WalletError::bad_answer(mint, "one signature for each output", got));
    }
    let pairs = planned.iter().zip(signatures);
    pairs.map(|(output, signature)| output.unblind(signature, keyset, mint, Proving::Required)).collect()
}

#[cfg(test)]
mod tests {
    use farthing_ecash::SigningKeyset;

    use super::*;

    #[test]
    fn signatures_become_credits_or_are_refused() {
        let seed = Seed::from_entropy([1; 16]).unwrap();
        let issuer = SigningKeyset::derive(&[1; 32], "uusd".parse().unwrap(), 0, 0, None, 8).unwrap();
        let other = SigningKeyset::derive(&[2; 32], "uusd".parse().unwrap(), 0, 0, None, 8).unwrap();
        let outputs = Outputs { keyset: issuer.id(), first: 5, amounts: vec![1, 4] };
        let planned = outputs.derive(&seed).unwrap();
        let signed: Vec<_> = messages(&planned).iter().map(|message| issuer.sign(message).unwrap()).collect();
        let credits = collect(&planned, &signed, issuer.public(), "m").unwrap();
        for credit in &credits {
            assert!(issuer.verify(credit).is_ok());
            assert!(credit.check_dleq(issuer.public().key(credit.amount).unwrap()).is_ok());
        }
        let code = |signed: &[BlindSignature], keyset: &Keyset| {
            collect(&planned, signed, keyset, "m").unwrap_err().code()
        };
        assert_eq!(code(&signed[..1], issuer.public()), "wallet-bad-answer");
        assert_eq!(code(&[signed[1], signed[0]], issuer.public()), "wallet-bad-answer");
        assert_eq!(code(&signed, other.public()), "wallet-bad-answer");
        let bare: Vec<_> = signed.iter().map(|one| BlindSignature { dleq: None, ..*one }).collect();
        assert_eq!(code(&bare, issuer.public()), "dleq-missing");
        assert!(planned[0].unblind(&bare[0], issuer.public(), "m", Proving::IfGiven).is_ok());
        let swapped = BlindSignature { c_: signed[1].c_, ..signed[0] };
        assert_eq!(code(&[swapped, signed[1]], issuer.public()), "dleq-invalid");
    }
}
