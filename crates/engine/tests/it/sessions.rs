//! Sessions in the books: every refusal, what a repetition gets, and any history against a naive model.

use std::collections::BTreeSet;

use crate::support::{merchant, run, totals, usd};
use farthing_channel::ChainSecret;
use farthing_engine::{
    Answer, CLOSED_KEPT, CatchUp, ChainTerms, Chart, CloseSession, Command, CreditId, FoldTape, Forget,
    Input, Mode, OpenSession, Output, OutputId, Reject, RequestTag, Rows, SessionId, SessionReject,
    SessionRow, SessionState, TapeRow, TapeStep, TopUpSession, credits_account, decide,
};
use farthing_ledger::{Account, AccountId, Transfer};
use farthing_money::{Amount, Asset, Label, Timestamp};
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_000);
const END: Timestamp = Timestamp::from_secs(9_000);

fn keyset() -> Account {
    credits_account(usd(), "01aa")
}

fn sessions() -> AccountId {
    Chart::of(usd()).sessions
}

fn secret(n: u8) -> ChainSecret {
    ChainSecret::from_bytes([n; 32])
}

fn chain(n: u8, step: u64, steps: u32) -> ChainTerms {
    let secret = secret(n);
    let (salt, lock) = (secret.salt(), secret.lock());
    ChainTerms { salt, anchor: secret.link(steps, 0).unwrap(), lock, step, steps }
}

fn input(n: u8, amount: u64) -> Input {
    Input { credit: CreditId::from_bytes([n; 33]), account: keyset().id(), amount, witness: None }
}

fn output(n: u8, amount: u64) -> Output {
    Output { output: OutputId::from_bytes([n; 33]), account: keyset().id(), amount }
}

fn tag(n: u8) -> RequestTag {
    RequestTag::from_bytes([n; 16])
}

/// Books in which so much was issued.
fn books(issued: u64) -> Rows {
    let mut rows = Rows::default();
    let mut accounts = Chart::of(usd()).accounts();
    accounts.extend([keyset(), merchant()]);
    run(&mut rows, &Command::OpenAccounts(accounts), NOW).unwrap();
    let mut ledger: farthing_ledger::Accounts = [Chart::of(usd()).codes_sold, keyset().id()]
        .map(|id| (id, rows.accounts.get(&id).unwrap().unwrap().clone()))
        .into();
    let issue = Transfer::post(Chart::of(usd()).codes_sold, keyset().id(), Amount::from(issued));
    farthing_ledger::apply(&mut ledger, &issue).unwrap();
    let mut issued = Rows::default();
    for (id, account) in ledger {
        issued.accounts.load(id, Some(account));
    }
    for account in Chart::of(usd()).accounts().into_iter().chain([merchant()]) {
        issued.accounts.load(account.id(), Some(account));
    }
    issued
}

fn open(n: u8, amount: u64, chain: ChainTerms) -> (SessionId, Command) {
    let session = SessionId::of(&chain);
    let command = OpenSession {
        session,
        chain,
        inputs: vec![input(n, amount)],
        asset: usd(),
        ends_at: END,
        restored: false,
        tag: tag(n),
    };
    (session, Command::OpenSession(command))
}

fn step(session: SessionId, of: u8, (first, last): (u32, u32), tax_code: Option<Label>) -> TapeStep {
    let link = secret(of).link(50, last).unwrap();
    TapeStep { session, generation: 0, first, last, link, payees: merchant().id().into(), tax_code }
}

fn fold(rows: Vec<u64>, sessions: Vec<SessionId>, tax_code: Option<Label>) -> Command {
    Command::FoldTape(FoldTape { rows, sessions, asset: usd(), payees: merchant().id().into(), tax_code })
}

fn close(session: SessionId, of: u8, change: Vec<Output>) -> Command {
    Command::CloseSession(CloseSession { session, key: secret(of).key(), change, asset: usd(), tag: tag(90) })
}

fn row(rows: &Rows, session: SessionId) -> SessionRow {
    rows.sessions.get(&session).unwrap().unwrap().clone()
}

