//! What a payer does, one story each, against a mint and a shop in memory.

use farthing_ecash::{Proof, Token};
use farthing_money::{Amount, Asset, Span, Unit};
use farthing_wallet::{
    Backup, EntryKind, ErrorKind, Limits, Outcome, Paid, PayFlow, PayRequest, ReceiveFlow, ReclaimFlow,
    RecoverFlow, RestoreFlow, SendFlow, Settled, Wallet, WalletError, day_of,
};

use crate::world;
use crate::world::mint::{Mint, keyset};
use crate::world::shop::Conduct;
use crate::world::vault::SharedVault;
use crate::world::{Fault, MINT, SHOP, World, balance, get, reopen, total_spent};

fn unit() -> Unit {
    "uusd".parse().unwrap()
}

fn usd(minor: u64) -> farthing_money::Money {
    Asset::micro("USD").unwrap().money(Amount::from(minor))
}

fn paid(outcome: Result<Outcome, WalletError>) -> Paid {
    match outcome {
        Ok(Outcome::Paid(paid)) => *paid,
        other => panic!("expected a payment, got {other:?}"),
    }
}

#[test]
fn a_code_becomes_credits_once() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(5_000_000);
    assert_eq!(balance(&wallet), (5_000_000, 0));
    assert_eq!(wallet.history(9).unwrap()[0].kind, EntryKind::Redeem);
    let again = world.redeem(&mut wallet, "CODE").unwrap_err();
    assert!(again.to_string().contains("used before"), "{again}");
    assert_eq!(world.redeem(&mut wallet, "NONE").unwrap_err().code(), "mint-refused");
    assert_eq!(wallet.attempts().count(), 0);
    assert_eq!(balance(&wallet), (5_000_000, 0));
}

#[test]
fn a_page_is_paid_and_the_change_comes_back() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(5_000_000);
    for n in 1..=20 {
        let paid = paid(world.pay(&mut wallet, "/page"));
        assert_eq!((paid.charged, paid.dialect.as_str()), (usd(10_000), "mpp"));
        assert!(paid.notes.is_empty(), "{:?}", paid.notes);
        assert_eq!(balance(&wallet), (5_000_000 - n * 10_000, 0));
        assert_eq!(total_spent(&wallet), n * 10_000);
    }
    assert_eq!((world.shop.revenue, world.delivered), (200_000, 20));
    let entry = &wallet.history(1).unwrap()[0];
    assert_eq!(
        (entry.kind, entry.party.as_str(), entry.money),
        (EntryKind::Pay, "shop.example", usd(10_000))
    );
    assert!(entry.receipt.is_some());
}

#[test]
fn a_second_visit_within_the_pass_costs_nothing() {
    let mut world = World::new();
    world.shop.pass = Some(Span::from_secs(60));
    let (mut wallet, vault) = world.wallet_with(1_000_000);
    assert!(paid(world.pay(&mut wallet, "/page")).pass_until.is_some());
    let mut wallet = reopen(&vault);
    assert!(matches!(world.pay(&mut wallet, "/page"), Ok(Outcome::Served { status: 200, by_pass: true })));
    assert!(matches!(world.pay(&mut wallet, "/free"), Ok(Outcome::Served { status: 200, by_pass: false })));
    assert_eq!(world.shop.revenue, 10_000);
    world.now = world.now.after(Span::from_secs(60));
    paid(world.pay(&mut wallet, "/page"));
    assert_eq!(world.shop.revenue, 20_000);
}

#[test]
fn a_bare_cashu_shop_is_paid_exactly() {
    let mut world = World::new();
    world.shop.mpp = false;
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let paid = paid(world.pay(&mut wallet, "/page"));
    assert_eq!((paid.charged, paid.dialect.as_str()), (usd(10_000), "cashu"));
    assert_eq!(balance(&wallet), ((1 << 20) - 10_000, 0));
    let token = world.log.iter().rev().find_map(|request| {
        request.headers.iter().find(|(name, _)| name == "X-Cashu").map(|(_, token)| token.clone())
    });
    assert_eq!(Token::decode(&token.unwrap()).unwrap().total(), Some(10_000));
}

