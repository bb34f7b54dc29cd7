//! NUT-11 (with NUT-14): locks and what opens them.

use farthing_ecash::{BlindedMessage, ConditionError, Proof, conditions};
use serde::Deserialize;

use crate::read::vectors;

/// Between the vectors' past locktimes (1, 21) and their future ones (4854185133, 99999999999).
const NOW: u64 = 1_795_000_000;

#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    quote: Option<String>,
    inputs: Vec<Proof>,
    outputs: Vec<BlindedMessage>,
}

impl Operation {
    fn check(&self, now_secs: u64) -> Result<(), ConditionError> {
        conditions::check(&self.inputs, &self.outputs, self.quote.as_deref(), now_secs)
    }

    fn message(&self) -> String {
        conditions::sig_all_message(&self.inputs, &self.outputs, self.quote.as_deref())
    }
}

fn unsigned(result: &Result<(), ConditionError>, needed: usize, got: usize) -> bool {
    matches!(result, Err(ConditionError::Signatures { needed: n, got: g, .. }) if (*n, *g) == (needed, got))
}

#[test]
fn nut_11_single_credits() {
    let vectors = vectors("nut11", 22);
    let check = |n: usize, now| conditions::check(&[vectors[n].parsed::<Proof>().unwrap()], &[], None, now);
    assert!(unsigned(&check(0, NOW), 2, 0), "not signed yet");
    assert_eq!(check(1, 0), Ok(()), "two of three, before the locktime");
    assert_eq!(check(1, NOW), Ok(()), "and after it");
    assert_eq!(check(2, NOW), Ok(()), "one of the refund keys");
    assert!(unsigned(&check(2, 21), 2, 1), "refund keys must wait");
    assert_eq!(check(3, NOW), Ok(()));
    assert!(unsigned(&check(4, NOW), 1, 0), "signed another secret");
    assert_eq!(check(5, NOW), Ok(()), "two of three");
    assert!(unsigned(&check(6, NOW), 2, 1), "one of three");
    assert_eq!(check(7, NOW), Ok(()), "the refund key after the locktime");
    assert!(unsigned(&check(8, NOW), 1, 0), "the refund key before it");
}

#[test]
fn nut_11_whole_operations() {
    let vectors = vectors("nut11", 22);
    let operation = |n: usize| vectors[n].parsed::<Operation>().unwrap();
    for (n, message) in [(9, 10), (18, 19)] {
        assert_eq!(operation(n).message(), vectors[message].text());
    }
    for n in [9, 11, 13, 14, 15, 17, 18, 20, 21] {
        assert_eq!(operation(n).check(NOW), Ok(()), "{n}");
    }
    assert_eq!(operation(12).check(NOW), Err(ConditionError::Mixed), "several secrets");
    assert!(unsigned(&operation(14).check(1), 1, 0), "refund keys must wait");
    assert!(unsigned(&operation(16).check(NOW), 1, 0), "the refund key of a hash lock before its locktime");
    assert!(unsigned(&operation(17).check(1), 1, 0), "the preimage does not stand in for the receiver");
    // A melt's signature is for its quote only, a swap's for its outputs only.
    let mut melt = operation(20);
    melt.quote = None;
    assert!(unsigned(&melt.check(NOW), 1, 0));
    let mut swap = operation(11);
    swap.outputs[0].amount = 1;
    assert!(unsigned(&swap.check(NOW), 1, 0));
}
