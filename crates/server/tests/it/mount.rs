//! An axum program mounts prices before its own routes, and the issuer's routes beside them.

use std::path::Path;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use farthing_engine::{Call, CallId, ChainAddress, Command, Facilitate, Movement};
use farthing_gate::flow::system_clock;
use farthing_money::{Amount, Timestamp};
use farthing_server::config::{Config, Origin, Passphrase};
use farthing_server::installation::Installation;
use farthing_server::mount::{ABOUT_PATH, ISSUER_PATH, Mount};
use farthing_wire::x402::PaymentRequired;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tower::ServiceExt;

async fn status(app: &Router, path: &str) -> StatusCode {
    let request = Request::get(path).header("host", "shop.example").body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn a_router_charges_for_its_own_routes() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\ndata = {:?}\nupstream = \"http://127.0.0.1:9\"\n[[price]]\npath = \"/report\"\namount = \"0.05 USD\"\n\
         [[pass]]\nname = \"day\"\namount = \"1 USD\"\ncovers = \"/report\"\nlasts = \"1d\"\n",
        folder.path().join("data")
    );
    let config = Config::read(&text, Path::new("farthing.toml")).unwrap();
    let passphrase = Passphrase::new("words".to_owned(), "this test").unwrap();
    let installation = Installation::open(&config, &passphrase, system_clock()).await.unwrap();
    let origin: Origin = "https://shop.example".parse().unwrap();
    let mount = Mount::new(&config, &installation, &origin).unwrap();
    let app = Router::new()
        .route("/", get(|| async { "free" }))
        .route("/report", get(|| async { "worth five cents" }))
        .layer(mount.layer)
        .merge(mount.routes);

    assert_eq!(status(&app, "/").await, StatusCode::OK);
    assert_eq!(status(&app, "/report").await, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(status(&app, "/nothing").await, StatusCode::NOT_FOUND);
    assert_eq!(status(&app, ABOUT_PATH).await, StatusCode::OK);
    // What is sold by ourselves has its price beside the router's own routes.
    assert_eq!(status(&app, "/.well-known/farthing/passes/day").await, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(status(&app, "/.well-known/farthing/passes/year").await, StatusCode::NOT_FOUND);
    assert_eq!(status(&app, &format!("{ISSUER_PATH}/v1/keysets")).await, StatusCode::OK);
}

/// A node of Base Sepolia that knows one block, and says when it is asked for it.
async fn node() -> (String, Arc<Notify>) {
    let asked = Arc::new(Notify::new());
    let told = Arc::clone(&asked);
    let answer = move |Json(question): Json<Value>| async move {
        let result = match question["method"].as_str() {
            Some("eth_chainId") => json!("0x14a34"),
            Some("eth_getBlockByNumber") => {
                told.notify_one();
                let word = format!("0x{}", "11".repeat(32));
                json!({
                    "number": "0x1", "hash": word, "parentHash": word, "timestamp": "0x1", "baseFeePerGas": "0x1",
                })
            }
            _ => json!("0x0"),
        };
        Json(json!({ "jsonrpc": "2.0", "id": question["id"], "result": result }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/", post(answer))).await.unwrap();
    });
    (format!("http://{address}"), asked)
}

/// Went wrong: what was mounted by itself offered no chain, and would have looked after none.
#[tokio::test]
async fn what_is_mounted_has_the_chains_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (node, asked) = node().await;
    let text = format!(
        "[server]\ndata = {:?}\nupstream = \"http://127.0.0.1:9\"\n[[price]]\npath = \"/report\"\namount = \"0.05 USD\"\n\
         [[chain]]\nid = 84532\nnodes = {node:?}\npoll = \"10ms\"\n[[token]]\nchain = 84532\n\
         address = \"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"\nsymbol = \"USDC\"\nname = \"USDC\"\nversion = \"2\"\n\
         counts_as = \"USD\"\n",
        folder.path().join("data")
    );
    let config = Config::read(&text, Path::new("farthing.toml")).unwrap();
    let passphrase = Passphrase::new("words".to_owned(), "this test").unwrap();
    let installation = Installation::open(&config, &passphrase, system_clock()).await.unwrap();
    let origin: Origin = "https://shop.example".parse().unwrap();
    let mount = Mount::new(&config, &installation, &origin).unwrap();
    let app = Router::new()
        .route("/report", get(|| async { "worth five cents" }))
        .layer(mount.layer)
        .merge(mount.routes);

    let request = Request::get("/report").header("host", "shop.example").body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let required = answer.headers()["payment-required"].to_str().unwrap();
    let offers = PaymentRequired::from_header(required).unwrap().accepts;
    assert_eq!((offers[0].network.as_str(), offers[0].amount.as_str()), ("eip155:84532", "50000"));

    // What is in the outbox is looked after, as long as the program has what it mounted.
    let somebody = ChainAddress::from_bytes([1; 20]);
    let moves = Movement { token: somebody, from: somebody, to: somebody, units: Amount::new(1) };
    let call = Call {
        chain: 84_532,
        to: somebody,
        input: vec![],
        moves,
        until: Timestamp::from_secs(9_999_999_999),
        approval: None,
    };
    let facilitate = Facilitate { id: CallId::from_bytes([1; 32]), call };
    installation.writer.execute(Command::Facilitate(facilitate)).await.unwrap();
    asked.notified().await;
    drop(app);
}

/// Every file of a folder, one after the other.
fn bytes(folder: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            bytes(&entry.path(), into);
        } else {
            into.extend(std::fs::read(entry.path()).unwrap());
        }
    }
}

