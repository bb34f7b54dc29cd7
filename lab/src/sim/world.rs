//! The simulated world: who is in it, what happens in a step, and how time goes by.

use std::sync::{Arc, Mutex, PoisonError};

use farthing_server::config::{Config, Origin};
use farthing_server::operator::Operator;
use farthing_server::workers::WORKERS;

use super::bearer::Bearer;
use super::bookkeeper::{Bookkeeper, Broken, Payouts, hold};
use super::chain::Chain;
use super::counts::Counts;
use super::dealer::Dealer;
use super::depositor::Depositor;
use super::dice::{Chance, Dice};
use super::disk::{Accident, Disk};
use super::holder::Holder;
use super::net::Network;
use super::payer::{Person, Wish};
use super::seller::Seller;
use super::server::{Server, Surroundings};
use super::shop::{self, PAGES};
use super::time::Time;
use super::trace::Trace;

const PEOPLE: usize = 3;
const HOLDERS: usize = 3;

/// The world.
pub struct World {
    seed: u64,
    config: Config,
    origin: Origin,
    /// What the server has around it.
    pub around: Surroundings,
    /// The server, while it runs.
    pub server: Option<Server>,
    /// The network.
    pub network: Network,
    /// People with wallets.
    pub people: Vec<Person>,
    /// People with tokens on the chain.
    pub holders: Vec<Holder>,
    /// Someone who buys credits with tokens, and has them paid out.
    pub dealer: Option<Dealer>,
    /// Somebody else's gate that we settle for.
    pub seller: Option<Seller>,
    /// People who pay through channels.
    pub depositor: Option<Depositor>,
    /// Someone with tokens.
    pub bearer: Bearer,
    /// Top-up codes that somebody was told.
    pub codes: Arc<Mutex<Vec<String>>>,
    trace: Trace,
    /// What was counted so far.
    pub counts: Counts,
    /// What only a search by the words has found at the end.
    pub by_words: u64,
}

impl World {
    /// The world of a seed, before its first step.
    pub fn new(seed: u64) -> Result<Self, String> {
        let mut dice = Dice::of(seed, u64::MAX);
        let config = shop::config(seed, &mut dice)?;
        let mut server_seed = [0; 32];
        dice.fill(&mut server_seed);
        let (time, bookkeeper) = (Time::default(), Bookkeeper::default());
        let chain =
            shop::chain_of(seed).map(|plan| Chain::new(plan.confirmations, plan.deep, time.now(), &mut dice));
        let holders = chain.iter().flat_map(|chain| {
            bookkeeper.book().onchain.watches(chain.clone());
            (0..HOLDERS).filter_map(|_| Holder::new(chain, &mut dice)).collect::<Vec<_>>()
        });
        let holders = holders.collect();
        let dealer = chain.as_ref().and_then(|chain| Dealer::new(chain, &mut dice));
        let seller = chain.as_ref().and_then(|chain| Seller::new(chain, &mut dice));
        let around = Surroundings {
            time,
            disk: Disk::default(),
            chance: Chance::new(dice.clone()),
            bookkeeper,
            chain,
            seed: server_seed,
        };
        let people: Result<Vec<_>, _> = (0..PEOPLE).map(|who| Person::new(who, &mut dice)).collect();
        let people = people.map_err(|error| error.to_string())?;
        let most = shop::channels_of(seed);
        let moored = around.chain.as_ref().zip(most);
        let depositor = moored.and_then(|(chain, most)| {
            around.bookkeeper.book().channels.watches(chain.clone(), most.into());
            Depositor::new(chain, &mut dice)
        });
        let mut world = Self {
            seed,
            config,
            origin: shop::origin()?,
            around,
            server: None,
            network: Network::default(),
            people,
            holders,
            dealer,
            seller,
            depositor,
            bearer: Bearer::default(),
            codes: Arc::default(),
            trace: Trace::default(),
            counts: Counts::default(),
            by_words: 0,
        };
        world.start();
        Ok(world)
    }

