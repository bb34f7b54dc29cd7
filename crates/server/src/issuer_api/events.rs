//! What changed, told after each commit to whoever subscribed (NUT-17).

use farthing_engine::{Changes, CreditId, CreditRow, QuoteId};
use farthing_store::Observer;
use tokio::sync::broadcast;

/// Something that a wallet may wait for.
#[derive(Clone, Debug)]
pub enum Event {
    /// A mint quote was paid or issued.
    MintQuote(QuoteId),
    /// A melt quote was paid.
    MeltQuote(QuoteId),
    /// A credit became pending, spent or unspent again.
    Credit(CreditId, Option<CreditRow>),
}

/// Where events go. A listener that is too slow misses some and asks again.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(4096).0)
    }
}

impl Events {
    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    /// What the writer tells of each commit. Costs nothing while nobody listens.
    pub fn observer(&self) -> Observer {
        let sender = self.0.clone();
        Box::new(move |changes: &Changes| {
            if sender.receiver_count() == 0 {
                return;
            }
            let mint = changes.mint_quotes.iter().map(|(id, _)| Event::MintQuote(*id));
            let melt = changes.melt_quotes.iter().map(|(id, _)| Event::MeltQuote(*id));
            let credits = changes.credits.iter().map(|(id, row)| Event::Credit(*id, row.clone()));
            for event in mint.chain(melt).chain(credits) {
                // Nobody listening any more is no error.
                let _ = sender.send(event);
            }
        })
    }
}
