//! A budget is never exceeded: sixteen flows at once in any order, answers lost, the power cut at any commit, shops that steal, and limits
//! of every kind at once. A naive model sums what the shop was really paid, and by whom.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use std::collections::BTreeMap;

use farthing_money::{Amount, Asset, Money, Span, Timestamp, Unit};
use farthing_wallet::{
    Approval, Asker, Event, Flow, Limits, Measure, Outcome, PayFlow, Rule, Run, Scope, Step, ToPark, Wallet,
    WalletError, day_of, month_of,
};
use farthing_wire::{Mandate, MandateFile};
use proptest::prelude::*;

use crate::world::shop::Conduct;
use crate::world::vault::SharedVault;
use crate::world::{Fault, SHOP, World, get, reopen};

const PER_CALL: u64 = 9_000;
const PER_HOST: u64 = 70_000;
const PER_DAY: u64 = 30_000;
const PER_MONTH: u64 = 60_000;
const TOTAL: u64 = 80_000;
const OF_PATH: u64 = 20_000;
const OF_TOOL: u64 = 25_000;
const OF_TASK_DAY: u64 = 15_000;
const MANDATE: u64 = 65_000;
const MANDATE_DAY: u64 = 28_000;
const RUN: u64 = 22_000;
const ASK_ABOVE: u64 = 5_000;

fn unit() -> Unit {
    "uusd".parse().unwrap()
}

fn usd(amount: u64) -> Money {
    Asset::micro("USD").unwrap().money(Amount::from(amount))
}

/// One payment that is to be made.
#[derive(Clone, Debug)]
struct Want {
    page: u8,
    has_tool: bool,
    has_task: bool,
}

/// Several of them at once.
#[derive(Clone, Debug)]
struct Round {
    price: u64,
    conduct: Conduct,
    wants: Vec<Want>,
    /// Which of the flows is next, again and again.
    order: Vec<prop::sample::Index>,
    faults: Vec<Fault>,
    crash: Option<(usize, bool)>,
    /// The owner says yes to what is parked.
    approves: bool,
    later: u64,
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let conduct = prop_oneof![
        5 => Just(Conduct::Honest), 1 => Just(Conduct::Failing), 1 => Just(Conduct::Stealing), 1 => Just(Conduct::NoChange),
    ];
    let want = (0..3_u8, any::<bool>(), any::<bool>()).prop_map(|(page, has_tool, has_task)| Want {
        page,
        has_tool,
        has_task,
    });
    let fault = prop_oneof![
        6 => Just(Fault::None), 1 => Just(Fault::NotSent), 1 => Just(Fault::RequestLost), 2 => Just(Fault::AnswerLost),
        1 => Just(Fault::Twice),
    ];
    let later = prop_oneof![3 => Just(10_u64), 1 => Just(90_000), 1 => Just(31 * 86_400)];
    let round = (
        (500..7_000_u64, conduct),
        prop::collection::vec(want, 1..16),
        prop::collection::vec(any::<prop::sample::Index>(), 1..64),
        prop::collection::vec(fault, 0..24),
        prop::option::weighted(0.3, (0..20_usize, any::<bool>())),
        (any::<bool>(), later),
    );
    let round = round.prop_map(|((price, conduct), wants, order, faults, crash, (approves, later))| Round {
        price,
        conduct,
        wants,
        order,
        faults,
        crash,
        approves,
        later,
    });
    prop::collection::vec(round, 1..6)
}

/// What the shop was really paid, for what.
#[derive(Default)]
struct Taken {
    total: u64,
    days: BTreeMap<u64, u64>,
    months: BTreeMap<u64, u64>,
    path: u64,
    tool: u64,
    task_days: BTreeMap<u64, u64>,
    runs: BTreeMap<usize, u64>,
}

struct Model {
    world: World,
    vault: SharedVault,
    wallet: Wallet,
    taken: Taken,
    /// How many payments above the threshold were agreed to, and how many were made.
    agreed: usize,
    asked: usize,
}

fn mandate() -> Mandate {
    Mandate {
        id: "0123456789abcdef0123456789abcdef".into(),
        unit: unit(),
        asset: "USD".parse().unwrap(),
        scale: 6,
        total: Amount::from(MANDATE),
        per_call: None,
        per_day: Some(Amount::from(MANDATE_DAY)),
        per_month: None,
        hosts: vec!["shop.example".into()],
        tools: Vec::new(),
        given: "2026-11-22T00:00:00Z".parse().unwrap(),
        until: "2027-11-22T00:00:00Z".parse().unwrap(),
        token: None,
        note: None,
    }
}