#[test]
fn a_session_is_opened_spent_and_closed_with_change() {
    let mut rows = books(1_000);
    let (session, opening) = open(1, 1_000, chain(1, 10, 90));
    let Ok(Answer::Session(opened)) = run(&mut rows, &opening, NOW) else { panic!("it opens") };
    assert_eq!((opened.funds, opened.left()), (Amount::from(1_000), Some(Amount::from(1_000))));
    assert_eq!(
        run(&mut rows, &opening, NOW),
        Ok(Answer::Session(opened)),
        "a repetition is the same session"
    );
    assert_eq!(totals(&rows, sessions()), [0, 1_000, 0, 0]);

    let tax = "books-7".parse().ok();
    let steps = vec![
        step(session, 1, (1, 3), None),
        step(session, 1, (5, 5), tax),
        step(session, 1, (3, 4), None),
        step(SessionId::from_bytes([9; 16]), 1, (1, 1), None),
    ];
    rows.tape.load(7, Some(TapeRow { steps }));
    let answer = run(&mut rows, &fold(vec![7], vec![session, SessionId::from_bytes([9; 16])], None), NOW);
    // What was taken before and what is of no session are mistakes, which do not hold up the rest.
    assert_eq!(answer, Ok(Answer::Folded { charged: Amount::from(30), lost: 2 }));
    assert_eq!(rows.tape.get(&7).unwrap().unwrap().steps.len(), 1, "another tax code is another entry");
    let (answer, entry) = decide(&mut rows, &fold(vec![7], vec![session], tax), NOW).unwrap();
    assert_eq!(answer, Answer::Folded { charged: Amount::from(10), lost: 0 });
    assert_eq!(entry.unwrap().tax_code, tax);
    assert_eq!(rows.tape.get(&7), Ok(None), "what is in the books is on the tape no more");
    let known = row(&rows, session);
    assert_eq!((known.taken.high(), known.taken.taken()), (5, 4));
    assert_eq!(known.link, secret(1).link(50, 5).unwrap());

    let short = run(&mut rows, &close(session, 1, vec![output(1, 512)]), NOW);
    assert!(matches!(short, Err(Reject::Unbalanced { .. })), "{short:?}");
    let closing = close(session, 1, vec![output(1, 512), output(2, 448)]);
    let Ok(Answer::Session(closed)) = run(&mut rows, &closing, NOW) else { panic!("it closes") };
    assert!(matches!(&closed.state, SessionState::Closed(change) if change.len() == 2));
    assert_eq!(run(&mut rows, &closing, NOW), Ok(Answer::Session(closed)), "a repetition is answered alike");
    assert_eq!(totals(&rows, sessions()), [1_000, 1_000, 0, 0]);
    assert_eq!(totals(&rows, merchant().id())[1], 40);
}

fn catch_up(session: SessionId, last: u32) -> CatchUp {
    let link = secret(1).link(50, last).unwrap();
    let (asset, payees) = (usd(), merchant().id().into());
    CatchUp { session, generation: 0, first: 6, last, link, asset, payees, tax_code: None }
}

