//! Counts as upstreams write them.

/// A count in decimal digits, with a fraction rounded up. Nothing if it is negative or no number.
pub(crate) fn whole(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // More than fits is more than anybody sets aside for.
    let count = whole.parse::<u128>().unwrap_or(u128::MAX);
    let begun = fraction.bytes().any(|byte| byte != b'0');
    Some(count.saturating_add(u128::from(begun)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_and_begun_ones_count() {
        for (text, count) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("12.0", Some(12)),
            ("12.001", Some(13)),
            ("007", Some(7)),
            ("99999999999999999999999999999999999999999", Some(u128::MAX)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            (".5", None),
            ("5.", None),
            ("1,000", None),
            ("1 000", None),
            ("NaN", None),
        ] {
            assert_eq!(whole(text), count, "{text:?}");
        }
    }
}
