//! Requests that two servers could read differently: each is refused or forwarded in one plain form.

use crate::support::{gate, mirror, raw, status};

const HEAD: &str = "Host: shop.example\r\nConnection: close\r\n";

#[tokio::test]
async fn what_has_two_readings_is_refused() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    let cases: [(&str, String); 17] = [
        ("two lengths", format!("POST / HTTP/1.1\r\n{HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")),
        ("a list of lengths", format!("POST / HTTP/1.1\r\n{HEAD}Content-Length: 1, 2\r\n\r\nab")),
        ("a signed length", format!("POST / HTTP/1.1\r\n{HEAD}Content-Length: +1\r\n\r\na")),
        (
            "an unknown coding",
            format!("POST / HTTP/1.1\r\n{HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "chunked not last",
            format!("POST / HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        ),
        ("chunks in 1.0", format!("POST / HTTP/1.0\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("a folded line", format!("GET / HTTP/1.1\r\n{HEAD}X-A: 1\r\n 2\r\n\r\n")),
        ("space before the colon", format!("GET / HTTP/1.1\r\n{HEAD}X-A : 1\r\n\r\n")),
        ("space in a name", format!("GET / HTTP/1.1\r\n{HEAD}X A: 1\r\n\r\n")),
        ("a bare CR", format!("GET / HTTP/1.1\r\n{HEAD}X-A: 1\rX-B: 2\r\n\r\n")),
        ("a NUL", format!("GET / HTTP/1.1\r\n{HEAD}X-A: 1\0\r\n\r\n")),
        ("no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned()),
        ("two hosts", format!("GET / HTTP/1.1\r\n{HEAD}Host: shop.example\r\n\r\n")),
        ("another host in the target", format!("GET http://bank.example/ HTTP/1.1\r\n{HEAD}\r\n")),
        ("a control character in the path", format!("GET /a%0d%0ab HTTP/1.1\r\n{HEAD}\r\n")),
        ("a target without a slash", format!("GET a HTTP/1.1\r\n{HEAD}\r\n")),
        ("an asterisk", format!("OPTIONS * HTTP/1.1\r\n{HEAD}\r\n")),
    ];
    for (what, request) in cases {
        let answer = raw(gate.address, &request).await;
        assert_eq!(status(&answer), 400, "{what}: {answer}");
    }
}

#[tokio::test]
async fn methods_that_open_tunnels_or_show_headers_are_refused() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    for request in [
        "CONNECT shop.example:443 HTTP/1.1\r\nHost: shop.example:443\r\nConnection: close\r\n\r\n".to_owned(),
        format!("TRACE / HTTP/1.1\r\n{HEAD}Max-Forwards: 0\r\n\r\n"),
    ] {
        let answer = raw(gate.address, &request).await;
        assert!(status(&answer) == 405 && answer.contains("method-refused"), "{answer}");
    }
}

/// RFC 9112, 6.3: chunks win over a length, the length is dropped, and the connection closes.
#[tokio::test]
async fn a_length_beside_chunks_never_reaches_the_upstream() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    for order in [
        "Content-Length: 30\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 30",
    ] {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: shop.example\r\n\r\n";
        let request =
            format!("POST / HTTP/1.1\r\nHost: shop.example\r\n{order}\r\n\r\n1\r\na\r\n0\r\n\r\n{smuggled}");
        let answer = raw(gate.address, request).await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(!answer.contains("content-length: 30") && !answer.contains("smuggled"), "{answer}");
        assert!(answer.contains("transfer-encoding: chunked") && answer.ends_with("\n\na"), "{answer}");
    }
}

#[tokio::test]
async fn equal_lengths_are_one_length() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    let request = format!("POST / HTTP/1.1\r\n{HEAD}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab");
    let answer = raw(gate.address, request).await;
    assert_eq!(answer.matches("\ncontent-length: 2\n").count(), 1, "{answer}");
}

/// A line that ends in a bare LF is read as a line and sent on with CRLF, so that nobody after us reads it otherwise.
#[tokio::test]
async fn bare_line_feeds_are_made_whole() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    let answer = raw(gate.address, format!("GET / HTTP/1.1\n{HEAD}X-A: 1\nX-B: 2\r\n\r\n")).await;
    assert!(status(&answer) == 200 && answer.contains("\nx-a: 1\nx-b: 2\n"), "{answer}");
}

#[tokio::test]
async fn a_broken_chunk_ends_the_request() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    for body in
        ["zz\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "fffffffffffffffff\r\na", "-1\r\na\r\n0\r\n\r\n"]
    {
        let answer =
            raw(gate.address, format!("POST / HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n{body}"))
                .await;
        assert_eq!(status(&answer), 400, "{body:?}: {answer}");
        assert!(answer.contains("request-body-broken"), "{answer}");
    }
}

#[tokio::test]
async fn the_same_host_in_the_target_is_no_harm() {
    let upstream = mirror().await;
    let gate = gate(upstream.address).await;
    let answer = raw(gate.address, format!("GET http://SHOP.example/a?b HTTP/1.1\r\n{HEAD}\r\n")).await;
    assert!(status(&answer) == 200 && answer.contains("GET /a?b\n"), "{answer}");
    let answer = raw(gate.address, "GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&answer), 200, "HTTP/1.0 needs no host: {answer}");
}
