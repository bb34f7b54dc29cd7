//! The stage: a site, the program before it, clients of both kinds and an operator. A round is load, an end, and a
//! comparison of what everybody was told with what is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::books::{self, Codes, Totals};
use super::chance::Chance;
use super::disk::{Disk, Fault};
use super::findings::Findings;
use super::payer::Payer;
use super::raw::Raw;
use super::world::{CODE, CODE_TEXT, PRICES, Served, World};
use crate::program::{self, Home, Program, Site};

/// Codes that the operator makes at once.
const BATCH: u64 = 3;
/// How often the harness looks whether something has happened.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// The operator does not sell faster than this.
const SALE: Duration = Duration::from_millis(25);

/// How the load of a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGKILL after so long.
    Kill(Duration),
    /// The program dies by itself in the middle of a write, after so many of them; SIGKILL if it has not after a while.
    Die(u32),
    /// This goes wrong after so long; then the program is still there.
    Fault(Fault, Duration),
}

/// What the clients believe of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Believed {
    /// Everything is there.
    Whole,
    /// The program refuses to say.
    Refused(String),
    /// `ledger verify` says that the books are not sound.
    Unsound(String),
    /// Something is missing or wrong, and nobody says so.
    Wrong(String),
}

/// Everything that a run has.
pub struct Stage {
    /// Where the program lives.
    pub home: Arc<Home>,
    /// The disk under it.
    pub disk: Disk,
    /// What everybody saw so far.
    pub found: Findings,
    world: World,
    raws: Vec<Raw>,
    payers: Vec<Payer>,
    /// What the operator lost sight of: codes that were made, and the answer was lost.
    orphans: u64,
    /// Batches of codes whose answer was lost in this round.
    batches_lost: u64,
    _site: Site,
}

/// What the operator's task brings home.
#[derive(Default)]
struct Sales {
    made: u64,
    lost: u64,
}

impl Stage {
    /// Sets the stage: a new folder, clients without money, and the program, which runs.
    pub async fn open(clients: u64, disk_lies: bool) -> Result<(Self, Program), String> {
        let served = Served::default();
        let answers = served.clone();
        let site = Site::start(move |asked| answers.answer(asked)).await?;
        let home = Arc::new(Home::new(&program::binary()?, site.address(), PRICES)?);
        let disk = Disk::build(disk_lies)?;
        let program = start(&home, &disk)?;
        let world = World::around(&program, served).await?;
        // Every third client has a wallet.
        let raws =
            (0..clients).filter(|number| number % 3 != 2).map(|number| Raw::new(number, &world)).collect();
        let payers = (0..clients).filter(|number| number % 3 == 2).map(|number| Payer::new(number, &world));
        let payers = payers.collect::<Result<_, _>>()?;
        let (orphans, batches_lost, found) = (0, 0, Findings::default());
        let stage = Self { home, disk, found, world, raws, payers, orphans, batches_lost, _site: site };
        Ok((stage, program))
    }

    /// Starts the program on what is there.
    pub fn start(&self) -> Result<Program, String> {
        start(&self.home, &self.disk)
    }

    /// The same without waiting.
    pub fn spawn(&self) -> Result<Program, String> {
        let environment = environment(&self.home, &self.disk);
        Program::spawn(&self.home, &borrowed(&environment))
    }

