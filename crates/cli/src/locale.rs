//! Amounts as people of a place write them: `--locale`, or what the terminal's environment says. Digits and groups are those of the
//! Unicode CLDR by ICU4X; which side a symbol stands on is a short table of its facts, since ICU4X has no stable part for it.
//! Only what people read is written so: never JSON, never what is between quotes and meant to be typed.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::OnceLock;

use farthing_server::config::environment;
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_locale_core::Locale;

/// How amounts are written from now on in this run of the program; nothing for the plain form.
static CHOSEN: OnceLock<Option<Locale>> = OnceLock::new();

const NO_BREAK: char = '\u{a0}';
const NARROW_NO_BREAK: char = '\u{202f}';

/// A language or place as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Option<Locale>);

/// How a place writes amounts.
struct Amounts {
    place: Locale,
    numbers: DecimalFormatter,
}

/// Where a symbol stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Right before the number.
    Before,
    /// Before it, with a space.
    Apart,
    /// After it, with a space.
    After,
}

impl FromStr for Place {
    type Err = String;

    /// `de`, `de-AT`, `de_AT.UTF-8`; `C` and `POSIX` are no place.
    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.split(['.', '@']).next().unwrap_or_default();
        if ["C", "POSIX"].contains(&name) {
            return Ok(Self(None));
        }
        let wrong = || format!("expected a language such as de, en-GB or pt_BR, got {text:?}");
        let tag = name.replace('_', "-");
        // Two languages are written like the words of a sentence: only what has a language's length is one.
        let language = tag.split('-').next().unwrap_or_default();
        if !(2..=3).contains(&language.len()) {
            return Err(wrong());
        }
        tag.parse().map(|locale| Self(Some(locale))).map_err(|_| wrong())
    }
}

/// Chooses, once: the place that is named, or else that of the environment if people are there to read.
pub fn choose(named: Option<&Place>, is_terminal: bool) {
    let place = named.cloned().or_else(|| environment::locale().filter(|_| is_terminal)?.parse().ok());
    // A second choice in one run would be a mistake of ours, and changes nothing.
    let _ = CHOSEN.set(place.and_then(|Place(locale)| locale));
}

/// A text with its amounts as the chosen place writes them.
pub fn localized(text: &str) -> Cow<'_, str> {
    let place = CHOSEN.get().cloned().flatten();
    match place.and_then(Amounts::of) {
        Some(amounts) => Cow::Owned(amounts.rewrite(text)),
        None => Cow::Borrowed(text),
    }
}

impl Amounts {
    fn of(place: Locale) -> Option<Self> {
        let numbers = DecimalFormatter::try_new(
            (&place).into(),
            icu_decimal::options::DecimalFormatterOptions::default(),
        );
        Some(Self { numbers: numbers.ok()?, place })
    }

    /// Every `-1234.56 USD` in a text, where it is not part of something longer and not meant to be typed.
    fn rewrite(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len());
        let (mut rest, mut before) = (text, None);
        while let Some(next) = rest.chars().next() {
            let found = if stands_free(before) { amount(rest) } else { None };
            let (taken, new) = match found {
                Some(Found { length, is_negative, number, code }) => {
                    (length, self.write(is_negative, number, code).map(Cow::Owned))
                }
                None => (next.len_utf8(), None),
            };
            let (here, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
            written.push_str(&new.unwrap_or(Cow::Borrowed(here)));
            (before, rest) = (here.chars().next_back(), after);
        }
        written
    }

    fn write(&self, is_negative: bool, number: &str, code: &str) -> Option<String> {
        let number = self.numbers.format(&number.parse::<Decimal>().ok()?).to_string();
        let sign = if is_negative { "-" } else { "" };
        Some(match symbol(code, &self.place) {
            // The code stays behind, as everywhere here.
            None => format!("{sign}{number}{NO_BREAK}{code}"),
            Some(symbol) => match side(&self.place) {
                Side::Before => format!("{sign}{symbol}{number}"),
                Side::Apart => format!("{sign}{symbol}{NO_BREAK}{number}"),
                Side::After => format!("{sign}{number}{NO_BREAK}{symbol}"),
            },
        })
    }
}

/// An amount at the beginning of a text.
struct Found<'a> {
    length: usize,
    is_negative: bool,
    number: &'a str,
    code: &'a str,
}

/// Whether an amount may begin after this: not inside of a number, a word, a date or a quotation.
fn stands_free(before: Option<char>) -> bool {
    before.is_none_or(|before| {
        !before.is_alphanumeric()
            && !".,:_-/'\"`\u{2019}$€£".contains(before)
            && ![NO_BREAK, NARROW_NO_BREAK].contains(&before)
    })
}

fn amount(text: &str) -> Option<Found<'_>> {
    let bare = text.strip_prefix('-').unwrap_or(text);
    let is_negative = bare.len() < text.len();
    let (number, rest) = bare.split_once(' ')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    // Codes of currencies have three letters; what else has three is no currency.
    let code = rest.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let ends = rest.chars().nth(3).is_none_or(|after| !after.is_alphanumeric() && after != '_');
    let length = text.len().checked_sub(rest.len())?.checked_add(3)?;
    (ends && code != "UTC").then_some(Found { length, is_negative, number, code })
}

