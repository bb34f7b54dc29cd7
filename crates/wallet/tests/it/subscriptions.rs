//! Subscriptions: a pass is bought when the last one has ended, once, whatever is cut short and wherever the clock jumps; limits hold, and
//! what would be paid twice or dearer waits for its owner.

use farthing_money::{Amount, Asset, Money, Span, Timestamp};
use farthing_wallet::{
    Approval, Asker, Event, Every, Flow, Limits, Outcome, PayFlow, PayRequest, RENEWS_BEFORE, RecoverFlow,
    RenewFlow, Renews, Scope, Standing, Step, SubscribeTerms, Subscription, SubscriptionReject, ToPark,
    Wallet, WalletError,
};
use farthing_wire::Pass;

use crate::world::chain::token;
use crate::world::seller::SELLER;
use crate::world::shop::Conduct;
use crate::world::toll::TOLL;
use crate::world::vault::SharedVault;
use crate::world::{Fault, SHOP, World, balance, get, reopen, total_spent};

const DAY: &str = "/.well-known/farthing/passes/day";
const HOUR: u64 = 3_600;

fn usd(amount: u64) -> Money {
    Asset::micro("USD").unwrap().money(Amount::from(amount))
}

fn terms(max: u64) -> SubscribeTerms {
    SubscribeTerms { max: usd(max), every: None, until: None, times: None }
}

/// A shop that sells passes for a day at 10 000, and a wallet that is subscribed.
fn scene(terms: SubscribeTerms) -> (World, Wallet, SharedVault, u64) {
    let mut world = World::new();
    world.shop.pass = Some(Span::from_secs(24 * HOUR));
    world.shop.sells = Some(DAY.to_owned());
    let (mut wallet, vault) = world.wallet_with(1 << 20);
    let one = wallet.subscribe(&format!("{SHOP}{DAY}"), terms, world.now).unwrap();
    (world, wallet, vault, one.number)
}

fn renewal(world: &World, wallet: &Wallet, number: u64, margin: Span) -> Result<RenewFlow, WalletError> {
    let pay = PayFlow::new(wallet.renewal(number)?).unwrap();
    RenewFlow::new(wallet, number, pay.on_chains(world.random()), margin)
}

fn renew(world: &mut World, wallet: &mut Wallet, number: u64) -> Result<Outcome, WalletError> {
    let flow = renewal(world, wallet, number, RENEWS_BEFORE)?;
    world.run(wallet, flow)
}

/// A renewal that is killed when it has sent its payment, which arrives or does not.
fn renew_cut(world: &mut World, wallet: &mut Wallet, number: u64, margin: Span, arrives: bool) {
    let mut flow = renewal(world, wallet, number, margin).unwrap();
    let mut event = Event::Go;
    loop {
        let Step::Send(request) = flow.next(wallet, event, world.now).unwrap() else {
            panic!("expected a request")
        };
        let pays = |name: &String| ["Authorization", "PAYMENT-SIGNATURE"].contains(&name.as_str());
        if request.headers.iter().any(|(name, _)| pays(name)) {
            world.faults = vec![if arrives { Fault::AnswerLost } else { Fault::RequestLost }];
            world.send(&request);
            return;
        }
        event = world.send(&request);
    }
}

#[track_caller]
fn bought(outcome: Result<Outcome, WalletError>) -> bool {
    match outcome {
        Ok(Outcome::Renewed { paid, .. }) => paid.is_some(),
        other => panic!("expected a look at a subscription, got {other:?}"),
    }
}

fn one(wallet: &Wallet) -> &Subscription {
    wallet.subscriptions().next().unwrap()
}

fn later(world: &mut World, hours: u64) {
    world.now = world.now.after(Span::from_secs(hours * HOUR));
}

fn open_page(world: &mut World, wallet: &mut Wallet) -> Outcome {
    world.run(wallet, PayFlow::new(get("/page")).unwrap().giving_way(true)).unwrap()
}