#[test]
fn change_as_a_token_is_taken_in() {
    let mut world = World::new();
    world.shop.token_change = true;
    let (mut wallet, _) = world.wallet_with(1 << 20);
    paid(world.pay(&mut wallet, "/page"));
    assert_eq!(balance(&wallet), ((1 << 20) - 10_000, 0));
    assert_eq!(total_spent(&wallet), 10_000);
    assert_eq!(wallet.attempts().count(), 0);
}

#[test]
fn change_that_did_not_come_is_fetched() {
    // The header with the change was lost on the way; a shop that never gave it keeps it, and the budget knows.
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    world.shop.conduct = Conduct::NoChange;
    let paid = paid(world.pay(&mut wallet, "/page"));
    assert_eq!(paid.charged, usd(1 << 20));
    assert!(paid.notes.iter().any(|note| note.contains("change did not come")), "{:?}", paid.notes);
    assert_eq!((balance(&wallet), total_spent(&wallet)), ((0, 0), 1 << 20));
    assert_eq!(wallet.attempts().count(), 0);
}

#[test]
fn a_refusal_is_believed_only_after_a_swap() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    world.shop.conduct = Conduct::Failing;
    let Ok(Outcome::Refused(refused)) = world.pay(&mut wallet, "/page") else { panic!("expected a refusal") };
    assert_eq!((refused.status, refused.problem.unwrap().code.as_str()), (502, "upstream-failed"));
    assert_eq!(refused.settled.unwrap(), Settled::Back(usd(1 << 20)));
    assert_eq!((balance(&wallet), total_spent(&wallet)), ((1 << 20, 0), 0));

    world.shop.conduct = Conduct::Stealing;
    let Ok(Outcome::Refused(refused)) = world.pay(&mut wallet, "/page") else { panic!("expected a refusal") };
    let stolen = Settled::Charged { charged: usd(1 << 20), change: usd(0) };
    assert_eq!(refused.settled.unwrap(), stolen);
    assert_eq!(
        (balance(&wallet), total_spent(&wallet)),
        ((0, 0), 1 << 20),
        "the budget is not told otherwise"
    );
}

#[test]
fn a_busy_shop_is_asked_again_with_the_same_credential() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    world.shop.conduct = Conduct::Busy;
    let before = world.now;
    let Ok(Outcome::Refused(refused)) = world.pay(&mut wallet, "/page") else { panic!("expected a refusal") };
    assert_eq!(refused.status, 409);
    assert_eq!(world.now.since(before), Span::from_secs(6), "three waits of what it said");
    let sent = world.log.iter().flat_map(|request| &request.headers);
    let credentials: std::collections::BTreeSet<_> =
        sent.filter(|(name, _)| name == "Authorization").map(|(_, value)| value).collect();
    assert_eq!(credentials.len(), 1);
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let mut world = World::new();
    let (mut wallet, vault) = world.wallet_with(1 << 20);
    // Asking, then the credential four times: all answers are lost.
    world.faults = [vec![Fault::None], vec![Fault::AnswerLost; 4]].concat();
    let unknown = world.pay(&mut wallet, "/page").unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unknown);
    assert_eq!((balance(&wallet), total_spent(&wallet)), ((0, 1 << 20), 1 << 20));
    let mut wallet = reopen(&vault);
    assert_eq!(paid(world.pay(&mut wallet, "/page")).charged, usd(10_000));
    assert_eq!(world.shop.revenue, 10_000, "charged once");
    assert_eq!((balance(&wallet), total_spent(&wallet)), (((1 << 20) - 10_000, 0), 10_000));
}

