//! Prices by what was used, where that is known before the answer goes out: a field, a cost, a place in JSON.

use crate::support;
use crate::support::bank::Bank;
use crate::support::meter::{meter, metered, purse};
use crate::support::pay::{cashu, credential, get};
use crate::support::{Server, raw_upstream, read_until, start};
use farthing_gate::meter::Unread;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Meter};
use farthing_money::Amount;
use farthing_wire::MeterEnd;
use farthing_wire::mpp::{self, credit};
use http::{HeaderName, HeaderValue, Request, Response};
use tokio::io::AsyncWriteExt;

/// An upstream with one answer: these fields, this body. It says in the body what it was asked, if that is `{}`.
async fn answers(fields: &'static [(&'static str, &'static str)], body: &'static str) -> Server {
    start(Limits::default(), move |_: Request<Body>| async move {
        let mut response = Response::new(Body::from(body));
        for (name, value) in fields {
            response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    })
    .await
}

#[tokio::test]
async fn what_a_field_says_is_charged_and_the_rest_comes_back() {
    for (said, charged, counted, end) in [
        ("1500", 3_000, Some(1_500), MeterEnd::Whole),
        ("5000", 10_000, Some(5_000), MeterEnd::Whole),
        ("5001", 10_000, Some(5_001), MeterEnd::Ceiling),
        ("99999999999999999999999999999999999999999", 10_000, Some(u128::MAX), MeterEnd::Ceiling),
        ("0.5", 2, Some(1), MeterEnd::Whole),
    ] {
        let bank = Bank::new();
        let fields: &'static [_] = vec![("x-tokens", said)].leak();
        let upstream = answers(fields, "the page").await;
        let gate = metered(&bank, upstream.address, meter("header X-Tokens", 2_000, 1_000)).await;
        let (credits, token, _) = purse(&bank);
        let answer = get(gate.address, "/x", &cashu(&token)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "the page"), "{answer:?}");
        assert_eq!(
            (bank.taken(), answer.change()),
            (charged, 16_384 - u64::try_from(charged).unwrap()),
            "{said}"
        );
        assert_eq!(answer.receipt().amount.value(), charged);
        assert_eq!((answer.meter().counted, answer.meter().end), (counted, Some(end)));
        assert!(credits.iter().all(|credit| bank.state(credit) == "spent"));
        assert!(answer.header("farthing-pass").is_none(), "it is not opened once more by itself");
        let again = get(gate.address, "/x", &cashu(&token)).await;
        assert_eq!((again.code().as_str(), bank.taken()), ("payment-used", charged));
    }
}

#[tokio::test]
async fn what_cannot_be_counted_costs_what_the_rule_says() {
    for said in ["-1", "many", "1e9", ""] {
        let bank = Bank::new();
        let fields: &'static [_] = vec![("x-tokens", said)].leak();
        let upstream = answers(fields, "the page").await;
        let tokens = meter("header X-Tokens", 2_000, 1_000);
        let gate = metered(&bank, upstream.address, tokens.clone()).await;
        let (credits, token, _) = purse(&bank);
        let answer = get(gate.address, "/x", &cashu(&token)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "the page"), "{answer:?}");
        assert_eq!(
            (answer.header("farthing-charge"), answer.meter().end),
            (Some("none"), Some(MeterEnd::Unread))
        );
        assert!(bank.taken() == 0 && credits.iter().all(|credit| bank.state(credit) == "unspent"));

        let most = Meter { unread: Unread::Most, ..tokens.clone() };
        let gate = metered(&bank, upstream.address, most).await;
        assert_eq!(get(gate.address, "/x", &cashu(&token)).await.change(), 6_384);
        assert_eq!(bank.taken(), 10_000, "the same credits pay, since nothing was taken before");

        let least = Meter { least: Amount::new(7), ..tokens };
        let gate = metered(&bank, upstream.address, least).await;
        let (_, token, _) = purse(&bank);
        assert_eq!(get(gate.address, "/x", &cashu(&token)).await.receipt().amount.value(), 7);
    }
}

#[tokio::test]
async fn the_upstreams_own_cost_is_charged_of_credits_too() {
    let bank = Bank::new();
    let upstream = answers(&[("farthing-cost", "0.0042 USD")], "the page").await;
    let gate = metered(&bank, upstream.address, meter("cost", 1, 1)).await;
    let (_, token, _) = purse(&bank);
    let answer = get(gate.address, "/x", &cashu(&token)).await;
    assert_eq!((answer.status, bank.taken(), answer.change()), (200, 4_200, 12_184), "{answer:?}");
    assert!(answer.header("farthing-cost").is_none(), "that is between us and the upstream");
}

