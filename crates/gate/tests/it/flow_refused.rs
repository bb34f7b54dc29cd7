//! The paid request when it goes wrong: nothing is taken for what is not delivered, and each refusal says why.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support;
use crate::support::bank::{Bank, MINT, usd};
use crate::support::pay::{Answer, cashu, credential, gate, get, send};
use crate::support::{raw, raw_upstream, read_until, start};
use farthing_ecash::Token;
use farthing_gate::Body;
use farthing_gate::serve::Limits;
use farthing_money::Span;
use farthing_wire::mpp;
use http::{Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn what_fails_is_not_charged_and_the_credential_stays_good() {
    let bank = Bank::new();
    let credits = bank.credits(&[16_384]);
    let headers = cashu(&Token::new(MINT, usd().unit(), None, credits.clone()).encode());
    let hangs = raw_upstream(|_, mut stream| async move {
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
    })
    .await;
    let resets = raw_upstream(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
    })
    .await;
    let gone = { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    for (upstream, expected) in [(hangs, 504), (resets, 502), (gone, 502)] {
        let gate = gate(&bank, upstream).await;
        let answer = get(gate.address, "/paid/x", &headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (expected, "upstream-failed"), "{answer:?}");
        assert_eq!((bank.state(&credits[0]), bank.taken()), ("unspent", 0));
    }
    let answers = start(Limits::default(), async |request: Request<Body>| {
        let code: u16 = request.uri().path().rsplit('/').next().unwrap().parse().unwrap();
        let response =
            Response::builder().status(code).header("farthing-receipt", "forged").header("x-upstream", "1");
        response.body(Body::from("upstream's own")).unwrap()
    })
    .await;
    let gate = gate(&bank, answers.address).await;
    for code in [500, 503, 599] {
        let answer = get(gate.address, &format!("/paid/{code}"), &headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream-failed"), "{answer:?}");
        assert!(answer.body.contains("nothing was charged"));
    }
    for code in [302, 404, 410] {
        let answer = get(gate.address, &format!("/paid/{code}"), &headers).await;
        assert_eq!((answer.status, answer.header("farthing-charge")), (code, Some("none")), "{answer:?}");
        assert!(
            answer.header("x-upstream").is_some() && answer.header("farthing-receipt").is_none(),
            "{answer:?}"
        );
    }
    assert_eq!((bank.state(&credits[0]), bank.taken()), ("unspent", 0));
    let answer = get(gate.address, "/paid/200", &headers).await;
    assert_eq!((answer.status, bank.taken()), (200, 10_000));
    assert_eq!(answer.all("farthing-receipt").len(), 1);
    answer.receipt();
}

#[tokio::test]
async fn bad_credentials_are_told_apart_and_nothing_is_taken() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let good = bank.credits(&[16_384]);
    let token = |mint: &str, unit: &str, proofs: Vec<farthing_ecash::Proof>| {
        cashu(&Token::new(mint, unit.parse().unwrap(), None, proofs).encode())
    };
    let with = |change: fn(&mut farthing_ecash::Proof)| {
        let mut proofs = good.clone();
        change(&mut proofs[0]);
        proofs
    };
    let foreign = with(|proof| proof.id = format!("01{}", "a".repeat(64)).parse().unwrap());
    let spent = bank.token(&[16_384]);
    assert_eq!(get(gate.address, "/once/spent", &cashu(&spent)).await.status, 200);
    let (one, two) = (bank.token(&[16_384]), bank.token(&[16_384]));
    let spent_and_new = [Token::decode(&spent).unwrap().proofs, Token::decode(&one).unwrap().proofs].concat();
    let mixed = Token { proofs: spent_and_new, ..Token::decode(&spent).unwrap() };
    let cases: Vec<(&str, u16, String)> = vec![
        ("credential-malformed", 400, cashu("money")),
        ("token-form", 400, cashu(&one[..one.len() / 2])),
        ("token-base64", 400, cashu("cashuB!!!!")),
        ("credential-several", 400, cashu(&one) + &cashu(&two)),
        ("wrong-mint", 400, token("https://other.example", "uusd", foreign.clone())),
        ("keyset-unknown", 400, token(MINT, "uusd", foreign)),
        ("credit-signature", 400, token(MINT, "uusd", with(|proof| proof.secret.push('x')))),
        ("credit-signature", 400, token(MINT, "uusd", with(|proof| proof.amount = 32_768))),
        ("credit-amount", 400, token(MINT, "uusd", with(|proof| proof.amount = 3))),
        ("credit-amount", 400, token(MINT, "uusd", with(|proof| proof.amount = u64::MAX))),
        ("insufficient", 400, cashu(&bank.token(&[8_192]))),
        ("duplicate-credit", 400, token(MINT, "uusd", [good.clone(), good.clone()].concat())),
        ("credit-spent", 400, cashu(&mixed.encode())),
        ("payment-elsewhere", 400, cashu(&spent)),
        ("credential-malformed", 402, "Authorization: Payment e30\r\n".to_owned()),
    ];
    let before = bank.taken();
    for (code, expected, headers) in cases {
        let answer = get(gate.address, "/paid/x", &headers).await;
        assert_eq!((answer.code().as_str(), answer.status), (code, expected), "{answer:?}");
        let problem = answer.problem();
        let text = headers.trim_end().rsplit(' ').next().unwrap();
        assert!(
            problem.next.is_some() && !answer.body.contains(text),
            "a credential is not repeated: {answer:?}"
        );
    }
    assert_eq!((bank.taken(), bank.state(&good[0])), (before, "unspent"));
    let many = bank.token(&[16_384]);
    let long = cashu(&format!("{many}{}", "A".repeat(20_000)));
    assert_eq!(get(gate.address, "/paid/x", &long).await.code(), "credential-too-long");
    assert_eq!(get(gate.address, "/paid/x", &cashu(&many)).await.status, 200);
}

#[tokio::test]
async fn a_challenge_holds_for_its_request_its_body_and_its_time() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let credits = bank.credits(&[16_384]);
    let token = Token::new(MINT, usd().unit(), None, credits.clone()).encode();
    let challenge = send(gate.address, "POST", "/paid/x", "", "order one").await;
    let digest = &mpp::Challenge::parse_all(&challenge.all("www-authenticate"))[0].digest;
    assert_eq!(digest.as_deref(), Some(farthing_wire::digest::content_digest(b"order one").as_str()));
    let paid = credential(&challenge, &token, None);
    let mut forged = challenge.head.clone();
    forged = forged.replace("realm=\"shop.example\"", "realm=\"else.example\"");
    let forged = credential(&Answer { head: forged, status: 402, body: String::new() }, &token, None);
    for (code, method, path, headers, body) in [
        ("challenge-elsewhere", "POST", "/paid/y", &paid, "order one"),
        ("challenge-elsewhere", "PUT", "/paid/x", &paid, "order one"),
        ("challenge-body", "POST", "/paid/x", &paid, "order two"),
        ("challenge-body", "POST", "/paid/x", &paid, ""),
        ("challenge-not-ours", "POST", "/paid/x", &forged, "order one"),
    ] {
        let answer = send(gate.address, method, path, headers, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (402, code), "{answer:?}");
        assert_eq!(bank.state(&credits[0]), "unspent");
    }
    let answer = send(gate.address, "POST", "/paid/x", &paid, "order one").await;
    assert!(answer.status == 200 && answer.body.ends_with("\n\norder one"), "{answer:?}");
    assert!(
        answer.header("farthing-pass").is_none(),
        "what changes things is repeated with its own credential only"
    );
    let again = send(gate.address, "POST", "/paid/x", &paid, "order one").await;
    assert_eq!(again.code(), "payment-used", "what changes things is done once: {again:?}");
    let other = send(gate.address, "POST", "/paid/x", &cashu(&token), "order two").await;
    assert_eq!(other.code(), "payment-elsewhere", "a credential buys one body");
    bank.pass_time(Span::from_secs(301));
    let late = send(
        gate.address,
        "POST",
        "/paid/x",
        &credential(&challenge, &bank.token(&[16_384]), None),
        "order one",
    )
    .await;
    assert_eq!(late.code(), "challenge-expired");
    assert_eq!(bank.taken(), 10_000);
}

