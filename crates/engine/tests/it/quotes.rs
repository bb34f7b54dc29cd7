//! Quotes that are paid on chains: money in for credits, credits in for money out, and what a chain takes back of either.

use farthing_engine::{
    Answer, Call, CallId, ChainAddress, Chart, Command, CreditId, CreditRow, Deposit, EndCall, Input, Issue,
    IssuePart, Keys, Marks, MeltQuoteRow, MintQuoteRow, Mode, Movement, Outcome, Output, OutputId, PaymentId,
    PaymentState, QuoteId, Reject, ReopenCall, RequestTag, Rows, SettledPayment, Swap, TransactionId,
    Withdraw, Worth, credits_account, decide, is_given_back,
};
use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Asset, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(10_000);
const LATER: Timestamp = Timestamp::from_secs(20_000);

fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

fn chart() -> Chart {
    Chart::of(usd())
}

fn reserve() -> Account {
    chart().reserve("eip155:84532:USDC")
}

fn credits() -> AccountId {
    credits_account(usd(), "01aa").id()
}

fn units(n: u128) -> Amount {
    Amount::new(n)
}

fn tag(n: u8) -> RequestTag {
    RequestTag::from_bytes([n; 16])
}

fn quote(n: u8) -> QuoteId {
    QuoteId::from_bytes([n; 16])
}

fn payment(n: u8) -> PaymentId {
    let address = ChainAddress::from_bytes([1; 20]);
    PaymentId::of_authorization(84_532, address, address, &[n; 32])
}

fn input(n: u8, amount: u64) -> Input {
    Input { credit: CreditId::from_bytes([n; 33]), account: credits(), amount, witness: None }
}

fn output(n: u8, amount: u64) -> Output {
    Output { output: OutputId::from_bytes([n; 33]), account: credits(), amount }
}

fn call(amount: u128) -> Call {
    let at = |n| ChainAddress::from_bytes([n; 20]);
    let moves = Movement { token: at(1), from: at(2), to: at(4), units: units(amount) };
    Call { chain: 84_532, to: at(1), input: vec![1, 2, 3], moves, until: LATER, approval: None }
}

fn mint_row(amount: u128) -> MintQuoteRow {
    MintQuoteRow {
        method: "evm".into(),
        request: String::new(),
        asset: usd(),
        amount: units(amount),
        paid: Amount::ZERO,
        issued: Amount::ZERO,
        source: chart().deposits,
        code: None,
        pubkey: None,
        expires_at: Some(LATER),
        updated_at: NOW,
        tag: None,
        payment: None,
        inlet: false,
    }
}

fn melt_row(amount: u128) -> MeltQuoteRow {
    MeltQuoteRow {
        method: "evm".into(),
        request: String::new(),
        asset: usd(),
        amount: units(amount),
        fee: units(1),
        target: reserve().id(),
        code: None,
        expires_at: LATER,
        paid: None,
        failed: 0,
    }
}

fn deposit(to: u8, by: u8, amount: u128) -> Deposit {
    Deposit {
        quote: quote(to),
        terms: Some(Box::new(mint_row(amount))),
        payment: payment(by),
        call: call(amount),
        reserve: reserve().id(),
        amount: units(amount),
        asset: usd(),
        tag: tag(by),
    }
}

/// Pays melt quote 1 of ten units with credits; one unit is the quote's fee, one more that of the inputs.
fn withdraw(failed: u32, inputs: Vec<Input>, change: Vec<Output>, by: u8) -> Withdraw {
    Withdraw {
        quote: quote(1),
        terms: Some(Box::new(melt_row(10))),
        failed,
        inputs,
        change,
        fee: units(1),
        asset: usd(),
        target: reserve().id(),
        call: call(10),
        tag: tag(by),
    }
}

fn issue(amount: u128, to: Output) -> Command {
    let part = IssuePart { quote: quote(1), pubkey: None, amount: units(amount), source: chart().deposits };
    Command::Issue(Issue { parts: vec![part], outputs: vec![to], asset: usd(), tag: tag(9) })
}

fn settled() -> Outcome {
    Outcome::Settled { transaction: TransactionId::from_bytes([5; 32]), block: 17, log: 0 }
}

fn failed() -> Outcome {
    Outcome::Failed { transaction: None, reason: "invalid_exact_evm_transaction_failed".into() }
}

