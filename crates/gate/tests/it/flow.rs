//! The paid request between real sockets: what is asked, what is taken and what goes back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support;
use crate::support::bank::{Bank, MINT, signing_key, usd};
use crate::support::pay::{Answer, cashu, credential, gate, get, rules, send};
use crate::support::{raw, raw_upstream, read_until, start, start_service};
use farthing_ecash::Token;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Proxy, ProxyConfig};
use farthing_money::{Amount, Span};
use farthing_wire::PaymentNote;
use farthing_wire::cashu::PaymentRequest;
use farthing_wire::mpp::{self, credit};
use farthing_wire::upstream::Standing;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

#[tokio::test]
async fn a_402_offers_every_dialect_to_programs_and_people() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let answer = get(gate.address, "/paid/x?y=1", "").await;
    assert_eq!((answer.status, answer.header("cache-control")), (402, Some("no-store")), "{answer:?}");
    let requests = answer.all("x-cashu");
    let request = PaymentRequest::decode(requests[0]).unwrap();
    assert_eq!(PaymentRequest::decode(requests[1]).unwrap(), request);
    assert_eq!(
        (request.amount, request.unit.as_deref(), request.mints[0].as_str()),
        (Some(10_000), Some("uusd"), MINT)
    );
    let challenge = &mpp::Challenge::parse_all(&answer.all("www-authenticate"))[0];
    challenge.verify(&[1; 32], bank.time()).unwrap();
    assert_eq!(credit::Request::of(challenge).unwrap().amount, Amount::new(10_000));
    let problem = answer.problem();
    assert_eq!((problem.code.as_str(), problem.status), ("payment-required", 402));
    assert_eq!(problem.type_uri, "https://paymentauth.org/problems/payment-required");
    assert_eq!(problem.extra["price"]["amount"], "10000");
    assert_eq!(problem.extra["challengeId"], challenge.id.as_str());
    assert_eq!(problem.extra["resource"], "http://shop.example/paid/x?y=1");

    let page = get(gate.address, "/paid/x", "Accept: text/html,*/*;q=0.8\r\n").await;
    assert!(page.status == 402 && page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    assert!(page.body.contains("0.01 USD") && page.body.contains("An &lt;article&gt;"), "{page:?}");
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert_eq!(page.all("x-cashu").len(), 2);

    let head = send(gate.address, "HEAD", "/paid/x", "", "").await;
    assert!(head.status == 402 && head.body.is_empty(), "{head:?}");
    assert_eq!(get(gate.address, "/open", "").await.status, 200);
    assert_eq!(get(gate.address, "/paid/free", "").await.status, 200);
    assert_eq!(get(gate.address, "/paid/free", &cashu("cashuBmoney")).await.body.matches("cashu").count(), 0);
    assert_eq!(get(gate.address, "/paid%2Fx", "").await.code(), "path-ambiguous");
}

