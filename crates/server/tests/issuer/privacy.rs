//! What the data folder tells about payers: nothing.

use std::path::Path;

use axum::body::Body;
use farthing_engine::CodeId;
use http::Request;
use serde_json::{Value, json};

use crate::support::{Mint, Payer, ys};

/// Every file of a folder, one after the other.
pub(crate) fn bytes(folder: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            bytes(&entry.path(), into);
        } else {
            into.extend(entry.file_name().as_encoded_bytes());
            into.extend(std::fs::read(entry.path()).unwrap());
        }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

/// A request with everything that could give a payer away.
async fn post(mint: &Mint, path: &str, body: &Value) -> Value {
    let request = Request::post(path)
        .header("user-agent", "PlantedAgent/1.0")
        .header("x-forwarded-for", "203.0.113.77")
        .header("forwarded", "for=203.0.113.77")
        .header("cookie", "id=planted-cookie")
        .header("referer", "http://planted.example/");
    mint.send(request.body(Body::from(body.to_string())).unwrap()).await.ok()
}

#[tokio::test]
async fn the_folder_knows_no_payer() {
    let mut mint = Mint::with("").await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let code = mint.code("0.000012 USD").await;
    let open = json!({ "unit": "uusd", "code": code, "description": "planted description" });
    let quote = post(&mint, "/v1/mint/quote/code", &open).await;
    let outputs = payer.outputs(&[8, 4]);
    let minting = json!({ "quote": quote["quote"], "outputs": outputs.messages, "memo": "planted memo" });
    let minted = post(&mint, "/v1/mint/code", &minting).await;
    let credits = payer.credits(&outputs, &minted["signatures"]);
    let fresh = payer.outputs(&[8, 4]);
    let mut body = json!({ "inputs": credits, "outputs": fresh.messages });
    body["inputs"][0]["witness"] = json!("planted witness");
    let swapped = post(&mint, "/v1/swap", &body).await;
    let held = payer.credits(&fresh, &swapped["signatures"]);
    let target = CodeId::of_text("FT-PLANTED-CODE").to_string();
    let open = json!({ "unit": "uusd", "request": target, "amount": 12 });
    let melt = post(&mint, "/v1/melt/quote/code", &open).await;
    post(&mint, "/v1/melt/code", &json!({ "quote": melt["quote"], "inputs": held })).await;
    let claim = json!({ "unit": "uusd", "code": "FT-PLANTED-CODE" });
    post(&mint, "/v1/mint/quote/code", &claim).await;
    mint.restart("").await;

    let mut folder = Vec::new();
    bytes(&mint.folder.path().join("data"), &mut folder);
    let spent = hex::decode(&ys(&credits)[0]).unwrap();
    for there in [target.as_bytes(), &spent, payer.keyset.id.to_string().as_bytes()] {
        assert!(
            contains(&folder, there),
            "the search finds what is there: {}",
            String::from_utf8_lossy(there)
        );
    }
    let secrets = credits.iter().chain(&held).map(|credit| credit.secret.clone());
    let raw: Vec<Vec<u8>> = secrets.clone().map(|secret| hex::decode(secret).unwrap()).collect();
    let signatures: Vec<Vec<u8>> =
        credits.iter().chain(&held).map(|credit| credit.c.to_bytes().to_vec()).collect();
    let plain = code.replace('-', "");
    let words = [
        "PlantedAgent",
        "203.0.113.77",
        "planted-cookie",
        "planted.example",
        "planted description",
        "planted memo",
        "planted witness",
        "FT-PLANTED-CODE",
        "FTPLANTEDCODE",
        &code,
        &plain,
        &plain[2..],
        "correct horse",
    ];
    let words = words.iter().map(|word| word.as_bytes().to_vec()).chain(secrets.map(String::into_bytes));
    for planted in words.chain(raw).chain(signatures) {
        assert!(!contains(&folder, &planted), "the folder has {:?}", String::from_utf8_lossy(&planted));
    }
}
