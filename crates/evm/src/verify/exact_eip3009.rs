//! `exact` by EIP-3009: the token itself looks at the payer's signature and moves the whole amount.

use farthing_channel::{Address, Authorization, AuthorizationNonce, Domain, Word, call};
use farthing_engine::Call;
use farthing_money::{Amount, Timestamp};
use farthing_wire::x402::{Eip3009, Payload, Reason, Requirements, SCHEME_EXACT};
use futures_util::future::{join, join4};

use super::signed::{Signed, Verdict};
use super::{Draft, Judge, Unsound, Verified, is_early, is_too_near, settled, word};
use crate::abi::{self, Part};
use crate::authorized::{Authorized, Counter};
use crate::chain::{ChainConfig, of_text};
use crate::inlet::is_marked;
use crate::node::{NodeError, Trial};

/// What the payer signed, and for which token.
pub(super) struct Terms {
    authorization: Authorization,
    signed: Signed,
    token: Address,
    name: String,
    version: String,
}

impl Terms {
    /// Reads what is needed to look at the signature; refuses what is for something else.
    pub(super) fn read(
        chain: &ChainConfig,
        requirements: &Requirements,
        payload: &Payload,
        paid: &Eip3009,
    ) -> Result<Self, Reason> {
        if payload.accepted.scheme != SCHEME_EXACT {
            return Err(Reason::InvalidScheme);
        }
        let stated = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let name = stated(requirements.extra.name()).ok_or(Reason::MissingEip712Domain)?;
        let version = stated(requirements.extra.version()).ok_or(Reason::MissingEip712Domain)?;
        let ours = requirements.chain_id() == Some(chain.id.number());
        if payload.accepted.network != requirements.network || !ours {
            return Err(Reason::NetworkMismatch);
        }
        let token = requirements.asset_address().map(of_text).ok_or(Reason::AssetNotDeployed)?;
        let signed_words = &paid.authorization;
        let authorization = Authorization {
            from: of_text(signed_words.from),
            to: of_text(signed_words.to),
            value: word(&signed_words.value),
            valid_after: word(&signed_words.valid_after),
            valid_before: word(&signed_words.valid_before),
            nonce: AuthorizationNonce::from_bytes(signed_words.nonce.0),
        };
        let domain = Domain::new(&name, Some(&version), chain.id, Some(token));
        let digest = authorization.transfer_digest(&domain);
        let signed = Signed::read(&paid.signature, digest, authorization.from)?;
        Ok(Self { authorization, signed, token, name, version })
    }

    pub(super) fn authorized(&self) -> Authorized {
        Authorized {
            counter: Counter::Token(self.token),
            payer: self.authorization.from,
            nonce: *self.authorization.nonce.as_bytes(),
        }
    }

    /// What can be seen in the payment itself and comes after the signature in the order.
    fn refusal(&self, chain: &ChainConfig, requirements: &Requirements, now: Timestamp) -> Option<Reason> {
        let Authorization { to, value, valid_after, valid_before, .. } = self.authorization;
        if self.is_own_money(chain) {
            Some(Reason::NonceAlreadyUsed)
        } else if requirements.pay_to_address().map(of_text) != Some(to) {
            Some(Reason::RecipientMismatch)
        } else if is_too_near(valid_before, now) {
            Some(Reason::ValidBeforeExpired)
        } else if is_early(valid_after, now) {
            Some(Reason::ValidAfterInFuture)
        } else if value != word(&requirements.amount) {
            Some(Reason::AuthorizationValueMismatch)
        } else if value.to_amount().is_none() {
            // No account of ours can hold so much.
            Some(Reason::AuthorizationValue)
        } else {
            None
        }
    }

    /// Whether it moves on what was counted already when it came to an address of ours. Anybody may present it: it is on the
    /// chain, or waits for it, before it is used.
    fn is_own_money(&self, chain: &ChainConfig) -> bool {
        let Authorization { from, nonce, .. } = &self.authorization;
        is_marked(chain.id, self.token, *from, nonce)
    }

