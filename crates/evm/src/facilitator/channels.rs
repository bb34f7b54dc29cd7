//! What a seller of our own needs of a chain for its channels: offers, a judgement of a deposit, and what gives money back.

use farthing_channel::seller::RefundPlan;
use farthing_channel::{Address, ChannelTerms, Digest};
use farthing_engine::{Call, CallId, CallRow, Fault, Movement};
use farthing_money::Money;
use farthing_wire::x402::batch::DepositPayload;
use farthing_wire::x402::{Requirements, SignatureText};
use futures_util::future::join_all;
use serde_json::{Map, Value};

use super::Facilitator;
use crate::chain::of_engine;
use crate::channels::refund;
use crate::node::NodeError;
use crate::resolve::of_engine_hash;
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

    /// The calls under way that move a token of this payer and that a block has already: asked for before its balance is, so
    /// that none of them is in both.
    pub async fn carried_of(&self, payer: Address, token: Address) -> Result<Vec<CallId>, Fault> {
        let ports = self.ports();
        let own = |row: &CallRow| {
            let Movement { token: moved, from, .. } = row.call.moves;
            (row.call.chain, of_engine(moved), of_engine(from)) == (ports.chain.id.number(), token, payer)
        };
        let calls = ports.read.calls()?;
        let asked = calls.iter().filter(|(_, row)| own(row)).map(|(id, row)| async move {
            let receipts =
                row.attempts.iter().map(|attempt| ports.node.receipt(of_engine_hash(attempt.transaction)));
            // What a node does not say counts as not carried.
            let carried = join_all(receipts).await.into_iter().any(|said| matches!(said, Ok(Some(_))));
            carried.then_some(*id)
        });
        Ok(join_all(asked).await.into_iter().flatten().collect())
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