/// Rows that nobody stores.
struct Books(Rows);

impl Books {
    /// Books in which credits for a thousand units are out.
    fn open() -> Self {
        let mut books = Self(Rows::default());
        let mut accounts = chart().accounts();
        let keyset = credits_account(usd(), "01aa");
        accounts.extend([reserve(), keyset]);
        books.run(&Command::OpenAccounts(accounts)).unwrap();
        books.deposited(7, 7, 1_000);
        let part =
            IssuePart { quote: quote(7), pubkey: None, amount: units(1_000), source: chart().deposits };
        let outputs = vec![output(100, 1_000)];
        books.run(&Command::Issue(Issue { parts: vec![part], outputs, asset: usd(), tag: tag(7) })).unwrap();
        books
    }

    fn deposited(&mut self, to: u8, by: u8, amount: u128) {
        self.run(&Command::Deposit(deposit(to, by, amount))).unwrap();
        self.end_deposit(to, by, settled()).unwrap();
    }

    fn end_deposit(&mut self, to: u8, by: u8, outcome: Outcome) -> Result<Answer, Reject> {
        self.end(payment(by), self.named(payment(by), quote(to)), outcome)
    }

    fn end_withdrawal(&mut self, after: u32, outcome: Outcome) -> Result<Answer, Reject> {
        let payment = PaymentId::of_withdrawal(quote(1), after);
        self.end(payment, self.named(payment, quote(1)), outcome)
    }

    fn end(&mut self, payment: PaymentId, named: SettledPayment, outcome: Outcome) -> Result<Answer, Reject> {
        let call = CallId::of_payment(payment);
        // Each call is settled by a transaction of its own.
        let outcome = match outcome {
            Outcome::Settled { block, log, .. } => {
                Outcome::Settled { transaction: TransactionId::from_bytes(*call.as_bytes()), block, log }
            }
            failed @ Outcome::Failed { .. } => failed,
        };
        self.run(&Command::EndCall(EndCall { call, outcome, payment: Some(named), gas: None, back: None }))
    }

    fn reopen(&mut self, payment: PaymentId, of: u8) -> Result<Answer, Reject> {
        let named = Some(self.named(payment, quote(of)));
        let call = CallId::of_payment(payment);
        self.run(&Command::ReopenCall(ReopenCall { call, payment: named }))
    }

    /// What a store's rows would name.
    fn named(&self, payment: PaymentId, of: QuoteId) -> SettledPayment {
        let held = self.0.held.get(&payment).ok().flatten();
        let row = held.or_else(|| self.0.payments.get(&payment).ok().flatten());
        let accounts = [reserve().id(), credits(), chart().deposits];
        SettledPayment {
            payment,
            accounts: accounts.to_vec(),
            merchant: row.map_or(reserve().id().into(), |row| row.merchant.clone()),
            asset: usd(),
            credits: row.map(|row| row.credits.clone()).unwrap_or_default(),
            change: row.into_iter().flat_map(|row| &row.change).map(|change| change.output).collect(),
            quote: Some(of),
            marks: Marks::default(),
        }
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        let mut keys = Keys::default();
        command.keys(&mut keys);
        self.0.load_absent(&keys);
        let before = format!("{:?}", self.look());
        let answer = decide(&mut self.0, command, NOW).map(|(answer, _)| answer);
        if answer.is_err() {
            assert_eq!(format!("{:?}", self.look()), before, "a refusal changes nothing: {command:?}");
        }
        answer
    }

    /// What was debited and credited for good, and what of each is pending.
    fn totals(&self, id: AccountId) -> [u128; 4] {
        let totals =
            self.0.accounts.get(&id).ok().flatten().map(|account| account.totals).unwrap_or_default();
        [totals.debits_posted, totals.credits_posted, totals.debits_pending, totals.credits_pending]
            .map(Amount::value)
    }

    /// Credits minus debits of what came in and went out beyond the thousand of the beginning.
    fn owed(&self, id: AccountId) -> i128 {
        let [debits, credits, ..] = self.totals(id).map(|total| i128::try_from(total).unwrap());
        credits - debits
    }

    fn mint(&self, n: u8) -> Option<MintQuoteRow> {
        self.0.mint_quotes.get(&quote(n)).ok().flatten().cloned()
    }

    fn melt(&self) -> Option<MeltQuoteRow> {
        self.0.melt_quotes.get(&quote(1)).ok().flatten().cloned()
    }

