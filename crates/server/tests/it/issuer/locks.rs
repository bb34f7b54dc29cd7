//! Locked credits (NUT-10, NUT-11, NUT-14) on swap and melt.

use farthing_ecash::{Lock, Proof, SecretKey, SigFlag, Witness, htlc, p2pk};
use farthing_engine::CodeId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::support::{Mint, Payer, swap};

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes([n; 32]).unwrap()
}

fn with(credit: &Proof, witness: impl Into<String>) -> Proof {
    Proof { witness: Some(witness.into()), ..credit.clone() }
}

async fn locked(mint: &Mint, payer: &mut Payer, amounts: &[u64], lock: &Lock) -> Vec<Proof> {
    let outputs = payer.locked_outputs(amounts, lock);
    payer.funded_as(mint, &outputs).await
}

#[tokio::test]
async fn only_the_key_opens_a_lock_and_its_witness_is_shown() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = locked(&mint, &mut payer, &[8], &Lock::to_key(key(2).public_key())).await;
    let credit = &credits[0];
    let twelve = Witness { signatures: vec!["00".repeat(64); 12], preimage: None }.to_text();
    let other_secret = p2pk::sign("another secret", &key(2));
    let refused = [
        (credit.clone(), "lock-signatures"),
        (with(credit, ""), "lock-signatures"),
        (with(credit, "{}"), "lock-signatures"),
        (with(credit, p2pk::sign(&credit.secret, &key(3))), "lock-signatures"),
        (with(credit, other_secret), "lock-signatures"),
        (with(credit, "not JSON"), "witness-malformed"),
        (with(credit, "[]"), "witness-malformed"),
        (with(credit, r#"{"signatures":["zz"]}"#), "witness-malformed"),
        (with(credit, twelve), "witness-malformed"),
        (with(credit, format!("{{\"signatures\":[\"{}\"]}}", "0".repeat(9_000))), "witness-malformed"),
    ];
    let before = mint.snapshot(&credits).await;
    let outputs = payer.outputs(&[8]);
    let forged = Proof { c: key(9).public_key(), ..credit.clone() };
    let reply = mint.post("/v1/swap", &swap(&[forged], &outputs)).await;
    assert_eq!(reply.refusal().1, "credit-signature", "no lock is tried for who has no credit");
    for (input, reject) in refused {
        let reply = mint.post("/v1/swap", &swap(std::slice::from_ref(&input), &outputs)).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), 10_001), "{:?}", input.witness);
    }
    assert_eq!(mint.snapshot(&credits).await, before);

    let witness = p2pk::sign(&credit.secret, &key(2));
    mint.post("/v1/swap", &swap(&[with(credit, &*witness)], &outputs)).await.ok();
    let y = credit.y().point().to_string();
    let states = mint.post("/v1/checkstate", &json!({ "Ys": [y.to_uppercase()] })).await.ok();
    assert_eq!(states["states"][0], json!({ "Y": y, "state": "SPENT", "witness": witness }));
    mint.audit();
}

/// A witness may come as an object; and what unlocks nothing is not kept, or anyone could fill the disk with one credit.
#[tokio::test]
async fn only_witnesses_of_locks_are_kept() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let plain = payer.funded(&mint, &[8]).await;
    let expired = Lock { locktime: Some(1), ..Lock::to_key(key(2).public_key()) };
    let expired = locked(&mint, &mut payer, &[8, 8], &expired).await;

    let padding = format!("{{\"signatures\":[],\"padding\":\"{}\"}}", "x".repeat(100_000));
    let outputs = payer.outputs(&[8]);
    let long = mint.post("/v1/swap", &swap(&[with(&expired[0], &*padding)], &outputs)).await;
    assert_eq!(long.refusal(), (400, "witness-malformed".to_owned(), 10_001));
    mint.post("/v1/swap", &swap(&[with(&plain[0], padding)], &outputs)).await.ok();
    let y = plain[0].y().point().to_string();
    let states = mint.post("/v1/checkstate", &json!({ "Ys": [y] })).await.ok();
    assert_eq!(states["states"][0], json!({ "Y": y, "state": "SPENT", "witness": null }));

    let outputs = payer.outputs(&[16]);
    let mut body = swap(&expired, &outputs);
    body["inputs"][0]["witness"] = json!({ "signatures": [] });
    mint.post("/v1/swap", &body).await.ok();
}