/// Books of a backup lack what was shown since: the payer's next link proves it, once.
#[test]
fn restored_books_charge_once_what_a_link_proves() {
    let mut rows = books(2_000);
    let (session, opening) = open(1, 500, chain(1, 10, 50));
    let (other, another) = open(2, 1_000, chain(2, 10, 100));
    run(&mut rows, &opening, NOW).unwrap();
    run(&mut rows, &another, NOW).unwrap();
    rows.tape.load(
        1,
        Some(TapeRow { steps: vec![step(session, 1, (1, 2), None), step(session, 1, (5, 5), None)] }),
    );
    run(&mut rows, &fold(vec![1], vec![session], None), NOW).unwrap();
    let taken = |rows: &mut Rows, command: CatchUp| {
        let Ok(Answer::Session(row)) = run(rows, &Command::CatchUp(command), NOW) else {
            panic!("a session")
        };
        (row.taken.high(), row.taken.taken(), row.restored, totals(rows, merchant().id())[1])
    };
    let unknown = SessionId::from_bytes([9; 16]);
    let mark = |sessions| Command::MarkRestored(sessions);
    let refused = run(&mut rows, &mark(vec![session, unknown]), NOW);
    assert_eq!(refused, Err(Reject::Session(SessionReject::Unknown(unknown))));
    assert!(!row(&rows, session).restored, "a refusal changes nothing");

    run(&mut rows, &mark(vec![session, other]), NOW).unwrap();
    let before = CatchUp { generation: 1, ..catch_up(session, 20) };
    assert_eq!(taken(&mut rows, before), (5, 3, true, 30), "another chain proves nothing of this one");
    let euros = Asset::micro("EUR").unwrap();
    let foreign = Command::CatchUp(CatchUp { asset: euros, ..catch_up(session, 20) });
    assert_eq!(run(&mut rows, &foreign, NOW), Err(Reject::WrongAsset { expected: usd(), got: euros }));
    assert_eq!(taken(&mut rows, catch_up(session, 20)), (20, 18, false, 180), "what was free below stays so");
    assert_eq!(row(&rows, session).link, secret(1).link(50, 20).unwrap());
    assert_eq!(taken(&mut rows, catch_up(session, 20)), (20, 18, false, 180), "once");
    assert_eq!(taken(&mut rows, catch_up(session, 24)), (24, 22, false, 220), "and what is above it");
    // One whose next link is the next step lacks nothing.
    run(&mut rows, &mark(vec![session]), NOW).unwrap();
    let next = CatchUp { first: 25, ..catch_up(session, 24) };
    assert_eq!(taken(&mut rows, next), (24, 22, false, 220));
    let under_way = CatchUp { first: 30, ..catch_up(session, 29) };
    assert_eq!(taken(&mut rows, under_way), (24, 22, false, 220), "nor if calls above it are under way");
    let beyond = CatchUp { first: 25, ..catch_up(session, 50) };
    assert_eq!(
        taken(&mut rows, CatchUp { last: 51, ..beyond }),
        (24, 22, false, 220),
        "there is no such step"
    );

    // What is put in its place has shown nothing, and what is closed shows nothing any more.
    run(&mut rows, &mark(vec![session, other]), NOW).unwrap();
    run(&mut rows, &close(session, 1, vec![output(1, 280)]), NOW).unwrap();
    assert_eq!(taken(&mut rows, catch_up(session, 40)), (24, 22, false, 220));
    let top_up = TopUpSession {
        session: other,
        key: secret(2).key(),
        chain: chain(3, 10, 100),
        inputs: vec![input(3, 10)],
        asset: usd(),
        ends_at: END,
        restored: false,
        tag: tag(3),
    };
    run(&mut rows, &Command::TopUpSession(top_up), NOW).unwrap();
    assert!(!row(&rows, other).restored);
    run(&mut rows, &mark(vec![session]), NOW).unwrap();
    assert!(!row(&rows, session).restored, "a closed one pays for nothing more");
}

#[test]
fn a_top_up_carries_over_what_is_left() {
    let mut rows = books(2_000);
    let (session, opening) = open(1, 1_000, chain(1, 10, 100));
    run(&mut rows, &opening, NOW).unwrap();
    rows.tape.load(1, Some(TapeRow { steps: vec![step(session, 1, (1, 30), None)] }));
    run(&mut rows, &fold(vec![1], vec![session], None), NOW).unwrap();
    let top_up = |of: u8, chain| {
        let (key, inputs) = (secret(of).key(), vec![input(2, 500)]);
        Command::TopUpSession(TopUpSession {
            session,
            key,
            chain,
            inputs,
            asset: usd(),
            ends_at: END,
            restored: false,
            tag: tag(2),
        })
    };
    assert_eq!(
        run(&mut rows, &top_up(9, chain(2, 5, 240)), NOW),
        Err(Reject::Session(SessionReject::Locked(session)))
    );
    let more = run(&mut rows, &top_up(1, chain(2, 5, 241)), NOW);
    assert!(matches!(more, Err(Reject::Insufficient { .. })), "{more:?}");
    let Ok(Answer::Session(topped)) = run(&mut rows, &top_up(1, chain(2, 5, 240)), NOW) else {
        panic!("it is topped up")
    };
    assert_eq!((topped.generation, topped.funds, topped.taken.high()), (1, Amount::from(1_200), 0));
    assert_eq!(run(&mut rows, &top_up(1, chain(2, 5, 240)), NOW), Ok(Answer::Session(topped)));
    // A step of the chain before is not charged any more.
    rows.tape.load(2, Some(TapeRow { steps: vec![step(session, 1, (31, 31), None)] }));
    let answer = run(&mut rows, &fold(vec![2], vec![session], None), NOW);
    assert_eq!(answer, Ok(Answer::Folded { charged: Amount::ZERO, lost: 1 }));
}

