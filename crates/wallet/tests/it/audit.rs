//! An issuer that is honest passes an audit; every way of lying about what it owes is found.

use ed25519_dalek::SigningKey;
use farthing_ecash::{Proof, PublicKey, dleq};
use farthing_ledger::{Leaf, LeafKey};
use farthing_money::{Amount, Span};
use farthing_wallet::{
    AuditFlow, AuditReport, Counted, ErrorKind, Finding, FindingKind, MemoryVault, Outcome, ReceiveFlow,
    RestoreFlow, Row, SealingEntropy, Seed, SendFlow, Unlock, Vault, Wallet, asset_of,
};
use farthing_wire::liabilities::{Listed, Sha256Digest, Side, Statement};
use sha2::{Digest, Sha256};

use crate::world::publisher::{Publisher, read};
use crate::world::vault::SharedVault;
use crate::world::{KEY, MINT, SHOP, World, reopen};

/// A world in which a wallet has credits, has paid, and an epoch has ended.
fn world() -> (World, Wallet, SharedVault) {
    let mut world = World::new();
    let (mut wallet, vault) = world.wallet_with(1_000_000);
    world.pay(&mut wallet, "/page").unwrap();
    world.end_epoch();
    (world, wallet, vault)
}

fn another_wallet(seed: u8) -> Wallet {
    let entropy = SealingEntropy { salt: [1; 16], nonce: [2; 24] };
    let seed = Seed::from_entropy([seed; 16]).unwrap();
    Wallet::create(MemoryVault::default(), seed, Unlock::Key(&KEY), &entropy).unwrap()
}

/// The blinded messages that an issuer has listed and that may be the wallet's.
fn keys(publisher: &Publisher, world: &World, side: Side) -> Vec<LeafKey> {
    let keyset = world.mint.ids()[0].to_string();
    publisher.leaves(&keyset, side, u32::MAX).iter().map(|leaf| leaf.key).collect()
}

#[track_caller]
fn assert_clean(report: &AuditReport) {
    assert_eq!(report.findings, []);
}

#[track_caller]
fn assert_found(report: &AuditReport, kind: FindingKind) -> &Finding {
    let found = report.findings.iter().find(|finding| finding.kind == kind);
    found.unwrap_or_else(|| panic!("expected {kind:?}, got {:?}", report.findings))
}

fn listed(report: &AuditReport) -> Vec<u64> {
    report.keysets.iter().map(|checked| checked.own.unwrap_or_default().listed.sum).collect()
}

#[test]
fn an_honest_issuer_passes_over_rotations_and_restarts() {
    let (mut world, mut wallet, vault) = world();
    let report = world.audit(&mut wallet);
    assert_clean(&report);
    assert!(!report.is_key_known && report.notes.is_empty(), "{:?}", report.notes);
    assert_eq!(listed(&report), [990_000]);
    let checked = &report.keysets[0];
    assert_eq!((checked.statements, checked.statement.outstanding), (1, Amount::new(990_000)));
    assert!(checked.own.unwrap().spent.count > 0);

    let mut wallet = {
        drop(wallet);
        reopen(&vault)
    };
    world.mint.rotate();
    world.pay(&mut wallet, "/page").unwrap();
    let report = world.audit(&mut wallet);
    assert_clean(&report);
    assert!(report.is_key_known);
    assert_eq!(report.uncovered.values().map(|one| one.sum).sum::<u64>() + listed(&report)[0], 980_000);

    for _ in 0..4 {
        world.pay(&mut wallet, "/page").unwrap();
        world.end_epoch();
    }
    let mut wallet = reopen(&vault);
    for is_full in [false, true] {
        let report = world.audit_with(&mut wallet, is_full);
        assert_clean(&report);
        assert_eq!(listed(&report).iter().sum::<u64>(), 940_000);
        let past: Vec<_> = report.keysets.iter().map(|checked| checked.own.unwrap().past).collect();
        assert_eq!(past.iter().max().copied(), Some(if is_full { 4 } else { 1 }), "{past:?}");
    }
    assert_eq!(world.audit(&mut wallet).keysets.iter().map(|one| one.statements).max(), Some(5));
}