    fn credit(&self, n: u8) -> Option<CreditRow> {
        self.0.credits.get(&input(n, 0).credit).ok().flatten().cloned()
    }

    fn is_signed(&self, n: u8) -> bool {
        self.0.outputs.get(&output(n, 0).output).ok().flatten().is_some()
    }

    fn look(&self) -> Vec<String> {
        let accounts = [reserve().id(), credits(), chart().deposits, chart().withdrawals, chart().clearing];
        let mut lines: Vec<String> = accounts.map(|id| format!("{:?}", self.totals(id))).to_vec();
        for n in 0..=10 {
            lines.push(format!("{:?} {:?}", self.mint(n), self.credit(n)));
            let (mine, out) = (payment(n), PaymentId::of_withdrawal(quote(1), n.into()));
            for id in [mine, out] {
                let call = CallId::of_payment(id);
                lines.push(format!("{:?} {:?}", self.0.held.get(&id), self.0.calls.get(&call)));
                lines.push(format!("{:?}", self.0.settlements.get(&call)));
            }
        }
        lines.push(format!("{:?}", self.melt()));
        // What was never loaded is as good as what is not there.
        lines.into_iter().map(|line| line.replace("Err(NotLoaded)", "Ok(None)")).collect()
    }
}

#[test]
fn a_deposit_is_credited_once_and_backs_its_credits() {
    let mut books = Books::open();
    let command = Command::Deposit(deposit(1, 1, 50));
    for _ in 0..2 {
        let Answer::Settling(row) = books.run(&command).unwrap() else { panic!("it is on its way") };
        assert!(!is_given_back(&row), "a start leaves it to the chain");
        assert_eq!(books.totals(reserve().id())[2], 50, "promised once");
    }
    let early = issue(50, output(1, 50));
    let not_paid = Reject::QuoteNotPaid { quote: quote(1), paid: Amount::ZERO, needed: units(50) };
    assert_eq!(books.run(&early).err(), Some(not_paid));
    for _ in 0..2 {
        books.end_deposit(1, 1, settled()).unwrap();
        assert_eq!(books.mint(1).unwrap().paid, units(50));
        assert_eq!(books.owed(reserve().id()), -1_050, "an asset: what we have");
        assert_eq!(books.owed(chart().deposits), 50);
        assert!(matches!(books.run(&command).unwrap(), Answer::Posted(_)));
    }
    books.run(&early).unwrap();
    assert_eq!(books.owed(chart().deposits), 0);
    assert_eq!(books.owed(credits()), 1_050, "the reserve stands against the credits");
    assert_eq!(books.totals(chart().clearing)[2..], [0, 0]);
}

#[test]
fn a_quote_is_paid_by_one_deposit() {
    let mut books = Books::open();
    books.run(&Command::Deposit(deposit(1, 1, 50))).unwrap();
    let second = Command::Deposit(deposit(1, 2, 50));
    assert_eq!(books.run(&second).err(), Some(Reject::QuoteUnderWay(quote(1))));
    // The same authorization for another quote.
    let elsewhere = books.run(&Command::Deposit(deposit(2, 1, 50)));
    assert_eq!(elsewhere.err(), Some(Reject::PaymentUnderWay(payment(1))));
    books.end_deposit(1, 1, settled()).unwrap();
    assert_eq!(books.run(&second).err(), Some(Reject::QuotePaid(quote(1))));
    let elsewhere = books.run(&Command::Deposit(deposit(2, 1, 50)));
    assert_eq!(elsewhere.err(), Some(Reject::PaymentElsewhere(payment(1))));
    books.run(&issue(50, output(1, 50))).unwrap();
    assert_eq!(books.run(&second).err(), Some(Reject::QuotePaid(quote(1))));
}

/// The same authorization again after its call had failed was taken for one that had ended: nobody ever heard of it again.
#[test]
fn a_deposit_that_failed_may_be_made_again() {
    let mut books = Books::open();
    for by in [1, 1, 2] {
        books.run(&Command::Deposit(deposit(1, by, 50))).unwrap();
        let call = CallId::of_payment(payment(by));
        assert_eq!(books.0.settlements.get(&call), Ok(None), "the new one has not ended");
        books.end_deposit(1, by, failed()).unwrap();
        assert_eq!(books.totals(reserve().id()), [1_000, 0, 0, 0]);
        assert_eq!((books.mint(1).unwrap().paid, books.mint(1).unwrap().payment), (Amount::ZERO, None));
    }
    books.deposited(1, 1, 50);
    assert_eq!(books.owed(chart().deposits), 50);
}

