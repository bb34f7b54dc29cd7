//! Whose a signature is. Accounts sign so that everybody can see it; contracts are asked (ERC-1271); and a contract that
//! is not there yet is asked after whoever creates it was called (ERC-6492).

use farthing_channel::{Address, Digest, Signature, WrappedSignature, call};
use farthing_wire::x402::{Reason, SignatureText};
use futures_util::future::{OptionFuture, join};

use super::Judge;
use crate::node::{NodeError, Trial};

/// What a contract's answer begins with if the signature is its own.
const YES: [u8; 4] = call::IS_VALID_SIGNATURE;

/// A signature as it came, and what is wrapped in it.
pub(super) struct Signed {
    digest: Digest,
    signer: Address,
    plain: Vec<u8>,
    pub(super) deployment: Option<(Address, Vec<u8>)>,
}

/// What a signature turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The signer's own.
    Own,
    /// Nobody can say until the signer is there; whoever creates it may be called.
    OfNobodyYet,
    /// The same, and whoever creates it is not on the list.
    FactoryNotAllowed,
    /// Not the signer's.
    Other,
}

impl Signed {
    pub(super) fn read(text: &SignatureText, digest: Digest, signer: Address) -> Result<Self, Reason> {
        let wrapped = WrappedSignature::read(text.as_bytes()).map_err(|_| Reason::SignatureUnreadable)?;
        let (plain, deployment) = match wrapped {
            Some(wrapped) if !wrapped.factory.is_zero() => {
                (wrapped.signature, Some((wrapped.factory, wrapped.factory_call)))
            }
            Some(_) | None => (text.as_bytes().to_vec(), None),
        };
        Ok(Self { digest, signer, plain, deployment })
    }

    /// The signature of an account, if it has that form.
    pub(super) fn of_account(&self) -> Option<Signature> {
        Signature::from_bytes(&self.plain).ok()
    }

    /// The bytes that a contract is given: those of an account in the form that all contracts read.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self.of_account().filter(|_| self.is_of_account()) {
            Some(signature) => signature.to_bytes().to_vec(),
            None => self.plain.clone(),
        }
    }

    /// Whether it is the signer's, if the signer is an account.
    pub(super) fn is_of_account(&self) -> bool {
        self.of_account().is_some_and(|signature| signature.recover(&self.digest) == Ok(self.signer))
    }

    /// Whom to call first to create the signer, if that is allowed.
    pub(super) fn allowed_deployment<'a>(&'a self, factories: &[Address]) -> Option<(Address, &'a [u8])> {
        let (factory, input) = self.deployment.as_ref()?;
        factories.contains(factory).then_some((*factory, input))
    }

    /// Asks whose it is. An account's signature is seen without asking, and then only whether a contract stands at the
    /// account is asked; else the contract is asked at once, whether it is there or not.
    pub(super) async fn verdict(&self, judge: &Judge<'_>) -> Result<Verdict, NodeError> {
        let own = self.is_of_account();
        let asked: OptionFuture<_> = (!own).then(|| self.ask(judge)).into();
        let (code, answer) = join(judge.node.code_at(self.signer), asked).await;
        if code?.is_empty() {
            return Ok(match &self.deployment {
                None if own => Verdict::Own,
                None => Verdict::Other,
                Some(_) if self.allowed_deployment(&judge.chain.factories).is_some() => Verdict::OfNobodyYet,
                Some(_) => Verdict::FactoryNotAllowed,
            });
        }
        let answer = match answer {
            Some(answer) => answer,
            None => self.ask(judge).await,
        };
        Ok(match super::settled(answer)? {
            Ok(answer) if answer.starts_with(&YES) => Verdict::Own,
            Ok(_) | Err(_) => Verdict::Other,
        })
    }

    async fn ask(&self, judge: &Judge<'_>) -> Result<Vec<u8>, NodeError> {
        let input = call::is_valid_signature(&self.digest, &self.plain);
        judge.node.call(Trial { from: judge.submitter, to: self.signer, input }).await
    }
}
