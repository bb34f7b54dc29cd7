//! The credits of a credential: recognised before anything is queued, and the change that goes back for them.

use farthing_ecash::{
    BlindSignature, BlindedMessage, KeysetId, Proof, Token, TokenError, Y, conditions, hash_to_curve,
};
use farthing_engine::{ChangeOutput, Input, Keyring, KeyringReject, PaymentId, PaymentRow, SignedOutput};
use farthing_money::{Amount, Asset, Timestamp};
use farthing_wire::mpp::credit::OutputText;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::refusal::Refused;

/// Fewer credits than this are not worth spreading over cores.
const SPREAD_MIN: usize = 8;

/// Credits that are good, unless they are spent.
pub(super) struct Credits {
    pub(super) payment: PaymentId,
    pub(super) inputs: Vec<Input>,
    pub(super) total: Amount,
    /// Where the payer wants change; none is wanted as a token.
    pub(super) blanks: Vec<BlindedMessage>,
}

/// About how many multiplications of a point it takes to recognise a token.
pub(super) fn weight(token: &str) -> usize {
    const TEXT_BYTES_PER_CREDIT: usize = 200;
    token.len() / TEXT_BYTES_PER_CREDIT
}

/// Recognises the credits of a token and opens their locks. `done` counts the multiplications that it took.
pub(super) fn recognise(
    keyring: &Keyring,
    mints: &[String],
    token: &str,
    outputs: &[OutputText],
    (asset, now): (Asset, Timestamp),
    done: &mut usize,
) -> Result<Credits, Refused> {
    let token = Token::decode(token)?;
    let foreign = || {
        let ours = mints.iter().any(|mint| mint.trim_end_matches('/') == token.mint);
        (!ours).then(|| Refused::Mint { expected: mints.join(" or "), got: token.mint.clone() })
    };
    let proofs = token.resolve(&keyring.ids()).map_err(|error| match error {
        TokenError::UnknownKeyset(_) => foreign().unwrap_or(Refused::Token(error)),
        error => Refused::Token(error),
    })?;
    let inputs = verify(keyring, &proofs, asset, now, done).map_err(|reject| match reject {
        KeyringReject::UnknownKeyset(_) => foreign().unwrap_or(Refused::Keyring(reject)),
        reject => Refused::Keyring(reject),
    })?;
    let blanks = blanks(outputs)?;
    *done = done.saturating_add(conditions::weight(&proofs));
    conditions::check(&proofs, &blanks, None, now.secs())?;
    let ids: Vec<_> = inputs.iter().map(|input| input.credit).collect();
    let total = Amount::try_sum(inputs.iter().map(|input| Amount::from(input.amount)));
    let total = total.ok_or(Refused::Keyring(KeyringReject::Overflow))?;
    Ok(Credits { payment: PaymentId::of_credits(&ids), inputs, total, blanks })
}

/// The first credit is looked at before the others are: of a token that is forged altogether, one is enough.
fn verify(
    keyring: &Keyring,
    proofs: &[Proof],
    asset: Asset,
    now: Timestamp,
    done: &mut usize,
) -> Result<Vec<Input>, KeyringReject> {
    let mut inputs = Vec::with_capacity(proofs.len());
    let alone = if proofs.len() < SPREAD_MIN { proofs.len() } else { 1 };
    let (few, many) = proofs.split_at_checked(alone).unwrap_or((proofs, &[]));
    for proof in few {
        *done = done.saturating_add(1);
        inputs.push(keyring.verify(proof, asset, now)?);
    }
    *done = done.saturating_add(many.len());
    let verified: Result<Vec<Input>, _> =
        many.par_iter().map(|proof| keyring.verify(proof, asset, now)).collect();
    inputs.extend(verified?);
    Ok(inputs)
}

/// Blank outputs as a credential writes them.
pub(super) fn blanks(outputs: &[OutputText]) -> Result<Vec<BlindedMessage>, Refused> {
    let read = |(at, output)| blank(output).ok_or(Refused::Output(at));
    outputs.iter().enumerate().map(read).collect()
}

pub(super) fn blank(output: &OutputText) -> Option<BlindedMessage> {
    let (id, b_) = (output.id.parse().ok()?, output.blinded.parse().ok()?);
    Some(BlindedMessage { amount: output.amount, id, b_ })
}

