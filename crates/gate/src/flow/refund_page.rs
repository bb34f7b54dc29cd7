//! Where people get payments back: a page that lists what their browser has paid for, with one button each.
//!
//! The browser shows its payments by cookies that we have signed; a form names which of them is meant. Nothing is looked up that
//! no cookie shows, and looking changes nothing. A cookie comes along whoever has made a browser send a form, so only forms of
//! this very site are taken.

use std::cmp::Reverse;
use std::sync::Arc;

use farthing_engine::{Fault, PaymentId, PaymentState, Refusal, item_name};
use farthing_money::Timestamp;
use farthing_wire::{PASSES_PATH, Pass, RefundCookie, header};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::Shared;
use super::give_back::{Credits, Denied, Given, Wanted, available, came_as_token};
use crate::body::Body;
use crate::limit::Work;
use crate::own_header;
use crate::page::{FORM_POLICY, GivenPage, NotGivenPage, Paid, RefundsPage, Standing, locale, prefers_html};
use crate::peer::Peer;

/// Cookies of payments that are checked in one request: about as many as browsers keep of a site.
const COOKIES_MAX: usize = 192;
/// Payments that are looked up in one request.
const PAYMENTS_MAX: usize = 32;
/// What is repeated of a field of a browser that is refused.
const SHOWN_MAX: usize = 64;

const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// Whether a body is a form. What is JSON whatever it is called was taken before there were forms.
pub(super) fn is_form(headers: &HeaderMap, body: &[u8]) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(FORM_TYPE) && body.trim_ascii_start().first() != Some(&b'{')
}

impl Shared {
    /// What can come back to a browser. Reads, and changes nothing.
    pub(super) fn refunds_page(&self, parts: &Parts) -> Result<Response<Body>, Denied> {
        let now = (self.config.clock)();
        let (shown, is_cut) = self.shown_payments(parts, now)?;
        let paid = shown.into_iter().map(|payment| self.standing(payment, now));
        let paid: Vec<Option<Paid>> = paid.collect::<Result<_, _>>().map_err(Refusal::Fault)?;
        let payments: Vec<Paid> = paid.into_iter().flatten().collect();
        let page = RefundsPage { locale: locale(&parts.headers), payments: &payments, is_cut };
        Ok(page_of(StatusCode::OK, page.to_html()))
    }

    /// Gives back what the button of a form names, if the browser shows the payment.
    pub(super) async fn give_back_by_form(
        self: &Arc<Self>,
        parts: &Parts,
        form: &[u8],
        work: Work,
    ) -> Result<Response<Body>, Denied> {
        check_origin(parts, self.config.names.https)?;
        let payment = named(form)?;
        let (shown, _) = self.shown_payments(parts, (self.config.clock)())?;
        if !shown.contains(&payment) {
            let why = "this browser shows nothing of that payment, or its time is over";
            return Err(Denied::Unproven(why.to_owned()));
        }
        let given = self.give_back_wanted(&Wanted::as_token(payment), parts, work).await?;
        let mut answer = match &given.credits {
            Credits::Token(token) if prefers_html(&parts.headers) => self.given_page(parts, &given, token),
            _ => given.to_json(),
        };
        if given.row.is_refunded() {
            self.forget_passes(parts, payment, answer.headers_mut())?;
        }
        Ok(answer)
    }

    fn given_page(&self, parts: &Parts, given: &Given, token: &str) -> Response<Body> {
        let Given { row, amount, .. } = given;
        let page = GivenPage {
            locale: locale(&parts.headers),
            what: &what(&row.resource),
            back: row.asset.money(*amount),
            kept: row.asset.money(row.kept()),
            token,
            mint: self.config.names.mints.first().map_or("", String::as_str),
        };
        page_of(StatusCode::OK, page.to_html())
    }

    /// The payments that a browser shows, the last one first, and whether it shows more than are looked at. Each is one that we have
    /// signed.
    fn shown_payments(&self, parts: &Parts, now: Timestamp) -> Result<(Vec<PaymentId>, bool), Denied> {
        let secret = &self.config.secrets.challenge;
        let cookies = own_header::refund_cookies(&parts.headers).take(COOKIES_MAX);
        let mut cookies: Vec<RefundCookie> =
            cookies.filter_map(|text| RefundCookie::verify(text, secret, now)).collect();
        cookies.sort_by_key(|cookie| Reverse(cookie.until));
        let by_cookie = cookies.into_iter().map(|cookie| PaymentId::from_bytes(cookie.payment));
        let passes = self.shown_passes(parts)?;
        let by_pass = passes.iter().filter_map(|pass| pass.payment.parse().ok());
        let mut payments: Vec<PaymentId> = Vec::new();
        // Passes before all: they are few, and what waits for the payer of one is shown by nothing else.
        for payment in by_pass.chain(by_cookie) {
            if !payments.contains(&payment) {
                payments.push(payment);
            }
        }
        let is_cut = payments.len() > PAYMENTS_MAX;
        payments.truncate(PAYMENTS_MAX);
        Ok((payments, is_cut))
    }

