//! Asks a mint to swap credits, and finds out what happened if it will not say so at once. Writes nothing down: whoever
//! asks has done so before, and acts on the [`Verdict`].
//!
//! A swap is the one question about credits whose answer is final: if it succeeds they are ours, whoever else has seen
//! them; if it fails because they are spent, they were someone else's.

use std::collections::BTreeSet;

use farthing_ecash::{Proof, Y};

use super::{Sub, answer_of, keys};
use crate::api::{self, CODE_PENDING, CODE_SIGNED, Refusal, SpentState};
use crate::attempt::Outputs;
use crate::error::WalletError;
use crate::http::{Event, HttpResponse};
use crate::outputs::{Planned, Proving, collect, messages};
use crate::wallet::Wallet;

/// The question.
pub(crate) struct Exchange {
    mint: String,
    inputs: Vec<Proof>,
    plans: Vec<Outputs>,
    watched: Option<Outputs>,
    stage: Stage,
    refusal: Option<Refusal>,
    spent: BTreeSet<Y>,
    /// What the restored signatures say, until it is known what of it is unspent.
    found: Option<Verdict>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start { swap: bool },
    Swap,
    Check,
    Restore,
    CheckFound,
}

/// The answer.
pub(crate) enum Verdict {
    /// The swap succeeded, now or before; these are unspent.
    Swapped(Vec<Proof>),
    /// The inputs paid for something, and this is the change that is unspent.
    Change(Vec<Proof>),
    /// These inputs are spent, and nothing of ours came of them.
    Spent(BTreeSet<Y>),
    /// The mint refuses for another reason, and the inputs are unspent.
    Unspent(Option<Refusal>),
    /// The inputs are unspent, and outputs were signed for something else: another copy of the wallet has used their
    /// counters, and this one does not know how many more.
    Signed(Refusal),
    /// The inputs are part of something that is not over.
    Pending,
}

impl Verdict {
    /// The credits that came of it.
    fn proofs(&self) -> &[Proof] {
        match self {
            Self::Swapped(proofs) | Self::Change(proofs) => proofs,
            Self::Spent(_) | Self::Unspent(_) | Self::Signed(_) | Self::Pending => &[],
        }
    }
}

impl Exchange {
    /// Swaps `inputs` for the last of `plans`. `watched` are outputs that may have been signed as change instead.
    pub(crate) fn swap(mint: &str, inputs: &[Proof], plans: &[Outputs], watched: Option<&Outputs>) -> Self {
        Self {
            mint: mint.to_owned(),
            inputs: inputs.iter().map(Proof::for_issuer).collect(),
            plans: plans.to_vec(),
            watched: watched.cloned(),
            stage: Stage::Start { swap: true },
            refusal: None,
            spent: BTreeSet::new(),
            found: None,
        }
    }

    /// Asks what became of `inputs` without touching them.
    pub(crate) fn ask(mint: &str, inputs: &[Proof], watched: Option<&Outputs>) -> Self {
        Self { stage: Stage::Start { swap: false }, ..Self::swap(mint, inputs, &[], watched) }
    }

    pub(crate) fn next(&mut self, wallet: &Wallet, event: Event) -> Result<Sub<Verdict>, WalletError> {
        match self.stage {
            Stage::Start { swap: true } => {
                let plan = self.plans.last().ok_or(WalletError::Misuse("outputs to swap for"))?;
                let outputs = messages(&plan.derive(&wallet.seed)?);
                self.stage = Stage::Swap;
                api::swap_request(&self.mint, &self.inputs, &outputs).map(Sub::Send)
            }
            Stage::Start { swap: false } => self.check(wallet),
            Stage::Swap => {
                let answer = answer_of(&self.mint, event)?;
                match api::signatures(&self.mint, &answer)? {
                    Ok(signatures) => {
                        let plan = self.plans.last().ok_or(WalletError::Misuse("outputs to swap for"))?;
                        let planned = plan.derive(&wallet.seed)?;
                        let mint = keys::known(wallet, &self.mint)?;
                        let keyset = mint.keyset(plan.keyset).ok_or(WalletError::Misuse("known keys"))?;
                        let proofs = collect(&planned, &signatures, keyset, &self.mint)?;
                        Ok(Sub::Done(Verdict::Swapped(proofs)))
                    }
                    Err(refusal) if refusal.code == CODE_PENDING => Ok(Sub::Done(Verdict::Pending)),
                    Err(refusal) => {
                        self.refusal = Some(refusal);
                        self.check(wallet)
                    }
                }
            }
            Stage::Check => self.checked(wallet, &answer_of(&self.mint, event)?),
            Stage::Restore => self.restored(wallet, &answer_of(&self.mint, event)?),
            Stage::CheckFound => self.checked_found(&answer_of(&self.mint, event)?),
        }
    }