/// Signs that stand for one currency in every place.
const EVERYWHERE: [(&str, &str); 8] = [
    ("EUR", "€"),
    ("GBP", "£"),
    ("INR", "₹"),
    ("KRW", "₩"),
    ("ILS", "₪"),
    ("UAH", "₴"),
    ("TRY", "₺"),
    ("VND", "₫"),
];

/// Signs that stand for several, or are words of a language: only where people use them for their own.
const AT_HOME: [(&str, &str, &str, Option<&str>); 12] = [
    ("USD", "$", "en", None),
    ("USD", "$", "en", Some("US")),
    ("USD", "$", "es", Some("US")),
    ("CAD", "$", "en", Some("CA")),
    ("AUD", "$", "en", Some("AU")),
    ("JPY", "¥", "ja", None),
    ("CNY", "¥", "zh", None),
    ("PLN", "zł", "pl", None),
    ("CZK", "Kč", "cs", None),
    ("HUF", "Ft", "hu", None),
    ("SEK", "kr", "sv", None),
    ("DKK", "kr.", "da", None),
];

fn symbol(code: &str, place: &Locale) -> Option<&'static str> {
    let (language, region) = (place.id.language.as_str(), place.id.region);
    let region = region.as_ref().map(icu_locale_core::subtags::Region::as_str);
    let is_home = |home: Option<&str>, speaks: &str| {
        speaks == language && (home == region || home.is_none() && language != "en")
    };
    let home = AT_HOME.iter().find(|(known, _, speaks, home)| *known == code && is_home(*home, speaks));
    let everywhere = || EVERYWHERE.iter().find(|(known, _)| *known == code).map(|(_, symbol)| *symbol);
    home.map(|(_, symbol, ..)| *symbol).or_else(everywhere)
}

/// On which side a place has symbols, by the patterns of the CLDR.
fn side(place: &Locale) -> Side {
    let (language, region) = (place.id.language.as_str(), place.id.region);
    let region = region.as_ref().map_or("", |region| region.as_str());
    match (language, region) {
        ("de", "AT" | "CH" | "LI") | ("nl", _) | ("it", "CH") | ("es", "AR" | "UY" | "PY" | "CO") => {
            Side::Apart
        }
        ("pt", "PT" | "AO" | "MZ") => Side::After,
        ("pt", _) => Side::Apart,
        ("en" | "ja" | "ko" | "zh" | "hi" | "tr" | "th" | "ga" | "cy" | "mt", _)
        | ("es", "MX" | "US" | "CL" | "PE" | "GT" | "HN" | "NI" | "PR" | "SV" | "PA" | "DO") => Side::Before,
        _ => Side::After,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(tag: &str) -> Amounts {
        let Place(locale) = tag.parse().unwrap();
        Amounts::of(locale.unwrap()).unwrap()
    }

    #[test]
    fn amounts_are_written_as_people_do() {
        for (tag, text, expected) in [
            ("en-US", "1234567.89 USD", "$1,234,567.89"),
            ("en", "-0.05 USD", "-$0.05"),
            ("en-GB", "1234.50 USD", "1,234.50\u{a0}USD"),
            ("en_GB.UTF-8", "1234.50 GBP", "£1,234.50"),
            ("de", "1234567.89 EUR", "1.234.567,89\u{a0}€"),
            ("de-AT", "1234.56 EUR", "€\u{a0}1\u{a0}234,56"),
            ("de", "1234.56 CHF", "1.234,56\u{a0}CHF"),
            ("fr-FR", "1234.56 EUR", "1\u{202f}234,56\u{a0}€"),
            ("es", "1234.00 EUR", "1234,00\u{a0}€"),
            ("hi", "1234567.89 INR", "₹12,34,567.89"),
            ("en-IN", "1234567.89 INR", "₹12,34,567.89"),
            ("ja", "1234 JPY", "¥1,234"),
            ("pt_BR", "0.000001 EUR", "€\u{a0}0,000001"),
        ] {
            assert_eq!(amounts(tag).rewrite(text), expected, "{tag}");
        }
        // Digits of the place itself.
        assert_eq!(amounts("mr").rewrite("12 INR"), "१२\u{a0}₹");
    }

    #[test]
    fn what_is_no_amount_or_is_to_be_typed_stays() {
        let german = amounts("de");
        for text in [
            "farthing pay --max \"0.05 USD\"",
            "`0.05 USD`",
            "12:00 UTC",
            "version 1.2 USDC",
            "a1 USD",
            "1.2.3 USD",
            "2026-11 USD",
            "1. USD",
            "50 MiB",
            "0.05 USD_x",
            "1.234,56 USD",
            "",
        ] {
            assert_eq!(german.rewrite(text), text);
        }
        let once = german.rewrite("paid 1234.5 EUR to a (0.50 EUR, 2 USD).");
        assert_eq!(once, "paid 1.234,5\u{a0}€ to a (0,50\u{a0}€, 2\u{a0}USD).");
        assert_eq!(german.rewrite(&once), once, "twice is once");
    }

    #[test]
    fn places_are_named_as_people_and_systems_do() {
        for good in ["de", "de-AT", "de_AT.UTF-8", "sr_RS@latin", "zh-Hant-TW", "C", "POSIX", "C.UTF-8"] {
            assert!(good.parse::<Place>().is_ok(), "{good}");
        }
        assert_eq!("C.UTF-8".parse(), Ok(Place(None)));
        for bad in ["", "d", "german", "de-", "de AT", "\u{e4}\u{f6}"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
