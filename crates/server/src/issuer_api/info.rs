//! `GET /v1/info` (NUT-06): what the issuer offers.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use farthing_engine::Mode;
use serde_json::{Value, json};

use super::quote::CODE;
use super::{Issuer, IssuerError, MAX_ITEMS, QUOTES_MOST, body};

pub(super) async fn info(State(issuer): State<Arc<Issuer>>) -> Result<Response, IssuerError> {
    let methods: Vec<Value> = issuer
        .methods()
        .iter()
        .flat_map(|method| {
            issuer
                .assets
                .iter()
                .map(move |asset| json!({ "method": method, "unit": asset.unit(), "min_amount": 1 }))
        })
        .collect();
    let commands = |kinds: &[String]| -> Vec<Value> {
        let per_method = |method: &&str| {
            let commands = kinds.to_vec();
            issuer
                .assets
                .iter()
                .map(|asset| json!({ "method": method, "unit": asset.unit(), "commands": commands }))
                .collect::<Vec<_>>()
        };
        issuer.methods().iter().flat_map(per_method).collect()
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
    // In a sunset codes that were sold still become credits, and credits codes; only test funding ends.
    let minting: Vec<Value> = if mode == Mode::Sunset {
        methods.iter().filter(|method| method["method"] == CODE).cloned().collect()
    } else {
        methods.clone()
    };
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
        "nuts": {
            "4": { "methods": minting, "disabled": mode == Mode::Paused },
            "5": { "methods": methods, "disabled": mode == Mode::Paused },
            "7": supported, "8": supported, "9": supported, "10": supported, "11": supported,
            "12": supported, "14": supported,
            "17": { "supported": commands(&kinds) },
            "19": { "ttl": null, "cached_endpoints": cached },
            "20": supported,
            "29": { "max_batch_size": QUOTES_MOST, "methods": issuer.methods() },
        },
    }))
}

/// What wallets show to their owners (NUT-06).
const fn motd(mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::Open => None,
        Mode::Paused => Some("The issuer is paused: nothing is issued, swapped or redeemed for now."),
        Mode::Sunset => Some("The issuer is ending: spend your credits, or have them refunded."),
    }
}
