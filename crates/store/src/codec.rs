//! Rows as bytes: a format byte, then postcard. Rows of the format before are read; a row of a later format, or a damaged
//! one, is named and refused.

use farthing_engine::{
    AccessRow, ArrivalRow, BooksRow, BundleRow, BundleUseRow, CallId, CallRow, ChannelRow, CodeRow,
    CreditRow, CursorRow, EntitlementRow, EntryRow, FareRow, Fault, FaultKind, InletRow, ItemRow, KeysetRow,
    MeltQuoteRow, MintQuoteRow, NameRow, OutputRow, PaymentRow, PayoutFileRow, PayoutRow, QuotaKeyRow,
    QuotaRow, RatesRow, ReceiverRow, RefundRow, SessionRow, SettlementRow, StatementRow, TapeRow, UseRow,
};
use farthing_ledger::Account;
use serde::{Serialize, de::DeserializeOwned};

use crate::TableName;
use crate::format_1::{Credit1, Keyset1, MeltQuote1, MintQuote1, Output1, Payment1};

const FORMAT: u8 = 2;
const FORMAT_BEFORE: u8 = 1;

/// A row, and what it was in the format before.
pub(crate) trait Row: Serialize + DeserializeOwned {
    type Before: DeserializeOwned + Into<Self>;
}

macro_rules! rows {
    ($($row:ty: $before:ty,)*) => {$(
        impl Row for $row {
            type Before = $before;
        }
    )*};
}

rows! {
    CreditRow: Credit1,
    OutputRow: Output1,
    KeysetRow: Keyset1,
    CodeRow: CodeRow,
    MintQuoteRow: MintQuote1,
    MeltQuoteRow: MeltQuote1,
    PaymentRow: Payment1,
    Account: Account,
    BooksRow: BooksRow,
    StatementRow: StatementRow,
    EntitlementRow: EntitlementRow,
    EntryRow: EntryRow,
    CallRow: CallRow,
    SettlementRow: SettlementRow,
    u64: u64,
    CallId: CallId,
    ChannelRow: ChannelRow,
    ReceiverRow: ReceiverRow,
    InletRow: InletRow,
    ArrivalRow: ArrivalRow,
    CursorRow: CursorRow,
    NameRow: NameRow,
    AccessRow: AccessRow,
    QuotaRow: QuotaRow,
    RatesRow: RatesRow,
    QuotaKeyRow: QuotaKeyRow,
    PayoutRow: PayoutRow,
    PayoutFileRow: PayoutFileRow,
    SessionRow: SessionRow,
    TapeRow: TapeRow,
    FareRow: FareRow,
    UseRow: UseRow,
    RefundRow: RefundRow,
    BundleRow: BundleRow,
    BundleUseRow: BundleUseRow,
    ItemRow: ItemRow,
}

pub(crate) fn encode<R: Row>(table: TableName, row: &R) -> Result<Vec<u8>, Fault> {
    postcard::to_extend(row, vec![FORMAT]).map_err(|error| {
        Fault::new(FaultKind::Corrupt, format!("a row of {} cannot be written: {error}", table.as_str()))
    })
}

pub(crate) fn decode<R: Row>(table: TableName, bytes: &[u8]) -> Result<R, Fault> {
    let damaged = |what: &str| {
        let advice = "restore the folder from a backup";
        Fault::new(FaultKind::Corrupt, format!("a row of {} {what}; {advice}", table.as_str()))
    };
    let row = match bytes.split_first() {
        Some((&FORMAT, body)) => whole(body),
        Some((&FORMAT_BEFORE, body)) => whole::<R::Before>(body).map(Into::into),
        Some((format, _)) => {
            let known = format!("this version reads {FORMAT_BEFORE} and {FORMAT}");
            return Err(damaged(&format!("has format {format}, {known}")));
        }
        None => return Err(damaged("is empty")),
    };
    row.ok_or_else(|| damaged("is damaged"))
}

fn whole<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(body) {
        Ok((row, [])) => Some(row),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use farthing_engine::{ChangeOutput, CodeId, RequestTag, Worth};
    use farthing_ledger::AccountId;
    use farthing_money::{Amount, Asset, Timestamp};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_and_bytes_are_inverse(tag: [u8; 16], witness: Option<String>, amount: u64, epoch: u32) {
            let worth = Some(Worth { account: AccountId::from_bytes(tag), amount });
            let row = CreditRow::Spent { tag: RequestTag::from_bytes(tag), witness, worth, epoch };
            let bytes = encode(TableName::Credits, &row).unwrap();
            prop_assert_eq!(decode::<CreditRow>(TableName::Credits, &bytes).unwrap(), row);
        }

        #[test]
        fn strange_bytes_are_a_fault(bytes: Vec<u8>) {
            let _ = decode::<PaymentRow>(TableName::Payments, &bytes);
            let _ = decode::<CreditRow>(TableName::Credits, &bytes);
        }
    }

    #[test]
    fn a_later_format_is_named() {
        let fault = decode::<OutputRow>(TableName::Outputs, &[3, 1]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt);
        assert!(fault.message.contains("has format 3, this version reads 1 and 2"), "{fault}");
    }

    #[test]
    fn the_format_before_is_read() {
        let bytes = postcard::to_extend(&(AccountId::from_bytes([7; 16]), 300_u64), vec![1]).unwrap();
        let row: OutputRow = decode(TableName::Outputs, &bytes).unwrap();
        assert_eq!(row, OutputRow { account: AccountId::from_bytes([7; 16]), amount: 300, epoch: 0 });
        let asset = Asset::micro("USD").unwrap();
        let account = AccountId::from_bytes([7; 16]);
        let (code, tag) = (CodeId::from_bytes([1; 32]), RequestTag::from_bytes([2; 16]));
        let until = Timestamp::from_secs(9);
        let no_change: Vec<ChangeOutput> = Vec::new();
        let melt =
            ("code", "gift", asset, Amount::new(5), account, Some(code), until, Some((tag, no_change)));
        let bytes = postcard::to_extend(&melt, vec![1]).unwrap();
        let row: MeltQuoteRow = decode(TableName::MeltQuotes, &bytes).unwrap();
        assert_eq!((row.fee, row.failed, row.target), (Amount::ZERO, 0, account));
        assert_eq!(row.paid, Some((tag, Vec::new())));
        let money = (asset, Amount::new(5), Amount::new(4), Amount::new(3), account);
        let mint = (("code", "gift"), money, Some(code), Some("02"), Some(until), until, Some(tag));
        let bytes = postcard::to_extend(&mint, vec![1]).unwrap();
        let row: MintQuoteRow = decode(TableName::MintQuotes, &bytes).unwrap();
        assert_eq!((row.paid, row.issued, row.tag), (Amount::new(4), Amount::new(3), Some(tag)));
        assert_eq!(row.payment, None);
    }
}
