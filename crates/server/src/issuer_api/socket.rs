//! `GET /v1/ws` (NUT-17): JSON-RPC subscriptions to quotes and to the states of credits.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket};
use axum::response::Response;
use farthing_engine::{CreditId, QuoteId};
use farthing_money::IdError;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::extract::Upgrade;
use super::quote::shown_melt;
use super::{Event, Issuer, check};

/// Subscriptions on one connection, and filters in one subscription. A quote costs a row each time it is told of.
const SUBSCRIPTIONS_MOST: usize = 100;
const FILTERS_MOST: usize = 1000;
const QUOTES_MOST: usize = 100;
const MESSAGE_BYTES_MOST: usize = 128 * 1024;

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Params,
}

#[derive(Default, Deserialize)]
struct Params {
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "subId")]
    sub_id: String,
    #[serde(default)]
    filters: Vec<String>,
}

/// What one connection has subscribed to.
#[derive(Default)]
pub struct Subscriptions(BTreeMap<String, Filter>);

impl Subscriptions {
    /// The replies to one message.
    pub fn answer(&mut self, issuer: &Issuer, text: &str) -> Vec<Value> {
        answer(issuer, &mut self.0, text)
    }
}

enum Filter {
    /// By their ids in the books, with the ids that were told.
    MintQuotes(BTreeMap<QuoteId, String>),
    MeltQuotes(BTreeMap<QuoteId, String>),
    Credits(Vec<CreditId>),
}

pub(super) async fn socket(State(issuer): State<Arc<Issuer>>, Upgrade(upgrade): Upgrade) -> Response {
    upgrade.max_message_size(MESSAGE_BYTES_MOST).on_upgrade(move |socket| serve(issuer, socket))
}

async fn serve(issuer: Arc<Issuer>, mut socket: WebSocket) {
    let mut events = issuer.events.subscribe();
    let mut subscribed = Subscriptions::default();
    loop {
        let replies = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => subscribed.answer(&issuer, &text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => Vec::new(),
            },
            event = events.recv() => match event {
                Ok(event) => notify(&issuer, &subscribed.0, &event),
                // Too slow: the present state of everything makes up for what was missed.
                Err(RecvError::Lagged(_)) => subscribed.0.iter().flat_map(|(id, filter)| present(&issuer, id, filter)).collect(),
                Err(RecvError::Closed) => return,
            },
        };
        for reply in replies {
            if socket.send(Message::Text(reply.to_string().into())).await.is_err() {
                return;
            }
        }
    }
}

fn answer(issuer: &Issuer, filters: &mut BTreeMap<String, Filter>, text: &str) -> Vec<Value> {
    let call: Call = match serde_json::from_str(text) {
        Ok(call) => call,
        Err(error) => {
            return vec![failure(&Value::Null, -32700, &format!("the message cannot be read: {error}"))];
        }
    };
    let Call { id, method, params } = call;
    let accepted =
        json!({ "jsonrpc": "2.0", "id": id, "result": { "status": "OK", "subId": params.sub_id } });
    match method.as_str() {
        "subscribe" => {
            if filters.len() >= SUBSCRIPTIONS_MOST || params.filters.len() > FILTERS_MOST {
                let limits = format!("at most {SUBSCRIPTIONS_MOST} subscriptions of {FILTERS_MOST} filters");
                return vec![failure(&id, -32602, &limits)];
            }
            match filter(issuer, &params) {
                Ok(filter) => {
                    let mut replies = vec![accepted];
                    replies.extend(present(issuer, &params.sub_id, &filter));
                    filters.insert(params.sub_id, filter);
                    replies
                }
                Err(why) => vec![failure(&id, -32602, &why)],
            }
        }
        "unsubscribe" => match filters.remove(&params.sub_id) {
            Some(_) => vec![accepted],
            None => vec![failure(&id, -32602, "there is no subscription with this subId")],
        },
        _ => vec![failure(&id, -32601, "expected the method subscribe or unsubscribe")],
    }
}

