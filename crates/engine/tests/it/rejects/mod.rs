//! Every refusal of codes, quotes, credits, payments, keysets, entries and the books' own state appears here, and after each of them
//! nothing has changed. Calls, channels, sessions, fares, bundles, refunds, payouts and uses have theirs in the tests of that name.

mod draft;

use std::collections::BTreeSet;

use farthing_engine::{
    AcceptRates, Admission, BOOKS, Chart, Command, CreditRow, Enter, EntitlementCommand, EntitlementId,
    EntitlementReject, EntitlementRow, ExpireKeyset, Funds, IssueEntitlement, Marks, Melt, MintQuoteRow,
    Mode, OpenTrial, PaymentId, Post, Prune, Publish, QuotaId, QuotaReject, RATES, RateSet, RefundCodes,
    Reject, Release, Reverse, Rows, StatementId, StatementRow, TakeQuota, TrialCount, TrialReject,
    credits_account, decide, sale_reference,
};
use farthing_ledger::{AccountId, AccountKind, LedgerReject, Reference};
use farthing_money::{Amount, Span, Timestamp};

use draft::*;

/// A command and the refusal that it must get.
type Case = (Command, Option<Reject>);

fn units(n: u128) -> Amount {
    Amount::new(n)
}

/// Commands in order: each part goes on where the one before it stopped.
fn table() -> Vec<Case> {
    let parts = [
        openings(),
        quotes(),
        issues(),
        swaps(),
        payments(),
        melts(),
        refunds(),
        entries(),
        ends(),
        modes(),
        quotas(),
        trials(),
        rates(),
    ];
    parts.into_iter().flatten().collect()
}

fn openings() -> Vec<Case> {
    let mut accounts = Chart::of(usd()).accounts();
    accounts.push(merchant());
    vec![
        (Command::OpenAccounts(accounts), None),
        (keyset(0, "01aa", vec![]), None),
        (keyset(0, "01aa", vec![]), None),
        (keyset(0, "01bb", vec![]), Some(Reject::KeysetExists(0))),
        (keyset(1, "01bb", vec![7]), Some(Reject::UnknownKeyset(7))),
    ]
}

fn quotes() -> Vec<Case> {
    vec![
        (codes(&[1, 2], 100, None), None),
        (codes(&[3, 3], 100, None), Some(Reject::CodeExists(code(3)))),
        (codes(&[1], 100, None), Some(Reject::CodeExists(code(1)))),
        (codes(&[4, 5], u128::MAX, None), Some(Reject::AmountOverflow)),
        (codes(&[6], 100, Some(NOW)), None),
        (open_mint(1, mint_row(Some(code(9)))), Some(Reject::UnknownCode)),
        (open_mint(1, mint_row(Some(code(6)))), Some(Reject::CodeExpired)),
        (
            open_mint(1, MintQuoteRow { asset: eur(), ..mint_row(Some(code(1))) }),
            Some(Reject::WrongAsset { expected: usd(), got: eur() }),
        ),
        (open_mint(1, mint_row(Some(code(1)))), None),
        (open_mint(1, mint_row(Some(code(2)))), Some(Reject::QuoteExists(quote(1)))),
        (open_mint(2, mint_row(Some(code(1)))), None), // claimed before: answers with quote 1
        (open_mint(3, mint_row(None)), None),
        (open_mint(4, MintQuoteRow { pubkey: Some("02".into()), paid: units(5), ..mint_row(None) }), None),
        (open_mint(5, MintQuoteRow { expires_at: None, ..mint_row(None) }), None),
    ]
}

