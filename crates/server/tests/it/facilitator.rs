//! The facilitator over HTTP: whom it settles for and in what, how much may be asked in vain, and what is left of a chain
//! that is taken out of the configuration. No node is there: all of it is decided before one is asked.

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use farthing_channel::Address;
use farthing_engine::{Call, CallId, ChainAddress, Command, Facilitate, Movement};
use farthing_gate::Peer;
use farthing_gate::flow::system_clock;
use farthing_gate::limit::{Limiter, WorkLimits};
use farthing_money::{Amount, Asset, Money, Timestamp};
use farthing_server::chains::facilitator_api::{FACILITATOR_PATH, Places, routes};
use farthing_server::chains::{ChainRoom, abandoned};
use farthing_server::config::{Config, Passphrase};
use farthing_server::installation::Installation;
use farthing_wire::x402::Reason;
use serde_json::{Value, json};
use tower::ServiceExt;

const CHAIN: &str = r#"
[[chain]]
id = 84532
nodes = ["http://127.0.0.1:9"]
[[token]]
chain = 84532
address = "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
symbol = "USDC"
name = "USDC"
version = "2"
counts_as = "USD"
"#;
/// Whom we settle for, and somebody else.
const SELLER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const OTHER: &str = "0x90F79bf6EB2c4f870365E785982E1f101E93b906";

/// One asks at once.
const ONE: Places = Places { settling: 1, verifying: 1 };

struct Shop {
    installation: Installation,
    room: Option<ChainRoom>,
}

impl Shop {
    async fn open(folder: &Path, chain: &str) -> Self {
        let data = json!(folder.join("data"));
        let text = format!("[server]\ndata = {data}\nupstream = \"http://127.0.0.1:9\"\n{chain}");
        let config = Config::read(&text, Path::new("farthing.toml")).unwrap();
        let passphrase = Passphrase::new("words".to_owned(), "this test").unwrap();
        let installation = Installation::open(&config, &passphrase, system_clock()).await.unwrap();
        let room = ChainRoom::open(&installation).unwrap();
        Self { installation, room }
    }

    fn room(&self) -> &ChainRoom {
        self.room.as_ref().unwrap()
    }

    fn routes(&self, limiter: &Limiter, places: Places) -> Router {
        let own = self.installation.chain_account.as_ref().unwrap().address();
        let settle_for: [Address; 2] = [SELLER.parse().unwrap(), own];
        routes(self.room(), &settle_for, limiter, places)
    }

    /// A payment for an offer on another chain, which no node has to be asked about.
    fn body(&self, change: impl FnOnce(&mut Value)) -> Value {
        let price = Money::new(Amount::new(1_000), Asset::micro("USD").unwrap());
        let offer = self.room().facilitators().offers(price).remove(0);
        let mut wanted = serde_json::to_value(offer).unwrap();
        wanted["payTo"] = json!(SELLER);
        change(&mut wanted);
        let authorization = json!({
            "from": OTHER, "to": OTHER, "value": "1000", "validAfter": "0", "validBefore": "99999999999",
            "nonce": format!("0x{}", "11".repeat(32)),
        });
        let signature = format!("0x{}{}1b", "22".repeat(32), "33".repeat(32));
        let paid = json!({ "signature": signature, "authorization": authorization });
        let mut accepted = wanted.clone();
        accepted["network"] = json!("eip155:1");
        let payload = json!({ "x402Version": 2, "accepted": accepted, "payload": paid });
        json!({ "x402Version": 2, "paymentPayload": payload, "paymentRequirements": wanted })
    }
}

async fn ask(routes: &Router, peer: &Peer, path: &str, body: &Value) -> Response<Body> {
    let request = Request::post(format!("{FACILITATOR_PATH}{path}")).extension(peer.clone());
    routes.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap()
}

async fn read(response: Response<Body>) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 100_000).await.unwrap()).unwrap()
}

fn peer() -> Peer {
    Peer::new("192.0.2.1:5".parse().unwrap(), false)
}

