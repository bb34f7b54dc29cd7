//! One suite for both vaults of a wallet: what is committed is there, also after the folder is opened again.

use farthing_money::{Amount, Asset, Span, Timestamp, Unit};
use farthing_store::WalletFolder;
use farthing_wallet::sealed::{Unlock, seal};
use farthing_wallet::{
    Approval, Asker, Attempt, AttemptKind, Booking, Change, ChannelPolicy, Entry, EntryKind, Given, Limits,
    Measure, MemoryVault, Mint, Numbers, Outputs, Parked, Payment, Period, Renews, Row, Rule, Scope,
    SealingEntropy, Seed, Signer, Spent, StoredPass, Taken, Vault, Wallet, WalletError,
};
use proptest::prelude::*;
use serde_json::json;

const KEYSET: &str = "009a1f293253e41e";

fn unit() -> Unit {
    "uusd".parse().unwrap()
}

fn asker() -> Asker {
    Asker { tool: Some("fetch".parse().unwrap()), task: None }
}

fn scope(n: u64) -> Scope {
    Scope::Rule(Period::Month(n), "path/*.example.com:8443/blog".parse().unwrap())
}

fn outputs() -> Outputs {
    Outputs { keyset: KEYSET.parse().unwrap(), first: 3, amounts: vec![1, 2] }
}

fn entry(number: u64) -> Entry {
    Entry {
        number,
        at: Timestamp::from_secs(number),
        kind: EntryKind::Pay,
        party: "a.example".into(),
        money: Asset::micro("USD").unwrap().money(Amount::from(number)),
        url: Some("https://a.example/".into()),
        receipt: None,
        on_chain: None,
        subscription: None,
        asker: asker(),
        notes: vec!["odd".into()],
    }
}

fn payment() -> Payment {
    Payment {
        method: "GET".into(),
        url: "https://a.example/".into(),
        body: "00".into(),
        dialect: "mpp".into(),
        field: "Authorization".into(),
        credential: "Payment x".into(),
        price: 5,
        metered: false,
        booking: Booking {
            host: "a.example".into(),
            amount: 8,
            scopes: vec![Scope::Day(3), Scope::Total, scope(3)],
            asker: asker(),
        },
        change: Some(outputs()),
        delivered: false,
        receipt: None,
        chain: None,
        channel: None,
    }
}

/// The rows of budgets.
fn budget_row(kind: usize, n: u64) -> Row {
    match kind {
        13 => Row::Spent(Spent { unit: unit(), scope: scope(n), amount: Amount::from(n) }),
        14 => {
            let subject =
                ["host/a.example", "tool/x", "task/y", "path/a.example/b"][usize::try_from(n).unwrap() % 4];
            let (subject, measure) = (subject.parse().unwrap(), Measure::PerMonth);
            Row::Rule(Box::new(Rule { unit: unit(), subject, measure, amount: Amount::from(n) }))
        }
        15 => Row::Parked(Box::new(Parked {
            number: n,
            at: Timestamp::from_secs(n),
            method: "POST".into(),
            url: "https://a.example/".into(),
            body_digest: "00".into(),
            body: Some("61".into()),
            headers: vec![("Accept".into(), "text/html".into())],
            has_other_headers: true,
            price: Asset::micro("USD").unwrap().money(Amount::from(n)),
            asker: asker(),
            renews: n.is_multiple_of(2).then_some(Renews { subscription: n, margin: Span::from_secs(n) }),
            approval: Some(Approval { at: Timestamp::from_secs(n), until: None, once: true }),
        })),
        _ => {
            let text = "a.b.c".to_owned();
            let mandate = json!({
                "id": format!("{n:032x}"), "unit": "uusd", "asset": "USD", "scale": 6, "total": "5", "hosts": ["a.example"],
                "given": "2026-11-27T12:00:00Z", "until": "2026-12-27T12:00:00Z",
            });
            let mandate = serde_json::from_value(mandate).unwrap();
            if kind == 16 {
                return Row::Given(Box::new(Given {
                    mandate,
                    text,
                    token: Some(("t".into(), n)),
                    revoked: None,
                }));
            }
            let (giver, last, revoked) =
                ("k".to_owned(), Timestamp::from_secs(n), Some(Timestamp::from_secs(n)));
            Row::Mandate(Box::new(Taken {
                mandate,
                text,
                giver,
                is_binding: true,
                is_over: false,
                revoked,
                last,
            }))
        }
    }
}

