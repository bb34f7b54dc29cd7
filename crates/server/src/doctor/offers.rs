//! The 402 as a payer reads it: its offers can be decoded, cost what the rule says and are not kept by caches.

use farthing_money::Amount;
use farthing_wallet::HttpResponse;
use farthing_wire::cashu::PaymentRequest;
use farthing_wire::header::{WWW_AUTHENTICATE, X_CASHU};
use farthing_wire::mpp::{self, credit};

use super::place::Place;
use super::{Bad, Check};

const STRIPPED: &str = "does a proxy in front remove or shorten it? it must pass headers of 8 KiB";
const OTHER_RULES: &str =
    "the server runs with other prices than this configuration; save the file or restart it";

/// Whether the answer asks for money.
pub(super) fn is_challenge(place: &Place, answer: HttpResponse) -> Check<(HttpResponse, String)> {
    if answer.status == 402 {
        let fields = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        return Ok((answer, format!("402 with {fields} bytes of headers")));
    }
    let found = format!("expected 402 from {}, got {}", place.url, answer.status);
    Err(Bad::new(found, OTHER_RULES))
}

/// Whether caches leave it alone.
pub(super) fn is_not_cached(answer: &HttpResponse) -> Check<((), String)> {
    let field = answer.header("Cache-Control").unwrap_or_default();
    if field.split(',').any(|token| token.trim().eq_ignore_ascii_case("no-store")) {
        return Ok(((), format!("Cache-Control: {field}")));
    }
    let found = format!("expected Cache-Control: no-store on the 402, got {field:?}");
    Err(Bad::new(found, "does a proxy in front change Cache-Control? a cached 402 sells old prices"))
}

/// The Cashu requests.
pub(super) fn cashu(place: &Place, issuer: &str, answer: &HttpResponse) -> Check<((), String)> {
    let fields: Vec<&str> = fields(answer, X_CASHU).collect();
    if fields.is_empty() {
        return Err(Bad::new("expected X-Cashu in the 402, got none", STRIPPED));
    }
    let mut count: usize = 0;
    for field in fields {
        let requests = PaymentRequest::decode_list(field)
            .map_err(|error| Bad::new(format!("X-Cashu cannot be read: {error}"), STRIPPED))?;
        for request in requests {
            let unit = request.unit.unwrap_or_default();
            fits(place, request.amount.map(Amount::from), &unit, "X-Cashu")?;
            names_issuer(&request.mints, issuer, "X-Cashu")?;
            count = count.saturating_add(1);
        }
    }
    Ok((
        (),
        format!("X-Cashu asks for {}, in {count} encoding{}", place.price, if count == 1 { "" } else { "s" }),
    ))
}

/// The MPP challenge.
pub(super) fn mpp(place: &Place, issuer: &str, answer: &HttpResponse) -> Check<((), String)> {
    let fields: Vec<&str> = fields(answer, WWW_AUTHENTICATE).collect();
    let challenges = mpp::Challenge::parse_all(&fields);
    let challenge =
        challenges.iter().find(|challenge| credit::is_credit_charge(challenge)).ok_or_else(|| {
            Bad::new(
                "expected WWW-Authenticate: Payment with method=\"credit\" in the 402, got none",
                STRIPPED,
            )
        })?;
    let request = credit::Request::of(challenge)
        .map_err(|error| Bad::new(format!("the MPP request cannot be read: {error}"), STRIPPED))?;
    fits(place, Some(request.amount), request.currency.as_str(), "WWW-Authenticate")?;
    names_issuer(&request.mints, issuer, "WWW-Authenticate")?;
    Ok(((), format!("WWW-Authenticate asks for {} by method credit", place.price)))
}

fn fields<'a>(answer: &'a HttpResponse, name: &'static str) -> impl Iterator<Item = &'a str> {
    let named = answer.headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str())
}

fn fits(place: &Place, amount: Option<Amount>, unit: &str, field: &str) -> Check<()> {
    let (price, priced) = (place.price.amount(), place.price.asset().unit());
    if amount == Some(price) && unit == priced.as_str() {
        return Ok(());
    }
    let amount = amount.map_or_else(|| "no amount".to_owned(), |amount| amount.to_string());
    Err(Bad::new(format!("expected {price} {priced} in {field}, got {amount} {unit}"), OTHER_RULES))
}

fn names_issuer(mints: &[String], issuer: &str, field: &str) -> Check<()> {
    if mints.iter().any(|mint| mint == issuer) {
        return Ok(());
    }
    let found = format!("expected {field} to name the issuer {issuer}, got {}", mints.join(", "));
    Err(Bad::new(found, "set public_url in [server] to the address by which payers come, and restart"))
}

#[cfg(test)]
mod tests {
    use farthing_money::Asset;

    use super::*;

    const ISSUER: &str = "http://127.0.0.1:8402/mint";

    fn place() -> Place {
        Place {
            origin: "http://127.0.0.1:8402".into(),
            url: "http://127.0.0.1:8402/a".into(),
            path: "/a".into(),
            price: Asset::micro("USD").unwrap().money(Amount::new(10_000)),
            is_sample: false,
        }
    }

    fn answer(headers: &[(&str, String)]) -> HttpResponse {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        HttpResponse { status: 402, headers, body: Vec::new() }
    }

    fn cashu_of(amount: u64, mint: &str) -> String {
        let request = PaymentRequest {
            amount: Some(amount),
            unit: Some("uusd".into()),
            mints: vec![mint.into()],
            ..PaymentRequest::default()
        };
        cashu(&place(), ISSUER, &answer(&[("x-cashu", request.encode_a().unwrap())]))
            .map_or_else(|bad| bad.found, |((), found)| found)
    }

    #[test]
    fn an_offer_costs_what_the_rule_says_and_names_the_issuer() {
        assert_eq!(cashu_of(10_000, ISSUER), "X-Cashu asks for 0.01 USD, in 1 encoding");
        assert_eq!(cashu_of(9_999, ISSUER), "expected 10000 uusd in X-Cashu, got 9999 uusd");
        assert!(cashu_of(10_000, "http://other").starts_with("expected X-Cashu to name the issuer"));
    }

    #[test]
    fn what_a_proxy_took_away_is_missed() {
        let found = |check: Check<((), String)>| check.err().map(|bad| bad.found).unwrap_or_default();
        let bare = answer(&[
            ("www-authenticate", "Basic realm=\"x\"".into()),
            ("cache-control", "max-age=5".into()),
        ]);
        assert_eq!(found(cashu(&place(), ISSUER, &bare)), "expected X-Cashu in the 402, got none");
        assert!(found(mpp(&place(), ISSUER, &bare)).starts_with("expected WWW-Authenticate: Payment"));
        assert!(found(is_not_cached(&bare)).contains("max-age=5"));
        let broken = answer(&[("x-cashu", "creqAnonsense".into())]);
        assert!(found(cashu(&place(), ISSUER, &broken)).starts_with("X-Cashu cannot be read"));
        assert!(is_challenge(&place(), HttpResponse { status: 200, ..bare }).is_err());
    }
}
