//! Where people get payments back: a page that lists what their browser has paid for, with one button each.
//!
//! The browser shows its payments by cookies that we have signed; a form names which of them is meant. Nothing is looked up that
//! no cookie shows, and looking changes nothing. A cookie comes along whoever has made a browser ask, so only forms of this very
//! site are taken, and only what a person opens and presses is answered. A button names the step that it is for: pressed twice it
//! is one request.

use std::cmp::Reverse;
use std::sync::Arc;

use farthing_engine::{
    Fault, PaymentId, PaymentRow, PaymentState, REFUND_STEPS_MAX, RefundRow, Refusal, item_name,
};
use farthing_money::Timestamp;
use farthing_wire::{PASSES_PATH, Pass, RefundCookie, header};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::Shared;
use super::give_back::{Credits, Denied, Given, Wanted, available, token_place};
use crate::body::Body;
use crate::limit::Work;
use crate::own_header;
use crate::page::{FORM_POLICY, GivenPage, NotGivenPage, Paid, RefundsPage, Standing, locale};
use crate::peer::Peer;

/// Cookies of payments that are checked in one request, and looked up if we have signed them: about as many as browsers keep of a
/// site.
const COOKIES_MAX: usize = 192;
/// What is listed at once.
const LISTED_MAX: usize = 32;
/// What is repeated of a field of a browser that is refused.
const SHOWN_MAX: usize = 64;

const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// Whether a request calls its body a form.
pub(super) fn is_called_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM_TYPE)
}

/// Whether a body is a form. What is JSON whatever it is called was taken before there were forms.
pub(super) fn is_form(headers: &HeaderMap, body: &[u8]) -> bool {
    is_called_form(headers) && body.trim_ascii_start().first() != Some(&b'{')
}

impl Shared {
    /// What can come back to a browser. Reads, and changes nothing.
    pub(super) fn refunds_page(&self, parts: &Parts) -> Result<Response<Body>, Denied> {
        check_navigated(&parts.headers)?;
        let now = (self.config.clock)();
        let passes = self.shown_passes(parts)?;
        let mut payments = Vec::new();
        for payment in self.shown_payments(&parts.headers, &passes, now) {
            payments.extend(self.standings(payment, now).map_err(Refusal::Fault)?);
        }
        // What has no end can wait, and what is settled stands behind.
        payments.sort_by_key(|paid: &Paid| match paid.standing {
            Standing::Open(_, until) => (0, until),
            Standing::SetAside(_) => (1, now),
            Standing::GivenInPart | Standing::Given => (2, now),
        });
        let is_cut = payments.len() > LISTED_MAX;
        payments.truncate(LISTED_MAX);
        let page = RefundsPage { locale: locale(&parts.headers), payments: &payments, is_cut };
        Ok(page_of(StatusCode::OK, page.to_html()))
    }

