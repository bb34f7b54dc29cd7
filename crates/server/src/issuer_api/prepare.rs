//! The cryptography of a request, before any command: which asset it is about, whether its credits are ours, what is
//! signed.

use std::sync::Arc;

use farthing_ecash::{BlindSignature, BlindedMessage, Proof, conditions};
use farthing_engine::{CreditId, Input, Keyring, KeyringReject, Output, RequestTag, SignedOutput};
use farthing_money::{Amount, Asset, Timestamp};
use rayon::prelude::*;

use super::{Issuer, IssuerError, MAX_ITEMS};

/// Curve multiplications to recognise a credit and to sign an output with its proof.
const VERIFY: usize = 1;
const SIGN: usize = 3;

/// What a credit costs to recognise. Opening a lock may take many signature checks; never on the network's threads.
fn weight(proof: &Proof) -> usize {
    const LOCK: usize = 32;
    if proof.witness.is_some() { LOCK } else { VERIFY }
}

/// Verified credits and signed outputs.
pub(super) struct Prepared {
    pub(super) asset: Asset,
    pub(super) fee: Amount,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
    pub(super) signatures: Vec<BlindSignature>,
}

/// Verified credits.
pub(super) struct Verified {
    pub(super) asset: Asset,
    pub(super) inputs: Vec<Input>,
}

impl Prepared {
    /// The names of the inputs.
    pub(super) fn credits(&self) -> Vec<CreditId> {
        self.inputs.iter().map(|input| input.credit).collect()
    }
}

/// Refuses nothing and too much.
pub(super) fn within_limits(what: &'static str, count: usize) -> Result<(), IssuerError> {
    match count {
        0 => Err(IssuerError::none(what)),
        n if n > MAX_ITEMS => Err(IssuerError::too_many(what, n, MAX_ITEMS)),
        _ => Ok(()),
    }
}

/// Sums before signatures: a request that cannot balance costs no cryptography.
pub(super) fn sum(amounts: impl Iterator<Item = u64>) -> Result<Amount, IssuerError> {
    Amount::try_sum(amounts.map(Amount::from)).ok_or_else(|| KeyringReject::Overflow.into())
}

impl Issuer {
    /// Verifies the inputs of a melt. Its blank outputs are covered by locks that sign everything, but are signed only
    /// once the change is known.
    pub(super) async fn verify_with_blanks(
        self: &Arc<Self>,
        inputs: Vec<Proof>,
        blanks: Vec<BlindedMessage>,
        quote: String,
    ) -> Result<Verified, IssuerError> {
        let first = inputs.first().map(|proof| proof.id).ok_or_else(|| IssuerError::none("inputs"))?;
        let asset = self.keyring().asset(first)?;
        let (keyring, now) = (self.keyring(), self.now());
        let multiplications = inputs.iter().map(weight).sum();
        let work = move || {
            let inputs = verify_many(&keyring, &inputs, &blanks, Some(&quote), asset, now)?;
            Ok(Verified { asset, inputs })
        };
        self.crypto.run(multiplications, work).await?
    }

    /// Verifies `inputs` and signs `outputs`, all of one asset, on all cores if there are many.
    pub(super) async fn prepare(
        self: &Arc<Self>,
        inputs: Arc<Vec<Proof>>,
        outputs: Vec<BlindedMessage>,
    ) -> Result<Prepared, IssuerError> {
        let first = inputs.first().map(|proof| proof.id).or_else(|| outputs.first().map(|output| output.id));
        let asset = self.keyring().asset(first.ok_or_else(|| IssuerError::none("inputs or outputs"))?)?;
        let fee = self.keyring().fee(&inputs)?;
        let multiplications = inputs.iter().map(weight).sum::<usize>() + outputs.len() * SIGN;
        let now = self.now();
        let keyring = self.keyring();
        let work = move || {
            let inputs = verify_many(&keyring, &inputs, &outputs, None, asset, now)?;
            let signed = sign_many(&keyring, &outputs, asset, now)?;
            let (outputs, signatures) = signed.into_iter().map(|s| (s.output, s.signature)).unzip();
            Ok(Prepared { asset, fee, inputs, outputs, signatures })
        };
        self.crypto.run(multiplications, work).await?
    }
}

/// So few are done one after the other; spreading them would cost more.
const FEW: usize = 8;

/// Recognises the credits, then looks at their locks: a lock costs up to 121 signature checks, and only who has credits
/// of ours may ask for that.
fn verify_many(
    keyring: &Keyring,
    proofs: &[Proof],
    outputs: &[BlindedMessage],
    quote: Option<&str>,
    asset: Asset,
    now: Timestamp,
) -> Result<Vec<Input>, IssuerError> {
    let verify = |proof: &Proof| keyring.verify(proof, asset, now);
    let inputs: Vec<Input> = if proofs.len() <= FEW {
        proofs.iter().map(verify).collect::<Result<_, _>>()?
    } else {
        // Of credits that are forged altogether, one is enough.
        proofs.first().map(verify).transpose()?;
        proofs.par_iter().map(verify).collect::<Result<_, _>>()?
    };
    conditions::check(proofs, outputs, quote, now.secs())?;
    Ok(inputs)
}

fn sign_many(
    keyring: &Keyring,
    outputs: &[BlindedMessage],
    asset: Asset,
    now: Timestamp,
) -> Result<Vec<SignedOutput>, KeyringReject> {
    if outputs.len() <= FEW {
        return outputs.iter().map(|output| keyring.sign(output, asset, now)).collect();
    }
    outputs.par_iter().map(|output| keyring.sign(output, asset, now)).collect()
}

/// What a request asked for: its inputs and outputs in their order.
pub(super) fn tag(
    domain: &str,
    about: &[u8],
    credits: &[CreditId],
    outputs: &[BlindedMessage],
) -> RequestTag {
    let outputs: Vec<_> = outputs.iter().map(|o| (o.b_.to_bytes(), o.amount.to_be_bytes(), o.id)).collect();
    let credits = credits.iter().map(|credit| credit.as_bytes().as_slice());
    let outputs =
        outputs.iter().flat_map(|(b_, amount, id)| [b_.as_slice(), amount.as_slice(), id.as_bytes()]);
    RequestTag::of_parts(domain, std::iter::once(about).chain(credits).chain(outputs))
}
