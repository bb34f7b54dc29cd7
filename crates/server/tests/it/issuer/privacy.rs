//! What the data folder tells about payers: nothing.

use std::path::Path;

use axum::body::Body;
use farthing_ecash::Proof;
use farthing_engine::CodeId;
use farthing_money::{Span, Timestamp};
use farthing_store::{Fjall, KeyValue, TableName, Write};
use http::Request;
use serde_json::{Value, json};

use super::support::{Mint, Payer, Reply, ys};

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
    attempt(mint, path, body.to_string()).await.ok()
}

/// The same, whatever comes of it.
async fn attempt(mint: &Mint, path: &str, body: String) -> Reply {
    let request = Request::post(path)
        .header("user-agent", "PlantedAgent/1.0")
        .header("x-forwarded-for", "203.0.113.77")
        .header("x-forwarded-for", "2001:db8:77::7")
        .header("forwarded", "for=203.0.113.77, for=\"[2001:db8:77::7]\"")
        .header("x-real-ip", "203.0.113.77")
        .header("from", "planted@payer.example")
        .header("cookie", "id=planted-cookie")
        .header("referer", "http://planted.example/");
    mint.send(request.body(Body::from(body)).unwrap()).await
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
    let refused = trouble(&mint, &payer, &held[0]).await;
    assert_eq!(refused, 8, "what is refused leaves nothing behind either");
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
        "2001:db8:77",
        "planted@payer",
        "planted quote",
        "planted method",
        "planted body",
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

/// Requests that are refused: how many were.
async fn trouble(mint: &Mint, payer: &Payer, spent: &Proof) -> usize {
    let unit = json!("uusd");
    let mut forged = spent.clone();
    "planted witness".clone_into(&mut forged.secret);
    let bodies = [
        ("/v1/mint/quote/code", json!({ "unit": unit, "code": "FT-PLANTED-CODE-2" })),
        ("/v1/mint/code", json!({ "quote": "planted quote", "outputs": [] })),
        ("/v1/swap", json!({ "inputs": [forged], "outputs": [] })),
        ("/v1/swap", json!({ "inputs": [spent], "outputs": [], "memo": "planted memo" })),
        ("/v1/melt/quote/code", json!({ "unit": unit, "request": "planted body", "amount": 1 })),
        ("/v1/melt/planted method", json!({ "quote": "planted quote", "inputs": [spent] })),
        ("/v1/checkstate", json!({ "Ys": [payer.keyset.id.to_string(), "planted body"] })),
    ];
    let mut refused = 0;
    for (path, body) in bodies {
        let path = path.replace(' ', "%20");
        refused += usize::from(!attempt(mint, &path, body.to_string()).await.status.is_success());
    }
    let broken = attempt(mint, "/v1/swap", "{\"planted body\": ".to_owned()).await;
    refused + usize::from(!broken.status.is_success())
}

/// A number in every way in which a row or a file might have it.
fn spellings(time: Timestamp) -> Vec<Vec<u8>> {
    let mut spellings = Vec::new();
    for number in [time.millis(), time.secs()] {
        let (mut varint, mut rest) = (Vec::new(), number);
        while rest >= 0x80 {
            varint.push(u8::try_from(rest & 0x7f).unwrap() | 0x80);
            rest >>= 7;
        }
        varint.push(u8::try_from(rest).unwrap());
        let numbers = [number.to_be_bytes().to_vec(), number.to_le_bytes().to_vec()];
        spellings.extend([varint, number.to_string().into_bytes(), format!("{number:x}").into_bytes()]);
        spellings.extend(numbers);
    }
    spellings.push(time.to_string().get(..19).unwrap().as_bytes().to_vec());
    spellings
}

/// What went wrong: a quote kept the second in which its credits were issued, and, while it was open, the one in which it
/// would have ended, a day after the payer came. A melted quote kept the same, and the code that it funded another.
#[tokio::test]
async fn the_folder_does_not_say_when_payers_came() {
    let mut mint = Mint::with("").await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    // Each in a second of its own, and none at the beginning of an hour.
    let after = |secs| {
        mint.wait_secs(secs);
        mint.now()
    };
    let made = after(1_111);
    let code = mint.code("0.000012 USD").await;
    let opened = after(2_223);
    let open = json!({ "unit": "uusd", "code": code });
    let quote = post(&mint, "/v1/mint/quote/code", &open).await;
    let issued = after(3_331);
    let outputs = payer.outputs(&[8, 4]);
    let minting = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    let minted = post(&mint, "/v1/mint/code", &minting).await;
    let swapped = after(777);
    let fresh = payer.outputs(&[8, 4]);
    let body = json!({ "inputs": payer.credits(&outputs, &minted["signatures"]), "outputs": fresh.messages });
    let credits = payer.credits(&fresh, &post(&mint, "/v1/swap", &body).await["signatures"]);
    let quoted = after(1_717);
    let target = CodeId::of_text("FT-PLANTED-CODE").to_string();
    let open = json!({ "unit": "uusd", "request": target, "amount": 12 });
    let melt = post(&mint, "/v1/melt/quote/code", &open).await;
    let melted = after(55);
    post(&mint, "/v1/melt/code", &json!({ "quote": melt["quote"], "inputs": credits })).await;
    let ends = [opened, quoted].map(|time| time.after(Span::from_secs(600)));
    after(5_000);
    mint.restart("").await;

    let mut folder = Vec::new();
    bytes(&mint.folder.path().join("data"), &mut folder);
    assert!(contains(&folder, &spellings(made)[0]), "when the operator made a code is kept");
    assert!(contains(&folder, &spellings(issued.hour())[0]), "the hour is kept");
    for time in [opened, issued, swapped, quoted, melted].into_iter().chain(ends) {
        for spelling in spellings(time) {
            assert!(!contains(&folder, &spelling), "the folder has {time} as {spelling:?}");
        }
    }
}

/// The search itself: what is written into the books is found in the folder, however the store lays it out.
#[tokio::test]
async fn what_is_planted_is_found() {
    let mint = Mint::with("").await;
    let place = tempfile::tempdir().unwrap();
    let time = mint.now().after(Span::from_millis(1_234_567));
    let words: Vec<Vec<u8>> =
        ["PlantedAgent/1.0", "203.0.113.77", "planted-cookie"].map(|word| word.as_bytes().to_vec()).to_vec();
    let store = Fjall::open(place.path()).unwrap();
    for (number, value) in words.iter().cloned().chain(spellings(time)).enumerate() {
        let key = format!("planted {number}").into_bytes();
        store.write(vec![Write { table: TableName::Meta, key, value: Some(value) }]).unwrap();
    }
    drop(store);
    let mut folder = Vec::new();
    bytes(place.path(), &mut folder);
    for planted in words.into_iter().chain(spellings(time)) {
        assert!(contains(&folder, &planted), "{:?} is not found", String::from_utf8_lossy(&planted));
    }
    assert!(!contains(&folder, b"not planted"));
}
