//! The issuer's keysets in memory: recognises credits and signs outputs, on any core and before a command is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use farthing_ecash::{
    BlindSignature, BlindedMessage, ConditionError, DenominationError, Keyset, KeysetError, KeysetId, Proof,
    PublicKey, SignError, SigningKeyset, VerifyError, WellKnownSecret, Witness, denomination, input_fee,
};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp, Unit};
use thiserror::Error;

use crate::{ChangeOutput, CreditId, Input, KeysetRow, Output, OutputId, OutputRow, credits_account};

/// The keysets of an installation with their keys. Cloning shares the keys.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keysets: BTreeMap<KeysetId, Arc<Entry>>,
    by_account: BTreeMap<AccountId, KeysetId>,
    active: BTreeMap<Unit, KeysetId>,
}

#[derive(Debug)]
struct Entry {
    signing: SigningKeyset,
    row: KeysetRow,
    account: AccountId,
}

/// A signed output and what to write down about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedOutput {
    /// For the command.
    pub output: Output,
    /// For the payer.
    pub signature: BlindSignature,
}

/// Why the keyring refuses a credit or an output.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyringReject {
    /// Not one of ours.
    #[error("keyset {0} is not one of this issuer's; fetch /v1/keysets")]
    UnknownKeyset(KeysetId),
    /// No longer signs.
    #[error("keyset {0} no longer signs; fetch /v1/keysets and use the active one")]
    InactiveKeyset(KeysetId),
    /// Worth nothing any more.
    #[error("keyset {id} expired at {expiry} (Unix seconds); its credits are worth nothing")]
    ExpiredKeyset {
        /// Which.
        id: KeysetId,
        /// When.
        expiry: u64,
    },
    /// Another unit.
    #[error("unit {expected} was expected, {got} came; use credits of one unit")]
    WrongUnit {
        /// What was expected.
        expected: Unit,
        /// What came.
        got: Unit,
    },
    /// No keyset of this unit signs.
    #[error("this issuer has no active keyset of unit {0}")]
    NoActiveKeyset(Unit),
    /// Forged, damaged or not a denomination.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Not a denomination, or not a point that can be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The sum has no denominations.
    #[error(transparent)]
    Denomination(#[from] DenominationError),
    /// Too few blank outputs for the change.
    #[error(
        "the change of {amount} needs {needed} blank outputs, {got} came; send more, or ask for change as a token"
    )]
    BlankOutputs {
        /// The change.
        amount: u64,
        /// How many it needs.
        needed: usize,
        /// How many came.
        got: usize,
    },
    /// A sum does not fit.
    #[error("the amounts sum to more than 2^64 - 1")]
    Overflow,
    /// The seed does not make the keyset that the books know.
    #[error(
        "the seed makes keyset {derived}, the books have {recorded} at index {index}; use the seed of this folder"
    )]
    WrongSeed {
        /// What the seed makes.
        derived: KeysetId,
        /// What the books have.
        recorded: String,
        /// Where.
        index: u32,
    },
    /// The keyset cannot be made.
    #[error(transparent)]
    Keyset(#[from] KeysetError),
    /// The lock of a credit, or what should open it, is malformed.
    #[error(transparent)]
    Condition(#[from] ConditionError),
}

impl KeyringReject {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownKeyset(_) => "keyset-unknown",
            Self::InactiveKeyset(_) => "keyset-inactive",
            Self::ExpiredKeyset { .. } => "keyset-expired",
            Self::WrongUnit { .. } => "wrong-unit",
            Self::NoActiveKeyset(_) => "no-active-keyset",
            Self::Verify(reject) => reject.code(),
            Self::Sign(reject) => reject.code(),
            Self::Denomination(reject) => reject.code(),
            Self::BlankOutputs { .. } => "blank-outputs",
            Self::Overflow => "amount-overflow",
            Self::WrongSeed { .. } => "wrong-seed",
            Self::Keyset(reject) => reject.code(),
            Self::Condition(reject) => reject.code(),
        }
    }
}

impl Keyring {
    /// The keysets that the books know, their keys derived from the seed.
    pub fn new(seed: &[u8; 32], rows: &[KeysetRow]) -> Result<Self, KeyringReject> {
        let mut keyring = Self::default();
        for row in rows {
            let signing = derive(seed, row)?;
            if signing.id().to_string() != row.id {
                let recorded = row.id.clone();
                return Err(KeyringReject::WrongSeed { derived: signing.id(), recorded, index: row.index });
            }
            keyring.insert(signing, row.clone());
        }
        Ok(keyring)
    }

