//! A budget is never exceeded: many flows at once in any order, one program after the other, answers lost, the power cut at any commit,
//! shops that steal, the clock at midnight, and limits of every kind at once. Pages are paid for by themselves and by steps of sessions,
//! which are filled up and closed; a pass is bought again and again. A naive model sums what was really taken, and for whom.

use farthing_money::{Amount, Asset, Money, Span, Timestamp, Unit};
use farthing_wallet::{
    Approval, Asker, Event, Flow, Limits, Measure, PayFlow, Period, RENEWS_BEFORE, RecoverFlow, RenewFlow,
    Renews, Rule, Run, Scope, SessionCloseFlow, SessionFindFlow, SessionTopUpFlow, Step, SubscribeTerms,
    ToPark, Wallet, WalletError, month_of,
};
use farthing_wire::Mandate;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::world::sessions::Calls;
use crate::world::shop::Conduct;
use crate::world::truth::{Cause, MANDATE_ID, PATH, TASK, TOOL, Truth};
use crate::world::vault::SharedVault;
use crate::world::{Fault, MINT, SHOP, World, balance, get, reopen};

const FUNDS: u64 = (1 << 20) - 1;
const PER_CALL: u64 = 8_000;
const PER_DAY: u64 = 18_000;
const PER_MONTH: u64 = 32_000;
const OF_PATH: u64 = 10_000;
const OF_TOOL: u64 = 12_000;
const OF_TASK_DAY: u64 = 8_000;
const MANDATE_DAY: u64 = 16_000;
const RUN: u64 = 12_000;
const ASK_ABOVE: u64 = 4_000;
/// Where the pass is sold.
const DAY: &str = "/.well-known/farthing/passes/day";

fn unit() -> Unit {
    "uusd".parse().unwrap()
}

fn usd(amount: u64) -> Money {
    Asset::micro("USD").unwrap().money(Amount::from(amount))
}

/// Limits of which any may be the lowest.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    host: u64,
    total: u64,
    mandate: u64,
}

/// One page that is to be paid for.
#[derive(Clone, Debug)]
struct Want {
    page: u8,
    has_tool: bool,
    has_task: bool,
    way: Way,
}

/// How it is paid for.
#[derive(Clone, Copy, Debug)]
enum Way {
    ByItself,
    /// By steps of a session; into a new one so much is put at the most, if that is said.
    InSession(Option<u64>),
}

/// What a program is started for.
#[derive(Clone, Debug)]
enum Work {
    /// Several pages at once, while a session is filled up or not.
    Pages(Vec<Want>, Option<(Index, u64)>),
    TopUp(Index, u64),
    Close(Index),
    Find,
    Subscribe {
        max: u64,
        times: u32,
    },
    Unsubscribe,
    /// A timer looks so often, with so many hours in between.
    Renew(u32, u64),
}

#[derive(Clone, Copy, Debug)]
enum Later {
    Secs(u64),
    /// To a moment before midnight, of the last day of the month if that is wanted.
    Midnight {
        of_month: bool,
    },
}

/// One run of a program.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each may happen or not")]
struct Round {
    price: u64,
    conduct: Conduct,
    calls: Calls,
    work: Work,
    /// It begins by ending what was left open, as commands do.
    tidies: bool,
    /// Which of the flows is next, again and again.
    order: Vec<Index>,
    faults: Vec<Fault>,
    crash: Option<(usize, bool)>,
    /// The owner says yes to what is parked.
    approves: bool,
    /// The owner recovers all that is open in the end.
    recovers: bool,
    /// The next one is another program.
    ends: bool,
    later: Later,
}