    /// What happened so far, as a digest.
    pub fn digest(&self) -> String {
        self.trace.digest()
    }

    /// What happened so far, in numbers.
    pub fn counts(&self) -> Counts {
        let book = self.around.bookkeeper.book();
        let charged = u64::try_from(book.kept.payments.len()).unwrap_or(u64::MAX);
        let (commits, doubts) = (book.commits, book.doubts);
        Counts {
            requests: self.network.requests,
            commits,
            doubts,
            charged,
            needed_words: u64::from(self.by_words > 0),
            on_chain: u64::try_from(book.onchain.handed.len()).unwrap_or(u64::MAX),
            exchanged: book.earnings.exchanged,
            free: book.quotas.served,
            fares: book.fares.paid(),
            payouts: book.payouts.sent(),
            chain: self.around.chain.as_ref().map(|chain| chain.inner().counts()).unwrap_or_default(),
            ..self.counts
        }
    }

    /// One step: something happens, and some time goes by.
    pub fn step(&mut self, step: u64) -> Result<(), Broken> {
        let mut dice = Dice::of(self.seed, step.wrapping_mul(2));
        self.around.chance.turn(Dice::of(self.seed, step.wrapping_mul(2).wrapping_add(1)));
        let chained = self.around.chain.is_some() && dice.per_mille(500);
        let ailing = self.server.is_none() || self.around.disk.has_failed();
        if ailing && dice.per_mille(300) {
            self.crash();
            self.start();
        } else if dice.per_mille(220) {
            self.trade(&mut dice);
        } else if chained {
            self.happen_on_chain(&mut dice);
        } else {
            self.happen(&mut dice)?;
        }
        let millis = match dice.below(100) {
            0..55 => dice.within(1..=5),
            55..90 => dice.within(5..=60),
            90..99 => dice.within(100..=1_500),
            _ => dice.within(5_000..=30_000),
        };
        self.pass(millis);
        self.trace.add(&self.around.time.elapsed().to_le_bytes());
        self.check()
    }

    fn happen(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        match dice.below(1000) {
            0..530 => self.payer_acts(dice)?,
            530..720 => self.bearer_pays(dice),
            720..740 => self.bearer_melts(dice),
            740..785 => {
                if let Some(heard) = dice.pick(&self.network.heard).cloned() {
                    self.network.repeat(heard, self.around.time.elapsed(), dice);
                }
            }
            785..815 => self.sell_codes(dice),
            815..830 => {
                if let (Some(server), Ok(rules)) = (&self.server, shop::prices(self.seed, dice)) {
                    server.reload(rules);
                }
            }
            830..855 => {
                // Rates come as the dice say, not from where the configuration names.
                let worker = dice.pick(WORKERS).filter(|worker| worker.name != "rates");
                if let (Some(server), Some(worker)) = (&self.server, worker) {
                    server.spawn((worker.run)(server.installation.clone()));
                }
            }
            855..863 => self.crash(),
            863..878 => {
                let accident = if dice.per_mille(500) { Accident::CutBefore } else { Accident::CutAfter };
                self.around.disk.plan(dice.below(6), accident);
            }
            878..883 => {
                let accident = if dice.per_mille(500) { Accident::FailLost } else { Accident::FailKept };
                self.around.disk.plan(dice.below(6), accident);
            }
            883..893 => {
                let who = self.anybody(dice);
                self.kill(who);
            }
            893..910 => {
                let (who, after, durable) = (self.anybody(dice), dice.below(4), dice.per_mille(500));
                if let Some(person) = self.people.get(who) {
                    person.folder().plan(after, durable);
                }
            }
            910..930 => self.jump(dice),
            930..935 => {
                let who = self.anybody(dice);
                if let Some(person) = self.people.get_mut(who) {
                    person.allow(dice.within(10_000..=200_000));
                }
            }
            935..960 => self.pass(dice.within(1_000..=20_000)),
            _ => {}
        }
        Ok(())
    }

