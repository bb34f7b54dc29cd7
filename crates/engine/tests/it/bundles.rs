//! Bundles: however uses begin, end, fail and come back, nobody opens more than was bought, and what failed is not counted.

use std::collections::BTreeMap;

use crate::support;
use farthing_engine::{
    Answer, BUNDLE_GRACE, BUNDLE_USE_WAITS, BeginBundleUse, BundleCommand, BundleReject, BundleUseId,
    Command, EndBundleUse, PaymentId, Reject, Rows,
};
use farthing_money::{Span, Timestamp};
use proptest::prelude::*;

const START: Timestamp = Timestamp::from_secs(100_000_000);
const ENDS: Timestamp = Timestamp::from_secs(200_000_000);
/// How long a rule's pass lasts.
const LASTS: Span = Span::from_secs(60);
const OF: u32 = 3;

fn bundle() -> PaymentId {
    PaymentId::from_bytes([1; 32])
}

fn page(n: u8) -> BundleUseId {
    BundleUseId::from_bytes([n; 32])
}

struct Books {
    rows: Rows,
    now: Timestamp,
}

impl Books {
    fn new() -> Self {
        Self { rows: Rows::default(), now: START }
    }

    fn run(&mut self, command: BundleCommand) -> Result<Answer, Reject> {
        support::run(&mut self.rows, &Command::Bundle(command), self.now)
    }

    fn begin(&mut self, n: u8) -> Result<u32, Reject> {
        let begin = BeginBundleUse { bundle: bundle(), of: OF, ends: ENDS, used: page(n) };
        match self.run(BundleCommand::Begin(begin))? {
            Answer::BundleUse { left } => Ok(left),
            other => panic!("expected a use, got {other:?}"),
        }
    }

    fn end(&mut self, n: u8, delivered: bool) {
        let delivered = delivered.then_some(LASTS);
        self.run(BundleCommand::End(EndBundleUse { bundle: bundle(), used: page(n), delivered })).unwrap();
    }

    fn forget(&mut self) {
        let uses = (0..8).map(|n| (page(n), bundle())).collect();
        self.run(BundleCommand::Forget { bundles: vec![bundle()], uses }).unwrap();
    }

    fn taken(&mut self) -> u32 {
        self.rows.bundles.load(bundle(), None);
        self.rows.bundles.get(&bundle()).unwrap().map_or(0, |row| row.taken)
    }
}

#[test]
fn coming_back_is_the_same_use_and_what_fails_is_none() {
    let mut books = Books::new();
    assert_eq!((books.begin(1), books.begin(1)), (Ok(2), Ok(2)), "two at once are one");
    books.end(1, false);
    books.end(1, true);
    assert_eq!((books.begin(1), books.taken()), (Ok(2), 1));
    books.end(1, false);
    assert_eq!(books.taken(), 1, "it was delivered before");
    assert_eq!(books.begin(2), Ok(1));
    books.end(2, false);
    books.end(2, false);
    assert_eq!(books.taken(), 1, "given back once");
    books.now = START.after(LASTS);
    assert_eq!(books.begin(1), Ok(1), "its time is over: another use");
    books.end(1, true);
    assert_eq!(books.begin(3), Ok(0));
    assert_eq!(books.begin(4), Err(BundleReject::UsedUp { of: OF }.into()));
    // The gate is killed before the answer has begun.
    books.now = books.now.after(BUNDLE_USE_WAITS);
    books.forget();
    assert_eq!((books.taken(), books.begin(4)), (2, Ok(0)));
    books.now = ENDS;
    assert_eq!(books.begin(5), Err(BundleReject::Over { ends: ENDS }.into()));
    books.forget();
    assert_eq!(books.taken(), 2, "a clock may be put back");
    books.now = ENDS.after(BUNDLE_GRACE);
    books.forget();
    assert_eq!(books.taken(), 0, "a bundle that is over is forgotten");
}

