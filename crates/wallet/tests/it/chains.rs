//! What a payer does on a chain, one story each, against a seller and a node in memory.

use std::collections::BTreeSet;

use farthing_money::{Amount, Asset, Money, Span, Unit};
use farthing_wallet::{
    AccountAddress, BudgetReject, EntryKind, ErrorKind, HoldingsFlow, LimitKind, Limits, Means, Outcome,
    Paid, PayFlow, PayRequest, RecoverFlow, RefusedPayment, Settled, Token, Wallet, WalletError,
};
use farthing_wire::x402::{Extra, Payload, Requirements, SchemePayload, Uint};

use crate::world::chain::{CHAIN, NODE, token};
use crate::world::seller::{Dialect, Manner, SELLER, payee, requirements, upto};
use crate::world::vault::SharedVault;
use crate::world::{Fault, World, get_of, reopen, total_spent};

fn unit() -> Unit {
    "uusd".parse().unwrap()
}

fn usd(minor: u64) -> Money {
    Asset::micro("USD").unwrap().money(Amount::from(minor))
}

fn paid(outcome: Result<Outcome, WalletError>) -> Paid {
    match outcome {
        Ok(Outcome::Paid(paid)) => *paid,
        other => panic!("expected a payment, got {other:?}"),
    }
}

fn refused(outcome: Result<Outcome, WalletError>) -> RefusedPayment {
    match outcome {
        Ok(Outcome::Refused(refused)) => *refused,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// A wallet that knows the token, and a node if it is to know one.
fn wallet_with(node: bool) -> (Wallet, SharedVault) {
    let vault = SharedVault::default();
    let mut wallet = vault.create();
    wallet.add_token(token()).unwrap();
    if node {
        wallet.set_node(CHAIN, Some(NODE)).unwrap();
    }
    (wallet, vault)
}

/// Every payment that was sent, each once.
fn sent(world: &World) -> BTreeSet<String> {
    let fields = ["PAYMENT-SIGNATURE", "X-PAYMENT", "Authorization", "X-Cashu"];
    let headers = world.log.iter().flat_map(|request| &request.headers);
    headers.filter(|(name, _)| fields.contains(&name.as_str())).map(|(_, value)| value.clone()).collect()
}

#[test]
fn a_page_is_paid_and_the_history_says_to_whom() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    for (n, dialect, name) in [(1, Dialect::X402, "x402"), (2, Dialect::V1, "x402"), (3, Dialect::Mpp, "mpp")]
    {
        world.seller.dialect = dialect;
        let paid = paid(world.buy(&mut wallet, "/page"));
        assert_eq!((paid.charged, paid.price, paid.dialect.as_str()), (usd(10_000), usd(10_000), name));
        assert_eq!(paid.notes, Vec::<String>::new());
        assert_eq!((world.chain.total(), total_spent(&wallet)), (n * 10_000, n * 10_000));
        let entry = &wallet.history(1).unwrap()[0];
        assert_eq!((entry.kind, entry.party.as_str()), (EntryKind::Pay, "seller.example"));
        let on = entry.on_chain.as_ref().unwrap();
        assert_eq!((on.chain, on.token, on.pay_to), (CHAIN, token().address, payee()));
        assert_eq!((on.units, on.taken), (Amount::new(10_000), None));
        let transaction = on.transaction.as_deref().unwrap();
        assert!(world.chain.taken.values().any(|taken| taken.transaction == transaction));
    }
    assert_eq!((sent(&world).len(), world.delivered, wallet.attempts().count()), (3, 3, 0));
    let own = wallet.account().unwrap();
    assert!(world.chain.taken.values().all(|taken| (taken.payer, taken.to) == (own, payee())));
}

#[test]
fn permit2_and_a_ceiling_are_signed_for() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(true);
    world.seller.accepts =
        vec![Requirements { extra: Extra::permit2("any", "thing"), ..requirements(10_000) }];
    assert_eq!(paid(world.buy(&mut wallet, "/exact")).charged, usd(10_000));

    world.seller.accepts = vec![upto(50_000)];
    world.seller.actual = Some(1_370);
    let less = paid(world.buy(&mut wallet, "/metered"));
    assert_eq!((less.price, less.charged), (usd(50_000), usd(1_370)));
    assert_eq!((total_spent(&wallet), world.chain.total()), (11_370, 11_370), "the node confirms it");
    let entry = &wallet.history(1).unwrap()[0];
    assert_eq!(entry.on_chain.as_ref().unwrap().taken, Some(Amount::new(1_370)));
    assert_eq!(entry.money, usd(1_370));
}