/// A stranger's token could burn our gas, and a payment to our own account could buy something of our gate as well.
#[tokio::test]
async fn only_listed_accounts_and_tokens_are_settled_and_none_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), CHAIN).await;
    let routes = shop.routes(&Limiter::none(), ONE);
    let own = shop.installation.chain_account.as_ref().unwrap().address().to_string();
    let strange = [
        shop.body(|wanted| wanted["payTo"] = json!(OTHER)),
        shop.body(|wanted| wanted["payTo"] = json!(own)),
        shop.body(|wanted| wanted["asset"] = json!(OTHER)),
    ];
    for path in ["/verify", "/settle"] {
        for body in &strange {
            let refused = ask(&routes, &peer(), path, body).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{path} {body}");
            assert_eq!(read(refused).await["code"], "facilitator-stranger");
        }
    }
    let body = shop.body(|_| ());
    let verified = read(ask(&routes, &peer(), "/verify", &body).await).await;
    assert_eq!(verified["invalidReason"], Reason::NetworkMismatch.as_str());
    let settled = read(ask(&routes, &peer(), "/settle", &body).await).await;
    assert_eq!(settled["errorReason"], Reason::NetworkMismatch.as_str());
}

/// Nothing limited how often a node was asked about payments that are not good.
#[tokio::test]
async fn what_is_asked_in_vain_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), CHAIN).await;
    let body = shop.body(|_| ());
    for (path, other) in [("/verify", "/settle"), ("/settle", "/verify")] {
        // Time stands still, so that nothing comes back.
        let clock = std::sync::Arc::new(|| Timestamp::from_secs(1));
        let limiter = Limiter::new(WorkLimits { per_second: 1, burst: 1 }, clock, vec![]);
        let (routes, peer) = (shop.routes(&limiter, ONE), peer());
        assert_eq!(ask(&routes, &peer, path, &body).await.status(), StatusCode::OK, "{path}");
        let refused = ask(&routes, &peer, other, &body).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{other}");
        assert!(refused.headers().contains_key("retry-after"));
        assert_eq!(read(refused).await["code"], "rate-limited");
    }
}

/// Orders for channels were counted as one payment each, however many rows a claim has.
#[tokio::test]
async fn a_claim_in_vain_counts_by_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), CHAIN).await;
    for (rows, expected) in [(1, StatusCode::OK), (128, StatusCode::TOO_MANY_REQUESTS)] {
        let mut body = shop.body(|wanted| wanted["scheme"] = json!("batch-settlement"));
        body["paymentPayload"]["payload"] = json!({ "type": "claim", "claims": vec![json!({}); rows] });
        let clock = std::sync::Arc::new(|| Timestamp::from_secs(1));
        let limiter = Limiter::new(WorkLimits { per_second: 1, burst: 1_000 }, clock, vec![]);
        let (routes, peer) = (shop.routes(&limiter, ONE), peer());
        let refused = ask(&routes, &peer, "/settle", &body).await;
        assert_eq!(refused.status(), StatusCode::OK);
        assert_eq!(read(refused).await["success"], json!(false));
        // What the connection may try beside that is used up as well, if it is.
        let mut last = StatusCode::OK;
        for _ in 0..3 {
            last = ask(&routes, &peer, "/settle", &body).await.status();
        }
        assert_eq!(last, expected, "{rows} rows");
    }
}

/// Whoever looked at payments waited without bound.
#[tokio::test]
async fn only_so_many_ask_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), CHAIN).await;
    for (path, other, places) in [
        ("/settle", "/verify", Places { settling: 0, verifying: 1 }),
        ("/verify", "/settle", Places { settling: 1, verifying: 0 }),
    ] {
        let (routes, body) = (shop.routes(&Limiter::none(), places), shop.body(|_| ()));
        let busy = ask(&routes, &peer(), path, &body).await;
        assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(busy.headers()["retry-after"], "5");
        assert_eq!(read(busy).await["code"], "busy");
        assert_eq!(ask(&routes, &peer(), other, &body).await.status(), StatusCode::OK, "{other}");
    }
}

/// Calls of a chain that was taken out of the configuration never ended, and nobody said so.
#[tokio::test]
async fn what_a_chain_has_left_behind_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let Shop { installation, room } = Shop::open(folder.path(), CHAIN).await;
    let somebody = ChainAddress::from_bytes([1; 20]);
    let moves = Movement { token: somebody, from: somebody, to: somebody, units: Amount::new(1) };
    let until = Timestamp::from_secs(1);
    let call = Call { chain: 84_532, to: somebody, input: vec![], moves, until, approval: None };
    let facilitate = Facilitate { id: CallId::from_bytes([1; 32]), call };
    installation.writer.execute(Command::Facilitate(facilitate)).await.unwrap();
    assert!(abandoned(&installation).unwrap().is_empty(), "it is configured");
    drop(room);
    installation.close();
    let without = Shop::open(folder.path(), "").await.installation;
    assert_eq!(abandoned(&without).unwrap(), [(84_532, 1)].into());
}