#[test]
fn new_credits_are_too_new_and_credits_under_way_may_be_gone() {
    let (mut world, mut wallet, _) = world();
    world.mint.add_code("LATER", 64);
    world.redeem(&mut wallet, "LATER").unwrap();
    let own = world.audit(&mut wallet).keysets[0].own.unwrap();
    assert_eq!(own.too_new, Counted { count: 1, sum: 64 });

    // A token was given away and its receiver has spent it; the wallet has not heard of that.
    let unit = "uusd".parse().unwrap();
    let money = asset_of(unit).unwrap().money(Amount::new(64));
    let sent = world.run(&mut wallet, SendFlow::new(money, Some(MINT), None).unwrap()).unwrap();
    let Outcome::Sent { token, .. } = sent else { panic!("expected a token") };
    let mut other = another_wallet(9);
    world.run(&mut other, ReceiveFlow::new(&token, true).unwrap()).unwrap();
    world.end_epoch();
    let report = world.audit(&mut wallet);
    assert_clean(&report);
    assert_eq!(report.keysets[0].own.unwrap().under_way.sum, 64);
    assert_clean(&world.audit(&mut other));
}

#[test]
fn requests_do_not_tell_whose_credits_are_asked_for() {
    let (mut world, mut wallet, _) = world();
    let mut other = another_wallet(9);
    world.mint.add_code("OTHER", 7_777);
    world.redeem(&mut other, "OTHER").unwrap();
    world.end_epoch();
    let mut requests = |wallet: &mut Wallet| {
        world.log.clear();
        assert_clean(&world.audit(wallet));
        std::mem::take(&mut world.log)
    };
    let (ours, theirs) = (requests(&mut wallet), requests(&mut other));
    assert!(ours.len() > 3 && ours == theirs, "{ours:?}\n{theirs:?}");
    for request in &ours {
        assert_eq!((request.method.as_str(), request.body.len(), request.headers.len()), ("GET", 0, 0));
    }
    // With all keysets even who has nothing at all asks for the same.
    let mut stranger = another_wallet(10);
    let mut full = |wallet: &mut Wallet| {
        world.log.clear();
        assert_clean(&world.audit_with(wallet, true));
        std::mem::take(&mut world.log)
    };
    assert_eq!(full(&mut wallet), full(&mut stranger));
}

#[test]
fn an_issued_entry_that_was_never_listed_is_missed() {
    let (mut world, mut wallet, vault) = world();
    world.mint.add_code("MORE", 64);
    world.redeem(&mut wallet, "MORE").unwrap();
    let keyset = world.mint.ids()[0];
    let before = keys(&world.publisher, &world, Side::Issued);
    world.publisher.list(&world.mint);
    let after = keys(&world.publisher, &world, Side::Issued);
    let dropped = *after.iter().find(|key| !before.contains(key)).unwrap();
    // Everybody is shown a sound tree without it.
    for _ in 0..2 {
        world.now = world.now.after(Span::from_secs(86_400));
        world.publisher.list(&world.mint);
        world.publisher.list_mut(keyset, Side::Issued).remove(&dropped);
        world.publisher.state(&world.mint, world.now);
    }
    let report = world.audit(&mut wallet);
    let finding = assert_found(&report, FindingKind::NotIssued);
    assert_eq!(report.findings.len(), 1);
    let evidence = &finding.evidence;
    assert_eq!(evidence["B_"], dropped.to_string());
    // Anyone can check that the issuer signed what it does not list.
    let point =
        |name: &str, json: &serde_json::Value| -> PublicKey { json[name].as_str().unwrap().parse().unwrap() };
    let signature = &evidence["signature"];
    let proof = serde_json::json!({ "e": signature["e"], "s": signature["s"] });
    let proof = serde_json::from_value(proof).unwrap();
    let (b, c, key) = (point("B_", evidence), point("C_", signature), point("key", signature));
    assert_eq!(dleq::verify(key, b, c, &proof), Ok(()));
    let text = evidence.to_string();
    for credit in credits(&vault) {
        assert!(
            !text.contains(&credit.secret) && !text.contains(&credit.y().to_string()),
            "a credit is shown"
        );
    }
}