#[test]
fn a_seller_who_takes_more_than_he_says_does_not_deceive_the_budget() {
    // He takes 40000 of a ceiling of 50000 and says that it was 1.
    for (node, booked) in [(true, 40_000), (false, 50_000)] {
        let mut world = World::new();
        let (mut wallet, _) = wallet_with(node);
        world.seller.accepts = vec![upto(50_000)];
        (world.seller.actual, world.seller.claims) = (Some(40_000), Some(1));
        let less = paid(world.buy(&mut wallet, "/metered"));
        assert_eq!(total_spent(&wallet), booked, "with a node: {node}");
        assert_eq!(less.notes.len(), usize::from(!node), "{:?}", less.notes);
        assert_eq!(wallet.attempts().count(), 0);
    }
}

#[test]
fn a_ceiling_of_which_nothing_was_taken_is_booked_until_it_is_over() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(true);
    world.seller.accepts = vec![upto(50_000)];
    world.seller.actual = Some(0);
    let nothing = paid(world.buy(&mut wallet, "/metered"));
    assert_eq!((nothing.charged, total_spent(&wallet)), (usd(0), 50_000), "he may still take it");
    world.now = world.now.after(Span::from_secs(355));
    world.recover(&mut wallet).unwrap();
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (50_000, 1));
    world.now = world.now.after(Span::from_secs(10));
    world.recover(&mut wallet).unwrap();
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (0, 0));
    let entry = &wallet.history(1).unwrap()[0];
    assert_eq!((entry.kind, entry.money), (EntryKind::Pay, usd(0)));
}

#[test]
fn credits_come_first_unless_the_owner_says_otherwise() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(1 << 20);
    wallet.add_token(token()).unwrap();
    world.seller.offers_credits = true;
    let quote = |world: &mut World, wallet: &mut Wallet, means, signs: bool| {
        let flow = PayFlow::new(get_of(SELLER, "/page")).unwrap().only_with(means).only_asking();
        let flow = if signs { flow.on_chains([1; 32]) } else { flow };
        match world.run(wallet, flow) {
            Ok(Outcome::Quoted(quote)) => Ok(quote.dialect),
            Err(error) => Err(error.code()),
            other => panic!("expected a quote, got {other:?}"),
        }
    };
    let (credits, chain) = (Some(Means::Credits), Some(Means::Chain));
    let mut ask = |wallet: &mut Wallet, means, signs| quote(&mut world, wallet, means, signs);
    assert_eq!(ask(&mut wallet, None, true), Ok("cashu".into()));
    assert_eq!(ask(&mut wallet, credits, true), Ok("cashu".into()));
    assert_eq!(ask(&mut wallet, chain, true), Ok("x402".into()));
    assert_eq!(ask(&mut wallet, chain, false), Err("wallet-no-offer"));
    let (mut poor, _) = wallet_with(false);
    assert_eq!(ask(&mut poor, None, true), Ok("x402".into()));
    assert_eq!(ask(&mut poor, None, false), Err("wallet-funds-short"));
    assert_eq!(ask(&mut poor, credits, true), Err("wallet-funds-short"));
    assert_eq!((sent(&world).len(), total_spent(&poor), poor.attempts().count()), (0, 0, 0));
}

#[test]
fn a_quote_tells_who_would_be_paid() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    let flow = PayFlow::new(get_of(SELLER, "/page")).unwrap().on_chains([1; 32]).only_asking();
    let Ok(Outcome::Quoted(quote)) = world.run(&mut wallet, flow) else { panic!("expected a quote") };
    assert_eq!((quote.price, quote.mint), (usd(10_000), None));
    let on = quote.on_chain.unwrap();
    assert_eq!((on.chain, on.token, on.pay_to), (CHAIN, token().address, payee()));
}

