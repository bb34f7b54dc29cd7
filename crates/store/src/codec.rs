//! Rows as bytes: a format byte, then postcard. A row of a later format, or a damaged one, is named and refused.

use farthing_engine::{Fault, FaultKind};
use serde::{Serialize, de::DeserializeOwned};

use crate::TableName;

const FORMAT: u8 = 1;

pub(crate) fn encode<R: Serialize>(table: TableName, row: &R) -> Result<Vec<u8>, Fault> {
    postcard::to_extend(row, vec![FORMAT]).map_err(|error| {
        Fault::new(FaultKind::Corrupt, format!("a row of {} cannot be written: {error}", table.as_str()))
    })
}

pub(crate) fn decode<R: DeserializeOwned>(table: TableName, bytes: &[u8]) -> Result<R, Fault> {
    let damaged = |what: &str| {
        let advice = "restore the folder from a backup";
        Fault::new(FaultKind::Corrupt, format!("a row of {} {what}; {advice}", table.as_str()))
    };
    match bytes.split_first() {
        Some((&FORMAT, body)) => match postcard::take_from_bytes(body) {
            Ok((row, [])) => Ok(row),
            _ => Err(damaged("is damaged")),
        },
        Some((format, _)) => Err(damaged(&format!("has format {format}, this version reads {FORMAT}"))),
        None => Err(damaged("is empty")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_and_bytes_are_inverse(row: (u64, Option<String>, Vec<u128>)) {
            let bytes = encode(TableName::Credits, &row).unwrap();
            prop_assert_eq!(decode::<(u64, Option<String>, Vec<u128>)>(TableName::Credits, &bytes).unwrap(), row);
        }

        #[test]
        fn strange_bytes_are_a_fault(bytes: Vec<u8>) {
            let _ = decode::<farthing_engine::PaymentRow>(TableName::Payments, &bytes);
        }
    }

    #[test]
    fn a_later_format_is_named() {
        let fault = decode::<u8>(TableName::Held, &[2, 1]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt);
        assert!(fault.message.contains("has format 2, this version reads 1"), "{fault}");
    }
}
