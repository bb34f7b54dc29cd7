//! An axum program that charges for one of its own routes, without a proxy.
//!
//! `cargo run -p farthing-server --example axum_layer`, then `curl -i http://127.0.0.1:8402/report`.
#![expect(clippy::print_stdout, reason = "an example tells what to do")]

use std::path::Path;

use axum::Router;
use axum::routing::get;
use farthing_gate::flow::system_clock;
use farthing_server::config::{Config, Origin, Passphrase};
use farthing_server::installation::Installation;
use farthing_server::mount::Mount;
use tokio::net::TcpListener;

const CONFIG: &str = r#"
[server]
data = "./farthing-example"
upstream = "http://127.0.0.1:9" # not used: the routes are our own
merchant = "example"

[[price]]
path = "/report"
amount = "0.05 USD"
pass = "1h"
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config =
        Config::read(CONFIG, Path::new("./farthing.toml")).map_err(|mistakes| format!("{mistakes:?}"))?;
    let passphrase = Passphrase::new("an example, not a secret".to_owned(), "this example")?;
    let installation = Installation::open(&config, &passphrase, system_clock()).await?;
    let listener = TcpListener::bind("127.0.0.1:8402").await?;
    let origin = Origin::of(listener.local_addr()?, false);
    let mount = Mount::new(&config, &installation, &origin)?;

    let app = Router::new()
        .route("/", get(|| async { "free\n" }))
        .route("/report", get(|| async { "worth five cents\n" }))
        .layer(mount.layer)
        .merge(mount.routes);

    println!("try: curl -i {origin}/report");
    axum::serve(listener, app).await?;
    Ok(())
}
