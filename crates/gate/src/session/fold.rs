//! Brings the tape into the books, a stretch at a time. Rows go in the commit that charges them, so nothing is charged twice and
//! nothing is forgotten, wherever a crash comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use farthing_engine::{Answer, Command, Fault, FaultKind, FoldTape, Payees, Refusal, TapeRow};
use farthing_money::{Asset, Label};

use super::Sessions;

/// Rows of the tape that are folded together.
const STRETCH: usize = 256;

/// What one command may charge.
type Kind = (Asset, Payees, Option<Label>);

impl Sessions {
    /// Brings everything into the books that is on the tape by now. How many rows that were.
    pub async fn fold(&self) -> Result<usize, Refusal> {
        let _alone = self.folding.lock().await;
        self.look_at_mode()?;
        let mut folded = 0_usize;
        loop {
            let begins = self.begins.load(Ordering::Acquire);
            let rows = self.read.tape(begins, STRETCH)?;
            let Some((last, _)) = rows.last() else { return Ok(folded) };
            let ends = last.saturating_add(1);
            folded = folded.saturating_add(rows.len());
            self.fold_stretch(&rows).await?;
            if self.read.tape(begins, 1)?.first().is_some_and(|(left, _)| *left < ends) {
                let message = "the tape has steps of sessions that nobody knows; restore a backup";
                return Err(Refusal::Fault(Fault::new(FaultKind::Corrupt, message)));
            }
            // What was here is gone for good, and looking for it costs more each time.
            self.begins.store(ends, Ordering::Release);
        }
    }

    async fn fold_stretch(&self, rows: &[(u64, TapeRow)]) -> Result<(), Refusal> {
        let steps = || rows.iter().flat_map(|(_, row)| &row.steps);
        // One by one: they are few, and their steps many.
        let mut sessions = BTreeSet::new();
        sessions.extend(steps().map(|step| step.session));
        let mut assets = BTreeMap::new();
        for session in &sessions {
            if let Some(row) = self.read.session(*session)? {
                assets.insert(*session, row.asset);
            }
        }
        let mut kinds: Vec<Kind> = Vec::new();
        for step in steps() {
            let Some(asset) = assets.get(&step.session) else { continue };
            let is_it = |(of, payees, tax_code): &Kind| {
                of == asset && *payees == step.payees && *tax_code == step.tax_code
            };
            // There are as many as there are rules, and mostly it is one of the first.
            if !kinds.iter().any(is_it) {
                kinds.push((*asset, step.payees.clone(), step.tax_code));
            }
        }
        for (asset, payees, tax_code) in kinds {
            let rows = rows.iter().map(|(number, _)| *number).collect();
            let sessions = sessions.iter().copied().collect();
            let command = FoldTape { rows, sessions, asset, payees, tax_code };
            if let Answer::Folded { lost, .. } = self.execute.execute(Command::FoldTape(command)).await?
                && lost > 0
            {
                tracing::error!(lost, "calls of sessions could not be charged; please report this");
            }
        }
        Ok(())
    }
}
