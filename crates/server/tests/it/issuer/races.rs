//! Many requests at once.

use std::collections::BTreeMap;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::support::{Mint, Payer, Reply, swap, ys};

async fn at_once(mint: &Mint, path: &'static str, bodies: Vec<Value>) -> Vec<Reply> {
    let tasks: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let router = mint.router();
            tokio::spawn(async move {
                let request = Request::post(path).body(Body::from(body.to_string())).unwrap();
                let response = router.oneshot(request).await.unwrap();
                let status = response.status();
                let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
                Reply { status, json: true, body }
            })
        })
        .collect();
    let mut replies = Vec::new();
    for task in tasks {
        replies.push(task.await.unwrap());
    }
    replies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_times_the_same_swap_is_one() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 4]).await;
    let outputs = payer.outputs(&[8, 4]);
    let before = mint.installation().books.head().unwrap().number;
    let replies = at_once(&mint, "/v1/swap", vec![swap(&credits, &outputs); 16]).await;
    payer.credits(&outputs, &replies[0].ok()["signatures"]);
    assert!(replies.iter().all(|reply| *reply == replies[0]), "sixteen equal answers");
    assert_eq!(mint.installation().books.head().unwrap().number, before + 1, "one commit");
    mint.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_swaps_of_one_credit_one_wins() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8]).await;
    let bodies = (0..16).map(|_| swap(&credits, &payer.outputs(&[8]))).collect();
    let replies = at_once(&mint, "/v1/swap", bodies).await;
    assert_eq!(outcomes(&replies), BTreeMap::from([("ok".to_owned(), 1), ("credit-spent".to_owned(), 15)]));
    assert_eq!(mint.states(&ys(&credits)).await, ["SPENT"]);
    mint.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixteen_mints_of_one_quote_one_wins() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let quote = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 8 })).await.ok();
    let body =
        |payer: &mut Payer| json!({ "quote": quote["quote"], "outputs": payer.outputs(&[8]).messages });
    let bodies = (0..16).map(|_| body(&mut payer)).collect();
    let replies = at_once(&mint, "/v1/mint/bolt11", bodies).await;
    assert_eq!(outcomes(&replies), BTreeMap::from([("ok".to_owned(), 1), ("quote-used".to_owned(), 15)]));
    mint.audit();
}

/// A swap and a melt of one credit at once: whichever wins, the money goes one way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_credit_is_swapped_or_melted() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    for round in 0..8_u8 {
        let credits = payer.funded(&mint, &[8]).await;
        let open = json!({ "unit": "sat", "request": format!("{round:02x}").repeat(32), "amount": 8 });
        let quote = mint.post("/v1/melt/quote/code", &open).await.ok();
        let melt = vec![json!({ "quote": quote["quote"], "inputs": credits })];
        let swap = vec![swap(&credits, &payer.outputs(&[8]))];
        let (melted, swapped) =
            tokio::join!(at_once(&mint, "/v1/melt/code", melt), at_once(&mint, "/v1/swap", swap));
        let replies = [melted, swapped].concat();
        assert_eq!(
            outcomes(&replies),
            BTreeMap::from([("ok".to_owned(), 1), ("credit-spent".to_owned(), 1)])
        );
        assert_eq!(mint.states(&ys(&credits)).await, ["SPENT"]);
    }
    mint.audit();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_code_makes_one_quote() {
    let mint = Mint::with("").await;
    let code = mint.code("0.000008 USD").await;
    let bodies = vec![json!({ "unit": "uusd", "code": code }); 16];
    let replies = at_once(&mint, "/v1/mint/quote/code", bodies).await;
    let quotes: Vec<String> = replies.iter().map(|reply| reply.ok()["quote"].to_string()).collect();
    assert!(quotes.iter().all(|quote| *quote == quotes[0]));
}

fn outcomes(replies: &[Reply]) -> BTreeMap<String, usize> {
    let mut outcomes = BTreeMap::new();
    for reply in replies {
        let outcome = if reply.status.is_success() { "ok".to_owned() } else { reply.refusal().1 };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}
