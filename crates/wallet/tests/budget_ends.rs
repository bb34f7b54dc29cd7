//! Where budgets end to the moment and to the piece: the month of a mandate, the day of an approval, the hundred that may wait.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use farthing_money::{Amount, Asset, Span, Timestamp};
use farthing_wallet::{APPROVAL_LASTS, Approval, Asker, Limits, ToPark, Wallet};
use farthing_wire::Mandate;

use crate::world::vault::SharedVault;
use crate::world::{SHOP, World};

const WEEK: Span = Span::from_secs(7 * 86_400);

/// What a page costs in this world.
const PAGE: u64 = 10_000;

fn code(world: &mut World, wallet: &mut Wallet) -> &'static str {
    world.pay(wallet, "/page").map_or_else(|error| error.code(), |_| "paid")
}

#[test]
fn the_month_of_a_mandate_ends_with_the_calendars_and_not_before() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let mandate = Mandate {
        id: "00112233445566778899aabbccddeeff".into(),
        unit: "uusd".parse().unwrap(),
        asset: "USD".parse().unwrap(),
        scale: 6,
        total: Amount::from(10 * PAGE),
        per_call: None,
        per_day: None,
        per_month: Some(Amount::from(2 * PAGE + PAGE / 2)),
        hosts: Vec::new(),
        tools: Vec::new(),
        given: "2026-11-22T00:00:00Z".parse().unwrap(),
        until: "2027-11-22T00:00:00Z".parse().unwrap(),
        token: None,
        note: None,
    };
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
