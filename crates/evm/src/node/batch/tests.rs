//! The escrow in memory, compared with what the contract says: the same cases are in `contracts/test`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use farthing_channel::{
    AUTHORIZATION_COLLECTOR, BatchEvent, CollectedDeposit, Salt, Signature, SigningKey, TxHash,
};

use super::*;

const CHAIN: ChainId = ChainId::new(84_532);

/// Tokens by account; signatures are looked at.
#[derive(Clone, Default)]
struct Till(BTreeMap<Address, u128>);

impl EscrowAround for Till {
    fn is_signed_by(&self, signer: Address, digest: &Digest, signature: &[u8]) -> bool {
        Signature::from_bytes(signature).is_ok_and(|signature| signature.recover(digest) == Ok(signer))
    }

    fn collect(&mut self, deposit: &Collecting<'_>) -> Result<Vec<Log>, &'static str> {
        *self.0.entry(BATCH_ESCROW).or_default() += deposit.units.value();
        Ok(Vec::new())
    }

    fn send(&mut self, _: Address, to: Address, units: Amount) -> Result<Vec<Log>, &'static str> {
        let had = self.0.entry(BATCH_ESCROW).or_default();
        *had = had.checked_sub(units.value()).ok_or("the escrow has too little")?;
        *self.0.entry(to).or_default() += units.value();
        Ok(Vec::new())
    }
}

struct Stage {
    escrow: BatchEscrow,
    till: Till,
    now: u64,
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes([n; 32]).unwrap()
}

fn terms(salt: u8) -> ChannelTerms {
    ChannelTerms {
        payer: key(1).address(),
        payer_authorizer: key(2).address(),
        receiver: Address::from_bytes([3; 20]),
        receiver_authorizer: key(4).address(),
        token: Address::from_bytes([5; 20]),
        withdraw_delay: 900,
        salt: Salt::from_bytes([salt; 32]),
    }
}

fn id(salt: u8) -> ChannelId {
    terms(salt).id(&batch_domain(CHAIN))
}

fn amount(units: u128) -> Amount {
    Amount::new(units)
}

fn deposit(salt: u8, units: u128) -> Vec<u8> {
    let collector_bytes = vec![7; 40];
    let collected =
        CollectedDeposit { amount: amount(units), collector: AUTHORIZATION_COLLECTOR, collector_bytes };
    batch_call::deposit(&terms(salt), &collected)
}

fn row(salt: u8, ceiling: u128, total: u128) -> ClaimRow {
    let voucher = Voucher { channel: id(salt), cumulative: amount(ceiling) };
    let signature = key(2).sign(&voucher.batch_digest(&batch_domain(CHAIN))).to_bytes().to_vec();
    ClaimRow { terms: terms(salt), ceiling: amount(ceiling), signature, total_claimed: amount(total) }
}

impl Stage {
    fn new() -> Self {
        Self { escrow: BatchEscrow::new(CHAIN), till: Till::default(), now: 1_000 }
    }

    /// What a call says; one that is refused changes nothing.
    fn call(&mut self, from: Address, input: Vec<u8>) -> Result<Vec<BatchEvent>, &'static str> {
        let (mut escrow, mut till) = (self.escrow.clone(), self.till.clone());
        let trial = Trial { from, to: BATCH_ESCROW, input };
        let logs = escrow.change(&trial, Timestamp::from_secs(self.now), &mut till).unwrap()?;
        (self.escrow, self.till) = (escrow, till);
        assert!(logs.iter().all(|log| log.transaction == TxHash::from_bytes([0; 32])));
        Ok(logs.iter().map(|log| BatchEvent::read(&log.topics, &log.rest).unwrap()).collect())
    }

    fn channel(&self, salt: u8) -> (u128, u128) {
        let channel = self.escrow.channel(id(salt));
        (channel.balance.value(), channel.claimed.value())
    }

    fn has(&self, account: Address) -> u128 {
        self.till.0.get(&account).copied().unwrap_or_default()
    }
}

#[test]
fn a_channel_lives_and_every_event_is_the_published_one() {
    let (mut stage, ours, anyone) = (Stage::new(), key(4).address(), Address::from_bytes([9; 20]));
    let said = stage.call(anyone, deposit(1, 1_000)).unwrap();
    let opened = BatchEvent::Deposited {
        channel: id(1),
        sender: anyone,
        amount: amount(1_000),
        balance: amount(1_000),
    };
    assert_eq!(said, [BatchEvent::Created(id(1), terms(1)), opened]);
    let said = stage.call(ours, batch_call::claim(&[row(1, 500, 400)])).unwrap();
    let claimed =
        BatchEvent::Claimed { channel: id(1), sender: ours, amount: amount(400), total: amount(400) };
    assert_eq!(said, [claimed]);
    let (receiver, token) = (terms(1).receiver, terms(1).token);
    let said = stage.call(anyone, batch_call::settle(receiver, token)).unwrap();
    assert_eq!(said, [BatchEvent::Settled { receiver, token, sender: anyone, amount: amount(400) }]);
    assert_eq!(stage.call(anyone, batch_call::settle(receiver, token)), Ok(vec![]), "nothing is no mistake");
    let payer = terms(1).payer;
    let said = stage.call(payer, batch_call::initiate_withdraw(&terms(1), amount(600))).unwrap();
    let wish = BatchEvent::WithdrawInitiated { channel: id(1), amount: amount(600), finalize_after: 1_900 };
    assert_eq!(said, [wish]);
    assert_eq!(stage.call(payer, batch_call::finalize_withdraw(&terms(1))), Err("WithdrawDelayNotElapsed()"));
    let both = [batch_call::claim(&[row(1, 500, 450)]), batch_call::refund(&terms(1), amount(100))];
    let said = stage.call(ours, batch_call::multicall(&both)).unwrap();
    assert_eq!(said[1], BatchEvent::Refunded { channel: id(1), sender: ours, amount: amount(100) });
    stage.now = 1_900;
    let said = stage.call(payer, batch_call::finalize_withdraw(&terms(1))).unwrap();
    let out = BatchEvent::WithdrawFinalized { channel: id(1), sender: payer, amount: amount(450) };
    assert_eq!(said, [out], "as far as it was neither claimed nor given back");
    assert_eq!(stage.channel(1), (450, 450));
    assert_eq!((stage.has(payer), stage.has(receiver), stage.has(BATCH_ESCROW)), (550, 400, 50));
}