/// A row of each kind; `n` changes its key where it has more than one.
fn row(kind: usize, n: u64) -> Row {
    let key = [7; 32];
    let attempt = |kind| Attempt {
        id: n,
        at: Timestamp::from_secs(n),
        mint: "https://m.example".into(),
        unit: unit(),
        inputs: Vec::new(),
        plans: vec![outputs()],
        kind,
    };
    match kind {
        0 => Row::Seed(seal(&n.to_be_bytes(), Unlock::Key(&key), &[0; 16], &[1; 24]).unwrap()),
        1 => Row::Numbers(Numbers { attempt: n, quote_key: 3, session: 5, restored: n.is_multiple_of(2) }),
        2 => Row::Mint(Box::new(Mint::new(&format!("https://{n}.example")))),
        3 => Row::Counter { keyset: KEYSET.parse().unwrap(), next: 9 },
        4 => Row::Attempt(Box::new(attempt(AttemptKind::Pay(Box::new(payment()))))),
        5 => {
            Row::Attempt(Box::new(attempt(AttemptKind::Sent { amount: n, reclaiming: true, booking: None })))
        }
        6 => Row::Entry(Box::new(entry(n))),
        7 => Row::Limits(Box::new(Limits { per_day: Some(Amount::from(n)), ..Limits::none(unit()) })),
        8 => Row::Spent(Spent { unit: unit(), scope: Scope::Day(n), amount: Amount::from(n) }),
        9 => Row::Pass(StoredPass {
            origin: "https://a.example".into(),
            covers: "https://a.example/".into(),
            scope: format!("url {n}"),
            pass: "a.b.c".into(),
            expires: Timestamp::from_secs(n),
            bundle: n.is_multiple_of(2).then(|| n.to_string()),
        }),
        10 => {
            let point = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
            let number = "01".repeat(32);
            let proof = json!({
                "amount": 4, "id": KEYSET, "secret": format!("s{n}"), "C": point,
                "dleq": {"e": number, "s": number, "r": number},
            });
            let credit = json!({"proof": proof, "mint": "https://m.example", "unit": "uusd", "reserved": n});
            serde_json::from_value(json!({ "credit": credit })).unwrap()
        }
        11 => Row::ChannelPolicy(ChannelPolicy { opens: n.is_multiple_of(2) }),
        12 => {
            let address = format!("0x{}", "11".repeat(20));
            let (hash, salt) = ("22".repeat(32), format!("{n:064x}"));
            let channel = json!({
                "token": {
                    "chain": "eip155:1", "address": address, "symbol": "USDC", "decimals": 6, "name": "USDC", "version": "2",
                    "counts_as": "uusd",
                },
                "terms": {
                    "payer": address, "payer_authorizer": address, "receiver": address,
                    "receiver_authorizer": address, "token": address, "withdraw_delay": 900,
                    "salt": format!("0x{salt}"),
                },
                "lane": n, "method": "eip3009", "host": "a.example", "url": "https://a.example/",
                "books": {"charged": "1", "signed": "2", "balance": "3", "claimed": "0"},
                "booked": "2", "entered": "1",
                "deposits": [{"amount": "9", "method": "permit2", "salt": format!("0x{hash}"), "since": 1, "until": Timestamp::from_secs(n)}],
                "withdrawal": {"amount": "4", "ready": n},
                "opened": Timestamp::from_secs(n),
            });
            serde_json::from_value(json!({ "channel": channel })).unwrap()
        }
        13.. if kind < 18 => budget_row(kind, n),
        _ => Row::Signer(Signer { host: format!("{n}.example"), key: "k".into() }),
    }
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = (0..19_usize, 0..4_u64, any::<bool>()).prop_map(|(kind, n, remove)| {
        let row = row(kind, n);
        if remove { Change::Remove(row.key()) } else { Change::Put(row) }
    });
    prop::collection::vec(prop::collection::vec(change, 1..5), 0..6)
}