    /// A row for a new keyset; its id is that of the keys that the seed makes.
    pub fn draft(seed: &[u8; 32], row: &KeysetRow) -> Result<KeysetRow, KeyringReject> {
        let id = derive(seed, row)?.id().to_string();
        Ok(KeysetRow { id, ..row.clone() })
    }

    fn insert(&mut self, signing: SigningKeyset, row: KeysetRow) {
        let id = signing.id();
        let account = credits_account(row.asset, &row.id).id();
        if row.active {
            self.active.insert(row.asset.unit(), id);
        }
        self.by_account.insert(account, id);
        self.keysets.insert(id, Arc::new(Entry { signing, row, account }));
    }

    /// Every keyset as it is published, with whether it is active.
    pub fn published(&self) -> impl Iterator<Item = Keyset> + '_ {
        self.keysets
            .values()
            .map(|entry| Keyset { active: entry.row.active, ..entry.signing.public().clone() })
    }

    /// The names of every keyset.
    pub fn ids(&self) -> Vec<KeysetId> {
        self.keysets.keys().copied().collect()
    }

    /// The keyset of this unit that signs.
    pub fn active(&self, unit: Unit) -> Option<&Keyset> {
        self.active.get(&unit).and_then(|id| self.keysets.get(id)).map(|entry| entry.signing.public())
    }

    /// The asset of a keyset.
    pub fn asset(&self, id: KeysetId) -> Result<Asset, KeyringReject> {
        self.entry(id).map(|entry| entry.row.asset)
    }

    fn entry(&self, id: KeysetId) -> Result<&Entry, KeyringReject> {
        self.keysets.get(&id).map(|entry| &**entry).ok_or(KeyringReject::UnknownKeyset(id))
    }

    fn unexpired(&self, id: KeysetId, now: Timestamp) -> Result<&Entry, KeyringReject> {
        let entry = self.entry(id)?;
        match entry.row.final_expiry {
            // What was written off stays so, whatever the clock says.
            Some(expiry) if expiry <= now.secs() || entry.row.closed => {
                Err(KeyringReject::ExpiredKeyset { id, expiry })
            }
            _ => Ok(entry),
        }
    }

    /// Recognises a credit: the keyset is ours, of this asset and not expired, and the signature is its own. Says
    /// nothing of whether it is spent, and nothing of locks (`farthing_ecash::conditions`).
    pub fn verify(&self, proof: &Proof, asset: Asset, now: Timestamp) -> Result<Input, KeyringReject> {
        let entry = self.unexpired(proof.id, now)?;
        same_unit(asset, entry.row.asset)?;
        let y = entry.signing.verify(proof)?;
        Ok(Input {
            credit: CreditId::from_bytes(y.to_bytes()),
            account: entry.account,
            amount: proof.amount,
            witness: witness_of_lock(proof)?,
        })
    }

    /// Signs an output with the active keyset that it names.
    pub fn sign(
        &self,
        message: &BlindedMessage,
        asset: Asset,
        now: Timestamp,
    ) -> Result<SignedOutput, KeyringReject> {
        let entry = self.unexpired(message.id, now)?;
        same_unit(asset, entry.row.asset)?;
        if !entry.row.active {
            return Err(KeyringReject::InactiveKeyset(message.id));
        }
        let signature = entry.signing.sign(message)?;
        Ok(SignedOutput { output: output(entry, message), signature })
    }

    /// Signs as many blank outputs as a change needs, in their order, giving each its amount (NUT-08).
    pub fn sign_change(
        &self,
        blanks: &[BlindedMessage],
        change: Amount,
        asset: Asset,
        now: Timestamp,
    ) -> Result<Vec<SignedOutput>, KeyringReject> {
        if change.is_zero() {
            return Ok(Vec::new());
        }
        self.parts(blanks, change, asset)?.map(|message| self.sign(&message, asset, now)).collect()
    }

    /// What [`sign_change`](Self::sign_change) would sign, without signing it.
    pub fn plan_change(
        &self,
        blanks: &[BlindedMessage],
        change: Amount,
        asset: Asset,
    ) -> Result<Vec<Output>, KeyringReject> {
        let parts = self.parts(blanks, change, asset)?;
        parts.map(|message| Ok(output(self.entry(message.id)?, &message))).collect()
    }

    /// Gives as many blank outputs as a change needs their amounts.
    fn parts<'b>(
        &self,
        blanks: &'b [BlindedMessage],
        change: Amount,
        asset: Asset,
    ) -> Result<impl Iterator<Item = BlindedMessage> + use<'b>, KeyringReject> {
        let amount = change.to_u64().ok_or(KeyringReject::Overflow)?;
        let keyset = self.active(asset.unit()).ok_or(KeyringReject::NoActiveKeyset(asset.unit()))?;
        let parts = if amount == 0 { Vec::new() } else { keyset.split(amount)? };
        if parts.len() > blanks.len() {
            return Err(KeyringReject::BlankOutputs { amount, needed: parts.len(), got: blanks.len() });
        }
        Ok(parts.into_iter().zip(blanks).map(|(amount, blank)| BlindedMessage { amount, ..*blank }))
    }

    /// How many blank outputs any change of at most so much has room in.
    pub fn blanks_needed(&self, most: Amount, asset: Asset) -> Result<usize, KeyringReject> {
        let amount = most.to_u64().ok_or(KeyringReject::Overflow)?;
        let keyset = self.active(asset.unit()).ok_or(KeyringReject::NoActiveKeyset(asset.unit()))?;
        let largest = keyset.keys.keys().copied().max().unwrap_or(1).max(1);
        // So many of the largest, and one of each below for any rest.
        let many = usize::try_from(amount.checked_div(largest).unwrap_or(0)).unwrap_or(usize::MAX);
        let rest = denomination::blank_outputs(amount.min(largest.saturating_sub(1)));
        Ok(many.saturating_add(usize::try_from(rest).unwrap_or(usize::MAX)))
    }

    /// Refuses blank outputs that are too few for some change of at most so much.
    pub fn check_blanks(&self, got: usize, most: Amount, asset: Asset) -> Result<(), KeyringReject> {
        let needed = self.blanks_needed(most, asset)?;
        let amount = most.to_u64().ok_or(KeyringReject::Overflow)?;
        if needed > got { Err(KeyringReject::BlankOutputs { amount, needed, got }) } else { Ok(()) }
    }

    /// A credit whose secret the issuer draws itself, for change that nobody blinded.
    pub fn sign_unblinded(&self, secret: &str, amount: u64, asset: Asset) -> Result<Proof, KeyringReject> {
        let unit = asset.unit();
        let id = self.active.get(&unit).ok_or(KeyringReject::NoActiveKeyset(unit))?;
        Ok(self.entry(*id)?.signing.sign_unblinded(secret, amount)?)
    }

    /// Makes the signature of an output again (NUT-09): the same keys give the same signature.
    pub fn sign_again(&self, output: OutputId, row: &OutputRow) -> Result<BlindSignature, KeyringReject> {
        let id = *self.by_account.get(&row.account).ok_or(KeyringReject::Sign(SignError::Point))?;
        let b_ =
            PublicKey::from_bytes(output.as_bytes()).map_err(|_| KeyringReject::Sign(SignError::Point))?;
        Ok(self.entry(id)?.signing.sign(&BlindedMessage { amount: row.amount, id, b_ })?)
    }

    /// Makes the signatures of change again.
    pub fn sign_change_again(&self, change: &[ChangeOutput]) -> Result<Vec<BlindSignature>, KeyringReject> {
        let again = |c: &ChangeOutput| {
            self.sign_again(c.output, &OutputRow { account: c.account, amount: c.amount, epoch: 0 })
        };
        change.iter().map(again).collect()
    }

    /// What the issuer keeps of a swap or melt of these credits (NUT-02).
    pub fn fee(&self, proofs: &[Proof]) -> Result<Amount, KeyringReject> {
        let rates: Result<Vec<_>, _> =
            proofs.iter().map(|proof| self.entry(proof.id).map(|entry| entry.row.input_fee_ppk)).collect();
        input_fee(rates?).map(Amount::from).ok_or(KeyringReject::Overflow)
    }
}

