//! Uses of features: whatever is authorized, committed, given back and over, in any order and however often, nobody is charged twice
//! or above what was held, and what is free is counted exactly.

use std::collections::BTreeMap;

use crate::support;
use crate::support::{credits, merchant, totals, usd};
use farthing_engine::{
    Answer, AuthorizeUse, Claim, Command, CommitUse, CreditId, CreditRow, EntitlementCommand, EntitlementId,
    EntitlementReject, EntitlementRow, GivenBack, Hold, Input, IssueEntitlement, Keys, Marks, Output,
    OutputId, PaymentId, Post, QuotaId, QuotaReject, Reject, Release, ReleaseUse, RequestTag, ReturnQuota,
    Rows, TakeQuota, USE_KEPT, UseBy, UseCommand, UseId, UseReject, UseRow, UseState, decide, is_given_back,
};
use farthing_money::{Amount, Span, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(10_000);
const LASTS: Span = Span::from_secs(300);
const WORTH: u64 = 10;
const FREE: u32 = 2;

fn credit(n: u8) -> CreditId {
    CreditId::from_bytes([n; 33])
}

fn payment(n: u8) -> PaymentId {
    PaymentId::of_credits(&[credit(n)])
}

fn use_id(n: u8) -> UseId {
    UseId::from_bytes([n; 32])
}

fn quota() -> QuotaId {
    QuotaId::from_bytes([7; 32])
}

fn tag(n: u8) -> RequestTag {
    RequestTag::from_bytes([n; 16])
}

/// Books with credits in them.
fn books() -> Rows {
    let mut rows = support::issuer([merchant()], NOW);
    support::fund(&mut rows, 1_000, NOW);
    rows
}

fn hold(n: u8, most: u128, behind: Option<UseId>) -> Hold {
    Hold {
        payment: payment(n),
        funds: vec![Input { credit: credit(n), account: credits(), amount: WORTH, witness: None }].into(),
        price: Amount::new(most),
        asset: usd(),
        merchant: merchant().id().into(),
        resource: "feature export".into(),
        tag: tag(0),
        tax_code: None,
        marks: Marks { behind, ..Marks::default() },
    }
}

/// What an asker brings.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Nothing,
    Quota,
    Paid { credit: u8, most: u8 },
}

fn authorize(n: u8, kind: Kind, by: u8, now: Timestamp) -> Command {
    let claim = match kind {
        Kind::Nothing => Claim::Nothing,
        Kind::Quota => Claim::Quota(TakeQuota {
            quota: quota(),
            limit: FREE,
            until: Timestamp::from_secs(1),
            admission: None,
        }),
        Kind::Paid { credit, most } => {
            Claim::Payment(Box::new(hold(credit, u128::from(most), Some(use_id(n)))))
        }
    };
    let (lapses, feature) = (now.after(LASTS), "export".to_owned());
    UseCommand::Authorize(AuthorizeUse { id: use_id(n), feature, tag: tag(by), whom: tag(by), lapses, claim })
        .into()
}

fn post(n: u8, charged: u64) -> Post {
    let change = WORTH.saturating_sub(charged);
    let output = Output { output: OutputId::from_bytes([n; 33]), account: credits(), amount: change };
    Post {
        payment: payment(n),
        credits: vec![credit(n)],
        accounts: vec![credits()],
        merchant: merchant().id().into(),
        asset: usd(),
        charged: Amount::from(charged),
        change: if change == 0 { vec![] } else { vec![output] },
        pass_until: None,
        marks: Marks::default(),
    }
}

fn commit(n: u8, paid: Option<(u8, u64)>) -> Command {
    let post = paid.map(|(credit, charged)| Box::new(post(credit, charged)));
    UseCommand::Commit(CommitUse { id: use_id(n), post, entitlement: None }).into()
}

