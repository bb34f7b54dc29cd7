//! What both schemes by Permit2 have in common: the proxy as spender, the allowance that Permit2 needs, and the order of
//! the checks.

use farthing_channel::permit2::{ExactWitness, UptoWitness};
use farthing_channel::{Address, Permit2Transfer, Word, call};
use farthing_engine::Call;
use farthing_money::{Amount, Timestamp};
use farthing_wire::x402::{Payload, Permit2, Reason, Requirements};
use futures_util::future::{join, join4};

use super::approval::{self, Needed};
use super::signed::{Signed, Verdict};
use super::sponsor::Sponsored;
use super::{Draft, Judge, Unsound, Verified, is_early, is_too_near, settled, word};
use crate::abi;
use crate::authorized::{Authorized, Counter};
use crate::chain::{ChainConfig, of_text};
use crate::node::{NodeError, Trial};

/// What the payer signed.
pub(super) enum Transfer {
    Exact(Permit2Transfer<ExactWitness>),
    Upto(Permit2Transfer<UptoWitness>),
}

/// The members that both have.
struct Shared {
    token: Address,
    amount: Word,
    spender: Address,
    nonce: Word,
    deadline: Word,
    payee: Address,
    valid_after: Word,
}

pub(super) struct Terms {
    transfer: Transfer,
    payer: Address,
    signed: Signed,
    /// The token that is asked for.
    token: Address,
    /// An allowance that comes with the payment, or why it is refused.
    sponsored: Option<Sponsored>,
    /// An approval that comes with the payment, or why it is refused; if approvals of the token are sponsored.
    approval: Option<approval::Read>,
}

impl Transfer {
    fn shared(&self) -> Shared {
        match self {
            Self::Exact(transfer) => shared(transfer, transfer.witness.to, transfer.witness.valid_after),
            Self::Upto(transfer) => shared(transfer, transfer.witness.to, transfer.witness.valid_after),
        }
    }

    fn proxy(&self, chain: &ChainConfig) -> Address {
        match self {
            Self::Exact(_) => chain.contracts.exact,
            Self::Upto(_) => chain.contracts.upto,
        }
    }
}

fn shared<W>(transfer: &Permit2Transfer<W>, payee: Address, valid_after: Word) -> Shared {
    let Permit2Transfer { token, amount, spender, nonce, deadline, .. } = *transfer;
    Shared { token, amount, spender, nonce, deadline, payee, valid_after }
}

impl Terms {
    pub(super) fn read(
        chain: &ChainConfig,
        requirements: &Requirements,
        payload: &Payload,
        paid: &Permit2,
        transfer: Transfer,
    ) -> Result<Self, Reason> {
        let token = requirements.asset_address().map(of_text).ok_or(Reason::AssetNotDeployed)?;
        let payer = of_text(paid.permit2_authorization.from);
        let domain = chain.permit2_domain();
        let digest = match &transfer {
            Transfer::Exact(transfer) => transfer.digest(&domain),
            Transfer::Upto(transfer) => transfer.digest(&domain),
        };
        let signed = Signed::read(&paid.signature, digest, payer)?;
        let sponsored = Sponsored::read(&payload.extensions);
        let wanted = sponsored.is_none() && chain.sponsors(token);
        let approval = wanted.then(|| approval::read(payload)).flatten();
        Ok(Self { transfer, payer, signed, token, sponsored, approval })
    }

    pub(super) fn authorized(&self, chain: &ChainConfig) -> Authorized {
        Authorized {
            counter: Counter::Permit2(chain.contracts.permit2),
            payer: self.payer,
            nonce: *self.transfer.shared().nonce.as_bytes(),
        }
    }

    /// What can be seen in the payment itself; here all of it comes before the signature.
    fn refusal(&self, judge: &Judge<'_>, requirements: &Requirements, now: Timestamp) -> Option<Reason> {
        let shared = self.transfer.shared();
        let named = match &self.transfer {
            Transfer::Exact(_) => judge.submitter,
            Transfer::Upto(transfer) => transfer.witness.facilitator,
        };
        if shared.spender != self.transfer.proxy(judge.chain) {
            Some(Reason::Permit2InvalidSpender)
        } else if requirements.pay_to_address().map(of_text) != Some(shared.payee) {
            Some(Reason::Permit2RecipientMismatch)
        } else if named != judge.submitter {
            Some(Reason::UptoFacilitatorMismatch)
        } else if is_too_near(shared.deadline, now) {
            Some(Reason::Permit2DeadlineExpired)
        } else if is_early(shared.valid_after, now) {
            Some(Reason::Permit2NotYetValid)
        } else if shared.amount != word(&requirements.amount) {
            Some(Reason::Permit2AmountMismatch)
        } else if shared.token != self.token {
            Some(Reason::Permit2TokenMismatch)
        } else {
            None
        }
    }

