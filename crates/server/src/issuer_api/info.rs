//! `GET /v1/info` (NUT-06): what the issuer offers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_engine::Mode;
use farthing_money::Asset;
use serde_json::{Value, json};

use super::quote::{CODE, EVM};
use super::trial::TRIAL;
use super::{Issuer, IssuerError, MAX_ITEMS, QUOTES_MOST, body};

pub(super) async fn info(State(issuer): State<Arc<Issuer>>) -> Result<Response, IssuerError> {
    let methods = |way: Way| -> Vec<Value> {
        offered(&issuer).map(|(method, asset)| shown(&issuer, way, method, asset)).collect()
    };
    let commands = |kinds: &[String]| -> Vec<Value> {
        let one = |(method, asset): (&str, Asset)| json!({ "method": method, "unit": asset.unit(), "commands": kinds });
        offered(&issuer).map(one).collect()
    };
    let kinds: Vec<String> = issuer
        .methods()
        .iter()
        .flat_map(|method| [format!("{method}_mint_quote"), format!("{method}_melt_quote")])
        .chain(["proof_state".to_owned()])
        .collect();
    let cached: Vec<Value> = issuer
        .methods()
        .iter()
        .flat_map(|method| [format!("/v1/mint/{method}"), format!("/v1/melt/{method}")])
        .chain(["/v1/swap".to_owned()])
        .map(|path| json!({ "method": "POST", "path": path }))
        .collect();
    let supported = json!({ "supported": true });
    let mode = issuer.read.books()?.mode;
    // In a sunset codes that were sold still become credits, and credits codes or money; only what brings new money in ends.
    let mut minting = methods(Way::In);
    if let Some(trial) = issuer.trials.given() {
        let (unit, amount) = (trial.amount.asset().unit(), trial.amount.amount().to_u64());
        minting.push(json!({ "method": TRIAL, "unit": unit, "min_amount": amount, "max_amount": amount }));
    }
    minting.retain(|method| mode != Mode::Sunset || method["method"] == CODE);
    let sessions =
        issuer.sessions.as_ref().map(|sessions| sessions.limits()).filter(|limits| limits.open > 0);
    let sessions =
        sessions.map(|limits| json!({ "steps": limits.steps, "lifetime": limits.lifetime.secs() }));
    body::write(&json!({
        "name": issuer.about.name,
        "description": issuer.about.description,
        "version": concat!("farthing/", env!("CARGO_PKG_VERSION")),
        "urls": [issuer.about.url],
        "contact": [],
        "time": issuer.now().secs(),
        "max_array_length": MAX_ITEMS,
        "receipt_key": issuer.about.receipt_key,
        "mode": mode,
        "motd": motd(mode),
        "sessions": sessions,
        "nuts": {
            "4": { "methods": minting, "disabled": mode == Mode::Paused },
            "5": { "methods": methods(Way::Out), "disabled": mode == Mode::Paused },
            "7": supported, "8": supported, "9": supported, "10": supported, "11": supported,
            "12": supported, "14": supported,
            "17": { "supported": commands(&kinds) },
            "19": { "ttl": null, "cached_endpoints": cached },
            "20": supported,
            "29": { "max_batch_size": QUOTES_MOST, "methods": issuer.methods() },
        },
    }))
}

/// Which way money goes.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

/// Every method with every unit that it knows.
fn offered(issuer: &Issuer) -> impl Iterator<Item = (&'static str, Asset)> {
    let knows = |method: &str, asset: Asset| method != EVM || issuer.credit_terms(asset).is_some();
    issuer.methods().into_iter().flat_map(move |method| {
        issuer.assets.iter().filter(move |asset| knows(method, *asset)).map(move |asset| (method, asset))
    })
}

/// A method as NUT-04 and NUT-05 announce it.
fn shown(issuer: &Issuer, way: Way, method: &str, asset: Asset) -> Value {
    let terms = issuer.credit_terms(asset).filter(|_| method == EVM);
    let bounds = terms.map(|terms| match way {
        Way::In => terms.deposit,
        Way::Out => terms.withdrawal,
    });
    let least = bounds.map_or(1, |bounds| bounds.least.to_u64().unwrap_or(u64::MAX).max(1));
    let mut shown = json!({ "method": method, "unit": asset.unit(), "min_amount": least });
    let most = bounds.and_then(|bounds| bounds.most?.to_u64());
    if let (Some(most), Some(shown)) = (most, shown.as_object_mut()) {
        shown.insert("max_amount".to_owned(), most.into());
    }
    shown
}

/// What wallets show to their owners (NUT-06).
const fn motd(mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::Open => None,
        Mode::Paused => Some("The issuer is paused: nothing is issued, swapped or redeemed for now."),
        Mode::Sunset => Some("The issuer is ending: spend your credits, or have them refunded."),
    }
}
