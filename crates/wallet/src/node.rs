//! The few questions that a wallet asks a node of a chain: which chain it is of, what time it is there, what a contract
//! answers, and what a transaction moved. It is sent a transaction only for a channel that the owner wants to fill or to empty himself.

use farthing_channel::{Address, ChainId, Word, bytes_to_hex, keccak256};
use farthing_money::{Amount, Timestamp};
use farthing_wire::json;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chain::OnChain;
use crate::error::WalletError;
use crate::http::{HttpRequest, HttpResponse};

fn ask(url: &str, method: &str, params: &Value) -> HttpRequest {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    HttpRequest::post(url.to_owned(), body.to_string().into_bytes())
}

/// Which chain it is of.
pub(crate) fn chain_request(url: &str) -> HttpRequest {
    ask(url, "eth_chainId", &json!([]))
}

/// Its latest block.
pub(crate) fn block_request(url: &str) -> HttpRequest {
    ask(url, "eth_getBlockByNumber", &json!(["latest", false]))
}

/// What a contract answers to a call, as of the latest block.
pub(crate) fn call_request(url: &str, contract: Address, call: &[u8]) -> HttpRequest {
    let call = json!({"to": contract, "data": bytes_to_hex(call)});
    ask(url, "eth_call", &json!([call, "latest"]))
}

/// A transaction as it was sent.
pub(crate) fn transaction_request(url: &str, hash: &str) -> HttpRequest {
    ask(url, "eth_getTransactionByHash", &json!([hash]))
}

/// What a transaction did.
pub(crate) fn receipt_request(url: &str, hash: &str) -> HttpRequest {
    ask(url, "eth_getTransactionReceipt", &json!([hash]))
}

/// How many transactions an account has sent.
pub(crate) fn count_request(url: &str, account: Address) -> HttpRequest {
    ask(url, "eth_getTransactionCount", &json!([account, "latest"]))
}

/// What gas costs now.
pub(crate) fn price_request(url: &str) -> HttpRequest {
    ask(url, "eth_gasPrice", &json!([]))
}

/// What is usually given to whoever makes a block.
pub(crate) fn tip_request(url: &str) -> HttpRequest {
    ask(url, "eth_maxPriorityFeePerGas", &json!([]))
}

/// How much gas a call would use, and so whether it would succeed.
pub(crate) fn gas_request(url: &str, from: Address, to: Address, input: &[u8]) -> HttpRequest {
    ask(url, "eth_estimateGas", &json!([{"from": from, "to": to, "data": bytes_to_hex(input)}]))
}

/// What an account has of the chain's coin.
pub(crate) fn coin_request(url: &str, account: Address) -> HttpRequest {
    ask(url, "eth_getBalance", &json!([account, "latest"]))
}

/// Carries a transaction.
pub(crate) fn send_request(url: &str, bytes: &str) -> HttpRequest {
    ask(url, "eth_sendRawTransaction", &json!([bytes]))
}

fn result(url: &str, expected: &'static str, answer: &HttpResponse) -> Result<Value, WalletError> {
    let bad = |got: String| WalletError::bad_answer(&whom(url), expected, got);
    let body: Value = json::read(&answer.body, expected).map_err(|error| bad(error.to_string()))?;
    if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
        let said = error.get("message").and_then(Value::as_str).unwrap_or("an error without a message");
        return Err(bad(said.chars().filter(|c| !c.is_control()).take(200).collect()));
    }
    if !answer.is_success() {
        return Err(bad(format!("status {}", answer.status)));
    }
    body.get("result").cloned().ok_or_else(|| bad("no result".to_owned()))
}

/// A node's address may hold a password: only its origin is ever shown.
pub(crate) fn whom(url: &str) -> String {
    let address = url.parse::<crate::Address>().map(|address| address.origin());
    format!("the node {}", address.unwrap_or_default())
}

fn quantity(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// A whole number.
pub(crate) fn number(url: &str, expected: &'static str, answer: &HttpResponse) -> Result<u64, WalletError> {
    let value = result(url, expected, answer)?;
    quantity(&value).ok_or_else(|| WalletError::bad_answer(&whom(url), expected, "no number"))
}

/// So much coin; more than can be counted is as much as can be.
pub(crate) fn coin(url: &str, answer: &HttpResponse) -> Result<Amount, WalletError> {
    let expected = "what an account has of the coin";
    let value = result(url, expected, answer)?;
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).filter(|text| !text.is_empty());
    let digits = digits.filter(|text| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let digits = digits.ok_or_else(|| WalletError::bad_answer(&whom(url), expected, "no number"))?;
    Ok(Amount::new(u128::from_str_radix(digits, 16).unwrap_or(u128::MAX)))
}

/// What a node does with a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It has it, now or since before.
    Yes,
    /// It asks for higher fees, in its own words.
    TooCheap(String),
    /// It does not take it, in its own words.
    No(String),
}

