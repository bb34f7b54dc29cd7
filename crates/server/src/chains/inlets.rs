//! Who looks for plain transfers to mint quotes, chain by chain, and the keys of their addresses.

use std::sync::Arc;

use farthing_channel::SigningKey;
use farthing_engine::QuoteId;
use farthing_evm::{Facilitators, InletKeys, InletToken, InletWatcher};

use crate::config::CreditSale;
use crate::installation::Installation;
use crate::seed::mac;

/// One for each chain. Where credits are sold for no token, it has nothing to look for.
pub(super) fn watchers(
    installation: &Installation,
    facilitators: &Facilitators,
    sales: &[CreditSale],
) -> Arc<[Arc<InletWatcher>]> {
    let keys = keys(installation);
    let one = |facilitator: &Arc<farthing_evm::Facilitator>| {
        let submitter = facilitator.submitter();
        let chain = &submitter.ports().chain;
        let taken = |sale: &CreditSale| {
            let token = chain.token(sale.token)?;
            let least = token.units(sale.sweep_least)?;
            Some(InletToken { token: sale.token, sweep_least: least })
        };
        let tokens = sales.iter().filter(|sale| sale.chain == chain.id).filter_map(taken).collect();
        Arc::new(InletWatcher::new(Arc::clone(submitter), tokens, Arc::clone(&keys)))
    };
    facilitators.iter().map(one).collect()
}

/// The key of a quote's address, made of the seed and the quote's id. Not of a count: a backup of yesterday would count again,
/// and tell an address twice; and whoever has the quote can have its address looked at again though its row is lost.
fn keys(installation: &Installation) -> InletKeys {
    let key = installation.inlets.clone();
    // One in 2^128 has none.
    Arc::new(move |quote: QuoteId| SigningKey::from_bytes(mac(&key, quote.as_bytes())).ok())
}
