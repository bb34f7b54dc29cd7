//! The proxy between real sockets: what streams, what passes, and what an upstream can do wrong.

use std::time::Duration;

use crate::support;
use crate::support::{gate, gate_with, get, mirror, raw, raw_upstream, read_until, start, status};
use bytes::Bytes;
use farthing_gate::proxy::Timeouts;
use farthing_gate::serve::Limits;
use farthing_gate::{Body, ProxyConfig};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, channel::Channel};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const HEAD: &str = "Host: shop.example\r\n";

#[tokio::test]
async fn both_bodies_stream() {
    let upstream =
        start(Limits::default(), async |request: Request<Body>| Response::new(request.into_body())).await;
    let gate = gate(upstream.address).await;
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    let head = format!("POST /echo HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in ["first", "second", "third!"] {
        stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.unwrap();
        read_until(&mut stream, piece).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    read_until(&mut stream, "0\r\n\r\n").await;
}

#[tokio::test]
async fn events_are_not_held_back() {
    let (first, mut events) = mpsc::channel::<mpsc::Sender<Bytes>>(1);
    let upstream = start(Limits::default(), move |_| {
        let first = first.clone();
        async move {
            let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
            first.send(sender).await.unwrap();
            let (mut body_sender, body) = Channel::<Bytes, std::convert::Infallible>::new(1);
            tokio::spawn(async move {
                while let Some(event) = receiver.recv().await {
                    body_sender.send_data(event).await.unwrap();
                }
            });
            Response::builder().header("content-type", "text/event-stream").body(Body::boxed(body)).unwrap()
        }
    })
    .await;
    let gate = gate(upstream.address).await;
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    stream.write_all(format!("GET /events HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
    let sender = events.recv().await.unwrap();
    read_until(&mut stream, "text/event-stream").await;
    for event in ["data: one\n\n", "data: two\n\n"] {
        sender.send(Bytes::from(event)).await.unwrap();
        read_until(&mut stream, event).await;
    }
}

#[tokio::test]
async fn the_upstream_sees_the_request_and_who_sent_it() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    let headers = "Accept: text/html\r\nRange: bytes=0-1\r\nCookie: a=1\r\nX-Forwarded-For: 6.6.6.6\r\n\
        Farthing-Payment: forged\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
        Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n";
    let answer = get(gate.address, "/a//b/%7E?q=%20&r", headers).await;
    let expected = "\r\n\r\nGET /a//b/%7E?q=%20&r\n\
        accept: text/html\n\
        cookie: a=1\n\
        host: shop.example\n\
        range: bytes=0-1\n\
        te: trailers\n\
        x-forwarded-for: 127.0.0.1\n\
        x-forwarded-host: shop.example\n\
        x-forwarded-proto: http\n\n";
    assert!(answer.ends_with(expected), "{answer}");
}

#[tokio::test]
async fn the_answer_passes_without_what_belongs_to_the_connection() {
    let upstream = raw_upstream(|_, mut stream| async move {
        let request = read_until(&mut stream, "\r\n\r\n").await;
        let body = if request.starts_with("HEAD") { "" } else { "ab" };
        let head = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\nETag: \"x\"\r\n\
            Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n";
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    })
    .await;
    let gate = gate(upstream).await;
    let answer = get(gate.address, "/file", "Range: bytes=0-1\r\n").await.to_ascii_lowercase();
    for line in [
        "206 partial content",
        "content-range: bytes 0-1/9",
        "etag: \"x\"",
        "set-cookie: a=1",
        "set-cookie: b=2",
    ] {
        assert!(answer.contains(line), "{line}\n{answer}");
    }
    assert!(
        answer.ends_with("\r\n\r\nab") && !answer.contains("x-hop") && !answer.contains("keep-alive"),
        "{answer}"
    );
    let head = raw(gate.address, format!("HEAD /file HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n")).await;
    assert!(head.contains("content-length: 2") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn websockets_are_tunnelled_and_http_in_a_tunnel_is_not() {
    let upstream = raw_upstream(|_, mut stream| async move {
        let request = read_until(&mut stream, "\r\n\r\n").await.to_ascii_lowercase();
        assert!(
            request.contains("upgrade: websocket") && request.contains("connection: upgrade"),
            "{request}"
        );
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Accept: x\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    })
    .await;
    let gate = gate(upstream).await;
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    let head = format!(
        "GET /socket HTTP/1.1\r\n{HEAD}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "hello").await.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101") && answer.contains("upgrade: websocket"), "{answer}");
    stream.write_all(b"ping").await.unwrap();
    read_until(&mut stream, "ping").await;
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "the end passes through");

    let mirror = mirror().await;
    let plain = support::gate(mirror.address).await;
    let answer = get(
        plain.address,
        "/",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n",
    )
    .await;
    assert!(
        status(&answer) == 200 && !answer.contains("upgrade") && !answer.contains("http2-settings"),
        "{answer}"
    );
}

#[tokio::test]
async fn an_upstream_that_switches_unasked_is_refused() {
    let upstream = raw_upstream(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let answer = get(gate(upstream).await.address, "/", "").await;
    assert_eq!(status(&answer), 502, "{answer}");
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let upstream = raw_upstream(|_, mut stream| async move {
        let request = read_until(&mut stream, "x-sum: up\r\n\r\n").await;
        assert!(request.contains("trailer: X-Sum"), "{request}");
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: down\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let gate = gate(upstream).await;
    let request = format!(
        "POST / HTTP/1.1\r\n{HEAD}Connection: close\r\nTE: trailers\r\nTrailer: X-Sum\r\n\
         Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: up\r\n\r\n"
    );
    let answer = raw(gate.address, request).await;
    assert!(answer.ends_with("0\r\nx-sum: down\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn a_body_is_invited_only_when_it_is_wanted() {
    let refuse =
        start(Limits::default(), async |_| Response::builder().status(402).body(Body::empty()).unwrap())
            .await;
    let request = format!(
        "POST / HTTP/1.1\r\n{HEAD}Connection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    );
    let answer = raw(refuse.address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 402"), "{answer}");

    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read_until(&mut stream, "HTTP/1.1 100 Continue\r\n\r\n").await;
    stream.write_all(b"body").await.unwrap();
    let answer = read_until(&mut stream, "\n\nbody").await;
    assert!(status(&answer) == 200 && !answer.contains("expect"), "{answer}");
}

#[tokio::test]
async fn http_2_comes_in() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    let stream = TcpStream::connect(gate.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://Shop.example/x?y=1").header("cookie", "a=1").header("cookie", "b=2");
    let answer = sender.send_request(request.body(Full::new(Bytes::from("body"))).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = String::from_utf8(answer.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let expected = "POST /x?y=1\ncontent-length: 4\ncookie: a=1; b=2\nhost: Shop.example\nx-forwarded-for: 127.0.0.1\n\
        x-forwarded-host: Shop.example\nx-forwarded-proto: http\n\nbody";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn connections_to_the_upstream_are_kept_and_a_closed_one_is_replaced() {
    let (count, mut connections) = mpsc::unbounded_channel();
    let upstream = raw_upstream(move |number, mut stream| {
        let count = count.clone();
        async move {
            count.send(number).unwrap();
            for _ in 0..2 {
                read_until(&mut stream, "\r\n\r\n").await;
                let body = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
                stream.write_all(body.as_bytes()).await.unwrap();
            }
            // The third request finds the connection closed without an answer.
            read_until(&mut stream, "\r\n\r\n").await;
        }
    })
    .await;
    let gate = gate(upstream).await;
    for expected in ["0", "0", "1"] {
        let answer = get(gate.address, "/", "").await;
        assert!(answer.ends_with(expected), "{answer}");
    }
    assert_eq!((connections.recv().await, connections.recv().await), (Some(0), Some(1)));
}

#[tokio::test]
async fn an_upstream_that_fails_is_told_apart() {
    let hangs = raw_upstream(|_, mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let resets = raw_upstream(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
    })
    .await;
    let babbles = raw_upstream(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"220 ready for mail\r\n\r\n").await.unwrap();
    })
    .await;
    let gone = { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
    for (upstream, code, says) in [
        (gone, 502, "cannot connect"),
        (hangs, 504, "did not answer within"),
        (resets, 502, "closed the connection"),
        (babbles, 502, "not good HTTP"),
    ] {
        let mut config = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
        config.timeouts = Timeouts { answer: Duration::from_millis(200), ..Timeouts::default() };
        let gate = gate_with(config, Limits::default()).await;
        let answer = get(gate.address, "/", "").await;
        assert_eq!(status(&answer), code, "{answer}");
        assert!(answer.contains("\"upstream-failed\"") && answer.contains(says), "{answer}");
        assert!(answer.contains("nothing was charged") && answer.contains("no-store"), "{answer}");
    }
}

#[tokio::test]
async fn a_slow_upload_is_not_a_slow_upstream() {
    let upstream = mirror().await;
    let mut config = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
    config.timeouts = Timeouts {
        answer: Duration::from_millis(1_500),
        silence: Duration::from_secs(1),
        ..Timeouts::default()
    };
    let gate = gate_with(config, Limits::default()).await;
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    stream.write_all(format!("POST / HTTP/1.1\r\n{HEAD}Content-Length: 6\r\n\r\n").as_bytes()).await.unwrap();
    let mut tick = tokio::time::interval(Duration::from_millis(400));
    for piece in ["a", "b", "c", "d", "e", "f"] {
        tick.tick().await;
        stream.write_all(piece.as_bytes()).await.unwrap();
    }
    let answer = read_until(&mut stream, "\n\nabcdef").await;
    assert_eq!(status(&answer), 200);

    let request = format!("POST / HTTP/1.1\r\n{HEAD}Content-Length: 6\r\n\r\nabc");
    let answer = raw(gate.address, request).await;
    assert!(status(&answer) == 408 && answer.contains("request-body-slow"), "{answer}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_seen_to_break_off() {
    let upstream = raw_upstream(|number, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        let framing = if number == 0 { "Content-Length: 9" } else { "Transfer-Encoding: chunked" };
        let body = if number == 0 { "part" } else { "4\r\npart\r\n" };
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}").as_bytes()).await.unwrap();
    })
    .await;
    let gate = gate(upstream).await;
    for _ in 0..2 {
        let answer = get(gate.address, "/", "").await;
        assert!(answer.contains("part") && !answer.contains("0\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn when_the_client_leaves_the_upstream_is_told() {
    let (gone, mut left) = mpsc::channel(1);
    let upstream = raw_upstream(move |_, mut stream| {
        let gone = gone.clone();
        async move {
            let head = read_until(&mut stream, "\r\n\r\n").await;
            gone.send(head.len()).await.unwrap();
            assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
            gone.send(0).await.unwrap();
        }
    })
    .await;
    let gate = gate(upstream).await;
    let mut stream = TcpStream::connect(gate.address).await.unwrap();
    stream.write_all(format!("GET / HTTP/1.1\r\n{HEAD}\r\n").as_bytes()).await.unwrap();
    assert_ne!(left.recv().await, Some(0));
    drop(stream);
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), left.recv()).await, Ok(Some(0)));
}
