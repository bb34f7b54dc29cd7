//! How many quotes may wait for transfers: so many in all, and a share of them for each client. Whatever is refused, a quote
//! that is asked for is told.

use axum::Router;
use farthing_engine::{Command, OpenInlet, QuoteId};
use farthing_gate::Peer;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::deposits;
use super::limits::{ask, limited, peer, post};
use super::support::{Mint, Reply};
use super::transfers::{inlets, quote, send};

const DAY: u64 = 24 * 3_600;

async fn order(router: &Router, peer: &Peer) -> Reply {
    let body = json!({ "unit": "uusd", "amount": 96, "transfer": true });
    post(router, peer, "/v1/mint/quote/evm", &body).await
}

async fn state(router: &Router, peer: &Peer, quote: &Value) -> Value {
    let path = format!("/v1/mint/quote/evm/{}", quote["quote"].as_str().unwrap());
    ask(router, peer, "GET", &path, &Value::Null).await.0.ok()
}

#[tokio::test]
async fn one_client_gets_a_share() {
    let mint = Mint::on_chain().await;
    let router = limited(&mint, 1_000_000);
    let (greedy, other) = (peer("1.1.1.1"), peer("2.2.2.2"));
    let first = order(&router, &greedy).await.ok();
    let id = inlets(&mint)[0];
    let replies = join_all((0..300).map(|_| order(&router, &greedy))).await;
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert_eq!((inlets(&mint).len(), refused.len()), (256, 45));
    assert!(refused.iter().all(|reply| reply.refusal().1 == "no-place"));
    order(&router, &other).await.ok();
    // Nor does it get more by asking for what was forgotten, or for what ends soon; and it is told how its quote stands.
    let early = mint.now();
    mint.wait_secs(2 * 3_600);
    let until = mint.installation().books.inlet(id).unwrap().unwrap().until;
    assert!(until > mint.now(), "{until:?} {early:?}");
    mint.wait_secs(until.since(mint.now()).millis() / 1_000 - 600);
    assert!(state(&router, &greedy, &first).await.get("transfer").is_some(), "it is looked at until then");
    assert_eq!(mint.installation().books.inlet(id).unwrap().unwrap().until, until);
    state(&router, &other, &first).await;
    assert!(mint.installation().books.inlet(id).unwrap().unwrap().until > until);
    mint.wait_secs(600);
    order(&router, &greedy).await.ok();
}

#[tokio::test]
async fn without_a_place_a_quote_is_told_as_it_stands() {
    let mint = Mint::on_chain().await;
    let forgotten = quote(&mint, 96).await;
    let id = inlets(&mint)[0];
    let row = mint.installation().books.mint_quote(id).unwrap().unwrap();
    mint.wait_secs(2 * DAY);
    mint.execute(Command::CloseInlets(vec![id])).await.unwrap();
    let paid = quote(&mint, 96).await;
    send(&mint, inlets(&mint)[0], 1, 96).await;
    let (since, until) = (mint.now(), mint.now().after(farthing_money::Span::from_secs(DAY)));
    let open = (1..4_096_u32).map(|number| {
        let mut quote = [9; 16];
        quote[..4].copy_from_slice(&number.to_be_bytes());
        let terms = Box::new(row.clone());
        let quote = QuoteId::from_bytes(quote);
        mint.execute(Command::OpenInlet(OpenInlet { quote, terms, since, until, search: Vec::new() }))
    });
    let opened = join_all(open).await;
    assert!(opened.iter().all(Result::is_ok));
    assert_eq!(inlets(&mint).len(), 4_096);
    let body = json!({ "unit": "uusd", "amount": 96, "transfer": true });
    assert_eq!(mint.post("/v1/mint/quote/evm", &body).await.refusal().1, "no-place");
    let told = deposits::state(&mint, &forgotten).await;
    assert_eq!((told["state"].as_str(), told.get("transfer")), (Some("UNPAID"), None), "nobody looks there");
    let quotes = json!({ "quotes": [forgotten["quote"], paid["quote"]] });
    let told = mint.post("/v1/mint/quote/evm/check", &quotes).await.ok();
    assert_eq!((&told[0]["state"], &told[1]["state"]), (&json!("UNPAID"), &json!("PAID")));
    assert!(inlets(&mint).len() == 4_096 && told[1].get("transfer").is_some());
    // Their time over, they take no place, though nobody has forgotten them yet.
    mint.wait_secs(2 * DAY);
    mint.post("/v1/mint/quote/evm", &body).await.ok();
    assert_eq!(inlets(&mint).len(), 4_097);
}
