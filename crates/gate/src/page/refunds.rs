//! The pages on which people get back what they have paid: what can come back, what came, and why nothing does.

use std::fmt::Write as _;

use farthing_money::{Locale, Money, Timestamp};
use farthing_wire::{Problem, REFUNDS_PATH};

use super::{document, escape, shown};

/// What a browser has paid for and can have back.
#[derive(Clone, Copy, Debug)]
pub struct RefundsPage<'a> {
    /// How its reader writes numbers, if that is known.
    pub locale: Option<Locale>,
    /// The payments: first those whose time is over first, and behind all what is settled.
    pub payments: &'a [Paid],
    /// Whether there are more of them than are looked at.
    pub is_cut: bool,
}

/// A payment of the reader's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Its id.
    pub payment: String,
    /// In which step of it this comes or came.
    pub place: usize,
    /// What it was for.
    pub what: String,
    /// How it stands.
    pub standing: Standing,
}

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// So much of it comes for the asking, until then.
    Open(Money, Timestamp),
    /// So much of it waits for whoever asks.
    SetAside(Money),
    /// A part of it came back, and is shown once more.
    GivenInPart,
    /// All of it did.
    Given,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub struct GivenPage<'a> {
    /// How its reader writes numbers, if that is known.
    pub locale: Option<Locale>,
    /// What the payment was for.
    pub what: &'a str,
    /// How much came back.
    pub back: Money,
    /// How much is charged still.
    pub kept: Money,
    /// The credits.
    pub token: &'a str,
    /// The issuer of them.
    pub mint: &'a str,
}

/// Why nothing came back.
#[derive(Clone, Copy, Debug)]
pub struct NotGivenPage<'a>(pub &'a Problem);

impl RefundsPage<'_> {
    /// The page as HTML.
    pub fn to_html(&self) -> String {
        let mut html = String::with_capacity(2_048);
        if self.payments.is_empty() {
            html.push_str(
                "<p>There is nothing that this browser could give back: no payment of it is known here, or the time for \
                 that is over. Payments are known in the browser that has paid, until a day after their time.</p>\n",
            );
        } else {
            html.push_str(
                "<p>This was paid for in this browser, and can be had back. What you give back is closed to you, and its price comes \
                 back as credits.</p>\n",
            );
            let _ = writeln!(html, "<form method=\"post\" action=\"{REFUNDS_PATH}\">\n<ul>");
            for (at, paid) in self.payments.iter().enumerate() {
                html.push_str(&self.line(at, paid));
            }
            html.push_str("</ul>\n</form>\n");
        }
        if self.is_cut {
            html.push_str("<p>There are more; these are those whose time is over first.</p>\n");
        }
        html.push_str(
            "<h2>Paid with a wallet?</h2>\n<p>The farthing wallet has its receipts itself, and asks with them:</p>\n\
             <code>farthing wallet refund-payment ADDRESS</code>\n",
        );
        document("Give it back", "What you can give back", &html)
    }

    fn line(&self, at: usize, Paid { payment, place, what, standing }: &Paid) -> String {
        let (what, payment) = (escape(what), escape(payment));
        let sum = |money: &Money| shown(self.locale, money);
        let (told, button) = match standing {
            Standing::Open(money, until) => {
                (format!("{}, until {}", sum(money), time(*until)), "Give it back")
            }
            Standing::SetAside(money) => (format!("{}, set aside for you", sum(money)), "Take it back"),
            Standing::GivenInPart => ("a part of it came back".to_owned(), "Show the credits again"),
            Standing::Given => ("came back".to_owned(), "Show the credits again"),
        };
        format!(
            "<li><p id=\"p{at}\">{what}: {told}</p>\n\
             <p><button name=\"payment\" value=\"{payment}.{place}\" aria-describedby=\"p{at}\">{button}</button></p></li>\n"
        )
    }
}

impl GivenPage<'_> {
    /// The page as HTML.
    pub fn to_html(&self) -> String {
        let (what, token, mint) = (escape(self.what), escape(self.token), escape(self.mint));
        let (back, kept) = (shown(self.locale, &self.back), shown(self.locale, &self.kept));
        let kept = if self.kept.amount().is_zero() {
            "Nothing of it was kept, and what it had opened is closed.".to_owned()
        } else {
            format!("{kept} of it are kept.")
        };
        let issuer = if mint.is_empty() { String::new() } else { format!(" of <code>{mint}</code>") };
        let html = format!(
            "<p class=\"price\">{back}</p>\n<p>This came back for {what}. {kept}</p>\n\
             <p><label for=\"token\">The credits, as a token to copy. Whoever has it has the money:</label></p>\n\
             <textarea id=\"token\" rows=\"8\" readonly>{token}</textarea>\n\
             <h2>What to do with it</h2>\n<p>Take it in at once: then nobody can link it to the payment, and nobody who has seen it can \
             take it. The farthing wallet does it with this, and the token pasted after it:</p>\n\
             <code>farthing wallet receive -</code>\n\
             <p>Or any Cashu wallet that takes credits{issuer}</p>\n\
             <p>To load this page again shows the same credits again. <a href=\"{REFUNDS_PATH}\">What else you can give back</a></p>\n"
        );
        document("Given back", "Given back", &html)
    }
}

