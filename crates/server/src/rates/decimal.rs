//! Decimals as fractions: what a feed writes is read exactly, never by way of a float.

/// A decimal such as `1.0853` as a numerator and a power of ten; nothing for what is none, for signs and exponents, and for more
/// digits than any bank writes.
pub(super) fn fraction(text: &str) -> Option<(u128, u128)> {
    const DIGITS_MOST: usize = 18;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let good = !whole.is_empty() && digits(whole) && digits(part) && !text.ends_with('.');
    if !good || whole.len() > DIGITS_MOST || part.len() > DIGITS_MOST {
        return None;
    }
    let denominator = 10_u128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let whole: u128 = whole.parse().ok()?;
    let part: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    Some((whole.checked_mul(denominator)?.checked_add(part)?, denominator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        assert_eq!(fraction("1.0853"), Some((10_853, 10_000)));
        assert_eq!(fraction("164"), Some((164, 1)));
        assert_eq!(fraction("0.10"), Some((10, 100)));
        assert_eq!(fraction("0"), Some((0, 1)));
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "0x1",
            " 1",
            "NaN",
            "1.2.3",
            "١",
            "1234567890123456789",
        ] {
            assert_eq!(fraction(bad), None, "{bad:?}");
        }
    }
}
