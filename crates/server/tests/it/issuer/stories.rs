//! The stories in which all goes well.

use farthing_engine::CodeId;
use serde_json::json;

use super::support::{Mint, Payer, swap, ys};

#[tokio::test]
async fn the_issuer_says_what_it_offers() {
    let mint = Mint::with("name = \"Example\"").await;
    let info = mint.get("/v1/info").await.ok();
    assert_eq!((&info["name"], &info["urls"][0]), (&json!("Example"), &json!("http://mint.example")));
    assert_eq!(info["time"], json!(mint.now().secs()));
    for nut in ["7", "8", "9", "10", "11", "12", "14", "20"] {
        assert_eq!(info["nuts"][nut]["supported"], json!(true), "NUT-{nut}");
    }
    let methods = info["nuts"]["4"]["methods"].as_array().unwrap();
    assert!(methods.iter().all(|method| method["method"] == "code"), "no money for nothing: {methods:?}");
    let units: Vec<_> = methods.iter().map(|method| method["unit"].as_str().unwrap()).collect();
    assert_eq!(units.len(), 2);
    assert!(units.contains(&"uusd") && units.contains(&"sat"));
}

#[tokio::test]
async fn keys_are_published_under_their_hash() {
    let mint = Mint::with("keyset_orders = 20").await;
    let listed = mint.get("/v1/keysets").await.ok();
    let listed = listed["keysets"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 2);
    for unit in ["uusd", "sat"] {
        let payer = Payer::of(&mint, unit, 1).await;
        assert_eq!(payer.keyset.keys.len(), 20);
        let id = payer.keyset.id.to_string();
        assert!(id.starts_with("01") && id.len() == 66);
        let one = mint.get(&format!("/v1/keys/{id}")).await.ok();
        assert_eq!(one["keysets"][0], json!(payer.keyset));
        assert!(listed.iter().any(|keyset| keyset["id"] == json!(id) && keyset["active"] == json!(true)));
    }
}

/// From one code to another: bought, swapped, lost, restored, paid out as a new code, which another payer redeems.
#[tokio::test]
async fn the_life_of_credits() {
    let mint = Mint::with("").await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let code = mint.code("0.01 USD").await;

    let quote = mint.post("/v1/mint/quote/code", &json!({ "unit": "uusd", "code": code })).await.ok();
    assert_eq!((&quote["state"], &quote["amount_paid"]), (&json!("PAID"), &json!(10_000)));
    assert!(!quote.to_string().contains(&code), "the code is not repeated");
    let again =
        mint.post("/v1/mint/quote/code", &json!({ "unit": "uusd", "code": code.to_lowercase() })).await;
    assert_eq!(again.ok()["quote"], quote["quote"], "whoever has the code goes on with its quote");
    let id = quote["quote"].as_str().unwrap();
    assert_eq!(mint.get(&format!("/v1/mint/quote/code/{id}")).await.ok(), quote);

    let amounts = payer.keyset.split(10_000).unwrap();
    let outputs = payer.outputs(&amounts);
    let minted = mint.post("/v1/mint/code", &json!({ "quote": id, "outputs": outputs.messages })).await.ok();
    let credits = payer.credits(&outputs, &minted["signatures"]);
    let issued = mint.get(&format!("/v1/mint/quote/code/{id}")).await.ok();
    assert_eq!((&issued["state"], &issued["amount_issued"]), (&json!("ISSUED"), &json!(10_000)));

    let fresh = payer.outputs(&[8_192, 1_024, 512, 256, 8, 8]);
    let swapped = mint.post("/v1/swap", &swap(&credits, &fresh)).await.ok();
    let held = payer.credits(&fresh, &swapped["signatures"]);
    let both = [ys(&credits), ys(&held)].concat();
    let expected = [vec!["SPENT"; credits.len()], vec!["UNSPENT"; held.len()]].concat();
    assert_eq!(mint.states(&both).await, expected);

    // A payer who lost all but the words makes the secrets again; what was never signed does not come back.
    let mut lost = payer.with_words_alone();
    let counted = [amounts.as_slice(), &[8_192, 1_024, 512, 256, 8, 8, 1, 1]].concat();
    let guessed = lost.outputs(&counted);
    let restored = mint.post("/v1/restore", &json!({ "outputs": guessed.messages })).await.ok();
    let signed = counted.len() - 2;
    assert_eq!(restored["outputs"], json!(guessed.messages[..signed]));
    let found = lost.credits(&guessed, &restored["signatures"]);
    assert_eq!(found[amounts.len()..], held);

    let target = CodeId::of_text("FT-A-NEW-CODE").to_string();
    let melt = json!({ "unit": "uusd", "request": target, "amount": 10_000 });
    let melt = mint.post("/v1/melt/quote/code", &melt).await.ok();
    assert_eq!(
        (&melt["state"], &melt["amount"], &melt["fee_reserve"]),
        (&json!("UNPAID"), &json!(10_000), &json!(0))
    );
    let id = melt["quote"].as_str().unwrap();
    let paid = mint.post("/v1/melt/code", &json!({ "quote": id, "inputs": held })).await.ok();
    assert_eq!((&paid["state"], &paid["change"]), (&json!("PAID"), &json!(null)));
    assert_eq!(mint.get(&format!("/v1/melt/quote/code/{id}")).await.ok(), paid);
    assert_eq!(mint.states(&ys(&held)).await, vec!["SPENT"; held.len()]);

    let mut other = Payer::of(&mint, "uusd", 2).await;
    let quote =
        mint.post("/v1/mint/quote/code", &json!({ "unit": "uusd", "code": "ft a new code" })).await.ok();
    let outputs = other.outputs(&amounts);
    let body = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    let minted = mint.post("/v1/mint/code", &body).await.ok();
    let redeemed = other.credits(&outputs, &minted["signatures"]);
    other.swapped(&mint, &redeemed, &amounts).await;

    assert_eq!(mint.totals("codes"), ("0.02".to_owned(), "0.02".to_owned()));
    assert_eq!(mint.totals("codes-sold"), ("0.01".to_owned(), "0.00".to_owned()));
    mint.audit();
}

#[tokio::test]
async fn a_thousand_credits_swap_at_once() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let credits = payer.funded(&mint, &[1; 1000]).await;
    let one = payer.swapped(&mint, &credits, &payer.keyset.split(1000).unwrap()).await;
    payer.swapped(&mint, &one, &[1; 1000]).await;
    assert_eq!(mint.states(&ys(&credits)).await, vec!["SPENT"; 1000]);
    mint.audit();
}

#[tokio::test]
async fn fees_are_kept_once_a_swap() {
    let mint = Mint::with("test_funding = true\ninput_fee_ppk = 100").await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let credits = payer.funded(&mint, &[8, 4, 4]).await;
    let before = mint.snapshot(&credits).await;
    let free = payer.outputs(&[16]);
    let refused = mint.post("/v1/swap", &swap(&credits, &free)).await;
    assert_eq!(refused.refusal(), (400, "unbalanced".to_owned(), 11_005));
    assert_eq!(mint.snapshot(&credits).await, before);
    payer.swapped(&mint, &credits, &[8, 4, 2, 1]).await;
    assert_eq!(mint.totals("fees").1, "0.000001");
    mint.audit();
}
