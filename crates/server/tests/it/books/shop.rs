//! A shop whose books are kept for months in a second: the real folder and the real engine, a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::SeqCst};

use farthing_engine::{
    Chart, CodeId, Command, CreditId, Hold, Input, Issue, IssuePart, Marks, MintQuoteRow, OpenMintQuote,
    Output, OutputId, PaymentId, Post, QuoteId, RequestTag, credits_account, release_of,
};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp};
use farthing_server::config::{Config, Passphrase};
use farthing_server::installation::Installation;
use farthing_server::operator::{Entered, EntryRequest, Operator, OperatorError, Trial};
use tempfile::TempDir;

const CONFIG: &str = "\
[server]
listen = \"127.0.0.1:0\"
upstream = \"http://127.0.0.1:9\"
merchant = \"example\"

[[asset]]
code = \"USD\"

[[asset]]
code = \"SAT\"
scale = 0
unit = \"sat\"
";

pub struct Shop {
    _folder: TempDir,
    pub installation: Installation,
    pub operator: Operator,
    time: Arc<AtomicU64>,
    next: AtomicU16,
}

impl Shop {
    /// Opened at a moment.
    pub async fn open(at: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = CONFIG.replace("[server]", &format!("[server]\ndata = \"{}\"", folder.path().display()));
        let config = Config::read(&config, "farthing.toml".as_ref()).unwrap();
        let time = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&time);
        let words = Passphrase::new("for tests".to_owned(), "here").unwrap();
        set(&time, at);
        let clock = Arc::new(move || Timestamp::from_millis(clock.load(SeqCst)));
        let installation = Installation::open(&config, &words, clock).await.unwrap();
        let operator = Operator::new(&installation);
        Self { _folder: folder, installation, operator, time, next: AtomicU16::new(1) }
    }

    /// Moves the clock.
    pub fn at(&self, at: &str) -> &Self {
        set(&self.time, at);
        self
    }

    pub fn asset(&self, code: &str) -> Asset {
        self.installation.assets.by_code(code).unwrap()
    }

    pub async fn execute(&self, command: Command) {
        self.installation.writer.execute(command).await.unwrap();
    }

    pub fn trial(&self) -> Trial {
        self.operator.trial().unwrap()
    }

    fn number(&self) -> u16 {
        self.next.fetch_add(1, SeqCst)
    }

    fn keyset(&self, asset: Asset) -> AccountId {
        let keysets = self.installation.books.keysets().unwrap();
        let keyset = keysets.iter().find(|keyset| keyset.asset == asset).unwrap();
        credits_account(asset, &keyset.id).id()
    }

    /// Sells a code and turns it into one credit.
    pub async fn credit(&self, amount: &str) -> Input {
        let codes = self.operator.create_codes(amount, 1, None).await.unwrap();
        let asset = self.asset(&codes.asset);
        let number = self.number();
        let source = Chart::of(asset).codes;
        let quote = QuoteId::from_bytes([number.to_be_bytes(); 8].concat().try_into().unwrap());
        let row = MintQuoteRow {
            method: "code".into(),
            request: String::new(),
            asset,
            amount: Amount::ZERO,
            paid: Amount::ZERO,
            issued: Amount::ZERO,
            source,
            code: Some(CodeId::of_text(&codes.codes[0])),
            pubkey: None,
            expires_at: None,
            updated_at: Timestamp::default(),
            tag: None,
            payment: None,
            inlet: false,
        };
        self.execute(Command::OpenMintQuote(OpenMintQuote { quote, row })).await;
        let part = IssuePart { quote, pubkey: None, amount: codes.amount, source };
        let output = self.output(asset, codes.amount.to_u64().unwrap());
        let input = Input {
            credit: CreditId::from_bytes(*output.output.as_bytes()),
            account: output.account,
            amount: output.amount,
            witness: None,
        };
        let issue = Issue { parts: vec![part], outputs: vec![output], asset, tag: tag(number) };
        self.execute(Command::Issue(issue)).await;
        input
    }

    fn output(&self, asset: Asset, amount: u64) -> Output {
        let mut bytes = [2; 33];
        bytes[1..3].copy_from_slice(&self.number().to_be_bytes());
        Output { output: OutputId::from_bytes(bytes), account: self.keyset(asset), amount }
    }

    /// Sets a credit aside for a page.
    pub async fn hold(&self, input: &Input, code: &str, price: u64, tax: Option<&str>) -> PaymentId {
        let asset = self.asset(code);
        let payment = PaymentId::of_credits(&[input.credit]);
        let hold = Hold {
            payment,
            funds: (vec![input.clone()]).into(),
            price: Amount::from(price),
            asset,
            merchant: self.installation.merchant_account(asset).into(),
            resource: "GET https://shop.example/page".to_owned(),
            tag: tag(0),
            tax_code: tax.map(|tax| tax.parse().unwrap()),
            marks: Marks::default(),
        };
        self.execute(Command::Hold(hold)).await;
        payment
    }

    /// Charges for it, and gives the rest back.
    pub async fn post(&self, input: &Input, code: &str, charged: u64) {
        let asset = self.asset(code);
        let back = input.amount - charged;
        let change = if back == 0 { Vec::new() } else { vec![self.output(asset, back)] };
        let post = Post {
            payment: PaymentId::of_credits(&[input.credit]),
            credits: vec![input.credit],
            accounts: vec![input.account],
            merchant: self.installation.merchant_account(asset).into(),
            asset,
            charged: Amount::from(charged),
            change,
            pass_until: None,
            marks: Marks::default(),
        };
        self.execute(Command::Post(post)).await;
    }

    pub async fn release(&self, payment: PaymentId) {
        let row = self.installation.books.payment(payment).unwrap().unwrap();
        self.execute(release_of(payment, &row)).await;
    }

    /// A page of so many minor units, paid with a credit of `amount`.
    pub async fn sale(&self, amount: &str, charged: u64, tax: Option<&str>) -> PaymentId {
        let input = self.credit(amount).await;
        let code = amount.split(' ').next_back().unwrap();
        let payment = self.hold(&input, code, charged, tax).await;
        self.post(&input, code, charged).await;
        payment
    }

    pub async fn enter(
        &self,
        date: &str,
        debit: &str,
        credit: &str,
        amount: &str,
    ) -> Result<Entered, OperatorError> {
        self.operator.enter(&entry(date, debit, credit, amount)).await
    }
}

pub fn entry(date: &str, debit: &str, credit: &str, amount: &str) -> EntryRequest {
    EntryRequest {
        debit: debit.to_owned(),
        credit: credit.to_owned(),
        debit_kind: None,
        credit_kind: None,
        amount: amount.to_owned(),
        date: Some(date.to_owned()),
        memo: format!("from {credit} to {debit}"),
        id: None,
    }
}

fn set(time: &AtomicU64, at: &str) {
    let at = if at.len() == 10 { format!("{at}T12:00:00Z") } else { at.to_owned() };
    time.store(at.parse::<Timestamp>().unwrap().millis(), SeqCst);
}

fn tag(number: u16) -> RequestTag {
    RequestTag::of_parts("test", [number.to_be_bytes().as_slice()])
}
