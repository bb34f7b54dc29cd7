//! Deposits into a channel: by EIP-3009, which the token looks at, or by Permit2. Judged in the order of the reference's
//! facilitator (npm `@x402/evm` 2.27.0) and with its reasons.

use farthing_channel::seller::ChannelOnChain;
use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, AuthorizedDeposit, BATCH_ESCROW, ChannelId, ChannelTerms,
    CollectedDeposit, Domain, PERMIT2_COLLECTOR, PermittedDeposit, Salt, Word, batch_call, call,
    deposit_nonce,
};
use farthing_engine::{Call, PaymentId};
use farthing_money::{Amount, Timestamp};
use farthing_wire::x402::batch::{DepositAuthorization, DepositPayload, DepositPermit2, DepositReceive};
use farthing_wire::x402::extension::gas_sponsoring;
use farthing_wire::x402::{AssetTransferMethod, Reason, Requirements};
use futures_util::future::{OptionFuture, join, join5};
use serde_json::{Map, Value};

use super::channel::{asked_for, ceiling, terms_of};
use super::signed::{Signed, Verdict};
use super::sponsor::Sponsored;
use super::{Draft, Judge, NotVerified, Unsound, is_early, is_too_near, settled, word};
use crate::abi::{self, Part};
use crate::authorized::{Authorized, Counter};
use crate::chain::{ChainConfig, of_text};
use crate::channels::see;
use crate::node::{Moment, NodeError, Trial};

/// A deposit that the chain would carry out now.
#[derive(Clone, Debug)]
pub struct SoundDeposit {
    /// Whose money it is.
    pub payer: Address,
    /// The channel.
    pub channel: ChannelId,
    /// What it is made of.
    pub terms: ChannelTerms,
    /// How it stands without the deposit.
    pub on_chain: ChannelOnChain,
    /// What makes this deposit the only one, however it is written.
    pub payment: PaymentId,
    /// What carries it out.
    pub call: Call,
    /// What the payer has of the token in the newest block.
    pub balance: Amount,
}

/// What moves a deposit.
enum Way {
    Receive(AuthorizedDeposit),
    Permit(PermittedDeposit),
}

/// A deposit, read.
struct Read {
    terms: ChannelTerms,
    channel: ChannelId,
    amount: Amount,
    way: Way,
    signed: Signed,
    /// An allowance for Permit2 that comes along.
    sponsored: Option<Sponsored>,
}

impl Judge<'_> {
    /// Judges a deposit that has to meet these requirements, with the extensions that came along.
    pub async fn deposit(
        &self,
        requirements: &Requirements,
        (extensions, deposit): (&Map<String, Value>, &DepositPayload),
        now: Timestamp,
    ) -> Result<SoundDeposit, NotVerified> {
        let payer = of_text(deposit.channel_config.payer);
        let judged = match read(self.chain, requirements, (extensions, deposit), Some(now)) {
            Ok(read) => read.judge(self, deposit, now).await,
            Err(reason) => Err(reason.into()),
        };
        judged.map_err(|unsound| unsound.of(Some(payer)))
    }
}

/// A deposit as it would be carried, not judged.
pub(crate) struct DrawnDeposit {
    /// What makes it the only one, however it is written.
    pub(crate) payment: PaymentId,
    /// The channel, by its terms.
    pub(crate) channel: ChannelId,
    /// What carries it out.
    pub(crate) call: Call,
}

/// What a deposit that meets these requirements comes to, without judging it. Its times are not looked at: that of one which was
/// carried may be over.
pub(crate) fn drawn_deposit(
    chain: &ChainConfig,
    requirements: &Requirements,
    (extensions, deposit): (&Map<String, Value>, &DepositPayload),
) -> Result<DrawnDeposit, Reason> {
    let read = read(chain, requirements, (extensions, deposit), None)?;
    let call = read.draft(chain).call(chain, read.amount);
    Ok(DrawnDeposit { payment: read.payment(chain), channel: read.channel, call })
}

fn of_receive(terms: &ChannelTerms, channel: ChannelId, salt: Salt) -> Authorized {
    let nonce = *deposit_nonce(channel, salt).as_bytes();
    Authorized { counter: Counter::Token(terms.token), payer: terms.payer, nonce }
}