#[test]
fn recovery_finds_out_what_was_charged() {
    for (fault, charged) in [(Fault::AnswerLost, 10_000), (Fault::RequestLost, 0)] {
        let mut world = World::new();
        let (mut wallet, _) = world.wallet_with(1 << 20);
        world.faults = [vec![Fault::None], vec![fault; 4]].concat();
        world.pay(&mut wallet, "/page").unwrap_err();
        let Ok(Outcome::Recovered(list)) = world.run(&mut wallet, RecoverFlow::overdue()) else {
            panic!("expected a recovery")
        };
        assert!(list.is_empty(), "the same command may still carry on with it");
        let Ok(Outcome::Recovered(list)) = world.recover(&mut wallet) else { panic!("expected a recovery") };
        let expected = match charged {
            0 => Settled::Back(usd(1 << 20)),
            charged => Settled::Charged { charged: usd(charged), change: usd((1 << 20) - charged) },
        };
        assert_eq!(*list[0].ended.as_ref().unwrap(), expected);
        assert_eq!((balance(&wallet), total_spent(&wallet)), (((1 << 20) - charged, 0), charged));
        assert_eq!(world.shop.revenue, charged);
    }
}

#[test]
fn a_payment_on_hold_is_waited_for() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    world.faults = [vec![Fault::None], vec![Fault::RequestLost; 4]].concat();
    world.pay(&mut wallet, "/page").unwrap_err();
    let inputs: Vec<_> = wallet.attempts().next().unwrap().inputs.clone();
    world.mint.pending.extend(&inputs);
    let Ok(Outcome::Recovered(list)) = world.recover(&mut wallet) else { panic!("expected a recovery") };
    assert_eq!(list[0].ended.as_ref().unwrap_err().code(), "wallet-credits-pending");
    assert_eq!((balance(&wallet), total_spent(&wallet)), ((0, 1 << 20), 1 << 20));
    world.mint.pending.clear();
    world.recover(&mut wallet).unwrap();
    assert_eq!((balance(&wallet), total_spent(&wallet)), ((1 << 20, 0), 0));
}

#[test]
fn no_connection_costs_nothing() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    world.faults = vec![Fault::None, Fault::NotSent];
    assert_eq!(world.pay(&mut wallet, "/page").unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!((balance(&wallet), total_spent(&wallet)), ((1 << 20, 0), 0));
    assert_eq!(wallet.attempts().count(), 0);
}

#[test]
fn limits_hold_before_anything_is_sent() {
    let some = |amount| Some(Amount::new(amount));
    let none = Limits::none(unit());
    for (limits, code, pages) in [
        (Limits { per_call: some(9_999), ..none }, "budget-per-call", 0),
        (Limits { per_host: some(29_999), ..none }, "budget-per-host", 2),
        (Limits { per_day: some(20_000), ..none }, "budget-per-day", 2),
        (Limits { per_month: some(20_000), ..none }, "budget-per-month", 2),
        (Limits { total: some(10_000), ..none }, "budget-total", 1),
    ] {
        let mut world = World::new();
        let (mut wallet, vault) = world.wallet_with(1 << 20);
        wallet.set_limits(limits).unwrap();
        for _ in 0..pages {
            paid(world.pay(&mut wallet, "/page"));
            wallet = reopen(&vault);
        }
        let refused = world.pay(&mut wallet, "/page").unwrap_err();
        assert_eq!((refused.code(), refused.kind()), (code, ErrorKind::Budget));
        assert_eq!(world.shop.revenue, pages * 10_000);
        assert!(world.log.last().unwrap().headers.is_empty(), "no credential was sent");
        world.now = world.now.after(Span::from_secs(86_400));
        assert_eq!(world.pay(&mut wallet, "/page").is_ok(), code == "budget-per-day", "{code}");
        world.now = world.now.after(Span::from_secs(8 * 86_400));
        let has_turned = ["budget-per-day", "budget-per-month"].contains(&code);
        assert_eq!(world.pay(&mut wallet, "/page").is_ok(), has_turned, "{code}");
    }
}