/// The credits that a wallet has.
fn credits(vault: &SharedVault) -> Vec<Proof> {
    let rows = vault.load().unwrap().into_iter();
    rows.filter_map(|row| if let Row::Credit(credit) = row { Some(credit.proof) } else { None }).collect()
}

#[test]
fn an_entry_that_is_dropped_later_is_missed_by_whoever_saw_it() {
    // The payer has spent its credit: only the lists of before tell that it was ever issued.
    let (mut world, mut wallet, _) = world();
    assert_clean(&world.audit(&mut wallet));
    let keyset = world.mint.ids()[0];
    world.mint.add_code("NEXT", 1 << 19);
    world.redeem(&mut wallet, "NEXT").unwrap();
    world.publisher.list(&world.mint);
    let redeemed = keys(&world.publisher, &world, Side::Redeemed)[0];
    world.publisher.list_mut(keyset, Side::Redeemed).remove(&redeemed);
    let issued = keys(&world.publisher, &world, Side::Issued);
    let old = *issued.iter().find(|key| world.publisher.list_mut(keyset, Side::Issued)[key].1 == 0).unwrap();
    world.publisher.list_mut(keyset, Side::Issued).remove(&old);
    world.now = world.now.after(Span::from_secs(86_400));
    world.publisher.state(&world.mint, world.now);
    let report = world.audit(&mut wallet);
    assert_found(&report, FindingKind::Past);
    assert_found(&report, FindingKind::Broken);
}

#[test]
fn a_credit_that_was_spent_must_have_been_issued() {
    let (mut world, mut wallet, _) = world();
    let keyset = world.mint.ids()[0];
    let own = world.audit(&mut wallet).keysets[0].own.unwrap();
    assert!(own.spent.count > 0);
    let publisher = world.publisher.clone();
    let mut kinds = Vec::new();
    for key in keys(&publisher, &world, Side::Issued) {
        let mut fresh = another_wallet(7);
        world.publisher = Publisher::new(world.now);
        world.publisher.lists.clone_from(&publisher.lists);
        world.publisher.list_mut(keyset, Side::Issued).remove(&key);
        // The sums must still be sums: the issuer owes less than it does.
        world.publisher.state(&world.mint, world.now);
        world.run(&mut fresh, RestoreFlow::new(MINT).unwrap()).unwrap();
        let report = world.audit(&mut fresh);
        kinds.extend(report.findings.iter().map(|finding| finding.kind));
    }
    let missed = kinds.iter().filter(|kind| **kind == FindingKind::NotIssued).count();
    assert_eq!(missed as u64, own.spent.count, "{kinds:?}");
}

#[test]
fn a_changed_amount_is_found() {
    let (mut world, mut wallet, _) = world();
    let keyset = world.mint.ids()[0];
    for change in [|amount: u64| amount * 2, |amount: u64| amount / 2] {
        let honest = world.publisher.clone();
        world.publisher = Publisher::new(world.now);
        world.publisher.list(&world.mint);
        for (_, (amount, _)) in world.publisher.list_mut(keyset, Side::Issued).iter_mut() {
            *amount = change(*amount);
        }
        world.publisher.list_mut(keyset, Side::Redeemed).clear();
        world.publisher.state(&world.mint, world.now);
        let report = world.audit(&mut wallet);
        let finding = assert_found(&report, FindingKind::Amount);
        assert!(finding.evidence["signature"]["C_"].is_string());
        world.publisher = honest;
    }
    // Changed in the list alone, it is not the list that was signed.
    let first = keys(&world.publisher, &world, Side::Issued)[0];
    world.publisher.list_mut(keyset, Side::Issued).get_mut(&first).unwrap().0 *= 2;
    assert_found(&world.audit(&mut wallet), FindingKind::List);
}