fn of_permit(chain: &ChainConfig, terms: &ChannelTerms, nonce: Word) -> Authorized {
    let counter = Counter::Permit2(chain.contracts.permit2);
    Authorized { counter, payer: terms.payer, nonce: *nonce.as_bytes() }
}

/// Reads a deposit. Without a time, none of its times is looked at.
fn read(
    chain: &ChainConfig,
    requirements: &Requirements,
    (extensions, deposit): (&Map<String, Value>, &DepositPayload),
    now: Option<Timestamp>,
) -> Result<Read, Reason> {
    let terms = terms_of(&deposit.channel_config)?;
    let channel = asked_for(chain, requirements, (&terms, deposit.voucher.channel_id.0))?;
    let hinted = requirements.extra.get("assetTransferMethod").is_some_and(|hint| !hint.is_null());
    let method = if hinted { requirements.extra.method() } else { None };
    // No account has more than fits.
    let amount = deposit.deposit.amount.amount();
    let enough = || amount.ok_or(Reason::BatchInsufficientBalance);
    match (&deposit.deposit.authorization, method) {
        (DepositAuthorization::Eip3009(_), Some(AssetTransferMethod::Permit2)) => {
            Err(Reason::BatchPayloadType)
        }
        (DepositAuthorization::Permit2(_), Some(AssetTransferMethod::Eip3009)) => {
            Err(Reason::BatchErc3009AuthorizationRequired)
        }
        _ if hinted && method.is_none() => Err(Reason::BatchPayloadType),
        (DepositAuthorization::Eip3009(receive), _) => {
            let (way, signed) = read_receive(chain, requirements, (&terms, channel), receive, (now, enough))?;
            Ok(Read { terms, channel, amount: enough()?, way, signed, sponsored: None })
        }
        (DepositAuthorization::Permit2(permit), _) => {
            let (way, signed) = read_permit(chain, (&terms, channel), (deposit, permit), (now, enough))?;
            let sponsored = Sponsored::read(extensions);
            if sponsored.is_none() && extensions.contains_key(gas_sponsoring::ERC20_APPROVAL) {
                return Err(Reason::BatchErc20ApprovalUnavailable);
            }
            Ok(Read { terms, channel, amount: enough()?, way, signed, sponsored })
        }
    }
}

type Enough = Result<Amount, Reason>;

fn read_receive(
    chain: &ChainConfig,
    requirements: &Requirements,
    (terms, channel): (&ChannelTerms, ChannelId),
    receive: &DepositReceive,
    (now, amount): (Option<Timestamp>, impl Fn() -> Enough),
) -> Result<(Way, Signed), Reason> {
    let stated = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let name = stated(requirements.extra.name()).ok_or(Reason::BatchMissingEip712Domain)?;
    let version = stated(requirements.extra.version()).ok_or(Reason::BatchMissingEip712Domain)?;
    let deposit = AuthorizedDeposit {
        amount: amount()?,
        valid_after: word(&receive.valid_after),
        valid_before: word(&receive.valid_before),
        salt: Salt::from_bytes(receive.salt.0),
    };
    if now.is_some_and(|now| is_too_near(deposit.valid_before, now)) {
        return Err(Reason::BatchPayloadAuthorizationValidBefore);
    }
    if now.is_some_and(|now| is_early(deposit.valid_after, now)) {
        return Err(Reason::BatchPayloadAuthorizationValidAfter);
    }
    let domain = Domain::new(&name, Some(&version), chain.id, Some(terms.token));
    let digest = deposit.authorization(terms.payer, channel).receive_digest(&domain);
    let signed = Signed::read(&receive.signature, digest, terms.payer)
        .map_err(|_| Reason::BatchReceiveAuthorizationSignature)?;
    Ok((Way::Receive(deposit), signed))
}

