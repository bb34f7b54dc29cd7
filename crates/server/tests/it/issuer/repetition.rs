//! The same request again gets the same answer, byte for byte, before and after a restart (NUT-19); another request
//! with the same credits does not.

use serde_json::json;

use super::support::{Mint, Payer, swap};

#[tokio::test]
async fn the_same_request_gets_the_same_answer() {
    let mut mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 8, 4]).await;

    let quote = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 5 })).await.ok();
    let open = json!({ "unit": "sat", "request": "ab".repeat(32), "amount": 3 });
    let melt = mint.post("/v1/melt/quote/code", &open).await.ok();
    let minting = json!({ "quote": quote["quote"], "outputs": payer.outputs(&[4, 1]).messages });
    let melting =
        json!({ "quote": melt["quote"], "inputs": credits[2..], "outputs": payer.outputs(&[0; 2]).messages });
    let requests = [
        ("/v1/swap", swap(&credits[..2], &payer.outputs(&[16]))),
        ("/v1/mint/bolt11", minting),
        ("/v1/melt/code", melting),
    ];
    let mut answers = Vec::new();
    for (path, body) in &requests {
        let answer = mint.post(path, body).await;
        answer.ok();
        answers.push(answer);
    }
    let before = mint.snapshot(&credits).await;
    for restarted in [false, true] {
        if restarted {
            mint.restart("test_funding = true").await;
            // Long after every quote has expired.
            mint.wait_secs(1_000_000);
        }
        for ((path, body), answer) in requests.iter().zip(&answers) {
            assert_eq!(mint.post(path, body).await, *answer, "{path}, restarted: {restarted}");
        }
    }
    assert_eq!(mint.snapshot(&credits).await, before, "nothing is done twice");
    mint.audit();
}

#[tokio::test]
async fn another_request_with_the_same_credits_is_refused() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 8]).await;
    let outputs = payer.outputs(&[8, 8]);
    mint.post("/v1/swap", &swap(&credits, &outputs)).await.ok();
    let before = mint.snapshot(&credits).await;
    let mut turned = outputs.clone();
    turned.messages.reverse();
    let turned_inputs = [credits[1].clone(), credits[0].clone()];
    let others = [
        swap(&credits, &payer.outputs(&[8, 8])),
        swap(&credits, &payer.outputs(&[16])),
        swap(&credits, &turned),
        swap(&turned_inputs, &outputs),
        swap(&credits[..1], &payer.outputs(&[8])),
    ];
    for body in others {
        let reply = mint.post("/v1/swap", &body).await;
        assert_eq!(reply.refusal(), (400, "credit-spent".to_owned(), 11_001), "{body}");
    }
    assert_eq!(mint.snapshot(&credits).await, before);
}
