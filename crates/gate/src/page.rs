//! The plain page that people see instead of what costs something, and what it has in common with our other pages.

mod refunds;

use std::fmt::Write as _;

use farthing_engine::Exchange;
use farthing_money::{Locale, Money, Span, Timestamp};
use farthing_wire::{QuotaBy, QuotaField, REFUNDS_PATH};
use http::{HeaderMap, header};

pub use self::refunds::{GivenPage, NotGivenPage, Paid, RefundsPage, Standing};
use crate::flow::PARAMETER;
use crate::rule::{Per, Refunds};

/// What the page says.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The whole URL that was asked for.
    pub url: &'a str,
    /// What it is, in the operator's words; may be empty.
    pub description: &'a str,
    /// What it costs.
    pub price: Money,
    /// How its reader writes numbers, if that is known.
    pub locale: Option<Locale>,
    /// What it costs in other assets.
    pub others: &'a [Exchange],
    /// How long a payment opens it.
    pub pass: Span,
    /// The payment request for Cashu wallets, `creqB..`.
    pub request: Option<&'a str>,
    /// What went wrong with the payment that came, if one did.
    pub problem: Option<&'a str>,
    /// Whether the issuer is ending.
    pub sunset: bool,
    /// What is free of it.
    pub quota: Option<PageQuota>,
    /// The least that a payer may name, where payers name what they pay.
    pub least: Option<Money>,
    /// What is counted and what that costs, where the price is the most.
    pub meter: Option<&'a str>,
    /// Passes that cover it.
    pub passes: &'a [Choice],
    /// The part of it that is free.
    pub free_part: Option<FreePart<'a>>,
    /// The end of an earlier pass of its buyer, from which it goes on.
    pub extends: Option<Timestamp>,
    /// Whether it can be had back.
    pub refund: Option<RefundsNow>,
    /// What newcomers get for nothing, and from which issuer.
    pub trial: Option<(Money, &'a str)>,
}

/// The part of something that may be seen without paying.
#[derive(Clone, Copy, Debug)]
pub enum FreePart<'a> {
    /// The beginning of a text.
    Text(&'a str),
    /// A picture, at this address.
    Picture(&'a str),
}

/// What is free, and where that stands.
#[derive(Clone, Copy, Debug)]
pub struct PageQuota {
    /// Where it stands.
    pub field: QuotaField,
    /// In which period.
    pub per: Per,
    /// Whether it is not the asker that has had everything, but too many newcomers of the same network.
    pub crowded: bool,
}

/// On which terms payments are given back, and how that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefundsNow {
    /// The terms.
    pub terms: Refunds,
    /// Not while too many ask.
    pub is_open: bool,
    /// How many of a hundred payers have asked it back, once there are enough of them.
    pub rate: Option<u8>,
}

/// A pass that could be bought instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it is, in the operator's words or by its name.
    pub title: String,
    /// What it costs.
    pub price: Money,
    /// For how long, or how often.
    pub extent: String,
    /// Where it is sold.
    pub href: String,
}

/// The page's `Content-Security-Policy`: its own style and nothing else, not even a script.
pub const POLICY: &str = "default-src 'none'; style-src 'sha256-BDRPi5ivaLNenRCkSxJRo4UzqPqb21SoiqqBQmbX4MU='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The same for a page with a form, which sends to its own site.
pub const FORM_POLICY: &str = "default-src 'none'; style-src 'sha256-BDRPi5ivaLNenRCkSxJRo4UzqPqb21SoiqqBQmbX4MU='; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What a page with the beginning of something needs beside its own policy: no script of any kind.
pub const CUT_POLICY: &str =
    "script-src 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'";

/// Word to search engines, in the vocabulary of schema.org: what stands under the class is not free.
const NOT_FREE: &str = r#"{"@context":"https://schema.org","@type":"CreativeWork","isAccessibleForFree":false,"hasPart":{"@type":"WebPageElement","isAccessibleForFree":false,"cssSelector":".farthing-paywall"}}"#;