#[test]
fn a_deposit_that_the_chain_takes_back_gives_no_credits_until_it_has_come_again() {
    let mut books = Books::open();
    books.deposited(1, 1, 50);
    for _ in 0..2 {
        books.reopen(payment(1), 1).unwrap();
        assert_eq!(books.owed(chart().deposits), 0);
        assert_eq!(books.owed(reserve().id()), -1_000);
    }
    let not_paid = Reject::QuoteNotPaid { quote: quote(1), paid: Amount::ZERO, needed: units(50) };
    assert_eq!(books.run(&issue(50, output(1, 50))).err(), Some(not_paid));
    let second = books.run(&Command::Deposit(deposit(1, 2, 50)));
    assert_eq!(second.err(), Some(Reject::QuoteUnderWay(quote(1))), "the first may come yet");
    books.end_deposit(1, 1, settled()).unwrap();
    books.run(&issue(50, output(1, 50))).unwrap();
    assert_eq!((books.owed(chart().deposits), books.owed(credits())), (0, 1_050));
}

/// Credits that are out are good: what a chain takes back after that is the issuer's loss, and the books say how much.
#[test]
fn a_deposit_that_is_taken_back_too_late_is_a_visible_loss() {
    let mut books = Books::open();
    books.deposited(1, 1, 50);
    books.run(&issue(50, output(1, 50))).unwrap();
    books.reopen(payment(1), 1).unwrap();
    assert_eq!(books.owed(chart().deposits), -50);
    books.end_deposit(1, 1, failed()).unwrap();
    assert_eq!((books.owed(chart().deposits), books.owed(credits())), (-50, 1_050));
    let again = Reject::QuoteUsed(quote(1));
    let part = IssuePart { quote: quote(1), pubkey: None, amount: units(50), source: chart().deposits };
    let outputs = vec![output(2, 50)];
    let other = Issue { parts: vec![part], outputs, asset: usd(), tag: tag(10) };
    assert_eq!(books.run(&Command::Issue(other)).err(), Some(again));
}

#[test]
fn credits_are_spent_when_the_money_has_gone_out() {
    let mut books = Books::open();
    let command = Command::Withdraw(withdraw(0, vec![input(1, 16)], vec![output(1, 4)], 1));
    for _ in 0..2 {
        let Answer::Settling(row) = books.run(&command).unwrap() else { panic!("it is on its way") };
        assert_eq!((row.state, is_given_back(&row)), (PaymentState::Settling, false));
        assert!(matches!(books.credit(1), Some(CreditRow::Pending { .. })));
        assert_eq!(books.totals(credits()), [0, 1_000, 16, 0]);
        assert!(!books.is_signed(1), "no change before it is paid");
    }
    for _ in 0..2 {
        books.end_withdrawal(0, settled()).unwrap();
        assert_eq!(
            books.credit(1),
            Some(CreditRow::Spent {
                tag: tag(1),
                witness: None,
                worth: Some(Worth { account: credits(), amount: 16 }),
                epoch: 0
            })
        );
        assert!(books.is_signed(1));
        assert_eq!(books.owed(reserve().id()), -990);
        assert_eq!((books.owed(credits()), books.owed(chart().fees)), (988, 2));
        assert_eq!(books.totals(chart().clearing)[2..], [0, 0]);
        let Answer::MeltQuote(_, row) = books.run(&command).unwrap() else { panic!("it is paid") };
        assert_eq!(row.paid.unwrap().0, tag(1));
    }
    let other = books.run(&Command::Withdraw(withdraw(0, vec![input(2, 12)], vec![], 2)));
    assert_eq!(other.err(), Some(Reject::QuoteUsed(quote(1))));
}

