//! The worker: what is due is proposed, what would go elsewhere by now is taken back, and what is approved and goes to a chain
//! is sent. It keeps nothing between two runs but what is in the books.

use super::Payouts;
use crate::installation::Installation;

/// One run.
pub(crate) async fn work(at: Installation) {
    let payouts = Payouts::new(&at);
    if at.payouts.merchants.is_empty() && payouts.rows().is_ok_and(|rows| rows.is_empty()) {
        return;
    }
    match payouts.cancel_moved().await {
        Ok(0) => {}
        Ok(count) => tracing::warn!(count, "payouts were cancelled: their destination is another one by now"),
        Err(error) => tracing::error!(%error, "payouts that would go elsewhere could not be cancelled"),
    }
    match payouts.propose_due().await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "payouts were proposed; see `farthing payout list`"),
        Err(error) => tracing::error!(%error, "payouts could not be proposed"),
    }
    match payouts.send_ready().await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "payouts were sent to their chains"),
        Err(error) => tracing::error!(%error, "payouts could not be sent"),
    }
}