#[test]
fn every_refusal_of_sessions_changes_nothing() {
    let mut rows = books(10_000);
    let (session, opening) = open(1, 1_000, chain(1, 10, 100));
    let (_, poor) = open(2, 999, chain(2, 10, 100));
    let (empty, nothing) = open(2, 1_000, chain(2, 10, 0));
    let (_, spent) = open(1, 1_000, chain(3, 10, 100));
    let Command::OpenSession(other) = &opening else { panic!("an opening") };
    let other = OpenSession { tag: tag(5), inputs: vec![input(5, 1_000)], ..other.clone() };
    let euros = Asset::micro("EUR").unwrap();
    let foreign =
        CloseSession { session, key: secret(1).key(), change: Vec::new(), asset: euros, tag: tag(90) };
    let unknown = SessionId::from_bytes([9; 16]);
    let table = [
        (opening, None),
        (Command::OpenSession(other), Some(Reject::Session(SessionReject::Exists(session)))),
        (poor, Some(Reject::Insufficient { price: Amount::from(1_000), got: Amount::from(999) })),
        (nothing, Some(Reject::AmountOverflow)),
        (spent, Some(Reject::CreditSpent(input(1, 1).credit))),
        (close(unknown, 1, Vec::new()), Some(Reject::Session(SessionReject::Unknown(unknown)))),
        (close(session, 2, vec![output(1, 1_000)]), Some(Reject::Session(SessionReject::Locked(session)))),
        (Command::CloseSession(foreign), Some(Reject::WrongAsset { expected: usd(), got: euros })),
        (Command::SetMode(Mode::Paused), None),
        (close(session, 1, vec![output(1, 1_000)]), Some(Reject::Paused)),
        (open(7, 1_000, chain(7, 10, 100)).1, Some(Reject::Paused)),
        (Command::SetMode(Mode::Open), None),
        (close(session, 1, vec![output(1, 1_000)]), None),
        (
            Command::CloseSession(CloseSession {
                session,
                key: secret(1).key(),
                change: vec![output(3, 1_000)],
                asset: usd(),
                tag: tag(91),
            }),
            Some(Reject::Session(SessionReject::Closed(session))),
        ),
    ];
    for (n, (command, expected)) in table.into_iter().enumerate() {
        let mut keys = farthing_engine::Keys::default();
        command.keys(&mut keys);
        rows.load_absent(&keys);
        let before = (rows.sessions.get(&session).unwrap().cloned(), totals(&rows, sessions()));
        let answer = run(&mut rows, &command, NOW);
        assert_eq!(answer.as_ref().err(), expected.as_ref(), "row {n}: {command:?}");
        if let Some(reject) = expected {
            let after = (rows.sessions.get(&session).unwrap().cloned(), totals(&rows, sessions()));
            assert_eq!(after, before, "row {n}: a refusal changes nothing");
            assert!(!reject.to_string().is_empty());
        }
    }
    assert_eq!(rows.sessions.get(&empty), Ok(None));
}

