//! Who answers there, and whether its issuer shows keys that a wallet accepts.

use farthing_ecash::Keyset;
use farthing_money::Unit;
use farthing_wallet::{Event, HttpRequest, HttpResponse};
use farthing_wire::json;
use serde::Deserialize;
use serde_json::Value;

use super::place::Place;
use super::{Bad, Check, about_url, ask, unreachable};
use crate::config::Config;

/// What a gate says of itself.
#[derive(Deserialize)]
pub(super) struct About {
    /// Who is paid.
    merchant: String,
    /// The issuer's address.
    pub(super) issuer: String,
    /// The key of its receipts.
    pub(super) receipt_key: String,
}

#[derive(Deserialize)]
struct Keysets {
    keysets: Vec<KeysetName>,
}

#[derive(Deserialize)]
struct KeysetName {
    id: String,
    unit: Unit,
    #[serde(default)]
    active: bool,
}

#[derive(Deserialize)]
struct Keys {
    keysets: Vec<Keyset>,
}

impl About {
    /// Asks who is there.
    pub(super) async fn ask<S>(config: &Config, place: &Place, send: &S) -> Check<(Self, String)>
    where
        S: AsyncFn(HttpRequest) -> Event,
    {
        let url = about_url(&place.origin);
        let answer = ask(send, &url).await.map_err(|reason| unreachable(&url, &reason))?;
        let about: Self = read(&url, &answer)?;
        if about.merchant != config.server.merchant {
            let found = format!("expected the merchant {}, got {}", config.server.merchant, about.merchant);
            return Err(Bad::new(
                found,
                "another server answers there, or it runs with another configuration",
            ));
        }
        let found = format!("{} answers for the merchant {}", place.origin, about.merchant);
        Ok((about, found))
    }
}

fn read<T: serde::de::DeserializeOwned>(url: &str, answer: &HttpResponse) -> Check<T> {
    let next = "is it farthing that answers there? what stands in front must pass /.well-known/farthing on";
    if answer.status != 200 {
        return Err(Bad::new(format!("expected 200 from {url}, got {}", answer.status), next));
    }
    let read = json::read(&answer.body, "what the issuer says of itself");
    read.map_err(|error| Bad::new(format!("{url}: {error}"), next))
}

/// Reads the issuer's keysets as a wallet does.
pub(super) async fn keysets<S>(place: &Place, issuer: &str, send: &S) -> Check<((), String)>
where
    S: AsyncFn(HttpRequest) -> Event,
{
    let get = async |path: String| {
        let url = format!("{issuer}{path}");
        let answer = ask(send, &url).await.map_err(|reason| unreachable(&url, &reason))?;
        Ok::<_, Bad>((answer, url))
    };
    let (answer, url) = get("/v1/info".to_owned()).await?;
    let info: Value = read(&url, &answer)?;
    let name = info.get("name").and_then(Value::as_str).unwrap_or("without a name").to_owned();
    let (answer, url) = get("/v1/keysets".to_owned()).await?;
    let list: Keysets = read(&url, &answer)?;
    let unit = place.price.asset().unit();
    let active = list.keysets.iter().find(|keyset| keyset.unit == unit && keyset.active);
    let active = active.ok_or_else(|| {
        Bad::new(
            format!("{issuer} has no active keyset of {unit}"),
            "restart the server; it opens one at its start",
        )
    })?;
    let (answer, url) = get(format!("/v1/keys/{}", active.id)).await?;
    let keys: Keys = read(&url, &answer)?;
    let wrong = |found: String| Bad::new(found, "wallets refuse such keys; what changes them on the way?");
    let keyset = keys.keysets.first().ok_or_else(|| wrong(format!("{url} shows no keyset")))?;
    keyset.check_id().map_err(|error| wrong(format!("{url}: {error}")))?;
    let short: String = active.id.chars().take(16).collect();
    Ok(((), format!("{name}, {unit} keyset {short} with {} keys that fit its id", keyset.keys.len())))
}
