//! Makes a failing run small: the shortest beginning, then as many steps left out as can be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Leaves out steps for so long.
const PATIENCE: Duration = Duration::from_mins(2);

/// The smallest set of steps that was found to fail, beginning with all below `end`. `fails` runs a set.
pub fn shrink(end: u64, mut fails: impl FnMut(&BTreeSet<u64>) -> bool) -> BTreeSet<u64> {
    let began = Instant::now();
    let mut steps: Vec<u64> = (0..end).collect();
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 && began.elapsed() < PATIENCE {
        let mut from = 0;
        let mut shrunk = false;
        while from < steps.len() && began.elapsed() < PATIENCE {
            let (before, rest) = steps.split_at(from);
            let after = rest.get(chunk.min(rest.len())..).unwrap_or_default();
            let candidate: Vec<u64> = before.iter().chain(after).copied().collect();
            if candidate.len() < steps.len() && fails(&candidate.iter().copied().collect()) {
                steps = candidate;
                shrunk = true;
            } else {
                from = from.saturating_add(chunk);
            }
        }
        if chunk == 1 && !shrunk {
            break;
        }
        chunk = if chunk == 1 { 1 } else { chunk.div_ceil(2) };
    }
    steps.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let needed = [3, 17, 211];
        let small = shrink(400, |steps| needed.iter().all(|step| steps.contains(step)));
        assert_eq!(small, needed.into_iter().collect());
    }
}