fn work() -> impl Strategy<Value = Work> {
    let most = prop::option::of(prop::sample::select(vec![4_000_u64, 7_000, 12_000]));
    let way = prop_oneof![2 => Just(Way::ByItself), 3 => most.prop_map(Way::InSession)];
    let named = || prop::bool::weighted(0.3);
    let want = (0..3_u8, named(), named(), way);
    let want = want.prop_map(|(page, has_tool, has_task, way)| Want { page, has_tool, has_task, way });
    // The same call again and again is paid by the same session.
    let call = Want { page: 1, has_tool: false, has_task: false, way: Way::InSession(None) };
    let wants = prop_oneof![
        3 => prop::collection::vec(want, 1..12),
        2 => (1..12_usize).prop_map(move |count| vec![call.clone(); count]),
    ];
    let more = prop::option::weighted(0.3, (any::<Index>(), 1_000..9_000_u64));
    prop_oneof![
        12 => (wants, more).prop_map(|(wants, more)| Work::Pages(wants, more)),
        4 => (any::<Index>(), 1_000..9_000_u64).prop_map(|(which, amount)| Work::TopUp(which, amount)),
        1 => any::<Index>().prop_map(Work::Close),
        1 => Just(Work::Find),
        2 => (prop::sample::select(vec![1_000_u64, 2_500, 8_000]), 1..4_u32)
            .prop_map(|(max, times)| Work::Subscribe { max, times }),
        1 => Just(Work::Unsubscribe),
        4 => (2..5_u32, prop::sample::select(vec![2_u64, 24])).prop_map(|(looks, hours)| Work::Renew(looks, hours)),
    ]
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let conduct = prop_oneof![
        10 => Just(Conduct::Honest), 1 => Just(Conduct::Failing), 1 => Just(Conduct::Stealing), 1 => Just(Conduct::NoChange),
    ];
    let calls = prop_oneof![
        14 => Just(Calls::Served), 1 => Just(Calls::Refused(502)), 1 => Just(Calls::Passed(404)), 1 => Just(Calls::Hidden(504)),
        1 => Just(Calls::Hidden(403)), 1 => Just(Calls::Denied("session-price")),
    ];
    let fault = prop_oneof![
        14 => Just(Fault::None), 1 => Just(Fault::NotSent), 1 => Just(Fault::RequestLost), 2 => Just(Fault::AnswerLost),
        1 => Just(Fault::Twice),
    ];
    let later = prop_oneof![
        5 => Just(Later::Secs(10)), 1 => Just(Later::Secs(3_600)), 2 => Just(Later::Secs(90_000)),
        1 => Just(Later::Secs(31 * 86_400)), 2 => any::<bool>().prop_map(|of_month| Later::Midnight { of_month }),
    ];
    // Some prices come again, so that sessions that are there pay for more calls.
    let price = prop_oneof![1 => 500..7_000_u64, 4 => prop::sample::select(vec![600_u64, 1_200, 3_000])];
    let round = (
        (price, conduct, calls),
        (work(), prop::bool::weighted(0.5)),
        prop::collection::vec(any::<Index>(), 1..64),
        prop::collection::vec(fault, 0..24),
        prop::option::weighted(0.3, (0..20_usize, any::<bool>())),
        (any::<bool>(), prop::bool::weighted(0.3), any::<bool>(), later),
    );
    let round = round.prop_map(
        |(
            (price, conduct, calls),
            (work, tidies),
            order,
            faults,
            crash,
            (approves, recovers, ends, later),
        )| {
            Round {
                price,
                conduct,
                calls,
                work,
                tidies,
                order,
                faults,
                crash,
                approves,
                recovers,
                ends,
                later,
            }
        },
    );
    prop::collection::vec(round, 1..10)
}

fn allowed() -> impl Strategy<Value = Allowed> {
    let limit = || prop::sample::select(vec![30_000_u64, 40_000, 60_000]);
    (limit(), limit(), limit()).prop_map(|(host, total, mandate)| Allowed { host, total, mandate })
}

/// A flow, and for what it pays.
struct Job {
    flow: Option<Box<dyn Flow>>,
    event: Option<Event>,
    cause: Cause,
    /// The run that it is part of.
    run: Option<usize>,
}

impl Job {
    fn new(flow: impl Flow + 'static, cause: Cause, run: Option<usize>) -> Self {
        Self { flow: Some(Box::new(flow)), event: Some(Event::Go), cause, run }
    }
}

struct Model {
    world: World,
    vault: SharedVault,
    wallet: Wallet,
    truth: Truth,
    allowed: Allowed,
    /// How many payments above the threshold were agreed to.
    agreed: usize,
}

