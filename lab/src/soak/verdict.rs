//! Flat or not: the medians of the thirds of the run after its warm-up are compared.

use serde::Serialize;

use super::load::Counts;
use super::watch::Sample;

/// The share of the run that counts as warm-up: one in so many.
const WARM_UP: usize = 4;
/// By so much the last third may hold more memory than the first.
const GROWTH_MOST: u64 = 16 << 20;
/// Or by one in so many of what the first held, if that is more.
const GROWTH_SHARE: u64 = 8;
/// By so many the last third may have more files open than the first.
const FILES_MOST: usize = 16;
/// With fewer looks than this after the warm-up there is nothing to compare.
const LOOKS_LEAST: usize = 9;

/// What a run showed.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    seconds: u64,
    paid: u64,
    unpaid: u64,
    swaps: u64,
    /// Answers of 429 or 503.
    refused: u64,
    /// Medians of the thirds.
    resident_bytes: [u64; 3],
    /// The most that was ever held.
    resident_bytes_most: u64,
    open_files: [usize; 3],
    folder_bytes: u64,
    /// What the last third may hold more than the first.
    growth_bytes_most: u64,
    /// The least leak in bytes for each paid request that would have been seen.
    leak_bytes_seen: u64,
    flat: bool,
}

impl Verdict {
    /// The verdict on a run.
    pub fn of(samples: &[Sample], counts: &Counts) -> Result<Self, String> {
        let rest = samples.get(samples.len() / WARM_UP..).unwrap_or_default();
        if rest.len() < LOOKS_LEAST {
            return Err(format!(
                "expected at least {LOOKS_LEAST} seconds after the warm-up, got {}",
                rest.len()
            ));
        }
        let mut thirds = rest.chunks(rest.len().div_ceil(3));
        let mut third = || thirds.next().unwrap_or_default();
        let (first, second, last) = (third(), third(), third());
        let resident = [first, second, last].map(|third| median(third.iter().map(|sample| sample.resident)));
        let files = [first, second, last].map(|third| median(third.iter().map(|sample| sample.files)));
        let growth_bytes_most = GROWTH_MOST.max(resident[0] / GROWTH_SHARE);
        let middle = |third: &[Sample]| third.get(third.len() / 2).map_or(0, |sample| sample.paid);
        let between = middle(last).saturating_sub(middle(first)).max(1);
        let flat = resident[2] <= resident[0].saturating_add(growth_bytes_most)
            && files[2] <= files[0].saturating_add(FILES_MOST);
        Ok(Self {
            seconds: samples.last().map_or(0, |sample| sample.at.as_secs()),
            paid: counts.paid,
            unpaid: counts.unpaid,
            swaps: counts.swaps,
            refused: counts.refused,
            resident_bytes: resident,
            resident_bytes_most: samples.iter().map(|sample| sample.resident).max().unwrap_or_default(),
            open_files: files,
            folder_bytes: samples.last().map_or(0, |sample| sample.folder),
            growth_bytes_most,
            leak_bytes_seen: growth_bytes_most.div_ceil(between),
            flat,
        })
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Not flat is a failure.
    pub fn judge(&self) -> Result<(), String> {
        if self.paid == 0 || self.swaps == 0 {
            return Err("nothing was paid or swapped; this was no soak".to_owned());
        }
        if self.flat {
            return Ok(());
        }
        Err(format!(
            "expected memory to stay within {} bytes and files within {FILES_MOST} of the first third, got medians of {:?} bytes and {:?} files",
            self.growth_bytes_most, self.resident_bytes, self.open_files
        ))
    }
}

fn median<T: Ord + Copy + Default>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn run(resident: impl Fn(u64) -> u64, files: impl Fn(u64) -> usize) -> Verdict {
        let sample = |second: u64| Sample {
            at: Duration::from_secs(second),
            resident: resident(second),
            files: files(second),
            folder: 0,
            paid: 40 * second,
        };
        let samples: Vec<Sample> = (0..400).map(sample).collect();
        let counts = Counts { paid: 16_000, swaps: 1, ..Counts::default() };
        Verdict::of(&samples, &counts).unwrap()
    }

    #[test]
    fn what_stays_is_flat_whatever_its_start_and_peaks() {
        let start_and_peaks = |second: u64| match second {
            0..100 => second * MIB,
            _ if second.is_multiple_of(10) => 300 * MIB,
            _ => 100 * MIB + second,
        };
        let verdict = run(start_and_peaks, |_| 40);
        assert!(verdict.judge().is_ok(), "{verdict:?}");
        assert_eq!(verdict.resident_bytes_most, 300 * MIB);
        // 8,000 payments lie between the middles of the thirds.
        assert_eq!(verdict.leak_bytes_seen, (16 * MIB).div_ceil(8_000));
    }

    #[test]
    fn a_leak_is_seen() {
        assert!(run(|second| 100 * MIB + second * MIB / 8, |_| 40).judge().is_err());
        assert!(run(|_| 100 * MIB, |second| 40 + usize::try_from(second / 10).unwrap()).judge().is_err());
    }

    #[test]
    fn a_short_run_says_nothing() {
        assert!(Verdict::of(&[Sample::default(); 10], &Counts::default()).is_err());
    }
}