#[test]
fn a_false_redeemed_entry_is_found() {
    let (mut world, mut wallet, vault) = world();
    let keyset = world.mint.ids()[0];
    let credit = credits(&vault).remove(0);
    let y = LeafKey::from_bytes(credit.y().to_bytes());
    let epoch = world.publisher.epoch;
    world.publisher.list_mut(keyset, Side::Redeemed).insert(y, (credit.amount, epoch));
    world.end_epoch();
    let report = world.audit(&mut wallet);
    let finding = assert_found(&report, FindingKind::Redeemed);
    assert_eq!((report.findings.len(), &finding.evidence["y"]), (1, &y.to_string().into()));
    assert!(!finding.evidence.to_string().contains(&credit.secret));
    // The same entry in the list alone is not in the tree that was signed.
    world.publisher.list_mut(keyset, Side::Redeemed).insert(LeafKey::from_bytes([3; 33]), (1, epoch));
    assert_found(&world.audit(&mut wallet), FindingKind::List);
}

#[test]
fn two_histories_are_found() {
    let (mut world, mut wallet, _) = world();
    let keyset = world.mint.ids()[0].to_string();
    assert_clean(&world.audit(&mut wallet));
    let seen = world.publisher.texts[0].clone();
    // The other history is sound in itself: who sees it alone cannot tell.
    world.publisher.texts.clear();
    world.publisher.epoch = 0;
    world.mint.add_code("OTHER", 5);
    world.redeem(&mut another_wallet(9), "OTHER").unwrap();
    world.end_epoch();
    let other = world.publisher.texts[0].clone();
    assert_clean(&world.audit(&mut another_wallet(9)));
    let report = world.audit(&mut wallet);
    let finding = assert_found(&report, FindingKind::Forked);
    assert_eq!(finding.evidence["statements"], serde_json::json!([seen, other]));
    // It stays found, also when both are shown, also to who sees them for the first time.
    world.publisher.texts = vec![seen.clone(), other];
    for wallet in [&mut wallet, &mut another_wallet(9)] {
        assert_found(&world.audit(wallet), FindingKind::Forked);
    }
    // The statement that was seen is gone, or all are.
    world.publisher.epoch = 5;
    world.publisher.texts.clear();
    world.end_epoch();
    assert_eq!(read(&world.publisher.texts[0]).keyset, keyset);
    assert_found(&world.audit(&mut wallet), FindingKind::Withdrawn);
    world.publisher.texts.clear();
    assert_found(&world.audit(&mut wallet), FindingKind::Withdrawn);
    // A list that does not begin at the beginning hides something.
    world.publisher.texts = vec![seen];
    world.publisher.epoch = 1;
    world.end_epoch();
    world.publisher.texts.remove(0);
    assert_found(&world.audit(&mut another_wallet(9)), FindingKind::Withdrawn);
}

#[test]
fn sums_that_fall_break_the_history() {
    let (mut world, mut wallet, _) = world();
    world.end_epoch();
    let honest = read(&world.publisher.texts[1]);
    let less = |listed: Listed| Listed { unlisted: Amount::new(1), ..listed };
    let broken = [
        Statement {
            redeemed: less(honest.redeemed),
            outstanding: honest.outstanding.checked_sub(Amount::new(1)).unwrap(),
            ..honest.clone()
        },
        Statement { previous: Some(Sha256Digest::from_bytes([1; 32])), ..honest.clone() },
        Statement { unit: "sat".parse().unwrap(), ..honest.clone() },
        Statement { opened_at: honest.opened_at.after(Span::from_secs(1)), ..honest },
    ];
    for (place, statement) in broken.into_iter().enumerate() {
        world.publisher.texts[1] = statement.sign(&world.publisher.key).unwrap();
        let report = world.audit(&mut wallet);
        if place < 3 {
            assert_found(&report, FindingKind::Broken);
        } else {
            // A pause between two epochs is no lie.
            assert_clean(&report);
        }
    }
}