const STYLE: &str = "body{max-width:38rem;margin:4rem auto;padding:0 1rem;font:1.1rem/1.5 system-ui,sans-serif}\
code{display:block;padding:.6rem;background:#8882;overflow-wrap:anywhere}button,textarea{font:inherit}button{padding:.3rem .8rem}textarea{width:100%;box-sizing:border-box}pre{white-space:pre-wrap}img{max-width:100%}.price{font-size:2rem;font-weight:600}\
:root{color-scheme:light dark}";

impl Page<'_> {
    /// The page as HTML.
    pub fn to_html(&self) -> String {
        let price = self.shown(&self.price);
        let free_part = self.free_part.map(FreePart::to_html).unwrap_or_default();
        document(&price, "Payment required", &format!("{free_part}{}", self.words()))
    }

    /// What the page says as a part of another page, which shows the beginning of what is paid for. Search engines are told that the rest
    /// is not free.
    pub fn to_section(&self) -> String {
        format!(
            "\n<section class=\"farthing-paywall\">\n<script type=\"application/ld+json\">{NOT_FREE}</script>\n\
             <h2>The rest costs {}</h2>\n{}</section>\n",
            self.shown(&self.price),
            self.words()
        )
    }

    fn shown(&self, money: &Money) -> String {
        shown(self.locale, money)
    }

    /// From where a pass goes on, and what becomes of the one before it.
    fn extension(&self) -> String {
        let Some(ends) = self.extends else { return String::new() };
        let lost =
            if self.refund.is_some() { ", and the one before it cannot be asked back then" } else { "" };
        format!("<p>You have one until {ends}. This one goes on from there{lost}.</p>\n")
    }

    fn words(&self) -> String {
        let mut html = String::with_capacity(2_048);
        let shown = |money: &Money| self.shown(money);
        let price = shown(&self.price);
        if let Some(problem) = self.problem {
            let _ = writeln!(html, "<p role=\"alert\">{}</p>", escape(problem));
        }
        if !self.description.is_empty() {
            let _ = writeln!(html, "<p>{}</p>", escape(self.description));
        }
        let _ = writeln!(html, "<p class=\"price\">{price}</p>");
        for other in self.others {
            let _ = writeln!(html, "<p>or {}</p>", shown(&other.paid()));
        }
        if let Some(meter) = self.meter {
            let _ = writeln!(
                html,
                "<p>That is the most. It costs {}, and the rest comes back.</p>",
                escape(meter)
            );
        } else {
            let _ = writeln!(html, "<p>One payment opens it for {}.</p>", self.pass);
        }
        html.push_str(&self.extension());
        html.push_str(&self.refund.map(refunds_told).unwrap_or_default());
        if let Some(quota) = &self.quota {
            let _ = writeln!(html, "<p>{}</p>", escape(&quota.to_text()));
        }
        if let Some(least) = self.least {
            html.push_str(&self.form(least));
        }
        let _ = writeln!(html, "<h2>Pay</h2>\n<p>With the farthing wallet:</p>");
        let _ = writeln!(html, "<code>farthing pay {}</code>", escape(&shell_word(self.url)));
        if let Some((money, mint)) = &self.trial {
            let command = escape(&format!("farthing wallet trial {}", shell_word(mint)));
            let _ = writeln!(
                html,
                "<p>New here? This gives you {} to try it:</p>\n<code>{command}</code>",
                shown(money)
            );
        }
        if let Some(request) = self.request {
            let _ = writeln!(
                html,
                "<p>With any Cashu wallet, the payment request:</p>\n<code>{}</code>",
                escape(request)
            );
        }
        if !self.passes.is_empty() {
            html.push_str("<h2>Or buy a pass</h2>\n<ul>\n");
            for Choice { title, price, extent, href } in self.passes {
                let (title, price) = (escape(title), escape(&price.to_string()));
                let (extent, href) = (escape(extent), escape(href));
                let _ = writeln!(html, "<li><a href=\"{href}\">{title}</a>: {price} for {extent}</li>");
            }
            html.push_str("</ul>\n");
        }
        if self.sunset {
            html.push_str(
                "<p>The issuer of these credits is ending: it sells no new ones. Spend what you have, or turn it into \
                 money with <code>farthing wallet refund</code></p>\n",
            );
        }
        html
    }

    /// Where the payer names the amount. A form replaces the query of an address, so one that has more says how instead.
    fn form(&self, least: Money) -> String {
        let (amount, floor) = (escape(&self.price.to_decimal()), escape(&least.to_string()));
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        let others = query.split('&').any(|pair| !pair.is_empty() && !pair.starts_with(PARAMETER));
        if others {
            return format!(
                "<p>Pay what you want, at least {floor}: add {PARAMETER}={amount} to the address.</p>\n"
            );
        }
        format!(
            "<form method=\"get\">\n<label>Pay what you want, at least {floor}: \
             <input name=\"{PARAMETER}\" value=\"{amount}\" inputmode=\"decimal\"></label>\n\
             <button>Name it</button>\n</form>\n"
        )
    }
}

