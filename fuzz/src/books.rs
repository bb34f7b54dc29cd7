//! Bytes of the data folder: journal frames and rows. What is damaged is refused, never guessed at.

use farthing_engine::{CodeId, CreditId, FaultKind, OutputId, PaymentId, QuoteId, Read};
use farthing_ledger::{Audit, Batch};
use farthing_store::{KeyValue, Memory, RowStore, TableName, Write};

use crate::Cut;

const KEY: [u8; 33] = [2; 33];

/// One value, read as a frame and as a row of every table.
pub fn rows(bytes: &[u8]) {
    if let Ok(batch) = Batch::from_frame(bytes) {
        let frame = batch.to_frame().expect("what was read can be written");
        assert_eq!(Batch::from_frame(&frame).as_ref(), Ok(&batch));
        drop(Audit::default().replay(&frame));
    }
    let mut cut = Cut(bytes);
    let table = TableName::ALL[usize::from(cut.byte()) % TableName::ALL.len()];
    let length = match table {
        TableName::Credits | TableName::Outputs => 33,
        TableName::MintQuotes | TableName::MeltQuotes => 16,
        TableName::Keysets => 4,
        TableName::Journal => 8,
        _ => 32,
    };
    let store = Memory::default();
    let write = Write { table, key: KEY[..length].to_vec(), value: Some(cut.0.to_vec()) };
    store.write(vec![write]).expect("memory takes everything");
    let Ok(store) = RowStore::open(store) else { return };
    let mut faults = Vec::new();
    let mut note = |fault: Option<farthing_engine::Fault>| faults.extend(fault);
    note(store.credits(&[CreditId::from_bytes(KEY)]).err());
    note(store.outputs(&[OutputId::from_bytes(KEY)]).err());
    note(store.code(CodeId::from_bytes([2; 32])).err());
    note(store.mint_quote(QuoteId::from_bytes([2; 16])).err());
    note(store.melt_quote(QuoteId::from_bytes([2; 16])).err());
    note(store.payment(PaymentId::from_bytes([2; 32])).err());
    note(store.held().err());
    note(store.keysets().err());
    note(store.accounts().err());
    note(Read::head(&store).err());
    note(store.frames(0, 10).err());
    assert!(faults.iter().all(|fault| fault.kind == FaultKind::Corrupt), "{faults:?}");
}