#[tokio::test]
async fn a_token_buys_the_page_and_a_pass() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let credits = bank.credits(&[8_192, 1_024, 512, 256, 16]);
    let token = Token::new(MINT, usd().unit(), None, credits.clone()).encode();
    let headers =
        format!("{}Farthing-Payment: forged\r\nAuthorization: Basic eA==\r\nCookie: a=1\r\n", cashu(&token));
    let answer = get(gate.address, "/paid/x", &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(bank.taken(), 10_000);
    assert!(credits.iter().all(|credit| bank.state(credit) == "spent"));
    assert_eq!(answer.header("cache-control"), Some("private"));
    assert!(answer.header("x-cashu").is_none(), "no change was due");
    let receipt = answer.receipt();
    assert_eq!(
        (receipt.resource.as_str(), receipt.amount.value(), receipt.dialect.as_str()),
        ("http://shop.example/paid/x", 10_000, "cashu")
    );
    assert_eq!(receipt.pass_until, Some(bank.time().after(Span::from_secs(60))));

    // The upstream saw who paid what, and no money.
    let note = answer.body.lines().find_map(|line| line.strip_prefix("farthing-payment: ")).unwrap();
    let note =
        PaymentNote::verify(note, &signing_key().verifying_key(), bank.time(), Span::from_secs(1)).unwrap();
    assert_eq!((note.payment, note.standing), (receipt.payment.clone(), Standing::Held));
    assert!(
        !answer.body.contains("cashuB")
            && answer.body.contains("authorization: Basic eA==")
            && answer.body.contains("cookie: a=1")
    );

    let pass = answer.header("farthing-pass").unwrap().to_owned();
    let cookie = answer.header("set-cookie").unwrap();
    assert!(
        cookie.starts_with("farthing_pass=") && cookie.contains("Path=/paid/x; Max-Age=60; HttpOnly"),
        "{cookie}"
    );
    for (headers, path, expected) in [
        (format!("Farthing-Pass: {pass}\r\n"), "/paid/x", 200),
        (format!("Farthing-Pass: {pass}\r\n"), "/paid/x?other", 402),
        (format!("Cookie: b=2; farthing_pass={pass}\r\n"), "/paid/x", 200),
        (format!("Farthing-Pass: {pass}\r\n"), "/paid/y", 402),
        (format!("Farthing-Pass: {pass}x\r\n"), "/paid/x", 402),
    ] {
        let again = get(gate.address, path, &headers).await;
        assert_eq!(again.status, expected, "{headers} {path} {again:?}");
        assert!(!again.body.contains(&pass), "the pass went to the upstream");
    }
    assert_eq!(
        send(gate.address, "POST", "/paid/x", &format!("Farthing-Pass: {pass}\r\n"), "").await.status,
        402
    );
    assert_eq!(
        send(gate.address, "HEAD", "/paid/x", &format!("Farthing-Pass: {pass}\r\n"), "").await.status,
        200
    );
    bank.pass_time(Span::from_secs(61));
    assert_eq!(get(gate.address, "/paid/x", &format!("Farthing-Pass: {pass}\r\n")).await.status, 402);
    assert_eq!(bank.taken(), 10_000);
}

#[tokio::test]
async fn too_much_comes_back_as_a_token_that_can_be_spent() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let first = get(gate.address, "/paid/x", &cashu(&bank.token(&[16_384, 4_096]))).await;
    let change = first.header("x-cashu").unwrap().to_owned();
    assert_eq!(Token::decode(&change).unwrap().total(), Some(10_480));
    let second = get(gate.address, "/paid/y", &cashu(&change)).await;
    assert_eq!(second.status, 200, "{second:?}");
    let rest = Token::decode(second.header("x-cashu").unwrap()).unwrap();
    assert_eq!((rest.total(), bank.taken()), (Some(480), 20_000));
}

#[tokio::test]
async fn mpp_gives_change_on_blank_outputs() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let challenge = get(gate.address, "/paid/x", "").await;
    let blanks: Vec<_> = (0..15).map(|_| bank.blank(0)).collect();
    let text = |blank: &(farthing_ecash::BlindedMessage, String, farthing_ecash::SecretKey)| {
        credit::OutputText { amount: 0, id: blank.0.id.to_string(), blinded: blank.0.b_.to_string() }
    };
    let outputs: Vec<_> = blanks.iter().map(text).collect();
    let paid = credential(&challenge, &bank.token(&[16_384]), Some(outputs.clone()));
    let answer = get(gate.address, "/paid/x", &paid).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let receipt = mpp::Receipt::decode(answer.header("payment-receipt").unwrap()).unwrap();
    assert_eq!(receipt.reference, answer.receipt().payment);
    let extra = credit::ReceiptExtra::of(&receipt).unwrap();
    assert_eq!(extra.farthing.as_deref(), answer.header("farthing-receipt"));
    let credits: Vec<_> = extra
        .change
        .iter()
        .zip(&blanks)
        .map(|(signature, (_, secret, r))| {
            let signature = serde_json::from_value(serde_json::to_value(signature).unwrap()).unwrap();
            bank.open(&signature, secret, r)
        })
        .collect();
    let token = Token::new(MINT, usd().unit(), None, credits);
    assert_eq!(token.total(), Some(6_384));
    let refused = get(gate.address, "/paid/y", &cashu(&token.encode())).await;
    assert_eq!(refused.code(), "insufficient", "the change is good, only not enough: {refused:?}");

    // The same again: the same receipt and the same change.
    let again = get(gate.address, "/paid/x", &paid).await;
    assert_eq!((again.status, again.header("payment-receipt")), (200, answer.header("payment-receipt")));

    // Outputs that were signed before cannot be signed again: the change comes as a token instead.
    let fresh = credential(&challenge, &bank.token(&[16_384]), Some(outputs));
    let answer = get(gate.address, "/paid/x", &fresh).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(Token::decode(answer.header("x-cashu").unwrap()).unwrap().total(), Some(6_384));

    // Too few outputs: said before anything is taken.
    let few = credential(&challenge, &bank.token(&[16_384]), Some(vec![text(&bank.blank(0))]));
    let answer = get(gate.address, "/paid/x", &few).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "blank-outputs"));
    assert_eq!(bank.taken(), 20_000);
}