#[test]
fn offers_that_cannot_be_trusted_are_passed_over() {
    type Change = fn(&mut Requirements, &Wallet);
    let changes: [(&str, Change); 15] = [
        ("is not known here", |r, _| r.asset = AccountAddress::from_bytes([0x71; 20]).to_string()),
        ("is not known here", |r, _| r.network = "eip155:31338".into()),
        ("none of the EVM", |r, _| r.network = "solana:5eykt".into()),
        ("no token's address", |r, _| r.asset = "USDC".into()),
        ("signs as Test Dollar version 1", |r, _| r.extra = Extra::eip3009("Test Dollar", "2")),
        ("signs as Test Dollar version 1", |r, _| r.extra = Extra::eip3009("Other Dollar", "1")),
        ("signs as Test Dollar version 1", |r, _| r.extra = Extra::default()),
        ("must name its receiverAuthorizer", |r, _| r.scheme = "batch-settlement".into()),
        ("way to move the token", |r, _| r.extra = r.extra.clone().with("assetTransferMethod", "erc7710")),
        ("payment flow", |r, _| r.extra = r.extra.clone().with("paymentFlow", "later")),
        ("must name the facilitator", |r, _| r.scheme = "upto".into()),
        ("who could be paid", |r, wallet| r.pay_to = wallet.account().unwrap().to_string()),
        ("who could be paid", |r, _| r.pay_to = AccountAddress::ZERO.to_string()),
        ("no account to be paid", |r, _| r.pay_to = "somebody".into()),
        ("cannot be paid", |r, _| r.amount = Uint::zero()),
    ];
    for (reason, change) in changes {
        let mut world = World::new();
        let (mut wallet, _) = wallet_with(false);
        change(&mut world.seller.accepts[0], &wallet);
        let error = world.buy(&mut wallet, "/page").unwrap_err();
        assert_eq!(error.code(), "wallet-no-offer", "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!((sent(&world).len(), total_spent(&wallet), wallet.attempts().count()), (0, 0, 0));
    }
}

#[test]
fn the_better_of_several_offers_is_taken() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    let permit2 = Requirements { extra: Extra::permit2("Test Dollar", "1"), ..requirements(10_000) };
    let unknown = Requirements { network: "eip155:1".into(), ..requirements(10) };
    world.seller.accepts = vec![unknown, upto(10_000), permit2, requirements(10_000)];
    paid(world.buy(&mut wallet, "/page"));
    let payload = Payload::from_header(sent(&world).first().unwrap(), 16_384).unwrap();
    assert!(matches!(payload.payload, SchemePayload::Eip3009(_)), "it needs no allowance");
}

#[test]
fn a_blocked_token_and_other_decimals_are_not_paid() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    world.seller.dialect = Dialect::Mpp;
    world.seller.decimals = 18;
    let error = world.buy(&mut wallet, "/page").unwrap_err();
    assert!(error.to_string().contains("other decimals"), "{error}");
    world.seller.decimals = 6;
    assert!(wallet.remove_token(CHAIN, token().address).unwrap());
    let error = world.buy(&mut wallet, "/page").unwrap_err();
    assert!(error.to_string().contains("is not known here"), "{error}");
    assert!(!wallet.remove_token(CHAIN, token().address).unwrap());
    assert_eq!(sent(&world).len(), 0);

    // What everybody knows is blocked, not forgotten.
    let common = wallet.tokens().into_iter().find(|token| token.chain.number() == 8_453).unwrap();
    assert!(wallet.remove_token(common.chain, common.address).unwrap());
    assert!(wallet.token(common.chain, common.address).unwrap().is_blocked);
    wallet.add_token(common.clone()).unwrap();
    assert_eq!(wallet.token(common.chain, common.address), Some(common));
}

