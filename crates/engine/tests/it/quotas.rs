//! Quotas are exact: whatever is taken, given back and forgotten, in any order and with restarts in between.

use std::collections::{BTreeMap, BTreeSet};

use farthing_engine::{
    Admission, Answer, Command, DrawQuotaKey, ForgetQuotas, Keys, QuotaId, QuotaKeyRow, QuotaReject,
    QuotaRow, Reject, ReturnQuota, Rows, TakeQuota, decide, decide_batch,
};
use farthing_ledger::Head;
use farthing_money::Timestamp;
use proptest::prelude::*;

const FREE: u32 = 3;
const NEWCOMERS: u32 = 2;
const UNTIL: Timestamp = Timestamp::from_secs(1_000);

/// Rows as a store keeps them: what a batch has not written is gone.
#[derive(Default)]
struct Books {
    quotas: BTreeMap<QuotaId, QuotaRow>,
    keys: BTreeMap<u32, QuotaKeyRow>,
}

impl Books {
    fn run(&mut self, commands: &[Command], now: Timestamp) -> Vec<Result<Answer, Reject>> {
        let (mut keys, mut rows) = (Keys::default(), Rows::default());
        for command in commands {
            command.keys(&mut keys);
        }
        for id in &keys.quotas {
            rows.quotas.load(*id, self.quotas.get(id).copied());
        }
        for day in &keys.quota_keys {
            rows.quota_keys.load(*day, self.keys.get(day).copied());
        }
        rows.load_absent(&keys);
        let decided = decide_batch(rows, commands, Head::START, now).unwrap();
        assert!(decided.batch.is_none(), "no money moves");
        for (id, row) in decided.changes.quotas {
            match row {
                Some(row) => self.quotas.insert(id, row),
                None => self.quotas.remove(&id),
            };
        }
        for (day, row) in decided.changes.quota_keys {
            match row {
                Some(row) => self.keys.insert(day, row),
                None => self.keys.remove(&day),
            };
        }
        decided.answers
    }

    fn one(&mut self, command: Command, now: Timestamp) -> Result<Answer, Reject> {
        self.run(&[command], now).remove(0)
    }
}

fn asker(n: u8) -> QuotaId {
    QuotaId::from_bytes([n; 32])
}

fn network(n: u8) -> QuotaId {
    QuotaId::from_bytes([100 + n; 32])
}

fn take(who: u8, from: u8) -> Command {
    let admission = Some(Admission { by: network(from), limit: NEWCOMERS });
    Command::from(TakeQuota { quota: asker(who), limit: FREE, until: UNTIL, admission })
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Take {
        who: u8,
        from: u8,
    },
    /// One that was taken, by its number, was not had.
    Return(usize),
    /// Forgetting comes while nothing is over.
    Forget,
}

/// What is out, as anybody would count it: who has it, from where it was let in.
#[derive(Default)]
struct Naive {
    out: Vec<(u8, u8)>,
}

impl Naive {
    fn take(&mut self, who: u8, from: u8) -> Result<u32, &'static str> {
        let own: Vec<u8> = self.out.iter().filter(|(by, _)| *by == who).map(|(_, let_in)| *let_in).collect();
        if own.len() >= usize::try_from(FREE).unwrap() {
            return Err("quota-used-up");
        }
        let let_in = own.first().copied().unwrap_or(from);
        let there: BTreeSet<u8> = self.out.iter().filter(|(_, at)| *at == from).map(|(by, _)| *by).collect();
        if own.is_empty() && there.len() >= usize::try_from(NEWCOMERS).unwrap() {
            return Err("quota-crowded");
        }
        self.out.push((who, let_in));
        Ok(u32::try_from(own.len()).unwrap() + 1)
    }
}