fn read_permit(
    chain: &ChainConfig,
    (terms, channel): (&ChannelTerms, ChannelId),
    (deposit, permit): (&DepositPayload, &DepositPermit2),
    (now, amount): (Option<Timestamp>, impl Fn() -> Enough),
) -> Result<(Way, Signed), Reason> {
    if of_text(permit.from) != terms.payer {
        return Err(Reason::BatchPermit2InvalidSignature);
    }
    if of_text(permit.spender) != PERMIT2_COLLECTOR {
        return Err(Reason::BatchPermit2InvalidSpender);
    }
    if of_text(permit.permitted.token) != terms.token {
        return Err(Reason::BatchTokenMismatch);
    }
    if permit.permitted.amount != deposit.deposit.amount {
        return Err(Reason::BatchPermit2AmountMismatch);
    }
    if permit.witness.channel_id != deposit.voucher.channel_id {
        return Err(Reason::BatchChannelIdMismatch);
    }
    let permitted =
        PermittedDeposit { amount: amount()?, nonce: word(&permit.nonce), deadline: word(&permit.deadline) };
    if now.is_some_and(|now| is_too_near(permitted.deadline, now)) {
        return Err(Reason::BatchPermit2DeadlineExpired);
    }
    let digest = permitted.transfer(terms.token, channel).digest(&chain.permit2_domain());
    let signed = Signed::read(&permit.signature, digest, terms.payer)
        .map_err(|_| Reason::BatchPermit2InvalidSignature)?;
    Ok((Way::Permit(permitted), signed))
}

/// What was asked of the chain about a deposit.
struct Answers {
    verdict: Verdict,
    voucher: bool,
    on_chain: ChannelOnChain,
    /// What the payer has.
    balance: Option<Word>,
    /// What Permit2 may take of it.
    allowance: Option<Word>,
    /// What carrying it out would use.
    gas: Result<u64, NodeError>,
}

impl Read {
    /// What makes it the only one.
    fn payment(&self, chain: &ChainConfig) -> PaymentId {
        let authorized = match &self.way {
            Way::Receive(receive) => of_receive(&self.terms, self.channel, receive.salt),
            Way::Permit(permit) => of_permit(chain, &self.terms, permit.nonce),
        };
        authorized.payment(chain)
    }

    async fn judge(
        &self,
        judge: &Judge<'_>,
        deposit: &DepositPayload,
        now: Timestamp,
    ) -> Result<SoundDeposit, Unsound> {
        let draft = self.draft(judge.chain);
        let answers = self.ask(judge, deposit, &draft).await?;
        self.decide(judge, deposit, &answers, now)?;
        Ok(SoundDeposit {
            payer: self.terms.payer,
            channel: self.channel,
            terms: self.terms,
            on_chain: answers.on_chain,
            payment: self.payment(judge.chain),
            call: draft.call(judge.chain, self.amount),
            // No more than that can be deposited.
            balance: answers.balance.and_then(Word::to_amount).unwrap_or(Amount::MAX),
        })
    }

    async fn ask(
        &self,
        judge: &Judge<'_>,
        deposit: &DepositPayload,
        draft: &Draft,
    ) -> Result<Answers, NodeError> {
        let (payer, token) = (self.terms.payer, self.terms.token);
        let ask = |input| judge.node.call(Trial { from: judge.submitter, to: token, input });
        let by_permit2 = matches!(self.way, Way::Permit(_));
        let allowance: OptionFuture<_> =
            by_permit2.then(|| ask(call::allowance(payer, judge.chain.contracts.permit2))).into();
        let (verdict, voucher, on_chain, (balance, allowance), gas) = join5(
            self.signed.verdict(judge),
            judge.is_voucher_signed(&self.terms, self.channel, &deposit.voucher),
            see::channel(judge.node, self.channel, Moment::Latest),
            join(ask(call::balance_of(payer)), allowance),
            judge.node.gas(draft.trial(judge.submitter)),
        )
        .await;
        let number = |answer: Result<Vec<u8>, NodeError>| {
            settled(answer).map(|answer| answer.ok().and_then(|answer| abi::only_word(&answer)))
        };
        Ok(Answers {
            verdict: verdict?,
            voucher: voucher?,
            on_chain: on_chain?,
            balance: number(balance)?,
            allowance: allowance.map(number).transpose()?.flatten(),
            gas: settled(gas)?,
        })
    }