    /// Asks which of the inputs are spent. If none is left, another attempt has found out that all are.
    fn check(&mut self, wallet: &Wallet) -> Result<Sub<Verdict>, WalletError> {
        if self.inputs.is_empty() {
            return self.restore(wallet);
        }
        self.stage = Stage::Check;
        api::state_request(&self.mint, &self.ys()).map(Sub::Send)
    }

    /// Only what the inputs were spent for can have come of them: signatures of outputs prove nothing while they are not.
    fn checked(&mut self, wallet: &Wallet, answer: &HttpResponse) -> Result<Sub<Verdict>, WalletError> {
        let states = api::states(&self.mint, &self.ys(), answer)?;
        let of = |wanted| states.iter().filter(move |one| one.state == wanted).map(|one| one.y);
        if of(SpentState::Pending).next().is_some() {
            return Ok(Sub::Done(Verdict::Pending));
        }
        self.spent = of(SpentState::Spent).collect();
        if !self.spent.is_empty() {
            return self.restore(wallet);
        }
        Ok(Sub::Done(match self.refusal.take() {
            Some(refusal) if refusal.code == CODE_SIGNED => Verdict::Signed(refusal),
            refusal => Verdict::Unspent(refusal),
        }))
    }

    /// Asks which of our outputs were signed, if any could have been.
    fn restore(&mut self, wallet: &Wallet) -> Result<Sub<Verdict>, WalletError> {
        let mut outputs = Vec::new();
        for plan in self.plans.iter().chain(&self.watched) {
            outputs.extend(messages(&plan.derive(&wallet.seed)?));
        }
        if outputs.is_empty() {
            return Ok(Sub::Done(Verdict::Spent(std::mem::take(&mut self.spent))));
        }
        self.stage = Stage::Restore;
        api::restore_request(&self.mint, &outputs).map(Sub::Send)
    }

    fn restored(&mut self, wallet: &Wallet, answer: &HttpResponse) -> Result<Sub<Verdict>, WalletError> {
        let restored = api::restored(&self.mint, answer)?;
        for plan in &self.plans {
            let found = found(wallet, &self.mint, plan, &restored)?;
            if found.len() == plan.amounts.len() && !found.is_empty() {
                return self.check_found(Verdict::Swapped(found));
            }
        }
        if let Some(watched) = &self.watched {
            let found = found(wallet, &self.mint, watched, &restored)?;
            if !found.is_empty() {
                return self.check_found(Verdict::Change(found));
            }
        }
        Ok(Sub::Done(Verdict::Spent(std::mem::take(&mut self.spent))))
    }

    /// Another copy of the wallet can have found and spent it since.
    fn check_found(&mut self, verdict: Verdict) -> Result<Sub<Verdict>, WalletError> {
        let ys: Vec<Y> = verdict.proofs().iter().map(Proof::y).collect();
        (self.stage, self.found) = (Stage::CheckFound, Some(verdict));
        api::state_request(&self.mint, &ys).map(Sub::Send)
    }

    fn checked_found(&mut self, answer: &HttpResponse) -> Result<Sub<Verdict>, WalletError> {
        let mut verdict = self.found.take().ok_or(WalletError::Misuse("restored signatures"))?;
        let ys: Vec<Y> = verdict.proofs().iter().map(Proof::y).collect();
        let states = api::states(&self.mint, &ys, answer)?;
        let is_spent = |y: Y| states.iter().any(|one| one.y == y && one.state == SpentState::Spent);
        if let Verdict::Swapped(proofs) | Verdict::Change(proofs) = &mut verdict {
            proofs.retain(|proof| !is_spent(proof.y()));
        }
        Ok(Sub::Done(match verdict {
            Verdict::Change(proofs) if proofs.is_empty() => Verdict::Spent(std::mem::take(&mut self.spent)),
            verdict => verdict,
        }))
    }

    fn ys(&self) -> Vec<Y> {
        self.inputs.iter().map(Proof::y).collect()
    }
}

/// The credits of those outputs of a plan that a mint remembers to have signed. A signature of another amount than was
/// planned is not of this plan: another copy of the wallet has used the counter.
pub(crate) fn found(
    wallet: &Wallet,
    mint_url: &str,
    plan: &Outputs,
    restored: &api::Restored,
) -> Result<Vec<Proof>, WalletError> {
    let planned: Vec<Planned> = plan.derive(&wallet.seed)?;
    let mint = keys::known(wallet, mint_url)?;
    let mut proofs = Vec::new();
    for output in planned {
        let place = restored.outputs.iter().position(|one| one.b_ == output.message.b_);
        let Some(signature) = place.and_then(|place| restored.signatures.get(place)) else { continue };
        if output.message.amount != 0 && output.message.amount != signature.amount {
            continue;
        }
        let keyset = mint.keyset(plan.keyset).ok_or(WalletError::Misuse("known keys"))?;
        proofs.push(output.unblind(signature, keyset, mint_url, Proving::IfGiven)?);
    }
    Ok(proofs)
}