#[test]
fn the_worst_case_is_within_the_limits_too() {
    // The only credit is worth a hundred times the limit: it is changed at the mint before a shop sees any of it.
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    wallet.set_limits(Limits { total: Some(Amount::new(10_000)), ..Limits::none(unit()) }).unwrap();
    world.shop.conduct = Conduct::Stealing;
    world.pay(&mut wallet, "/page").unwrap();
    assert_eq!(world.shop.revenue, 10_000);
    assert_eq!(balance(&wallet), ((1 << 20) - 10_000, 0));
    assert_eq!(world.pay(&mut wallet, "/page").unwrap_err().code(), "budget-total");
}

#[test]
fn a_call_may_have_its_own_limit() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let mut pay = |max| {
        let request = PayRequest { max: Some(max), ..get("/page") };
        world.run(&mut wallet, PayFlow::new(request).unwrap())
    };
    assert_eq!(pay(usd(9_999)).unwrap_err().code(), "budget-this-call");
    let euros = Asset::micro("EUR").unwrap().money(Amount::new(1_000_000));
    assert_eq!(pay(euros).unwrap_err().code(), "budget-this-call");
    assert!(pay(usd(10_000)).is_ok());
}

#[test]
fn a_call_over_several_requests_has_one_limit() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let mut pay = |world: &mut World, max, before: &[farthing_money::Money]| {
        let flow = PayFlow::new(PayRequest { max, ..get("/page") }).unwrap();
        world.run(&mut wallet, flow.charged_before(before.iter().copied()))
    };
    let cent = Asset::new("USD", 2, "usd").unwrap().money(Amount::new(1));
    let euros = Asset::micro("EUR").unwrap().money(Amount::new(1_000_000));
    for before in [&[usd(1)][..], &[euros, usd(1)], &[cent], &[usd(10_001)]] {
        let error = pay(&mut world, Some(usd(10_000)), before).unwrap_err();
        assert_eq!(error.code(), "budget-this-call", "{before:?}");
    }
    assert_eq!(world.shop.revenue, 0);
    paid(pay(&mut world, Some(usd(20_000)), &[cent, euros]));

    wallet.set_limits(Limits { per_call: Some(Amount::new(15_000)), ..Limits::none(unit()) }).unwrap();
    let mut pay = |before| {
        let flow = PayFlow::new(get("/page")).unwrap();
        world.run(&mut wallet, flow.charged_before([before]))
    };
    assert_eq!(pay(usd(5_001)).unwrap_err().code(), "budget-per-call");
    paid(pay(usd(5_000)));
}

#[test]
fn an_open_payment_is_carried_on_within_the_limit_of_the_call() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    world.faults = vec![Fault::None];
    world.faults.extend([Fault::RequestLost; 4]);
    let error = world.pay(&mut wallet, "/page").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert_eq!(wallet.attempts().count(), 1);
    let mut pay = |max| {
        let flow = PayFlow::new(PayRequest { max: Some(max), ..get("/page") }).unwrap();
        let asked = world.log.len();
        (world.run(&mut wallet, flow), world.log.len() - asked, world.shop.revenue)
    };
    let (refused, sent, revenue) = pay(usd(9_999));
    assert_eq!((refused.unwrap_err().code(), sent, revenue), ("budget-this-call", 0, 0));
    let (outcome, sent, revenue) = pay(usd(1 << 20));
    paid(outcome);
    assert_eq!((sent, revenue), (1, 10_000));
}