fn issues() -> Vec<Case> {
    vec![
        (issue(9, 100, vec![output(1, 100)], 1), Some(Reject::UnknownQuote(quote(9)))),
        (issue(4, 5, vec![output(1, 5)], 1), Some(Reject::QuoteLocked(quote(4)))),
        (issue(3, 5, vec![output(1, 5)], 1), Some(Reject::QuoteExpired(quote(3)))),
        (
            issue(5, 5, vec![output(1, 5)], 1),
            Some(Reject::QuoteNotPaid { quote: quote(5), paid: units(0), needed: units(5) }),
        ),
        (
            issue(1, 99, vec![output(1, 99)], 1),
            Some(Reject::QuoteAmount { quote: quote(1), expected: units(100), got: units(99) }),
        ),
        (issue(1, 100, vec![output(1, 99)], 1), Some(unbalanced(100, 99, 0))),
        (
            issue(1, 100, vec![output(1, 50), output(1, 50)], 1),
            Some(Reject::DuplicateOutput(output(1, 0).output)),
        ),
        (issue(1, 100, vec![output(1, 100)], 1), None),
        (issue(1, 100, vec![output(1, 100)], 1), None),
        (issue(1, 100, vec![output(2, 100)], 2), Some(Reject::QuoteUsed(quote(1)))),
    ]
}

fn swaps() -> Vec<Case> {
    vec![
        (
            swap(vec![input(1, 60), input(1, 60)], vec![output(3, 120)], 3),
            Some(Reject::DuplicateCredit(credit(1))),
        ),
        (swap(vec![input(1, 60)], vec![output(1, 60)], 3), Some(Reject::OutputSigned(output(1, 0).output))),
        (swap(vec![input(1, 60)], vec![output(3, 61)], 3), Some(unbalanced(60, 61, 0))),
        (
            swap(vec![input(1, 101)], vec![output(3, 101)], 3),
            Some(Reject::Ledger(LedgerReject::DebitsExceedCredits {
                account: credits(),
                available: units(100),
                needed: units(101),
            })),
        ),
        (swap(vec![input(1, 60)], vec![output(3, 60)], 3), None),
        (swap(vec![input(1, 60)], vec![output(4, 60)], 4), Some(Reject::CreditSpent(credit(1)))),
    ]
}

fn payments() -> Vec<Case> {
    let payment = |n| PaymentId::of_credits(&[credit(n)]);
    let of_euros = |command: Command| match command {
        Command::Post(post) => Command::Post(Post { asset: eur(), ..post }),
        other => other,
    };
    vec![
        (hold(vec![input(5, 10)], 11, "/"), Some(Reject::Insufficient { price: units(11), got: units(10) })),
        (hold(vec![input(5, 10)], 10, "/"), None),
        (hold(vec![input(5, 10)], 10, "/"), Some(Reject::PaymentUnderWay(payment(5)))),
        (swap(vec![input(5, 10)], vec![output(5, 10)], 5), Some(Reject::CreditPending(credit(5)))),
        (post(&[credit(6)], 10), Some(Reject::PaymentNotHeld(payment(6)))),
        (post(&[credit(5)], 9), Some(unbalanced(10, 0, 9))),
        (of_euros(post(&[credit(5)], 10)), Some(Reject::WrongAsset { expected: usd(), got: eur() })),
        (post(&[credit(5)], 10), None),
        (hold(vec![input(5, 10)], 10, "/other"), Some(Reject::PaymentElsewhere(payment(5)))),
        (
            Command::Release(Release {
                payment: payment(5),
                credits: vec![credit(5)],
                accounts: vec![credits()],
                asset: usd(),
                channel: None,
                marks: Marks::default(),
            }),
            Some(Reject::PaymentNotHeld(payment(5))),
        ),
    ]
}

fn melts() -> Vec<Case> {
    vec![
        (open_melt(1, melt_row(10, Some(code(1)), NOW)), Some(Reject::CodeExists(code(1)))),
        (open_melt(1, melt_row(10, None, NOW)), None),
        (open_melt(1, melt_row(10, None, NOW)), Some(Reject::QuoteExists(quote(1)))),
        (Command::Melt(melt(1, vec![input(7, 10)], None, 7)), Some(Reject::QuoteExpired(quote(1)))),
        (Command::Melt(melt(8, vec![input(7, 10)], None, 7)), Some(Reject::UnknownQuote(quote(8)))),
        (open_melt(2, melt_row(10, Some(code(20)), Timestamp::from_secs(20_000))), None),
        (Command::Melt(melt(2, vec![input(7, 9)], Some(code(20)), 7)), Some(unbalanced(9, 10, 0))),
        (
            Command::Melt(Melt { asset: eur(), ..melt(2, vec![input(7, 10)], Some(code(20)), 7) }),
            Some(Reject::WrongAsset { expected: usd(), got: eur() }),
        ),
        (Command::Melt(melt(2, vec![input(7, 10)], Some(code(20)), 7)), None),
        (Command::Melt(melt(2, vec![input(7, 10)], Some(code(20)), 7)), None),
        (Command::Melt(melt(2, vec![input(8, 10)], Some(code(20)), 8)), Some(Reject::QuoteUsed(quote(2)))),
        // A command that names another row than it reads is a bug, told as such.
        (Command::Melt(melt(1, vec![input(8, 10)], Some(code(21)), 8)), Some(Reject::QuoteExpired(quote(1)))),
    ]
}