#[test]
fn only_what_is_signed_is_claimed() {
    let (mut stage, ours, anyone) = (Stage::new(), key(4).address(), Address::from_bytes([9; 20]));
    stage.call(anyone, deposit(1, 1_000)).unwrap();
    stage.call(anyone, deposit(2, 1_000)).unwrap();
    let mut claim = |from, rows: &[ClaimRow]| stage.call(from, batch_call::claim(rows));
    assert_eq!(claim(anyone, &[row(1, 500, 400)]), Err("NotAuthorizedToClaim()"));
    assert_eq!(claim(ours, &[]), Err("EmptyBatch()"));
    assert_eq!(claim(ours, &[row(1, 500, 501)]), Err("ClaimExceedsCeiling()"));
    assert_eq!(claim(ours, &[row(1, 2_000, 1_001)]), Err("ClaimExceedsBalance()"));
    let forged = ClaimRow { ceiling: amount(600), ..row(1, 500, 400) };
    assert_eq!(claim(ours, &[row(2, 9, 9), forged]), Err("InvalidSignature()"));
    assert_eq!(stage.channel(2), (1_000, 0), "one bad row undoes all");
    // By anyone, with the authorizer's word for all rows.
    let rows = [row(1, 500, 400), row(2, 10, 7)];
    let batch = batch_domain(CHAIN);
    let claims: Vec<Claim> = rows.iter().map(|row| row.claim(&batch)).collect();
    let signed = key(4).sign(&claims_digest(&claims, &batch)).to_bytes();
    let other = stage.call(anyone, batch_call::claim_with_signature(&rows[..1], &signed));
    assert_eq!(other, Err("InvalidSignature()"));
    stage.call(anyone, batch_call::claim_with_signature(&rows, &signed)).unwrap();
    assert_eq!((stage.channel(1), stage.channel(2)), ((1_000, 400), (1_000, 7)));
    // A row that claims nothing new is passed over, whatever its signature.
    let old = ClaimRow { signature: vec![1], ..row(1, 500, 400) };
    assert_eq!(stage.call(ours, batch_call::claim(&[old])), Ok(vec![]));
}

#[test]
fn a_refund_needs_a_word_for_its_number() {
    let (mut stage, anyone, batch) = (Stage::new(), Address::from_bytes([9; 20]), batch_domain(CHAIN));
    stage.call(anyone, deposit(1, 1_000)).unwrap();
    let signed = |nonce: u64, units| {
        let refund = Refund { channel: id(1), nonce: nonce.into(), amount: amount(units) };
        let signature = key(4).sign(&refund.digest(&batch)).to_bytes();
        batch_call::refund_with_signature(&terms(1), amount(units), nonce.into(), &signature)
    };
    assert_eq!(stage.call(anyone, batch_call::refund(&terms(1), amount(1))), Err("NotAuthorizedToRefund()"));
    assert_eq!(stage.call(anyone, signed(1, 100)), Err("InvalidRefundNonce()"));
    assert_eq!(stage.call(anyone, signed(0, 0)), Err("ZeroRefund()"));
    stage.call(anyone, signed(0, 400)).unwrap();
    assert_eq!(stage.call(anyone, signed(0, 400)), Err("InvalidRefundNonce()"));
    let said = stage.call(anyone, signed(1, 900)).unwrap();
    assert_eq!(said.last(), Some(&BatchEvent::Closed(id(1), terms(1))));
    assert_eq!((stage.channel(1), stage.has(terms(1).payer)), ((0, 0), 1_000));
    stage.call(anyone, signed(2, 1)).unwrap();
    assert_eq!(stage.escrow.channel(id(1)).refunds, 3, "also where nothing is left");
}

#[test]
fn terms_that_the_escrow_refuses_open_no_channel() {
    let mut stage = Stage::new();
    for (terms, why) in [
        (ChannelTerms { withdraw_delay: 899, ..terms(1) }, "WithdrawDelayOutOfRange()"),
        (ChannelTerms { withdraw_delay: 2_592_001, ..terms(1) }, "WithdrawDelayOutOfRange()"),
        (ChannelTerms { receiver_authorizer: Address::ZERO, ..terms(1) }, "InvalidChannel()"),
    ] {
        let collector = AUTHORIZATION_COLLECTOR;
        let collected = CollectedDeposit { amount: amount(1), collector, collector_bytes: Vec::new() };
        assert_eq!(stage.call(terms.payer, batch_call::deposit(&terms, &collected)), Err(why));
    }
    assert_eq!(stage.call(terms(1).payer, deposit(1, 0)), Err("ZeroDeposit()"));
    let stranger = Address::from_bytes([9; 20]);
    let wish = batch_call::initiate_withdraw(&terms(1), amount(1));
    assert_eq!(stage.call(stranger, wish.clone()), Err("InvalidChannel()"));
    assert_eq!(stage.call(terms(1).payer, wish), Err("WithdrawAmountExceedsAvailable()"));
}
