//! Pay what you want: the payer names the amount, in `Farthing-Amount: 0.25 USD` or in the address as
//! `?farthing_amount=0.25+USD`, as the form of our own page does. The upstream sees neither.

use farthing_money::{Asset, Money};
use farthing_wire::header;
use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;
use thiserror::Error;

/// The parameter of an address that names the amount.
pub(crate) const PARAMETER: &str = "farthing_amount";

/// An amount that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum NamedRefusal {
    #[error("the amount is not one: expected such as {expected}, got something else")]
    Malformed { expected: Money },
    #[error("at least {least} is asked for, {got} was named")]
    Below { least: Money, got: Money },
    #[error("the amount is named twice, and differently; name it once")]
    Several,
}

impl NamedRefusal {
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "amount-malformed",
            Self::Below { .. } => "amount-below-least",
            Self::Several => "amount-twice",
        }
    }
}

/// The amount that a request names.
pub(super) fn of(parts: &Parts, least: Money) -> Option<Result<Money, NamedRefusal>> {
    let fields = parts.headers.get_all(header::FARTHING_AMOUNT).iter();
    let fields = fields.map(|value| value.to_str().unwrap_or_default().to_owned());
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    let parameters = pairs.filter_map(|pair| pair.split_once('=')).filter(|(name, _)| *name == PARAMETER);
    let mut texts = fields.chain(parameters.map(|(_, value)| unescape(value)));
    let text = texts.next()?;
    if texts.any(|other| other != text) {
        return Some(Err(NamedRefusal::Several));
    }
    let Some(amount) = parse(&text, least.asset()) else {
        return Some(Err(NamedRefusal::Malformed { expected: least }));
    };
    if amount.amount() < least.amount() {
        return Some(Err(NamedRefusal::Below { least, got: amount }));
    }
    Some(Ok(amount))
}

/// `0.25 USD` or `0.25`, which is meant in the asset of the price.
fn parse(text: &str, asset: Asset) -> Option<Money> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?;
    if words.next().is_some_and(|code| code != asset.code().as_str()) || words.next().is_some() {
        return None;
    }
    let money = Money::from_decimal(number, asset).ok()?;
    money.amount().to_u64().map(|_| money)
}

/// Of what a form writes into an address, what an amount can have.
fn unescape(text: &str) -> String {
    text.replace('+', " ").replace("%20", " ").replace("%2E", ".").replace("%2e", ".")
}

/// A query without the amount.
pub(super) fn without(query: &str) -> String {
    let is_other = |pair: &&str| pair.split_once('=').is_none_or(|(name, _)| name != PARAMETER);
    query.split('&').filter(is_other).collect::<Vec<_>>().join("&")
}

/// Takes the amount out of a request.
pub(super) fn remove(parts: &mut Parts) {
    parts.headers.remove(header::FARTHING_AMOUNT);
    let Some(query) = parts.uri.query().filter(|query| query.contains(PARAMETER)) else { return };
    let rest = without(query);
    let path = parts.uri.path();
    let text = if rest.is_empty() { path.to_owned() } else { format!("{path}?{rest}") };
    let Ok(path_and_query) = text.parse::<PathAndQuery>() else { return };
    let mut uri = parts.uri.clone().into_parts();
    uri.path_and_query = Some(path_and_query);
    if let Ok(uri) = Uri::from_parts(uri) {
        parts.uri = uri;
    }
}

#[cfg(test)]
mod tests {
    use farthing_money::Amount;
    use http::Request;

    use super::*;

    fn usd(micros: u128) -> Money {
        Asset::micro("USD").unwrap().money(Amount::new(micros))
    }

    fn parts(uri: &str, fields: &[&str]) -> Parts {
        let request = fields
            .iter()
            .fold(Request::get(uri), |request, value| request.header(header::FARTHING_AMOUNT, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn an_amount_is_named_once_and_not_below_the_floor() {
        let of = |uri, fields: &[&str]| of(&parts(uri, fields), usd(10_000));
        assert_eq!(of("/a", &[]), None);
        assert_eq!(of("/a", &["0.25 USD"]), Some(Ok(usd(250_000))));
        assert_eq!(of("/a?farthing_amount=0.25+USD", &["0.25 USD"]), Some(Ok(usd(250_000))));
        assert_eq!(of("/a?b=1&farthing_amount=0.01", &[]), Some(Ok(usd(10_000))));
        let below = Some(Err(NamedRefusal::Below { least: usd(10_000), got: usd(9_999) }));
        assert_eq!(of("/a", &["0.009999 USD"]), below);
        assert_eq!(of("/a?farthing_amount=1+USD", &["2 USD"]), Some(Err(NamedRefusal::Several)));
        for bad in ["", "1 EUR", "-1 USD", "1 USD USD", "0.0000001 USD", "much", "99999999999999999999 USD"] {
            assert_eq!(
                of("/a", &[bad]),
                Some(Err(NamedRefusal::Malformed { expected: usd(10_000) })),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_upstream_sees_no_amount() {
        for (uri, expected) in [
            ("/a?farthing_amount=1", "/a"),
            ("/a?b=1&farthing_amount=1+USD&c=%2F", "/a?b=1&c=%2F"),
            ("/a?farthing_amounts=1", "/a?farthing_amounts=1"),
            ("/a", "/a"),
        ] {
            let mut parts = parts(uri, &["1 USD"]);
            remove(&mut parts);
            assert_eq!(parts.uri.to_string(), expected);
            assert!(parts.headers.is_empty());
        }
    }
}