fn mandate(total: u64) -> Mandate {
    Mandate {
        id: MANDATE_ID.into(),
        unit: unit(),
        asset: "USD".parse().unwrap(),
        scale: 6,
        total: Amount::from(total),
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

fn asker(cause: &Cause) -> Asker {
    let name = |is: bool, text: &str| is.then(|| text.parse().unwrap());
    Asker { tool: name(cause.has_tool, TOOL), task: name(cause.has_task, TASK) }
}

impl Model {
    fn new(allowed: Allowed) -> Self {
        let mut world = World::new();
        (world.shop.pass, world.shop.is_apart) = (Some(Span::from_secs(86_400)), true);
        world.sessions.lifetime = 10 * 86_400;
        let (mut wallet, vault) = world.wallet_with(FUNDS);
        let some = |amount: u64| Some(Amount::from(amount));
        let limits = Limits {
            per_call: some(PER_CALL),
            per_host: some(allowed.host),
            per_day: some(PER_DAY),
            per_month: some(PER_MONTH),
            total: some(allowed.total),
            ask_above: some(ASK_ABOVE),
            ..Limits::none(unit())
        };
        wallet.set_limits(limits).unwrap();
        let rule = |subject: String, measure, amount: u64| Rule {
            unit: unit(),
            subject: subject.parse().unwrap(),
            measure,
            amount: Amount::from(amount),
        };
        let rules = vec![
            rule(format!("path/{PATH}"), Measure::Total, OF_PATH),
            rule(format!("tool/{TOOL}"), Measure::Total, OF_TOOL),
            rule(format!("task/{TASK}"), Measure::PerDay, OF_TASK_DAY),
        ];
        wallet.set_rules(rules).unwrap();
        let mut owner = SharedVault::default().create();
        let given = owner.give_mandate(mandate(allowed.mandate), None).unwrap();
        wallet.take_mandate(farthing_wallet::Taken::read(&given.file(), world.now).unwrap()).unwrap();
        let mut model = Self { world, vault, wallet, truth: Truth::new(ASK_ABOVE), allowed, agreed: 0 };
        model.subscribe(2_500, 1);
        model
    }

    /// What pays for nothing, or for whatever was begun before.
    fn cause(&self) -> Cause {
        let (page, subscription, at, price) = (None, None, self.world.now, self.world.shop.price);
        let (has_tool, has_task, is_own) = (false, false, false);
        Cause { page, has_tool, has_task, subscription, most: 0, price, at, is_own }
    }

    fn page(&self, want: &Want, run: Run, number: usize) -> Job {
        let Want { page, has_tool, has_task, way } = *want;
        let most = if let Way::InSession(Some(most)) = way { most } else { PER_CALL };
        let cause = Cause { page: Some(page), has_tool, has_task, most, ..self.cause() };
        let flow = PayFlow::new(get(&format!("/page/{page}"))).unwrap();
        let flow = flow.asked_by(asker(&cause)).within_run(Some(run)).among_others();
        let flow = match way {
            Way::ByItself => flow,
            Way::InSession(most) => flow.in_sessions(most.map(usd)),
        };
        Job::new(flow, cause, Some(number))
    }

    fn session(&self, which: Index) -> Option<String> {
        let ids: Vec<String> = self.wallet.sessions().map(|session| session.id.clone()).collect();
        (!ids.is_empty()).then(|| which.get(&ids).clone())
    }

    fn top_up(&self, which: Index, amount: u64) -> Option<Job> {
        let flow = SessionTopUpFlow::new(&self.session(which)?, usd(amount));
        Some(Job::new(flow, Cause { most: amount, is_own: true, ..self.cause() }, None))
    }

    /// What a program does; nothing if there is nothing for it to do, or it is done at once.
    fn jobs(&mut self, work: &Work, run: Run, number: usize) -> Vec<Job> {
        let cause = self.cause();
        let job = match work {
            Work::Pages(wants, more) => {
                let pages = wants.iter().map(|want| self.page(want, run, number));
                let more = more.and_then(|(which, amount)| self.top_up(which, amount));
                return more.into_iter().chain(pages).collect();
            }
            Work::TopUp(which, amount) => self.top_up(*which, *amount),
            Work::Close(which) => {
                self.session(*which).map(|id| Job::new(SessionCloseFlow::new(&id), cause, None))
            }
            Work::Find => Some(Job::new(SessionFindFlow::new(MINT).unwrap(), cause, None)),
            Work::Subscribe { max, times } => {
                self.subscribe(*max, *times);
                None
            }
            Work::Unsubscribe => {
                let _ = self.wallet.unsubscribe(&format!("{SHOP}{DAY}"));
                None
            }
            Work::Renew(looks, hours) => {
                for _ in 1..*looks {
                    let first = self.renewal();
                    self.drive(first.into_iter().collect(), &[]);
                    self.world.now = after(self.world.now, Later::Secs(hours * 3_600));
                }
                self.renewal()
            }
        };
        job.into_iter().collect()
    }

    fn subscribe(&mut self, max: u64, times: u32) {
        let terms = SubscribeTerms { max: usd(max), every: None, until: None, times: Some(times) };
        let subscribed = self.wallet.subscribe(&format!("{SHOP}{DAY}"), terms, self.world.now);
        self.truth.subscribed(times, subscribed.is_ok());
    }

    fn renewal(&self) -> Option<Job> {
        let one = self.wallet.subscriptions().next()?;
        let pay = PayFlow::new(self.wallet.renewal(one.number).unwrap()).unwrap();
        let flow = RenewFlow::new(&self.wallet, one.number, pay, RENEWS_BEFORE).unwrap();
        let most = one.max.amount().to_u64().unwrap();
        Some(Job::new(flow, Cause { subscription: Some(one.number), most, ..self.cause() }, None))
    }

    fn approve(&mut self) {
        let waiting: Vec<u64> =
            self.wallet.parked().filter(|one| one.approval.is_none()).map(|one| one.number).collect();
        for number in waiting {
            let approval = Approval { at: self.world.now, until: None, once: true };
            self.agreed += usize::from(self.wallet.approve(number, approval).is_ok());
        }
    }

    /// A program, from its start to its end or until the power is cut.
    fn round(&mut self, number: usize, round: &Round) {
        (self.world.shop.price, self.world.shop.conduct) = (round.price, round.conduct);
        self.world.sessions.calls = round.calls;
        if round.approves {
            self.approve();
        }
        self.world.faults.clone_from(&round.faults);
        let Ok(run) = Run::begin(&mut self.wallet, usd(RUN)) else { return };
        if let Some((commits, durable)) = round.crash {
            self.vault.crash_after(commits, durable);
        }
        if round.tidies {
            self.drive(vec![Job::new(RecoverFlow::overdue(), self.cause(), None)], &round.order);
        }
        let jobs = self.jobs(&round.work, run, number);
        self.drive(jobs, &round.order);
        let _ = self.wallet.note_sessions();
        self.vault.never_crash();
        self.world.faults.clear();
        if round.ends || round.crash.is_some() {
            self.wallet = reopen(&self.vault);
        }
        self.world.now = after(self.world.now, round.later);
        if round.recovers {
            self.recover();
        }
    }

    /// Brings to its end what is open.
    fn recover(&mut self) {
        self.world.shop.conduct = Conduct::Honest;
        let before = self.world.shop.revenue;
        self.drive(vec![Job::new(RecoverFlow::new(), self.cause(), None)], &[]);
        assert_eq!(self.world.shop.revenue, before, "a recovery pays nobody");
    }

    /// All of them at once, a step of one and then a step of another.
    fn drive(&mut self, mut jobs: Vec<Job>, order: &[Index]) {
        let mut order = order.iter().cycle();
        for turn in 0..20_000 {
            let open: Vec<usize> = (0..jobs.len()).filter(|place| jobs[*place].event.is_some()).collect();
            if open.is_empty() {
                break;
            }
            // Whatever the order, everyone has a turn in the end.
            let next = order.next().map_or(0, |order| order.index(open.len()));
            let job = &mut jobs[open[(next + turn / 64) % open.len()]];
            let came = job.event.take().unwrap();
            job.cause.at = self.world.now;
            let step = job.flow.as_mut().unwrap().next(&mut self.wallet, came, self.world.now);
            self.truth.begun(self.vault.begun(), job.cause);
            job.event = self.happens(&job.cause, job.run, step);
            if job.event.is_none() {
                // A flow that is over is dropped, as programs do: what it has left open is nobody's then.
                job.flow = None;
            }
            self.check();
        }
        let stuck = jobs.iter().filter(|job| job.event.is_some()).count();
        assert_eq!(stuck, 0, "every flow ends");
    }

    /// What comes of a step.
    fn happens(
        &mut self,
        cause: &Cause,
        run: Option<usize>,
        step: Result<Step, WalletError>,
    ) -> Option<Event> {
        match step {
            Ok(Step::Send(request)) => {
                let before = self.world.sessions.charged();
                let came = self.world.send(&request);
                let World { shop, sessions, now, .. } = &mut self.world;
                self.truth.called(cause, sessions.charged() - before, run);
                shop.sales.drain(..).for_each(|(y, amount)| self.truth.sold(y, amount, run, *now));
                sessions.moved.drain(..).for_each(|moved| self.truth.moved(moved));
                Some(came)
            }
            Ok(Step::Wait(span)) => {
                self.world.now = self.world.now.after(span);
                Some(Event::Go)
            }
            Ok(Step::Deliver) => Some(Event::Go),
            Ok(Step::Done(_)) => None,
            Err(WalletError::Ask(needs)) => {
                self.park(cause, needs.price.amount);
                None
            }
            Err(error) => {
                assert!(!matches!(error, WalletError::Misuse(_)), "{error:?}");
                None
            }
        }
    }

    fn park(&mut self, cause: &Cause, price: Amount) {
        let path = cause.page.map_or_else(|| DAY.to_owned(), |page| format!("/page/{page}"));
        let renews = cause.subscription.map(|subscription| Renews { subscription, margin: RENEWS_BEFORE });
        let request = ToPark {
            method: "GET",
            url: format!("{SHOP}{path}"),
            body: &[],
            headers: &[],
            asker: &asker(cause),
            price: Asset::micro("USD").unwrap().money(price),
            renews,
        };
        let _ = self.wallet.park(&request, self.world.now);
    }

    fn limit(&self, scope: &Scope) -> u64 {
        match scope {
            Scope::Host(_) => self.allowed.host,
            Scope::Total => self.allowed.total,
            Scope::Day(_) => PER_DAY,
            Scope::Month(_) => PER_MONTH,
            Scope::Rule(Period::Ever, subject) if subject.kind() == "path" => OF_PATH,
            Scope::Rule(Period::Ever, _) => OF_TOOL,
            Scope::Rule(..) => OF_TASK_DAY,
            Scope::Mandate(Period::Day(_), _) => MANDATE_DAY,
            Scope::Mandate(..) => self.allowed.mandate,
            Scope::Run(_) | Scope::Subscription(_) => u64::MAX,
        }
    }

    fn spent(&self, scope: &Scope) -> u64 {
        self.wallet.spent(unit(), scope).to_u64().unwrap()
    }

    /// What must hold at every moment.
    fn check(&self) {
        for (scope, sum) in &self.truth.sums {
            let (limit, spent) = (self.limit(scope), self.spent(scope));
            assert!(*sum <= limit, "{sum} were taken of {scope}, {limit} were allowed");
            assert!(*sum <= spent, "{sum} were taken of {scope}, {spent} are booked");
            assert!(spent <= limit, "{spent} are booked of {scope}, {limit} were allowed");
        }
        // Each call was paid with what was taken for such calls, and all of that was within the limits.
        for (scope, sum) in &self.truth.used {
            let taken = self.truth.sums.get(scope).copied().unwrap_or_default();
            assert!(*sum <= taken, "{sum} were charged for {scope}, {taken} were taken");
        }
        for (run, sum) in &self.truth.runs {
            assert!(*sum <= RUN, "{sum} were charged in the run {run}");
        }
        let (asked, agreed) = (self.truth.asked, self.agreed);
        assert!(asked <= agreed, "{asked} were paid, {agreed} were agreed to");
    }

    /// Everything is ended and closed: then books and world agree, and every unit is where it belongs.
    fn settle(&mut self) {
        self.world.sessions.calls = Calls::Served;
        for _ in 0..4 {
            self.recover();
            let ids: Vec<String> = self.wallet.sessions().map(|session| session.id.clone()).collect();
            let jobs = ids.iter().map(|id| Job::new(SessionCloseFlow::new(id), self.cause(), None));
            self.drive(jobs.collect(), &[]);
        }
        let open: Vec<_> = self.wallet.attempts().collect();
        assert!(open.is_empty(), "attempts that never end: {open:?}");
        assert_eq!(self.wallet.sessions().count(), 0, "sessions that cannot be closed");
        let World { mint, shop, sessions, .. } = &self.world;
        assert_eq!(sessions.inside(), 0, "sessions that were forgotten");
        let lost: u64 = shop.given.iter().filter(|(y, _)| !mint.is_spent(*y)).map(|(_, amount)| amount).sum();
        let taken = shop.revenue + sessions.charged();
        assert_eq!(balance(&self.wallet), (FUNDS - taken - lost, 0), "every unit is where it belongs");
        for (scope, sum) in &self.truth.sums {
            let spent = self.spent(scope);
            assert!(spent == *sum || lost > 0, "{spent} are booked of {scope}, {sum} were taken");
        }
    }
}

fn after(now: Timestamp, later: Later) -> Timestamp {
    let (day, moment) = (Span::from_secs(86_400), Span::from_secs(3));
    match later {
        Later::Secs(secs) => now.after(Span::from_secs(secs)),
        Later::Midnight { of_month } => {
            let mut midnight = Timestamp::from_secs((now.after(moment).secs() / 86_400 + 1) * 86_400);
            while of_month && month_of(midnight) == month_of(now) {
                midnight = midnight.after(day);
            }
            Timestamp::from_millis(midnight.millis() - moment.millis())
        }
    }
}

/// More of them if proptest's own variable says so.
fn config(cases: u32) -> ProptestConfig {
    let usual = ProptestConfig { max_shrink_iters: 60, ..ProptestConfig::default() };
    let is_said = std::env::var_os("PROPTEST_CASES").is_some();
    if is_said { usual } else { ProptestConfig { cases, ..usual } }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn a_budget_is_never_exceeded(allowed in allowed(), rounds in rounds()) {
        let mut model = Model::new(allowed);
        for (number, round) in rounds.iter().enumerate() {
            model.round(number, round);
        }
        model.settle();
    }
}
