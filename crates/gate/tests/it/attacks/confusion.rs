//! Confusion of amounts and assets: the same digits in another unit, other spellings of a number, another price.

use farthing_ecash::Token;
use farthing_wire::mpp;
use serde_json::json;

use super::house::HOUSES;
use super::stripping::edited;
use crate::support;
use crate::support::bank::{Bank, MINT, cents, eur, usd};
use crate::support::pay::{cashu, credential, get};

/// Ten thousand of something was enough, whatever it was.
#[tokio::test]
async fn the_same_digits_in_another_unit_are_not_the_price() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::of(&[usd(), eur(), cents()]), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let mut stolen = 0;
        for (asset, said) in [(eur(), eur()), (eur(), usd()), (cents(), cents()), (cents(), usd())] {
            let proofs = bank.credits_in(asset, &[16_384]);
            let token = Token::new(MINT, said.unit(), None, proofs).encode();
            let answer = get(door.address, "/paid/x", &cashu(&token)).await;
            stolen += usize::from(answer.status == 200);
            if !house.falls() {
                assert_eq!(answer.code(), "wrong-unit", "{asset:?} said to be {said:?}: {answer:?}");
            }
        }
        assert_eq!(stolen > 0, house.falls(), "{house:?}: {stolen} in another unit");
        assert_eq!((bank.taken_in(eur()), bank.taken_in(cents())) != (0, 0), house.falls());
    }
}

/// A credit of one keyset passed for one of another: the issuer's keys are its own, but each has one worth.
#[tokio::test]
async fn a_signature_is_worth_what_its_key_is_worth() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::of(&[usd(), eur()]), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let euro = bank.credits_in(eur(), &[16_384]).remove(0);
        let small = bank.credits(&[1]).remove(0);
        let dollars = bank.credits(&[1]).remove(0).id;
        let mut renamed = euro.clone();
        renamed.id = dollars;
        let mut raised = small.clone();
        raised.amount = 16_384;
        for (proof, code) in
            [(renamed, "credit-signature"), (raised, "credit-signature"), (euro, "wrong-unit")]
        {
            let token = Token::new(MINT, usd().unit(), None, [proof]).encode();
            let answer = get(door.address, "/paid/x", &cashu(&token)).await;
            if !house.falls() {
                assert_eq!((answer.status, answer.code().as_str()), (400, code), "{answer:?}");
            }
        }
        assert_eq!(bank.taken() + bank.taken_in(eur()) > 0, house.falls(), "{house:?}");
        assert_eq!(bank.state(&small), "unspent");
    }
}

/// As text, 8 is more than 10000.
#[tokio::test]
async fn amounts_are_numbers() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let answer = get(door.address, "/paid/x", &cashu(&bank.token(&[8]))).await;
        assert_eq!(answer.status == 200, house.falls(), "{house:?}: {answer:?}");
        if !house.falls() {
            assert_eq!(answer.code(), "insufficient");
        }
    }
}

/// The price was read from the challenge that came back, which anyone can write; and in whichever way a number can be
/// written.
#[tokio::test]
async fn a_price_is_what_was_said_and_not_what_comes_back() {
    let spellings = [
        "1",
        "0",
        "-1",
        "+1",
        "00001",
        "1e0",
        "1.0",
        "0x1",
        " 1",
        "1 ",
        "1_0",
        "1,000",
        "",
        "\u{661}",
        "\u{ff11}",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "NaN",
        "Infinity",
    ];
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let challenge = get(door.address, "/dear/x", "").await;
        let mut stolen = Vec::new();
        for amount in spellings {
            let cheaper = edited(&challenge, |challenge| {
                let mut request = challenge.request_json().unwrap();
                request["amount"] = json!(amount);
                challenge.request = encoded(&request);
            });
            let answer = get(door.address, "/dear/x", &credential(&cheaper, &bank.token(&[8]), None)).await;
            if answer.status == 200 {
                stolen.push(amount);
            }
            if !house.falls() {
                assert_eq!(answer.code(), "challenge-not-ours", "{amount:?}: {answer:?}");
            }
        }
        // Other members of it too: the unit, the scale, the asset.
        for member in [
            json!({ "currency": "ueur" }),
            json!({ "methodDetails": { "decimals": 0, "asset": "USD" } }),
            json!({ "mints": ["https://elsewhere.example"] }),
        ] {
            let changed = edited(&challenge, |challenge| {
                let mut request = challenge.request_json().unwrap();
                let object = request.as_object_mut().unwrap();
                object.extend(member.as_object().unwrap().clone());
                challenge.request = encoded(&request);
            });
            let answer = get(door.address, "/dear/x", &credential(&changed, &bank.token(&[8]), None)).await;
            if !house.falls() {
                assert_eq!(answer.code(), "challenge-not-ours", "{member}: {answer:?}");
            }
        }
        assert_eq!(!stolen.is_empty(), house.falls(), "{house:?}: for {stolen:?}");
        assert_eq!(bank.taken() > 0, house.falls());
    }
}

fn encoded(request: &serde_json::Value) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(request.to_string())
}

/// The cheap page's challenge, honestly made, paid the dear page.
#[tokio::test]
async fn a_cheap_challenge_does_not_pay_what_is_dear() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let cheap = get(door.address, "/paid/x", "").await;
        let paid = credential(&cheap, &bank.token(&[16_384]), None);
        let answer = get(door.address, "/dear/x", &paid).await;
        assert_eq!(answer.status == 200, house.falls(), "{house:?}: {answer:?}");
        if !house.falls() {
            assert_eq!((answer.code().as_str(), bank.taken()), ("challenge-elsewhere", 0));
        }
        // Nor a dear page's challenge with the cheap one's request inside.
        let dear = get(door.address, "/dear/x", "").await;
        let inside = mpp::Challenge::parse_all(&cheap.all("www-authenticate")).remove(0);
        let mixed = edited(&dear, |challenge| challenge.request = inside.request.clone());
        let answer = get(door.address, "/dear/x", &credential(&mixed, &bank.token(&[16_384]), None)).await;
        assert_eq!(answer.status == 200, house.falls(), "{house:?}: {answer:?}");
    }
}
