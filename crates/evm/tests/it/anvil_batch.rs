//! The escrow of channels in memory and the contract do the same: whatever is called, by whomever, both take it or both refuse it,
//! say the same and stand the same afterwards. The simulator builds on the one in memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::anvil::{Anvil, arguments, code_of, with_words};
use crate::support::{CHAIN, key};
use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, AuthorizedDeposit, BATCH_ESCROW, ChannelId, ChannelTerms, Claim,
    ClaimRow, Digest, Domain, Refund, Salt, Signature, SigningKey, Voucher, Word, batch_call, batch_domain,
    bytes_to_hex, claims_digest,
};
use farthing_evm::{BatchEscrow, Collecting, EscrowAround, Log, Trial};
use farthing_money::{Amount, Timestamp};
use serde_json::{Value, json};

/// Units that each payer has at first.
const FUNDS: u128 = 5_000;
const CALLS: u32 = 700;

/// Every refusal that such calls meet.
const REFUSALS: [&str; 19] = [
    "ClaimExceedsBalance()",
    "ClaimExceedsCeiling()",
    "EmptyBatch()",
    "InvalidChannel()",
    "InvalidCollector()",
    "InvalidRefundNonce()",
    "InvalidSignature()",
    "NotAuthorizedToClaim()",
    "NotAuthorizedToFinalizeWithdraw()",
    "NotAuthorizedToRefund()",
    "NothingToWithdraw()",
    "WithdrawAmountExceedsAvailable()",
    "WithdrawDelayNotElapsed()",
    "WithdrawDelayOutOfRange()",
    "WithdrawalAlreadyPending()",
    "WithdrawalNotPending()",
    "ZeroRefund()",
    "too little",
    "used",
];

/// Numbers that are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn units(&mut self, end: u64) -> u128 {
        self.below(end).into()
    }
}

/// Who has how much, and which deposits are used up.
#[derive(Clone, Default)]
struct Till {
    units: BTreeMap<Address, u128>,
    used: BTreeSet<(ChannelId, Vec<u8>)>,
}

impl EscrowAround for Till {
    fn is_signed_by(&self, signer: Address, digest: &Digest, signature: &[u8]) -> bool {
        let signature = Signature::from_bytes(signature);
        signature.is_ok_and(|signature| signature.recover(digest) == Ok(signer))
    }

    /// Deposits are well signed here; what differs is whether there is the money, and whether they came before.
    fn collect(&mut self, deposit: &Collecting<'_>) -> Result<Vec<Log>, &'static str> {
        if deposit.collector != AUTHORIZATION_COLLECTOR {
            return Err("there is no such collector");
        }
        if !self.used.insert((deposit.channel, deposit.bytes[64..96].to_vec())) {
            return Err("used");
        }
        let had = self.units.entry(deposit.payer).or_default();
        *had = had.checked_sub(deposit.units.value()).ok_or("too little")?;
        *self.units.entry(BATCH_ESCROW).or_default() += deposit.units.value();
        Ok(Vec::new())
    }

    fn send(&mut self, _: Address, to: Address, units: Amount) -> Result<Vec<Log>, &'static str> {
        let had = self.units.entry(BATCH_ESCROW).or_default();
        *had = had.checked_sub(units.value()).ok_or("too little")?;
        *self.units.entry(to).or_default() += units.value();
        Ok(Vec::new())
    }
}

struct Pair {
    anvil: Anvil,
    token: Address,
    domain: Domain,
    escrow: BatchEscrow,
    till: Till,
    now: u64,
    numbers: Numbers,
    refused: BTreeSet<&'static str>,
}

impl Pair {
    async fn open() -> Self {
        let anvil = Anvil::start(CHAIN.number());
        let owner = key(4).address();
        let token = anvil.deploy("TestDollar", &arguments(&["USDC", "USDC", "2"], Some(owner))).await;
        for (address, name) in
            [(BATCH_ESCROW, "BatchSettlement"), (AUTHORIZATION_COLLECTOR, "AuthorizationCollector")]
        {
            anvil.set_code(address, &bytes_to_hex(&code_of(name, "runtime"))).await;
        }
        let mut till = Till::default();
        for payer in [key(1), key(3)] {
            let words = [payer.address().into(), Amount::new(FUNDS).into()];
            anvil.send(owner, Some(token), &with_words("mint(address,uint256)", &words)).await;
            till.units.insert(payer.address(), FUNDS);
        }
        let head = anvil.ask("eth_getBlockByNumber", json!(["latest", false])).await;
        let now = number(&head["timestamp"]) + 10;
        let (domain, escrow) = (batch_domain(CHAIN), BatchEscrow::new(CHAIN));
        Self { anvil, token, domain, escrow, till, now, numbers: Numbers(7), refused: BTreeSet::new() }
    }

