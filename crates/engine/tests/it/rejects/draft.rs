//! Rows and commands as short to write as the table needs them.

use farthing_engine::{
    Chart, CodeId, Command, CreateCodes, CreditId, Hold, Input, Issue, IssuePart, Keys, KeysetRow, Marks,
    Melt, MeltQuoteRow, MintQuoteRow, OpenKeyset, OpenMeltQuote, OpenMintQuote, Output, OutputId, PaymentId,
    Post, QuoteId, Reject, RequestTag, Rows, Swap, credits_account,
};
use farthing_ledger::{Account, AccountId};
use farthing_money::{Amount, Asset, Timestamp};

pub const NOW: Timestamp = Timestamp::from_secs(10_000);

pub fn usd() -> Asset {
    Asset::micro("USD").unwrap()
}

pub fn eur() -> Asset {
    Asset::micro("EUR").unwrap()
}

pub fn credits() -> AccountId {
    credits_account(usd(), "01aa").id()
}

pub fn merchant() -> Account {
    Chart::of(usd()).merchant("shop")
}

pub fn credit(n: u8) -> CreditId {
    CreditId::from_bytes([n; 33])
}

pub fn input(n: u8, amount: u64) -> Input {
    Input { credit: credit(n), account: credits(), amount, witness: None }
}

pub fn output(n: u8, amount: u64) -> Output {
    Output { output: OutputId::from_bytes([n; 33]), account: credits(), amount }
}

pub fn quote(n: u8) -> QuoteId {
    QuoteId::from_bytes([n; 16])
}

pub fn code(n: u8) -> CodeId {
    CodeId::from_bytes([n; 32])
}

pub fn tag(n: u8) -> RequestTag {
    RequestTag::from_bytes([n; 16])
}

pub fn codes(ids: &[u8], amount: u128, expires_at: Option<Timestamp>) -> Command {
    let codes = ids.iter().map(|n| code(*n)).collect();
    Command::CreateCodes(CreateCodes { codes, amount: Amount::new(amount), asset: usd(), expires_at })
}

pub fn mint_row(code: Option<CodeId>) -> MintQuoteRow {
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
        payment: None,
        inlet: false,
    }
}

pub fn open_mint(n: u8, row: MintQuoteRow) -> Command {
    Command::OpenMintQuote(OpenMintQuote { quote: quote(n), row })
}

pub fn issue(n: u8, amount: u128, outputs: Vec<Output>, by: u8) -> Command {
    let part = IssuePart {
        quote: quote(n),
        pubkey: None,
        amount: Amount::new(amount),
        source: Chart::of(usd()).codes,
    };
    Command::Issue(Issue { parts: vec![part], outputs, asset: usd(), tag: tag(by) })
}

pub fn swap(inputs: Vec<Input>, outputs: Vec<Output>, by: u8) -> Command {
    Command::Swap(Swap { inputs, outputs, fee: Amount::ZERO, asset: usd(), tag: tag(by) })
}

pub fn melt_row(amount: u128, code: Option<CodeId>, expires_at: Timestamp) -> MeltQuoteRow {
    let target = Chart::of(usd()).codes;
    let (method, request) = ("code".into(), String::new());
    MeltQuoteRow {
        method,
        request,
        asset: usd(),
        amount: Amount::new(amount),
        fee: Amount::ZERO,
        target,
        code,
        expires_at,
        paid: None,
        failed: 0,
    }
}

pub fn open_melt(n: u8, row: MeltQuoteRow) -> Command {
    Command::OpenMeltQuote(OpenMeltQuote { quote: quote(n), row })
}

pub fn melt(n: u8, inputs: Vec<Input>, code: Option<CodeId>, by: u8) -> Melt {
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

pub fn hold(inputs: Vec<Input>, price: u128, resource: &str) -> Command {
    let ids: Vec<_> = inputs.iter().map(|input| input.credit).collect();
    Command::Hold(Hold {
        payment: PaymentId::of_credits(&ids),
        funds: inputs.into(),
        price: Amount::new(price),
        asset: usd(),
        merchant: merchant().id().into(),
        resource: resource.into(),
        tag: tag(0),
        tax_code: None,
        marks: Marks::default(),
    })
}

pub fn post(ids: &[CreditId], charged: u128) -> Command {
    Command::Post(Post {
        payment: PaymentId::of_credits(ids),
        credits: ids.to_vec(),
        accounts: vec![credits()],
        merchant: merchant().id().into(),
        asset: usd(),
        charged: Amount::new(charged),
        change: vec![],
        pass_until: None,
        marks: Marks::default(),
    })
}

pub fn keyset(index: u32, id: &str, retire: Vec<u32>) -> Command {
    let keyset = KeysetRow {
        id: id.into(),
        index,
        asset: usd(),
        orders: 32,
        input_fee_ppk: 0,
        final_expiry: None,
        active: true,
        opened_at: NOW,
        closed: false,
    };
    Command::OpenKeyset(OpenKeyset { account: credits_account(usd(), id), keyset, retire })
}

/// Loads nothing from anywhere: every row that a command names and nobody wrote is absent.
pub fn load(rows: &mut Rows, command: &Command) {
    let mut keys = Keys::default();
    command.keys(&mut keys);
    rows.load_absent(&keys);
}

pub fn unbalanced(inputs: u128, outputs: u128, fee: u128) -> Reject {
    Reject::Unbalanced { inputs: Amount::new(inputs), outputs: Amount::new(outputs), fee: Amount::new(fee) }
}