/// An answer that began late, or beside one that failed, opened a page for nothing: its use had been given back.
#[test]
fn what_is_delivered_after_its_use_was_given_back_counts() {
    let mut books = Books::new();
    assert_eq!(books.begin(1), Ok(2));
    books.now = START.after(BUNDLE_USE_WAITS);
    books.forget();
    assert_eq!(books.taken(), 0);
    books.end(1, true);
    assert_eq!(books.taken(), 1);
    assert_eq!((books.begin(1), books.taken()), (Ok(2), 1), "coming back is the same use");
    // Two that wait longer than a use does: the one that fails gives back what the other has.
    assert_eq!(books.begin(2), Ok(1));
    books.now = books.now.after(BUNDLE_USE_WAITS);
    assert_eq!(books.begin(2), Ok(1));
    books.end(2, false);
    books.end(2, true);
    assert_eq!(books.taken(), 2);
    // What others have taken meanwhile stays theirs.
    assert_eq!(books.begin(3), Ok(0));
    books.now = books.now.after(BUNDLE_USE_WAITS);
    books.forget();
    assert_eq!(books.begin(4), Ok(0));
    books.end(4, true);
    books.end(3, true);
    assert_eq!((books.taken(), books.begin(5)), (OF, Err(BundleReject::UsedUp { of: OF }.into())));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(u8),
    End(u8, bool),
    Wait(u64),
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = || 0_u8..8;
    let step = prop_oneof![
        5 => n().prop_map(Step::Begin),
        4 => (n(), any::<bool>()).prop_map(|(n, good)| Step::End(n, good)),
        1 => (0_u64..700).prop_map(Step::Wait),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..150)
}

/// A page as a naive bookkeeper sees it.
#[derive(Clone, Copy, Debug)]
struct Page {
    under_way: u32,
    delivered: bool,
    until: Timestamp,
}

impl Page {
    /// Who has come back to what was delivered and is still served has it as long as an answer may take.
    fn kept(&self) -> Timestamp {
        let waits = self.delivered && self.under_way > 0;
        if waits { self.until.after(BUNDLE_USE_WAITS) } else { self.until }
    }
}

proptest! {
    /// Each use that counts is one that was delivered or may still be, and none begins beyond what was bought. What was delivered
    /// so late that its use had been given to somebody else is one that none is left for.
    #[test]
    fn nobody_opens_more_than_was_bought(steps in steps()) {
        let mut books = Books::new();
        let mut open = BTreeMap::<u8, Page>::new();
        // Answers that were asked for and have not ended, whatever the books have forgotten.
        let mut asked = BTreeMap::<u8, u32>::new();
        let (mut past, mut beyond) = (0, 0);
        for step in steps {
            match step {
                Step::Begin(n) => {
                    let now = books.now;
                    let begun = books.begin(n);
                    let known = open.get(&n).copied().filter(|page| page.until > now);
                    if known.is_some() {
                        prop_assert!(begun.is_ok());
                    }
                    if begun.is_ok() {
                        let waits = now.after(BUNDLE_USE_WAITS);
                        let page = if let Some(page) = known {
                            let until = if page.delivered { page.until } else { page.until.max(waits) };
                            Page { under_way: page.under_way + 1, until, ..page }
                        } else {
                            past += u32::from(open.get(&n).is_some_and(|page| page.delivered));
                            Page { under_way: 1, delivered: false, until: waits }
                        };
                        open.insert(n, page);
                        *asked.entry(n).or_default() += 1;
                    }
                }
                Step::End(n, good) => {
                    let now = books.now;
                    let Some(waiting) = asked.get_mut(&n).filter(|waiting| **waiting > 0) else { continue };
                    *waiting -= 1;
                    books.end(n, good);
                    let Some(page) = open.get(&n).copied() else {
                        if good {
                            beyond += u32::from(past + u32::try_from(open.len()).unwrap() - beyond == OF);
                            open.insert(n, Page { under_way: 0, delivered: true, until: now.after(LASTS) });
                        }
                        prop_assert_eq!(books.taken(), past + u32::try_from(open.len()).unwrap() - beyond);
                        continue;
                    };
                    let under_way = page.under_way.saturating_sub(1);
                    if good {
                        let until = if page.delivered { page.until } else { now.after(LASTS) };
                        open.insert(n, Page { under_way, delivered: true, until });
                    } else if page.delivered || under_way > 0 {
                        open.insert(n, Page { under_way, ..page });
                    } else {
                        open.remove(&n);
                    }
                }
                Step::Wait(secs) => books.now = books.now.after(Span::from_secs(secs)),
                Step::Forget => {
                    books.forget();
                    let now = books.now;
                    let over: Vec<_> =
                        open.iter().filter(|(_, page)| page.kept() <= now).map(|(n, page)| (*n, *page)).collect();
                    for (n, page) in over {
                        past += u32::from(page.delivered);
                        open.remove(&n);
                    }
                }
            }
            let counted = past + u32::try_from(open.len()).unwrap() - beyond;
            prop_assert!(counted <= OF);
            prop_assert_eq!(books.taken(), counted, "{:?}", step);
        }
    }
}
