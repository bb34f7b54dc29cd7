//! Real sockets with answers of our own: what is asked again elsewhere, what is believed, and what is never shown.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What a server does with one request, given the method of JSON-RPC and the id.
type Script = Arc<dyn Fn(&str, u64) -> Option<String> + Send + Sync>;

/// A node that answers by a script; `None` means that it says nothing at all.
async fn serve(script: Script) -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let script = Arc::clone(&script);
            tokio::spawn(async move {
                let mut bytes = vec![0; 64 * 1024];
                let mut filled = 0;
                loop {
                    let read = stream.read(&mut bytes[filled..]).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    filled += read;
                    let text = String::from_utf8_lossy(&bytes[..filled]).into_owned();
                    let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
                    let Ok(request) = serde_json::from_str::<Value>(body) else { continue };
                    filled = 0;
                    let method = request["method"].as_str().unwrap();
                    let Some(answer) = script(method, request["id"].as_u64().unwrap()) else {
                        std::future::pending::<()>().await;
                        return;
                    };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    format!("http://user:secret@{address}/v3/key").parse().unwrap()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn result(id: u64, result: &Value) -> String {
    ok(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string())
}

fn error(id: u64, code: i64, message: &str) -> String {
    ok(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).to_string())
}

fn chain_of(number: u64) -> Script {
    Arc::new(move |method, id| match method {
        "eth_chainId" => Some(result(id, &json!(format!("{number:#x}")))),
        "eth_getBalance" => Some(result(id, &json!(format!("{:#x}", number + 1)))),
        "eth_call" => Some(error(id, 3, "execution reverted: no")),
        "eth_sendRawTransaction" => Some(error(id, -32_000, "already known")),
        _ => Some(error(id, -32_601, "unknown method")),
    })
}

fn limits() -> HttpLimits {
    HttpLimits { answer: Duration::from_millis(300), bytes: 10_000, ..HttpLimits::default() }
}

fn node(chain: u64, addresses: &[Uri]) -> HttpNode {
    HttpNode::new(ChainId::new(chain), addresses, limits()).unwrap()
}

fn trial() -> Trial {
    Trial { from: Address::ZERO, to: Address::ZERO, input: vec![] }
}

#[tokio::test]
async fn the_first_that_answers_is_asked() {
    let good = serve(chain_of(7)).await;
    let gone: Uri = "http://127.0.0.1:1".parse().unwrap();
    let node = node(7, &[gone.clone(), good]);
    assert_eq!(node.balance(Address::ZERO).await, Ok(Amount::new(8)));
    assert_eq!(node.preferred.load(Ordering::Relaxed), 1, "and first the next time");
    assert_eq!(node.chain_id().await, Ok(ChainId::new(7)));
    let alone = HttpNode::new(ChainId::new(7), &[gone], limits()).unwrap();
    assert!(matches!(alone.head().await, Err(NodeError::Unreachable { .. })));
    let nowhere = HttpNode::new(ChainId::new(7), &[], limits()).unwrap();
    assert!(matches!(nowhere.head().await, Err(NodeError::Unreachable { .. })));
}

#[tokio::test]
async fn a_node_of_another_chain_is_not_believed() {
    let other = serve(chain_of(8)).await;
    let error = node(7, std::slice::from_ref(&other)).balance(Address::ZERO).await.unwrap_err();
    assert!(matches!(error, NodeError::Lying { .. }), "{error}");
    assert!(error.to_string().contains("eip155:8"), "{error}");
    let good = serve(chain_of(7)).await;
    assert_eq!(node(7, &[other, good]).balance(Address::ZERO).await, Ok(Amount::new(8)));
}

/// Went wrong: what was believed once was believed for as long as it answered, also when its address led to the node of
/// another chain meanwhile.
#[tokio::test]
async fn a_node_that_comes_to_be_of_another_chain_is_believed_no_more() {
    let names = Arc::new(AtomicU64::new(7));
    let shown = Arc::clone(&names);
    let script: Script = Arc::new(move |method, id| match method {
        "eth_chainId" => Some(result(id, &json!(format!("{:#x}", shown.load(Ordering::Relaxed))))),
        _ => Some(result(
            id,
            &json!({
                "number": "0x1", "hash": format!("0x{}", "11".repeat(32)), "timestamp": "0x1",
                "baseFeePerGas": "0x1", "parentHash": format!("0x{}", "10".repeat(32)),
            }),
        )),
    });
    let node = node(7, &[serve(script).await]);
    assert_eq!(node.head().await.unwrap().number, 1);
    names.store(8, Ordering::Relaxed);
    let error = node.head().await.unwrap_err();
    assert!(error.to_string().contains("eip155:8"), "{error}");
    assert!(
        matches!(node.balance(Address::ZERO).await, Err(NodeError::Lying { .. })),
        "whatever it is asked"
    );
    names.store(7, Ordering::Relaxed);
    assert_eq!(node.head().await.unwrap().number, 1);
}

#[tokio::test]
async fn silence_ends_and_keys_are_not_shown() {
    let silent = serve(Arc::new(|_, _| None)).await;
    let node = node(7, &[silent]);
    let error = node.head().await.unwrap_err();
    assert!(matches!(error, NodeError::Slow { .. }), "{error}");
    for text in [error.to_string(), format!("{node:?}")] {
        assert!(!text.contains("secret") && !text.contains("key"), "{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_a_lie() {
    for (answer, what) in [
        (ok("{}"), "neither result nor id"),
        (ok("<html>"), "no JSON"),
        (result(99, &json!("0x7")), "another question's"),
        (ok(&"a".repeat(20_000)), "too long"),
        ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\nno".to_owned(), "a proxy's"),
        ("HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\n\r\n".to_owned(), "too much"),
    ] {
        let address = serve(Arc::new(move |_, _| Some(answer.clone()))).await;
        let error = node(7, &[address]).head().await.unwrap_err();
        assert!(error.is_fault(), "{what}: {error}");
    }
}

#[tokio::test]
async fn refusals_are_answers() {
    let node = node(7, &[serve(chain_of(7)).await, serve(chain_of(7)).await]);
    let reverted = node.call(trial()).await.unwrap_err();
    assert!(reverted.revert().is_some() && !reverted.is_fault());
    assert_eq!(node.send(vec![1]).await, Ok(()), "known already is as good");
    let refused =
        node.logs(LogFilter { from: 0, to: 1, contract: Address::ZERO, topics: vec![], third: vec![] }).await;
    assert!(matches!(refused, Err(NodeError::Refused { code: -32_601, .. })));
    assert_eq!(node.preferred.load(Ordering::Relaxed), 0, "nobody else was asked");
}

#[tokio::test]
async fn what_is_not_there_is_nothing() {
    let script: Script = Arc::new(|method, id| {
        let answer = if method == "eth_chainId" { json!("0x7") } else { Value::Null };
        Some(result(id, &answer))
    });
    let node = node(7, &[serve(script).await]);
    let hash = TxHash::from_bytes([1; 32]);
    assert_eq!(node.receipt(hash).await, Ok(None));
    assert_eq!(node.block(1).await, Ok(None));
    assert_eq!(node.sent(hash).await, Ok(None));
    assert!(matches!(node.head().await, Err(NodeError::Lying { .. })), "there is always a newest block");
}