#[test]
fn limits_refuse_before_anything_is_signed() {
    let refusal = |limits: Limits, max: Option<Money>, price: u64| {
        let mut world = World::new();
        let (mut wallet, _) = wallet_with(false);
        wallet.set_limits(limits).unwrap();
        world.seller.accepts = vec![requirements(price)];
        let request = PayRequest { max, ..get_of(SELLER, "/page") };
        let outcome = world.run(&mut wallet, PayFlow::new(request).unwrap().on_chains([1; 32]));
        let refused = match outcome {
            Err(WalletError::Budget(reject)) => Some(reject.kind),
            Ok(Outcome::Paid(_)) => None,
            other => panic!("expected a payment or a limit, got {other:?}"),
        };
        let seen = (sent(&world).len(), total_spent(&wallet));
        assert_eq!(seen, if refused.is_some() { (0, 0) } else { (1, price) });
        refused
    };
    let (none, some) = (Limits::none(unit()), |n: u64| Some(Amount::from(n)));
    for (limits, kind) in [
        (Limits { per_call: some(10_000), ..none }, LimitKind::PerCall),
        (Limits { per_host: some(10_000), ..none }, LimitKind::PerHost),
        (Limits { per_day: some(10_000), ..none }, LimitKind::PerDay),
        (Limits { total: some(10_000), ..none }, LimitKind::Total),
    ] {
        assert_eq!(refusal(limits, None, 10_001), Some(kind));
        assert_eq!(refusal(limits, None, 10_000), None);
    }
    assert_eq!(refusal(none, Some(usd(9_999)), 10_000), Some(LimitKind::ThisCall));
    let euros = Asset::micro("EUR").unwrap().money(Amount::new(1 << 40));
    assert_eq!(refusal(none, Some(euros), 10_000), Some(LimitKind::ThisCall), "of another asset");
    assert_eq!(refusal(Limits::usual(unit()), None, 1_000_001), Some(LimitKind::PerCall));
}

#[test]
fn a_token_with_more_decimals_counts_rounded_up() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    wallet.add_token(Token { decimals: 18, ..token() }).unwrap();
    world.seller.accepts = vec![requirements(1_000_000_000_001)];
    world.chain.balance = u64::MAX;
    assert_eq!(paid(world.buy(&mut wallet, "/page")).charged, usd(2));
    assert_eq!(total_spent(&wallet), 2);
}

#[test]
fn what_is_signed_is_good_for_ten_minutes_at_the_most() {
    for (offered, good) in [(1, 1), (300, 300), (86_400 * 365, 600)] {
        let permit2 = Requirements { extra: Extra::permit2("Test Dollar", "1"), ..requirements(10_000) };
        for offer in [requirements(10_000), permit2] {
            let mut world = World::new();
            let (mut wallet, _) = wallet_with(false);
            world.seller.accepts = vec![Requirements { max_timeout_seconds: offered, ..offer }];
            paid(world.buy(&mut wallet, "/page"));
            let until = *world.seller.signed.values().next().unwrap();
            assert_eq!(until - world.now.secs(), good, "to the second");
        }
    }
}

#[test]
fn tidying_up_leaves_alone_what_can_still_be_taken() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(true);
    world.faults = [vec![Fault::None], vec![Fault::AnswerLost; 4]].concat();
    world.buy(&mut wallet, "/page").unwrap_err();
    let mut tidy = |world: &mut World| match world.run(&mut wallet, RecoverFlow::overdue()) {
        Ok(Outcome::Recovered(list)) => list.len(),
        other => panic!("expected a recovery, got {other:?}"),
    };
    assert_eq!(tidy(&mut world), 0, "the same command may still get the page");
    world.now = world.now.after(Span::from_secs(400));
    assert_eq!(tidy(&mut world), 1);
}

#[test]
fn nobody_takes_less_than_an_exact_price() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    world.seller.claims = Some(1);
    assert_eq!(paid(world.buy(&mut wallet, "/page")).charged, usd(10_000));
    assert_eq!((total_spent(&wallet), world.chain.total()), (10_000, 10_000));
}

#[test]
fn a_seller_who_shows_the_transaction_of_another_payment_is_not_believed() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(true);
    world.seller.accepts = vec![upto(50_000)];
    world.seller.actual = Some(1);
    paid(world.buy(&mut wallet, "/first"));
    let first = world.chain.taken.values().next().map(|taken| taken.transaction.clone());
    // Of the second he takes a lot and shows what he took of the first.
    (world.seller.shows, world.seller.actual, world.seller.claims) = (first.clone(), Some(40_000), Some(1));
    paid(world.buy(&mut wallet, "/second"));
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (50_001, 1));
    world.now = world.now.after(Span::from_secs(1_000));
    world.recover(&mut wallet).unwrap();
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (50_001, 0), "all counts as spent");

    // Of the third he takes nothing yet, and has put its nonce into the transaction of the first.
    (world.seller.actual, world.chain.decoy) = (Some(0), first);
    paid(world.buy(&mut wallet, "/third"));
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (100_001, 1), "he may still take it");
}