#[test]
fn a_pass_is_bought_when_the_last_one_ends_and_not_before() {
    let (mut world, mut wallet, _, number) = scene(terms(10_000));
    assert!(bought(renew(&mut world, &mut wallet, number)));
    assert!(matches!(open_page(&mut world, &mut wallet), Outcome::Served { by_pass: true, .. }));
    for _ in 0..3 {
        assert!(!bought(renew(&mut world, &mut wallet, number)));
    }
    let ends = wallet.pass_ends(one(&wallet)).unwrap();
    later(&mut world, 22);
    assert!(!bought(renew(&mut world, &mut wallet, number)));
    // Shortly before its end; the new one lasts from there.
    later(&mut world, 1);
    assert!(bought(renew(&mut world, &mut wallet, number)));
    assert!(!bought(renew(&mut world, &mut wallet, number)));
    assert_eq!(wallet.pass_ends(one(&wallet)), Some(ends.after(Span::from_secs(24 * HOUR))));
    // Three days without a look are not paid for afterwards.
    later(&mut world, 4 * 24);
    assert!(bought(renew(&mut world, &mut wallet, number)));
    assert!(!bought(renew(&mut world, &mut wallet, number)));
    assert_eq!((world.shop.revenue, total_spent(&wallet)), (30_000, 30_000));
    let scope = Scope::Subscription(number);
    assert_eq!(wallet.spent("uusd".parse().unwrap(), &scope), Amount::new(30_000));
    assert_eq!(wallet.subscription_cost(number).unwrap(), [usd(30_000)]);
    let history = wallet.history(10).unwrap();
    assert_eq!(history.iter().filter(|entry| entry.subscription == Some(number)).count(), 3);

    wallet.unsubscribe(&number.to_string()).unwrap();
    later(&mut world, 48);
    assert!(matches!(renew(&mut world, &mut wallet, number), Err(WalletError::Subscription(_))));
    assert!(matches!(open_page(&mut world, &mut wallet), Outcome::Paid(_)), "the page alone");
    assert_eq!(world.shop.revenue, 40_000);
}

#[test]
fn times_until_and_periods_are_kept() {
    let (mut world, mut wallet, _, number) = scene(SubscribeTerms { times: Some(2), ..terms(10_000) });
    for expected in [true, true, false, false] {
        assert_eq!(bought(renew(&mut world, &mut wallet, number)), expected);
        later(&mut world, 30);
    }
    assert_eq!(wallet.standing(one(&wallet), RENEWS_BEFORE, world.now), Standing::Over);

    let week = Every::Span(Span::from_secs(7 * 24 * HOUR));
    let until = world.now.after(Span::from_secs(15 * 24 * HOUR));
    let times = Some(20);
    let weekly = SubscribeTerms { every: Some(week), until: Some(until), times, ..terms(10_000) };
    assert_eq!(wallet.subscribe(&format!("{SHOP}{DAY}"), weekly, world.now).unwrap().number, number);
    let mut days = Vec::new();
    for day in 0..30 {
        if bought(renew(&mut world, &mut wallet, number)) {
            days.push(day);
        }
        later(&mut world, 24);
    }
    // The weeks count from the last pass, which was bought 90 hours before.
    assert_eq!(days, [4, 11]);
    wallet.unsubscribe(&number.to_string()).unwrap();
    let fresh = wallet.subscribe(&format!("{SHOP}{DAY}"), terms(10_000), world.now).unwrap();
    assert_eq!((fresh.every, fresh.until, fresh.left, fresh.last), (None, None, None, None));
}

#[test]
fn a_page_waits_for_the_pass_that_opens_it() {
    let (mut world, mut wallet, _, number) = scene(terms(10_000));
    let Outcome::RenewFirst(first) = open_page(&mut world, &mut wallet) else { panic!("expected to wait") };
    assert_eq!((first, world.shop.revenue, balance(&wallet).1), (number, 0, 0));
    assert!(bought(renew(&mut world, &mut wallet, number)));
    assert!(matches!(open_page(&mut world, &mut wallet), Outcome::Served { by_pass: true, .. }));
    // Of another site nothing is waited for.
    later(&mut world, 48);
    world.shop.sells = Some("/.well-known/farthing/passes/other".into());
    assert!(matches!(open_page(&mut world, &mut wallet), Outcome::Paid(_)));
}

