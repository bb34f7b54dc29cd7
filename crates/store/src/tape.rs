//! The tape's writer: a thread that writes all steps that wait in one durable commit, and wakes everybody who waits for it at
//! once. While one commit is on its way to the disk the next one gathers, and where many come it gathers a moment longer, so
//! that the more there is to do, the less it costs.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use farthing_engine::{Fault, FaultKind, Read, Record, RecordFuture, Tape, TapeRow, TapeStep};
use tokio::sync::watch;

/// Rows of the tape that are looked at together.
const PAGE: usize = 1024;
/// With so many steps in a commit the next one is worth waiting for.
const MANY: usize = 16;
/// How long at the most. A commit costs as much for one step as for a hundred.
const GATHER: Duration = Duration::from_millis(2);
/// With so many nobody waits for more.
const ENOUGH: usize = 64;

/// Steps that wait for the next commit.
#[derive(Default)]
struct Waiting {
    steps: Vec<TapeStep>,
    /// Which commit they will be in.
    commit: u64,
    /// Whoever brings it to so many steps wakes the thread. Nobody else does: it costs a call of the system.
    wake_at: Option<usize>,
    ended: bool,
}

#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    came: Condvar,
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many commits are durable, and why there are no more.
#[derive(Clone, Debug, Default)]
struct Done {
    commits: u64,
    fault: Option<Fault>,
}

/// Hands steps to the thread. It ends when this is dropped and nothing waits.
pub struct TapeWriter {
    line: Arc<Line>,
    done: watch::Receiver<Done>,
}

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
        let (told, done) = watch::channel(Done::default());
        let line = Arc::<Line>::default();
        let thread = {
            let line = Arc::clone(&line);
            std::thread::Builder::new().name("tape".into()).spawn(move || write(&tape, next, &line, &told))
        };
        let thread = thread.map_err(|error| {
            Fault::new(FaultKind::Stopped, format!("the tape's thread cannot be started: {error}"))
        })?;
        Ok((Self { line, done }, TapeThread(thread)))
    }
}

impl Record for TapeWriter {
    fn record(&self, step: TapeStep) -> RecordFuture {
        let (commit, wakes) = {
            let mut waiting = self.line.lock();
            waiting.steps.push(step);
            let come = waiting.steps.len();
            (waiting.commit, waiting.wake_at.take_if(|enough| come >= *enough).is_some())
        };
        if wakes {
            self.line.came.notify_one();
        }
        let mut done = self.done.clone();
        Box::pin(async move {
            match done.wait_for(|done| done.commits > commit || done.fault.is_some()).await {
                Ok(done) if done.commits > commit => Ok(()),
                Ok(done) => Err(done.fault.clone().unwrap_or_else(stopped)),
                Err(_) => Err(stopped()),
            }
        })
    }
}

impl Drop for TapeWriter {
    fn drop(&mut self) {
        self.line.lock().ended = true;
        self.line.came.notify_one();
    }
}

fn stopped() -> Fault {
    Fault::new(FaultKind::Stopped, "the tape's writer has stopped; restart")
}

impl Line {
    /// The steps of the next commit; none when no more come. After a commit of many it waits until they are enough.
    fn next(&self, before: usize) -> Vec<TapeStep> {
        let mut waiting = self.await_steps(1, None);
        if before >= MANY {
            drop(waiting);
            waiting = self.await_steps(ENOUGH, Some(GATHER));
        }
        if !waiting.steps.is_empty() {
            waiting.commit = waiting.commit.saturating_add(1);
        }
        std::mem::take(&mut waiting.steps)
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

fn write(tape: &impl Tape, mut number: u64, line: &Line, told: &watch::Sender<Done>) {
    let mut before = 0;
    loop {
        let steps = line.next(before);
        before = steps.len();
        if steps.is_empty() {
            return;
        }
        match tape.append(number, &TapeRow { steps }) {
            Ok(()) => told.send_modify(|done| done.commits = done.commits.saturating_add(1)),
            Err(fault) => {
                tracing::error!(%fault, "the tape accepts no more steps");
                return told.send_modify(|done| done.fault = Some(fault));
            }
        }
        number = number.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

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