    fn anybody(&self, dice: &mut Dice) -> usize {
        usize::try_from(dice.below(u64::try_from(self.people.len()).unwrap_or(1))).unwrap_or(0)
    }

    /// Opens the server on what is on its disk.
    pub fn start(&mut self) {
        let server = Server::start(&self.around, &self.config, self.config.rules.clone(), &self.origin);
        self.server = server;
    }

    /// Whoever has tokens knows the keysets of the moment.
    fn learn(&mut self) {
        if let Some(server) = &self.server {
            self.bearer.keysets = server.installation.keyring.borrow().ids();
        }
    }

    /// The power of the server goes.
    pub fn crash(&mut self) {
        self.around.disk.cut();
        if self.server.take().is_some() {
            self.counts.crashes = self.counts.crashes.saturating_add(1);
        }
        self.around.disk.spare();
        self.around.time.stop();
        for (call, event) in self.network.broken_off() {
            self.tell(call, &event);
        }
    }

    /// A wallet's program dies.
    pub fn kill(&mut self, who: usize) {
        if let Some(person) = self.people.get_mut(who) {
            person.kill();
            self.counts.kills = self.counts.kills.saturating_add(1);
        }
    }

    fn jump(&mut self, dice: &mut Dice) {
        const DAY: u64 = 86_400_000;
        self.counts.jumps = self.counts.jumps.saturating_add(1);
        match dice.below(100) {
            0..30 => self.around.time.jump_back(dice.within(1..=3_600_000)),
            30..75 => self.around.time.jump(dice.within(1_000..=600_000)),
            75..95 => self.around.time.jump(dice.within(600_000..=DAY)),
            _ => self.around.time.jump(dice.within(DAY..=12 * DAY)),
        }
    }

    /// Time goes by; what is due happens.
    pub fn pass(&mut self, millis: u64) {
        let end = self.around.time.elapsed().saturating_add(millis);
        loop {
            let now = self.around.time.elapsed();
            let block = self.around.chain.as_ref().map(Chain::next_due);
            let due = self.network.next_due().into_iter().chain(block).min();
            let next = due.map_or(end, |due| due.clamp(now.saturating_add(1), end.max(now + 1)));
            match &mut self.server {
                Some(server) => server.run_until(next),
                None => self.around.time.set_elapsed(next),
            }
            if self.around.disk.is_off() {
                self.crash();
            }
            if let Some(chain) = &self.around.chain {
                let chance = self.around.chance.clone();
                chain.pass(next, self.around.time.now(), &mut chance.dice());
            }
            self.network.collect(next, &mut self.trace);
            let over =
                self.network.due(next, self.server.as_ref(), &self.around.time, &self.around.bookkeeper);
            for (call, event) in over {
                self.tell(call, &event);
            }
            if next >= end {
                return;
            }
        }
    }

    fn tell(&mut self, call: u64, event: &farthing_wallet::Event) {
        self.learn();
        self.bearer.sees(event);
        if let Some(request) = self.bearer.hears(call, event) {
            let id = self.send(request);
            self.bearer.waits_for_melt(id);
        }
        for person in &mut self.people {
            person.hears(call, event);
        }
        self.tell_holders(call, event);
    }

    /// Sends a request.
    pub fn send(&mut self, request: farthing_wallet::HttpRequest) -> u64 {
        self.trace.add(request.url.as_bytes());
        self.trace.add(&request.body);
        let chance = self.around.chance.clone();
        let mut dice = chance.dice();
        self.network.send(request, self.around.time.elapsed(), &mut dice)
    }

    /// One payer goes on, begins something, or starts its program again.
    fn payer_acts(&mut self, dice: &mut Dice) -> Result<(), Broken> {
        let elapsed = self.around.time.elapsed();
        let first = self.anybody(dice);
        let ready = |who: &usize| self.people.get(*who).is_some_and(|person| !person.waits(elapsed));
        let all = self.people.len();
        let Some(who) = (0..all).map(|n| (first + n) % all).find(ready) else {
            self.pass(dice.within(1..=100));
            return Ok(());
        };
        let wish = self.wish(who, dice);
        let Some(person) = self.people.get_mut(who) else { return Ok(()) };
        if !person.is_running() {
            return person.restart();
        }
        if person.is_idle() && person.begin(wish).is_err() {
            // Not even begun: its disk failed.
            person.kill();
        }
        self.advance(who);
        Ok(())
    }