#[test]
fn a_dearer_pass_is_not_bought_and_both_prices_are_told() {
    let (mut world, mut wallet, _, number) = scene(terms(12_000));
    assert!(bought(renew(&mut world, &mut wallet, number)));
    later(&mut world, 30);
    world.shop.price = 15_000;
    let error = renew(&mut world, &mut wallet, number).unwrap_err();
    assert_eq!(error.code(), "subscription-dearer");
    let said = error.to_string();
    for words in ["costs 0.015 USD now", "it cost 0.01 USD before", "0.012 USD is the most", "unsubscribe"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!((world.shop.revenue, balance(&wallet).1), (10_000, 0));
    wallet.subscribe(&format!("{SHOP}{DAY}"), terms(15_000), world.now).unwrap();
    assert!(bought(renew(&mut world, &mut wallet, number)));
    // Other limits hold too.
    later(&mut world, 30);
    let total = Some(Amount::new(39_999));
    wallet.set_limits(Limits { total, ..Limits::none("uusd".parse().unwrap()) }).unwrap();
    assert!(matches!(renew(&mut world, &mut wallet, number), Err(WalletError::Budget(_))));
    let ask_above = Some(Amount::new(1));
    wallet.set_limits(Limits { ask_above, ..Limits::none("uusd".parse().unwrap()) }).unwrap();
    assert!(matches!(renew(&mut world, &mut wallet, number), Err(WalletError::Ask(_))));
    assert_eq!(world.shop.revenue, 25_000);
}

/// What went wrong: a bundle was bought again before its end like any pass, and the new one took its place in the wallet: what was left of
/// it was lost, though it was paid for. So was what was left of one when another was bought by hand.
#[test]
fn a_bundle_is_bought_again_when_its_time_is_over_and_none_takes_the_place_of_another() {
    let (mut world, mut wallet, vault, number) = scene(terms(10_000));
    world.shop.uses = Some(10);
    assert!(bought(renew(&mut world, &mut wallet, number)));
    let first = wallet.pass_ends(one(&wallet)).unwrap();
    later(&mut world, 23);
    for margin in [RENEWS_BEFORE, Span::from_secs(11 * HOUR)] {
        let flow = renewal(&world, &wallet, number, margin).unwrap();
        assert!(!bought(world.run(&mut wallet, flow)), "uses of it may be left");
    }
    // By hand another is bought before; both are shown, and the gate takes the one that ends first.
    assert!(matches!(world.pay(&mut wallet, DAY), Ok(Outcome::Paid(_))));
    let second = wallet.pass_ends(one(&wallet)).unwrap();
    assert_eq!(
        second,
        world.now.after(Span::from_secs(24 * HOUR)),
        "no bundle lasts from the end of another"
    );
    let mut wallet = reopen(&vault);
    assert!(matches!(open_page(&mut world, &mut wallet), Outcome::Served { by_pass: true, .. }));
    let shown = world.log.last().unwrap().headers.iter().filter(|(name, _)| name == "Farthing-Pass");
    assert_eq!(shown.count(), 2);
    // It is due when the last one is over.
    for ends in [first, second] {
        world.now = ends;
        assert_eq!(bought(renew(&mut world, &mut wallet, number)), ends == second);
    }
    assert_eq!((world.shop.revenue, total_spent(&wallet)), (30_000, 30_000));
}

/// The passes that the last request has shown, by their payments.
fn shown(world: &World) -> Vec<String> {
    let fields = world.log.last().unwrap().headers.iter().filter(|(name, _)| name == "Farthing-Pass");
    let key = world.shop.key.verifying_key();
    fields.map(|(_, text)| Pass::verify(text, &key, world.now).unwrap().payment).collect()
}

fn asked(world: &World) -> usize {
    world.log.iter().filter(|request| request.url.starts_with(SHOP)).count()
}

/// Buys so many bundles by hand, an hour one after the other; they last a month. Answers with their payments.
fn bundles(world: &mut World, wallet: &mut Wallet, count: usize) -> Vec<String> {
    (world.shop.uses, world.shop.pass) = (Some(10), Some(Span::from_secs(30 * 24 * HOUR)));
    let mut payments = Vec::new();
    for _ in 0..count {
        payments.push(format!("{:04x}", world.shop.payments.len()));
        assert!(matches!(world.pay(wallet, DAY), Ok(Outcome::Paid(_))));
        later(world, 1);
    }
    world.shop.uses = None;
    payments
}

/// What went wrong: the passes that last longest were shown, four of them. Bundles that were used up long ago kept the pass of a page that
/// was just paid for, or of a whole site, from being shown, and the page was paid for again.
#[test]
fn old_bundles_keep_no_pass_for_a_time_from_being_shown() {
    for path in ["/page", "/.well-known/farthing/passes/hour"] {
        let (mut world, mut wallet, vault, _) = scene(terms(10_000));
        world.shop.used_up = bundles(&mut world, &mut wallet, 5).into_iter().collect();
        world.shop.pass = Some(Span::from_secs(HOUR));
        assert!(matches!(world.pay(&mut wallet, path), Ok(Outcome::Paid(_))), "{path}");
        let mut wallet = reopen(&vault);
        let again = world.pay(&mut wallet, "/page");
        assert!(matches!(again, Ok(Outcome::Served { by_pass: true, .. })), "{path}: {again:?}");
        assert_eq!((shown(&world).len(), world.shop.revenue), (4, 60_000), "{path}");
    }
}

/// What went wrong: of more than four bundles the one that ends first was not shown, so it ended with its uses left.
#[test]
fn the_bundles_that_end_first_are_shown() {
    let (mut world, mut wallet, _, _) = scene(terms(10_000));
    let bought = bundles(&mut world, &mut wallet, 5);
    assert!(matches!(world.pay(&mut wallet, "/page"), Ok(Outcome::Served { by_pass: true, .. })));
    assert_eq!(shown(&world), bought[..4]);
}

/// What went wrong: where the bundles that are shown first were used up, the page was paid for, though another one had uses left.
#[test]
fn a_bundle_that_was_not_shown_is_shown_before_the_page_is_paid_for() {
    let (mut world, mut wallet, _, _) = scene(terms(10_000));
    let bought = bundles(&mut world, &mut wallet, 13);
    world.shop.used_up = bought[..12].iter().cloned().collect();
    let before = asked(&world);
    assert!(matches!(world.pay(&mut wallet, "/page"), Ok(Outcome::Served { by_pass: true, .. })));
    // The one that was bought last is the first of the others.
    assert_eq!((asked(&world) - before, shown(&world)[0].as_str()), (2, bought[12].as_str()));
    // All are used up: each is shown once, and then the page is paid for, once.
    world.shop.used_up = bought.into_iter().collect();
    for names in [true, false] {
        world.shop.sells = names.then(|| DAY.to_owned());
        let before = asked(&world);
        let outcome = world.pay(&mut wallet, if names { "/a" } else { "/b" });
        assert!(matches!(outcome, Ok(Outcome::Paid(_))), "{outcome:?}");
        // Where no pass is named none can open it.
        assert_eq!(asked(&world) - before, if names { 5 } else { 2 });
    }
    // The pass is bought at its place, whatever is shown there.
    let before = asked(&world);
    assert!(matches!(world.pay(&mut wallet, DAY), Ok(Outcome::Paid(_))));
    assert_eq!((asked(&world) - before, world.shop.revenue), (2, 160_000));
}

#[test]
fn a_parked_renewal_knows_its_subscription_and_is_paid_once() {
    let week = Some(Every::Span(Span::from_secs(7 * 24 * HOUR)));
    let (mut world, mut wallet, vault, number) =
        scene(SubscribeTerms { every: week, times: Some(2), ..terms(10_000) });
    let ask_above = Some(Amount::new(1));
    wallet.set_limits(Limits { ask_above, ..Limits::none("uusd".parse().unwrap()) }).unwrap();
    assert!(matches!(renew(&mut world, &mut wallet, number), Err(WalletError::Ask(_))));
    let (url, asker, price) = (format!("{SHOP}{DAY}"), Asker::default(), usd(10_000));
    let renews = Some(Renews { subscription: number, margin: RENEWS_BEFORE });
    let request = ToPark { method: "GET", url, body: &[], headers: &[], asker: &asker, price, renews };
    let parked = wallet.park(&request, world.now).unwrap();
    // The same request by hand is the same row, and still that of the subscription.
    let by_hand = wallet.park(&ToPark { renews: None, ..request.clone() }, world.now).unwrap();
    assert_eq!((by_hand.number, by_hand.renews), (parked.number, renews));
    let mut wallet = reopen(&vault);
    let yes = Approval { at: world.now, until: None, once: true };
    let Some(Renews { subscription, margin }) = wallet.approve(parked.number, yes).unwrap().renews else {
        panic!("expected a renewal")
    };
    let flow = renewal(&world, &wallet, subscription, margin).unwrap();
    assert!(bought(world.run(&mut wallet, flow)));
    assert_eq!((wallet.parked().count(), one(&wallet).left), (0, Some(1)));
    // The pass is over, and the week is not.
    later(&mut world, 48);
    assert!(!bought(renew(&mut world, &mut wallet, number)));
    assert_eq!((world.shop.revenue, wallet.subscription_cost(number).unwrap()), (10_000, vec![usd(10_000)]));
    // Whoever unsubscribes says yes to nothing more of it.
    wallet.park(&request, world.now).unwrap();
    wallet.park(&ToPark { url: format!("{SHOP}/page"), renews: None, ..request }, world.now).unwrap();
    wallet.unsubscribe(&number.to_string()).unwrap();
    assert_eq!(wallet.parked().map(|parked| parked.renews).collect::<Vec<_>>(), [None]);
}

/// What went wrong: a request by hand took the subscription over from a row that was over, and the yes to it bought nothing.
#[test]
fn what_is_parked_by_hand_takes_nothing_over_from_what_is_over() {
    let (mut world, mut wallet, _, number) = scene(terms(10_000));
    let (url, asker, price) = (format!("{SHOP}{DAY}"), Asker::default(), usd(10_000));
    let renews = Some(Renews { subscription: number, margin: RENEWS_BEFORE });
    let request = ToPark { method: "GET", url, body: &[], headers: &[], asker: &asker, price, renews };
    let by_hand = ToPark { renews: None, ..request.clone() };
    // It waited for a week; or the yes to it was over.
    wallet.park(&request, world.now).unwrap();
    later(&mut world, 7 * 24);
    assert_eq!(wallet.park(&by_hand, world.now).unwrap().renews, None);
    let parked = wallet.park(&request, world.now).unwrap();
    let yes = Approval { at: world.now, until: Some(world.now.after(Span::from_secs(HOUR))), once: true };
    wallet.approve(parked.number, yes).unwrap();
    later(&mut world, 2);
    assert_eq!(wallet.park(&by_hand, world.now).unwrap().renews, None);
    assert_eq!(wallet.parked().count(), 1);
}

#[test]
fn clocks_that_jump_buy_at_most_one() {
    let (mut world, mut wallet, _, number) =
        scene(SubscribeTerms { every: Some(Every::Day), ..terms(10_000) });
    assert!(bought(renew(&mut world, &mut wallet, number)));
    let now = world.now;
    for (jump, expected) in
        [("2025-01-01T00:00:00Z", false), ("2030-01-01T00:00:00Z", true), ("2026-11-22T12:00:01Z", false)]
    {
        world.now = jump.parse::<Timestamp>().unwrap();
        assert_eq!(bought(renew(&mut world, &mut wallet, number)), expected, "{jump}");
        assert!(!bought(renew(&mut world, &mut wallet, number)), "{jump}");
    }
    assert_eq!(world.shop.revenue, 20_000);

    // This clock is ahead of the shop's: what comes is over already, and the owner has to look, after one payment.
    let (mut world, mut wallet, _, number) = scene(terms(10_000));
    world.now = now;
    let pay = PayFlow::new(wallet.renewal(number).unwrap()).unwrap();
    let mut flow = RenewFlow::new(&wallet, number, pay, RENEWS_BEFORE).unwrap();
    let (mut event, ahead) = (Event::Go, now.after(Span::from_secs(60)));
    world.shop.pass = Some(Span::from_secs(30));
    let error = loop {
        event = match flow.next(&mut wallet, event, ahead) {
            Ok(Step::Send(request)) => world.send(&request),
            Ok(Step::Wait(_) | Step::Deliver) => Event::Go,
            Ok(Step::Done(outcome)) => panic!("expected no pass, got {outcome:?}"),
            Err(error) => break error,
        };
    };
    assert_eq!(error.code(), "subscription-halted");
    for _ in 0..3 {
        later(&mut world, 24);
        let again = renew(&mut world, &mut wallet, number).unwrap_err();
        assert_eq!(again.code(), "subscription-halted");
    }
    assert_eq!(world.shop.revenue, 10_000);
}

/// Every commit of a renewal is cut once, before and after it is durable, with and without a lost answer; then it is looked at again, also
/// after another command has tidied up.
#[test]
fn a_renewal_that_is_cut_anywhere_is_paid_once() {
    for (durable, commits, hours) in [false, true]
        .into_iter()
        .flat_map(|durable| (0..6).flat_map(move |commits| [0, 2].map(|hours| (durable, commits, hours))))
    {
        for faults in [&[][..], &[Fault::None, Fault::None, Fault::AnswerLost, Fault::AnswerLost]] {
            let (mut world, mut wallet, vault, number) =
                scene(SubscribeTerms { times: Some(5), ..terms(10_000) });
            world.faults = faults.to_vec();
            vault.crash_after(commits, durable);
            let _ = renew(&mut world, &mut wallet, number);
            vault.never_crash();
            world.faults.clear();
            wallet = reopen(&vault);
            later(&mut world, hours);
            world.run(&mut wallet, RecoverFlow::overdue()).unwrap();
            for _ in 0..3 {
                renew(&mut world, &mut wallet, number).unwrap();
            }
            let case = format!("cut after {commits} ({durable}), {hours} hours, {faults:?}");
            assert_eq!((world.shop.revenue, world.shop.payments.len()), (10_000, 1), "{case}");
            assert_eq!((one(&wallet).left, one(&wallet).halted), (Some(4), None), "{case}");
            assert!(
                matches!(open_page(&mut world, &mut wallet), Outcome::Served { by_pass: true, .. }),
                "{case}"
            );
            world.recover(&mut wallet).unwrap();
            assert_eq!(total_spent(&wallet), 10_000, "{case}");
        }
    }
}

#[test]
fn a_payment_that_is_found_charged_without_its_pass_stops_everything() {
    let (mut world, mut wallet, _, number) = scene(terms(10_000));
    world.shop.conduct = Conduct::Stealing;
    renew(&mut world, &mut wallet, number).unwrap();
    assert_eq!((world.shop.revenue, one(&wallet).halted.is_some()), (10_000, true));
    world.shop.conduct = Conduct::Honest;
    later(&mut world, 48);
    let error = renew(&mut world, &mut wallet, number).unwrap_err();
    assert!(
        matches!(error, WalletError::Subscription(reject) if matches!(*reject, SubscriptionReject::Halted { .. }))
    );
    assert!(matches!(open_page(&mut world, &mut wallet), Outcome::Paid(_)), "only the page");
    // The owner has looked.
    wallet.subscribe(&format!("{SHOP}{DAY}"), terms(10_000), world.now).unwrap();
    assert!(bought(renew(&mut world, &mut wallet, number)));
    // What failed costs nothing, and is tried again.
    later(&mut world, 48);
    world.shop.conduct = Conduct::Failing;
    assert!(matches!(renew(&mut world, &mut wallet, number), Ok(Outcome::Refused(_))));
    world.shop.conduct = Conduct::Honest;
    assert!(bought(renew(&mut world, &mut wallet, number)));
    assert_eq!(world.shop.revenue, 40_000);
}

#[test]
fn a_payment_that_is_open_is_carried_on_with_when_nothing_is_due() {
    // Bought six hours before its end, and looked at again with the margin of an hour; then one whose end has come meanwhile.
    let margin = Span::from_secs(6 * HOUR);
    for is_over in [false, true] {
        for arrives in [true, false] {
            let (mut world, mut wallet, vault, number) = scene(terms(10_000));
            assert!(bought(renew(&mut world, &mut wallet, number)));
            later(&mut world, 20);
            let ends = wallet.pass_ends(one(&wallet)).unwrap();
            if is_over {
                let until = Some(ends.after(Span::from_secs(60)));
                let terms = SubscribeTerms { until, ..terms(10_000) };
                wallet.subscribe(&format!("{SHOP}{DAY}"), terms, world.now).unwrap();
            }
            renew_cut(&mut world, &mut wallet, number, margin, arrives);
            wallet = reopen(&vault);
            later(&mut world, if is_over { 5 } else { 1 });
            world.run(&mut wallet, RecoverFlow::overdue()).unwrap();
            let standing = wallet.standing(one(&wallet), RENEWS_BEFORE, world.now);
            assert_eq!(standing == Standing::Over, is_over);
            assert_ne!(standing, Standing::Due);
            if arrives {
                assert!(bought(renew(&mut world, &mut wallet, number)), "{is_over}");
                let next = wallet.pass_ends(one(&wallet)).unwrap();
                assert_eq!(next, ends.after(Span::from_secs(24 * HOUR)), "{is_over}");
            } else {
                // It comes back, and nothing else is bought.
                world.shop.conduct = Conduct::Failing;
                assert!(!bought(renew(&mut world, &mut wallet, number)), "{is_over}");
            }
            let paid = if arrives { 20_000 } else { 10_000 };
            assert_eq!((world.shop.revenue, total_spent(&wallet)), (paid, paid), "{is_over}");
            assert_eq!((wallet.attempts().count(), one(&wallet).halted), (0, None), "{is_over}");
        }
    }
}

#[test]
fn a_lower_limit_does_not_leave_an_open_payment_alone() {
    let (mut world, mut wallet, _, number) = scene(terms(10_000));
    renew_cut(&mut world, &mut wallet, number, RENEWS_BEFORE, true);
    wallet.subscribe(&format!("{SHOP}{DAY}"), terms(9_999), world.now).unwrap();
    // The limit of the call holds.
    let request = PayRequest { max: Some(usd(9_998)), ..wallet.renewal(number).unwrap() };
    let flow = RenewFlow::new(&wallet, number, PayFlow::new(request).unwrap(), RENEWS_BEFORE).unwrap();
    assert!(world.run(&mut wallet, flow).is_err());
    let per_call = Some(Amount::new(9_997));
    wallet.set_limits(Limits { per_call, ..Limits::none("uusd".parse().unwrap()) }).unwrap();
    assert!(bought(renew(&mut world, &mut wallet, number)));
    assert_eq!((world.shop.revenue, total_spent(&wallet)), (10_000, 10_000));
}

#[test]
fn what_is_found_charged_while_it_is_looked_at_signs_nothing_more() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1);
    wallet.add_token(token()).unwrap();
    let one = wallet.subscribe(&format!("{SELLER}{DAY}"), terms(10_000), world.now).unwrap();
    renew_cut(&mut world, &mut wallet, one.number, RENEWS_BEFORE, true);
    assert_eq!((world.chain.total(), world.seller.signed.len()), (10_000, 1));
    // What was signed is over, and no node says what became of it.
    later(&mut world, 2);
    let error = renew(&mut world, &mut wallet, one.number).unwrap_err();
    assert_eq!(error.code(), "subscription-halted");
    assert_eq!((world.chain.total(), world.seller.signed.len()), (10_000, 1));
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (10_000, 0));
}