#[tokio::test]
async fn one_credential_sixteen_times_is_one_charge() {
    let bank = Bank::new();
    let (go, asked) = (Arc::new(Semaphore::new(0)), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let upstream = start(Limits::default(), {
        let (go, asked) = (Arc::clone(&go), Arc::clone(&asked));
        move |_: Request<Body>| {
            let (go, asked) = (Arc::clone(&go), Arc::clone(&asked));
            async move {
                asked.fetch_add(1, Ordering::SeqCst);
                go.acquire().await.unwrap().forget();
                Response::new(Body::from("content"))
            }
        }
    })
    .await;
    let config = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
    let gate =
        start_service(Limits::default(), Gate::new(bank.config(rules()), Proxy::new(config).unwrap())).await;
    let headers = cashu(&bank.token(&[8_192, 2_048]));
    let (sender, mut answers) = mpsc::unbounded_channel();
    for _ in 0..16 {
        let (headers, sender, address) = (headers.clone(), sender.clone(), gate.address);
        tokio::spawn(async move { sender.send(get(address, "/paid/x", &headers).await).unwrap() });
    }
    for _ in 0..15 {
        let answer = answers.recv().await.unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (409, "payment-under-way"), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    go.add_permits(1);
    let answer = answers.recv().await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "content"));
    assert_eq!((bank.taken(), asked.load(Ordering::SeqCst)), (10_000, 1));
}

#[tokio::test]
async fn the_same_credential_gets_the_same_answer_while_the_pass_lasts() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let headers = cashu(&bank.token(&[16_384]));
    let first = get(gate.address, "/paid/x", &headers).await;
    bank.pass_time(Span::from_secs(30));
    let second = get(gate.address, "/paid/x", &headers).await;
    assert_eq!((first.status, second.status), (200, 200));
    for name in ["farthing-receipt", "x-cashu", "farthing-pass"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
    let elsewhere = get(gate.address, "/paid/y", &headers).await;
    assert_eq!((elsewhere.status, elsewhere.code().as_str()), (400, "payment-elsewhere"));
    bank.pass_time(Span::from_secs(31));
    let used = get(gate.address, "/paid/x", &headers).await;
    assert_eq!((used.status, used.code().as_str()), (402, "payment-used"));
    assert_eq!(used.all("x-cashu").len(), 2, "with new offers");

    let once = cashu(&bank.token(&[8_192, 2_048]));
    let answer = get(gate.address, "/once/x", &once).await;
    assert!(answer.status == 200 && answer.header("farthing-pass").is_none(), "{answer:?}");
    assert_eq!(get(gate.address, "/once/x", &once).await.code(), "payment-used");
    assert_eq!(bank.taken(), 20_000);
}

