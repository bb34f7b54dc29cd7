//! Amounts as people of a language write them: which mark stands before the decimals, and which between the thousands. The code
//! stays behind, as everywhere here; nothing that a program reads is written so.

use crate::Money;

/// How numbers are written in a language. The facts are those of the Unicode CLDR; languages that group otherwise than by
/// thousands are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locale {
    decimal: char,
    group: char,
    /// How many digits a whole number has at least before it is grouped.
    grouped_from: usize,
}

const APOSTROPHE: char = '\u{2019}';
const NARROW_SPACE: char = '\u{202f}';
const SPACE: char = '\u{a0}';

const fn locale(decimal: char, group: char, grouped_from: usize) -> Locale {
    Locale { decimal, group, grouped_from }
}

/// Regions before their language.
const LOCALES: [(&str, Locale); 35] = [
    ("de-ch", locale('.', APOSTROPHE, 4)),
    ("de-li", locale('.', APOSTROPHE, 4)),
    ("de-at", locale(',', SPACE, 4)),
    ("es-mx", locale('.', ',', 4)),
    ("pt-pt", locale(',', SPACE, 5)),
    ("en-gb", locale('.', ',', 4)),
    ("en-us", locale('.', ',', 4)),
    ("en-ca", locale('.', ',', 4)),
    ("en-au", locale('.', ',', 4)),
    ("en-ie", locale('.', ',', 4)),
    ("en-nz", locale('.', ',', 4)),
    ("en", locale('.', ',', 4)),
    ("ja", locale('.', ',', 4)),
    ("ko", locale('.', ',', 4)),
    ("zh", locale('.', ',', 4)),
    ("th", locale('.', ',', 4)),
    ("he", locale('.', ',', 4)),
    ("de", locale(',', '.', 4)),
    ("nl", locale(',', '.', 4)),
    ("it", locale(',', '.', 4)),
    ("id", locale(',', '.', 4)),
    ("tr", locale(',', '.', 4)),
    ("da", locale(',', '.', 4)),
    ("el", locale(',', '.', 4)),
    ("ro", locale(',', '.', 4)),
    ("es", locale(',', '.', 5)),
    ("pt", locale(',', '.', 4)),
    ("fr", locale(',', NARROW_SPACE, 4)),
    ("pl", locale(',', SPACE, 5)),
    ("bg", locale(',', SPACE, 5)),
    ("cs", locale(',', SPACE, 4)),
    ("sv", locale(',', SPACE, 4)),
    ("fi", locale(',', SPACE, 4)),
    ("hu", locale(',', SPACE, 5)),
    ("uk", locale(',', SPACE, 4)),
];

/// Regions of a language whose numbers are written otherwise and are not in the list.
const LEFT_OUT: [&str; 3] = ["en-in", "en-za", "fr-ch"];

impl Locale {
    /// That of a language such as `de` or `de-CH`; nothing if it is not known.
    pub fn of(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_ascii_lowercase().replace('_', "-");
        if LEFT_OUT.contains(&tag.as_str()) {
            return None;
        }
        let language = tag.split('-').next().unwrap_or_default();
        let find = |wanted: &str| LOCALES.iter().find(|(name, _)| *name == wanted).map(|(_, locale)| *locale);
        find(&tag).or_else(|| find(language))
    }

    /// An amount in decimals with the code of its asset.
    pub fn write(self, money: &Money) -> String {
        let decimal = money.to_decimal();
        let (whole, part) = decimal.split_once('.').unwrap_or((&decimal, ""));
        let digits = whole.len();
        let mut text = String::with_capacity(decimal.len().saturating_add(16));
        for (at, digit) in whole.chars().enumerate() {
            let left = digits.saturating_sub(at);
            if at > 0 && left.is_multiple_of(3) && digits >= self.grouped_from {
                text.push(self.group);
            }
            text.push(digit);
        }
        if !part.is_empty() {
            text.push(self.decimal);
            text.push_str(part);
        }
        text.push(SPACE);
        text.push_str(money.asset().code().as_str());
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Amount, Asset};

    fn written(tag: &str, amount: u128) -> String {
        Locale::of(tag).unwrap().write(&Asset::new("EUR", 2, "eur").unwrap().money(Amount::new(amount)))
    }

    #[test]
    fn numbers_are_written_as_people_do() {
        for (tag, expected) in [
            ("en", "1,234,567.89\u{a0}EUR"),
            ("de", "1.234.567,89\u{a0}EUR"),
            ("DE_ch", "1\u{2019}234\u{2019}567.89\u{a0}EUR"),
            ("fr-FR", "1\u{202f}234\u{202f}567,89\u{a0}EUR"),
            ("sv", "1\u{a0}234\u{a0}567,89\u{a0}EUR"),
        ] {
            assert_eq!(written(tag, 123_456_789), expected, "{tag}");
        }
        // Spaniards group from five digits on.
        assert_eq!(
            (written("es", 123_400), written("es", 1_234_000)),
            ("1234,00\u{a0}EUR".into(), "12.340,00\u{a0}EUR".into())
        );
        assert_eq!(written("de", 1), "0,01\u{a0}EUR");
    }

    #[test]
    fn what_is_not_known_is_nothing() {
        for tag in ["", "*", "xx", "hi", "en-IN", "e", "deutsch"] {
            assert_eq!(Locale::of(tag), None, "{tag}");
        }
    }

    proptest! {
        /// Whatever the marks are, the digits stay.
        #[test]
        fn no_digit_is_lost(amount: u128, at in 0..LOCALES.len()) {
            let money = Asset::micro("USD").unwrap().money(Amount::new(amount));
            let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
            prop_assert_eq!(digits(&LOCALES[at].1.write(&money)), digits(&money.to_decimal()));
        }
    }
}