impl NotGivenPage<'_> {
    /// The page as HTML.
    pub fn to_html(&self) -> String {
        let Problem { title, detail, code, next, .. } = self.0;
        let (title, detail, code) = (escape(title), escape(detail), escape(code));
        let next = next.as_deref().map(escape).unwrap_or_default();
        let html = format!(
            "<p role=\"alert\">Refused: {detail}.</p>\n<p>What to do: {next}.</p>\n<p>The code of this, for who helps you:</p>\n\
             <code>{code}</code>\n<p><a href=\"{REFUNDS_PATH}\">What you can give back</a></p>\n"
        );
        document(&title, &title, &html)
    }
}

/// A moment for people, to the minute that has begun; the exact one is there for programs.
fn time(at: Timestamp) -> String {
    let exact = at.to_string();
    let minute = exact.get(..16).unwrap_or(&exact).replace('T', " ");
    format!("<time datetime=\"{}\">{} UTC</time>", escape(&exact), escape(&minute))
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Asset};

    use super::*;

    fn usd(micros: u128) -> Money {
        Asset::micro("USD").unwrap().money(Amount::new(micros))
    }

    fn page(payments: &[Paid]) -> String {
        RefundsPage { locale: Locale::of("de"), payments, is_cut: false }.to_html()
    }

    #[test]
    fn each_payment_has_one_button() {
        let paid = |payment: &str, place, standing| Paid {
            payment: payment.into(),
            place,
            what: "http://a.example/<b>&".into(),
            standing,
        };
        let until = Timestamp::from_secs(90);
        let html = page(&[
            paid("aa", 0, Standing::Open(usd(10_000), until)),
            paid("bb", 1, Standing::SetAside(usd(3_000))),
            paid("cc", 2, Standing::Given),
            paid("bb", 0, Standing::GivenInPart),
        ]);
        for part in [
            "<p id=\"p0\">http://a.example/&lt;b&gt;&amp;: 0,01\u{a0}USD, until \
             <time datetime=\"1970-01-01T00:01:30.000Z\">1970-01-01 00:01 UTC</time></p>",
            "<button name=\"payment\" value=\"aa.0\" aria-describedby=\"p0\">Give it back</button>",
            "<button name=\"payment\" value=\"bb.1\" aria-describedby=\"p1\">Take it back</button>",
            "<button name=\"payment\" value=\"cc.2\" aria-describedby=\"p2\">Show the credits again</button>",
            ": a part of it came back</p>\n<p><button name=\"payment\" value=\"bb.0\" aria-describedby=\"p3\">Show the",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        assert_eq!(
            html.matches("<form method=\"post\" action=\"/.well-known/farthing/refunds\">").count(),
            1
        );
        assert!(!html.contains("<script") && !html.contains("<b>"));
        let none = page(&[]);
        assert!(none.contains("nothing that this browser") && !none.contains("<form"), "{none}");
    }

    #[test]
    fn what_came_and_what_was_kept_is_told() {
        let given = GivenPage {
            locale: None,
            what: "http://a.example/",
            back: usd(10_000),
            kept: usd(0),
            token: "cashuB<",
            mint: "",
        };
        let html = given.to_html();
        for part in [
            "0.01 USD",
            "Nothing of it was kept",
            "readonly>cashuB&lt;</textarea>",
            "farthing wallet receive -",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        let html = GivenPage { kept: usd(20_000), mint: "https://mint.example", ..given }.to_html();
        assert!(html.contains("0.02 USD of it are kept") && html.contains("https://mint.example"), "{html}");
    }

    #[test]
    fn a_refusal_has_its_code() {
        let problem = Problem::new("refund-over", 409, "Not given back", "<too late>").next("ask the seller");
        let html = NotGivenPage(&problem).to_html();
        for part in
            ["<h1>Not given back</h1>", "&lt;too late&gt;", "ask the seller", "<code>refund-over</code>"]
        {
            assert!(html.contains(part), "{part}\n{html}");
        }
    }
}