/// What is free is had exactly so often by sixty-four clients at once, and by as many after a restart, on disk; and the folder does
/// not say who had it.
#[tokio::test]
async fn a_quota_is_exact_across_a_restart_and_the_folder_knows_nobody() {
    const KEY: &str = "planted-key-of-a-reader";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = format!(
        "[server]\ndata = {data:?}\nupstream = \"http://127.0.0.1:9\"\n[[price]]\npath = \"/report/*\"\namount = \"0.05 USD\"\n\
         [price.quota]\nfree = 96\nper = \"month\"\nby = \"key\"\n"
    );
    let config = Config::read(&text, Path::new("farthing.toml")).unwrap();
    let passphrase = Passphrase::new("words".to_owned(), "this test").unwrap();
    let origin: Origin = "https://shop.example".parse().unwrap();
    for expected in [64, 32] {
        let clock = Arc::new(|| Timestamp::from_secs(1_800_000_000));
        let installation = Installation::open(&config, &passphrase, clock).await.unwrap();
        let Mount { layer, routes, features } = Mount::new(&config, &installation, &origin).unwrap();
        drop(features);
        let app = Router::new()
            .route("/report/{page}", get(|| async { "worth five cents" }))
            .layer(layer)
            .merge(routes);
        let mut asking = tokio::task::JoinSet::new();
        for page in 0..64 {
            let request = Request::get(format!("/report/{page}")).header("host", "shop.example");
            let request = request.header("x-api-key", KEY).body(Body::empty()).unwrap();
            let app = app.clone();
            asking.spawn(async move { app.oneshot(request).await.unwrap().status() });
        }
        let answers = asking.join_all().await;
        let served = answers.iter().filter(|status| **status == StatusCode::OK).count();
        assert_eq!(served, expected);
        assert!(answers.iter().all(|status| [StatusCode::OK, StatusCode::PAYMENT_REQUIRED].contains(status)));
        assert_eq!(installation.books.quotas_after(None, 10).unwrap().len(), 2, "one asker, let in once");
        drop(app);
        installation.close();
    }
    let mut written = Vec::new();
    bytes(&data, &mut written);
    let contains = |text: &[u8]| written.windows(text.len()).any(|window| window == text);
    assert!(contains(b"quota_keys"), "the search finds what is there");
    assert!(!contains(KEY.as_bytes()) && !contains(&Sha256::digest(KEY)));
}