impl Model {
    fn new() -> Self {
        let mut world = World::new();
        let (mut wallet, vault) = world.wallet_with(1 << 20);
        let some = |amount: u64| Some(Amount::from(amount));
        let limits = Limits {
            per_call: some(PER_CALL),
            per_host: some(PER_HOST),
            per_day: some(PER_DAY),
            per_month: some(PER_MONTH),
            total: some(TOTAL),
            ask_above: some(ASK_ABOVE),
            ..Limits::none(unit())
        };
        wallet.set_limits(limits).unwrap();
        let rule = |subject: &str, measure, amount: u64| Rule {
            unit: unit(),
            subject: subject.parse().unwrap(),
            measure,
            amount: Amount::from(amount),
        };
        let rules = vec![
            rule("path/shop.example/page/0", Measure::Total, OF_PATH),
            rule("tool/fetch", Measure::Total, OF_TOOL),
            rule("task/t", Measure::PerDay, OF_TASK_DAY),
        ];
        wallet.set_rules(rules).unwrap();
        let mut owner = SharedVault::default().create();
        let given = owner.give_mandate(mandate(), None).unwrap();
        let taken = farthing_wallet::Taken::read(&given.file(), world.now).unwrap();
        wallet.take_mandate(taken).unwrap();
        Self { world, vault, wallet, taken: Taken::default(), agreed: 0, asked: 0 }
    }

    fn flow(want: &Want, run: Run) -> PayFlow {
        let name = |is: bool, text: &str| is.then(|| text.parse().unwrap());
        let asker = Asker { tool: name(want.has_tool, "fetch"), task: name(want.has_task, "t") };
        let flow = PayFlow::new(get(&format!("/page/{}", want.page))).unwrap();
        flow.asked_by(asker).within_run(Some(run)).among_others()
    }

    /// The shop has got so much by a request that a flow sent at a time.
    fn count(&mut self, want: &Want, number: usize, amount: u64, at: Timestamp) {
        let taken = &mut self.taken;
        taken.total += amount;
        *taken.days.entry(day_of(at)).or_default() += amount;
        *taken.months.entry(month_of(at)).or_default() += amount;
        *taken.runs.entry(number).or_default() += amount;
        taken.path += if want.page == 0 { amount } else { 0 };
        taken.tool += if want.has_tool { amount } else { 0 };
        if want.has_task {
            *taken.task_days.entry(day_of(at)).or_default() += amount;
        }
    }

    fn approve(&mut self) {
        let waiting: Vec<u64> =
            self.wallet.parked().filter(|one| one.approval.is_none()).map(|one| one.number).collect();
        for number in waiting {
            let approval = Approval { at: self.world.now, until: None, once: true };
            self.agreed += usize::from(self.wallet.approve(number, approval).is_ok());
        }
    }

    /// All of a round at once, a step of one and then a step of another.
    fn round(&mut self, number: usize, round: &Round) {
        (self.world.shop.price, self.world.shop.conduct) = (round.price, round.conduct);
        if round.approves {
            self.approve();
        }
        self.world.faults.clone_from(&round.faults);
        let Ok(run) = Run::begin(&mut self.wallet, usd(RUN)) else { return };
        if let Some((commits, durable)) = round.crash {
            self.vault.crash_after(commits, durable);
        }
        let mut flows: Vec<_> =
            round.wants.iter().map(|want| (want.clone(), Self::flow(want, run), Some(Event::Go))).collect();
        let mut order = round.order.iter().cycle();
        for turn in 0..20_000 {
            let open: Vec<usize> = (0..flows.len()).filter(|place| flows[*place].2.is_some()).collect();
            if open.is_empty() {
                break;
            }
            // Whatever the order, everyone has a turn in the end.
            let place = open[(order.next().unwrap().index(open.len()) + turn / 64) % open.len()];
            let (want, flow, event) = &mut flows[place];
            let (want, came) = (want.clone(), event.take().unwrap());
            let step = flow.next(&mut self.wallet, came, self.world.now);
            let next = self.happens(&want, number, step);
            if next.is_none() {
                // A flow that is over is dropped, as programs do: what it has left open is nobody's then.
                flows[place].1 = Self::flow(&want, run);
            }
            flows[place].2 = next;
            self.check();
        }
        let stuck = flows.iter().filter(|(.., event)| event.is_some()).count();
        assert_eq!(stuck, 0, "every flow ends");
        drop(flows);
        self.vault.never_crash();
        self.world.faults.clear();
        if round.crash.is_some() {
            self.wallet = reopen(&self.vault);
        }
        self.world.now = self.world.now.after(Span::from_secs(round.later));
        // What is left open is not this round's any more: it is brought to its end before the next.
        let before = self.world.shop.revenue;
        self.world.shop.conduct = Conduct::Honest;
        let _ = self.world.recover(&mut self.wallet);
        assert_eq!(self.world.shop.revenue, before, "a recovery pays nobody");
        self.check();
    }

