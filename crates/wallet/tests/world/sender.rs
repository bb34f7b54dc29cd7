//! What a node does with transactions of the account's own: it counts them, carries each number once, and says what became of them.

use std::collections::BTreeMap;

use farthing_channel::{
    Address, BATCH_ESCROW, ChannelId, ChannelTerms, Salt, SignedTransaction, Word, batch_domain,
    bytes_from_hex, keccak256,
};
use farthing_money::Timestamp;
use serde_json::{Value, json};

use super::chain::CHAIN;
use super::toll::Escrow;

/// What the account has sent.
#[derive(Default)]
pub struct Sender {
    /// Whether each transaction succeeded, by its name.
    pub carried: BTreeMap<String, bool>,
    pub count: u64,
    /// No block takes anything for now.
    pub is_stuck: bool,
}

fn terms(words: &[Word]) -> ChannelTerms {
    let account = |place: usize| -> Address { words[place].to_address().unwrap() };
    ChannelTerms {
        payer: account(0),
        payer_authorizer: account(1),
        receiver: account(2),
        receiver_authorizer: account(3),
        token: account(4),
        withdraw_delay: u32::try_from(words[5].to_u64().unwrap()).unwrap(),
        salt: Salt::from_bytes(*words[6].as_bytes()),
    }
}

impl Sender {
    /// The answer to a question about transactions; `None` if it is about something else.
    pub fn answer(
        &mut self,
        (method, params): (&str, &Value),
        escrow: &mut Escrow,
        tokens: &mut u64,
        now: Timestamp,
    ) -> Option<Value> {
        Some(match method {
            "eth_getTransactionCount" => json!(format!("{:#x}", self.count)),
            "eth_gasPrice" => json!("0x3b9aca00"),
            "eth_maxPriorityFeePerGas" => json!("0x1"),
            "eth_estimateGas" => json!("0x186a0"),
            "eth_getBalance" => json!("0xde0b6b3a7640000"),
            "eth_sendRawTransaction" => json!(self.send(params[0].as_str().unwrap(), escrow, tokens, now)),
            "eth_getTransactionReceipt" => {
                let carried = self.carried.get(params[0].as_str().unwrap())?;
                json!({"status": if *carried { "0x1" } else { "0x0" }, "logs": []})
            }
            _ => return None,
        })
    }

    fn send(&mut self, bytes: &str, escrow: &mut Escrow, tokens: &mut u64, now: Timestamp) -> String {
        let signed = SignedTransaction::decode(&bytes_from_hex(bytes, 10_000).unwrap()).unwrap();
        let hash = signed.hash.to_string();
        assert_eq!((signed.transaction.to, signed.transaction.chain), (BATCH_ESCROW, CHAIN));
        if self.is_stuck || signed.transaction.number != self.count {
            return hash;
        }
        self.count += 1;
        let done = escrow.call(&signed.transaction.input, signed.sender, tokens, now.secs());
        self.carried.insert(hash.clone(), done);
        hash
    }
}

impl Escrow {
    /// Whether a call of the payer's succeeds.
    fn call(&mut self, input: &[u8], sender: Address, tokens: &mut u64, now: u64) -> bool {
        const TERMS: &str = "(address,address,address,address,address,uint40,bytes32)";
        let words: Vec<Word> =
            input[4..].chunks_exact(32).map(|word| Word::from_bytes(word.try_into().unwrap())).collect();
        let terms = terms(&words);
        assert_eq!(terms.payer, sender);
        let channel: ChannelId = terms.id(&batch_domain(CHAIN));
        let is = |text: String| input[..4] == keccak256(text.as_bytes()).as_bytes()[..4];
        let amount = || words[7].to_amount().unwrap().to_u64().unwrap();
        let lies = self.channels.entry(channel).or_default();
        let left = lies.balance - lies.claimed;
        if is(format!("initiateWithdraw({TERMS},uint128)")) {
            let is_good = !self.wanted.contains_key(&channel) && amount() > 0 && amount() <= left;
            if is_good {
                self.wanted.insert(channel, (amount(), now));
            }
            return is_good;
        }
        if is(format!("finalizeWithdraw({TERMS})")) {
            let wanted = self.wanted.get(&channel).copied();
            let Some((amount, _)) = wanted.filter(|(_, since)| now >= since + 900) else { return false };
            self.wanted.remove(&channel);
            let back = amount.min(left);
            lies.balance -= back;
            *tokens += back;
            return true;
        }
        assert!(is(format!("deposit({TERMS},uint128,address,bytes)")));
        let is_new = self.collected.insert(input.to_vec()) && amount() <= *tokens;
        if is_new {
            lies.balance += amount();
            *tokens -= amount();
        }
        is_new
    }
}
