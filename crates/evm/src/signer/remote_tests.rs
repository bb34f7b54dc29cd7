//! Real sockets with signers of our own: one that does what it should, and all that lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farthing_channel::{ChainId, SigningKey};
use farthing_money::Amount;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use farthing_channel::Fees;

/// What a signer answers to a method with these parameters; nothing if it hangs.
type Script = Arc<dyn Fn(&str, &Value) -> Option<Value> + Send + Sync>;

struct Stage {
    signer: RemoteSigner,
    asked: Arc<AtomicUsize>,
}

async fn stage(script: Script) -> Stage {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (script, asked) = (Arc::clone(&script), Arc::clone(&counted));
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                loop {
                    let mut part = [0; 4096];
                    let read = stream.read(&mut part).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    bytes.extend(&part[..read]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
                    let Ok(request) = serde_json::from_str::<Value>(body) else { continue };
                    bytes.clear();
                    asked.fetch_add(1, Ordering::SeqCst);
                    let answer = script(request["method"].as_str().unwrap(), &request["params"]);
                    let Some(result) = answer else {
                        std::future::pending::<()>().await;
                        return;
                    };
                    let body = json!({"jsonrpc": "2.0", "id": request["id"], "result": result}).to_string();
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                    stream.write_all((head + &body).as_bytes()).await.unwrap();
                }
            });
        }
    });
    let uri = format!("http://user:secret@{address}/path/key").parse().unwrap();
    let limits = HttpLimits { answer: Duration::from_millis(300), ..RemoteSigner::limits() };
    Stage { signer: RemoteSigner::new(&uri, key().address(), limits).unwrap(), asked }
}

fn key() -> SigningKey {
    SigningKey::from_bytes([1; 32]).unwrap()
}

fn transaction() -> Transaction {
    Transaction {
        chain: ChainId::new(84_532),
        number: 7,
        fees: Fees { most: Amount::new(30_000_000_000), tip: Amount::new(0) },
        gas: 120_000,
        to: Address::from_bytes([5; 20]),
        coin: Amount::new(9),
        input: vec![0xa9, 0x05],
    }
}

fn signed_by(key: &SigningKey, transaction: Transaction) -> SignedTransaction {
    let signature = key.sign(&transaction.digest());
    transaction.signed(&signature).unwrap()
}

fn hex(signed: &SignedTransaction) -> String {
    bytes_to_hex(&signed.bytes)
}

/// Answers the same to everything.
fn always(answer: Value) -> Script {
    Arc::new(move |_, _| Some(answer.clone()))
}

#[tokio::test]
async fn what_is_asked_for_is_signed() {
    let whole = signed_by(&key(), transaction());
    let answers = [json!(hex(&whole)), json!({"raw": hex(&whole), "tx": {"hash": whole.hash.to_string()}})];
    for answer in answers {
        let stage = stage(Arc::new(move |method, params| {
            assert_eq!(method, "eth_signTransaction");
            let expected = json!([{
                "type": "0x2", "chainId": "0x14a34", "from": key().address(),
                "to": "0x0505050505050505050505050505050505050505", "nonce": "0x7", "gas": "0x1d4c0",
                "maxFeePerGas": "0x6fc23ac00", "maxPriorityFeePerGas": "0x0", "value": "0x9", "data": "0xa905",
            }]);
            assert_eq!(*params, expected);
            Some(answer.clone())
        }))
        .await;
        assert_eq!(stage.signer.sign(transaction()).await, Ok(whole.clone()));
    }
}

#[tokio::test]
async fn nothing_else_is_taken() {
    let stranger = SigningKey::from_bytes([2; 32]).unwrap();
    let other = |change: fn(&mut Transaction)| {
        let mut changed = transaction();
        change(&mut changed);
        json!(hex(&signed_by(&key(), changed)))
    };
    let whole = signed_by(&key(), transaction());
    for (answer, expected) in [
        (other(|it| it.to = Address::from_bytes([6; 20])), "another transaction"),
        (other(|it| it.coin = Amount::new(10)), "another transaction"),
        (other(|it| it.number = 8), "another transaction"),
        (other(|it| it.chain = ChainId::new(1)), "another transaction"),
        (other(|it| it.fees.most = Amount::new(30_000_000_001)), "another transaction"),
        (other(|it| it.gas = 120_001), "another transaction"),
        (other(|it| it.input.clear()), "another transaction"),
        (json!(hex(&signed_by(&stranger, transaction()))), "the signature of another account"),
        (json!(format!("{}00", hex(&whole))), "no transaction of its kind"),
        (json!("0x02c0"), "no transaction of its kind"),
        (json!(null), "no transaction of its kind"),
        (json!({"raw": 5}), "no transaction of its kind"),
        (
            json!({"raw": hex(&whole), "tx": {"hash": format!("0x{}", "11".repeat(32))}}),
            "another hash than the transaction has",
        ),
    ] {
        let stage = stage(always(answer.clone())).await;
        let fault = stage.signer.sign(transaction()).await.unwrap_err();
        assert!(matches!(fault, SignFault::Other { got, .. } if got == expected), "{answer}: {fault}");
        let said = fault.to_string();
        assert!(!said.contains("secret") && !said.contains("path") && said.contains("127.0.0.1:"), "{said}");
    }
}

#[tokio::test]
async fn a_signer_that_hangs_is_named_and_left_alone_for_a_moment() {
    let stage = stage(Arc::new(|_, _| None)).await;
    for _ in 0..3 {
        let fault = stage.signer.sign(transaction()).await.unwrap_err();
        assert!(matches!(&fault, SignFault::Silent { cause: NodeError::Slow { .. }, .. }), "{fault}");
        assert!(
            fault.to_string().contains(stage.signer.place().unwrap())
                && !fault.to_string().contains("secret")
        );
    }
    assert_eq!(stage.asked.load(Ordering::SeqCst), 1, "the others did not wait for it");
}

#[tokio::test]
async fn a_signer_says_whether_it_knows_the_account() {
    let knows = stage(always(json!([Address::from_bytes([9; 20]), key().address()]))).await;
    assert_eq!(knows.signer.look().await, Ok(()));
    for answer in [json!([]), json!([Address::from_bytes([9; 20])]), json!(null)] {
        let stage = stage(always(answer)).await;
        let fault = stage.signer.look().await.unwrap_err().to_string();
        assert!(fault.contains(&key().address().to_string()), "{fault}");
    }
}
