//! Which page the doctor asks for, and what it should cost.

use farthing_gate::{Price, Target};
use farthing_money::Money;
use http::{Method, Uri};

use super::{Bad, Check};
use crate::config::Config;

/// A page with a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Scheme, host and port.
    pub(super) origin: String,
    /// The whole address.
    pub(super) url: String,
    /// Path and query.
    pub(super) path: String,
    /// What it costs.
    pub(super) price: Money,
    /// Whether the path is only made up to fit a pattern.
    pub(super) is_sample: bool,
}

impl Place {
    /// The page that is asked for, or else the first that has a price.
    pub(super) fn find(config: &Config, target: Option<&str>) -> Check<(Self, String)> {
        let place = match target {
            Some(text) => Self::named(config, text)?,
            None => Self::first(config)?,
        };
        let found = format!("{} costs {}", place.url, place.price);
        Ok((place, found))
    }

    fn named(config: &Config, text: &str) -> Check<Self> {
        let form = || {
            let found = format!("expected a URL or a path, got {text:?}");
            Bad::new(found, "write such as https://example.com/articles/one or /articles/one")
        };
        let uri: Uri = text.parse().map_err(|_| form())?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let (origin, host) = match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                (format!("{scheme}://{authority}"), authority.host().to_ascii_lowercase())
            }
            (None, None) => own_origin(config)?,
            _ => return Err(form()),
        };
        let price = price(config, &host, uri.path()).ok_or_else(|| {
            let found = format!("{text} has no price");
            Bad::new(found, format!("`farthing price explain {text}` says which rule wins"))
        })?;
        Ok(Self { url: format!("{origin}{path}"), origin, path, price, is_sample: false })
    }

    /// The first page with a price that a GET can ask for; one that is written out before one that fits a pattern.
    fn first(config: &Config) -> Check<Self> {
        let (origin, host) = own_origin(config)?;
        let paths = || config.rules.iter().map(|rule| rule.path_pattern().as_str());
        let plain = paths().filter(|path| !path.contains('*')).map(|path| (path.to_owned(), false));
        let made_up = paths()
            .filter(|path| path.contains('*'))
            .map(|path| (path.replace("**", "doctor").replace('*', "doctor"), true));
        let priced = |(path, is_sample): (String, bool)| {
            let price = price(config, &host, &path)?;
            Some(Self { url: format!("{origin}{path}"), origin: origin.clone(), path, price, is_sample })
        };
        plain.chain(made_up).find_map(priced).ok_or_else(|| {
            let found = format!("no rule prices anything that GET asks for on {host}");
            Bad::new(found, "add a [[price]] with a path and an amount, or name a URL")
        })
    }
}

/// Where payers reach this server, and its host.
fn own_origin(config: &Config) -> Check<(String, String)> {
    if config.server.public_url.is_none() && config.server.listen.port() == 0 {
        let next =
            "set public_url in [server], or name the whole URL: farthing doctor http://127.0.0.1:PORT/page";
        return Err(Bad::new("the port is chosen by the system when the server starts", next));
    }
    let origin = config.server.origin(config.server.listen);
    Ok((origin.to_string(), origin.host().to_owned()))
}

fn price(config: &Config, host: &str, path: &str) -> Option<Money> {
    let target = Target::new(host, path).ok()?;
    match config.rules.choose(&Method::GET, &target).ok()??.rule.price() {
        Price::Free => None,
        Price::Paid { amount } => Some(amount),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn find(rules: &str, listen: &str, target: Option<&str>) -> Result<(String, String, bool), String> {
        let text = format!("[server]\nlisten = \"{listen}\"\nupstream = \"http://127.0.0.1:3000\"\n{rules}");
        let config = Config::read(&text, Path::new("farthing.toml")).unwrap();
        let found = Place::find(&config, target);
        found.map(|(place, _)| (place.url, place.price.to_string(), place.is_sample)).map_err(|bad| bad.found)
    }

    const RULES: &str = "[[price]]\npath = \"/a/**\"\namount = \"0.01 USD\"\n[[price]]\npath = \"/b\"\namount = \"0.02 USD\"\n[[free]]\npath = \"/a/free\"\n";

    #[test]
    fn a_page_that_is_written_out_goes_first() {
        let found = |rules, target| find(rules, "127.0.0.1:8402", target);
        let page = ("http://127.0.0.1:8402/b".to_owned(), "0.02 USD".to_owned(), false);
        assert_eq!(found(RULES, None), Ok(page));
        let pattern = "[[price]]\npath = \"/a/**\"\namount = \"0.01 USD\"\n";
        let page = ("http://127.0.0.1:8402/a/doctor".to_owned(), "0.01 USD".to_owned(), true);
        assert_eq!(found(pattern, None), Ok(page));
        let page = ("http://127.0.0.1:8402/a/x?q=1".to_owned(), "0.01 USD".to_owned(), false);
        assert_eq!(found(RULES, Some("/a/x?q=1")), Ok(page));
        let page = ("https://shop.example/b".to_owned(), "0.02 USD".to_owned(), false);
        assert_eq!(found(RULES, Some("https://shop.example/b")), Ok(page));
    }

    #[test]
    fn what_has_no_price_is_said() {
        let found = |target| find(RULES, "127.0.0.1:8402", target).unwrap_err();
        assert_eq!(found(Some("/a/free")), "/a/free has no price");
        assert!(found(Some("a b")).starts_with("expected a URL or a path"));
        assert!(find("", "127.0.0.1:8402", None).unwrap_err().starts_with("no rule prices anything"));
        assert!(find(RULES, "127.0.0.1:0", None).unwrap_err().starts_with("the port is chosen"));
    }
}