#[test]
fn credits_are_whole_again_when_the_money_has_not_gone_out() {
    let mut books = Books::open();
    for round in 0..3 {
        books.run(&Command::Withdraw(withdraw(round, vec![input(1, 12)], vec![], 1))).unwrap();
        books.end_withdrawal(round, failed()).unwrap();
        assert_eq!(books.credit(1), None);
        assert_eq!(books.totals(credits()), [0, 1_000, 0, 0]);
        assert_eq!(books.melt().unwrap().failed, round + 1);
        // What is said of the one that failed does not touch the next.
        let named = books.named(PaymentId::of_withdrawal(quote(1), round), quote(1));
        books.end(named.payment, named, settled()).unwrap();
        assert_eq!(books.totals(credits()), [0, 1_000, 0, 0]);
    }
    let stale = books.run(&Command::Withdraw(withdraw(1, vec![input(1, 12)], vec![], 1)));
    assert_eq!(stale.err(), Some(Reject::QuoteUnderWay(quote(1))));
    books
        .run(&Command::Swap(Swap {
            inputs: vec![input(1, 12)],
            outputs: vec![output(3, 12)],
            fee: Amount::ZERO,
            asset: usd(),
            tag: tag(3),
        }))
        .unwrap();
    books.run(&Command::Withdraw(withdraw(3, vec![input(3, 12)], vec![], 3))).unwrap();
    books.end_withdrawal(3, settled()).unwrap();
    assert_eq!(books.owed(reserve().id()), -990);
}

#[test]
fn a_quote_is_paid_out_once() {
    let mut books = Books::open();
    books.run(&Command::Withdraw(withdraw(0, vec![input(1, 12)], vec![], 1))).unwrap();
    let other = books.run(&Command::Withdraw(withdraw(0, vec![input(2, 12)], vec![], 2)));
    assert_eq!(other.err(), Some(Reject::QuoteUnderWay(quote(1))));
    let swap = Swap {
        inputs: vec![input(1, 12)],
        outputs: vec![output(3, 12)],
        fee: Amount::ZERO,
        asset: usd(),
        tag: tag(3),
    };
    assert_eq!(books.run(&Command::Swap(swap)).err(), Some(Reject::CreditPending(input(1, 0).credit)));
}

#[test]
fn a_withdrawal_that_the_chain_takes_back_is_owed_until_it_has_gone_out_again() {
    let mut books = Books::open();
    books.run(&Command::Withdraw(withdraw(0, vec![input(1, 12)], vec![], 1))).unwrap();
    books.end_withdrawal(0, settled()).unwrap();
    let out = PaymentId::of_withdrawal(quote(1), 0);
    for _ in 0..2 {
        books.reopen(out, 1).unwrap();
        assert_eq!((books.owed(reserve().id()), books.owed(chart().withdrawals)), (-1_000, 10));
    }
    books.end_withdrawal(0, settled()).unwrap();
    assert_eq!((books.owed(reserve().id()), books.owed(chart().withdrawals)), (-990, 0));
    books.reopen(out, 1).unwrap();
    books.end_withdrawal(0, failed()).unwrap();
    assert_eq!((books.owed(reserve().id()), books.owed(chart().withdrawals)), (-1_000, 10), "still owed");
    assert!(matches!(books.credit(1), Some(CreditRow::Spent { .. })));
}

/// Change that the payer had signed elsewhere while the withdrawal was under way would have kept it from ending.
#[test]
fn change_that_was_signed_elsewhere_does_not_keep_a_withdrawal_from_ending() {
    let mut books = Books::open();
    let change = vec![output(1, 2), output(2, 2), output(2, 2)];
    let twice = books.run(&Command::Withdraw(withdraw(0, vec![input(1, 18)], change, 1)));
    assert_eq!(twice.err(), Some(Reject::DuplicateOutput(output(2, 2).output)));
    let change = vec![output(1, 2), output(2, 2)];
    books.run(&Command::Withdraw(withdraw(0, vec![input(1, 16)], change, 1))).unwrap();
    let swap = Swap {
        inputs: vec![input(5, 2)],
        outputs: vec![output(1, 2)],
        fee: Amount::ZERO,
        asset: usd(),
        tag: tag(5),
    };
    books.run(&Command::Swap(swap)).unwrap();
    books.end_withdrawal(0, settled()).unwrap();
    assert_eq!(books.owed(chart().fees), 4, "what it was to be worth is kept");
    assert_eq!(books.melt().unwrap().paid.unwrap().1.len(), 1);
}

