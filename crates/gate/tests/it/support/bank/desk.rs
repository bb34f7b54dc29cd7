//! Where commands are handed in: some of them wait or are refused, if a test wants that.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use farthing_engine::{Command, Execute, ExecuteFuture, Refusal};
use farthing_money::Span;

use super::Bank;

pub(super) struct Desk(pub(super) Arc<Bank>);

impl Execute for Desk {
    fn execute(&self, command: Command) -> ExecuteFuture {
        let waits = self.0.holds.lock().unwrap().clone().filter(|_| matches!(command, Command::Hold(_)));
        if let Some([arrived, go]) = waits {
            let bank = Arc::clone(&self.0);
            return Box::pin(async move {
                arrived.add_permits(1);
                go.acquire().await.unwrap().forget();
                bank.decide(&command)
            });
        }
        let busy =
            self.0.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        let answer = if busy {
            Err(Refusal::Busy { retry_after: Span::from_millis(1) })
        } else {
            self.0.decide(&command)
        };
        Box::pin(std::future::ready(answer))
    }
}