fn steps() -> impl Strategy<Value = Vec<(Step, bool)>> {
    let step = prop_oneof![
        4 => (0..5_u8, 0..2_u8).prop_map(|(who, from)| Step::Take { who, from }),
        2 => (0..64_usize).prop_map(Step::Return),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec((step, any::<bool>()), 0..80)
}

proptest! {
    #[test]
    fn a_quota_is_exact_in_any_order(steps in steps()) {
        let (mut books, mut naive) = (Books::default(), Naive::default());
        let mut batch: Vec<(Command, Result<u32, &'static str>)> = Vec::new();
        for (step, ends_batch) in steps {
            match step {
                Step::Take { who, from } => batch.push((take(who, from), naive.take(who, from))),
                Step::Return(_) if naive.out.is_empty() => {}
                Step::Return(n) => {
                    let (who, from) = naive.out.remove(n % naive.out.len());
                    let admitted_by = Some(network(from));
                    batch.push((Command::from(ReturnQuota { quota: asker(who), admitted_by }), Ok(0)));
                }
                Step::Forget => {
                    let quotas = (0..5).map(asker).chain((0..2).map(network)).collect();
                    batch.push((Command::from(ForgetQuotas { quotas, keys: vec![] }), Ok(0)));
                }
            }
            if ends_batch {
                check(&mut books, std::mem::take(&mut batch))?;
            }
        }
        check(&mut books, batch)?;
        let left: u32 = (0..5).filter_map(|n| books.quotas.get(&asker(n))).map(|row| row.used).sum();
        prop_assert_eq!(usize::try_from(left).unwrap(), naive.out.len());
        for n in 0..2 {
            let there: BTreeSet<u8> = naive.out.iter().filter(|(_, at)| *at == n).map(|(by, _)| *by).collect();
            let counted = books.quotas.get(&network(n)).map_or(0, |row| row.used);
            prop_assert_eq!(usize::try_from(counted).unwrap(), there.len());
        }
        let all: Vec<QuotaId> = books.quotas.keys().copied().collect();
        books.one(Command::from(ForgetQuotas { quotas: all, keys: vec![] }), UNTIL).unwrap();
        prop_assert!(books.quotas.is_empty(), "what is over is gone");
    }
}

fn check(books: &mut Books, batch: Vec<(Command, Result<u32, &'static str>)>) -> Result<(), TestCaseError> {
    let (commands, expected): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let now = Timestamp::from_secs(999);
    let answers = books.run(&commands, now).into_iter().map(|answer| match answer {
        Ok(Answer::Quota(row)) => Ok(row.used),
        Ok(_) => Ok(0),
        Err(reject) => Err(reject.code()),
    });
    prop_assert_eq!(answers.collect::<Vec<_>>(), expected);
    Ok(())
}

#[test]
fn a_day_has_one_key_until_nobody_needs_it() {
    let mut books = Books::default();
    let draw = |key, until| Command::from(DrawQuotaKey { day: 7, key: [key; 32], until });
    let later = Timestamp::from_secs(2_000);
    for (command, expected) in [(draw(1, UNTIL), UNTIL), (draw(2, later), later), (draw(3, UNTIL), later)] {
        books.one(command, Timestamp::default()).unwrap();
        let row = books.keys[&7];
        assert_eq!((row.key, row.until), ([1; 32], expected), "the first key stays, the longer need counts");
    }
    assert!(!format!("{:?} {:?}", books.keys[&7], draw(1, UNTIL)).contains("[1, 1"), "keys are not printed");
    let forget = |now| (Command::from(ForgetQuotas { quotas: vec![], keys: vec![7, 8] }), now);
    let (command, now) = forget(UNTIL);
    books.one(command, now).unwrap();
    assert_eq!(books.keys.len(), 1, "somebody needs it");
    let (command, now) = forget(later);
    books.one(command, now).unwrap();
    assert!(books.keys.is_empty());
}

#[test]
fn a_limit_that_was_lowered_holds_at_once() {
    let mut books = Books::default();
    for _ in 0..FREE {
        books.one(take(1, 0), Timestamp::default()).unwrap();
    }
    let lower = Command::from(TakeQuota { quota: asker(1), limit: 1, until: UNTIL, admission: None });
    assert_eq!(books.one(lower, Timestamp::default()), Err(Reject::Quota(QuotaReject::UsedUp { limit: 1 })));
}

#[test]
fn what_is_refused_changes_nothing_and_what_is_not_loaded_is_a_bug() {
    let mut books = Books::default();
    for who in 0..2 {
        books.one(take(who, 0), Timestamp::default()).unwrap();
    }
    let before = books.quotas.clone();
    assert_eq!(
        books.one(take(9, 0), Timestamp::default()),
        Err(Reject::Quota(QuotaReject::Crowded { limit: NEWCOMERS }))
    );
    assert_eq!(books.quotas, before);
    let refused = decide(&mut Rows::default(), &take(1, 0), Timestamp::default());
    assert_eq!(refused.err(), Some(Reject::NotLoaded));
}
