//! `auth-capture`: the payer signs that a token may go to the escrow's collector (EIP-3009), with a nonce that is the hash of
//! what was agreed. All of that is made anew from our own offer, so that nothing which the payer says is taken for granted.
//!
//! The reference has a client of this scheme alone. The order of the checks and the reasons are those of the scheme's
//! specification for EVM chains.

use farthing_channel::{
    Address, Authorization, AuthorizationNonce, Domain, EscrowStep, PaymentInfo, Word, call,
};
use farthing_engine::Call;
use farthing_money::{Amount, Timestamp};
use farthing_wire::x402::{AuthCapture, EscrowTerms, Payload, Reason, Requirements, SCHEME_AUTH_CAPTURE};
use futures_util::future::join4;

use super::signed::{Signed, Verdict};
use super::{Judge, Unsound, Verified, is_early, is_too_near, settled, word};
use crate::abi;
use crate::authorized::{Authorized, Counter};
use crate::chain::{ChainConfig, of_text};
use crate::escrow;
use crate::node::{NodeError, Trial};

/// The largest time that the contract can count.
const TIME_MOST: u64 = (1 << 48) - 1;
/// The largest amount, as a power of two.
const AMOUNT_BITS: u32 = 120;

/// What the payer signed, and what was agreed.
pub(super) struct Terms {
    authorization: Authorization,
    signed: Signed,
    /// The signature as it came: the collector calls whoever creates a wallet.
    raw: Vec<u8>,
    info: PaymentInfo,
    offered: EscrowTerms,
}

impl Terms {
    pub(super) fn read(
        chain: &ChainConfig,
        requirements: &Requirements,
        payload: &Payload,
        paid: &AuthCapture,
    ) -> Result<Self, Reason> {
        if !paid.is_plain() {
            return Err(Reason::EscrowPayloadFormat);
        }
        if payload.accepted.scheme != SCHEME_AUTH_CAPTURE {
            return Err(Reason::EscrowScheme);
        }
        let ours = requirements.chain_id() == Some(chain.id.number());
        if payload.accepted.network != requirements.network || !ours {
            return Err(Reason::EscrowNetworkMismatch);
        }
        let offered = requirements.extra.escrow_terms().ok_or(Reason::EscrowExtra)?;
        let stated = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let name = stated(requirements.extra.name()).ok_or(Reason::EscrowExtra)?;
        let version = stated(requirements.extra.version()).ok_or(Reason::EscrowExtra)?;
        let token = requirements.asset_address().map(of_text).ok_or(Reason::EscrowExtra)?;
        let receiver = requirements.pay_to_address().map(of_text).ok_or(Reason::EscrowExtra)?;
        if of_text(offered.escrow) != chain.contracts.escrow
            || offered.capture_deadline.max(offered.refund_deadline) > TIME_MOST
        {
            return Err(Reason::EscrowExtra);
        }
        let signed_words = &paid.signed.authorization;
        let authorization = Authorization {
            from: of_text(signed_words.from),
            to: of_text(signed_words.to),
            value: word(&signed_words.value),
            valid_after: word(&signed_words.valid_after),
            valid_before: word(&signed_words.valid_before),
            nonce: AuthorizationNonce::from_bytes(signed_words.nonce.0),
        };
        let info = PaymentInfo {
            operator: of_text(offered.authorizer),
            payer: authorization.from,
            receiver,
            token,
            max_amount: word(&requirements.amount),
            pre_approval_expiry: authorization.valid_before,
            authorization_expiry: Word::from(offered.capture_deadline),
            refund_expiry: Word::from(offered.refund_deadline),
            min_fee_bps: Word::ZERO,
            max_fee_bps: Word::ZERO,
            fee_receiver: Address::ZERO,
            salt: Word::from_bytes(paid.salt.0),
        };
        let domain = Domain::new(&name, Some(&version), chain.id, Some(token));
        let signed =
            Signed::read(&paid.signed.signature, authorization.receive_digest(&domain), authorization.from)
                .map_err(|_| Reason::EscrowPayloadFormat)?;
        let raw = paid.signed.signature.as_bytes().to_vec();
        Ok(Self { authorization, signed, raw, info, offered })
    }

    pub(super) fn authorized(&self) -> Authorized {
        Authorized {
            counter: Counter::Token(self.info.token),
            payer: self.info.payer,
            nonce: *self.authorization.nonce.as_bytes(),
        }
    }