#[tokio::test]
async fn several_keys_and_times() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let lock = Lock {
        keys: vec![key(3).public_key(), key(4).public_key()],
        signatures: Some(2),
        locktime: Some(mint.now().secs() + 100),
        refund_keys: vec![key(5).public_key()],
        ..Lock::to_key(key(2).public_key())
    };
    let credits = locked(&mint, &mut payer, &[8, 8, 8], &lock).await;
    let signed = |credit: &Proof, keys: &[u8]| {
        let mut witness = None;
        for n in keys {
            witness = Some(p2pk::sign_too(&credit.secret, witness.as_deref(), &key(*n)).unwrap());
        }
        Proof { witness, ..credit.clone() }
    };
    let outputs = payer.outputs(&[8]);
    let try_with = async |credit: &Proof, keys: &[u8]| {
        mint.post("/v1/swap", &swap(&[signed(credit, keys)], &outputs)).await
    };
    for keys in [&[2][..], &[2, 2], &[5], &[2, 5], &[5, 6]] {
        let reply = try_with(&credits[0], keys).await;
        assert_eq!(reply.refusal(), (400, "lock-signatures".to_owned(), 10_001), "{keys:?}");
    }
    try_with(&credits[0], &[4, 2]).await.ok();
    mint.wait_secs(101);
    let after = payer.outputs(&[16]);
    let inputs = [signed(&credits[1], &[5]), signed(&credits[2], &[3, 4])];
    mint.post("/v1/swap", &swap(&inputs, &after)).await.ok();
}

/// NUT-14: the preimage and the receiver's key, or after the time the sender's.
#[tokio::test]
async fn a_hash_is_opened_by_its_preimage() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let lock = Lock {
        keys: vec![key(2).public_key()],
        locktime: Some(mint.now().secs() + 100),
        refund_keys: vec![key(3).public_key()],
        ..Lock::to_hash(Sha256::digest([9; 32]).into())
    };
    let credits = locked(&mint, &mut payer, &[8, 8], &lock).await;
    let outputs = payer.outputs(&[8]);
    let [one, two] = [&credits[0], &credits[1]];
    for (witness, reject) in [
        (htlc::open(&one.secret, &[8; 32], Some(&key(2))), "lock-preimage"),
        (htlc::open(&one.secret, &[9; 32], None), "lock-signatures"),
        (htlc::open(&one.secret, &[9; 32], Some(&key(3))), "lock-signatures"),
        (p2pk::sign(&one.secret, &key(3)), "lock-preimage"),
    ] {
        let reply = mint.post("/v1/swap", &swap(&[with(one, &*witness)], &outputs)).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), 10_001), "{witness}");
    }
    let opened = with(one, htlc::open(&one.secret, &[9; 32], Some(&key(2))));
    mint.post("/v1/swap", &swap(&[opened], &outputs)).await.ok();
    mint.wait_secs(101);
    let outputs = payer.outputs(&[8]);
    mint.post("/v1/swap", &swap(&[with(two, p2pk::sign(&two.secret, &key(3)))], &outputs)).await.ok();
    mint.audit();
}

/// A signature of everything: other outputs, another order, another quote or another credit make it worthless.
#[tokio::test]
async fn sig_all_covers_the_whole_swap() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let lock = Lock { flag: SigFlag::All, ..Lock::to_key(key(2).public_key()) };
    let mut inputs = locked(&mint, &mut payer, &[8, 4], &lock).await;
    let plain = payer.funded(&mint, &[4]).await;
    let (outputs, thief) = (payer.outputs(&[8, 4]), payer.outputs(&[8, 4]));
    inputs[0].witness = Some(p2pk::sign_all(&inputs, &outputs.messages, None, &key(2)));
    let before = mint.snapshot(&inputs).await;
    let mut turned = outputs.clone();
    turned.messages.swap(0, 1);
    for outputs in [&thief, &turned] {
        let reply = mint.post("/v1/swap", &swap(&inputs, outputs)).await;
        assert_eq!(reply.refusal(), (400, "lock-signatures".to_owned(), 10_001));
    }
    let mixed = [inputs[0].clone(), plain[0].clone()];
    let reply = mint.post("/v1/swap", &swap(&mixed, &outputs)).await;
    assert_eq!(reply.refusal(), (400, "lock-mixed".to_owned(), 10_001));
    let mut each = inputs.clone();
    for input in &mut each {
        input.witness = Some(p2pk::sign(&input.secret, &key(2)));
    }
    let reply = mint.post("/v1/swap", &swap(&each, &outputs)).await;
    assert_eq!(
        reply.refusal(),
        (400, "lock-signatures".to_owned(), 10_001),
        "signing each is not signing all"
    );
    assert_eq!(mint.snapshot(&inputs).await, before);
    mint.post("/v1/swap", &swap(&inputs, &outputs)).await.ok();
}

