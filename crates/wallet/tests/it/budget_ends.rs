//! Where budgets end to the moment and to the piece: the month and the end of a mandate, the day of an approval, the hundred that may wait,
//! the last payment that fits.

use farthing_money::{Amount, Asset, Span, Timestamp};
use farthing_wallet::{
    APPROVAL_LASTS, Approval, Asker, Event, Flow, Limits, Outcome, PayFlow, Run, Step, ToPark, Wallet,
    WalletError,
};
use farthing_wire::{Mandate, MandateFile};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::world::vault::SharedVault;
use crate::world::{SHOP, World, get, reopen};

const WEEK: Span = Span::from_secs(7 * 86_400);

/// What a page costs in this world.
const PAGE: u64 = 10_000;

fn mandate() -> Mandate {
    Mandate {
        id: "0123456789abcdef0123456789abcdef".into(),
        unit: "uusd".parse().unwrap(),
        asset: "USD".parse().unwrap(),
        scale: 6,
        total: Amount::from(1 << 20),
        per_call: None,
        per_day: None,
        per_month: None,
        hosts: vec!["shop.example".into()],
        tools: Vec::new(),
        given: "2026-11-22T00:00:00Z".parse().unwrap(),
        until: "2027-11-22T00:00:00Z".parse().unwrap(),
        token: None,
        note: None,
    }
}

fn code(world: &mut World, wallet: &mut Wallet) -> &'static str {
    world.pay(wallet, "/page").map_or_else(|error| error.code(), |_| "paid")
}

#[test]
fn the_month_of_a_mandate_ends_with_the_calendars_and_not_before() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let per_month = Some(Amount::from(2 * PAGE + PAGE / 2));
    let mandate = Mandate { total: Amount::from(10 * PAGE), per_month, hosts: Vec::new(), ..mandate() };
    let given = SharedVault::default().create().give_mandate(mandate, None).unwrap();
    wallet.take_mandate(farthing_wallet::Taken::read(&given.file(), world.now).unwrap()).unwrap();
    for (at, expected) in [
        ("2026-11-22T12:00:00Z", "paid"),
        ("2026-11-29T12:00:00Z", "paid"),
        // Half a page is left of November.
        ("2026-11-30T12:00:00Z", "budget-mandate"),
        ("2026-11-30T23:59:59.999Z", "budget-mandate"),
        ("2026-12-01T00:00:00Z", "paid"),
        ("2026-12-01T00:00:00Z", "paid"),
        ("2026-12-31T23:59:59.999Z", "budget-mandate"),
        ("2027-01-01T00:00:00Z", "paid"),
    ] {
        world.now = at.parse().unwrap();
        assert_eq!(code(&mut world, &mut wallet), expected, "{at}");
    }
    assert_eq!(world.shop.revenue, 5 * PAGE);
}

/// A request for a page, as the command line parks it.
fn to_park<'a>(path: &str, asker: &'a Asker) -> ToPark<'a> {
    let price = Asset::micro("USD").unwrap().money(Amount::from(PAGE));
    let url = format!("{SHOP}{path}");
    ToPark { method: "GET", url, body: &[], headers: &[], asker, price, renews: None }
}

/// A wallet that asks before it pays a page.
fn asking(world: &mut World) -> Wallet {
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let ask_above = Some(Amount::from(PAGE / 2));
    wallet.set_limits(Limits { ask_above, ..Limits::none("uusd".parse().unwrap()) }).unwrap();
    wallet
}

#[test]
fn an_approval_is_good_for_a_day_to_the_millisecond() {
    assert_eq!(APPROVAL_LASTS, Span::from_secs(24 * 3_600));
    let asker = Asker::default();
    let just = |at: Timestamp| Timestamp::from_millis(at.millis() - 1);
    for (late, expected) in [(false, "paid"), (true, "budget-ask")] {
        let mut world = World::new();
        let mut wallet = asking(&mut world);
        assert_eq!(code(&mut world, &mut wallet), "budget-ask");
        let number = wallet.park(&to_park("/page", &asker), world.now).unwrap().number;
        let until = world.now.after(APPROVAL_LASTS);
        wallet.approve(number, Approval { at: world.now, until: Some(until), once: true }).unwrap();
        world.now = if late { until } else { just(until) };
        assert_eq!(code(&mut world, &mut wallet), expected, "late: {late}");
        assert_eq!(code(&mut world, &mut wallet), "budget-ask", "a yes is good once");
        assert_eq!(world.shop.revenue, if late { 0 } else { PAGE });
    }
}

#[test]
fn a_hundred_wait_and_no_more_until_one_is_answered_or_forgotten() {
    let mut world = World::new();
    let mut wallet = asking(&mut world);
    let asker = Asker::default();
    let mut numbers = Vec::new();
    for page in 0..100 {
        world.now = world.now.after(Span::from_secs(60));
        numbers.push(wallet.park(&to_park(&format!("/page/{page}"), &asker), world.now).unwrap().number);
    }
    let full =
        |wallet: &mut Wallet, path: &str, now| wallet.park(&to_park(path, &asker), now).map_err(|e| e.code());
    assert_eq!(full(&mut wallet, "/more", world.now).unwrap_err(), "wallet-parked-full");
    assert_eq!(wallet.parked().count(), 100);
    // The same request again is not one more.
    assert_eq!(full(&mut wallet, "/page/7", world.now).unwrap().number, numbers[7]);
    // A yes that is not used yet keeps its place; a no gives it away.
    let until = Some(world.now.after(APPROVAL_LASTS));
    wallet.approve(numbers[3], Approval { at: world.now, until, once: true }).unwrap();
    assert_eq!(full(&mut wallet, "/more", world.now).unwrap_err(), "wallet-parked-full");
    wallet.deny(numbers[4]).unwrap();
    let more = full(&mut wallet, "/more", world.now).unwrap().number;
    assert!(!numbers.contains(&more), "a number is never used twice");
    assert_eq!(full(&mut wallet, "/most", world.now).unwrap_err(), "wallet-parked-full");
    // After a week what nobody has answered is forgotten, and so is a yes that is over: all but the one that comes now.
    world.now = world.now.after(WEEK);
    let last = full(&mut wallet, "/most", world.now).unwrap().number;
    assert_eq!(wallet.parked().map(|parked| parked.number).collect::<Vec<_>>(), [last]);
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

fn get_flow(run: Run) -> PayFlow {
    PayFlow::new(get("/page")).unwrap().within_run(Some(run)).among_others()
}

/// Without faults, everything that fits is paid, whatever the order: a limit is final only when nothing can come back any more.
fn paid_within(order: &[Index], credits: u64, max: u64) -> u64 {
    let mut world = World::new();
    let (mut wallet, _vault) = world.wallet_with(credits);
    let run = Run::begin(&mut wallet, Asset::micro("USD").unwrap().money(Amount::from(max))).unwrap();
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
        order in prop::collection::vec(any::<Index>(), 1..64),
        credits in prop_oneof![Just(1_u64 << 20), Just(160_000), 10_000..200_000_u64],
        max in 0..200_000_u64,
    ) {
        let fits = (max / 10_000).min(credits / 10_000).min(16);
        prop_assert_eq!(paid_within(&order, credits, max), fits * 10_000);
    }
}