#[test]
fn a_voucher_that_is_refused_at_once_is_followed_by_another() {
    let mut world = World::new();
    world.toll.pass = Some(Span::from_secs(24 * HOUR));
    let mut wallet = SharedVault::default().create();
    wallet.add_token(token()).unwrap();
    let number = wallet.subscribe(&format!("{TOLL}{DAY}"), terms(3_000), world.now).unwrap().number;
    // The offer is remembered; the second time it has changed.
    for (price, charged) in [(1_000, 1_000), (2_000, 3_000)] {
        world.toll.price = price;
        let pay = PayFlow::new(wallet.renewal(number).unwrap()).unwrap().on_chains(world.random());
        let flow = RenewFlow::new(&wallet, number, pay.opening_channels(true), RENEWS_BEFORE).unwrap();
        let before = world.log.len();
        assert!(bought(world.run(&mut wallet, flow)));
        let vouchers = world.log[before..]
            .iter()
            .filter(|sent| sent.headers.iter().any(|(name, _)| name == "PAYMENT-SIGNATURE"));
        assert_eq!(vouchers.count(), if price == 1_000 { 1 } else { 2 });
        assert_eq!((world.toll.total_charged(), one(&wallet).halted), (charged, None));
        assert_eq!(wallet.attempts().count(), 0);
        later(&mut world, 30);
    }
}