    /// Gives back what the button of a form names, if the browser shows the payment. It is answered with a page, whatever is asked
    /// for: what a browser has is not for scripts.
    pub(super) async fn give_back_by_form(
        self: &Arc<Self>,
        parts: &Parts,
        form: &[u8],
        (passes, work): (Vec<Pass>, Work),
    ) -> Result<Response<Body>, Denied> {
        check_origin(parts, self.config.names.https)?;
        check_navigated(&parts.headers)?;
        let (payment, place) = named(form)?;
        let now = (self.config.clock)();
        let shown = self.shown_payments(&parts.headers, &passes, now);
        if !shown.contains(&payment) {
            let why = "this browser shows nothing of that payment, or its time is over";
            return Err(Denied::Unproven(why.to_owned()));
        }
        let given = self.give_back_wanted(&Wanted::as_token(payment, place), parts, work).await?;
        let Credits::Token(token) = &given.credits else { return Err(Denied::Stale) };
        let mut answer = self.given_page(parts, &given, token);
        if given.row.is_refunded() {
            let secure = self.config.names.https.unwrap_or_else(|| is_tls(parts));
            let of_it = passes.iter().filter(|pass| pass.payment.parse() == Ok(payment));
            let cookies = of_it.map(|pass| self.cookie_after(pass, (&given.row, &shown), secure, now));
            let cookies = cookies.filter_map(|cookie| HeaderValue::try_from(cookie).ok());
            answer.headers_mut().extend(cookies.map(|cookie| (SET_COOKIE, cookie)));
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

    /// All payments that a browser shows, the last one first after those of its passes. Each is one that we have signed.
    fn shown_payments(&self, headers: &HeaderMap, passes: &[Pass], now: Timestamp) -> Vec<PaymentId> {
        let secret = &self.config.secrets.challenge;
        let cookies = own_header::refund_cookies(headers).take(COOKIES_MAX);
        let mut cookies: Vec<RefundCookie> =
            cookies.filter_map(|text| RefundCookie::verify(text, secret, now)).collect();
        cookies.sort_by_key(|cookie| Reverse(cookie.until));
        let by_cookie = cookies.into_iter().map(|cookie| PaymentId::from_bytes(cookie.payment));
        // What waits for the payer of a pass may be shown by nothing else.
        let by_pass = passes.iter().filter_map(|pass| pass.payment.parse().ok());
        let mut payments: Vec<PaymentId> = Vec::new();
        for payment in by_pass.chain(by_cookie) {
            if !payments.contains(&payment) {
                payments.push(payment);
            }
        }
        payments
    }

    /// The passes that a browser shows. To check them is work of its own.
    pub(super) fn shown_passes(&self, parts: &Parts) -> Result<Vec<Pass>, Denied> {
        let client = self.config.crypto.limiter().client(&parts.extensions, &parts.headers);
        Ok(self.genuine_passes(&parts.headers, client.as_ref())?)
    }

    /// How a payment stands for its payer: what there is for him, and what came to him and can be shown again.
    fn standings(&self, payment: PaymentId, now: Timestamp) -> Result<Vec<Paid>, Fault> {
        let read = &self.config.read;
        let Some(known) = read.refund(payment)? else { return Ok(Vec::new()) };
        let Some(row) = read.payment(payment)?.filter(|row| row.state == PaymentState::Posted) else {
            return Ok(Vec::new());
        };
        let sum = row.asset.money(available(&row, (&known, read.bundle(payment)?), now));
        let open = if !known.due.is_zero() {
            Some(Standing::SetAside(sum))
        } else if !sum.amount().is_zero() && row.channel.is_none() && !self.has_paid_fare(&known)? {
            Some(Standing::Open(sum, known.until))
        } else {
            None
        };
        let is_whole = row.is_refunded() && open.is_none();
        let given = if is_whole { Standing::Given } else { Standing::GivenInPart };
        let given = token_place(payment, &known).map(|place| (given, place));
        let stands = open.map(|open| (open, known.taken())).into_iter().chain(given);
        let paid = |(standing, place)| Paid {
            payment: payment.to_string(),
            place,
            what: what(&row.resource),
            standing,
        };
        Ok(stands.map(paid).collect())
    }

    /// Whether a payment counted in a fare that is paid: nothing of it comes for the asking any more.
    fn has_paid_fare(&self, known: &RefundRow) -> Result<bool, Fault> {
        let Some(fare) = known.fare else { return Ok(false) };
        Ok(self.config.read.fare(fare)?.is_some_and(|fare| fare.is_paid()))
    }

    /// What takes the pass of a payment that went back out of a browser. Bought before the one before it had ended, it has taken that
    /// one's place there: then it makes way for it again. The pass of a page is sent to that page alone, so it is not seen here;
    /// like these it is refused from now on.
    fn cookie_after(
        &self,
        pass: &Pass,
        (given, shown): (&PaymentRow, &[PaymentId]),
        secure: bool,
        now: Timestamp,
    ) -> String {
        let before = self.pass_before(pass, (given, shown), now).unwrap_or_else(|error| {
            tracing::error!(%error, "whether there is an earlier pass cannot be read");
            None
        });
        let signed = before.and_then(|pass| Some((pass.sign(&self.config.secrets.signing).ok()?, pass)));
        let cookie = signed.map(|(signed, pass)| pass.set_cookie(&signed, "/", secure, now));
        cookie.unwrap_or_else(|| pass.forget_cookie(secure))
    }

    /// The pass that another payment of this browser has bought at the same address, if it is not used up and runs still.
    fn pass_before(
        &self,
        pass: &Pass,
        (given, shown): (&PaymentRow, &[PaymentId]),
        now: Timestamp,
    ) -> Result<Option<Pass>, Fault> {
        let item = item_name(&given.resource);
        let Some(bought) = pass.bought.as_ref().filter(|bought| bought.uses.is_none()) else {
            return Ok(None);
        };
        if sold_at(item) != Some(bought.plan.as_str()) {
            return Ok(None);
        }
        let mut last: Option<Pass> = None;
        for payment in shown {
            let row = self.config.read.payment(*payment)?;
            let row = row.filter(|row| row.state == PaymentState::Posted && !row.is_refunded());
            let Some(row) = row.filter(|row| item_name(&row.resource) == item) else { continue };
            let runs = |until: &Timestamp| *until > last.as_ref().map_or(now, |last| last.expires);
            if let Some(expires) = row.pass_until.filter(runs) {
                let (payment, checked) = (payment.to_string(), row.marks.refund.is_some());
                last = Some(Pass { payment, expires, checked, ..pass.clone() });
            }
        }
        Ok(last)
    }
}

/// The page that says why nothing came back.
pub(super) fn not_given(denied: &Denied) -> Response<Body> {
    let next = match (denied, denied.status().0) {
        (Denied::Malformed(_), _) => "go back to the list, and press the button there",
        (Denied::Unproven(_), _) => "open the list in the browser that has paid, or ask the seller",
        (Denied::Stale, _) => "go back to the list, which says how it stands now",
        (Denied::CrossOrigin(_) | Denied::ByScript(_), _) => {
            "open the list at this site, and press the button there"
        }
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

/// The payment that a form names, and the step of it.
fn named(form: &[u8]) -> Result<(PaymentId, usize), Denied> {
    let mut values = form.split(|byte| *byte == b'&').filter_map(|pair| pair.strip_prefix(b"payment="));
    let named = match (values.next(), values.next()) {
        (Some(value), None) => std::str::from_utf8(value).ok().and_then(step),
        _ => None,
    };
    named.ok_or_else(|| Denied::Malformed("expected a form that names one step of one payment".to_owned()))
}

/// A payment's id, a point and a place, as we write it.
fn step(text: &str) -> Option<(PaymentId, usize)> {
    let (payment, digits) = text.split_once('.')?;
    let place = digits.parse().ok().filter(|place: &usize| *place <= REFUND_STEPS_MAX)?;
    (place.to_string() == digits).then_some((payment.parse().ok()?, place))
}

/// Lets in what this very site has sent. No page writes either field. `Sec-Fetch-Site` says it whatever stands between the
/// browser and us; where browsers do not send it, without TLS, `Origin` does. Who sends neither is no browser that is in use, and
/// has another way.
fn check_origin(parts: &Parts, https: Option<bool>) -> Result<(), Denied> {
    let site = field(&parts.headers, header::SEC_FETCH_SITE);
    let origin = field(&parts.headers, ORIGIN.as_str());
    let said = match (site, origin) {
        // What a person has the browser do by itself, such as loading the answer again, is no site's.
        (Some("same-origin"), _) | (Some("none"), None) => return Ok(()),
        (Some("none") | None, Some(origin)) if is_own(origin, parts, https) => return Ok(()),
        (Some("none") | None, Some(origin)) => format!("Origin: {origin}"),
        (Some(site), _) => format!("Sec-Fetch-Site: {site}"),
        (None, None) => "neither".to_owned(),
    };
    Err(Denied::CrossOrigin(said.chars().take(SHOWN_MAX).collect()))
}

/// Lets in what a person opens or sends, and not what a script of the site's own pages fetches, which browsers tell apart. Where they
/// say nothing of it, without TLS, nothing can be told.
fn check_navigated(headers: &HeaderMap) -> Result<(), Denied> {
    let (mode, dest) = (field(headers, header::SEC_FETCH_MODE), field(headers, header::SEC_FETCH_DEST));
    let is_told = mode.is_some() || dest.is_some() || headers.contains_key(header::SEC_FETCH_SITE);
    if !is_told || (mode, dest) == (Some("navigate"), Some("document")) {
        return Ok(());
    }
    let shown = |field: Option<&str>| field.unwrap_or("none").chars().take(SHOWN_MAX).collect::<String>();
    Err(Denied::ByScript(format!("Sec-Fetch-Mode: {} and Sec-Fetch-Dest: {}", shown(mode), shown(dest))))
}

fn field<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Whether an origin is that of the request's own address. Which scheme a proxy before us speaks is known only if it was told; that
/// of a connection that has come to us with TLS is.
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
    let https = https.or_else(|| is_tls(parts).then_some(true));
    let is_scheme = https.is_none_or(|https| https == (scheme == "https"));
    is_scheme && !host.is_empty() && plain(authority) == plain(host)
}

fn is_tls(parts: &Parts) -> bool {
    parts.extensions.get::<Peer>().is_some_and(|peer| peer.scheme() == "https")
}

/// The plan that is sold at an address of ours.
fn sold_at(item: &str) -> Option<&str> {
    let (_, rest) = item.strip_prefix("GET ")?.split_once("://")?;
    rest.get(rest.find('/')?..)?.strip_prefix(PASSES_PATH)
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
    use proptest::prelude::*;

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
            vec![own, ("sec-fetch-site", "none"), ("origin", "https://shop.example")],
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
            (
                vec![own, ("sec-fetch-site", "none"), ("origin", "https://evil.example")],
                "Origin: https://evil.example",
            ),
            (vec![own, ("sec-fetch-site", "none"), ("origin", "null")], "Origin: null"),
            // Another name under the same domain is another's.
            (vec![own, ("sec-fetch-site", "same-site")], "Sec-Fetch-Site: same-site"),
        ] {
            assert_eq!(check(&bad, None), Err(said.to_owned()), "{bad:?}");
        }
        let plain = [own, ("origin", "http://shop.example")];
        assert!(check(&plain, Some(true)).is_err() && check(&plain, Some(false)).is_ok());
        // Nobody has said how we are reached, but this connection came with TLS.
        for (tls, is_taken) in [(true, false), (false, true)] {
            let request = Request::post("/").header("host", "shop.example").header("origin", plain[1].1);
            let mut parts = request.body(()).unwrap().into_parts().0;
            parts.extensions.insert(Peer::new(([127, 0, 0, 1], 1).into(), tls));
            assert_eq!(check_origin(&parts, None).is_ok(), is_taken);
        }
    }

    #[test]
    fn a_form_names_one_payment() {
        let id = PaymentId::from_bytes([0xab; 32]);
        let text = format!("payment={id}");
        for (place, digits) in [(0, "0"), (7, "7"), (REFUND_STEPS_MAX, "32")] {
            assert_eq!(named(format!("{text}.{digits}").as_bytes()).ok(), Some((id, place)));
        }
        assert_eq!(named(format!("a=1&{text}.1&b").as_bytes()).ok(), Some((id, 1)));
        for bad in [
            String::new(),
            "payment=".into(),
            "payment=.".into(),
            "payment=%41.0".into(),
            text.clone(),
            format!("{text}."),
            format!("{text}.00"),
            format!("{text}.+1"),
            format!("{text}.33"),
            format!("{text}.0.0"),
            format!("{text}.18446744073709551616"),
            format!("{text}.0&{text}.0"),
            format!("x{text}.0"),
        ] {
            assert!(named(bad.as_bytes()).is_err(), "{bad}");
        }
        let kind = |kind: &str| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())]);
        assert!(is_form(&kind("Application/x-www-form-urlencoded; charset=utf-8"), text.as_bytes()));
        assert!(!is_form(&kind("application/json"), text.as_bytes()));
        assert!(!is_form(&kind(FORM_TYPE), b" {\"receipt\":\"a\"}"), "as curl names it");
    }

    proptest! {
        #[test]
        fn what_a_button_sends_is_read(id: [u8; 32], place in 0..=REFUND_STEPS_MAX) {
            let payment = PaymentId::from_bytes(id);
            prop_assert_eq!(named(format!("payment={payment}.{place}").as_bytes()).ok(), Some((payment, place)));
        }

        /// Whatever else comes is refused, and no panic.
        #[test]
        fn any_other_form_names_nothing(bytes: Vec<u8>, text in "[^&]*|[0-9]{1,3}", id: [u8; 32]) {
            prop_assert!(named(&bytes).is_err());
            let payment = PaymentId::from_bytes(id);
            let odd = format!("payment={payment}.{text}");
            let is_place = text.parse().is_ok_and(|place: usize| place <= REFUND_STEPS_MAX && place.to_string() == text);
            prop_assert_eq!(named(odd.as_bytes()).is_ok(), is_place);
        }
    }

    /// A page whose address ends like that of a pass is no pass.
    #[test]
    fn passes_are_sold_at_our_address_alone() {
        assert_eq!(sold_at("GET http://a.example/.well-known/farthing/passes/day"), Some("day"));
        for other in [
            "GET http://a.example/b/.well-known/farthing/passes/day",
            "POST http://a.example/.well-known/farthing/passes/day",
            "GET http://a.example",
            "feature:day",
        ] {
            assert_eq!(sold_at(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_paid_for_is_told_without_its_query() {
        assert_eq!(what("GET http://a.example/b?0123456789abcdef"), "http://a.example/b");
        assert_eq!(what("POST http://a.example/b"), "POST http://a.example/b");
        assert_eq!(what("GET http://a.example/.well-known/farthing/passes/day"), "the pass day");
    }
}