fn release(n: u8, by: UseBy) -> Command {
    let back = match by {
        UseBy::Nothing => GivenBack::Nothing,
        UseBy::Quota { quota, admitted_by, .. } => GivenBack::Quota(ReturnQuota { quota, admitted_by }),
        UseBy::Payment { payment, .. } => GivenBack::Payment(Box::new(Release {
            payment,
            credits: (0..4).map(credit).filter(|id| PaymentId::of_credits(&[*id]) == payment).collect(),
            accounts: vec![credits()],
            asset: usd(),
            channel: None,
            marks: Marks::default(),
        })),
    };
    UseCommand::Release(ReleaseUse { id: use_id(n), back }).into()
}

fn row_of(rows: &Rows, n: u8) -> Option<UseRow> {
    let [open, ended] = [rows.open_uses.get(&use_id(n)), rows.ended_uses.get(&use_id(n))];
    open.ok().flatten().or(ended.ok().flatten()).cloned()
}

/// The rows that matter.
fn snapshot(rows: &Rows) -> String {
    let mut rows = rows.clone();
    let mut keys = Keys::default();
    (0..5).for_each(|n| authorize(n, Kind::Paid { credit: n, most: 1 }, 0, NOW).keys(&mut keys));
    authorize(0, Kind::Quota, 0, NOW).keys(&mut keys);
    rows.load_absent(&keys);
    let of = |n| {
        let (credit, payment) = (rows.credits.get(&credit(n)), payment(n));
        let payments = (rows.held.get(&payment), rows.payments.get(&payment));
        format!("{:?} {credit:?} {payments:?}", row_of(&rows, n))
    };
    let money = [credits(), merchant().id()].map(|id| totals(&rows, id));
    format!("{:?} {:?} {money:?}", (0..5).map(of).collect::<Vec<_>>(), rows.quotas.get(&quota()))
}

/// A command, when it comes, and the refusal that it must get.
type Case = (Command, Timestamp, Option<Reject>);

const fn paid(credit: u8, most: u8) -> Kind {
    Kind::Paid { credit, most }
}

/// What is authorized, in order.
fn openings() -> Vec<Case> {
    let late = NOW.after(LASTS);
    let unbehind = UseCommand::Authorize(AuthorizeUse {
        claim: Claim::Payment(Box::new(hold(3, 5, None))),
        ..match authorize(9, Kind::Nothing, 0, NOW) {
            Command::Use(UseCommand::Authorize(command)) => command,
            other => unreachable!("{other:?}"),
        }
    })
    .into();
    let nothing = Marks::default();
    vec![
        (commit(1, None), NOW, Some(UseReject::Unknown(use_id(1)).into())),
        (release(1, UseBy::Nothing), NOW, Some(UseReject::Unknown(use_id(1)).into())),
        (
            authorize(1, paid(1, 11), 1, NOW),
            NOW,
            Some(Reject::Insufficient { price: Amount::new(11), got: Amount::new(10) }),
        ),
        (unbehind, NOW, Some(Reject::NotLoaded)),
        (authorize(1, paid(1, 6), 1, NOW), NOW, None),
        (authorize(1, paid(1, 6), 1, NOW), late, None),
        (authorize(1, paid(1, 6), 2, NOW), NOW, Some(UseReject::Elsewhere(use_id(1)).into())),
        (authorize(2, paid(1, 6), 1, NOW), NOW, Some(Reject::PaymentUnderWay(payment(1)))),
        (
            Command::Hold(Hold { marks: nothing, ..hold(1, 6, None) }),
            NOW,
            Some(Reject::PaymentUnderWay(payment(1))),
        ),
    ]
}