#[test]
fn a_lost_answer_is_asked_for_with_the_same_signature() {
    for node in [false, true] {
        let mut world = World::new();
        let (mut wallet, vault) = wallet_with(node);
        world.faults = [vec![Fault::None], vec![Fault::AnswerLost; 4]].concat();
        let unknown = world.buy(&mut wallet, "/page").unwrap_err();
        assert_eq!((unknown.kind(), total_spent(&wallet)), (ErrorKind::Unknown, 10_000));
        let mut wallet = reopen(&vault);
        assert_eq!(paid(world.buy(&mut wallet, "/page")).charged, usd(10_000));
        assert_eq!((sent(&world).len(), world.chain.total(), total_spent(&wallet)), (1, 10_000, 10_000));
    }
}

#[test]
fn a_seller_who_does_not_remember_leaves_it_charged() {
    for (node, note) in [(false, "the merchant says"), (true, "the chain says")] {
        let mut world = World::new();
        let (mut wallet, _) = wallet_with(node);
        world.seller.manner = Manner::Forgetful;
        world.faults = vec![Fault::None, Fault::AnswerLost];
        let refused = refused(world.buy(&mut wallet, "/page"));
        assert_eq!(refused.reason.as_deref(), Some("invalid_exact_evm_nonce_already_used"));
        let charged = Settled::Charged { charged: usd(10_000), change: usd(0) };
        assert_eq!(refused.settled.unwrap(), charged);
        assert_eq!((sent(&world).len(), world.chain.total(), total_spent(&wallet)), (1, 10_000, 10_000));
        let entry = &wallet.history(1).unwrap()[0];
        assert!(entry.notes[0].starts_with(note), "{:?}", entry.notes);
        assert_eq!((entry.kind, wallet.attempts().count()), (EntryKind::Pay, 0));
    }
}

#[test]
fn a_refusal_is_not_believed_until_its_time_is_over() {
    let mut world = World::new();
    let (mut wallet, vault) = wallet_with(true);
    world.seller.manner = Manner::Refusing("invalid_exact_evm_insufficient_balance");
    for _ in 0..3 {
        let refused = refused(world.buy(&mut wallet, "/page"));
        assert_eq!(refused.reason.as_deref(), Some("invalid_exact_evm_insufficient_balance"));
        assert_eq!(refused.settled.unwrap(), Settled::Open(usd(10_000)));
        assert_eq!(
            refused.on_chain.unwrap().1.since(world.now),
            Span::from_secs(300 - world.now.secs() % 60)
        );
        assert_eq!((sent(&world).len(), total_spent(&wallet)), (1, 10_000), "never a second one");
        wallet = reopen(&vault);
    }
    // A little after its end the chain could still be turned back.
    world.now = world.now.after(Span::from_secs(330));
    let refused = refused(world.buy(&mut wallet, "/page"));
    assert_eq!((refused.status, sent(&world).len()), (0, 1), "nothing is sent of what nobody takes any more");
    assert_eq!(refused.settled.unwrap(), Settled::Open(usd(10_000)));
    world.now = world.now.after(Span::from_secs(60));
    world.seller.manner = Manner::Honest;
    assert_eq!(paid(world.buy(&mut wallet, "/page")).charged, usd(10_000));
    assert_eq!((sent(&world).len(), world.chain.total(), total_spent(&wallet)), (2, 10_000, 10_000));
    let kinds: Vec<_> = wallet.history(9).unwrap().iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [EntryKind::Pay, EntryKind::Refused]);
}

#[test]
fn without_a_node_what_nobody_knows_counts_as_spent() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    world.seller.manner = Manner::Refusing("invalid_exact_evm_insufficient_balance");
    refused(world.buy(&mut wallet, "/page"));
    world.now = world.now.after(Span::from_secs(800));
    let open = refused(world.buy(&mut wallet, "/page"));
    assert_eq!(open.settled.unwrap(), Settled::Open(usd(10_000)));
    world.now = world.now.after(Span::from_secs(101));
    world.seller.manner = Manner::Honest;
    paid(world.buy(&mut wallet, "/page"));
    assert_eq!((world.chain.total(), total_spent(&wallet)), (10_000, 20_000));
    let notes = &wallet.history(2).unwrap()[1].notes;
    assert!(notes[0].contains("it counts as spent"), "{notes:?}");
}

