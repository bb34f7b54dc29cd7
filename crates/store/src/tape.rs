//! The tape's writer: a thread that writes all steps that wait in one durable commit, and wakes everybody who waits for it.
//! While one commit is on its way to the disk the next one gathers, and where many come it gathers a moment longer, so that the
//! more there is to do, the less it costs.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use farthing_engine::{Fault, FaultKind, Read, Record, RecordFuture, Tape, TapeRow, TapeStep};

/// Rows of the tape that are looked at together.
const PAGE: usize = 1024;
/// With so many steps in a commit the next one is worth waiting for, until as many have come: those who were told of the one
/// before come back.
const MANY: usize = 16;
/// How long at the most. A commit costs as much for one step as for a hundred.
const GATHER: Duration = Duration::from_millis(4);
/// With so many nobody waits for more.
const ENOUGH: usize = 128;

/// How a commit ended.
type End = Result<(), Fault>;

/// One commit, and who waits for it: whoever waits for a later one is not woken.
#[derive(Default)]
struct Commit(Mutex<Waiters>);

#[derive(Default)]
struct Waiters {
    end: Option<End>,
    asleep: Vec<Waker>,
}

impl Commit {
    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It has ended: everybody is told. What it was told first stays.
    fn end(&self, end: End) {
        let asleep = {
            let mut waiters = self.lock();
            waiters.end.get_or_insert(end);
            std::mem::take(&mut waiters.asleep)
        };
        asleep.into_iter().for_each(Waker::wake);
    }
}

/// Waits for a commit.
struct Recorded {
    commit: Arc<Commit>,
    /// Where it sleeps among the others.
    place: Option<usize>,
}

impl Future for Recorded {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let commit = Arc::clone(&self.commit);
        let mut waiters = commit.lock();
        if let Some(end) = &waiters.end {
            return Poll::Ready(end.clone());
        }
        if let Some(waker) = self.place.and_then(|place| waiters.asleep.get_mut(place)) {
            waker.clone_from(cx.waker());
        } else {
            self.place = Some(waiters.asleep.len());
            waiters.asleep.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Steps that wait for the next commit.
#[derive(Default)]
struct Waiting {
    steps: Vec<TapeStep>,
    /// The one that they will be in.
    commit: Arc<Commit>,
    /// Whoever brings it to so many steps wakes the thread. Nobody else does: it costs a call of the system.
    wake_at: Option<usize>,
    /// No more will come.
    ended: bool,
    /// No more is taken.
    stopped: bool,
}

#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

/// Hands steps to the thread. It ends when this is dropped and nothing waits.
pub struct TapeWriter(Arc<Line>);

/// The tape's thread.
#[derive(Debug)]
pub struct TapeThread(JoinHandle<()>);

impl TapeThread {
    /// Waits for the last commit.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the tape's thread ended with a panic");
        }
    }
}

impl TapeWriter {
    /// Starts the thread, which goes on after the last row that is on the tape.
    pub fn start(tape: impl Tape + Read) -> Result<(Self, TapeThread), Fault> {
        let mut next = 0_u64;
        loop {
            let rows = tape.tape(next, PAGE)?;
            let Some((last, _)) = rows.last() else { break };
            next = last.saturating_add(1);
        }
        let line = Arc::<Line>::default();
        let thread = {
            let line = Arc::clone(&line);
            std::thread::Builder::new().name("tape".into()).spawn(move || write(&tape, next, &line))
        };
        let thread = thread.map_err(|error| {
            Fault::new(FaultKind::Stopped, format!("the tape's thread cannot be started: {error}"))
        })?;
        Ok((Self(line), TapeThread(thread)))
    }
}

impl Record for TapeWriter {
    fn record(&self, step: TapeStep) -> RecordFuture {
        let (commit, wakes) = {
            let mut waiting = self.0.lock();
            if !waiting.stopped {
                waiting.steps.push(step);
            }
            let come = waiting.steps.len();
            (Arc::clone(&waiting.commit), waiting.wake_at.take_if(|enough| come >= *enough).is_some())
        };
        if wakes {
            self.0.came.notify_one();
        }
        Box::pin(Recorded { commit, place: None })
    }
}

impl Drop for TapeWriter {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.came.notify_one();
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steps of the next commit; none when no more come. After a commit of many it waits until as many have come.
    fn next(&self, before: usize) -> (Vec<TapeStep>, Arc<Commit>) {
        let mut waiting = self.await_steps(1, None);
        if before >= MANY {
            drop(waiting);
            waiting = self.await_steps(before.min(ENOUGH), Some(GATHER));
        }
        let room = Vec::with_capacity(waiting.steps.len());
        (std::mem::replace(&mut waiting.steps, room), std::mem::take(&mut waiting.commit))
    }

    /// Waits for so many steps, or until there is no need to wait any more.
    fn await_steps(&self, enough: usize, most: Option<Duration>) -> MutexGuard<'_, Waiting> {
        let too_few = |waiting: &mut Waiting| {
            let too_few = waiting.steps.len() < enough && !waiting.ended;
            waiting.wake_at = too_few.then_some(enough);
            too_few
        };
        let mut waiting = match most {
            None => self.came.wait_while(self.lock(), too_few).unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                let waited = self.came.wait_timeout_while(self.lock(), most, too_few);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        waiting.wake_at = None;
        waiting
    }
}