/// What becomes of it.
fn ends() -> Vec<Case> {
    let late = NOW.after(LASTS);
    let entitled = |id: u8| {
        let row = EntitlementRow { features: vec![], issued_at: NOW, until: late, revoked_at: None };
        let id = EntitlementId::from_bytes([id; 16]);
        Some(IssueEntitlement { id, row })
    };
    let commit_with = |n, entitlement| {
        UseCommand::Commit(CommitUse { id: use_id(n), post: Some(Box::new(post(1, 6))), entitlement }).into()
    };
    vec![
        (
            commit(1, Some((1, 7))),
            NOW,
            Some(UseReject::Exceeded { most: Amount::new(6), got: Amount::new(7) }.into()),
        ),
        (commit(1, None), NOW, Some(Reject::NotLoaded)),
        (release(1, UseBy::Nothing), NOW, Some(Reject::NotLoaded)),
        (commit(1, Some((1, 6))), late, Some(UseReject::Over(use_id(1)).into())),
        (EntitlementCommand::Issue(entitled(1).unwrap()).into(), NOW, None),
        (
            commit_with(1, entitled(1)),
            NOW,
            Some(EntitlementReject::Exists(EntitlementId::from_bytes([1; 16])).into()),
        ),
        (commit_with(1, entitled(2)), NOW, None),
        (commit_with(1, entitled(2)), late, None),
        (
            release(1, UseBy::Payment { payment: payment(1), most: Amount::new(6) }),
            NOW,
            Some(UseReject::Committed(use_id(1)).into()),
        ),
        (authorize(2, paid(1, 6), 1, NOW), NOW, Some(Reject::PaymentElsewhere(payment(1)))),
        (authorize(3, Kind::Quota, 1, NOW), NOW, None),
        (authorize(4, Kind::Quota, 1, NOW), NOW, None),
        (authorize(5, Kind::Quota, 1, NOW), NOW, Some(QuotaReject::UsedUp { limit: FREE }.into())),
        (release(3, UseBy::Quota { quota: quota(), admitted_by: None, left: 0 }), NOW, None),
        (commit(3, None), NOW, Some(UseReject::Over(use_id(3)).into())),
        (UseCommand::Forget(vec![use_id(1), use_id(3), use_id(4)]).into(), NOW, None),
    ]
}

#[test]
fn every_refusal_of_uses_changes_nothing() {
    let mut rows = books();
    for (n, (command, at, expected)) in openings().into_iter().chain(ends()).enumerate() {
        let before = snapshot(&rows);
        let answer = support::run(&mut rows, &command, at);
        assert_eq!(answer.err(), expected, "row {n}: {command:?}");
        if let Some(reject) = expected {
            assert_eq!(snapshot(&rows), before, "row {n}: a refusal changes nothing");
            assert!(!reject.is_transient() || matches!(reject, Reject::PaymentUnderWay(_)), "row {n}");
            assert!(!reject.to_string().is_empty() && !reject.code().is_empty());
        }
    }
    let row = row_of(&rows, 1).unwrap();
    assert_eq!(row.entitlement, Some(EntitlementId::from_bytes([2; 16])), "written down with the charge");
    assert_eq!(totals(&rows, merchant().id())[1], 6);
    // A day after it has ended, nobody asks again.
    let later = NOW.after(USE_KEPT);
    let forget = Command::Use(UseCommand::Forget(vec![use_id(1), use_id(3), use_id(4)]));
    support::run(&mut rows, &forget, later).unwrap();
    assert_eq!((row_of(&rows, 1), row_of(&rows, 3)), (None, None));
    assert_eq!(row_of(&rows, 4).unwrap().state, UseState::Open, "what is open is never forgotten");
}