/// What went wrong: a session that was closed after its end was forgotten at once, and the payer whose answer was lost was told that
/// there is no such session.
#[test]
fn closed_sessions_are_forgotten_a_week_after_their_closing_or_at_their_end() {
    let week = CLOSED_KEPT.millis() / 1_000;
    let late = Timestamp::from_secs(END.secs() + 100);
    // It is kept to the hour that is full after the week.
    let kept = |closed: Timestamp| (closed.secs() + week).div_ceil(3_600) * 3_600;
    for (ends_at, closed_at, over) in
        [(END, NOW, kept(NOW)), (END, late, kept(late)), (Timestamp::from_secs(2 * week), NOW, 2 * week)]
    {
        let mut rows = books(2_000);
        let (open_one, opening) = open(1, 1_000, chain(1, 10, 100));
        let (closed, other) = open(2, 1_000, chain(2, 10, 100));
        let Command::OpenSession(other) = other else { panic!("it opens a session") };
        let other = Command::OpenSession(OpenSession { ends_at, ..other });
        run(&mut rows, &opening, NOW).unwrap();
        run(&mut rows, &other, NOW).unwrap();
        let closing = close(closed, 2, vec![output(1, 1_000)]);
        let first = run(&mut rows, &closing, closed_at);
        let unknown = SessionId::from_bytes([9; 16]);
        let forget =
            Command::Forget(Forget { sessions: vec![unknown, open_one, closed], ..Forget::default() });
        let left = |rows: &Rows| [open_one, closed].map(|id| rows.sessions.get(&id).unwrap().is_some());
        let mut keys = farthing_engine::Keys::default();
        forget.keys(&mut keys);
        rows.load_absent(&keys);
        run(&mut rows, &forget, Timestamp::from_secs(over - 1)).unwrap();
        assert_eq!(left(&rows), [true, true]);
        assert_eq!(run(&mut rows, &closing, Timestamp::from_secs(over - 1)), first, "it is answered alike");
        run(&mut rows, &forget, Timestamp::from_secs(over)).unwrap();
        assert_eq!(left(&rows), [true, false], "what is left in an open one waits for its payer");
        // Its credits open no other one.
        assert!(matches!(run(&mut rows, &other, END), Err(Reject::CreditSpent(_))));
    }
}

proptest! {
    /// Whatever is on the tape, in whatever order it is folded: each step is charged once, and nothing appears or is lost.
    #[test]
    fn each_step_is_charged_once(
        calls in prop::collection::vec((0_u8..3, 1_u32..40, 0_u32..4, 0_usize..2, any::<bool>()), 0..60),
    ) {
        let mut rows = books(3_000);
        let chains: Vec<_> = (0..3).map(|n| chain(n + 1, 10, 50)).collect();
        let ids: Vec<SessionId> = chains.iter().map(SessionId::of).collect();
        for n in 0..3 {
            run(&mut rows, &open(n + 1, 1_000, chains[usize::from(n)]).1, NOW).unwrap();
        }
        let codes = [None, "b".parse::<Label>().ok()];
        let (mut tape, mut naive) = (Vec::new(), BTreeSet::new());
        let fold_all = |rows: &mut Rows, tape: &mut Vec<u64>, only: &[Option<Label>]| {
            for code in only {
                run(rows, &fold(tape.clone(), ids.clone(), *code), NOW).unwrap();
            }
            if only.len() == codes.len() {
                prop_assert!(tape.iter().all(|number| rows.tape.get(number) == Ok(None)));
                tape.clear();
            }
            Ok(())
        };
        for (number, (of, first, more, code, folds)) in (0_u64..).zip(calls) {
            let last = first + more;
            let steps: Vec<_> = (first..=last).map(|step| (of, step)).collect();
            // The gate writes no step down twice.
            if steps.iter().all(|step| !naive.contains(step)) {
                naive.extend(steps);
                let written = step(ids[usize::from(of)], of + 1, (first, last), codes[code]);
                rows.tape.load(number, Some(TapeRow { steps: vec![written] }));
                tape.push(number);
            }
            if folds {
                fold_all(&mut rows, &mut tape, &codes[..=code])?;
            }
        }
        fold_all(&mut rows, &mut tape, &codes)?;
        let charged = 10 * u128::try_from(naive.len()).unwrap();
        prop_assert_eq!(totals(&rows, merchant().id())[1], charged);
        let left: u128 = ids.iter().map(|id| row(&rows, *id).left().unwrap().value()).sum();
        prop_assert_eq!(left, 3_000 - charged);
        let [out, into, ..] = totals(&rows, sessions());
        prop_assert_eq!(into - out, left);
    }
}
