//! What a node does with transactions of the account's own: it counts them, carries each number once, and says what became of them.

use std::collections::BTreeMap;

use farthing_channel::{
    Address, BATCH_ESCROW, ChannelId, ChannelTerms, Salt, SignedTransaction, Word, batch_domain,
    bytes_from_hex, keccak256,
};
use farthing_money::{Amount, Timestamp};
use serde_json::{Value, json};

use super::chain::CHAIN;
use super::toll::Escrow;

/// What the account has sent.
pub struct Sender {
    /// Whether each transaction succeeded, by its name.
    pub carried: BTreeMap<String, bool>,
    pub count: u64,
    /// No block takes anything for now.
    pub is_stuck: bool,
    /// What a unit of gas costs.
    pub price: u64,
    /// What the account has of the coin.
    pub coin: u64,
    /// How much gas a call uses; nothing if it would fail.
    pub gas: Option<u64>,
    /// What the node says to every transaction instead of taking it.
    pub refuses: Option<&'static str>,
    /// All that came, in the order in which it came.
    pub seen: Vec<SignedTransaction>,
    /// What waits, by its number.
    waiting: BTreeMap<u64, SignedTransaction>,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            carried: BTreeMap::new(),
            count: 0,
            is_stuck: false,
            price: 1_000_000_000,
            coin: 1_000_000_000_000_000_000,
            gas: Some(100_000),
            refuses: None,
            seen: Vec::new(),
            waiting: BTreeMap::new(),
        }
    }
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
    /// The answer to a question about transactions, or the error; `None` if it is about something else.
    pub fn answer(
        &mut self,
        (method, params): (&str, &Value),
        escrow: &mut Escrow,
        tokens: &mut u64,
        now: Timestamp,
    ) -> Option<Result<Value, &'static str>> {
        Some(Ok(match method {
            "eth_getTransactionCount" => json!(format!("{:#x}", self.count)),
            "eth_gasPrice" => json!(format!("{:#x}", self.price)),
            "eth_maxPriorityFeePerGas" => json!("0x1"),
            "eth_estimateGas" => match self.gas {
                Some(gas) => json!(format!("{gas:#x}")),
                None => return Some(Err("execution reverted")),
            },
            "eth_getBalance" => json!(format!("{:#x}", self.coin)),
            "eth_sendRawTransaction" => {
                let bytes = bytes_from_hex(params[0].as_str().unwrap(), 10_000).unwrap();
                return Some(self.send(&bytes, escrow, tokens, now).map(|hash| json!(hash)));
            }
            "eth_getTransactionReceipt" => {
                let carried = self.carried.get(params[0].as_str().unwrap())?;
                json!({"status": if *carried { "0x1" } else { "0x0" }, "logs": []})
            }
            _ => return None,
        }))
    }

    /// As nodes do: one of a number takes the place of another one if both of its fees are a tenth higher.
    fn send(
        &mut self,
        bytes: &[u8],
        escrow: &mut Escrow,
        tokens: &mut u64,
        now: Timestamp,
    ) -> Result<String, &'static str> {
        let signed = SignedTransaction::decode(bytes).unwrap();
        let (hash, said) = (signed.hash.to_string(), &signed.transaction);
        assert_eq!((said.to, said.chain), (BATCH_ESCROW, CHAIN));
        if let Some(refuses) = self.refuses {
            return Err(refuses);
        }
        if said.number < self.count {
            return Err("nonce too low");
        }
        let (units, fees) = (|amount: Amount| amount.to_u64().unwrap(), said.fees);
        if let Some(other) = self.waiting.get(&said.number).filter(|other| other.hash != signed.hash) {
            let other = other.transaction.fees;
            let is_more = |new: Amount, old: Amount| new > old && units(new) * 10 >= units(old) * 11;
            if !is_more(fees.most, other.most) || !is_more(fees.tip, other.tip) {
                return Err("replacement transaction underpriced");
            }
        }
        self.seen.push(signed.clone());
        let was_known = self.waiting.insert(said.number, signed.clone()).is_some_and(|old| old == signed);
        let waits = self.is_stuck || said.number != self.count || units(fees.most) < self.price;
        if !waits {
            self.mine(&signed, escrow, tokens, now);
        }
        if waits && was_known { Err("already known") } else { Ok(hash) }
    }

    /// A block takes it, whatever it costs.
    pub fn mine(
        &mut self,
        signed: &SignedTransaction,
        escrow: &mut Escrow,
        tokens: &mut u64,
        now: Timestamp,
    ) {
        assert_eq!(signed.transaction.number, self.count);
        self.count += 1;
        self.waiting.remove(&signed.transaction.number);
        let done = escrow.call(&signed.transaction.input, signed.sender, tokens, now.secs());
        self.carried.insert(signed.hash.to_string(), done);
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
