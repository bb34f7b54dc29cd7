//! Books that were restored from a backup lack what was shown since. A session's next link proves it: all below is charged in a commit of
//! its own before the call itself is looked at, once.

use farthing_engine::{CatchUp, Command, Payees};
use farthing_money::{Label, Money, Timestamp};
use farthing_wire::SessionStep;

use super::desk::{DeskError, row};
use super::live::Lost;
use super::{Live, Proof, Sessions};

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
        let _alone = self.catching_up.lock().await;
        if !live.is_restored() {
            return Ok(());
        }
        // What is on the tape is in the row from here on; calls above what it knows come when this has ended.
        self.fold().await?;
        let Some(Lost { generation, last, link }) = live.lost(step, proof, price, now)? else {
            return Ok(());
        };
        let (session, asset, payees) = (live.id(), live.asset(), payees.clone());
        let command = CatchUp { session, generation, last, link, asset, payees, tax_code };
        let row = row(self.execute.execute(Command::CatchUp(command)).await?)?;
        live.caught_up(&row);
        Ok(())
    }
}