#[tokio::test]
async fn sig_all_covers_the_whole_melt() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let lock = Lock { flag: SigFlag::All, ..Lock::to_key(key(2).public_key()) };
    let mut inputs = locked(&mint, &mut payer, &[8, 4], &lock).await;
    let mut quotes = Vec::new();
    for code in ["mine", "the thief's"] {
        let open = json!({ "unit": "sat", "request": CodeId::of_text(code).to_string(), "amount": 9 });
        quotes.push(mint.post("/v1/melt/quote/code", &open).await.ok()["quote"].as_str().unwrap().to_owned());
    }
    let (blanks, thief) = (payer.outputs(&[0, 0]), payer.outputs(&[0, 0]));
    inputs[0].witness = Some(p2pk::sign_all(&inputs, &blanks.messages, Some(&quotes[0]), &key(2)));
    let body = |quote: &str, outputs: &[_]| json!({ "quote": quote, "inputs": inputs, "outputs": outputs });
    let before = mint.snapshot(&inputs).await;
    let stolen: [Value; 3] = [
        body(&quotes[1], &blanks.messages),
        body(&quotes[0], &thief.messages),
        body(&quotes[0], &[blanks.messages[0], blanks.messages[1], thief.messages[0]]),
    ];
    for body in stolen {
        let reply = mint.post("/v1/melt/code", &body).await;
        assert_eq!(reply.refusal(), (400, "lock-signatures".to_owned(), 10_001), "{body}");
    }
    assert_eq!(mint.snapshot(&inputs).await, before);
    let paid = mint.post("/v1/melt/code", &body(&quotes[0], &blanks.messages)).await.ok();
    payer.credits(&blanks, &paid["change"]);
    mint.audit();
}

/// What looks almost like a lock is never a secret that anyone may spend.
#[tokio::test]
async fn no_way_around_a_lock() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let good = Lock::to_key(key(2).public_key()).to_secret("aa").unwrap();
    let body = &good["[\"P2PK\",".len()..good.len() - 1];
    let refund = key(3).public_key();
    let variants: Vec<(String, &str)> = vec![
        (format!(" {good}"), "lock-signatures"),
        (format!("\n[ \"P2PK\" , {body} ]"), "lock-signatures"),
        (format!("[\"\\u0050\\u0032PK\",{body}]"), "lock-signatures"),
        (format!("[\"P2PK\",{body},1]"), "lock-malformed"),
        (format!("[\"P2PK\",{body}"), "lock-malformed"),
        ("[\"P2PK\"]".to_owned(), "lock-malformed"),
        (good.replace("\"data\"", "\"data\":\"00\",\"data\""), "lock-malformed"),
        (good.replace("\"tags\":[]", "\"tags\":[[\"n_sigs\",\"0\"]]"), "lock-malformed"),
        (good.replace("\"tags\":[]", "\"tags\":[[\"sigflag\",\"SIG_NONE\"]]"), "lock-malformed"),
        (good.replace("\"tags\":[]", &format!("\"tags\":[[\"refund\",\"{refund}\"]]")), "lock-signatures"),
        (good.replace("\"tags\":[]", "\"tags\":[[\"locktime\",\"-1\"]]"), "lock-signatures"),
        (
            good.replace("\"tags\":[]", "\"tags\":[[\"locktime\",\"1\"],[\"locktime\",\"1\"]]"),
            "lock-malformed",
        ),
    ];
    let (secrets, rejects): (Vec<String>, Vec<&str>) = variants.into_iter().unzip();
    let outputs = payer.chosen_outputs(&vec![1; secrets.len()], &secrets);
    let credits = payer.funded_as(&mint, &outputs).await;
    let before = mint.snapshot(&credits).await;
    let outputs = payer.outputs(&[1]);
    for (credit, reject) in credits.iter().zip(rejects) {
        let reply = mint.post("/v1/swap", &swap(std::slice::from_ref(credit), &outputs)).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), 10_001), "{}", credit.secret);
    }
    assert_eq!(mint.snapshot(&credits).await, before);
}