    pub(super) async fn judge(
        &self,
        judge: &Judge<'_>,
        requirements: &Requirements,
        now: Timestamp,
    ) -> Result<Verified, Unsound> {
        if let Some(reason) = self.refusal(judge.chain, requirements, now) {
            // A signature that anyone can see to be good leaves nothing to ask.
            if self.signed.deployment.is_some() || !self.signed.is_of_account() {
                require_signature(self.signed.verdict(judge).await?)?;
            }
            return Err(reason.into());
        }
        let units = self.authorization.value.to_amount().ok_or(Reason::AuthorizationValue)?;
        let draft = self.draft(judge.chain);
        let question = Trial { from: judge.submitter, to: self.token, input: self.authorized().question() };
        let (verdict, code, tried, state) = join4(
            self.signed.verdict(judge),
            judge.node.code_at(self.token),
            judge.node.call(draft.trial(judge.submitter)),
            judge.node.call(question),
        )
        .await;
        require_signature(verdict?)?;
        if code?.is_empty() {
            return Err(Reason::AssetNotDeployed.into());
        }
        let (tried, state) = (settled(tried)?, settled(state)?);
        // Where Multicall3 is missing, a call to it answers nothing and does nothing.
        let done = tried.as_ref().is_ok_and(|answer| draft.to == self.token || !answer.is_empty());
        match state.map(|answer| abi::only_bool(&answer)) {
            Err(_) | Ok(None) => Err(Reason::Eip3009NotSupported.into()),
            Ok(Some(true)) => Err(Reason::NonceAlreadyUsed.into()),
            Ok(Some(false)) if done => {
                let (payer, payment) = (self.authorization.from, self.authorized().payment(judge.chain));
                Ok(Verified { payer, payment, units, gift: Amount::ZERO })
            }
            Ok(Some(false)) => Err(self.diagnose(judge, tried.err()).await?),
        }
    }

    /// Why the transfer would fail, as far as the token says it.
    async fn diagnose(&self, judge: &Judge<'_>, error: Option<NodeError>) -> Result<Unsound, NodeError> {
        let ask = |input| judge.node.call(Trial { from: judge.submitter, to: self.token, input });
        let payer = self.authorization.from;
        let (texts, balance) =
            join(join(ask(call::name()), ask(call::version())), ask(call::balance_of(payer))).await;
        let text = |answer: Result<Vec<u8>, NodeError>| {
            settled(answer).map(|answer| answer.ok().and_then(|answer| abi::only_text(&answer)))
        };
        let (name, version) = (text(texts.0)?, text(texts.1)?);
        let balance = settled(balance)?.ok().and_then(|answer| abi::only_word(&answer));
        let reason = if name.is_some_and(|name| name != self.name) {
            Reason::TokenNameMismatch
        } else if version.is_some_and(|version| version != self.version) {
            Reason::TokenVersionMismatch
        } else if balance.is_some_and(|balance| balance < self.authorization.value) {
            Reason::InsufficientBalance
        } else {
            Reason::SimulationFailed
        };
        Ok(Unsound::Reason(reason, error.map(|error| error.to_string())))
    }

    /// The transfer; through Multicall3 if the payer's wallet may have to be created first.
    fn draft(&self, chain: &ChainConfig) -> Draft {
        let transfer = match self.signed.of_account() {
            Some(signature) => call::transfer_with_authorization(&self.authorization, &signature),
            None => call::transfer_with_authorization_bytes(&self.authorization, &self.signed.bytes()),
        };
        let (to, input) = match self.signed.allowed_deployment(&chain.factories) {
            None => (self.token, transfer),
            Some((factory, input)) => {
                // The wallet may be there meanwhile, and then it is not created again.
                let create = Part { to: factory, may_fail: true, input };
                let transfer = Part { to: self.token, may_fail: false, input: &transfer };
                (chain.contracts.multicall, abi::aggregate(&[create, transfer]))
            }
        };
        let Authorization { from, to: payee, valid_before, .. } = self.authorization;
        let until = valid_before.to_u64().map_or(Word::MAX, |second| Word::from(second.saturating_sub(1)));
        Draft { to, input, token: self.token, payer: from, payee, until, approval: None }
    }

    pub(super) fn call(
        &self,
        chain: &ChainConfig,
        requirements: &Requirements,
        units: Amount,
    ) -> Result<Call, Reason> {
        if self.is_own_money(chain) {
            return Err(Reason::NonceAlreadyUsed);
        }
        if requirements.pay_to_address().map(of_text) != Some(self.authorization.to) {
            return Err(Reason::RecipientMismatch);
        }
        if Word::from(units) != self.authorization.value {
            return Err(Reason::AuthorizationValueMismatch);
        }
        Ok(self.draft(chain).call(chain, units))
    }
}

fn require_signature(verdict: Verdict) -> Result<(), Unsound> {
    match verdict {
        Verdict::Own | Verdict::OfNobodyYet => Ok(()),
        Verdict::FactoryNotAllowed => Err(Reason::FactoryNotAllowed.into()),
        Verdict::Other => Err(Reason::InvalidSignature.into()),
    }
}