    /// Load until its end. The program comes back if it is still there.
    pub async fn load(
        &mut self,
        mut program: Program,
        seed: u64,
        round: u64,
        end: End,
    ) -> Result<Option<Program>, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut raws, mut payers) = (JoinSet::new(), JoinSet::new());
        for (part, mut raw) in (10..).zip(self.raws.drain(..)) {
            raw.begin(Chance::of(seed, round, part));
            let stop = Arc::clone(&stop);
            raws.spawn(async move {
                raw.work(&stop).await;
                raw
            });
        }
        for (part, mut payer) in (1000..).zip(self.payers.drain(..)) {
            payer.begin(Chance::of(seed, round, part))?;
            let stop = Arc::clone(&stop);
            payers.spawn(async move {
                payer.work(&stop).await;
                payer
            });
        }
        let (home, world, told) = (Arc::clone(&self.home), self.world.clone(), Arc::clone(&stop));
        let environment = environment(&self.home, &self.disk);
        let sales = tokio::task::spawn_blocking(move || sell(&home, &environment, &world, &told));
        let survivor = self.wait(&mut program, end).await?;
        let program = if survivor { Some(program) } else { program.kill().map(|()| None)? };
        stop.store(true, Ordering::Relaxed);
        let broken = |error| format!("a client broke off: {error}");
        while let Some(raw) = raws.join_next().await {
            self.raws.push(raw.map_err(broken)?);
        }
        while let Some(payer) = payers.join_next().await {
            self.payers.push(payer.map_err(broken)?);
        }
        let sales = sales.await.map_err(broken)?;
        self.found.tally.codes += sales.made;
        self.batches_lost += sales.lost;
        Ok(program)
    }

    /// Waits for the end, and says whether the program survives it.
    async fn wait(&self, program: &mut Program, end: End) -> Result<bool, String> {
        match end {
            End::Kill(after) => {
                tokio::time::sleep(after).await;
                Ok(false)
            }
            End::Die(after) => {
                self.disk.set(Fault::Die, after)?;
                let begun = Instant::now();
                while program.ended()?.is_none() && begun.elapsed() < Duration::from_secs(3) {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                self.disk.set(Fault::None, 0)?;
                Ok(false)
            }
            End::Fault(fault, after) => {
                tokio::time::sleep(after).await;
                self.disk.set(fault, 0)?;
                let begun = Instant::now();
                while self.disk.struck() == 0 && begun.elapsed() < Duration::from_secs(10) {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                if self.disk.struck() == 0 {
                    return Err(format!("{fault:?} never struck"));
                }
                // Clients see the refusals.
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(true)
            }
        }
    }

    /// Whether anything is accepted. Nothing may be, once a write has failed.
    pub async fn expect_stopped(&mut self, when: &str) -> Result<(), String> {
        let mut accepted = false;
        for raw in &mut self.raws {
            accepted |= raw.probe().await;
        }
        let environment = environment(&self.home, &self.disk);
        let words = ["code", "create", "--amount", CODE_TEXT, "--json"];
        let sold = self.home.run(&words, &borrowed(&environment))?;
        if sold.status.success() {
            accepted = true;
            self.put_codes(&sold.stdout)?;
        }
        if accepted {
            self.found.violation(format!("{when}: something was accepted after a failed write"));
        }
        self.batches_lost += 1;
        Ok(())
    }

    fn put_codes(&self, json: &[u8]) -> Result<(), String> {
        let Codes { codes } =
            serde_json::from_slice(json).map_err(|error| format!("reading codes: {error}"))?;
        self.world.put_codes(codes);
        Ok(())
    }

    /// Compares what everybody was told with what is there. `all` looks at everything that was ever told.
    pub async fn reconcile(&mut self, seed: u64, round: u64, all: bool) -> Result<(), String> {
        let (mut raws, mut payers) = (JoinSet::new(), JoinSet::new());
        for mut raw in self.raws.drain(..) {
            raws.spawn(async move {
                raw.hang_up();
                raw.reconcile(all).await;
                raw
            });
        }
        for (part, mut payer) in (2000..).zip(self.payers.drain(..)) {
            payer.begin(Chance::of(seed, round, part))?;
            payers.spawn(async move {
                payer.hang_up();
                payer.reconcile().await;
                payer
            });
        }
        let broken = |error| format!("a client broke off: {error}");
        while let Some(raw) = raws.join_next().await {
            self.raws.push(raw.map_err(broken)?);
        }
        while let Some(payer) = payers.join_next().await {
            self.payers.push(payer.map_err(broken)?);
        }
        // The order of ends is chance; who is who is not.
        self.raws.sort_by_key(Raw::number);
        self.payers.sort_by_key(Payer::number);
        for raw in &mut self.raws {
            self.found.take(&mut raw.found);
        }
        for payer in &mut self.payers {
            self.found.take(&mut payer.found);
        }
        match books::trial(&self.home) {
            Ok(totals) => self.compare(&totals),
            Err(why) => self.found.violation(why),
        }
        if let Err(why) = books::verify(&self.home) {
            self.found.violation(why);
        }
        Ok(())
    }

    /// What the clients find in a copy of the folder, with nothing open and nothing changed.
    pub async fn believe(&mut self, twin: &Home) -> Believed {
        let mut refused = None;
        for raw in &mut self.raws {
            raw.hang_up();
            match raw.believe().await {
                Ok(true) => {}
                Ok(false) => {
                    let why =
                        format!("client {}: credits or signatures are not what they were", raw.number());
                    // Wrong, unless the operator's own check says so too.
                    return books::verify(twin).map_or_else(Believed::Unsound, |()| Believed::Wrong(why));
                }
                Err(why) => refused = Some(why),
            }
        }
        if let Err(why) = books::verify(twin) {
            return Believed::Unsound(why);
        }
        match books::trial(twin).and_then(|totals| self.differs(&totals).map_or(Ok(()), Err)) {
            Err(why) => Believed::Wrong(why),
            Ok(()) => refused.map_or(Believed::Whole, Believed::Refused),
        }
    }

    /// How the books differ from what the clients have, were charged, and can still redeem.
    fn differs(&self, totals: &Totals) -> Option<String> {
        let balances = self.raws.iter().map(Raw::balance).chain(self.payers.iter().map(Payer::balance));
        let charges = self.raws.iter().map(Raw::charged).chain(self.payers.iter().map(Payer::charged));
        let codes = self.world.unused() + self.orphans;
        let known = Totals { credits: balances.sum(), codes, earned: charges.sum() };
        (known != *totals).then(|| format!("the books say {totals:?}, the clients {known:?}"))
    }

    /// The books say what the clients say. Codes that were made while the operator lost the answer are in the books alone.
    fn compare(&mut self, totals: &Totals) {
        let known = self.world.unused() + self.orphans;
        let more = totals.codes.checked_sub(known).filter(|more| more % CODE == 0).unwrap_or_default();
        if more <= self.batches_lost * BATCH * CODE {
            self.orphans += more;
        }
        if let Some(why) = self.differs(totals) {
            self.found.violation(why);
        }
        self.batches_lost = 0;
    }
}

fn environment(home: &Home, disk: &Disk) -> Vec<(&'static str, PathBuf)> {
    disk.environment(&home.path().canonicalize().unwrap_or_else(|_| home.path().to_owned()).join("data"))
}

fn borrowed<'a>(environment: &'a [(&'static str, PathBuf)]) -> Vec<(&'static str, &'a Path)> {
    environment.iter().map(|(name, value)| (*name, value.as_path())).collect()
}

fn start(home: &Home, disk: &Disk) -> Result<Program, String> {
    Program::start(home, &borrowed(&environment(home, disk)))
}

/// The operator sells codes: over the socket as long as the program is there, by opening the folder when it is gone. So the
/// disk is the same for both.
fn sell(home: &Home, environment: &[(&'static str, PathBuf)], world: &World, stop: &AtomicBool) -> Sales {
    let mut sales = Sales::default();
    let count = BATCH.to_string();
    while !stop.load(Ordering::Relaxed) {
        let words = ["code", "create", "--amount", CODE_TEXT, "--count", &count, "--json"];
        let output = home.run(&words, &borrowed(environment));
        let codes = output.ok().filter(|output| output.status.success());
        match codes.and_then(|output| serde_json::from_slice::<Codes>(&output.stdout).ok()) {
            Some(Codes { codes }) => {
                sales.made += BATCH;
                world.put_codes(codes);
            }
            None => sales.lost += 1,
        }
        std::thread::sleep(SALE);
    }
    sales
}
