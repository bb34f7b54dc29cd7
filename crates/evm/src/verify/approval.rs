//! The extension `erc20ApprovalGasSponsoring`: a payer who has not allowed Permit2 anything yet, on a token that takes no
//! signed allowances, sends a signed `approve` along. It is his own transaction: it is sent as it is, before the payment, and if
//! he has no coin for its gas he is given some.
//!
//! Whatever can be wrong with it is found here, since afterwards it costs us.

use farthing_channel::{Address, Word, bytes_from_hex, call};
use farthing_money::{Amount, Timestamp};
use farthing_wire::x402::extension::gas_sponsoring::ERC20_APPROVAL as NAME;
use farthing_wire::x402::{AddressText, Payload, Reason, Uint};
use futures_util::future::{join3, join4};
use serde_json::{Map, Value};

use super::allowable::{Asked, ends_in_time, is_fair_gas};
use super::sponsor::is_numbered;
use super::{Judge, Unsound, settled};
use crate::abi;
use crate::authorized::Authorized;
use crate::chain::{ChainConfig, of_text};
use crate::node::{Moment, NodeError, Trial};
use crate::submit::gift_for;
use farthing_channel::{SignedTransaction, Transaction};

/// The longest transaction that is read. An approval is a fifth of it.
const BYTES_MOST: usize = 1_024;

/// An approval as it came.
pub(super) struct Approval {
    from: Address,
    asset: Address,
    spender: Address,
    bytes: Vec<u8>,
}

/// Why an approval is no good, or the approval.
pub(super) type Read = Result<Approval, Reason>;

/// The payment that needs it.
pub(super) struct Needed {
    pub(super) payer: Address,
    pub(super) token: Address,
    pub(super) payee: Address,
    pub(super) amount: Word,
    /// The last second at which it can be settled.
    pub(super) until: Word,
    pub(super) authorized: Authorized,
}