    fn shown_passes(&self, parts: &Parts) -> Result<Vec<Pass>, Denied> {
        let client = self.config.crypto.limiter().client(&parts.extensions, &parts.headers);
        Ok(self.genuine_passes(&parts.headers, client.as_ref())?)
    }

    /// How a payment stands for its payer; nothing if there is nothing for him.
    fn standing(&self, payment: PaymentId, now: Timestamp) -> Result<Option<Paid>, Fault> {
        let read = &self.config.read;
        let Some(row) = read.payment(payment)?.filter(|row| row.state == PaymentState::Posted) else {
            return Ok(None);
        };
        let Some(known) = read.refund(payment)? else { return Ok(None) };
        let sum = row.asset.money(available(&row, (&known, read.bundle(payment)?), now));
        let standing = if !known.due.is_zero() {
            Standing::SetAside(sum)
        } else if !sum.amount().is_zero() && row.channel.is_none() {
            Standing::Open(sum, known.until)
        } else if came_as_token(payment, &known) {
            Standing::Given
        } else {
            return Ok(None);
        };
        Ok(Some(Paid { payment: payment.to_string(), what: what(&row.resource), standing }))
    }

    /// Takes the passes of a payment that went back out of the browser. The pass of a page is sent to that page alone, so it is not
    /// seen here; like these it is refused from now on.
    fn forget_passes(
        &self,
        parts: &Parts,
        payment: PaymentId,
        headers: &mut HeaderMap,
    ) -> Result<(), Denied> {
        let secure = self.config.names.https.unwrap_or_else(|| scheme(parts) == "https");
        let passes = self.shown_passes(parts)?;
        let of_it = passes.iter().filter(|pass| pass.payment.parse() == Ok(payment));
        for field in of_it.filter_map(|pass| HeaderValue::try_from(pass.forget_cookie(secure)).ok()) {
            headers.append(SET_COOKIE, field);
        }
        Ok(())
    }
}

/// The page that says why nothing came back.
pub(super) fn not_given(denied: &Denied) -> Response<Body> {
    let next = match (denied, denied.status().0) {
        (Denied::Malformed(_), _) => "go back to the list, and press the button there",
        (Denied::Unproven(_), _) => "open the list in the browser that has paid, or ask the seller",
        (Denied::CrossOrigin(_), _) => "open the list at this site, and press the button there",
        (_, 503) => "wait a minute and load this page again; it is given back once",
        (_, 429) => "come back later, or ask the seller",
        _ => "ask the seller, who can give back what it likes",
    };
    let problem = denied.problem(next);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    page_of(status, NotGivenPage(&problem).to_html())
}

/// A page that no cache keeps, no other page frames, and no address of which goes elsewhere. To this very site the browser says
/// where a form comes from: without a referrer it would not.
fn page_of(status: StatusCode, html: String) -> Response<Body> {
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, FORM_POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "private, no-store"),
        (VARY, "accept, accept-language, cookie"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The payment that a form names.
fn named(form: &[u8]) -> Result<PaymentId, Denied> {
    let mut values = form.split(|byte| *byte == b'&').filter_map(|pair| pair.strip_prefix(b"payment="));
    let named = match (values.next(), values.next()) {
        (Some(value), None) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
        _ => None,
    };
    named.ok_or_else(|| Denied::Malformed("expected a form that names one payment".to_owned()))
}

/// Lets in what this very site has sent. No page writes either field. `Sec-Fetch-Site` says it whatever stands between the
/// browser and us; where browsers do not send it, without TLS, `Origin` does. Who sends neither is no browser that is in use, and
/// has another way.
fn check_origin(parts: &Parts, https: Option<bool>) -> Result<(), Denied> {
    let field = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let said = match (field(header::SEC_FETCH_SITE), field(ORIGIN.as_str())) {
        // What a person has the browser do by itself, such as loading the answer again, is no site's.
        (Some("same-origin" | "none"), _) => return Ok(()),
        (Some(site), _) => format!("Sec-Fetch-Site: {site}"),
        (None, Some(origin)) if is_own(origin, parts, https) => return Ok(()),
        (None, Some(origin)) => format!("Origin: {origin}"),
        (None, None) => "neither".to_owned(),
    };
    Err(Denied::CrossOrigin(said.chars().take(SHOWN_MAX).collect()))
}

/// Whether an origin is that of the request's own address. Which scheme a proxy before us speaks is known only if it was told.
fn is_own(origin: &str, parts: &Parts, https: Option<bool>) -> bool {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.authority().map(http::uri::Authority::as_str).or(host).unwrap_or_default();
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return false,
    };
    let plain =
        |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    let is_scheme = https.is_none_or(|https| https == (scheme == "https"));
    is_scheme && !host.is_empty() && plain(authority) == plain(host)
}