#[tokio::test]
async fn a_body_is_not_invited_before_it_is_paid_for() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let head = "POST /paid/x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n";
    let refused = raw(gate.address, format!("{head}\r\n")).await;
    assert!(refused.starts_with("HTTP/1.1 402"), "{refused}");
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    stream.write_all(format!("{head}{}\r\n", cashu(&bank.token(&[16_384]))).as_bytes()).await.unwrap();
    read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"body").await.unwrap();
    read_until(&mut stream, "\n\nbody").await;
}

#[tokio::test]
async fn when_the_writer_is_busy_a_hold_waits_outside_and_a_charge_waits_inside() {
    let bank = Bank::new();
    let waiting = Arc::clone(&bank);
    let upstream = start(Limits::default(), move |_: Request<Body>| {
        waiting.busy.store(3, Ordering::SeqCst);
        async { Response::new(Body::from("content")) }
    })
    .await;
    let gate = gate(&bank, upstream.address).await;
    let headers = cashu(&bank.token(&[16_384]));
    bank.busy.store(1, Ordering::SeqCst);
    let answer = get(gate.address, "/paid/x", &headers).await;
    assert_eq!(
        (answer.status, answer.code().as_str(), answer.header("retry-after")),
        (503, "busy", Some("1"))
    );
    let answer = get(gate.address, "/paid/x", &headers).await;
    assert_eq!((answer.status, answer.body.as_str(), bank.taken()), (200, "content", 10_000));
}

#[tokio::test]
async fn a_preflight_gets_leave_and_no_content() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n";
    let answer = send(gate.address, "OPTIONS", "/paid/x", preflight, "").await;
    assert!(answer.status == 200 && answer.body.is_empty(), "{answer:?}");
    assert_eq!(send(gate.address, "OPTIONS", "/paid/x", "", "").await.status, 402);
}