fn refund(ids: &[u8]) -> Command {
    Command::RefundCodes(RefundCodes { codes: ids.iter().map(|n| code(*n)).collect(), asset: usd() })
}

fn refunds() -> Vec<Case> {
    vec![
        (codes(&[30, 31], 100, None), None),
        (refund(&[1]), Some(Reject::CodeUsed)),
        (refund(&[9]), Some(Reject::UnknownCode)),
        (refund(&[30, 30]), None),
        (refund(&[30]), None),
        (open_mint(9, mint_row(Some(code(30)))), Some(Reject::CodeWithdrawn)),
        (open_mint(9, mint_row(Some(code(31)))), None),
    ]
}

fn reference(n: u8) -> Reference {
    Reference::from_bytes([n; 32])
}

fn bank() -> AccountId {
    Chart::of(usd()).own("bank", AccountKind::Asset).id()
}

fn enter(n: u8, debit: AccountId, credit: AccountId, amount: u128, dated: u64) -> Command {
    Command::Enter(Enter {
        reference: reference(n),
        debit,
        credit,
        amount: units(amount),
        asset: usd(),
        dated: Timestamp::from_secs(dated),
        memo: "a note".into(),
        also: None,
    })
}

fn reverse(reference: Reference, codes: &[u8], accounts: &[AccountId]) -> Command {
    let codes = codes.iter().map(|n| code(*n)).collect();
    Command::Reverse(Reverse { reference, codes, accounts: accounts.to_vec(), memo: "by mistake".into() })
}

fn entries() -> Vec<Case> {
    let chart = Chart::of(usd());
    let (sold, pair) = (chart.codes_sold, [chart.codes_sold, chart.codes]);
    let bought = |ids: &[u8]| sale_reference(&ids.iter().map(|n| code(*n)).collect::<Vec<_>>());
    vec![
        (Command::OpenAccounts(vec![chart.own("bank", AccountKind::Asset)]), None),
        (enter(1, bank(), sold, 50, 900), None),
        (enter(1, bank(), sold, 50, 900), None),
        (enter(1, bank(), sold, 51, 900), Some(Reject::EntryExists(reference(1)))),
        (enter(2, bank(), chart.codes, 5, 900), Some(Reject::AccountReserved("codes".into()))),
        (enter(2, credits(), bank(), 5, 900), Some(Reject::AccountReserved("credits:01aa".into()))),
        (enter(2, bank(), sold, 0, 900), Some(Reject::Ledger(LedgerReject::ZeroAmount))),
        (reverse(reference(8), &[], &[]), Some(Reject::UnknownEntry(reference(8)))),
        (reverse(reference(1), &[], &[bank(), sold]), None),
        (reverse(reference(1), &[], &[bank(), sold]), Some(Reject::EntryReversed(reference(1)))),
        (codes(&[11, 12], 10, None), None),
        (reverse(bought(&[1, 2]), &[1, 2], &pair), Some(Reject::CodeUsed)),
        (reverse(bought(&[11, 12]), &[11, 12], &pair), None),
        (open_mint(9, mint_row(Some(code(11)))), Some(Reject::QuoteExists(quote(9)))),
        (open_mint(10, mint_row(Some(code(11)))), Some(Reject::CodeWithdrawn)),
    ]
}

fn publish(text: &str) -> Command {
    let row = StatementRow { text: text.into(), at: NOW };
    Command::Publish(Publish { id: StatementId::day_head(1), row })
}

