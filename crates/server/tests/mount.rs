//! An axum program mounts prices before its own routes, and the issuer's routes beside them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use farthing_gate::flow::system_clock;
use farthing_server::config::{Config, Origin, Passphrase};
use farthing_server::installation::Installation;
use farthing_server::mount::{ABOUT_PATH, ISSUER_PATH, Mount};
use tower::ServiceExt;

async fn status(app: &Router, path: &str) -> StatusCode {
    let request = Request::get(path).header("host", "shop.example").body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn a_router_charges_for_its_own_routes() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[server]\ndata = {:?}\nupstream = \"http://127.0.0.1:9\"\n[[price]]\npath = \"/report\"\namount = \"0.05 USD\"\n",
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
    assert_eq!(status(&app, &format!("{ISSUER_PATH}/v1/keysets")).await, StatusCode::OK);
}