    /// One of four channels: of two payers, with a key for vouchers or without one.
    fn terms(&self, which: u64) -> ChannelTerms {
        let payer = if which < 2 { key(1) } else { key(3) };
        let authorizer = [key(0).address(), key(1).address(), key(3).address(), Address::ZERO];
        ChannelTerms {
            payer: payer.address(),
            payer_authorizer: authorizer[usize::try_from(which).unwrap()],
            receiver: Address::from_bytes([0x77; 20]),
            receiver_authorizer: key(2).address(),
            token: self.token,
            withdraw_delay: 900,
            salt: Salt::from_bytes([1; 32]),
        }
    }

    fn signer(which: u64) -> SigningKey {
        key([0, 1, 3, 3][usize::try_from(which).unwrap()])
    }

    fn row(&mut self, which: u64) -> ClaimRow {
        let terms = self.terms(which);
        let channel = terms.id(&self.domain);
        let (ceiling, total) = (self.numbers.units(1_200), self.numbers.units(1_200));
        let ceiling = Amount::new(if self.numbers.below(4) > 0 { ceiling.max(total) } else { ceiling });
        let signed = if self.numbers.below(4) > 0 { Self::signer(which) } else { key(4) };
        let digest = Voucher { channel, cumulative: ceiling }.batch_digest(&self.domain);
        let signature = signed.sign(&digest).to_bytes().to_vec();
        ClaimRow { terms, ceiling, signature, total_claimed: Amount::new(total) }
    }

