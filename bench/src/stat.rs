//! The little arithmetic that figures need: medians, percentiles, rates.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are for reading; counts are far below 2^53"
)]

use std::time::Duration;

/// The middle value; of two in the middle, their mean. Not a number if there is none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
    } else {
        at(middle)
    }
}

/// The value that this share of sorted values does not exceed (nearest rank).
pub fn percentile(sorted: &[u32], share: f64) -> u32 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0)
}

/// The mean. Not a number if there is none.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// How many of so many, in percent.
pub fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// The middle of each of so many equal parts of a second.
pub fn parts_of_a_second(parts: u32) -> impl Iterator<Item = Duration> {
    (0..parts).map(move |part| Duration::from_secs_f64((f64::from(part) + 0.5) / f64::from(parts)))
}

/// How many a second.
pub fn rate(count: usize, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64()
}

/// How many fit into so many seconds at this rate, within bounds.
pub fn count_for(rate: f64, seconds: u64, least: usize, most: usize) -> usize {
    ((rate * seconds as f64) as usize).clamp(least, most)
}

/// Microseconds for each of so many.
pub fn micros_each(span: Duration, count: usize) -> f64 {
    span.as_secs_f64() * 1e6 / count as f64
}

/// Microseconds as milliseconds.
pub fn millis(micros: u32) -> f64 {
    f64::from(micros) / 1e3
}

/// Bytes as mebibytes.
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1024 * 1024)
}

/// Three significant digits and no more: the fourth is noise.
pub fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = 2 - value.abs().log10().floor() as i32;
    let scale = 10_f64.powi(digits.abs());
    if digits >= 0 { (value * scale).round() / scale } else { (value / scale).round() * scale }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the results are exact")]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!((mean(&[1.0, 2.0, 6.0]), percent(3, 4)), (3.0, 75.0));
        let parts: Vec<_> = parts_of_a_second(2).collect();
        assert_eq!(parts, [Duration::from_millis(250), Duration::from_millis(750)]);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<u32> = (1..=100).collect();
        assert_eq!(
            (percentile(&values, 0.5), percentile(&values, 0.99), percentile(&values, 1.0)),
            (50, 99, 100)
        );
        assert_eq!(percentile(&[7], 0.01), 7);
        assert_eq!(percentile(&[], 0.5), 0);
    }

    #[test]
    fn three_digits_are_kept() {
        for (value, expected) in
            [(12345.6, 12300.0), (0.012_345, 0.0123), (9.999, 10.0), (0.0, 0.0), (-456.7, -457.0)]
        {
            assert_eq!(rounded(value), expected, "{value}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate(10, Duration::from_millis(500)), 20.0);
        assert_eq!(count_for(20.0, 3, 1, 50), 50);
        assert_eq!(micros_each(Duration::from_millis(1), 10), 100.0);
    }
}
