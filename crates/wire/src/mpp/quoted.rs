//! Quoted strings of header fields, with the one addition of MPP's software: what is not ASCII travels as `\uXXXX`.

use crate::header;

/// A value between quotes, or `None` if it holds a control character (a line break would forge a header).
pub(super) fn write(value: &str) -> Option<String> {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            ' '..='~' => text.push(c),
            c if c.is_ascii() => return None,
            c => {
                let mut units = [0; 2];
                text.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    text.push('"');
    header::is_field_value(&text).then_some(text)
}

/// Reads a quoted string whose first quote is taken: its value and what follows its last quote; `None` if it never ends.
pub(super) fn read(rest: &str) -> Option<(String, &str)> {
    let mut units: Vec<u16> = Vec::new();
    let mut rest = rest;
    loop {
        let (c, behind) = split_first(rest)?;
        rest = behind;
        match c {
            '"' => return Some((String::from_utf16_lossy(&units), rest)),
            '\\' => {
                let (escaped, behind) = split_first(rest)?;
                rest = behind;
                let code = (escaped == 'u').then(|| rest.split_at_checked(4)).flatten();
                match code.and_then(|(digits, behind)| Some((hex_unit(digits)?, behind))) {
                    Some((unit, behind)) => {
                        units.push(unit);
                        rest = behind;
                    }
                    None => units.extend_from_slice(escaped.encode_utf16(&mut [0; 2])),
                }
            }
            c => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
        }
    }
}

fn hex_unit(digits: &str) -> Option<u16> {
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)
}

fn split_first(text: &str) -> Option<(char, &str)> {
    let mut chars = text.chars();
    chars.next().map(|c| (c, chars.as_str()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_breaks_are_refused() {
        for bad in ["a\r\nSet-Cookie: x", "a\nb", "\0", "\u{7f}", "\t"] {
            assert_eq!(write(bad), None, "{bad:?}");
        }
        assert_eq!(write("a, \"b\" \\ é💶").as_deref(), Some(r#""a, \"b\" \\ \u00e9\ud83d\udcb6""#));
        assert_eq!(read(r#"a \u00zz\,b" c"#), Some(("a u00zz,b".into(), " c")));
        assert_eq!(read("no end"), None);
        assert_eq!(read("no end\\"), None);
        assert_eq!(read("\\u+123\""), Some(("u+123".into(), "")));
    }

    proptest! {
        #[test]
        fn write_and_read_are_inverse(value in "\\PC*") {
            let text = write(&value).unwrap();
            prop_assert_eq!(read(&text[1..]), Some((value, "")));
        }

        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = (read(&text), write(&text));
        }
    }
}