/// A paused issuer ends what is under way and begins nothing; in its sunset it takes no money in and lets money out.
#[test]
fn modes_hold_for_money_on_chains() {
    let mut books = Books::open();
    books.run(&Command::Deposit(deposit(1, 1, 50))).unwrap();
    books.run(&Command::Withdraw(withdraw(0, vec![input(1, 12)], vec![], 1))).unwrap();
    books.run(&Command::SetMode(Mode::Paused)).unwrap();
    assert_eq!(books.run(&Command::Deposit(deposit(2, 2, 50))).err(), Some(Reject::Paused));
    books.end_deposit(1, 1, settled()).unwrap();
    books.end_withdrawal(0, failed()).unwrap();
    let paused = books.run(&Command::Withdraw(withdraw(1, vec![input(1, 12)], vec![], 1)));
    assert_eq!(paused.err(), Some(Reject::Paused));
    books.run(&Command::SetMode(Mode::Sunset)).unwrap();
    assert_eq!(books.run(&Command::Deposit(deposit(2, 2, 50))).err(), Some(Reject::Sunset));
    books.run(&issue(50, output(1, 50))).unwrap();
    books.run(&Command::Withdraw(withdraw(1, vec![input(1, 12)], vec![], 1))).unwrap();
}

/// All that is refused of quotes on chains; after each nothing has changed, which `run` looks at.
#[test]
fn every_refusal_of_quotes_on_chains() {
    let euro = Asset::micro("EUR").unwrap();
    let deposit_with = |change: &dyn Fn(&mut Deposit)| {
        let mut command = deposit(1, 1, 50);
        change(&mut command);
        Command::Deposit(command)
    };
    let terms = |change: &dyn Fn(&mut MintQuoteRow)| {
        deposit_with(&|command| command.terms.as_deref_mut().into_iter().for_each(change))
    };
    let out_with = |change: &dyn Fn(&mut Withdraw)| {
        let mut command = withdraw(0, vec![input(1, 12)], vec![], 1);
        change(&mut command);
        Command::Withdraw(command)
    };
    let amount = Reject::QuoteAmount { quote: quote(1), expected: units(50), got: units(49) };
    let asset = Reject::WrongAsset { expected: usd(), got: euro };
    let unbalanced = Reject::Unbalanced { inputs: units(12), outputs: units(10), fee: units(3) };
    let cases = [
        (deposit_with(&|c| c.terms = None), Reject::UnknownQuote(quote(1))),
        (deposit_with(&|c| c.amount = units(49)), amount),
        (deposit_with(&|c| c.asset = euro), asset.clone()),
        (terms(&|row| row.source = chart().test_funding), Reject::QuoteMethod(quote(1))),
        (terms(&|row| row.paid = units(1)), Reject::QuotePaid(quote(1))),
        (terms(&|row| row.payment = Some(payment(3))), Reject::QuoteUnderWay(quote(1))),
        (terms(&|row| row.expires_at = Some(NOW)), Reject::QuoteExpired(quote(1))),
        (out_with(&|c| c.terms = None), Reject::UnknownQuote(quote(1))),
        (out_with(&|c| c.failed = 1), Reject::QuoteUnderWay(quote(1))),
        (out_with(&|c| c.asset = euro), asset),
        (out_with(&|c| c.target = chart().codes), Reject::QuoteMethod(quote(1))),
        (out_with(&|c| c.fee = units(2)), unbalanced),
        (
            out_with(&|c| c.terms.as_deref_mut().into_iter().for_each(|row| row.expires_at = NOW)),
            Reject::QuoteExpired(quote(1)),
        ),
    ];
    let mut books = Books::open();
    for (n, (command, reject)) in cases.into_iter().enumerate() {
        assert!(!reject.to_string().is_empty());
        assert_eq!(books.run(&command).err(), Some(reject), "row {n}");
    }
    // What a failed call had set aside is free again: its outcome is not taken back.
    books.run(&Command::Deposit(deposit(1, 1, 50))).unwrap();
    books.end_deposit(1, 1, failed()).unwrap();
    assert_eq!(books.reopen(payment(1), 1).err(), Some(Reject::PaymentNotHeld(payment(1))));
    books.run(&Command::Withdraw(withdraw(0, vec![input(1, 12)], vec![], 1))).unwrap();
    books.end_withdrawal(0, failed()).unwrap();
    let out = PaymentId::of_withdrawal(quote(1), 0);
    assert_eq!(books.reopen(out, 1).err(), Some(Reject::PaymentNotHeld(out)));
}
