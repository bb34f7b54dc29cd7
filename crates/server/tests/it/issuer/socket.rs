//! NUT-17 over a real WebSocket.

use std::net::SocketAddr;

use farthing_engine::CodeId;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::support::{Mint, Payer, swap, ys};

type Socket = WebSocketStream<TcpStream>;

async fn serve(mint: &Mint) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, mint.router()).into_future());
    address
}

async fn connect(address: SocketAddr) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async(format!("ws://{address}/v1/ws"), stream).await.unwrap();
    socket
}

async fn say(socket: &mut Socket, text: impl ToString) {
    socket.send(Message::text(text.to_string())).await.unwrap();
}

async fn hear(socket: &mut Socket) -> Value {
    let message = socket.next().await.expect("the socket is open").unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

fn subscribe(id: u64, kind: &str, filters: &[String]) -> Value {
    let params = json!({ "kind": kind, "subId": format!("s{id}"), "filters": filters });
    json!({ "jsonrpc": "2.0", "id": id, "method": "subscribe", "params": params })
}

#[tokio::test]
async fn credits_and_quotes_are_told_as_they_change() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8]).await;
    let address = serve(&mint).await;
    let mut socket = connect(address).await;

    let y = ys(&credits);
    say(&mut socket, subscribe(1, "proof_state", &y)).await;
    let accepted = hear(&mut socket).await;
    assert_eq!(accepted, json!({ "jsonrpc": "2.0", "id": 1, "result": { "status": "OK", "subId": "s1" } }));
    let first = hear(&mut socket).await;
    assert_eq!(
        first["params"],
        json!({ "subId": "s1", "payload": { "Y": y[0], "state": "UNSPENT", "witness": null } })
    );
    let fresh = payer.outputs(&[8]);
    let swapped = mint.post("/v1/swap", &swap(&credits, &fresh)).await.ok();
    let held = payer.credits(&fresh, &swapped["signatures"]);
    let told = hear(&mut socket).await;
    assert_eq!(
        (&told["method"], &told["params"]["payload"]["state"]),
        (&json!("subscribe"), &json!("SPENT"))
    );

    let quote = mint.post("/v1/mint/quote/bolt11", &json!({ "unit": "sat", "amount": 4 })).await.ok();
    let id = quote["quote"].as_str().unwrap().to_owned();
    say(&mut socket, subscribe(2, "bolt11_mint_quote", std::slice::from_ref(&id))).await;
    assert_eq!(hear(&mut socket).await["id"], json!(2));
    assert_eq!(hear(&mut socket).await["params"]["payload"], quote);
    let body = json!({ "quote": id, "outputs": payer.outputs(&[4]).messages });
    mint.post("/v1/mint/bolt11", &body).await.ok();
    assert_eq!(hear(&mut socket).await["params"]["payload"]["state"], json!("ISSUED"));

    let open = json!({ "unit": "sat", "request": CodeId::of_text("c").to_string(), "amount": 8 });
    let melt = mint.post("/v1/melt/quote/code", &open).await.ok();
    let id = melt["quote"].as_str().unwrap().to_owned();
    say(&mut socket, subscribe(3, "code_melt_quote", std::slice::from_ref(&id))).await;
    assert_eq!(hear(&mut socket).await["id"], json!(3));
    assert_eq!(hear(&mut socket).await["params"]["payload"], melt);
    let paid = mint.post("/v1/melt/code", &json!({ "quote": id, "inputs": held })).await.ok();
    assert_eq!(hear(&mut socket).await["params"]["payload"], paid);

    // After unsubscribing the next thing heard is the answer to the next call.
    let leave = |id: u64, sub: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "unsubscribe", "params": { "subId": sub } });
    say(&mut socket, leave(4, "s3")).await;
    assert_eq!(hear(&mut socket).await["result"]["status"], json!("OK"));
    say(&mut socket, leave(5, "s3")).await;
    assert_eq!(hear(&mut socket).await["error"]["code"], json!(-32602));
}

