//! The server's life in the simulated world: the real opening, writer, gate and issuer in a runtime of one thread on paused
//! time. A crash drops the runtime with everything in it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use farthing_engine::{Changes, Command, Fault, Keys, Rows, Sealed, Store};
use farthing_gate::{Body, Crypto, Rules};
use farthing_ledger::Head;
use farthing_server::chains::ChainRoom;
use farthing_server::config::{Config, Origin};
use farthing_server::installation::{Installation, Parts};
use farthing_server::issuer_api::Events;
use farthing_server::mount::{Mount, Site};
use farthing_server::random::Random;
use farthing_server::seed::Seed;
use farthing_store::{Committer, Reply, RowStore, Writer};
use http::{Request, Response};
use http_body_util::{BodyExt, Collected};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::bookkeeper::Bookkeeper;
use super::chain::{Chain, Port};
use super::dice::Chance;
use super::disk::Disk;
use super::time::Time;
use super::upstream::Upstream;

/// Commands in one commit at the most.
const BATCH: usize = 16;

/// What a server's life begins with.
#[derive(Clone)]
pub struct Surroundings {
    /// Its clock.
    pub time: Time,
    /// Its disk.
    pub disk: Disk,
    /// What happens by chance.
    pub chance: Chance,
    /// Who watches.
    pub bookkeeper: Bookkeeper,
    /// The chain; none in some worlds.
    pub chain: Option<Chain>,
    /// Its seed.
    pub seed: [u8; 32],
}

/// A running server.
pub struct Server {
    runtime: Runtime,
    site: Site<Upstream>,
    /// The real thing.
    pub installation: Installation,
    rules: watch::Sender<Arc<Rules>>,
    around: Surroundings,
    /// Sends what is in the outbox.
    _submitters: JoinSet<()>,
}

/// Rows of the real store, watched by the bookkeeper.
struct Watched {
    rows: RowStore<Disk>,
    bookkeeper: Bookkeeper,
}

impl Store for Watched {
    fn load(&self, keys: &Keys, rows: &mut Rows) -> Result<(), Fault> {
        self.rows.load(keys, rows)
    }

    fn commit(&mut self, changes: &Changes, batch: Option<Sealed>) -> Result<(), Fault> {
        let result = self.rows.commit(changes, batch);
        let mut book = self.bookkeeper.book();
        if result.is_ok() {
            book.committed(changes);
        } else {
            book.in_doubt(changes);
        }
        result
    }

    fn head(&self) -> Result<Head, Fault> {
        Store::head(&self.rows)
    }
}

/// Drives the real committer in a task. The disk is slow at times, before a commit is durable and before it is answered.
async fn write(
    mut committer: Committer<Watched>,
    mut jobs: mpsc::Receiver<(Command, Reply)>,
    around: Surroundings,
) {
    while let Some(first) = jobs.recv().await {
        around.wait().await;
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        let (commands, replies): (Vec<Command>, Vec<Reply>) = batch.into_iter().unzip();
        around.bookkeeper.book().asked(&commands);
        let answers = committer.commit(&commands);
        if around.disk.is_off() {
            // Nobody hears anything any more.
            pending::<()>().await;
        }
        around.bookkeeper.book().answered(&commands, &answers);
        around.wait().await;
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Who asked may be gone.
            let _ = reply.send(answer);
        }
    }
}

impl Surroundings {
    async fn wait(&self) {
        let millis = {
            let mut dice = self.chance.dice();
            match dice.below(100) {
                0..60 => 0,
                60..97 => dice.within(1..=8),
                _ => dice.within(50..=1500),
            }
        };
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }

    fn random(&self) -> Random {
        let chance = self.chance.clone();
        Arc::new(move |bytes| {
            chance.dice().fill(bytes);
            Ok(())
        })
    }

    async fn open(&self, config: &Config, queue: usize) -> Result<Installation, String> {
        let rows = RowStore::open(self.disk.clone()).map_err(|fault| fault.to_string())?;
        self.bookkeeper.book().found(&rows);
        let (time, events) = (self.time.clone(), Events::default());
        let clock: farthing_store::Clock = Arc::new(move || time.now());
        let watched = Watched { rows: rows.clone(), bookkeeper: self.bookkeeper.clone() };
        let committer = Committer::new(watched, Arc::clone(&clock), events.observer());
        let committer = committer.map_err(|fault| fault.to_string())?;
        let (writer, jobs) = Writer::queue(queue);
        tokio::spawn(write(committer, jobs, self.clone()));
        let parts = Parts {
            books: Arc::new(rows),
            writer: Arc::new(writer),
            seed: Seed::from_bytes(self.seed),
            events,
            clock,
            random: self.random(),
        };
        Installation::over(config, parts).await.map_err(|error| error.to_string())
    }
}

impl Server {
    /// Starts a server on what is on the disk. None if the power goes meanwhile or the disk fails.
    pub fn start(around: &Surroundings, config: &Config, rules: Rules, origin: &Origin) -> Option<Self> {
        around.disk.restart();
        around.bookkeeper.book().opens();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.ok()?;
        let queue = usize::try_from(around.chance.dice().within(2..=48)).unwrap_or(2);
        let opened = runtime.block_on(async {
            around.time.start();
            // One whose power goes never comes back.
            let waiting = tokio::time::timeout(Duration::from_hours(1), around.open(config, queue));
            waiting.await.ok().and_then(Result::ok)
        });
        let Some(installation) = opened else {
            around.time.stop();
            return None;
        };
        around.bookkeeper.book().opened();
        let (rules, watched) = watch::channel(Arc::new(rules));
        let room = around.chain.as_ref().and_then(|chain| {
            let node = |_: &_| Ok(Arc::new(Port::new(chain.clone(), around.chance.clone())) as _);
            ChainRoom::over(&installation, node).ok().flatten()
        });
        let mut submitters = JoinSet::new();
        if let Some(room) = &room {
            let _inside = runtime.enter();
            room.start(&mut submitters);
        }
        let mount = Mount::with(config, &installation, origin, watched, Crypto::on_the_spot(), room.as_ref());
        let site = mount.before(Upstream::new(around.clone(), &installation.receipts));
        Some(Self { runtime, site, installation, rules, around: around.clone(), _submitters: submitters })
    }

    /// Lets everything in it run until the world is so old.
    pub fn run_until(&mut self, elapsed: u64) {
        let millis = elapsed.saturating_sub(self.around.time.elapsed());
        self.runtime.block_on(async move { tokio::time::sleep(Duration::from_millis(millis)).await });
        self.around.time.set_elapsed(elapsed);
        self.runtime.block_on(async { self.around.time.start() });
    }

    /// Other prices from now on.
    pub fn reload(&self, rules: Rules) {
        self.rules.send_replace(Arc::new(rules));
    }

    /// Begins something in it.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Begins to answer a request; whoever asks hangs up after so many milliseconds.
    pub fn answer(
        &self,
        request: Request<Body>,
        hang_up_after: Option<u64>,
        answered: impl FnOnce(Response<Bytes>) + Send + 'static,
    ) {
        let (site, disk) = (self.site.clone(), self.around.disk.clone());
        self.runtime.spawn(async move {
            let answer = async {
                let (head, body) = match site.oneshot(request).await {
                    Ok(response) => response.into_parts(),
                    Err(never) => match never {},
                };
                let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
                Response::from_parts(head, body)
            };
            let response = match hang_up_after {
                Some(millis) => tokio::time::timeout(Duration::from_millis(millis), answer).await.ok(),
                None => Some(answer.await),
            };
            if let Some(response) = response
                && !disk.is_off()
            {
                answered(response);
            }
        });
    }
}