/// A start gives back what a crash has left on hold; what stands behind a use waits for it.
#[test]
fn a_start_leaves_to_a_use_what_stands_behind_it() {
    let mut rows = books();
    support::run(&mut rows, &Command::Hold(hold(1, 5, None)), NOW).unwrap();
    support::run(&mut rows, &authorize(2, Kind::Paid { credit: 2, most: 5 }, 1, NOW), NOW).unwrap();
    let held = |n| rows.held.get(&payment(n)).unwrap().unwrap();
    assert!(is_given_back(held(1)) && !is_given_back(held(2)));
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Authorize(u8, Kind, u8),
    Commit(u8, u8),
    Release(u8),
    /// The gate is sent a credential for a page.
    Page(u8),
    /// Time passes, and what is over is given up.
    Pass(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        Just(Kind::Nothing),
        Just(Kind::Quota),
        (0..4_u8, 1..12_u8).prop_map(|(credit, most)| Kind::Paid { credit, most }),
    ];
    let step = prop_oneof![
        4 => (0..5_u8, kind, 0..2_u8).prop_map(|(n, kind, by)| Step::Authorize(n, kind, by)),
        3 => (0..5_u8, 1..12_u8).prop_map(|(n, charged)| Step::Commit(n, charged)),
        2 => (0..5_u8).prop_map(Step::Release),
        1 => (0..4_u8).prop_map(Step::Page),
        1 => (1..200_u8).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A use, as anybody would write it down.
#[derive(Clone, Copy, Debug)]
struct Known {
    kind: Kind,
    by: u8,
    state: UseState,
    lapses: Timestamp,
    charged: u64,
}

#[derive(Default)]
struct Naive {
    uses: BTreeMap<u8, Known>,
}

impl Naive {
    fn of_credit(&self, credit: u8, state: UseState) -> bool {
        self.uses.values().any(|known| {
            known.state == state && matches!(known.kind, Kind::Paid { credit: own, .. } if own == credit)
        })
    }

    fn taken(&self) -> u32 {
        let counts = |known: &&Known| matches!(known.kind, Kind::Quota) && known.state != UseState::Released;
        u32::try_from(self.uses.values().filter(counts).count()).unwrap()
    }

    fn charged(&self) -> u64 {
        self.uses.values().map(|known| known.charged).sum()
    }

    fn authorize(&mut self, n: u8, kind: Kind, by: u8, now: Timestamp) -> Result<(), &'static str> {
        if let Some(known) = self.uses.get(&n) {
            return if known.by == by { Ok(()) } else { Err("idempotency-key-reused") };
        }
        match kind {
            Kind::Quota if self.taken() >= FREE => return Err("quota-used-up"),
            Kind::Paid { credit, .. } if self.of_credit(credit, UseState::Committed) => {
                return Err("payment-elsewhere");
            }
            Kind::Paid { credit, .. } if self.of_credit(credit, UseState::Open) => {
                return Err("payment-under-way");
            }
            Kind::Paid { most, .. } if u64::from(most) > WORTH => return Err("insufficient"),
            _ => {}
        }
        let known = Known { kind, by, state: UseState::Open, lapses: now.after(LASTS), charged: 0 };
        self.uses.insert(n, known);
        Ok(())
    }

    fn commit(&mut self, n: u8, charged: u8, now: Timestamp) -> Result<(), &'static str> {
        let known = self.uses.get_mut(&n).ok_or("authorization-unknown")?;
        match known.state {
            UseState::Committed => return Ok(()),
            UseState::Open if known.lapses > now => {}
            _ => return Err("authorization-over"),
        }
        if let Kind::Paid { most, .. } = known.kind {
            if charged > most {
                return Err("authorization-exceeded");
            }
            known.charged = u64::from(charged);
        }
        known.state = UseState::Committed;
        Ok(())
    }

    fn release(&mut self, n: u8) -> Result<(), &'static str> {
        let known = self.uses.get_mut(&n).ok_or("authorization-unknown")?;
        if known.state == UseState::Committed {
            return Err("authorization-committed");
        }
        known.state = UseState::Released;
        Ok(())
    }
}

/// What the rows say of a use that they have.
fn by_of(rows: &Rows, n: u8) -> UseBy {
    row_of(rows, n).map_or(UseBy::Nothing, |row| row.by)
}

fn credit_of(naive: &Naive, n: u8) -> Option<u8> {
    match naive.uses.get(&n)?.kind {
        Kind::Paid { credit, .. } => Some(credit),
        _ => None,
    }
}