#[test]
fn a_wrong_sum_in_an_inner_node_is_found() {
    let (mut world, mut wallet, _) = world();
    let keyset = world.mint.ids()[0].to_string();
    let honest = read(&world.publisher.texts[0]);
    let leaves = world.publisher.leaves(&keyset, Side::Issued, u32::MAX);
    assert!(leaves.len() > 2, "{}", leaves.len());
    let name = sha(&[b"farthing/sum-tree/1", &[3], Side::Issued.tree_name(&keyset).as_bytes()]);
    for lie in [0, 1_000] {
        let (digest, sum, count) = top(&name, &leaves, lie);
        let number = |sum: u128, count: u64| [&sum.to_be_bytes()[..], &count.to_be_bytes()].concat();
        let root = sha(&[b"farthing/sum-tree/1", &name, &[2], &digest, &number(sum, count)]);
        let issued = Listed { root: Sha256Digest::from_bytes(root), sum: Amount::new(sum), ..honest.issued };
        let outstanding = Statement::owed(&issued, &honest.redeemed).unwrap();
        let statement = Statement { issued, outstanding, ..honest.clone() };
        world.publisher.texts[0] = statement.sign(&world.publisher.key).unwrap();
        let report = world.audit(&mut wallet);
        if lie == 0 {
            // This test hashes as the issuer does: without the lie it is the honest tree.
            assert_clean(&report);
            wallet = reopened(&mut world);
        } else {
            assert_found(&report, FindingKind::List);
        }
    }
}

/// The same credits in a wallet that has seen no statement.
fn reopened(world: &mut World) -> Wallet {
    let mut fresh = another_wallet(7);
    world.run(&mut fresh, RestoreFlow::new(MINT).unwrap()).unwrap();
    fresh
}

fn sha(parts: &[&[u8]]) -> [u8; 32] {
    let hash = parts.iter().fold(Sha256::new(), Digest::chain_update);
    hash.finalize().into()
}

