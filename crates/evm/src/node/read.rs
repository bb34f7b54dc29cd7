//! What nodes write, read with suspicion: numbers in hexadecimal, blocks, receipts and logs.

use farthing_channel::{Address, TxHash, Word, bytes_from_hex};
use farthing_money::{Amount, Timestamp};
use serde_json::Value;

use super::{Block, Log, Receipt, Trial};

/// The longest bytes in an answer.
const BYTES_MOST: usize = 4 << 20;

/// A number.
pub(super) fn word(value: &Value) -> Option<Word> {
    value.as_str().filter(|text| text.starts_with("0x"))?.parse().ok()
}

/// A number of 64 bits.
pub(super) fn number(value: &Value) -> Option<u64> {
    word(value)?.to_u64()
}

/// A sum of the chain's coin.
pub(super) fn amount(value: &Value) -> Option<Amount> {
    word(value)?.to_amount()
}

/// Some bytes.
pub(super) fn bytes(value: &Value) -> Option<Vec<u8>> {
    bytes_from_hex(value.as_str()?, BYTES_MOST).ok()
}

/// A block. Chains from before EIP-1559 have no base fee.
pub(super) fn block(value: &Value) -> Option<Block> {
    let base_fee = match value.get("baseFeePerGas") {
        None | Some(Value::Null) => Amount::ZERO,
        Some(fee) => amount(fee)?,
    };
    Some(Block {
        number: number(value.get("number")?)?,
        hash: parsed(value.get("hash")?)?,
        parent: parsed(value.get("parentHash")?)?,
        at: Timestamp::from_secs(number(value.get("timestamp")?)?),
        base_fee,
    })
}

/// A receipt. Chains on top of another add what they pay to that as `l1Fee`.
pub(super) fn receipt(value: &Value) -> Option<Receipt> {
    let used = amount(value.get("gasUsed")?)?;
    let price = amount(value.get("effectiveGasPrice")?)?;
    let below = match value.get("l1Fee") {
        None | Some(Value::Null) => Amount::ZERO,
        Some(fee) => amount(fee)?,
    };
    Some(Receipt {
        transaction: parsed(value.get("transactionHash")?)?,
        block: number(value.get("blockNumber")?)?,
        block_hash: parsed(value.get("blockHash")?)?,
        succeeded: number(value.get("status")?)? == 1,
        paid: price.checked_mul(used.value())?.checked_add(below)?,
        logs: logs(value.get("logs")?)?,
    })
}

/// Logs. Those that a node says are gone again are left out.
pub(super) fn logs(value: &Value) -> Option<Vec<Log>> {
    let standing = |log: &&Value| log.get("removed").and_then(Value::as_bool) != Some(true);
    value.as_array()?.iter().filter(standing).map(log).collect()
}

fn log(value: &Value) -> Option<Log> {
    let topics = value.get("topics")?.as_array()?;
    Some(Log {
        contract: address(value.get("address")?)?,
        topics: topics.iter().map(word).collect::<Option<_>>()?,
        rest: bytes(value.get("data")?)?,
        transaction: parsed::<TxHash>(value.get("transactionHash")?)?,
    })
}

/// What a transaction calls.
pub(super) fn sent(value: &Value) -> Option<Trial> {
    let (from, to) = (address(value.get("from")?)?, address(value.get("to")?)?);
    Some(Trial { from, to, input: bytes(value.get("input")?)? })
}

/// An address. Some nodes write capitals that are no checksum.
fn address(value: &Value) -> Option<Address> {
    value.as_str()?.to_ascii_lowercase().parse().ok()
}

fn parsed<T: std::str::FromStr>(value: &Value) -> Option<T> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use farthing_channel::Digest;
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        json!({
            "transactionHash": format!("0x{}", "11".repeat(32)),
            "blockHash": format!("0x{}", "22".repeat(32)),
            "blockNumber": "0x10",
            "status": "0x1",
            "gasUsed": "0xc350",
            "effectiveGasPrice": "0x3b9aca00",
            "logs": [{
                "address": "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
                "topics": [format!("0x{}", "33".repeat(32))],
                "data": "0x0102",
                "transactionHash": format!("0x{}", "11".repeat(32)),
            }, {
                "address": "0x036cbd53842c5426634e7929541ec2318f3dcf7e",
                "topics": [],
                "data": "0x",
                "transactionHash": format!("0x{}", "11".repeat(32)),
                "removed": true,
            }],
        })
    }

    #[test]
    fn receipts_say_what_was_paid() {
        let read = receipt(&whole()).unwrap();
        assert_eq!((read.block, read.succeeded, read.logs.len()), (16, true, 1));
        assert_eq!(read.paid, Amount::new(50_000 * 1_000_000_000));
        let mut on_top = whole();
        on_top["l1Fee"] = json!("0x5");
        on_top["status"] = json!("0x0");
        let read = receipt(&on_top).unwrap();
        assert_eq!((read.paid, read.succeeded), (Amount::new(50_000 * 1_000_000_000 + 5), false));
    }

    #[test]
    fn what_is_missing_or_something_else_is_not_read() {
        for member in ["transactionHash", "blockHash", "blockNumber", "status", "gasUsed", "logs"] {
            for other in [json!(null), json!(1), json!("zz"), json!({})] {
                let mut bad = whole();
                bad[member] = other.clone();
                assert_eq!(receipt(&bad), None, "{member}: {other}");
            }
        }
        for bad in [json!("10"), json!("0x"), json!(16), json!(null), json!("0xg")] {
            assert_eq!(number(&bad), None, "{bad}");
        }
        assert_eq!(number(&json!("0x10000000000000000")), None);
    }

    #[test]
    fn blocks_may_have_no_base_fee() {
        let name = |byte: &str| format!("0x{}", byte.repeat(32));
        let old = json!({"number": "0x1", "hash": name("44"), "parentHash": name("43"), "timestamp": "0x64"});
        let read = block(&old).unwrap();
        assert_eq!((read.base_fee, read.at), (Amount::ZERO, Timestamp::from_secs(100)));
        assert_eq!(read.parent, Digest::from_bytes([0x43; 32]));
        assert_eq!(block(&json!({"number": null, "hash": null, "timestamp": "0x64"})), None, "not mined yet");
    }
}