#[test]
fn credits_that_no_swap_takes_out_of_reach_are_told_before_another_payment() {
    // Credits worth less than the fee of a swap cannot be taken back: whoever has the credential may still spend them.
    let mut world = World::new();
    world.mint = Mint::with_fee(1_000);
    world.shop.price = 1;
    let (mut wallet, _) = world.wallet_with((1 << 10) - 1);
    world.faults = vec![Fault::None];
    world.faults.extend([Fault::RequestLost; 4]);
    assert_eq!(world.pay(&mut wallet, "/page").unwrap_err().kind(), ErrorKind::Unknown);
    world.shop.conduct = Conduct::Failing;
    let asked = world.log.len();
    let outcome = world.pay(&mut wallet, "/page").unwrap();
    let Outcome::Refused(refused) = outcome else { panic!("expected a refusal, got {outcome:?}") };
    assert_eq!(refused.settled.unwrap(), Settled::Back(usd(0)));
    let sent = world.log[asked..].iter().filter(|request| request.url.starts_with(SHOP)).count();
    assert_eq!((sent, total_spent(&wallet)), (1, 1), "nothing else was asked, and the budget stays charged");
}

#[test]
fn bad_offers_are_refused_with_their_reasons() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    world.shop.cashu = false;
    let mut refused = |change: &dyn Fn(&mut world::shop::Shop)| {
        change(&mut world.shop);
        let error = world.pay(&mut wallet, "/page").unwrap_err();
        change_back(&mut world.shop);
        (error.code(), error.to_string())
    };
    let (code, text) = refused(&|shop| shop.lifetime = Span::ZERO);
    assert!(code == "wallet-no-offer" && text.contains("the offer ended"), "{text}");
    let (_, text) = refused(&|shop| shop.decimals = 2);
    assert!(text.contains("it is USD with 6"), "{text}");
    let (_, text) = refused(&|shop| shop.mpp = false);
    assert!(text.contains("names no way"), "{text}");
    let (code, text) = refused(&|shop| shop.price = 1 << 21);
    assert!(
        code == "wallet-funds-short" && text.contains("2.097152 USD is needed, 1.048576 USD is there"),
        "{text}"
    );
    assert!(PayFlow::new(PayRequest { url: "http://shop.example/".into(), ..get("/") }).is_err());
    assert_eq!(total_spent(&wallet), 0);
}

fn change_back(shop: &mut world::shop::Shop) {
    (shop.lifetime, shop.decimals, shop.mpp, shop.price) = (Span::from_secs(300), 6, true, 10_000);
}

#[test]
fn another_key_under_receipts_is_noticed() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    paid(world.pay(&mut wallet, "/page"));
    world.shop.key = ed25519_dalek::SigningKey::from_bytes(&[8; 32]);
    let paid = paid(world.pay(&mut wallet, "/page"));
    assert!(paid.notes.iter().any(|note| note.contains("another key than before")), "{:?}", paid.notes);
}

#[test]
fn an_own_login_keeps_its_header() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let login = ("Authorization".to_owned(), "Basic eDp5".to_owned());
    let request = PayRequest { headers: vec![login.clone()], ..get("/page") };
    paid(world.run(&mut wallet, PayFlow::new(request).unwrap()));
    let last = world.log.last().unwrap();
    assert!(last.headers.contains(&login));
    assert!(
        last.headers
            .iter()
            .any(|(name, value)| name == "Payment-Authorization" && value.starts_with("Payment "))
    );
}

#[test]
fn false_keys_are_found_out() {
    let mut world = World::new();
    let vault = SharedVault::default();
    let mut wallet = vault.create();
    world.mint.add_code("CODE", 1_000);
    world.mint.false_keys = Some(keyset(7, 0));
    assert_eq!(world.redeem(&mut wallet, "CODE").unwrap_err().code(), "dleq-invalid");
    assert_eq!(balance(&wallet), (0, 0));
    assert_eq!(wallet.attempts().count(), 1, "it stays written down");
}

fn send(world: &mut World, wallet: &mut Wallet, amount: u64) -> (u64, String) {
    match world.run(wallet, SendFlow::new(usd(amount), None, Some("thanks".into())).unwrap()) {
        Ok(Outcome::Sent { attempt, token, money }) if money == usd(amount) => (attempt, token),
        other => panic!("expected a token, got {other:?}"),
    }
}

