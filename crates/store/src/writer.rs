//! The one writer: it drains the queue, loads the rows of all commands at once, decides each in turn, commits once and
//! only then answers. After a failed commit it refuses everything until a restart.
//!
//! What is done with a batch is a [`Committer`]; the [`Writer`]'s thread drives it, and so does a simulation, in a task.

use std::sync::Arc;
use std::thread::JoinHandle;

use farthing_engine::{
    Answer, Changes, Command, Execute, ExecuteFuture, Fault, FaultKind, Keys, Refusal, Rows, Store,
    decide_batch,
};
use farthing_ledger::Head;
use farthing_money::{Span, Timestamp};
use tokio::sync::{mpsc, oneshot};

/// What time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Told of every commit, after it is durable and before it is answered. It must not block.
pub type Observer = Box<dyn FnMut(&Changes) + Send>;

/// How much waits and how much is committed at once.
#[derive(Clone, Copy, Debug)]
pub struct WriterOptions {
    /// Commands that may wait; more are refused as busy.
    pub queue: usize,
    /// Commands in one commit at the most.
    pub batch: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { queue: 4096, batch: 1024 }
    }
}

/// Where the answer to a command goes.
pub type Reply = oneshot::Sender<Result<Answer, Refusal>>;

/// Sends commands to whoever drives a [`Committer`]: a thread, or a task of a simulation.
#[derive(Clone, Debug)]
pub struct Writer {
    queue: mpsc::Sender<(Command, Reply)>,
}

/// The writer's thread. It ends when every [`Writer`] is gone and the queue is empty.
#[derive(Debug)]
pub struct WriterThread(JoinHandle<()>);

impl WriterThread {
    /// Waits for the last commit.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the writer's thread ended with a panic");
        }
    }
}

impl Writer {
    /// A queue in which so many commands may wait, and its other end.
    pub fn queue(commands: usize) -> (Self, mpsc::Receiver<(Command, Reply)>) {
        let (queue, jobs) = mpsc::channel(commands);
        (Self { queue }, jobs)
    }

    /// Starts the thread.
    pub fn start(
        store: impl Store,
        options: WriterOptions,
        clock: Clock,
        observer: Observer,
    ) -> Result<(Self, WriterThread), Fault> {
        let (writer, jobs) = Self::queue(options.queue);
        let committer = Committer::new(store, clock, observer)?;
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || run(committer, jobs, options.batch));
        let thread = thread.map_err(|error| {
            Fault::new(FaultKind::Stopped, format!("the writer's thread cannot be started: {error}"))
        })?;
        Ok((writer, WriterThread(thread)))
    }
}

impl Execute for Writer {
    fn execute(&self, command: Command) -> ExecuteFuture {
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.try_send((command, reply));
        Box::pin(async move {
            let stopped =
                || Refusal::Fault(Fault::new(FaultKind::Stopped, "the writer has stopped; restart"));
            match sent {
                Ok(()) => answer.await.unwrap_or_else(|_| Err(stopped())),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    Err(Refusal::Busy { retry_after: Span::from_secs(1) })
                }
                Err(mpsc::error::TrySendError::Closed(_)) => Err(stopped()),
            }
        })
    }
}

fn run(mut committer: Committer<impl Store>, mut jobs: mpsc::Receiver<(Command, Reply)>, batch: usize) {
    let (mut commands, mut replies) = (Vec::new(), Vec::new());
    while let Some((command, reply)) = jobs.blocking_recv() {
        commands.push(command);
        replies.push(reply);
        while commands.len() < batch
            && let Ok((command, reply)) = jobs.try_recv()
        {
            commands.push(command);
            replies.push(reply);
        }
        let answers = committer.commit(&commands);
        commands.clear();
        for (reply, answer) in replies.drain(..).zip(answers) {
            // Who asked may be gone; what it asked for stands all the same.
            let _ = reply.send(answer);
        }
    }
}

/// Decides and commits batches of commands, one after the other, until a commit fails.
pub struct Committer<S> {
    store: S,
    head: Head,
    clock: Clock,
    observer: Observer,
    stopped: Option<Fault>,
}

impl<S: Store> Committer<S> {
    /// One that goes on where the store's journal ends.
    pub fn new(store: S, clock: Clock, observer: Observer) -> Result<Self, Fault> {
        let head = store.head()?;
        Ok(Self { store, head, clock, observer, stopped: None })
    }

    /// Carries out a batch: loads the rows of all commands, decides each in turn, commits once. An answer for each, in
    /// order, to be given only now. After a failure everything is refused.
    pub fn commit(&mut self, commands: &[Command]) -> Vec<Result<Answer, Refusal>> {
        let fault = match &self.stopped {
            Some(fault) => fault.clone(),
            None => match self.try_commit(commands) {
                Ok(answers) => return answers,
                Err(fault) => {
                    tracing::error!(%fault, "the writer stops accepting commands");
                    self.stopped = Some(fault.clone());
                    fault
                }
            },
        };
        commands.iter().map(|_| Err(Refusal::Fault(fault.clone()))).collect()
    }

    fn try_commit(&mut self, commands: &[Command]) -> Result<Vec<Result<Answer, Refusal>>, Fault> {
        let mut keys = Keys::default();
        for command in commands {
            command.keys(&mut keys);
        }
        let mut rows = Rows::default();
        self.store.load(&keys, &mut rows)?;
        let decided = decide_batch(rows, commands, self.head, (self.clock)())
            .map_err(|error| Fault::new(FaultKind::Corrupt, error.to_string()))?;
        if !decided.changes.is_empty() || decided.batch.is_some() {
            let head = decided.batch.as_ref().map_or(self.head, |batch| batch.head);
            self.store.commit(&decided.changes, decided.batch)?;
            self.head = head;
            (self.observer)(&decided.changes);
        }
        Ok(decided.answers.into_iter().map(|answer| answer.map_err(Refusal::Reject)).collect())
    }
}