    /// What comes of a step.
    fn happens(&mut self, want: &Want, number: usize, step: Result<Step, WalletError>) -> Option<Event> {
        match step {
            Ok(Step::Send(request)) => {
                let (before, at) = (self.world.shop.revenue, self.world.now);
                let came = self.world.send(&request);
                let amount = self.world.shop.revenue - before;
                if amount > 0 {
                    assert!(amount <= PER_CALL, "{amount} were taken by one call");
                    self.asked += usize::from(self.world.shop.price > ASK_ABOVE);
                    self.count(want, number, amount, at);
                }
                Some(came)
            }
            Ok(Step::Wait(span)) => {
                self.world.now = self.world.now.after(span);
                Some(Event::Go)
            }
            Ok(Step::Deliver) => Some(Event::Go),
            Ok(Step::Done(_)) => None,
            Err(WalletError::Ask(needs)) => {
                self.park(want, needs.price.amount);
                None
            }
            Err(error) => {
                assert!(!matches!(error, WalletError::Misuse(_)), "{error:?}");
                None
            }
        }
    }

    fn park(&mut self, want: &Want, price: Amount) {
        let name = |is: bool, text: &str| is.then(|| text.parse().unwrap());
        let asker = Asker { tool: name(want.has_tool, "fetch"), task: name(want.has_task, "t") };
        let request = ToPark {
            method: "GET",
            url: format!("{SHOP}/page/{}", want.page),
            body: &[],
            headers: &[],
            asker: &asker,
            price: Asset::micro("USD").unwrap().money(price),
            renews: None,
        };
        let _ = self.wallet.park(&request, self.world.now);
    }

    /// What must hold at every moment.
    fn check(&self) {
        let taken = &self.taken;
        let most = |sums: &BTreeMap<u64, u64>| sums.values().copied().max().unwrap_or_default();
        let within = [
            ("in total", taken.total, TOTAL.min(PER_HOST).min(MANDATE)),
            ("in a day", most(&taken.days), PER_DAY.min(MANDATE_DAY)),
            ("in a month", most(&taken.months), PER_MONTH),
            ("by a path", taken.path, OF_PATH),
            ("by a tool", taken.tool, OF_TOOL),
            ("by a task in a day", most(&taken.task_days), OF_TASK_DAY),
            ("in a run", taken.runs.values().copied().max().unwrap_or_default(), RUN),
        ];
        for (what, sum, limit) in within {
            assert!(sum <= limit, "{sum} were taken {what}, {limit} were allowed");
        }
        assert!(self.asked <= self.agreed, "{} were paid, {} were agreed to", self.asked, self.agreed);
        let spent = |scope| self.wallet.spent(unit(), &scope).to_u64().unwrap();
        assert!(spent(Scope::Total) >= taken.total, "what was taken is booked");
        assert!(spent(Scope::Total) <= TOTAL);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_budget_is_never_exceeded(rounds in rounds()) {
        let mut model = Model::new();
        for (number, round) in rounds.iter().enumerate() {
            model.round(number, round);
        }
    }
}

fn get_flow(run: Run) -> PayFlow {
    PayFlow::new(get("/page")).unwrap().within_run(Some(run)).among_others()
}

/// Without faults, everything that fits is paid, whatever the order: a limit is final only when nothing can come back any more.
fn paid_within(order: &[prop::sample::Index], credits: u64, max: u64) -> u64 {
    let mut world = World::new();
    let (mut wallet, _vault) = world.wallet_with(credits);
    let run = Run::begin(&mut wallet, usd(max)).unwrap();
    let mut flows: Vec<_> = (0..16).map(|_| (get_flow(run), Some(Event::Go))).collect();
    let mut order = order.iter().cycle();
    for step in 0..20_000 {
        let open: Vec<usize> = (0..flows.len()).filter(|place| flows[*place].1.is_some()).collect();
        if open.is_empty() {
            break;
        }
        let place = open[(order.next().unwrap().index(open.len()) + step / 64) % open.len()];
        let (flow, event) = &mut flows[place];
        let next = match flow.next(&mut wallet, event.take().unwrap(), world.now) {
            Ok(Step::Send(request)) => Some(world.send(&request)),
            Ok(Step::Wait(span)) => {
                world.now = world.now.after(span);
                Some(Event::Go)
            }
            Ok(Step::Deliver) => Some(Event::Go),
            Ok(Step::Done(outcome)) => {
                assert!(matches!(*outcome, Outcome::Paid(_)), "{outcome:?}");
                None
            }
            Err(error) => {
                assert!(matches!(error, WalletError::Budget(_) | WalletError::FundsShort(_)), "{error:?}");
                None
            }
        };
        if next.is_none() {
            flows[place].0 = get_flow(run);
        }
        flows[place].1 = next;
    }
    world.shop.revenue
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn sixteen_at_once_pay_all_that_fits(
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..64),
        credits in prop_oneof![Just(1_u64 << 20), Just(160_000), 10_000..200_000_u64],
        max in 0..200_000_u64,
    ) {
        let fits = (max / 10_000).min(credits / 10_000).min(16);
        prop_assert_eq!(paid_within(&order, credits, max), fits * 10_000);
    }
}