/// A page of ours. Title and heading are HTML, as the rest is.
fn document(title: &str, heading: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{heading}</h1>\n{body}</body>\n</html>\n"
    )
}

/// A sum, as its reader writes numbers.
fn shown(locale: Option<Locale>, money: &Money) -> String {
    escape(&locale.map_or_else(|| money.to_string(), |locale| locale.write(money)))
}

impl FreePart<'_> {
    fn to_html(self) -> String {
        match self {
            Self::Text(text) => format!("<pre>{}</pre>\n", escape(text)),
            Self::Picture(url) => format!("<p><img src=\"{}\" alt=\"A preview\"></p>\n", escape(url)),
        }
    }
}

impl PageQuota {
    fn to_text(self) -> String {
        let QuotaField { free, left, by, resets } = self.field;
        let per = self.per.as_str();
        let resets = resets.to_string();
        let day = resets.split('T').next().unwrap_or_default();
        let whom = match by {
            QuotaBy::Visitor => "each visitor",
            QuotaBy::Wallet => "each account that signs in (sign-in-with-x)",
            QuotaBy::Key => "each API key",
            QuotaBy::Network => "each network",
        };
        let rule = format!("{free} a {per} {} free for {whom}", if free == 1 { "is" } else { "are" });
        match left {
            _ if self.crowded => {
                format!(
                    "{rule}; too many new visitors came from your network. There is more from {day} (UTC) on."
                )
            }
            Some(0) => format!("{rule}; you have had them. There is more from {day} (UTC) on."),
            _ => format!("{rule}."),
        }
    }
}

/// Whether the money can come back, and how many wanted it.
fn refunds_told(RefundsNow { terms, is_open, rate }: RefundsNow) -> String {
    let mut told = match terms.within {
        within if is_open => format!(
            "<p>You can have it back within {within}, if you do not like what you see: \
             <a href=\"{REFUNDS_PATH}\">on the page for that</a>, in the browser that has paid."
        ),
        _ => "<p>So many have asked their money back that it does not come back now.".to_owned(),
    };
    if let Some(rate) = rate {
        let _ = write!(told, " Of a hundred who paid lately, {rate} asked it back.");
    }
    told.push_str("</p>\n");
    told
}

/// Whether a client would rather have a page than JSON: it accepts `text/html`, and likes no JSON better.
pub fn prefers_html(headers: &HeaderMap) -> bool {
    let quality = |wanted: &str| {
        let ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let matching = ranges.flat_map(|text| text.split(',')).filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().filter(|name| name.eq_ignore_ascii_case(wanted))?;
            let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            Some((name, quality.map_or(1_000, thousandths)))
        });
        matching.map(|(_, quality)| quality).max().unwrap_or(0)
    };
    let json = quality("application/json").max(quality("application/problem+json"));
    let html = quality("text/html").max(quality("application/xhtml+xml"));
    html > 0 && html >= json
}