fn check(rows: &Rows, naive: &Naive) {
    assert_eq!(totals(rows, merchant().id())[1], u128::from(naive.charged()), "what was earned");
    let used = rows.quotas.get(&quota()).ok().flatten().map_or(0, |row| row.used);
    assert_eq!(used, naive.taken(), "what was free");
    for n in 0..4 {
        let row = rows.credits.get(&credit(n)).ok().flatten();
        let (open, gone) = (naive.of_credit(n, UseState::Open), naive.of_credit(n, UseState::Committed));
        assert_eq!(matches!(row, Some(CreditRow::Pending { .. })), open, "credit {n}");
        assert_eq!(matches!(row, Some(CreditRow::Spent { .. })), gone, "credit {n}");
    }
    let pending = totals(rows, credits())[2];
    let open = (0..4).filter(|n| naive.of_credit(*n, UseState::Open)).count();
    assert_eq!(pending, u128::from(WORTH) * u128::try_from(open).unwrap(), "what is set aside");
}

proptest! {
    #[test]
    fn a_use_is_charged_once_and_never_above_what_is_held(steps in steps()) {
        let (mut rows, mut naive, mut now) = (books(), Naive::default(), NOW);
        for step in steps {
            let (answer, expected) = match step {
                Step::Authorize(n, kind, by) => {
                    let answer = support::run(&mut rows, &authorize(n, kind, by, now), now);
                    (answer, naive.authorize(n, kind, by, now))
                }
                Step::Commit(n, charged) => {
                    let paid = credit_of(&naive, n).map(|credit| (credit, u64::from(charged)));
                    let answer = support::run(&mut rows, &commit(n, paid), now);
                    (answer, naive.commit(n, charged, now))
                }
                Step::Release(n) => {
                    let by = by_of(&rows, n);
                    (support::run(&mut rows, &release(n, by), now), naive.release(n))
                }
                Step::Page(n) => {
                    let mut tried = rows.clone();
                    let page = Hold { resource: "GET /".into(), ..hold(n, 1, None) };
                    let answer = support::run(&mut tried, &Command::Hold(page), now);
                    let expected = if naive.of_credit(n, UseState::Committed) {
                        Err("payment-elsewhere")
                    } else if naive.of_credit(n, UseState::Open) {
                        Err("payment-under-way")
                    } else {
                        Ok(())
                    };
                    (answer, expected)
                }
                Step::Pass(secs) => {
                    now = now.after(Span::from_secs(u64::from(secs)));
                    let over: Vec<u8> = naive
                        .uses
                        .iter()
                        .filter(|(_, known)| known.state == UseState::Open && known.lapses <= now)
                        .map(|(n, _)| *n)
                        .collect();
                    for n in over {
                        let by = by_of(&rows, n);
                        support::run(&mut rows, &release(n, by), now).unwrap();
                        naive.release(n).unwrap();
                    }
                    (Ok(Answer::Done), Ok(()))
                }
            };
            prop_assert_eq!(answer.map(drop).map_err(|reject| reject.code()), expected, "{:?}", step);
            check(&rows, &naive);
        }
    }
}

/// What a commit says a second time is what it said first, whatever the second one asked for.
#[test]
fn a_second_commit_charges_nothing() {
    let mut rows = books();
    support::run(&mut rows, &authorize(1, Kind::Paid { credit: 1, most: 9 }, 1, NOW), NOW).unwrap();
    let first = support::run(&mut rows, &commit(1, Some((1, 4))), NOW).unwrap();
    let mut keys = Keys::default();
    let second = commit(1, Some((1, 9)));
    second.keys(&mut keys);
    rows.load_absent(&keys);
    let (answer, entry) = decide(&mut rows, &second, NOW.after(LASTS)).unwrap();
    assert_eq!((answer, entry), (first, None));
    assert_eq!(totals(&rows, merchant().id())[1], 4);
}