/// Whether a transaction was taken. Nodes agree on no words for why not.
pub(crate) fn taken(url: &str, answer: &HttpResponse) -> Taken {
    let Err(error) = result(url, "a transaction that is taken", answer) else { return Taken::Yes };
    let said = match error {
        WalletError::BadAnswer { got, .. } => got,
        other => other.to_string(),
    };
    let lower = said.to_lowercase();
    let has = |any: &[&str]| any.iter().any(|part| lower.contains(part));
    if has(&["already known", "already imported", "alreadyknown"])
        || lower.contains("known transaction") && !lower.contains("unknown")
    {
        Taken::Yes
    } else if has(&[
        "underpriced",
        "fee too low",
        "feetoolow",
        "gas price too low",
        "less than block base fee",
    ]) {
        Taken::TooCheap(said)
    } else {
        Taken::No(said)
    }
}

/// Whether a transaction succeeded; `None` while no block has it.
pub(crate) fn succeeded(url: &str, answer: &HttpResponse) -> Result<Option<bool>, WalletError> {
    let value = result(url, "what a transaction did", answer)?;
    Ok(value.get("status").and_then(Value::as_str).map(|status| status == "0x1"))
}

/// Insists that a node is of a chain.
pub(crate) fn check_chain(url: &str, chain: ChainId, answer: &HttpResponse) -> Result<(), WalletError> {
    let expected = "the chain that it was named for";
    match quantity(&result(url, expected, answer)?) {
        Some(number) if number == chain.number() => Ok(()),
        Some(number) => Err(WalletError::bad_answer(&whom(url), expected, ChainId::new(number).to_string())),
        None => Err(WalletError::bad_answer(&whom(url), expected, "no number")),
    }
}

/// The time of a block.
pub(crate) fn block_time(url: &str, answer: &HttpResponse) -> Result<Timestamp, WalletError> {
    let expected = "the time of the latest block";
    let block = result(url, expected, answer)?;
    let secs = block.get("timestamp").and_then(quantity);
    secs.map(Timestamp::from_secs)
        .ok_or_else(|| WalletError::bad_answer(&whom(url), expected, "a block without one"))
}

/// The one word that a contract has answered.
pub(crate) fn word(url: &str, answer: &HttpResponse) -> Result<Word, WalletError> {
    let expected = "a word of a contract";
    let value = result(url, expected, answer)?;
    let whole = value.as_str().filter(|text| text.len() == 66 && text.starts_with("0x"));
    whole.and_then(|text| text.parse().ok()).ok_or_else(|| {
        WalletError::bad_answer(&whom(url), expected, "something else; is the contract there?")
    })
}

/// The two words that a contract has answered.
pub(crate) fn two_words(url: &str, answer: &HttpResponse) -> Result<[Word; 2], WalletError> {
    let expected = "two words of a contract";
    let value = result(url, expected, answer)?;
    let text = value.as_str().and_then(|text| text.strip_prefix("0x")).filter(|text| text.len() == 128);
    let words = text.and_then(|text| {
        let (first, second) = text.split_at_checked(64)?;
        Some([format!("0x{first}").parse().ok()?, format!("0x{second}").parse().ok()?])
    });
    words.ok_or_else(|| {
        WalletError::bad_answer(&whom(url), expected, "something else; is the contract there?")
    })
}

/// Whether a transaction carries these bytes, such as a signature. One that is not known carries nothing.
pub(crate) fn carries(url: &str, bytes: &[u8], answer: &HttpResponse) -> Result<bool, WalletError> {
    let transaction = result(url, "a transaction", answer)?;
    let input = transaction.get("input").and_then(Value::as_str).unwrap_or_default();
    Ok(input.to_ascii_lowercase().contains(&hex::encode(bytes)))
}

#[derive(Deserialize)]
struct Receipt {
    status: String,
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    address: Address,
    topics: Vec<Word>,
    data: String,
}