    fn decide(
        &self,
        judge: &Judge<'_>,
        deposit: &DepositPayload,
        answers: &Answers,
        now: Timestamp,
    ) -> Result<(), Unsound> {
        let Answers { verdict, voucher, on_chain, balance, gas, .. } = answers;
        self.decide_way(judge, answers, now)?;
        if !voucher {
            return Err(Reason::BatchVoucherSignature.into());
        }
        if balance.ok_or(Reason::BatchRpcReadFailed)? < self.amount.into() {
            return Err(Reason::BatchInsufficientBalance.into());
        }
        let ceiling = ceiling(&deposit.voucher)?;
        if on_chain.balance.checked_add(self.amount).is_none_or(|funds| ceiling > funds) {
            return Err(Reason::BatchCumulativeExceedsBalance.into());
        }
        if ceiling <= on_chain.claimed {
            return Err(Reason::BatchCumulativeBelowClaimed.into());
        }
        match gas {
            Ok(gas) if *gas <= judge.chain.fees.gas_most => Ok(()),
            Ok(gas) => {
                let most = judge.chain.fees.gas_most;
                let message = format!("it would use {gas} of gas, at most {most} is paid for");
                Err(Unsound::Reason(Reason::BatchDepositSimulationFailed, Some(message)))
            }
            Err(error) => {
                debug_assert!(*verdict != Verdict::Other, "it was refused before");
                Err(Unsound::Reason(Reason::BatchDepositSimulationFailed, Some(error.to_string())))
            }
        }
    }

    /// Whether the payer has signed it, and, by Permit2, whether it may be taken.
    fn decide_way(&self, judge: &Judge<'_>, answers: &Answers, now: Timestamp) -> Result<(), Reason> {
        if let Way::Receive(_) = self.way {
            return match answers.verdict {
                Verdict::Own | Verdict::OfNobodyYet => Ok(()),
                Verdict::FactoryNotAllowed => Err(Reason::BatchEip6492FactoryNotAllowed),
                Verdict::Other => Err(Reason::BatchReceiveAuthorizationSignature),
            };
        }
        if answers.verdict != Verdict::Own {
            return Err(Reason::BatchPermit2InvalidSignature);
        }
        let needed = Word::from(self.amount);
        if let Some(sponsored) = &self.sponsored {
            let permit2 = judge.chain.contracts.permit2;
            let refusal = sponsored.refusal(self.terms.payer, self.terms.token, permit2, now);
            let other = sponsored.permit().is_none_or(|(permit, _)| permit.value != needed);
            let refusal = refusal.or_else(|| other.then_some(Reason::BatchEip2612AmountMismatch));
            return refusal.map_or(Ok(()), Err);
        }
        let allowed = answers.allowance.is_some_and(|allowed| allowed >= needed);
        if allowed { Ok(()) } else { Err(Reason::BatchPermit2AllowanceRequired) }
    }

    /// The deposit; through Multicall3 if the payer's wallet may have to be created first.
    fn draft(&self, chain: &ChainConfig) -> Draft {
        let signature = self.signed.bytes();
        let (collected, payee, until): (CollectedDeposit, _, _) = match &self.way {
            Way::Receive(receive) => {
                let last = receive.valid_before.to_u64();
                let until = last.map_or(Word::MAX, |second| Word::from(second.saturating_sub(1)));
                (receive.collected(&signature), AUTHORIZATION_COLLECTOR, until)
            }
            Way::Permit(permit) => {
                let allowance = self.sponsored.as_ref().and_then(Sponsored::permit);
                let allowance = allowance.as_ref().map(|(permit, signature)| (permit, signature));
                (permit.collected(&signature, allowance), BATCH_ESCROW, permit.deadline)
            }
        };
        let deposit = batch_call::deposit(&self.terms, &collected);
        let is_receive = matches!(self.way, Way::Receive(_));
        let created = self.signed.allowed_deployment(&chain.factories).filter(|_| is_receive);
        let (to, input) = match created {
            None => (BATCH_ESCROW, deposit),
            Some((factory, input)) => {
                // The wallet may be there meanwhile, and then it is not created again.
                let create = Part { to: factory, may_fail: true, input };
                let deposit = Part { to: BATCH_ESCROW, may_fail: false, input: &deposit };
                (chain.contracts.multicall, abi::aggregate(&[create, deposit]))
            }
        };
        let ChannelTerms { token, payer, .. } = self.terms;
        Draft { to, input, token, payer, payee, until, approval: None }
    }
}