fn by_key(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| row.key().to_string());
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_vaults_keep_the_same(commits in changes()) {
        let folder = tempfile::tempdir().unwrap();
        let mut memory = MemoryVault::default();
        let mut disk = WalletFolder::open(folder.path()).unwrap();
        for commit in &commits {
            memory.commit(commit).unwrap();
            disk.commit(commit).unwrap();
            prop_assert_eq!(by_key(disk.load().unwrap()), by_key(memory.load().unwrap()));
        }
        drop(disk);
        let disk = WalletFolder::open(folder.path()).unwrap();
        prop_assert_eq!(by_key(disk.load().unwrap()), by_key(memory.load().unwrap()));
        for limit in [0, 1, 2, 100] {
            prop_assert_eq!(disk.history(limit).unwrap(), memory.history(limit).unwrap());
        }
    }
}

#[test]
fn the_history_is_newest_first_and_loaded_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let suite = |vault: &mut dyn Vault| {
        for number in [1, 2, 10] {
            vault.commit(&[Change::Put(Row::Entry(Box::new(entry(number))))]).unwrap();
        }
        let numbers: Vec<_> = vault.history(2).unwrap().into_iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, [10, 2]);
        assert!(vault.load().unwrap().is_empty());
    };
    suite(&mut MemoryVault::default());
    suite(&mut WalletFolder::open(folder.path()).unwrap());
}

#[test]
fn a_folder_has_one_program() {
    let folder = tempfile::tempdir().unwrap();
    let first = WalletFolder::open(folder.path()).unwrap();
    let Err(fault) = WalletFolder::open(folder.path()) else { panic!("two programs have the folder") };
    assert_eq!(fault.code(), "vault-in-use");
    assert!(fault.message.contains("in use by another program"), "{fault}");
    drop(first);
    assert!(WalletFolder::open(folder.path()).is_ok());
}

#[cfg(unix)]
#[test]
fn a_new_folder_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a/wallet");
    drop(WalletFolder::open(&inner).unwrap());
    let mode = std::fs::metadata(&inner).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_wallet_opens_with_what_sealed_it() {
    let folder = tempfile::tempdir().unwrap();
    let open = || WalletFolder::open(folder.path()).unwrap();
    let entropy = SealingEntropy { salt: [1; 16], nonce: [2; 24] };
    let seed = Seed::from_entropy([3; 16]).unwrap();
    let words = seed.words();
    assert_eq!(Wallet::peek(&open()).unwrap(), None);
    let mut wallet = Wallet::create(open(), seed.clone(), Unlock::Key(&[9; 32]), &entropy).unwrap();
    wallet.set_limits(Limits { total: Some(Amount::new(5)), ..Limits::none(unit()) }).unwrap();
    drop(wallet);
    assert_eq!(Wallet::peek(&open()).unwrap(), Some(false));
    let refused = Wallet::create(open(), seed, Unlock::Key(&[9; 32]), &entropy);
    assert!(matches!(refused, Err(WalletError::WalletExists)));
    assert!(matches!(Wallet::open(open(), Unlock::Key(&[8; 32])), Err(WalletError::Sealed(_))));
    let mut wallet = Wallet::open(open(), Unlock::Key(&[9; 32])).unwrap();
    assert_eq!(*wallet.seed().words(), *words);
    assert_eq!(wallet.limits(unit()).total, Some(Amount::new(5)));
    let entropy = SealingEntropy { salt: [4; 16], nonce: [5; 24] };
    wallet.seal_again(Unlock::Passphrase("horse"), &entropy).unwrap();
    drop(wallet);
    assert_eq!(Wallet::peek(&open()).unwrap(), Some(true));
    assert_eq!(*Wallet::open(open(), Unlock::Passphrase("horse")).unwrap().seed().words(), *words);
}