    /// What comes before the signature in the order.
    fn refusal(&self, judge: &Judge<'_>, requirements: &Requirements, now: Timestamp) -> Option<Reason> {
        let Authorization { to, valid_after, valid_before, .. } = self.authorization;
        let (chain, deadline) = (judge.chain, self.offered.capture_deadline);
        // Time for the whole window in which it may be put there, for the answer, and for the capture.
        let hold = chain.escrow_hold.millis().div_ceil(1_000);
        let needed = now.secs().saturating_add(requirements.max_timeout_seconds).saturating_add(hold);
        // It may be put there in the last second of that window.
        let last = Word::from(deadline.saturating_sub(hold));
        if of_text(self.offered.authorizer) != judge.submitter {
            Some(Reason::EscrowOperatorNotAdmitted)
        } else if self.offered.refund_deadline < deadline {
            Some(Reason::EscrowDeadlineOrdering)
        } else if is_too_near(Word::from(deadline), now) {
            Some(Reason::EscrowCaptureDeadlineExpired)
        } else if needed > deadline || valid_before > last {
            Some(Reason::EscrowDeadlineOrdering)
        } else if is_too_near(valid_before, now) {
            Some(Reason::EscrowAuthorizationExpired)
        } else if is_early(valid_after, now) {
            Some(Reason::EscrowNotYetValid)
        } else if to != chain.contracts.collector {
            Some(Reason::EscrowCollectorMismatch)
        } else {
            None
        }
    }

    /// What comes after it.
    fn mismatch(&self, chain: &ChainConfig) -> Option<Reason> {
        let fits =
            self.info.max_amount.to_amount().is_some_and(|amount| {
                !amount.is_zero() && amount.value().checked_shr(AMOUNT_BITS) == Some(0)
            });
        if self.authorization.value != self.info.max_amount || !fits {
            Some(Reason::EscrowAmountMismatch)
        } else if self.info.nonce(chain.id, chain.contracts.escrow) != self.authorization.nonce {
            Some(Reason::EscrowNonceMismatch)
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
        if let Some(reason) = self.mismatch(judge.chain) {
            require_signature(self.signed.verdict(judge).await?)?;
            return Err(reason.into());
        }
        let units = self.info.max_amount.to_amount().ok_or(Reason::EscrowAmountMismatch)?;
        let to = judge.chain.contracts.escrow;
        let input = self.call(judge.chain, units)?.input;
        let question =
            Trial { from: judge.submitter, to: self.info.token, input: self.authorized().question() };
        let (verdict, code, tried, state) = join4(
            self.signed.verdict(judge),
            judge.node.code_at(to),
            judge.node.call(Trial { from: judge.submitter, to, input }),
            judge.node.call(question),
        )
        .await;
        require_signature(verdict?)?;
        if code?.is_empty() {
            let missing = "there is no escrow at its address on this chain".to_owned();
            return Err(Unsound::Reason(Reason::EscrowSimulationFailed, Some(missing)));
        }
        let (tried, state) = (settled(tried)?, settled(state)?);
        match (state.ok().and_then(|answer| abi::only_bool(&answer)), tried) {
            (Some(true), _) => Err(Reason::EscrowAlreadyCollected.into()),
            (Some(false), Ok(_)) => {
                let payment = self.authorized().payment(judge.chain);
                Ok(Verified { payer: self.info.payer, payment, units, gift: Amount::ZERO })
            }
            (_, tried) => Err(self.diagnose(judge, tried.err()).await?),
        }
    }

    /// Why it would not go into escrow, as far as the contracts say it.
    async fn diagnose(&self, judge: &Judge<'_>, error: Option<NodeError>) -> Result<Unsound, NodeError> {
        let ask = |input| judge.node.call(Trial { from: judge.submitter, to: self.info.token, input });
        let balance = settled(ask(call::balance_of(self.info.payer)).await)?
            .ok()
            .and_then(|answer| abi::only_word(&answer));
        let reason = match &error {
            _ if balance.is_some_and(|balance| balance < self.info.max_amount) => {
                Reason::EscrowInsufficientBalance
            }
            Some(NodeError::Reverted(revert)) => revert.of_escrow(),
            _ => Reason::EscrowSimulationFailed,
        };
        Ok(Unsound::Reason(reason, error.map(|error| error.to_string())))
    }

    /// The call that puts it there. What is offered comes with the request and is not signed; the nonce is what the payer
    /// has signed of it.
    pub(super) fn call(&self, chain: &ChainConfig, units: Amount) -> Result<Call, Reason> {
        if let Some(reason) = self.mismatch(chain) {
            return Err(reason);
        }
        let amount = Word::from(units);
        if amount != self.info.max_amount {
            return Err(Reason::EscrowAmountMismatch);
        }
        let signature = if self.signed.deployment.is_some() { self.raw.clone() } else { self.signed.bytes() };
        escrow::call(chain, &self.info, EscrowStep::Authorize, amount, &signature)
            .ok_or(Reason::EscrowAmountMismatch)
    }
}

/// Of a wallet that is not there yet the trial says whether the signature is its own: the collector creates it first.
fn require_signature(verdict: Verdict) -> Result<(), Unsound> {
    match verdict {
        Verdict::Own | Verdict::OfNobodyYet => Ok(()),
        Verdict::FactoryNotAllowed => Err(Reason::EscrowFactoryNotAllowed.into()),
        Verdict::Other => Err(Reason::EscrowSignature.into()),
    }
}