/// A bound wallet, its giver, and the time.
fn bound() -> (World, Wallet, SharedVault, Wallet) {
    let mut world = World::new();
    let (mut wallet, vault) = world.wallet_with(1 << 20);
    let mut owner = SharedVault::default().create();
    let given = owner.give_mandate(mandate(), None).unwrap();
    let taken = farthing_wallet::Taken::read(&given.file(), world.now).unwrap();
    wallet.take_mandate(taken).unwrap();
    (world, wallet, vault, owner)
}

#[test]
fn a_mandate_that_was_seen_to_be_over_stays_over_when_the_clock_is_put_back() {
    let (mut world, mut wallet, vault, _) = bound();
    world.pay(&mut wallet, "/page").unwrap();
    let then = world.now;
    // Before what was paid: the clock is wrong.
    world.now = Timestamp::from_secs(then.secs() - 4_000);
    assert_eq!(world.pay(&mut wallet, "/page").unwrap_err().code(), "mandate-clock");
    world.now = mandate().until;
    assert_eq!(world.pay(&mut wallet, "/page").unwrap_err().code(), "mandate-ended");
    let mut wallet_again = reopen(&vault);
    world.now = then;
    assert_eq!(world.pay(&mut wallet_again, "/page").unwrap_err().code(), "mandate-ended");
    assert_eq!(world.shop.revenue, 10_000);
}

#[test]
fn a_mandate_of_another_unit_or_host_lets_nothing_pass() {
    for wrong in [
        Mandate { hosts: vec!["*.shop.example".into()], ..mandate() },
        Mandate { unit: "usd".parse().unwrap(), scale: 2, ..mandate() },
    ] {
        let mut world = World::new();
        let (mut wallet, _) = world.wallet_with(1 << 20);
        let given = SharedVault::default().create().give_mandate(wrong.clone(), None).unwrap();
        wallet.take_mandate(farthing_wallet::Taken::read(&given.file(), world.now).unwrap()).unwrap();
        let code = if wrong.scale == 2 { "mandate-unit" } else { "mandate-host" };
        assert_eq!(world.pay(&mut wallet, "/page").unwrap_err().code(), code);
        assert_eq!(world.shop.revenue, 0);
    }
}

#[test]
fn files_that_are_not_in_order_are_not_taken() {
    let (world, wallet, _, mut owner) = bound();
    let given = owner.given_mandates().next().unwrap().clone();
    let read =
        |file: &MandateFile, at| farthing_wallet::Taken::read(file, at).map_err(|reject| reject.code());
    let again = read(&given.file(), world.now).unwrap();
    assert_eq!(wallet.check_taking(&again).unwrap_err().code(), "mandate-taken");
    assert_eq!(read(&given.file(), mandate().until), Err("mandate-ended"));
    let before = Timestamp::from_secs(mandate().given.secs() - 4_000);
    assert_eq!(read(&given.file(), before), Err("mandate-clock"));
    let token = Some("cashuB".to_owned());
    assert_eq!(read(&MandateFile { token, ..given.file() }, world.now), Err("mandate-token"));
    let end = owner.revoke_mandate(&given, world.now).unwrap();
    assert_eq!(read(&end, world.now), Err("mandate-malformed"));
    let wrong = Mandate { scale: 2, ..mandate() };
    let wrong = owner.give_mandate(wrong, None).unwrap();
    assert_eq!(read(&wrong.file(), world.now), Err("mandate-malformed"));
}