/// The tree by its definition, with a sum at the first join that is too low by `lie`.
fn top(name: &[u8; 32], leaves: &[Leaf], lie: u128) -> ([u8; 32], u128, u64) {
    let domain = b"farthing/sum-tree/1";
    if let [Leaf { key, amount, epoch }] = leaves {
        let rest = [&amount.to_be_bytes()[..], &epoch.to_be_bytes()].concat();
        return (sha(&[domain, name, &[0], key.as_bytes(), &rest]), u128::from(*amount), 1);
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (left, right) = (top(name, left, lie), top(name, right, 0));
    let bytes =
        |node: &([u8; 32], u128, u64)| [&node.0[..], &node.1.to_be_bytes(), &node.2.to_be_bytes()].concat();
    let sum = (left.1 + right.1).saturating_sub(if leaves.len() == 2 { lie } else { 0 });
    (sha(&[domain, name, &[1], &bytes(&left), &bytes(&right)]), sum, left.2 + right.2)
}

#[test]
fn another_key_is_found() {
    let (mut world, mut wallet, _) = world();
    // The wallet knows the issuer's key from its receipts.
    world.publisher.key = SigningKey::from_bytes(&[9; 32]);
    let text = read(&world.publisher.texts[0]).sign(&world.publisher.key).unwrap();
    let honest = std::mem::replace(&mut world.publisher.texts[0], text);
    let at_shop = world.run(&mut wallet, AuditFlow::new(SHOP, false).unwrap()).unwrap();
    let Outcome::Audited(report) = at_shop else { panic!("expected an audit") };
    assert_found(&report, FindingKind::Key);
    // One that has paid nobody remembers the key of its first audit.
    let mut other = another_wallet(9);
    world.publisher.texts[0] = honest;
    assert_clean(&world.audit(&mut other));
    world.end_epoch();
    let report = world.audit(&mut other);
    assert_found(&report, FindingKind::Key);
    assert!(report.is_key_known);
    // A text that was altered or is none is told as well.
    world.publisher.texts[1].push('A');
    assert_found(&world.audit(&mut other), FindingKind::Malformed);
}

#[test]
fn a_keyset_that_is_kept_silent_is_found() {
    let (mut world, mut wallet, _) = world();
    world.mint.rotate();
    world.mint.add_code("MORE", 64);
    world.run(&mut wallet, RestoreFlow::new(MINT).unwrap()).unwrap();
    world.redeem(&mut wallet, "MORE").unwrap();
    world.publisher.silent = vec![world.mint.ids()[1]];
    let report = world.audit(&mut wallet);
    assert_clean(&report);
    assert_eq!(report.uncovered.values().next().unwrap().sum, 64);
    world.end_epoch();
    world.end_epoch();
    assert_found(&world.audit(&mut wallet), FindingKind::Keyset);
    // So is one of which there was word once.
    world.publisher.silent = vec![world.mint.ids()[0]];
    world.end_epoch();
    assert_clean(&world.audit(&mut another_wallet(9)));
    world.end_epoch();
    assert_found(&world.audit(&mut another_wallet(9)), FindingKind::Keyset);
}

#[test]
fn a_keyset_that_has_expired_may_fall_silent() {
    let (mut world, mut wallet, _) = world();
    world.mint.rotate();
    let ids = world.mint.ids();
    world.publisher.texts.clear();
    for _ in 0..4 {
        world.publisher.final_expiry = Some(world.now.after(Span::from_secs(86_400 * 9)));
        world.publisher.texts.clear();
        world.publisher.epoch = 0;
        world.end_epoch();
    }
    world.publisher.silent = vec![ids[0]];
    world.publisher.texts.retain(|text| read(text).keyset == ids[0].to_string());
    world.publisher.final_expiry = None;
    for _ in 0..3 {
        world.end_epoch();
    }
    // The wallet itself was told that its keyset does not end: then it must not fall silent.
    assert_found(&world.audit(&mut wallet), FindingKind::Keyset);
    // Another, that never heard of it, goes by the statement.
    assert_found(&world.audit(&mut another_wallet(9)), FindingKind::Keyset);
    world.now = world.now.after(Span::from_secs(86_400 * 9));
    assert_clean(&world.audit(&mut another_wallet(9)));
}

#[test]
fn a_busy_issuer_is_asked_again() {
    let (mut world, mut wallet, _) = world();
    let requests = |world: &World| world.log.iter().filter(|one| one.url.contains("liabilities")).count();
    assert_clean(&world.audit(&mut wallet));
    let usual = requests(&world);
    world.log.clear();
    world.publisher.busy.set(3);
    assert_clean(&world.audit(&mut wallet));
    assert_eq!(requests(&world), usual + 3);
    world.publisher.busy.set(100);
    let error = world.run(&mut wallet, AuditFlow::new(MINT, false).unwrap()).unwrap_err();
    assert_eq!((error.code(), error.kind()), ("wallet-bad-answer", ErrorKind::Unknown));
}

#[test]
fn who_publishes_nothing_is_told_from_who_has_nothing_yet() {
    let mut world = World::new();
    let (mut wallet, _) = world.wallet_with(64);
    let report = world.audit(&mut wallet);
    assert_clean(&report);
    assert!(report.notes.iter().any(|note| note.contains("no statement yet")), "{:?}", report.notes);
    assert_eq!(report.uncovered.values().next().unwrap().sum, 64);
    world.publisher.is_silent = true;
    let error = world.run(&mut wallet, AuditFlow::new(MINT, false).unwrap()).unwrap_err();
    assert_eq!((error.code(), error.kind()), ("mint-no-statements", ErrorKind::NotFound));
    // Whoever had statements and shows none is another matter.
    world.publisher.is_silent = false;
    world.end_epoch();
    assert_clean(&world.audit(&mut wallet));
    world.publisher.is_silent = true;
    assert_found(&world.audit(&mut wallet), FindingKind::Withdrawn);
}