fn scheme(parts: &Parts) -> &'static str {
    parts.extensions.get::<Peer>().map_or("http", Peer::scheme)
}

/// What was paid for, in words for who has paid: without its query, of which the books have only a code.
fn what(resource: &str) -> String {
    let item = item_name(resource);
    let url = item.strip_prefix("GET ").unwrap_or(item);
    match url.split_once(PASSES_PATH) {
        Some((_, plan)) => format!("the pass {plan}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn check(fields: &[(&str, &str)], https: Option<bool>) -> Result<(), String> {
        let request =
            fields.iter().fold(Request::post("/"), |request, (name, value)| request.header(*name, *value));
        let parts = request.body(()).unwrap().into_parts().0;
        check_origin(&parts, https).map_err(|denied| match denied {
            Denied::CrossOrigin(got) => got,
            other => panic!("{}", other.problem("").code),
        })
    }

    #[test]
    fn forms_of_this_site_are_taken_and_no_others() {
        let own = ("host", "Shop.example");
        for good in [
            vec![own, ("sec-fetch-site", "same-origin")],
            vec![own, ("sec-fetch-site", "none")],
            // A policy of the operator's makes it `null`, and a proxy may have changed the host.
            vec![own, ("sec-fetch-site", "same-origin"), ("origin", "null")],
            vec![own, ("origin", "https://shop.example")],
            vec![("host", "shop.example:443"), ("origin", "https://shop.example")],
            vec![("host", "shop.example:8080"), ("origin", "http://shop.example:8080")],
        ] {
            assert_eq!(check(&good, None), Ok(()), "{good:?}");
        }
        for (bad, said) in [
            (vec![own], "neither"),
            (vec![own, ("origin", "null")], "Origin: null"),
            (vec![own, ("origin", "https://evil.example")], "Origin: https://evil.example"),
            (vec![own, ("origin", "https://shop.example:8443")], "Origin: https://shop.example:8443"),
            (vec![own, ("origin", "https://shop.example.evil")], "Origin: https://shop.example.evil"),
            (vec![own, ("origin", "shop.example")], "Origin: shop.example"),
            (vec![("origin", "https://")], "Origin: https://"),
            (
                vec![own, ("origin", "https://shop.example"), ("sec-fetch-site", "cross-site")],
                "Sec-Fetch-Site: cross-site",
            ),
            // Another name under the same domain is another's.
            (vec![own, ("sec-fetch-site", "same-site")], "Sec-Fetch-Site: same-site"),
        ] {
            assert_eq!(check(&bad, None), Err(said.to_owned()), "{bad:?}");
        }
        let plain = [own, ("origin", "http://shop.example")];
        assert!(check(&plain, Some(true)).is_err() && check(&plain, Some(false)).is_ok());
    }

    #[test]
    fn a_form_names_one_payment() {
        let id = PaymentId::from_bytes([0xab; 32]);
        let text = format!("payment={id}");
        assert_eq!(named(text.as_bytes()).ok(), Some(id));
        assert_eq!(named(format!("a=1&{text}&b").as_bytes()).ok(), Some(id));
        for bad in [
            String::new(),
            "payment=".into(),
            "payment=%41".into(),
            format!("{text}&{text}"),
            format!("x{text}"),
        ] {
            assert!(named(bad.as_bytes()).is_err(), "{bad}");
        }
        let kind = |kind: &str| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())]);
        assert!(is_form(&kind("Application/x-www-form-urlencoded; charset=utf-8"), text.as_bytes()));
        assert!(!is_form(&kind("application/json"), text.as_bytes()));
        assert!(!is_form(&kind(FORM_TYPE), b" {\"receipt\":\"a\"}"), "as curl names it");
    }

    #[test]
    fn what_was_paid_for_is_told_without_its_query() {
        assert_eq!(what("GET http://a.example/b?0123456789abcdef"), "http://a.example/b");
        assert_eq!(what("POST http://a.example/b"), "POST http://a.example/b");
        assert_eq!(what("GET http://a.example/.well-known/farthing/passes/day"), "the pass day");
    }
}