#[test]
fn a_seller_who_says_no_and_takes_it_does_not_deceive_the_budget() {
    for node in [true, false] {
        let mut world = World::new();
        let (mut wallet, _) = wallet_with(node);
        world.seller.manner = Manner::Stealing;
        let refused = refused(world.buy(&mut wallet, "/page"));
        let charged = Settled::Charged { charged: usd(10_000), change: usd(0) };
        let expected = if node { charged } else { Settled::Open(usd(10_000)) };
        assert_eq!(refused.settled.unwrap(), expected);
        world.now = world.now.after(Span::from_secs(2_000));
        world.recover(&mut wallet).unwrap();
        assert_eq!((world.chain.total(), total_spent(&wallet)), (10_000, 10_000));
        assert_eq!(wallet.attempts().count(), 0);
    }
}

#[test]
fn what_is_under_way_is_waited_for_and_never_signed_twice() {
    for manner in [Manner::Pending, Manner::Broken(503)] {
        let mut world = World::new();
        let (mut wallet, _) = wallet_with(true);
        world.seller.manner = manner;
        let unknown = world.buy(&mut wallet, "/page").unwrap_err();
        assert_eq!((unknown.kind(), total_spent(&wallet)), (ErrorKind::Unknown, 10_000), "{manner:?}");
        world.seller.manner = Manner::Forgetful;
        let charged = Settled::Charged { charged: usd(10_000), change: usd(0) };
        match world.buy(&mut wallet, "/page") {
            Ok(Outcome::Paid(paid)) => assert_eq!(paid.charged, usd(10_000)),
            Ok(Outcome::Refused(refused)) => assert_eq!(refused.settled.unwrap(), charged),
            other => panic!("expected an end, got {other:?}"),
        }
        assert_eq!((sent(&world).len(), world.chain.total(), total_spent(&wallet)), (1, 10_000, 10_000));
    }
}

#[test]
fn what_never_left_this_machine_is_undone() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    world.faults = vec![Fault::None, Fault::NotSent];
    let error = world.buy(&mut wallet, "/page").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (0, 0));
    // After that it may have left.
    world.faults = vec![Fault::None, Fault::RequestLost, Fault::NotSent, Fault::NotSent, Fault::NotSent];
    let error = world.buy(&mut wallet, "/page").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (10_000, 1));
}

#[test]
fn a_node_of_another_chain_is_not_believed() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(true);
    world.seller.manner = Manner::Stealing;
    world.chain.number = 1;
    let refused = refused(world.buy(&mut wallet, "/page"));
    assert_eq!(refused.settled.unwrap_err().code(), "wallet-bad-answer");
    world.now = world.now.after(Span::from_secs(9_000));
    world.recover(&mut wallet).unwrap();
    assert_eq!((total_spent(&wallet), wallet.attempts().count()), (10_000, 1));
}

#[test]
fn the_nodes_that_are_named_tell_what_there_is() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    let held = |world: &mut World, wallet: &mut Wallet| match world.run(wallet, HoldingsFlow::new()) {
        Ok(Outcome::Holdings(held)) => held,
        other => panic!("expected holdings, got {other:?}"),
    };
    assert!(held(&mut world, &mut wallet).is_empty(), "nobody is asked who was not named");
    wallet.set_node(CHAIN, Some(NODE)).unwrap();
    wallet.set_node("eip155:8453".parse().unwrap(), Some(NODE)).unwrap();
    let found = held(&mut world, &mut wallet);
    let money: Vec<_> =
        found.iter().map(|one| (one.token.symbol.as_str(), one.money.as_ref().ok().copied())).collect();
    assert_eq!(money, [("USDC", None), ("TUSD", Some(usd(5_000_000)))]);
    assert_eq!(wallet.set_node(CHAIN, Some("http://node.example")).unwrap_err().code(), "address-insecure");
}

#[test]
fn a_reject_of_a_limit_says_what_was_asked() {
    let mut world = World::new();
    let (mut wallet, _) = wallet_with(false);
    wallet.set_limits(Limits { total: Some(Amount::new(5)), ..Limits::none(unit()) }).unwrap();
    let Err(WalletError::Budget(reject)) = world.buy(&mut wallet, "/page") else {
        panic!("expected a limit")
    };
    let BudgetReject { asked, left, .. } = *reject;
    assert_eq!((asked.amount, left.amount), (Amount::new(10_000), Amount::new(5)));
}