/// Signs change: on the payer's blank outputs, or on outputs of our own, which become a token.
pub(super) fn change(
    keyring: &Keyring,
    blanks: &[BlindedMessage],
    change: Amount,
    asset: Asset,
    now: Timestamp,
) -> Result<Vec<SignedOutput>, KeyringReject> {
    if change.is_zero() { Ok(Vec::new()) } else { keyring.sign_change(blanks, change, asset, now) }
}

/// Blank outputs of our own. Their secrets follow from the payment, so that a retry gets the same token. The issuer
/// knows them: a payer who wants change that nobody can link sends blank outputs.
pub(super) fn own_blanks(
    keyring: &Keyring,
    secret: &[u8; 32],
    payment: PaymentId,
    change: Amount,
    asset: Asset,
) -> Result<Vec<BlindedMessage>, KeyringReject> {
    let amount = change.to_u64().ok_or(KeyringReject::Overflow)?;
    if amount == 0 {
        return Ok(Vec::new());
    }
    let keyset = keyring.active(asset.unit()).ok_or(KeyringReject::NoActiveKeyset(asset.unit()))?;
    let count = keyset.split(amount)?.len();
    Ok(own_outputs(secret, payment, keyset.id, count))
}

/// The same for any change of at most so much.
pub(super) fn own_blanks_for_any(
    keyring: &Keyring,
    secret: &[u8; 32],
    payment: PaymentId,
    most: Amount,
    asset: Asset,
) -> Result<Vec<BlindedMessage>, KeyringReject> {
    let keyset = keyring.active(asset.unit()).ok_or(KeyringReject::NoActiveKeyset(asset.unit()))?;
    Ok(own_outputs(secret, payment, keyset.id, keyring.blanks_needed(most, asset)?))
}

fn own_outputs(secret: &[u8; 32], payment: PaymentId, id: KeysetId, count: usize) -> Vec<BlindedMessage> {
    let point = |at| hash_to_curve(own_secret(secret, payment, at).as_bytes()).point();
    (0..count).map(|at| BlindedMessage { amount: 0, id, b_: point(at) }).collect()
}

fn own_secret(secret: &[u8; 32], payment: PaymentId, at: usize) -> String {
    let at = u64::try_from(at).unwrap_or(u64::MAX).to_le_bytes();
    let hash = Sha256::new().chain_update(b"farthing/change/1").chain_update(secret);
    hex::encode(hash.chain_update(payment.as_bytes()).chain_update(at).finalize())
}

/// What goes back with the answer.
pub(super) enum Change {
    /// Nothing.
    None,
    /// Signatures of the payer's blank outputs.
    Signatures(Vec<BlindSignature>),
    /// A whole token.
    Token(String),
}

/// The change of a posted payment, as it was given the first time.
pub(super) fn change_of(
    row: &PaymentRow,
    signatures: Vec<BlindSignature>,
    secret: &[u8; 32],
    payment: PaymentId,
    mint: &str,
) -> Change {
    if signatures.is_empty() {
        return Change::None;
    }
    match own_proofs(secret, payment, &row.change, &signatures) {
        Some(proofs) => Change::Token(Token::new(mint, row.asset.unit(), None, proofs).encode()),
        None => Change::Signatures(signatures),
    }
}

/// The credits that come of outputs of our own; nothing if these are somebody else's.
pub(super) fn own_proofs(
    secret: &[u8; 32],
    payment: PaymentId,
    outputs: &[ChangeOutput],
    signatures: &[BlindSignature],
) -> Option<Vec<Proof>> {
    let secrets: Vec<_> = (0..signatures.len()).map(|at| own_secret(secret, payment, at)).collect();
    let own = |(output, secret): (&ChangeOutput, &String)| {
        let y: Y = hash_to_curve(secret.as_bytes());
        y.to_bytes() == *output.output.as_bytes()
    };
    if !outputs.iter().zip(&secrets).all(own) {
        return None;
    }
    // Nothing blinds our own outputs, so that their signatures are the credits' own.
    let proofs = signatures.iter().zip(secrets);
    let proof = |(signature, secret): (&BlindSignature, String)| {
        Proof::new(signature.amount, signature.id, secret, signature.c_)
    };
    Some(proofs.map(proof).collect())
}