fn expire(index: u32, id: &str) -> Command {
    let account = credits_account(usd(), id).id();
    Command::ExpireKeyset(ExpireKeyset { index, account, asset: usd() })
}

fn prune(index: u32, id: &str) -> Command {
    let account = credits_account(usd(), id).id();
    let (credits, outputs) = (vec![credit(40), credit(5)], vec![output(40, 0).output]);
    Command::Prune(Prune { index, account, credits, outputs, payments: vec![] })
}

fn of_dying(command: Command) -> Command {
    let dying = credits_account(usd(), "01cc").id();
    match command {
        Command::OpenKeyset(mut open) => {
            open.keyset.final_expiry = Some(NOW.secs());
            Command::OpenKeyset(open)
        }
        Command::Swap(mut swap) => {
            swap.outputs.iter_mut().for_each(|output| output.account = dying);
            Command::Swap(swap)
        }
        Command::Hold(mut hold) => {
            if let Funds::Credits(inputs) = &mut hold.funds {
                for input in inputs {
                    input.account = dying;
                }
            }
            Command::Hold(hold)
        }
        Command::Release(mut release) => {
            release.accounts = vec![dying];
            Command::Release(release)
        }
        other => other,
    }
}

/// An entitlement that ends some days after `NOW`.
fn issue_entitlement(days: u64) -> Command {
    let features = vec![("export".to_owned(), None)];
    let until = NOW.after(Span::from_secs(days * 86_400));
    let row = EntitlementRow { features, issued_at: NOW, until, revoked_at: None };
    EntitlementCommand::Issue(IssueEntitlement { id: EntitlementId::from_bytes([1; 16]), row }).into()
}

/// Epochs, periods, published texts, and the end of a keyset.
fn ends() -> Vec<Case> {
    let hour = Timestamp::from_secs(3_600);
    let release = Command::Release(Release {
        payment: PaymentId::of_credits(&[credit(40)]),
        credits: vec![credit(40)],
        accounts: vec![],
        asset: usd(),
        channel: None,
        marks: Marks::default(),
    });
    vec![
        (publish("a"), None),
        (publish("a"), None),
        (publish("b"), Some(Reject::StatementExists(StatementId::day_head(1)))),
        (issue_entitlement(1), None),
        (issue_entitlement(1), None),
        (
            issue_entitlement(2),
            Some(Reject::Entitlement(EntitlementReject::Exists(EntitlementId::from_bytes([1; 16])))),
        ),
        (EntitlementCommand::Revoke(EntitlementId::from_bytes([1; 16])).into(), None),
        (EntitlementCommand::Revoke(EntitlementId::from_bytes([1; 16])).into(), None),
        (
            EntitlementCommand::Revoke(EntitlementId::from_bytes([2; 16])).into(),
            Some(Reject::Entitlement(EntitlementReject::Unknown(EntitlementId::from_bytes([2; 16])))),
        ),
        (Command::OpenEpoch(1), None),
        (Command::OpenEpoch(1), None),
        (Command::OpenEpoch(3), Some(Reject::EpochOutOfTurn { present: 1, got: 3 })),
        (Command::ClosePeriod(NOW), Some(Reject::PeriodOpen { until: NOW, now: NOW })),
        (Command::ClosePeriod(hour), None),
        (Command::ClosePeriod(hour), None),
        (
            enter(3, bank(), Chart::of(usd()).codes_sold, 5, 900),
            Some(Reject::PeriodClosed { until: hour, dated: Timestamp::from_secs(900) }),
        ),
        (of_dying(keyset(5, "01cc", vec![])), None),
        (of_dying(swap(vec![input(6, 20)], vec![output(40, 20)], 9)), None),
        (of_dying(hold(vec![input(40, 8)], 8, "/dying")), None),
        (expire(0, "01aa"), Some(Reject::KeysetAlive(0))),
        (expire(5, "01aa"), Some(Reject::UnknownKeyset(5))),
        (expire(5, "01cc"), Some(Reject::KeysetHeld(5))),
        (prune(5, "01cc"), Some(Reject::KeysetAlive(5))),
        (of_dying(release), None),
        (expire(5, "01cc"), None),
        (expire(5, "01cc"), None),
        (prune(5, "01cc"), None),
    ]
}