/// The witness is kept with the spent credit and shown to whoever asks (NUT-07): only that of a lock is, and only within
/// the limits of a witness.
fn witness_of_lock(proof: &Proof) -> Result<Option<String>, ConditionError> {
    if WellKnownSecret::parse(&proof.secret)?.is_none() {
        return Ok(None);
    }
    Witness::parse(proof.witness.as_deref())?;
    Ok(proof.witness.clone())
}

fn derive(seed: &[u8; 32], row: &KeysetRow) -> Result<SigningKeyset, KeyringReject> {
    let KeysetRow { index, asset, orders, input_fee_ppk, final_expiry, .. } = row;
    Ok(SigningKeyset::derive(seed, asset.unit(), *index, *input_fee_ppk, *final_expiry, *orders)?)
}

fn same_unit(expected: Asset, got: Asset) -> Result<(), KeyringReject> {
    if expected == got {
        Ok(())
    } else {
        Err(KeyringReject::WrongUnit { expected: expected.unit(), got: got.unit() })
    }
}

fn output(entry: &Entry, message: &BlindedMessage) -> Output {
    let output = OutputId::from_bytes(message.b_.to_bytes());
    Output { output, account: entry.account, amount: message.amount }
}

#[cfg(test)]
mod tests {
    use farthing_ecash::{SecretKey, blind};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn row(index: u32, unit: &str, active: bool, final_expiry: Option<u64>) -> KeysetRow {
        let asset = Asset::new("USD", 6, unit).unwrap();
        let row = KeysetRow {
            id: String::new(),
            index,
            asset,
            orders: 16,
            input_fee_ppk: 0,
            final_expiry,
            active,
            opened_at: NOW,
            closed: false,
        };
        Keyring::draft(&[7; 32], &row).unwrap()
    }