fn failure(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// Each id once, however often it was named.
fn ids<I: FromStr<Err = IdError> + Ord>(filters: &[String]) -> Result<BTreeSet<I>, String> {
    filters.iter().map(|id| id.parse().map_err(|error: IdError| error.to_string())).collect()
}

fn filter(issuer: &Issuer, params: &Params) -> Result<Filter, String> {
    let method = |kind: &str| issuer.methods().contains(&kind);
    match params.kind.as_str() {
        "proof_state" => {
            let credits: BTreeSet<CreditId> = ids(&params.filters)?;
            Ok(Filter::Credits(credits.into_iter().collect()))
        }
        kind if kind.strip_suffix("_mint_quote").is_some_and(method) => mint_filter(issuer, &params.filters),
        kind if kind.strip_suffix("_melt_quote").is_some_and(method) => {
            melt_filter(issuer, kind, &params.filters)
        }
        _ => Err("expected the kind proof_state or {method}_mint_quote or {method}_melt_quote".to_owned()),
    }
}

fn quote_names(filters: &[String]) -> Result<BTreeSet<&String>, String> {
    let names: BTreeSet<&String> = filters.iter().collect();
    if names.len() > QUOTES_MOST {
        return Err(format!("at most {QUOTES_MOST} quotes in one subscription"));
    }
    Ok(names)
}

/// Quotes may be named that are not written down yet.
fn mint_filter(issuer: &Issuer, filters: &[String]) -> Result<Filter, String> {
    let ids = quote_names(filters)?.into_iter().map(|name| Ok((issuer.mint_quote_id(name)?, name.clone())));
    let ids: Result<_, IdError> = ids.collect();
    Ok(Filter::MintQuotes(ids.map_err(|error| error.to_string())?))
}

fn melt_filter(issuer: &Issuer, kind: &str, filters: &[String]) -> Result<Filter, String> {
    let names = quote_names(filters)?;
    let method = kind.strip_suffix("_melt_quote").unwrap_or_default();
    let found = names.into_iter().filter_map(|name| issuer.read_melt_quote(method, name).ok());
    Ok(Filter::MeltQuotes(found.map(|melting| (melting.id, melting.text)).collect()))
}

fn notification(sub_id: &str, payload: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": "subscribe", "params": { "subId": sub_id, "payload": payload } })
}

/// The present state of everything that a subscription is about.
fn present(issuer: &Issuer, sub_id: &str, filter: &Filter) -> Vec<Value> {
    let payloads: Vec<Value> = match filter {
        Filter::MintQuotes(ids) => ids.values().filter_map(|text| mint_payload(issuer, text)).collect(),
        Filter::MeltQuotes(ids) => ids.values().filter_map(|text| melt_payload(issuer, text)).collect(),
        Filter::Credits(ids) => {
            let rows = issuer.read.credits(ids).unwrap_or_default();
            ids.iter().zip(rows).map(|(id, row)| json!(check::shown(*id, row.as_ref()))).collect()
        }
    };
    payloads.iter().map(|payload| notification(sub_id, payload)).collect()
}

fn notify(issuer: &Issuer, filters: &BTreeMap<String, Filter>, event: &Event) -> Vec<Value> {
    let payload = |filter: &Filter| match (filter, event) {
        (Filter::MintQuotes(ids), Event::MintQuote(id)) => mint_payload(issuer, ids.get(id)?),
        (Filter::MeltQuotes(ids), Event::MeltQuote(id)) => melt_payload(issuer, ids.get(id)?),
        (Filter::Credits(ids), Event::Credit(id, row)) if ids.contains(id) => {
            Some(json!(check::shown(*id, row.as_ref())))
        }
        _ => None,
    };
    filters.iter().filter_map(|(sub_id, filter)| Some(notification(sub_id, &payload(filter)?))).collect()
}

fn mint_payload(issuer: &Issuer, text: &str) -> Option<Value> {
    let found = issuer.methods().iter().find_map(|method| issuer.read_mint_quote(method, text).ok())?;
    Some(json!(issuer.shown_mint(&found.text, found.id, &found.row)))
}

/// Without the change, whose signatures cost cryptography: who paid the quote has them, or asks for the quote.
fn melt_payload(issuer: &Issuer, text: &str) -> Option<Value> {
    let found = issuer.methods().iter().find_map(|method| issuer.read_melt_quote(method, text).ok())?;
    let pending = issuer.is_pending(found.id, &found.row).ok()?;
    Some(json!(shown_melt(&found.text, &found.row, pending, None)))
}