#[tokio::test]
async fn a_place_in_json_is_charged() {
    const USAGE: &str = r#"{"text":"..","usage":{"total_tokens":1234}}"#;
    for (fields, body, charged, end) in [
        (&[][..], USAGE, 2_468, MeterEnd::Whole),
        (&[("content-encoding", "identity")], USAGE, 2_468, MeterEnd::Whole),
        (&[("content-encoding", "gzip")], USAGE, 5, MeterEnd::Unread),
        (&[], r#"{"usage":{}}"#, 5, MeterEnd::Unread),
        (&[], r#"{"usage":{"total_tokens":-4}}"#, 5, MeterEnd::Unread),
        (&[], "<html>", 5, MeterEnd::Unread),
        (&[], "", 5, MeterEnd::Unread),
    ] {
        let bank = Bank::new();
        let upstream = answers(fields, body).await;
        let usage = meter("json usage.total_tokens", 2_000, 1_000);
        let gate = metered(&bank, upstream.address, Meter { least: Amount::new(5), ..usage }).await;
        let (_, token, _) = purse(&bank);
        let answer = get(gate.address, "/x", &cashu(&token)).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{answer:?}");
        assert_eq!((bank.taken(), answer.meter().end), (charged, Some(end)), "{body}");
        assert_eq!(answer.change(), 16_384 - u64::try_from(charged).unwrap());
    }
}

#[tokio::test]
async fn what_is_counted_in_text_is_asked_for_whole_and_plain() {
    let bank = Bank::new();
    let upstream = support::mirror().await;
    let gate = metered(&bank, upstream.address, meter("json n", 1, 1)).await;
    let (_, token, _) = purse(&bank);
    let fields = "Accept-Encoding: gzip, br\r\nRange: bytes=0-1\r\nIf-Range: x\r\nUpgrade: websocket\r\n";
    let answer = get(gate.address, "/x", &format!("{}{fields}", cashu(&token))).await;
    assert!(answer.body.contains("accept-encoding: identity\n"), "{answer:?}");
    for gone in ["range", "websocket", "gzip"] {
        assert!(!answer.body.contains(gone), "{gone} {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_too_long_to_read_goes_out_whole_and_uncounted() {
    let bank = Bank::new();
    let upstream = answers(&[], r#"{"n":5,"pad":"0123456789012345678901234567890123456789"}"#).await;
    let short = Meter { read_most: 20, least: Amount::new(3), ..meter("json n", 100, 1) };
    let gate = metered(&bank, upstream.address, short).await;
    let (_, token, _) = purse(&bank);
    let answer = get(gate.address, "/x", &cashu(&token)).await;
    assert!(answer.body.ends_with("789\"}") && answer.body.starts_with("{\"n\":5"), "{answer:?}");
    assert_eq!((bank.taken(), answer.meter().end), (3, Some(MeterEnd::Unread)));
}

#[tokio::test]
async fn an_answer_that_breaks_off_before_it_was_counted_costs_nothing() {
    let bank = Bank::new();
    let upstream = raw_upstream(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"n\":5,").await.unwrap();
    })
    .await;
    let gate = metered(&bank, upstream, meter("json n", 100, 1)).await;
    let (credits, token, _) = purse(&bank);
    let answer = get(gate.address, "/x", &cashu(&token)).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream-failed"), "{answer:?}");
    assert!(bank.taken() == 0 && credits.iter().all(|credit| bank.state(credit) == "unspent"));
}

#[tokio::test]
async fn blank_outputs_have_room_for_all_that_may_come_back() {
    let bank = Bank::new();
    let upstream = answers(&[("x-tokens", "1")], "the page").await;
    let gate = metered(&bank, upstream.address, meter("header X-Tokens", 2_001, 1)).await;
    let challenge = get(gate.address, "/x", "").await;
    let problem = challenge.problem();
    assert_eq!(
        (problem.extra["meter"]["count"].as_str(), challenge.meter().per),
        (Some("header x-tokens"), 1)
    );
    assert!(problem.detail.contains("0.01 USD at the most"), "{problem:?}");
    let asked = mpp::Challenge::parse_all(&challenge.all("www-authenticate"));
    assert!(credit::Request::of(&asked[0]).unwrap().method_details.metered);

    let blanks: Vec<_> = (0..14).map(|_| bank.blank(0)).collect();
    let outputs: Vec<_> = blanks
        .iter()
        .map(|(blank, ..)| credit::OutputText {
            amount: 0,
            id: blank.id.to_string(),
            blinded: blank.b_.to_string(),
        })
        .collect();
    let (credits, token, _) = purse(&bank);
    let few = credential(&challenge, &token, Some(outputs[..13].to_vec()));
    let answer = get(gate.address, "/x", &few).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "blank-outputs"), "{answer:?}");
    assert!(credits.iter().all(|credit| bank.state(credit) == "unspent"));

    let answer = get(gate.address, "/x", &credential(&challenge, &token, Some(outputs))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let receipt = mpp::Receipt::decode(answer.header("payment-receipt").unwrap()).unwrap();
    let change = credit::ReceiptExtra::of(&receipt).unwrap().change;
    assert_eq!(change.iter().map(|part| part.amount).sum::<u64>(), 16_384 - 2_001);
    assert_eq!((bank.taken(), answer.header("x-cashu")), (2_001, None));
}
