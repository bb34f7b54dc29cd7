//! Books that were restored from a backup lack what was shown since. A session's next link proves it: all below is charged in a commit of
//! its own before the call itself is looked at, once.

use std::sync::Arc;

use farthing_engine::{CatchUp, Command, Fault, Payees, SessionId};
use farthing_money::{Label, Money, Timestamp};
use farthing_wire::SessionStep;

use super::desk::{DeskError, row};
use super::live::Lost;
use super::{Live, NEAR, Proof, SessionRefusal, Sessions};

/// What a payer says was charged of his session, with the link that is to prove it.
pub struct Claim {
    live: Arc<Live>,
    step: SessionStep,
    proof: Proof,
}

/// A claim whose link is right.
pub struct Proven(Claim);

impl Claim {
    /// What proving it costs, in multiplications of a point.
    pub fn weight(&self) -> usize {
        usize::try_from(self.proof.steps() / NEAR).unwrap_or(usize::MAX).max(1)
    }

    /// Makes the hashes.
    pub fn prove(self) -> Result<Proven, SessionRefusal> {
        if self.proof.holds() { Ok(Proven(self)) } else { Err(SessionRefusal::Link(self.live.standing())) }
    }
}

impl Sessions {
    /// Charges what a call proves beyond what restored books know, for whom the call pays. Nothing for a session that is none of
    /// theirs. A call that is refused charges nothing.
    pub(crate) async fn catch_up(
        &self,
        live: &Live,
        (step, proof): (&SessionStep, &Proof),
        (price, now): (Money, Timestamp),
        (payees, tax_code): (&Payees, Option<Label>),
    ) -> Result<(), DeskError> {
        // One at a time: who comes second finds it done.
        let _alone = live.catching_up.lock().await;
        if !live.is_restored() {
            return Ok(());
        }
        // What is on the tape is in the row from here on; calls above what it knows come when this has ended.
        self.fold().await?;
        match live.lost(step, proof, price, now)? {
            Some(lost) => self.charge_lost(live, lost, payees, tax_code).await,
            None => Ok(()),
        }
    }

    /// What a payer says was charged of a session; nothing if that is known, or if there is no such session.
    pub fn claim(&self, step: SessionStep) -> Result<Option<Claim>, Fault> {
        let live = self.find(SessionId::from_bytes(step.session))?;
        let live = live.filter(|live| live.standing().high < step.step);
        Ok(live.map(|live| Claim { proof: live.proof(&step), live, step }))
    }

    /// Charges what a payer says was charged, if the books were restored and do not know it. Nobody says any more for what: it is for
    /// `payees`.
    pub async fn own_up(&self, Proven(claim): Proven, payees: &Payees) -> Result<(), DeskError> {
        let Claim { live, step, proof } = claim;
        let _alone = live.catching_up.lock().await;
        self.fold().await?;
        match live.lost_by(&step, &proof)? {
            Some(lost) => self.charge_lost(&live, lost, payees, None).await,
            None => Ok(()),
        }
    }

    async fn charge_lost(
        &self,
        live: &Live,
        Lost { generation, known, last, link }: Lost,
        payees: &Payees,
        tax_code: Option<Label>,
    ) -> Result<(), DeskError> {
        let (session, asset, first, payees) =
            (live.id(), live.asset(), known.saturating_add(1), payees.clone());
        let command = CatchUp { session, generation, first, last, link, asset, payees, tax_code };
        let row = row(self.execute.execute(Command::CatchUp(command)).await?)?;
        live.caught_up(&row);
        Ok(())
    }
}