fn modes() -> Vec<Case> {
    vec![
        (Command::SetMode(Mode::Sunset), None),
        (codes(&[13], 100, None), Some(Reject::Sunset)),
        (open_mint(12, mint_row(None)), Some(Reject::Sunset)),
        (hold(vec![input(50, 2)], 2, "/sunset"), None),
        (Command::SetMode(Mode::Paused), None),
        (post(&[credit(50)], 2), None), // what is under way ends
        (codes(&[13], 100, None), Some(Reject::Paused)),
        (hold(vec![input(51, 2)], 2, "/paused"), Some(Reject::Paused)),
        (swap(vec![input(51, 2)], vec![output(51, 2)], 51), Some(Reject::Paused)),
        (swap(vec![input(1, 60)], vec![output(3, 60)], 3), None), // what was answered is answered again
        (Command::SetMode(Mode::Open), None),
        (swap(vec![input(51, 2)], vec![output(51, 2)], 51), None),
    ]
}

fn quota(n: u8) -> QuotaId {
    QuotaId::from_bytes([n; 32])
}

fn rates() -> Vec<Case> {
    let accept = |source: &str, at| {
        let (base, source) = ("EUR".parse().unwrap(), source.to_owned());
        Command::AcceptRates(AcceptRates { set: RateSet { base, at, source, quotations: Vec::new() } })
    };
    let early = Timestamp::from_secs(5);
    vec![
        (accept("bank", NOW), None),
        (accept("bank", NOW), None), // the same once more
        (accept("bank", early), Some(Reject::RatesOlder { known: NOW, got: early })),
        (accept("another", early), None),
    ]
}

fn trials() -> Vec<Case> {
    let open = |n: u8, network: u8, pubkey: &str| {
        let count = |n, limit| TrialCount { count: quota(n), limit };
        let row = MintQuoteRow { amount: units(5), pubkey: Some(pubkey.into()), ..mint_row(None) };
        let (network, all) = (count(network, 1), count(61, 2));
        Command::OpenTrial(OpenTrial { quote: quote(n), row, network, all, until: NOW })
    };
    vec![
        (open(60, 62, "02"), None),
        (open(60, 62, "02"), None), // the same once more
        (open(60, 62, "03"), Some(Reject::QuoteExists(quote(60)))),
        (open(61, 62, "03"), Some(Reject::Trial(TrialReject::NetworkHadItsOwn { limit: 1 }))),
        (open(61, 63, "03"), None),
        (open(62, 64, "04"), Some(Reject::Trial(TrialReject::AllGiven { limit: 2 }))),
    ]
}

fn quotas() -> Vec<Case> {
    let take = |n, limit| {
        let admission = Some(Admission { by: quota(0), limit: 1 });
        Command::from(TakeQuota { quota: quota(n), limit, until: NOW, admission })
    };
    vec![
        (take(1, 0), Some(Reject::Quota(QuotaReject::UsedUp { limit: 0 }))),
        (take(1, 1), None),
        (take(1, 1), Some(Reject::Quota(QuotaReject::UsedUp { limit: 1 }))),
        (take(2, 1), Some(Reject::Quota(QuotaReject::Crowded { limit: 1 }))),
    ]
}

/// Every code of theirs but the one of a bug.
const CODES: [&str; 47] = [
    "account-reserved",
    "amount-overflow",
    "code-exists",
    "code-expired",
    "code-used",
    "code-withdrawn",
    "credit-pending",
    "credit-spent",
    "duplicate-credit",
    "duplicate-output",
    "entitlement-exists",
    "entry-exists",
    "entry-reversed",
    "epoch-out-of-turn",
    "insufficient",
    "keyset-alive",
    "keyset-exists",
    "keyset-held",
    "ledger-refused",
    "limit-reached",
    "output-signed",
    "paused",
    "payment-elsewhere",
    "payment-not-held",
    "payment-under-way",
    "period-closed",
    "period-open",
    "quota-crowded",
    "quota-used-up",
    "quote-amount",
    "quote-exists",
    "quote-expired",
    "quote-locked",
    "quote-not-paid",
    "quote-used",
    "rates-older",
    "statement-exists",
    "sunset",
    "trial-network-full",
    "trials-given",
    "unbalanced",
    "unknown-code",
    "unknown-entitlement",
    "unknown-entry",
    "unknown-keyset",
    "unknown-quote",
    "wrong-asset",
];