/// How many of a token's minor units a transaction moved from one account to another; `None` if it failed or is not known.
pub(crate) fn moved(
    url: &str,
    from: Address,
    on: &OnChain,
    answer: &HttpResponse,
) -> Result<Option<Amount>, WalletError> {
    let expected = "what a transaction did";
    let value = result(url, expected, answer)?;
    if value.is_null() {
        return Ok(None);
    }
    let receipt: Receipt = serde_json::from_value(value)
        .map_err(|_| WalletError::bad_answer(&whom(url), expected, "a receipt of another shape"))?;
    let transfer = Word::from(keccak256(b"Transfer(address,address,uint256)"));
    let topics = [transfer, from.into(), on.pay_to.into()];
    let logs = receipt.logs.iter().filter(|log| log.address == on.token && log.topics == topics);
    let amounts = logs.map(|log| log.data.parse::<Word>().ok().and_then(Word::to_amount));
    let sum = amounts.collect::<Option<Vec<_>>>().and_then(Amount::try_sum);
    Ok(sum.filter(|_| receipt.status == "0x1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://node.example/v2/SECRET";

    fn answer(status: u16, body: &Value) -> HttpResponse {
        HttpResponse { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    fn on() -> OnChain {
        OnChain {
            chain: ChainId::new(31_337),
            token: Address::from_bytes([7; 20]),
            symbol: "USDC".into(),
            pay_to: Address::from_bytes([3; 20]),
            scheme: "upto".into(),
            units: Amount::new(1_000),
            taken: None,
            transaction: None,
            channel: None,
        }
    }

    #[test]
    fn a_node_of_another_chain_is_not_believed() {
        let of = |number: &str| answer(200, &json!({"result": number}));
        assert!(check_chain(URL, ChainId::new(31_337), &of("0x7a69")).is_ok());
        let error = check_chain(URL, ChainId::new(8_453), &of("0x7a69")).unwrap_err();
        assert!(error.to_string().contains("eip155:31337"), "{error}");
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }

    #[test]
    fn errors_of_a_node_are_told() {
        let refused = json!({"error": {"code": -32_000, "message": "execution\u{7} reverted"}});
        for (status, body, expected) in [
            (200, refused, "execution reverted"),
            (500, json!({"result": "0x"}), "status 500"),
            (200, json!({}), "no result"),
            (200, json!({"result": "0x"}), "is the contract there?"),
            (200, json!({"result": "0x01"}), "is the contract there?"),
        ] {
            let error = word(URL, &answer(status, &body)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
        let one = answer(200, &json!({"result": format!("0x{:064x}", 5)}));
        assert_eq!(word(URL, &one).unwrap(), Word::from(5));
    }

    #[test]
    fn words_about_transactions_are_understood() {
        let of = |message: &str| {
            taken(URL, &answer(200, &json!({"error": {"code": -32_000, "message": message}})))
        };
        assert_eq!(taken(URL, &answer(200, &json!({"result": "0x01"}))), Taken::Yes);
        assert_eq!(of("already known"), Taken::Yes);
        assert_eq!(of("transaction already imported"), Taken::Yes);
        for cheap in [
            "replacement transaction underpriced",
            "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1",
            "FeeTooLow, EffectivePriorityFeePerGas too low",
        ] {
            assert!(matches!(of(cheap), Taken::TooCheap(said) if said.contains(cheap)), "{cheap}");
        }
        assert!(matches!(of("insufficient funds for gas * price + value"), Taken::No(_)));
        assert!(matches!(of("nonce too low"), Taken::No(_)));
        assert!(matches!(of("unknown transaction type"), Taken::No(_)));
    }

    #[test]
    fn what_moved_is_the_sum_of_the_right_transfers() {
        let from = Address::from_bytes([1; 20]);
        let log = |token: u8, from: u8, to: u8, amount: u64| {
            let (token, word) =
                (Address::from_bytes([token; 20]), |byte| Word::from(Address::from_bytes([byte; 20])));
            let topics = [Word::from(keccak256(b"Transfer(address,address,uint256)")), word(from), word(to)];
            let topics = topics.map(|topic| bytes_to_hex(topic.as_bytes()));
            json!({"address": token, "topics": topics, "data": bytes_to_hex(Word::from(amount).as_bytes())})
        };
        let logs = json!([
            log(7, 1, 3, 30),
            log(7, 1, 3, 4),
            log(8, 1, 3, 500),
            log(7, 2, 3, 500),
            log(7, 1, 4, 500)
        ]);
        let receipt = |status: &str| answer(200, &json!({"result": {"status": status, "logs": logs}}));
        assert_eq!(moved(URL, from, &on(), &receipt("0x1")).unwrap(), Some(Amount::new(34)));
        assert_eq!(moved(URL, from, &on(), &receipt("0x0")).unwrap(), None);
        assert_eq!(moved(URL, from, &on(), &answer(200, &json!({"result": null}))).unwrap(), None);
        let input = answer(200, &json!({"result": {"input": "0x00ABcd11"}}));
        assert!(
            carries(URL, &[0xab, 0xcd], &input).unwrap() && !carries(URL, &[0xab, 0xce], &input).unwrap()
        );
        assert!(!carries(URL, &[0xab], &answer(200, &json!({"result": null}))).unwrap());
    }
}