#[test]
fn a_token_is_sent_received_and_only_then_gone() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let (attempt, token) = send(&mut world, &mut wallet, 12_345);
    assert_eq!(balance(&wallet), ((1 << 20) - 12_345, 12_345));
    assert_eq!(Token::decode(&token).unwrap().total(), Some(12_345));

    let Ok(Outcome::Recovered(open)) = world.recover(&mut wallet) else { panic!("expected a recovery") };
    assert_eq!(*open[0].ended.as_ref().unwrap(), Settled::Open(usd(12_345)));

    let friend_vault = SharedVault::default();
    let entropy = farthing_wallet::SealingEntropy { salt: [0; 16], nonce: [0; 24] };
    let seed = farthing_wallet::Seed::from_entropy([8; 16]).unwrap();
    let key = farthing_wallet::Unlock::Key(&world::KEY);
    let mut friend = Wallet::create(friend_vault, seed, key, &entropy).unwrap();
    let unknown = world.run(&mut friend, ReceiveFlow::new(&token, false).unwrap()).unwrap_err();
    assert_eq!(unknown.code(), "wallet-unknown-mint");
    world.run(&mut friend, ReceiveFlow::new(&token, true).unwrap()).unwrap();
    assert_eq!(balance(&friend), (12_345, 0));
    let again = world.run(&mut friend, ReceiveFlow::new(&token, false).unwrap()).unwrap_err();
    assert_eq!(again.code(), "wallet-credits-spent");

    let Ok(Outcome::Recovered(list)) = world.run(&mut wallet, ReclaimFlow::new(attempt)) else {
        panic!("expected an end")
    };
    assert_eq!(*list[0].ended.as_ref().unwrap(), Settled::Taken(usd(12_345)));
    assert_eq!(balance(&wallet), ((1 << 20) - 12_345, 0));
}

#[test]
fn a_token_that_nobody_took_comes_back() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    let (attempt, token) = send(&mut world, &mut wallet, 5);
    world.run(&mut wallet, ReclaimFlow::new(attempt)).unwrap();
    assert_eq!(balance(&wallet), (1 << 20, 0));
    assert_eq!(wallet.history(1).unwrap()[0].kind, EntryKind::Reclaim);
    assert_eq!(
        world.run(&mut wallet, ReclaimFlow::new(attempt)).unwrap_err().code(),
        "wallet-unknown-attempt"
    );
    assert_eq!(
        world.run(&mut wallet, ReceiveFlow::new(&token, false).unwrap()).unwrap_err().code(),
        "wallet-credits-spent"
    );
    let short = world.run(&mut wallet, SendFlow::new(usd(1 << 21), None, None).unwrap()).unwrap_err();
    assert_eq!(short.kind(), ErrorKind::FundsShort);
}

/// Its reclaim succeeded and the answer was lost; then it takes its own token for someone else's and finds it spent.
#[test]
fn a_token_that_came_back_unnoticed_is_not_lost_when_it_is_received() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 10);
    let (attempt, token) = send(&mut world, &mut wallet, 300);
    world.faults = vec![Fault::AnswerLost];
    world.run(&mut wallet, ReclaimFlow::new(attempt)).unwrap_err();
    world.faults.clear();
    let received = world.run(&mut wallet, ReceiveFlow::new(&token, false).unwrap()).unwrap_err();
    assert_eq!(received.code(), "wallet-credits-spent");
    world.recover(&mut wallet).unwrap();
    assert_eq!((balance(&wallet), wallet.attempts().count()), ((1 << 10, 0), 0));
}

#[test]
fn fees_of_a_mint_are_paid_from_the_credits() {
    let mut world = World::new();
    world.mint = Mint::with_fee(300);
    let (mut wallet, _) = world.wallet_with(100_000);
    let (_, token) = send(&mut world, &mut wallet, 777);
    assert_eq!(Token::decode(&token).unwrap().total(), Some(777));
    let (free, reserved) = balance(&wallet);
    assert_eq!((free + reserved, reserved), (100_000 - world.mint.fees, 777));
    assert!(world.mint.fees > 0);
}