#[test]
fn every_reject_appears_and_changes_nothing() {
    let mut rows = Rows::default();
    let mut seen = BTreeSet::new();
    for (n, (command, expected)) in table().into_iter().enumerate() {
        load(&mut rows, &command);
        let before = format!("{:?}", snapshot(&rows));
        let answer = decide(&mut rows, &command, NOW);
        assert_eq!(answer.as_ref().err(), expected.as_ref(), "row {n}: {command:?}");
        if let Some(reject) = expected {
            assert_eq!(format!("{:?}", snapshot(&rows)), before, "row {n}: a refusal changes nothing");
            assert!(!reject.to_string().is_empty());
            seen.insert(reject.code());
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), CODES);
}

#[test]
fn pruning_forgets_the_closed_keyset_and_nothing_else() {
    let mut rows = Rows::default();
    let orphan = output(40, 0).output;
    for (n, (command, expected)) in table().into_iter().enumerate() {
        load(&mut rows, &command);
        let signed = rows.outputs.get(&orphan).ok().flatten().cloned();
        assert_eq!(decide(&mut rows, &command, NOW).err(), expected, "row {n}");
        if matches!(command, Command::Prune(_)) && expected.is_none() {
            assert!(signed.is_some(), "it was there before");
        }
    }
    assert_eq!(rows.outputs.get(&orphan), Ok(None));
    assert!(matches!(rows.credits.get(&credit(5)), Ok(Some(CreditRow::Spent { .. }))), "another keyset's");
    let dying = rows.accounts.get(&credits_account(usd(), "01cc").id()).unwrap().unwrap().totals;
    assert_eq!((dying.credits_posted, dying.debits_posted), (units(20), units(20)), "written off");
    let expired = rows.accounts.get(&Chart::of(usd()).expired).unwrap().unwrap().totals;
    assert_eq!(expired.credits_posted, units(20));
}

/// The rows that matter, in an order that does not differ from run to run.
fn snapshot(rows: &Rows) -> Vec<String> {
    let mut lines = Vec::new();
    for n in 0..=52_u8 {
        lines.push(format!("{:?}", rows.credits.get(&credit(n))));
        lines.push(format!("{:?}", rows.outputs.get(&output(n, 0).output)));
        lines.push(format!("{:?}", rows.codes.get(&code(n))));
        lines.push(format!("{:?}", rows.mint_quotes.get(&quote(n))));
        lines.push(format!("{:?}", rows.melt_quotes.get(&quote(n))));
        lines.push(format!("{:?}", rows.entries.get(&reference(n))));
        lines.push(format!("{:?}", rows.quotas.get(&quota(n))));
        lines.push(format!("{:?}", rows.keysets.get(&u32::from(n))));
        lines.push(format!("{:?}", rows.held.get(&PaymentId::of_credits(&[credit(n)]))));
        lines.push(format!("{:?}", rows.payments.get(&PaymentId::of_credits(&[credit(n)]))));
    }
    lines.push(format!("{:?}", rows.books.get(&BOOKS)));
    lines.push(format!("{:?}", rows.rates.get(&RATES)));
    lines.push(format!("{:?}", rows.statements.get(&StatementId::day_head(1))));
    let chart = Chart::of(usd());
    for id in [chart.clearing, chart.codes, chart.codes_sold, credits(), merchant().id()] {
        lines.push(format!("{:?}", rows.accounts.get(&id)));
    }
    lines
}

/// A row that a command does not name cannot be read: the engine says so instead of taking it for absent.
#[test]
fn rows_that_were_not_loaded_are_a_bug() {
    let mut rows = Rows::default();
    let answer = decide(&mut rows, &swap(vec![input(1, 1)], vec![output(1, 1)], 1), NOW);
    assert_eq!(answer.err(), Some(Reject::NotLoaded));
}