    pub(super) async fn judge(
        &self,
        judge: &Judge<'_>,
        requirements: &Requirements,
        now: Timestamp,
    ) -> Result<Verified, Unsound> {
        if let Some(reason) = self.refusal(judge, requirements, now) {
            return Err(reason.into());
        }
        let units = self.transfer.shared().amount.to_amount().ok_or(Reason::Permit2InvalidAmount)?;
        let sponsored = self
            .sponsored
            .as_ref()
            .map(|allowance| allowance.refusal(self.payer, self.token, judge.chain.contracts.permit2, now));
        let draft = self.draft(judge.chain, units);
        let (verdict, token_code, proxy_code, tried) = join4(
            self.signed.verdict(judge),
            judge.node.code_at(self.token),
            judge.node.code_at(draft.to),
            judge.node.call(draft.trial(judge.submitter)),
        )
        .await;
        let verdict = verdict?;
        if token_code?.is_empty() {
            return Err(Reason::AssetNotDeployed.into());
        }
        if verdict != Verdict::Own {
            return Err(Reason::Permit2InvalidSignature.into());
        }
        if let Some(Some(reason)) = sponsored {
            return Err(reason.into());
        }
        let needed = self.needed(judge.chain);
        let approval =
            self.approval.as_ref().map(|read| read.as_ref().map_err(|reason| *reason)).transpose()?;
        approval.map(|approval| approval.check(judge.chain, &needed)).transpose()?;
        if proxy_code?.is_empty() {
            return Err(Reason::Permit2ProxyNotDeployed.into());
        }
        let gift = match (settled(tried)?, approval) {
            (Ok(_), _) => Amount::ZERO,
            (Err(error), Some(approval)) => approval.judge(judge, &needed, (&error, now)).await?,
            (Err(error), None) => return Err(self.diagnose(judge, &error).await?),
        };
        let payment = needed.authorized.payment(judge.chain);
        Ok(Verified { payer: self.payer, payment, units, gift })
    }

    fn needed(&self, chain: &ChainConfig) -> Needed {
        let Shared { amount, payee, deadline: until, .. } = self.transfer.shared();
        let authorized = self.authorized(chain);
        Needed { payer: self.payer, token: self.token, payee, amount, until, authorized }
    }

    /// Why the transfer would fail, as far as the token and Permit2 say it.
    async fn diagnose(&self, judge: &Judge<'_>, error: &NodeError) -> Result<Unsound, NodeError> {
        let ask = |to, input| judge.node.call(Trial { from: judge.submitter, to, input });
        let permit2 = judge.chain.contracts.permit2;
        let authorized = self.authorized(judge.chain);
        let (sums, used) = join(
            join(
                ask(self.token, call::balance_of(self.payer)),
                ask(self.token, call::allowance(self.payer, permit2)),
            ),
            ask(permit2, authorized.question()),
        )
        .await;
        let sum = |answer: Result<Vec<u8>, NodeError>| {
            settled(answer).map(|answer| answer.ok().and_then(|answer| abi::only_word(&answer)))
        };
        let (balance, allowance) = (sum(sums.0)?, sum(sums.1)?);
        let used = settled(used)?.ok().and_then(|answer| authorized.is_used(&answer));
        let needed = self.transfer.shared().amount;
        let reason = if balance.is_some_and(|balance| balance < needed) {
            Reason::Permit2InsufficientBalance
        } else if allowance.is_some_and(|allowance| allowance < needed) {
            Reason::Permit2AllowanceRequired
        } else if used == Some(true) {
            Reason::Permit2InvalidNonce
        } else {
            Reason::Permit2SimulationFailed
        };
        Ok(Unsound::Reason(reason, Some(error.to_string())))
    }

    fn draft(&self, chain: &ChainConfig, units: Amount) -> Draft {
        let (payer, signature) = (self.payer, self.signed.bytes());
        let allowance = self.sponsored.as_ref().and_then(Sponsored::permit);
        let allowance = allowance.as_ref().map(|(permit, signature)| (permit, signature));
        let used = Word::from(units);
        let input = match (&self.transfer, allowance) {
            (Transfer::Exact(transfer), None) => call::settle_exact(transfer, payer, &signature),
            (Transfer::Exact(transfer), Some(allowance)) => {
                call::settle_exact_with_permit(allowance, transfer, payer, &signature)
            }
            (Transfer::Upto(transfer), None) => call::settle_upto(transfer, used, payer, &signature),
            (Transfer::Upto(transfer), Some(allowance)) => {
                call::settle_upto_with_permit(allowance, transfer, used, payer, &signature)
            }
        };
        let Shared { token, deadline, payee, .. } = self.transfer.shared();
        let approval = self.approval.as_ref().and_then(|read| read.as_ref().ok());
        let approval = approval.map(|approval| approval.bytes().to_vec());
        Draft { to: self.transfer.proxy(chain), input, token, payer, payee, until: deadline, approval }
    }

    pub(super) fn call(
        &self,
        chain: &ChainConfig,
        requirements: &Requirements,
        units: Amount,
    ) -> Result<Call, Reason> {
        let shared = self.transfer.shared();
        let (used, most) = (Word::from(units), shared.amount);
        if requirements.pay_to_address().map(of_text) != Some(shared.payee) {
            return Err(Reason::Permit2RecipientMismatch);
        }
        if shared.token != self.token {
            return Err(Reason::Permit2TokenMismatch);
        }
        match &self.transfer {
            Transfer::Exact(_) if used != most => Err(Reason::Permit2AmountMismatch),
            Transfer::Upto(_) if used > most => Err(Reason::UptoSettlementExceedsAmount),
            Transfer::Exact(_) | Transfer::Upto(_) => Ok(self.draft(chain, units).call(chain, units)),
        }
    }
}
