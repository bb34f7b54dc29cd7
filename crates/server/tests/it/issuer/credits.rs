//! Credits that are refused: forged, spent, of another key, of another unit, twice, in other letters.

use farthing_ecash::{KeysetId, Proof, PublicKey, SecretKey};
use serde_json::{Value, json};

use super::support::{Mint, Payer, swap, ys};

fn with(credit: &Proof, change: impl FnOnce(&mut Proof)) -> Proof {
    let mut changed = credit.clone();
    change(&mut changed);
    changed
}

#[tokio::test]
async fn forged_and_foreign_credits_are_refused() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let mut dollars = Payer::of(&mint, "uusd", 2).await;
    let [eight, four]: [Proof; 2] = payer.funded(&mint, &[8, 4]).await.try_into().unwrap();
    let foreign = dollars.funded(&mint, &[8]).await;
    let spent = payer.funded(&mint, &[8]).await;
    payer.swapped(&mint, &spent, &[8]).await;

    let key = |amount| payer.keyset.key(amount).unwrap();
    let mut negative = eight.c.to_bytes();
    negative[0] ^= 1;
    let negative = PublicKey::from_bytes(&negative).unwrap();
    let own_key = SecretKey::from_bytes([5; 32]).unwrap().public_key();
    let (sats, usd) = (payer.keyset.id, dollars.keyset.id);
    let unknown = KeysetId::V1([0; 8]);
    let edge = |amount: u64| with(&eight, |p| p.amount = amount);
    let long = with(&eight, |p| p.secret = "x".repeat(1_025));
    let cases: Vec<(Vec<Proof>, &[u64], &str, u64)> = vec![
        (vec![with(&eight, |p| p.secret.push('x'))], &[8], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.secret = "\0".to_owned())], &[8], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.secret = String::new())], &[8], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.c = own_key)], &[8], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.c = key(8))], &[8], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.c = p.y().point())], &[8], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.c = negative)], &[8], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.c = four.c)], &[8], "credit-signature", 10_001),
        (vec![edge(16)], &[16], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.id = usd)], &[8], "credit-signature", 10_001),
        (vec![with(&foreign[0], |p| p.id = sats)], &[8], "credit-signature", 10_001),
        (vec![with(&eight, |p| p.id = unknown)], &[8], "keyset-unknown", 12_001),
        (vec![eight.clone(), foreign[0].clone()], &[16], "wrong-unit", 11_010),
        (vec![foreign[0].clone()], &[8], "wrong-unit", 11_010),
        (vec![long], &[8], "credit-secret-length", 10_001),
        (vec![eight.clone(), eight.clone()], &[16], "duplicate-credit", 11_007),
        (
            vec![eight.clone(), with(&eight, |p| p.witness = Some("{}".to_owned()))],
            &[16],
            "duplicate-credit",
            11_007,
        ),
        (spent.clone(), &[8], "credit-spent", 11_001),
        (vec![eight.clone(), spent[0].clone()], &[16], "credit-spent", 11_001),
        (vec![eight.clone()], &[8, 1], "unbalanced", 11_005),
        (vec![eight.clone()], &[4], "unbalanced", 11_005),
        (vec![edge(0), eight.clone()], &[8], "credit-amount", 10_001),
        (vec![edge(3)], &[2, 1], "credit-amount", 10_001),
        (vec![edge(u64::MAX)], &[u64::MAX], "credit-amount", 10_001),
        (vec![edge(1 << 63), edge(1 << 63)], &[1 << 63, 1 << 63], "credit-amount", 10_001),
        (vec![edge(u64::MAX), edge(9)], &[8], "unbalanced", 11_005),
        (vec![eight.clone()], &[u64::MAX, 9], "unbalanced", 11_005),
    ];
    let all = [eight.clone(), four, foreign[0].clone(), spent[0].clone()];
    let before = mint.snapshot(&all).await;
    for (inputs, amounts, reject, number) in cases {
        let outputs = payer.outputs(amounts);
        let reply = mint.post("/v1/swap", &swap(&inputs, &outputs)).await;
        assert_eq!(reply.refusal(), (400, reject.to_owned(), number), "{inputs:?} {amounts:?}");
        let restored = mint.post("/v1/restore", &json!({ "outputs": outputs.messages })).await.ok();
        assert_eq!(restored["signatures"], json!([]), "no signature leaks from a refusal");
    }
    assert_eq!(mint.snapshot(&all).await, before);
    payer.swapped(&mint, &[eight], &[8]).await;
    mint.audit();
}

/// What went wrong elsewhere: letters in another case made a second credit of a spent one.
#[tokio::test]
async fn upper_case_makes_no_second_credit() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8]).await;
    let first = payer.outputs(&[8]);
    let upper = |outputs: &super::support::Outputs| {
        let mut body = swap(&credits, outputs);
        for pointer in ["/inputs/0/C", "/inputs/0/id", "/outputs/0/B_", "/outputs/0/id"] {
            let member = body.pointer_mut(pointer).unwrap();
            *member = json!(member.as_str().unwrap().to_uppercase());
        }
        body
    };
    let lower = mint.post("/v1/swap", &swap(&credits, &first)).await;
    lower.ok();
    assert_eq!(mint.post("/v1/swap", &upper(&first)).await, lower, "the same request in other letters");
    let again = mint.post("/v1/swap", &upper(&payer.outputs(&[8]))).await;
    assert_eq!(again.refusal(), (400, "credit-spent".to_owned(), 11_001));
    let y = ys(&credits)[0].to_uppercase();
    assert_eq!(mint.states(&[y]).await, ["SPENT"]);
    let capital = Proof { secret: credits[0].secret.to_uppercase(), ..credits[0].clone() };
    let other = mint.post("/v1/swap", &swap(&[capital], &payer.outputs(&[8]))).await;
    assert_eq!(
        other.refusal(),
        (400, "credit-signature".to_owned(), 10_001),
        "another secret is another credit"
    );

    let mut twice = swap(&credits, &payer.outputs(&[8]));
    let copy: Value = twice["outputs"][0].clone();
    twice["outputs"][0]["amount"] = json!(4);
    twice["outputs"].as_array_mut().unwrap().push(copy);
    twice["outputs"][1]["amount"] = json!(4);
    twice["outputs"][1]["B_"] = json!(twice["outputs"][1]["B_"].as_str().unwrap().to_uppercase());
    let fresh = payer.funded(&mint, &[8]).await;
    twice["inputs"] = json!(fresh);
    let doubled = mint.post("/v1/swap", &twice).await;
    assert_eq!(doubled.refusal(), (400, "duplicate-output".to_owned(), 11_008));
    mint.audit();
}

/// NUL bytes and any other text are a secret like another.
#[tokio::test]
async fn any_text_is_a_secret() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let secrets = ["\0", "a\0b", "", "ü€😀", "[\"P2SH\",{}]", "{}"].map(str::to_owned);
    let secrets = [secrets.to_vec(), vec!["x".repeat(1_024)]].concat();
    let outputs = payer.chosen_outputs(&vec![1; secrets.len()], &secrets);
    let credits = payer.funded_as(&mint, &outputs).await;
    let total = u64::try_from(secrets.len()).unwrap();
    payer.swapped(&mint, &credits, &payer.keyset.split(total).unwrap()).await;
    assert_eq!(mint.states(&ys(&credits)).await, vec!["SPENT"; credits.len()]);
}