/// Reads the approval of a payment. One that lacks a member is none, as the reference has it.
pub(super) fn read(payload: &Payload) -> Option<Read> {
    let info = payload.extensions.get(NAME)?.get("info")?.as_object()?;
    let members = ["from", "asset", "spender", "amount", "signedTransaction", "version"];
    let there = |name: &&str| match info.get(*name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    members.iter().all(there).then(|| members_of(info).ok_or(Reason::ApprovalInvalidFormat))
}

fn members_of(info: &Map<String, Value>) -> Option<Approval> {
    let text = |name: &str| info.get(name).and_then(Value::as_str);
    let address = |name: &str| text(name)?.parse::<AddressText>().ok().map(of_text);
    text("amount")?.parse::<Uint>().ok()?;
    is_numbered(text("version")?).then_some(())?;
    let bytes = text("signedTransaction")?;
    let bytes = bytes.starts_with("0x").then(|| bytes_from_hex(bytes, BYTES_MOST).ok()).flatten()?;
    Some(Approval { from: address("from")?, asset: address("asset")?, spender: address("spender")?, bytes })
}

impl Approval {
    /// The transaction as it is sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What can be seen in the approval itself: in the reference's order, and then what would keep a chain from taking it.
    pub(super) fn check(&self, chain: &ChainConfig, needed: &Needed) -> Result<SignedTransaction, Reason> {
        let permit2 = chain.contracts.permit2;
        if self.from != needed.payer {
            return Err(Reason::ApprovalFromMismatch);
        }
        if self.asset != needed.token {
            return Err(Reason::ApprovalAssetMismatch);
        }
        if self.spender != permit2 {
            return Err(Reason::ApprovalSpenderNotPermit2);
        }
        let (transaction, signature) = Transaction::read(&self.bytes).ok_or(Reason::ApprovalParseFailed)?;
        if transaction.to != needed.token {
            return Err(Reason::ApprovalWrongTarget);
        }
        check_input(&transaction.input, permit2, needed.amount)?;
        let signature = signature.ok_or(Reason::ApprovalInvalidSignature)?;
        let signed = transaction.signed(&signature).ok_or(Reason::ApprovalInvalidSignature)?;
        if signed.sender != needed.payer {
            return Err(Reason::ApprovalSignerMismatch);
        }
        if signed.bytes != self.bytes {
            return Err(Reason::ApprovalParseFailed);
        }
        let Transaction { chain: of, fees, gas, coin, .. } = &signed.transaction;
        let sound = *of == chain.id && coin.is_zero() && fees.tip <= fees.most && *gas <= chain.fees.gas_most;
        if sound { Ok(signed) } else { Err(Reason::ApprovalBroadcastFailed) }
    }

    /// Judges a payment that would fail without its approval, and says how much coin the payer has to be given. `error` is
    /// why it would fail.
    pub(super) async fn judge(
        &self,
        judge: &Judge<'_>,
        needed: &Needed,
        (error, now): (&NodeError, Timestamp),
    ) -> Result<Amount, Unsound> {
        let Judge { chain, node, .. } = judge;
        let signed = self.check(chain, needed)?;
        self.judge_payment(judge, needed, error).await?;
        let Transaction { number, fees, gas, input, .. } = &signed.transaction;
        let Needed { payer, token, .. } = *needed;
        let trial = || Trial { from: payer, to: token, input: input.clone() };
        let (tried, uses, (count, balance, head, tip)) = join3(
            node.call(trial()),
            node.gas(trial()),
            join4(node.count(payer, Moment::Latest), node.balance(payer), node.head(), node.tip()),
        )
        .await;
        check_approves(settled(tried)?)?;
        // What a node does not say is seen when it is sent.
        let uses = settled(uses)?.ok();
        if uses.is_some_and(|uses| uses > *gas) {
            return Err(Reason::ApprovalFailed.into());
        }
        let asked = Asked { base: head?.base_fee, tip: settled(tip)?.ok() };
        let in_time = ends_in_time(needed.until.to_u64(), chain, now);
        if count? != *number || !asked.takes(*fees, &chain.fees) || !in_time {
            return Err(Reason::ApprovalBroadcastFailed.into());
        }
        let gift = gift_for(&signed, balance?);
        let gift = gift.filter(|gift| *gift <= chain.sponsor_most).ok_or(Reason::ApprovalBroadcastFailed)?;
        if gift.is_zero() {
            return Ok(gift);
        }
        let fair = is_fair_gas(*gas, uses) && asked.is_fair(fees.most, &chain.fees);
        // Coin that comes to a contract runs it, and only its owner knows what it does then.
        if !fair || !node.code_at(payer).await?.is_empty() {
            return Err(Reason::ApprovalBroadcastFailed.into());
        }
        Ok(gift)
    }

    /// Whether everything but the allowance is there.
    async fn judge_payment(
        &self,
        judge: &Judge<'_>,
        needed: &Needed,
        error: &NodeError,
    ) -> Result<(), Unsound> {
        let Needed { payer, token, payee, amount, authorized, .. } = *needed;
        let permit2 = judge.chain.contracts.permit2;
        let ask = |from, to, input| judge.node.call(Trial { from, to, input });
        let (balance, allowance, used, moved) = join4(
            ask(judge.submitter, token, call::balance_of(payer)),
            ask(judge.submitter, token, call::allowance(payer, permit2)),
            ask(judge.submitter, permit2, authorized.question()),
            // As if the payer did it: what the token refuses to him it refuses to Permit2 as well.
            ask(payer, token, call::transfer(payee, amount)),
        )
        .await;
        let sum = |answer: Result<Vec<u8>, NodeError>| {
            settled(answer).map(|answer| answer.ok().and_then(|answer| abi::only_word(&answer)))
        };
        if sum(balance)?.is_none_or(|balance| balance < amount) {
            return Err(Reason::Permit2InsufficientBalance.into());
        }
        let used = settled(used)?.ok().and_then(|answer| authorized.is_used(&answer));
        if used != Some(false) {
            return Err(Reason::Permit2InvalidNonce.into());
        }
        let enough = sum(allowance)?.is_none_or(|allowance| allowance >= amount);
        match settled(moved)? {
            // Then it is not the allowance that is missing.
            Ok(_) if enough => Err(Unsound::Reason(Reason::Permit2SimulationFailed, Some(error.to_string()))),
            Ok(answer) if abi::only_bool(&answer) == Some(false) => {
                Err(Reason::Permit2SimulationFailed.into())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(Unsound::Reason(Reason::Permit2SimulationFailed, Some(error.to_string()))),
        }
    }
}

/// An `approve` for Permit2 and at least so much, and nothing behind it.
fn check_input(input: &[u8], permit2: Address, needed: Word) -> Result<(), Reason> {
    let selector = abi::selector("approve(address,uint256)");
    let row = input.strip_prefix(&selector).ok_or(Reason::ApprovalWrongSelector)?;
    let spender = abi::word(row, 0).and_then(Word::to_address);
    let (Some(spender), Some(allowed), 64) = (spender, abi::word(row, 1), row.len()) else {
        return Err(Reason::ApprovalInvalidCalldata);
    };
    if spender != permit2 {
        return Err(Reason::ApprovalWrongSpender);
    }
    if allowed < needed { Err(Reason::ApprovalInvalidCalldata) } else { Ok(()) }
}

/// Old tokens answer nothing when they approve.
fn check_approves(tried: Result<Vec<u8>, NodeError>) -> Result<(), Unsound> {
    match tried {
        Ok(answer) if answer.is_empty() || abi::only_bool(&answer) == Some(true) => Ok(()),
        Ok(_) => Err(Reason::ApprovalFailed.into()),
        Err(error) => Err(Unsound::Reason(Reason::ApprovalFailed, Some(error.to_string()))),
    }
}