/// Quotes that are paid on a chain are told of before they are written down, and when the chain has ended them.
#[tokio::test]
async fn quotes_on_chains_are_told_as_they_change() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let mut socket = connect(serve(&mint).await).await;
    let quote = super::deposits::quote(&mint, 64).await;
    say(&mut socket, subscribe(1, "evm_mint_quote", &[quote["quote"].as_str().unwrap().to_owned()])).await;
    assert_eq!(hear(&mut socket).await["id"], json!(1));
    assert_eq!(hear(&mut socket).await["params"]["payload"], quote);
    let payment = super::deposits::payment(&mint, &quote, 1).await;
    let paid = super::deposits::pay(&mint, &quote, &payment).await.body;
    assert_eq!(hear(&mut socket).await["params"]["payload"]["quote"], quote["quote"], "it is under way");
    assert_eq!(hear(&mut socket).await["params"]["payload"], paid);
    let outputs = payer.outputs(&[64]);
    let body = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    let minted = mint.post("/v1/mint/evm", &body).await.ok();
    let credits = payer.credits(&outputs, &minted["signatures"]);
    assert_eq!(hear(&mut socket).await["params"]["payload"]["state"], "ISSUED");

    let open = json!({ "unit": "uusd", "request": super::support::chain::PAYER, "amount": 59 });
    let quote = mint.post("/v1/melt/quote/evm", &open).await.ok();
    say(&mut socket, subscribe(2, "evm_melt_quote", &[quote["quote"].as_str().unwrap().to_owned()])).await;
    assert_eq!(hear(&mut socket).await["id"], json!(2));
    assert_eq!(hear(&mut socket).await["params"]["payload"], quote);
    let body = json!({ "quote": quote["quote"], "inputs": credits, "prefer_async": true });
    mint.post("/v1/melt/evm", &body).await.ok();
    assert_eq!(hear(&mut socket).await["params"]["payload"]["state"], "PENDING");
    mint.chain().end_all(super::support::chain::Fate::Settles).await;
    assert_eq!(hear(&mut socket).await["params"]["payload"]["state"], "PAID");
}

#[tokio::test]
async fn nonsense_is_answered_and_the_socket_stays() {
    let mint = Mint::new().await;
    let address = serve(&mint).await;
    let mut socket = connect(address).await;
    let many = vec!["00".repeat(33); 1001];
    let cases = [
        ("nonsense".to_owned(), -32700),
        ("{}".to_owned(), -32700),
        (json!({ "id": 1, "method": "delete" }).to_string(), -32601),
        (subscribe(1, "secrets", &[]).to_string(), -32602),
        (subscribe(1, "cash_mint_quote", &[]).to_string(), -32602),
        (subscribe(1, "proof_state", &["zz".to_owned()]).to_string(), -32602),
        (subscribe(1, "proof_state", &many).to_string(), -32602),
        (subscribe(1, "code_mint_quote", &["00".to_owned()]).to_string(), -32602),
    ];
    for (text, code) in cases {
        say(&mut socket, &text).await;
        assert_eq!(hear(&mut socket).await["error"]["code"], json!(code), "{text}");
    }
    for id in 0..100 {
        say(&mut socket, subscribe(id, "proof_state", &[])).await;
        assert_eq!(hear(&mut socket).await["result"]["status"], json!("OK"));
    }
    say(&mut socket, subscribe(100, "proof_state", &[])).await;
    assert_eq!(hear(&mut socket).await["error"]["code"], json!(-32602), "a connection has its limit");

    // A message beyond the limit ends the connection, and nothing else.
    let long = "x".repeat(200 * 1024);
    let _ = socket.send(Message::text(long)).await;
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close(), "{message}");
    }
    connect(address).await;
}

/// One small message named a paid melt quote hundreds of times, and each time its change was signed anew on the network's
/// own thread: it stood still for half a minute.
#[tokio::test]
async fn a_subscription_costs_what_it_is_worth() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[1 << 10]).await;
    let open = json!({ "unit": "sat", "request": CodeId::of_text("gift").to_string(), "amount": 1 });
    let quote = mint.post("/v1/melt/quote/code", &open).await.ok()["quote"].as_str().unwrap().to_owned();
    let blanks = payer.outputs(&[0; 10]);
    let melt = json!({ "quote": quote, "inputs": credits, "outputs": blanks.messages });
    assert_eq!(mint.post("/v1/melt/code", &melt).await.ok()["change"].as_array().unwrap().len(), 10);
    let mut socket = connect(serve(&mint).await).await;

    say(&mut socket, subscribe(1, "code_melt_quote", &vec![quote; 500])).await;
    assert_eq!(hear(&mut socket).await["result"]["status"], "OK");
    let told = hear(&mut socket).await;
    assert_eq!(
        (&told["params"]["payload"]["state"], &told["params"]["payload"]["change"]),
        (&json!("PAID"), &Value::Null)
    );
    // It was told once: the next thing to hear is the answer to the next message.
    let many: Vec<String> = (0..101).map(|n| format!("{n:032x}")).collect();
    say(&mut socket, subscribe(2, "code_melt_quote", &many)).await;
    let refused = hear(&mut socket).await;
    assert_eq!(refused["error"]["message"], "at most 100 quotes in one subscription");
}
