//! What a seller of our own needs of a chain for its channels: offers, a judgement of a deposit, and what gives money back.

use farthing_channel::seller::RefundPlan;
use farthing_channel::{Address, ChannelTerms, Digest};
use farthing_engine::Call;
use farthing_money::Money;
use farthing_wire::x402::batch::DepositPayload;
use farthing_wire::x402::{Requirements, SignatureText};
use serde_json::{Map, Value};

use super::Facilitator;
use crate::channels::refund;
use crate::node::NodeError;
use crate::verify::{Judge, NotVerified, SoundDeposit};

impl Facilitator {
    pub(super) fn judging(&self) -> Judge<'_> {
        let ports = self.ports();
        Judge { chain: &ports.chain, node: ports.node.as_ref(), submitter: self.submitter.address() }
    }

    /// Every way to pay at most a price through a channel.
    pub fn channel_offers(&self, price: Money) -> Vec<Requirements> {
        self.ports().chain.channel_offers(price, self.submitter.address())
    }

    /// Judges a deposit that has to meet these requirements. Nothing is sent.
    pub async fn judge_deposit(
        &self,
        requirements: &Requirements,
        (extensions, deposit): (&Map<String, Value>, &DepositPayload),
    ) -> Result<SoundDeposit, NotVerified> {
        self.judging().deposit(requirements, (extensions, deposit), (self.ports().clock)()).await
    }

    /// Whether an account, or a contract that is there, says that a signature is its own.
    pub async fn is_signed_by(
        &self,
        signer: Address,
        digest: Digest,
        signature: &[u8],
    ) -> Result<bool, NodeError> {
        match SignatureText::new(signature.to_vec()) {
            Some(signature) => self.judging().is_signed(signer, digest, &signature).await,
            None => Ok(false),
        }
    }

    /// What gives a payer money back, after what it still owes was claimed. Nothing if the voucher that is to be claimed is
    /// not signed by whom the channel names.
    pub fn refund_of(&self, terms: &ChannelTerms, plan: &RefundPlan) -> Option<Call> {
        let ports = self.ports();
        refund(&ports.chain, terms, plan, (ports.clock)())
    }
}