#[test]
fn what_no_pass_opens_is_paid_for_by_itself() {
    let (mut world, mut wallet, _, _) = scene(terms(10_000));
    for method in ["GET", "POST"] {
        let flow = PayFlow::new(PayRequest { method: method.into(), ..get("/page") }).unwrap();
        let outcome = world.run(&mut wallet, flow.giving_way(true)).unwrap();
        assert_eq!(matches!(outcome, Outcome::RenewFirst(_)), method == "GET");
        assert_eq!(matches!(outcome, Outcome::Paid(_)), method == "POST");
    }
}

#[test]
fn after_unsubscribing_nothing_is_sent_again() {
    // Written down and not sent; and charged, with an answer that was not taken in.
    for (commits, durable, charged) in [(2, true, 0), (3, false, 10_000)] {
        let (mut world, mut wallet, vault, number) = scene(terms(10_000));
        vault.crash_after(commits, durable);
        renew(&mut world, &mut wallet, number).unwrap_err();
        vault.never_crash();
        let mut wallet = reopen(&vault);
        assert_eq!((wallet.attempts().count(), world.shop.revenue), (1, charged), "{commits}");
        wallet.unsubscribe(&format!("{SHOP}{DAY}")).unwrap();
        later(&mut world, 1);
        world.run(&mut wallet, RecoverFlow::overdue()).unwrap();
        assert_eq!((wallet.attempts().count(), world.shop.revenue), (0, charged), "{commits}");
        assert_eq!(total_spent(&wallet), charged, "{commits}");
    }
}

#[test]
fn only_what_sells_passes_is_subscribed_to() {
    let (world, mut wallet, _, _) = scene(terms(1));
    for path in ["/page", "/.well-known/farthing/passes/", "/.well-known/farthing/passes/day?then=/"] {
        let error = wallet.subscribe(&format!("{SHOP}{path}"), terms(1), world.now).unwrap_err();
        assert_eq!(error.code(), "subscription-place", "{path}");
    }
    assert!(
        wallet.subscribe("http://shop.example/.well-known/farthing/passes/day", terms(1), world.now).is_err()
    );
    assert_eq!(wallet.subscriptions().count(), 1);
}