#[test]
fn the_words_bring_everything_back_even_after_a_rotation() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    for _ in 0..30 {
        paid(world.pay(&mut wallet, "/page"));
    }
    world.mint.rotate();
    world.now = world.now.after(Span::from_secs(7_200));
    world.mint.add_code("NEXT", 123_456);
    world.redeem(&mut wallet, "NEXT").unwrap();
    paid(world.pay(&mut wallet, "/page"));
    let (free, _) = balance(&wallet);
    assert_eq!(free, (1 << 20) - 31 * 10_000 + 123_456);
    let backup = Backup::from_text(&Backup::of(&wallet).to_text()).unwrap();

    for with_counters in [true, false] {
        let vault = SharedVault::default();
        let mut again = vault.restore();
        assert_eq!(*again.seed().words(), *backup.seed.words());
        if with_counters {
            again.adopt(&backup).unwrap();
        }
        world.run(&mut again, RestoreFlow::new(MINT).unwrap()).unwrap();
        assert_eq!(balance(&again), (free, 0));
        world.run(&mut again, RestoreFlow::new(MINT).unwrap()).unwrap();
        assert_eq!(balance(&again), (free, 0), "once is enough");
    }
    // What was restored can be spent, with counters that were never used before.
    let vault = SharedVault::default();
    let mut again = vault.restore();
    world.run(&mut again, RestoreFlow::new(MINT).unwrap()).unwrap();
    paid(world.pay(&mut again, "/page"));
    assert_eq!(balance(&again), (free - 10_000, 0));
}

/// Each payment draws counters for its change. The search by the words gives up after 300 that were not signed.
#[test]
fn payments_that_were_never_sent_leave_no_gap_for_the_words() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    for _ in 0..40 {
        world.faults = vec![Fault::None, Fault::NotSent];
        world.pay(&mut wallet, "/page").unwrap_err();
    }
    world.faults.clear();
    paid(world.pay(&mut wallet, "/page"));
    let mut again = SharedVault::default().restore();
    world.run(&mut again, RestoreFlow::new(MINT).unwrap()).unwrap();
    assert_eq!(balance(&again), ((1 << 20) - 10_000, 0));
}

#[test]
fn a_rotation_in_between_is_survived() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    world.mint.rotate();
    // The list of keysets is still fresh, so the old one is tried first and refused.
    let refused = world.run(&mut wallet, SendFlow::new(usd(5), None, None).unwrap()).unwrap_err();
    assert_eq!(refused.code(), "mint-refused");
    assert_eq!(balance(&wallet), (1 << 20, 0));
    send(&mut world, &mut wallet, 5);
    assert_eq!(balance(&wallet), ((1 << 20) - 5, 5));
}

#[test]
fn no_request_shows_the_mint_what_it_must_not_see() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    paid(world.pay(&mut wallet, "/page"));
    let (_, token) = send(&mut world, &mut wallet, 9);
    for request in &world.log {
        assert!(!String::from_utf8_lossy(&request.body).contains("dleq"), "{request:?}");
        for (_, value) in &request.headers {
            if let Some(text) = value.strip_prefix("cashuB") {
                let token = Token::decode(&format!("cashuB{text}")).unwrap();
                assert!(token.proofs.iter().all(|proof| proof.dleq.is_none()));
            }
        }
    }
    let token = Token::decode(&token).unwrap();
    assert!(token.proofs.iter().all(|proof| proof.dleq.is_some()), "a receiver can check it offline");
    let proofs: Vec<Proof> = token.resolve(&world.mint.ids()).unwrap();
    for proof in proofs {
        let keys = wallet.mints().next().unwrap().keyset(proof.id).unwrap();
        assert_eq!(proof.check_dleq(keys.key(proof.amount).unwrap()), Ok(()));
    }
    assert_eq!(day_of(world.now), 20_779);
    assert!(world.log.iter().all(|request| request.url.starts_with(MINT) || request.url.starts_with(SHOP)));
}