    /// A payer does the next thing.
    pub fn advance(&mut self, who: usize) {
        let (now, elapsed) = (self.around.time.now(), self.around.time.elapsed());
        let Some(person) = self.people.get_mut(who) else { return };
        let act = person.act(now, elapsed, &mut self.around.bookkeeper.book());
        if let Some(token) = act.token {
            self.learn();
            self.bearer.take(&token);
        }
        if let Some(request) = act.send {
            let call = self.send(request);
            if let Some(person) = self.people.get_mut(who) {
                person.waits_for(call);
            }
        }
    }

    fn wish(&self, who: usize, dice: &mut Dice) -> Wish {
        let broke = self.people.get(who).and_then(Person::wallet).is_none_or(|wallet| {
            wallet.balances().is_ok_and(|all| all.iter().all(|one| one.free.amount().is_zero()))
        });
        let code = |dice: &mut Dice| {
            let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner).clone();
            codes.extend(self.bearer.codes.iter().cloned());
            let recent = codes.len().saturating_sub(12);
            dice.pick(codes.get(recent..).unwrap_or_default()).cloned()
        };
        let page = |dice: &mut Dice| Wish::Page(usize::try_from(dice.below(PAGES.len() as u64)).unwrap_or(0));
        match dice.below(1000) {
            0..550 if !broke => page(dice),
            550..590 if !broke => Wish::Free,
            590..680 if !broke => Wish::Send(dice.within(1..=60_000)),
            680..760 => self.bearer.any(dice).map_or(Wish::Recover, |coin| Wish::Receive(coin.text)),
            760..800 => Wish::Reclaim,
            800..900 => Wish::Recover,
            900..903 => Wish::Restore,
            _ => code(dice).map_or_else(|| page(dice), Wish::Redeem),
        }
    }

    fn bearer_pays(&mut self, dice: &mut Dice) {
        let now = self.around.time.now();
        let requests = self.bearer.pay(dice, now, &mut self.around.bookkeeper.book());
        for (request, payment) in requests {
            let call = self.send(request);
            self.bearer.waits_for_page(call, payment);
        }
    }

    fn bearer_melts(&mut self, dice: &mut Dice) {
        let Some(server) = &self.server else { return };
        let keyring = server.installation.keyring.borrow().clone();
        if let Some((request, coin)) = self.bearer.melt(dice, &keyring) {
            let call = self.send(request);
            self.bearer.waits_for_quote(call, coin);
        }
    }

    fn sell_codes(&mut self, dice: &mut Dice) {
        let Some(server) = &self.server else { return };
        let (operator, codes) = (Operator::new(&server.installation), Arc::clone(&self.codes));
        let (micro, count, disk) = (dice.within(1..=400_000), dice.within(1..=3), self.around.disk.clone());
        let amount = format!("0.{micro:06} USD");
        server.spawn(async move {
            let made = operator.create_codes(&amount, usize::try_from(count).unwrap_or(1), None).await;
            if let Ok(made) = made
                && !disk.is_off()
            {
                codes.lock().unwrap_or_else(PoisonError::into_inner).extend(made.codes);
            }
        });
    }

    /// What must hold after every step.
    fn check(&self) -> Result<(), Broken> {
        let stubborn = self.around.disk.stubborn();
        hold(stubborn == 0, "after a failed write nothing is written", || format!("{stubborn} writes"))?;
        let book = self.around.bookkeeper.book();
        book.broken().map_or(Ok(()), Err)?;
        if let Some(chain) = &self.around.chain {
            Payouts::stand(&book.kept, chain)?;
        }
        book.channels.stand(&book.kept)
    }
}
