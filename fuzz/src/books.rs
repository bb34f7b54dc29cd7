//! Bytes of the data folder: journal frames and rows. What is damaged is refused, never guessed at.

use farthing_engine::{
    AccessId, CallId, CodeId, CreditId, FaultKind, LogId, NameId, OutputId, PaymentId, QuoteId, Read,
    ReceiverId, SenderId, StatementId,
};
use farthing_ledger::{Audit, Batch, Reference};
use farthing_store::{KeyValue, Memory, RowStore, TableName, Write};

use crate::Cut;

const KEY: [u8; 33] = [2; 33];
/// The one row of what holds for the books as a whole has the key 0.
const BOOKS: [u8; 1] = [farthing_engine::BOOKS];

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
        TableName::MintQuotes | TableName::MeltQuotes | TableName::Inlets | TableName::Statements => 16,
        TableName::Keysets => 4,
        TableName::Journal | TableName::Cursors => 8,
        _ => 32,
    };
    let store = Memory::default();
    let key = if table == TableName::Books { &BOOKS[..] } else { &KEY[..length] };
    let write = Write { table, key: key.to_vec(), value: Some(cut.0.to_vec()) };
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
    note(store.books().err());
    note(store.statement(StatementId::from_bytes([2; 16])).err());
    note(store.entry(Reference::from_bytes([2; 32])).err());
    note(store.calls().err());
    note(store.settlement(CallId::from_bytes([2; 32])).err());
    note(store.watched().err());
    note(store.number(SenderId::from_bytes([2; 32])).err());
    note(store.moved(LogId::from_bytes([2; 32])).err());
    note(store.channels_after(None, 10).err());
    note(store.receiver(ReceiverId::from_bytes([2; 32])).err());
    note(store.inlets().err());
    note(store.arrivals().err());
    note(store.cursor(u64::from_be_bytes([2; 8])).err());
    note(store.name(NameId::from_bytes([2; 32])).err());
    note(store.access(AccessId::from_bytes([2; 32])).err());
    note(Read::head(&store).err());
    note(store.frames(0, 10).err());
    assert!(faults.iter().all(|fault| fault.kind == FaultKind::Corrupt), "{faults:?}");
}