    fn keyring(rows: &[KeysetRow]) -> Keyring {
        Keyring::new(&[7; 32], rows).unwrap()
    }

    fn message(amount: u64, id: &str) -> BlindedMessage {
        let r = SecretKey::from_hex(&format!("{:064x}", amount + 1)).unwrap();
        BlindedMessage { amount, id: id.parse().unwrap(), b_: blind(b"secret", &r).unwrap() }
    }

    #[test]
    fn another_seed_is_refused() {
        let refused = Keyring::new(&[8; 32], &[row(0, "uusd", true, None)]).unwrap_err();
        assert!(matches!(refused, KeyringReject::WrongSeed { index: 0, .. }));
    }

    #[test]
    fn only_active_unexpired_keysets_of_the_asset_sign() {
        let rows =
            [row(0, "uusd", false, None), row(1, "uusd", true, None), row(2, "other", true, Some(999))];
        let keyring = keyring(&rows);
        let usd = rows[0].asset;
        let sign = |row: &KeysetRow, asset| keyring.sign(&message(4, &row.id), asset, NOW);
        assert!(matches!(sign(&rows[0], usd), Err(KeyringReject::InactiveKeyset(_))));
        assert_eq!(sign(&rows[1], usd).unwrap().output.amount, 4);
        assert!(matches!(sign(&rows[1], rows[2].asset), Err(KeyringReject::WrongUnit { .. })));
        assert!(matches!(sign(&rows[2], rows[2].asset), Err(KeyringReject::ExpiredKeyset { .. })));
        let elsewhere = row(9, "uusd", true, None);
        assert!(matches!(sign(&elsewhere, usd), Err(KeyringReject::UnknownKeyset(_))));
    }

    #[test]
    fn retired_keysets_still_redeem() {
        let rows = [row(0, "uusd", true, None)];
        let proof = keyring(&rows).sign_unblinded("secret", 8, rows[0].asset).unwrap();
        let retired = keyring(&[KeysetRow { active: false, ..rows[0].clone() }]);
        let input = retired.verify(&proof, rows[0].asset, NOW).unwrap();
        assert_eq!((input.amount, input.credit), (8, CreditId::from_bytes(proof.y().to_bytes())));
    }

    #[test]
    fn change_fits_its_blanks() {
        let rows = [row(0, "uusd", true, None)];
        let (keyring, usd) = (keyring(&rows), rows[0].asset);
        let blanks: Vec<_> = [0, 1, 2].map(|n| message(n, &rows[0].id)).to_vec();
        let signed = keyring.sign_change(&blanks, Amount::new(5), usd, NOW).unwrap();
        assert_eq!(signed.iter().map(|s| s.output.amount).collect::<Vec<_>>(), [1, 4]);
        let again = keyring.sign_again(
            signed[1].output.output,
            &OutputRow { account: signed[1].output.account, amount: 4, epoch: 0 },
        );
        assert_eq!(again.unwrap(), signed[1].signature);
        let few = keyring.sign_change(&blanks, Amount::new(15), usd, NOW).unwrap_err();
        assert_eq!(few, KeyringReject::BlankOutputs { amount: 15, needed: 4, got: 3 });
        assert!(keyring.sign_change(&blanks, Amount::ZERO, usd, NOW).unwrap().is_empty());
    }
}
