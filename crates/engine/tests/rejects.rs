//! Every refusal of the engine appears here once, and after each of them nothing has changed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use farthing_engine::{
    Chart, CodeId, Command, CreateCodes, CreditId, Hold, Input, Issue, IssuePart, Keys, KeysetRow, Melt,
    MeltQuoteRow, MintQuoteRow, OpenKeyset, OpenMeltQuote, OpenMintQuote, Output, OutputId, PaymentId, Post,
    QuoteId, Reject, Release, RequestTag, Rows, Swap, credits_account, decide,
};
use farthing_ledger::{Account, AccountId, LedgerReject};
use farthing_money::{Amount, Asset, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_000);

fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

fn eur() -> Asset {
    Asset::micro("EUR").unwrap()
}

fn credits() -> AccountId {
    credits_account(usd(), "01aa").id()
}

fn merchant() -> Account {
    Chart::of(usd()).merchant("shop")
}

fn credit(n: u8) -> CreditId {
    CreditId::from_bytes([n; 33])
}

fn input(n: u8, amount: u64) -> Input {
    Input { credit: credit(n), account: credits(), amount, witness: None }
}

fn output(n: u8, amount: u64) -> Output {
    Output { output: OutputId::from_bytes([n; 33]), account: credits(), amount }
}

fn quote(n: u8) -> QuoteId {
    QuoteId::from_bytes([n; 16])
}

fn code(n: u8) -> CodeId {
    CodeId::from_bytes([n; 32])
}

fn tag(n: u8) -> RequestTag {
    RequestTag::from_bytes([n; 16])
}

fn codes(ids: &[u8], amount: u128, expires_at: Option<Timestamp>) -> Command {
    let codes = ids.iter().map(|n| code(*n)).collect();
    Command::CreateCodes(CreateCodes { codes, amount: Amount::new(amount), asset: usd(), expires_at })
}

fn mint_row(code: Option<CodeId>) -> MintQuoteRow {
    MintQuoteRow {
        method: "code".into(),
        request: String::new(),
        asset: usd(),
        amount: Amount::ZERO,
        paid: Amount::ZERO,
        issued: Amount::ZERO,
        source: Chart::of(usd()).codes,
        code,
        pubkey: None,
        expires_at: Some(NOW),
        updated_at: NOW,
        tag: None,
    }
}

fn open_mint(n: u8, row: MintQuoteRow) -> Command {
    Command::OpenMintQuote(OpenMintQuote { quote: quote(n), row })
}

fn issue(n: u8, amount: u128, outputs: Vec<Output>, by: u8) -> Command {
    let part = IssuePart {
        quote: quote(n),
        pubkey: None,
        amount: Amount::new(amount),
        source: Chart::of(usd()).codes,
    };
    Command::Issue(Issue { parts: vec![part], outputs, asset: usd(), tag: tag(by) })
}

fn swap(inputs: Vec<Input>, outputs: Vec<Output>, by: u8) -> Command {
    Command::Swap(Swap { inputs, outputs, fee: Amount::ZERO, asset: usd(), tag: tag(by) })
}

fn melt_row(amount: u128, code: Option<CodeId>, expires_at: Timestamp) -> MeltQuoteRow {
    let target = Chart::of(usd()).codes;
    let (method, request) = ("code".into(), String::new());
    MeltQuoteRow {
        method,
        request,
        asset: usd(),
        amount: Amount::new(amount),
        target,
        code,
        expires_at,
        paid: None,
    }
}

fn open_melt(n: u8, row: MeltQuoteRow) -> Command {
    Command::OpenMeltQuote(OpenMeltQuote { quote: quote(n), row })
}

fn melt(n: u8, inputs: Vec<Input>, code: Option<CodeId>, by: u8) -> Melt {
    let (fee, target) = (Amount::ZERO, Chart::of(usd()).codes);
    Melt {
        quote: quote(n),
        terms: None,
        inputs,
        change: vec![],
        fee,
        asset: usd(),
        target,
        code,
        tag: tag(by),
    }
}

