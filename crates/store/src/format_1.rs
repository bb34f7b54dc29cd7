//! Rows as format 1 had them, and what each is in the present format. Nothing is written in it any more.

use farthing_engine::{
    ChangeOutput, CodeId, CreditId, CreditRow, KeysetRow, Marks, MeltQuoteRow, MintQuoteRow, OutputRow,
    PaymentId, PaymentRow, PaymentState, RequestTag,
};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset, Timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) enum Credit1 {
    Pending { payment: PaymentId, witness: Option<String> },
    Spent { tag: RequestTag, witness: Option<String> },
}

#[derive(Deserialize)]
pub(crate) struct Output1 {
    account: AccountId,
    amount: u64,
}

#[derive(Deserialize)]
pub(crate) struct Keyset1 {
    id: String,
    index: u32,
    asset: Asset,
    orders: u8,
    input_fee_ppk: u64,
    final_expiry: Option<u64>,
    active: bool,
    opened_at: Timestamp,
}

#[derive(Deserialize)]
pub(crate) struct MintQuote1 {
    method: String,
    request: String,
    asset: Asset,
    amount: Amount,
    paid: Amount,
    issued: Amount,
    source: AccountId,
    code: Option<CodeId>,
    pubkey: Option<String>,
    expires_at: Option<Timestamp>,
    updated_at: Timestamp,
    tag: Option<RequestTag>,
}

#[derive(Deserialize)]
pub(crate) struct MeltQuote1 {
    method: String,
    request: String,
    asset: Asset,
    amount: Amount,
    target: AccountId,
    code: Option<CodeId>,
    expires_at: Timestamp,
    paid: Option<(RequestTag, Vec<ChangeOutput>)>,
}

#[derive(Deserialize)]
pub(crate) struct Payment1 {
    state: PaymentState,
    resource: String,
    tag: RequestTag,
    asset: Asset,
    merchant: AccountId,
    held: Vec<(AccountId, Amount)>,
    credits: Vec<CreditId>,
    charged: Amount,
    change: Vec<ChangeOutput>,
    at: Timestamp,
    pass_until: Option<Timestamp>,
}

impl From<Credit1> for CreditRow {
    fn from(row: Credit1) -> Self {
        match row {
            Credit1::Pending { payment, witness } => Self::Pending { payment, witness, worth: None },
            Credit1::Spent { tag, witness } => Self::Spent { tag, witness, worth: None, epoch: 0 },
        }
    }
}

impl From<Output1> for OutputRow {
    fn from(Output1 { account, amount }: Output1) -> Self {
        Self { account, amount, epoch: 0 }
    }
}

impl From<Keyset1> for KeysetRow {
    fn from(row: Keyset1) -> Self {
        let Keyset1 { id, index, asset, orders, input_fee_ppk, final_expiry, active, opened_at } = row;
        Self { id, index, asset, orders, input_fee_ppk, final_expiry, active, opened_at, closed: false }
    }
}

impl From<MintQuote1> for MintQuoteRow {
    fn from(row: MintQuote1) -> Self {
        let MintQuote1 {
            method,
            request,
            asset,
            amount,
            paid,
            issued,
            source,
            code,
            pubkey,
            expires_at,
            updated_at,
            tag,
        } = row;
        Self {
            method,
            request,
            asset,
            amount,
            paid,
            issued,
            source,
            code,
            pubkey,
            expires_at,
            updated_at,
            tag,
            payment: None,
            inlet: false,
        }
    }
}

impl From<MeltQuote1> for MeltQuoteRow {
    fn from(row: MeltQuote1) -> Self {
        let MeltQuote1 { method, request, asset, amount, target, code, expires_at, paid } = row;
        let fee = Amount::ZERO;
        Self { method, request, asset, amount, fee, target, code, expires_at, paid, failed: 0 }
    }
}

impl From<Payment1> for PaymentRow {
    fn from(row: Payment1) -> Self {
        let Payment1 {
            state,
            resource,
            tag,
            asset,
            merchant,
            held,
            credits,
            charged,
            change,
            at,
            pass_until,
        } = row;
        Self {
            state,
            resource,
            tag,
            asset,
            merchant: merchant.into(),
            held,
            credits,
            charged,
            change,
            at,
            pass_until,
            tax_code: None,
            channel: None,
            marks: Marks::default(),
            back: Amount::ZERO,
        }
    }
}