/// How whoever asks writes numbers: as in the language that it likes best, if that is known.
pub fn locale(headers: &HeaderMap) -> Option<Locale> {
    let ranges = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    let ranges = ranges.flat_map(|text| text.split(',')).enumerate().map(|(at, range)| {
        let mut parts = range.split(';').map(str::trim);
        let tag = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        (std::cmp::Reverse(quality.map_or(1_000, thousandths)), at, tag)
    });
    let (quality, _, tag) = ranges.min()?;
    (quality.0 > 0).then(|| Locale::of(tag)).flatten()
}

/// `0.85` is 850; what is no quality is nothing.
fn thousandths(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{:0<3}", fraction.chars().take(3).collect::<String>());
    match (whole, digits.parse::<u16>()) {
        ("0", Ok(thousandths)) => thousandths,
        ("1", _) => 1_000,
        _ => 0,
    }
}

fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
        escaped
    })
}

/// The text as one word of a POSIX shell, because people paste commands.
fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/:._-~%+,=@".contains(&b);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Asset};
    use sha2::{Digest, Sha256};

    use super::*;

    fn page<'a>(url: &'a str, description: &'a str) -> Page<'a> {
        let price = Asset::micro("USD").unwrap().money(Amount::new(10_000));
        let pass = Span::from_secs(60);
        let request = Some("CREQB1XYZ");
        Page {
            url,
            description,
            price,
            pass,
            request,
            problem: None,
            sunset: false,
            quota: None,
            others: &[],
            least: None,
            meter: None,
            locale: None,
            passes: &[],
            free_part: None,
            extends: None,
            refund: None,
            trial: None,
        }
    }

    #[test]
    fn the_policies_allow_the_style_and_nothing_else() {
        use base64::Engine as _;
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
        for (policy, forms) in [(POLICY, "'none'"), (FORM_POLICY, "'self'")] {
            let expected = format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action {forms}; \
                 frame-ancestors 'none'"
            );
            assert_eq!(policy, expected);
        }
    }

    #[test]
    fn the_page_says_what_how_much_and_how() {
        let html = page("https://example.com/a?b=1&c='", "An <article> & \"more\"").to_html();
        for part in [
            "<p class=\"price\">0.01 USD</p>",
            "One payment opens it for 1m.",
            "An &lt;article&gt; &amp; &quot;more&quot;",
            "farthing pay &#39;https://example.com/a?b=1&amp;c=&#39;\\&#39;&#39;&#39;",
            "CREQB1XYZ",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        let meter = Some("0.002 USD for 1000 bytes");
        let html = Page { meter, ..page("https://example.com/a?b=1&c='", "An <article>") }.to_html();
        assert!(html.contains("It costs 0.002 USD for 1000 bytes, and the rest comes back."), "{html}");
        assert!(!html.contains("opens it for"));
        assert!(!html.contains("<script") && !html.contains("<article>"));
        assert!(!html.contains("is ending"));
        let ending = Page { sunset: true, ..page("https://example.com/", "") }.to_html();
        assert!(ending.contains("is ending") && ending.contains("farthing wallet refund"));
    }

    #[test]
    fn passes_are_a_choice() {
        assert!(!page("https://example.com/", "").to_html().contains("buy a pass"));
        let passes = [Choice {
            title: "All <day>".into(),
            price: Asset::micro("USD").unwrap().money(Amount::new(1_000_000)),
            extent: "1d".into(),
            href: "/.well-known/farthing/passes/day?then=%2Fa".into(),
        }];
        let html = Page { passes: &passes, ..page("https://example.com/a", "") }.to_html();
        let item = "<li><a href=\"/.well-known/farthing/passes/day?then=%2Fa\">All &lt;day&gt;</a>: 1.00 USD for 1d</li>";
        assert!(html.contains(item), "{html}");
    }

    #[test]
    fn browsers_get_the_page_and_programs_do_not() {
        let asks = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            prefers_html(&headers)
        };
        assert!(asks("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(asks("text/html;q=0.5"));
        assert!(asks("application/json;q=0.4, TEXT/HTML;q=0.5"));
        for program in
            ["*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0", "text/plain"]
        {
            assert!(!asks(program), "{program}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
