//! What banks call accounts and each other, and the letters that their files take: IBAN, BIC, and the character set of SEPA.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a name in a SEPA file at the most.
pub const NAME_CHARS_MAX: usize = 70;

/// An IBAN (ISO 13616) without its spaces. Its two check digits are checked, so that a slip is found.
pub fn iban(text: &str) -> Result<String, String> {
    let plain: String = text.chars().filter(|c| *c != ' ').collect();
    let wrong =
        |why: &str| format!("expected an IBAN such as DE89 3704 0044 0532 0130 00, got {text:?}: {why}");
    let form = plain.bytes().enumerate().all(|(place, byte)| match place {
        0 | 1 => byte.is_ascii_uppercase(),
        2 | 3 => byte.is_ascii_digit(),
        _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
    });
    if !form || !(15..=34).contains(&plain.len()) {
        return Err(wrong("it has two letters, two digits and 11 to 30 letters or digits"));
    }
    let (head, rest) = plain.split_at_checked(4).ok_or_else(|| wrong("it is too short"))?;
    let mut left = 0_u32;
    for letter in rest.chars().chain(head.chars()) {
        // Letters count from 10 on, in two digits.
        let value = letter.to_digit(36).ok_or_else(|| wrong("it has other letters"))?;
        let shift = if value < 10 { 10 } else { 100 };
        left = (left * shift + value) % 97;
    }
    if left == 1 { Ok(plain) } else { Err(wrong("its check digits do not fit; look for a slip")) }
}

/// A BIC (ISO 9362): eight letters and digits, or eleven.
pub fn bic(text: &str) -> Result<String, String> {
    let good = |place: usize, byte: u8| match place {
        4 | 5 => byte.is_ascii_uppercase(),
        _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
    };
    let form = text.bytes().enumerate().all(|(place, byte)| good(place, byte));
    if form && matches!(text.len(), 8 | 11) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "expected a BIC of 8 or 11 upper-case letters and digits such as COBADEFFXXX, got {text:?}"
        ))
    }
}

/// A country's code (ISO 3166).
pub fn country(text: &str) -> Option<String> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())).then(|| text.to_owned())
}

/// A name in the letters that every bank of SEPA takes. Latin letters lose their marks; what has no Latin letter is refused,
/// since a bank compares names.
pub fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let mut out = String::new();
    for letter in text.nfd().filter(|letter| !is_combining_mark(*letter)) {
        match plain(letter) {
            Some(plain) => out.push_str(plain),
            None if is_taken(letter) => out.push(letter),
            None => {
                return Err(format!(
                    "expected letters, digits and / - ? : ( ) . , ' + as banks take them, got {letter:?}; write the name as the bank account does, in Latin letters"
                ));
            }
        }
    }
    let chars = out.chars().count();
    // A slash at an end, or two of them, mean something else there.
    if out.is_empty()
        || chars > NAME_CHARS_MAX
        || out.starts_with('/')
        || out.ends_with('/')
        || out.contains("//")
    {
        return Err(format!(
            "expected a name of 1 to {NAME_CHARS_MAX} characters without a slash at its ends, got {chars} characters"
        ));
    }
    Ok(out)
}

fn is_taken(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "/-?:().,'+ ".contains(letter)
}

/// What letters are written as that are not a letter with a mark.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'Æ' => "AE",
        'æ' => "ae",
        'Œ' => "OE",
        'œ' => "oe",
        'Ø' => "O",
        'ø' => "o",
        'Ł' => "L",
        'ł' => "l",
        'Đ' | 'Ð' => "D",
        'đ' | 'ð' => "d",
        'Þ' => "TH",
        'þ' => "th",
        'ı' => "i",
        'Ħ' => "H",
        'ħ' => "h",
        '’' | '‘' | '`' | '´' => "'",
        '–' | '—' | '_' => "-",
        '&' => "+",
        '\u{a0}' => " ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iban_is_checked() {
        for good in [
            "DE89370400440532013000",
            "FI21 1234 5600 0007 85",
            "GB82 WEST 1234 5698 7654 32",
            "NO9386011117947",
        ] {
            assert_eq!(iban(good).unwrap(), good.replace(' ', ""));
        }
        for wrong in [
            "",
            "DE89",
            "DE89370400440532013001",
            "de89370400440532013000",
            "DE98370400440532013000",
            "D189370400440532013000",
            "DE8937040044053201300Ä",
        ] {
            assert!(iban(wrong).is_err(), "{wrong:?}");
        }
        // Two digits that have changed places.
        assert!(iban("DE89370400440532031000").unwrap_err().contains("look for a slip"));
    }

    #[test]
    fn a_bic_has_eight_or_eleven() {
        assert!(bic("COBADEFFXXX").is_ok() && bic("NDEAFIHH").is_ok());
        for wrong in ["", "COBADEFFX", "cobadeff", "COBA1EFF", "COBADEFFXXXX"] {
            assert!(bic(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn names_are_written_as_banks_take_them() {
        for (given, written) in [
            ("Müller & Søn", "Muller + Son"),
            ("Żółć Łódź Œuvre", "Zolc Lodz OEuvre"),
            ("  O’Brien (Åse) ", "O'Brien (Ase)"),
            ("Straße 5", "Strasse 5"),
        ] {
            assert_eq!(name(given).unwrap(), written);
        }
        for wrong in ["", "   ", "Ελλάδα", "東京", "a\tb", "/a", "a//b", "emoji 🙂", &"x".repeat(71)]
        {
            assert!(name(wrong).is_err(), "{wrong:?}");
        }
    }
}