/// Tells whoever still waits, and whoever comes, that nothing is written any more. Also when the thread panics.
struct Ending<'a> {
    line: &'a Line,
    /// The commit that is being written.
    commit: Arc<Commit>,
    fault: Fault,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let fault = || Err(self.fault.clone());
        self.commit.end(fault());
        let last = {
            let mut waiting = self.line.lock();
            waiting.stopped = true;
            waiting.steps = Vec::new();
            // It is never replaced again, so who comes later finds its end as well.
            Arc::clone(&waiting.commit)
        };
        last.end(fault());
    }
}

fn write(tape: &impl Tape, mut number: u64, line: &Line) {
    let fault = Fault::new(FaultKind::Stopped, "the tape's writer has stopped; restart");
    let mut ending = Ending { line, commit: Arc::default(), fault };
    let mut before = 0;
    loop {
        let (steps, commit) = line.next(before);
        before = steps.len();
        ending.commit = commit;
        if steps.is_empty() {
            return;
        }
        if let Err(fault) = tape.append(number, &TapeRow { steps }) {
            tracing::error!(%fault, "the tape accepts no more steps");
            ending.fault = fault;
            return;
        }
        ending.commit.end(Ok(()));
        number = number.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::task::Wake;

    use farthing_channel::Link;
    use farthing_engine::SessionId;

    use super::*;
    use crate::{KeyValue, Memory, Pair, Pairs, RowStore, TableName, Write};

    fn step(step: u32) -> TapeStep {
        let shop = farthing_ledger::AccountId::from_bytes([3; 16]);
        let (session, link) = (SessionId::from_bytes([1; 16]), Link::from_bytes([2; 32]));
        TapeStep {
            session,
            generation: 0,
            first: step,
            last: step,
            link,
            payees: shop.into(),
            tax_code: None,
        }
    }

    fn written(rows: &impl Read) -> Vec<u32> {
        let rows = rows.tape(0, usize::MAX).unwrap();
        rows.into_iter().flat_map(|(_, row)| row.steps.into_iter().map(|step| step.last)).collect()
    }

    #[tokio::test]
    async fn what_was_recorded_is_on_the_tape_in_order_and_a_restart_goes_on_behind_it() {
        let rows = RowStore::open(Memory::default()).unwrap();
        for start in [0, 100] {
            let (writer, thread) = TapeWriter::start(rows.clone()).unwrap();
            let waits: Vec<_> = (start..start + 100).map(|at| writer.record(step(at))).collect();
            for wait in waits {
                wait.await.unwrap();
            }
            drop(writer.record(step(999)));
            drop(writer);
            thread.join();
        }
        let mut all = written(&rows);
        all.retain(|step| *step != 999);
        assert_eq!(all, (0..200).collect::<Vec<_>>());
        assert_eq!(written(&rows).len(), 202, "who does not wait has his step written down all the same");
    }

    /// How often somebody was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_waits_is_woken_once_by_the_own_commit_and_a_wake_is_never_lost() {
        let line = Line::default();
        let writer = TapeWriter(Arc::new(line));
        let wakers: Vec<Arc<Woken>> = (0..3).map(|_| Arc::default()).collect();
        let woken = || wakers.iter().map(|woken| woken.0.load(Ordering::SeqCst)).collect::<Vec<_>>();
        let poll = |wait: &mut RecordFuture, at: usize| {
            wait.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&wakers[at]))))
        };
        let mut first = writer.record(step(1));
        assert!(poll(&mut first, 0).is_pending());
        let (steps, commit) = writer.0.next(0);
        assert_eq!(steps.len(), 1);
        let mut second = writer.record(step(2));
        assert!(poll(&mut second, 1).is_pending());
        // Whoever is polled by another task is woken there.
        assert!(poll(&mut first, 2).is_pending());
        commit.end(Ok(()));
        assert_eq!(woken(), [0, 0, 1]);
        assert_eq!(poll(&mut first, 2), Poll::Ready(Ok(())));
        writer.0.next(0).1.end(Ok(()));
        assert_eq!(woken(), [0, 1, 1]);
        assert_eq!(poll(&mut second, 1), Poll::Ready(Ok(())));
    }

    #[derive(Default)]
    struct Broken(Memory, Arc<AtomicBool>);

    impl KeyValue for Broken {
        fn get(&self, table: TableName, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
            self.0.get(table, key)
        }
        fn write(&self, writes: Vec<Write>) -> Result<(), Fault> {
            if self.1.load(Ordering::SeqCst) {
                return Err(Fault::new(FaultKind::Disk, "the disk is full"));
            }
            self.0.write(writes)
        }
        fn scan(&self, table: TableName, from: &[u8], limit: usize) -> Result<Pairs, Fault> {
            self.0.scan(table, from, limit)
        }
        fn last(&self, table: TableName) -> Result<Option<Pair>, Fault> {
            self.0.last(table)
        }
    }

    #[tokio::test]
    async fn after_a_failed_write_nothing_more_is_taken() {
        let broken = Arc::new(AtomicBool::new(false));
        let rows = RowStore::open(Broken(Memory::default(), Arc::clone(&broken))).unwrap();
        let (writer, thread) = TapeWriter::start(rows.clone()).unwrap();
        writer.record(step(1)).await.unwrap();
        broken.store(true, Ordering::SeqCst);
        assert_eq!(writer.record(step(2)).await.unwrap_err().kind, FaultKind::Disk);
        broken.store(false, Ordering::SeqCst);
        assert!(writer.record(step(3)).await.is_err(), "until a restart");
        assert_eq!(written(&rows), [1]);
        drop(writer);
        thread.join();
    }
}
