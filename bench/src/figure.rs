//! A figure: what was measured, and its ratio to a peer in the same run. Only the ratio means something on another
//! machine.

use serde::Serialize;

use crate::stat::{median, rounded};

/// One line of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Its stable name.
    pub name: String,
    /// Ours: the median of the rounds.
    pub value: f64,
    /// What the value counts.
    pub unit: &'static str,
    /// Against whom.
    pub peer: Option<String>,
    /// Ours by the peer's: the median of the rounds' ratios.
    pub ratio: Option<f64>,
    /// The smallest and the largest ratio of a round.
    pub ratio_spread: Option<[f64; 2]>,
    /// The peer's median.
    pub peer_value: Option<f64>,
}

impl Figure {
    /// A figure from rounds in which ours and the peer's were measured one after the other.
    pub fn against(name: impl Into<String>, unit: &'static str, peer: &str, rounds: &[(f64, f64)]) -> Self {
        let ours: Vec<f64> = rounds.iter().map(|(ours, _)| *ours).collect();
        let theirs: Vec<f64> = rounds.iter().map(|(_, theirs)| *theirs).collect();
        let ratios: Vec<f64> = rounds.iter().map(|(ours, theirs)| ours / theirs).collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self {
            name: name.into(),
            value: rounded(median(&ours)),
            unit,
            peer: Some(peer.to_owned()),
            ratio: Some(rounded(median(&ratios))),
            ratio_spread: Some([rounded(least), rounded(most)]),
            peer_value: Some(rounded(median(&theirs))),
        }
    }

    /// A figure that nobody else has.
    pub fn alone(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            name: name.into(),
            value: rounded(value),
            unit,
            peer: None,
            ratio: None,
            ratio_spread: None,
            peer_value: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds() {
        let figure = Figure::against("a_vs_b", "requests/s", "b 1.0", &[(10.0, 1.0), (9.0, 3.0), (8.0, 4.0)]);
        assert_eq!((figure.value, figure.peer_value, figure.ratio), (9.0, Some(3.0), Some(3.0)));
        assert_eq!(figure.ratio_spread, Some([2.0, 10.0]));
    }

    #[test]
    fn a_line_has_the_promised_members() {
        let line = serde_json::to_value(Figure::alone("memory", "MiB", 12.0)).unwrap();
        let expected = serde_json::json!({
            "name": "memory", "value": 12.0, "unit": "MiB", "peer": null, "ratio": null,
            "ratio_spread": null, "peer_value": null,
        });
        assert_eq!(line, expected);
    }
}