#[tokio::test]
async fn a_pass_may_open_all_that_a_rule_prices() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let answer = get(gate.address, "/all/x", &cashu(&bank.token(&[16_384]))).await;
    let pass = format!("Farthing-Pass: {}\r\n", answer.header("farthing-pass").unwrap());
    assert_eq!(get(gate.address, "/all/y", &pass).await.status, 200);

    let answer = get(gate.address, "/any-query/x?a=1", &cashu(&bank.token(&[16_384]))).await;
    let pass = format!("Farthing-Pass: {}\r\n", answer.header("farthing-pass").unwrap());
    assert_eq!(get(gate.address, "/any-query/x?a=2", &pass).await.status, 200);
    assert_eq!(get(gate.address, "/any-query/y?a=1", &pass).await.status, 402);
    assert_eq!(get(gate.address, "/paid/y", &pass).await.status, 402);
}

#[tokio::test]
async fn what_breaks_off_was_delivered_and_comes_again_free() {
    let bank = Bank::new();
    let upstream = raw_upstream(|number, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        let body = if number == 0 { "half" } else { "half and half" };
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{body}").as_bytes())
            .await
            .unwrap();
    })
    .await;
    let gate = gate(&bank, upstream).await;
    let headers = cashu(&bank.token(&[16_384]));
    let first = get(gate.address, "/paid/x", &headers).await;
    assert_eq!((first.body.as_str(), bank.taken()), ("half", 10_000));
    let second = get(gate.address, "/paid/x", &headers).await;
    assert_eq!((second.body.as_str(), bank.taken()), ("half and half", 10_000));
}

#[tokio::test]
async fn a_client_that_leaves_leaves_no_hold() {
    let bank = Bank::new();
    let (sender, mut asked) = mpsc::channel(1);
    let go = Arc::new(Semaphore::new(0));
    let upstream = start(Limits::default(), {
        let go = Arc::clone(&go);
        move |_: Request<Body>| {
            let (go, sender) = (Arc::clone(&go), sender.clone());
            async move {
                let _ = sender.send(()).await;
                go.acquire().await.unwrap().forget();
                Response::new(Body::from("content"))
            }
        }
    })
    .await;
    let config = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
    let gate =
        start_service(Limits::default(), Gate::new(bank.config(rules()), Proxy::new(config).unwrap())).await;
    let credits = bank.credits(&[16_384]);
    let headers = cashu(&Token::new(MINT, usd().unit(), None, credits.clone()).encode());
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    stream
        .write_all(format!("GET /paid/x HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n").as_bytes())
        .await
        .unwrap();
    asked.recv().await.unwrap();
    assert_eq!(bank.state(&credits[0]), "pending");
    drop(stream);
    go.add_permits(10);
    // The upstream delivered: the credential is charged once, and brings the content to whoever asks again.
    let answer = loop {
        let answer = get(gate.address, "/paid/x", &headers).await;
        if answer.status != 409 {
            break answer;
        }
    };
    assert_eq!((answer.status, answer.body.as_str(), bank.taken()), (200, "content", 10_000));
    assert_eq!(bank.state(&credits[0]), "spent");
}

#[tokio::test]
async fn a_streamed_body_buys_one_delivery() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, upstream.address).await;
    let headers = cashu(&bank.token(&[16_384]));
    let request = format!(
        "POST /paid/x HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{headers}\r\n4\r\nbody\r\n0\r\n\r\n"
    );
    let answer = Answer::of(&raw(gate.address, &request).await);
    assert!(answer.status == 200 && answer.body.ends_with("\n\nbody"), "{answer:?}");
    assert_eq!(Answer::of(&raw(gate.address, &request).await).code(), "payment-used");
}

#[tokio::test]
async fn an_axum_router_is_priced_by_the_layer() {
    let bank = Bank::new();
    let router = axum::Router::new()
        .route("/paid/x", axum::routing::get(|| async { "content" }))
        .layer(farthing_gate::GateLayer::new(bank.config(rules())));
    let ask = |headers: Vec<(&str, String)>| {
        let mut request = Request::get("/paid/x").header("host", "shop.example");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        tower::ServiceExt::oneshot(router.clone(), request.body(axum::body::Body::empty()).unwrap())
    };
    assert_eq!(ask(vec![]).await.unwrap().status(), 402);
    let answer = ask(vec![("x-cashu", bank.token(&[16_384]))]).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("farthing-receipt"));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "content");
    assert_eq!(bank.taken(), 10_000);
}