fn hold(inputs: Vec<Input>, price: u128, resource: &str) -> Command {
    let ids: Vec<_> = inputs.iter().map(|input| input.credit).collect();
    Command::Hold(Hold {
        payment: PaymentId::of_credits(&ids),
        inputs,
        price: Amount::new(price),
        asset: usd(),
        merchant: merchant().id(),
        resource: resource.into(),
        tag: tag(0),
    })
}

fn post(ids: &[CreditId], charged: u128) -> Command {
    Command::Post(Post {
        payment: PaymentId::of_credits(ids),
        credits: ids.to_vec(),
        accounts: vec![credits()],
        merchant: merchant().id(),
        asset: usd(),
        charged: Amount::new(charged),
        change: vec![],
        pass_until: None,
    })
}

fn keyset(index: u32, id: &str, retire: Vec<u32>) -> Command {
    let keyset = KeysetRow {
        id: id.into(),
        index,
        asset: usd(),
        orders: 32,
        input_fee_ppk: 0,
        final_expiry: None,
        active: true,
        opened_at: NOW,
    };
    Command::OpenKeyset(OpenKeyset { account: credits_account(usd(), id), keyset, retire })
}

/// Loads nothing from anywhere: every row that a command names and nobody wrote is absent.
fn load(rows: &mut Rows, command: &Command) {
    let mut keys = Keys::default();
    command.keys(&mut keys);
    keys.credits.iter().for_each(|key| rows.credits.load(*key, None));
    keys.outputs.iter().for_each(|key| rows.outputs.load(*key, None));
    keys.keysets.iter().for_each(|key| rows.keysets.load(*key, None));
    keys.codes.iter().for_each(|key| rows.codes.load(*key, None));
    keys.mint_quotes.iter().for_each(|key| rows.mint_quotes.load(*key, None));
    keys.melt_quotes.iter().for_each(|key| rows.melt_quotes.load(*key, None));
    keys.held.iter().for_each(|key| rows.held.load(*key, None));
    keys.payments.iter().for_each(|key| rows.payments.load(*key, None));
    keys.accounts.iter().for_each(|key| rows.accounts.load(*key, None));
}

fn unbalanced(inputs: u128, outputs: u128, fee: u128) -> Reject {
    Reject::Unbalanced { inputs: Amount::new(inputs), outputs: Amount::new(outputs), fee: Amount::new(fee) }
}

/// A command and the refusal that it must get.
type Case = (Command, Option<Reject>);

fn units(n: u128) -> Amount {
    Amount::new(n)
}

/// Commands in order: each part goes on where the one before it stopped.
fn table() -> Vec<Case> {
    [openings(), quotes(), issues(), swaps(), payments(), melts()].into_iter().flatten().collect()
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
        (open_melt(2, melt_row(10, Some(code(20)), Timestamp::from_secs(2_000))), None),
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

/// Every code but the one of a bug.
const CODES: [&str; 25] = [
    "amount-overflow",
    "code-exists",
    "code-expired",
    "credit-pending",
    "credit-spent",
    "duplicate-credit",
    "duplicate-output",
    "insufficient",
    "keyset-exists",
    "limit-reached",
    "output-signed",
    "payment-elsewhere",
    "payment-not-held",
    "payment-under-way",
    "quote-amount",
    "quote-exists",
    "quote-expired",
    "quote-locked",
    "quote-not-paid",
    "quote-used",
    "unbalanced",
    "unknown-code",
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

/// The rows that matter, in an order that does not differ from run to run.
fn snapshot(rows: &Rows) -> Vec<String> {
    let mut lines = Vec::new();
    for n in 0..=32_u8 {
        lines.push(format!("{:?}", rows.credits.get(&credit(n))));
        lines.push(format!("{:?}", rows.outputs.get(&output(n, 0).output)));
        lines.push(format!("{:?}", rows.codes.get(&code(n))));
        lines.push(format!("{:?}", rows.mint_quotes.get(&quote(n))));
        lines.push(format!("{:?}", rows.melt_quotes.get(&quote(n))));
        lines.push(format!("{:?}", rows.keysets.get(&u32::from(n))));
        lines.push(format!("{:?}", rows.held.get(&PaymentId::of_credits(&[credit(n)]))));
        lines.push(format!("{:?}", rows.payments.get(&PaymentId::of_credits(&[credit(n)]))));
    }
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