    fn rows(&mut self) -> Vec<ClaimRow> {
        (0..self.numbers.below(4))
            .map(|_| self.numbers.below(4))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|n| self.row(n))
            .collect()
    }

    fn deposit(&mut self, which: u64) -> Vec<u8> {
        let (mut terms, amount) = (self.terms(which), Amount::new(self.numbers.units(900)));
        if self.numbers.below(15) == 0 {
            terms.withdraw_delay = 899;
        }
        let salt = Salt::from_bytes([u8::try_from(self.numbers.below(40)).unwrap(); 32]);
        let (valid_after, valid_before) = (Word::ZERO, Word::MAX);
        let wanted = AuthorizedDeposit { amount, valid_after, valid_before, salt };
        let token = Domain::new("USDC", Some("2"), CHAIN, Some(self.token));
        let said = wanted.authorization(terms.payer, terms.id(&self.domain));
        let payer = if which < 2 { key(1) } else { key(3) };
        let mut collected = wanted.collected(&payer.sign(&said.receive_digest(&token)).to_bytes());
        if self.numbers.below(20) == 0 {
            collected.collector = Address::ZERO;
        }
        batch_call::deposit(&terms, &collected)
    }

    fn any_call(&mut self) -> Vec<u8> {
        let which = self.numbers.below(4);
        let amount = if self.numbers.below(9) > 0 { self.numbers.units(700) } else { 0 };
        let (terms, amount) = (self.terms(which), Amount::new(amount));
        match self.numbers.below(20) {
            0..5 => self.deposit(which),
            5..9 => batch_call::claim(&self.rows()),
            9 => {
                let (rows, signer) = (self.rows(), key(if self.numbers.below(4) > 0 { 2 } else { 1 }));
                let claims: Vec<Claim> = rows.iter().map(|row| row.claim(&self.domain)).collect();
                let signature = signer.sign(&claims_digest(&claims, &self.domain)).to_bytes();
                batch_call::claim_with_signature(&rows, &signature)
            }
            10 => batch_call::settle(terms.receiver, self.token),
            11..14 => batch_call::initiate_withdraw(&terms, amount),
            14..16 => batch_call::finalize_withdraw(&terms),
            16 => batch_call::refund(&terms, amount),
            17 => {
                let channel = terms.id(&self.domain);
                let nonce = self.escrow.channel(channel).refunds + u64::from(self.numbers.below(4) == 0);
                let refund = Refund { channel, nonce: nonce.into(), amount };
                let signature = key(2).sign(&refund.digest(&self.domain)).to_bytes();
                batch_call::refund_with_signature(&terms, amount, nonce.into(), &signature)
            }
            _ => {
                let claim = batch_call::claim(&self.rows());
                batch_call::multicall(&[claim, batch_call::refund(&terms, amount)])
            }
        }
    }

    /// Makes a call on both, and compares. Says whether it was taken.
    async fn call(&mut self, from: Address, input: Vec<u8>) -> bool {
        self.now += self.numbers.below(60) + 1;
        let (mut escrow, mut till) = (self.escrow.clone(), self.till.clone());
        let trial = Trial { from, to: BATCH_ESCROW, input: input.clone() };
        let done = escrow.change(&trial, Timestamp::from_secs(self.now), &mut till).unwrap();
        let transaction =
            json!({"from": from, "to": BATCH_ESCROW, "data": bytes_to_hex(&input), "gas": "0x200000"});
        self.anvil.ask("evm_setNextBlockTimestamp", json!([self.now])).await;
        let hash = self.anvil.ask("eth_sendTransaction", json!([transaction])).await;
        self.anvil.mine().await;
        let receipt = self.anvil.ask("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt["status"] == "0x1", done.is_ok(), "{done:?} {}: {receipt}", bytes_to_hex(&input));
        let taken = done.is_ok();
        self.refused.extend(done.as_ref().err());
        if let Ok(logs) = done {
            assert_eq!(said_by_contract(&receipt), said(&logs), "{}", bytes_to_hex(&input));
            (self.escrow, self.till) = (escrow, till);
        }
        taken
    }

    /// What both answer to every question.
    async fn stand(&self) {
        let receiver = self.terms(0).receiver;
        let mut questions = vec![batch_call::receivers(receiver, self.token)];
        for which in 0..4 {
            let channel = self.terms(which).id(&self.domain);
            questions.push(batch_call::channels(channel));
            questions.push(batch_call::pending_withdrawals(channel));
            questions.push(batch_call::refund_nonce(channel));
        }
        for input in questions {
            let call = json!([{"to": BATCH_ESCROW, "data": bytes_to_hex(&input)}, "latest"]);
            let answer = self.anvil.ask("eth_call", call).await;
            let trial = Trial { from: Address::ZERO, to: BATCH_ESCROW, input };
            assert_eq!(answer, json!(bytes_to_hex(&self.escrow.answer(&trial).unwrap())));
        }
        for account in [key(1).address(), key(3).address(), receiver, BATCH_ESCROW] {
            let input = farthing_channel::call::balance_of(account);
            let call = json!([{"to": self.token, "data": bytes_to_hex(&input)}, "latest"]);
            let units = self.till.units.get(&account).copied().unwrap_or_default();
            let word = Word::from(Amount::new(units));
            assert_eq!(
                self.anvil.ask("eth_call", call).await,
                json!(bytes_to_hex(word.as_bytes())),
                "{account}"
            );
        }
    }
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Events by their topics and the rest, as text.
fn said(logs: &[Log]) -> Vec<(Vec<String>, String)> {
    let text = |log: &Log| {
        let topics = log.topics.iter().map(|topic| bytes_to_hex(topic.as_bytes())).collect();
        (topics, bytes_to_hex(&log.rest))
    };
    logs.iter().map(text).collect()
}

fn said_by_contract(receipt: &Value) -> Vec<(Vec<String>, String)> {
    let own =
        |log: &&Value| log["address"].as_str().is_some_and(|address| address.parse() == Ok(BATCH_ESCROW));
    let text = |log: &Value| {
        let topics = log["topics"].as_array().unwrap().iter().map(|topic| topic.as_str().unwrap().to_owned());
        (topics.collect(), log["data"].as_str().unwrap().to_owned())
    };
    receipt["logs"].as_array().unwrap().iter().filter(own).map(text).collect()
}

#[tokio::test]
async fn the_escrow_in_memory_is_the_contract() {
    let mut pair = Pair::open().await;
    let mut taken = 0;
    for round in 1..=CALLS {
        let input = pair.any_call();
        let who = [2, 2, 2, 1, 3, 0, 4][usize::try_from(pair.numbers.below(7)).unwrap()];
        taken += u32::from(pair.call(key(who).address(), input).await);
        if round % 20 == 0 {
            pair.stand().await;
        }
    }
    assert_eq!(pair.refused, BTreeSet::from(REFUSALS));
    assert!((CALLS / 5..CALLS * 4 / 5).contains(&taken), "{taken} of {CALLS} were taken");
}
