//! The channels of a chain in memory: what is seen, claimed and moved, and what payers, forks and crashes do meanwhile.

use std::sync::Arc;

use crate::support;
use crate::support::play::{NOW, Play, token};
use crate::support::{CHAIN, payee, submitter, usd};
use farthing_channel::seller::Refused;
use farthing_channel::{
    Address, BATCH_ESCROW, ChannelId, ChannelTerms, ClaimRow, CollectedDeposit, Digest, Salt, SigningKey,
    Voucher, batch_call, batch_domain,
};
use farthing_engine::{
    Call, CallId, ChannelRow, ChannelStep, Command, MakeChannelCall, Movement, Purpose, Read, Reject,
};
use farthing_evm::{ChannelConfig, ChannelRound, ChannelWorker, NodeError};
use farthing_money::{Amount, Span, Timestamp};

const CONFIG: ChannelConfig = ChannelConfig {
    withdraw_delay: 900,
    deposit_prices: 10,
    exposure_most: Amount::new(1_000),
    claim_from: Amount::new(100),
    claim_after: Span::from_secs(3_600),
    settle_from: Amount::new(150),
    rows_most: 50,
    takes_contracts: false,
};

/// Who signs the vouchers of a channel.
fn voucher_key(n: u8) -> SigningKey {
    SigningKey::from_bytes([n; 32]).unwrap()
}

/// A chain with channels, and a worker that looks after them.
struct Harbour {
    play: Play,
    worker: ChannelWorker,
}

impl Harbour {
    fn open() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut farthing_evm::ChainConfig)) -> Self {
        let play = Play::with(|chain| {
            chain.channels = Some(CONFIG);
            change(chain);
        });
        let worker = ChannelWorker::new(Arc::clone(play.stage.facilitator.submitter()));
        Self { play, worker }
    }

    fn terms(n: u8) -> ChannelTerms {
        ChannelTerms {
            payer: Address::from_bytes([n; 20]),
            payer_authorizer: voucher_key(n).address(),
            receiver: payee(),
            receiver_authorizer: submitter().address(),
            token: token(),
            withdraw_delay: 900,
            salt: Salt::from_bytes([0; 32]),
        }
    }

    fn id(n: u8) -> ChannelId {
        Self::terms(n).id(&batch_domain(CHAIN))
    }

    fn row(&self, n: u8) -> ChannelRow {
        self.play.stage.desk.channel(Self::id(n)).unwrap().unwrap()
    }

    /// Asks for a deposit, as the gate does; it is not mined yet.
    fn deposit(&self, n: u8, amount: u128) {
        let (terms, chain) = (Self::terms(n), &self.play.stage.chain);
        let deposit = CollectedDeposit {
            amount: Amount::new(amount),
            collector: farthing_channel::AUTHORIZATION_COLLECTOR,
            collector_bytes: vec![1],
        };
        let to = farthing_engine::ChainAddress::from_bytes(*BATCH_ESCROW.as_bytes());
        let now = self.play.stage.hands.now();
        let call = Call {
            chain: CHAIN.number(),
            to,
            input: batch_call::deposit(&terms, &deposit),
            moves: Movement { token: to, from: to, to, units: Amount::ZERO },
            until: now.after(Span::from_secs(3_600)),
            approval: None,
        };
        let accounts = chain.channel_accounts(&chain.tokens[0]);
        let unit = chain.tokens[0].unit_worth();
        let row = ChannelRow::new((CHAIN.number(), terms), (usd(), unit), accounts, now);
        let made = MakeChannelCall {
            id: CallId::from_bytes([n; 32]),
            call,
            step: ChannelStep::Deposit(Self::id(n)),
            opens: Some(Box::new(row)),
            charged: Amount::ZERO,
        };
        self.play.stage.desk.run(&Command::MakeChannelCall(made)).unwrap();
    }

    /// A channel that has so much, as the books know.
    async fn filled(&self, n: u8, amount: u128) {
        self.deposit(n, amount);
        self.pass().await;
    }

    /// Charges so much by a voucher.
    fn charge(&self, n: u8, amount: u128) -> Result<(), Reject> {
        self.charge_by(n, amount, |_| ())
    }

    /// Charges so much by a voucher whose signature is written otherwise.
    fn charge_by(&self, n: u8, amount: u128, write: impl FnOnce(&mut [u8; 65])) -> Result<(), Reject> {
        let sign = |digest: &Digest| {
            let mut signature = voucher_key(n).sign(digest).to_bytes();
            write(&mut signature);
            signature
        };
        let known = Some(voucher_key(n).public_key());
        self.play.stage.charge_voucher(Self::terms(n), Amount::new(amount), known, sign)
    }

    /// Sends what waits, makes a block, and looks at what has come of it.
    async fn pass(&self) -> ChannelRound {
        self.play.stage.round().await;
        self.play.mine_and_look().await;
        self.worker.run_once().await.unwrap()
    }

    fn books(&self) -> [i128; 6] {
        self.play.stage.channel_books()
    }

    fn claims_under_way(&self) -> usize {
        let calls = self.play.stage.desk.calls().unwrap();
        calls.iter().filter(|(_, row)| row.purpose == Purpose::Channel(ChannelStep::Claim)).count()
    }
}

#[tokio::test]
async fn many_payments_are_one_claim_and_one_transfer() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.filled(2, 1_000).await;
    assert_eq!(harbour.books(), [2_000, 0, 2_000, 0, 0, 0]);
    for _ in 0..10 {
        harbour.charge(1, 10).unwrap();
        harbour.charge(2, 9).unwrap();
    }
    assert_eq!(harbour.books(), [2_000, 0, 1_810, 0, 0, 190]);
    let round = harbour.worker.run_once().await.unwrap();
    assert_eq!((round.claimed, harbour.claims_under_way()), (1, 1), "90 of the second can wait");
    harbour.charge(2, 10).unwrap();
    harbour.worker.run_once().await.unwrap();
    assert_eq!(harbour.claims_under_way(), 1, "one at a time");
    let round = harbour.pass().await;
    assert_eq!((round.changed, round.claimed), (1, 1), "the first is claimed, the second goes");
    assert_eq!(harbour.books(), [1_900, 100, 1_800, 0, 0, 200]);
    let round = harbour.pass().await;
    assert_eq!((round.changed, round.swept), (1, 1));
    harbour.pass().await;
    assert_eq!(harbour.books(), [1_800, 0, 1_800, 0, 200, 200]);
    assert_eq!(harbour.pass().await, ChannelRound::default(), "nothing left to do");
}

/// A channel that names our account as its receiver and itself as who may claim is none of ours; what it pays us is.
#[tokio::test]
async fn what_others_claim_for_our_account_is_found_and_not_taken_for_ours() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.charge(1, 200).unwrap();
    let key = support::key(3);
    let terms = ChannelTerms {
        payer_authorizer: key.address(),
        receiver_authorizer: key.address(),
        ..Harbour::terms(7)
    };
    let deposit = CollectedDeposit {
        amount: Amount::new(90),
        collector: farthing_channel::AUTHORIZATION_COLLECTOR,
        collector_bytes: vec![1],
    };
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::deposit(&terms, &deposit)).await;
    harbour.play.node.mine();
    let ceiling = Amount::new(60);
    let voucher = Voucher { channel: terms.id(&batch_domain(CHAIN)), cumulative: ceiling };
    let signature = key.sign(&voucher.batch_digest(&batch_domain(CHAIN))).to_bytes().to_vec();
    let row = ClaimRow { terms, ceiling, signature, total_claimed: ceiling };
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::claim(&[row])).await;
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::settle(payee(), token())).await;
    harbour.pass().await;
    // Went wrong: what is claimed was less than nothing from then on.
    assert_eq!(harbour.books(), [1_000, 0, 800, -60, 60, 200]);
    harbour.pass().await;
    assert_eq!(harbour.books(), [800, 200, 800, -60, 60, 200]);
    harbour.pass().await;
    harbour.pass().await;
    assert_eq!(harbour.books(), [800, 0, 800, -60, 260, 200]);
    assert_eq!(harbour.pass().await, ChannelRound::default(), "nothing left to do");
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_not_taken_for_others() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.charge(1, 200).unwrap();
    harbour.worker.run_once().await.unwrap();
    harbour.play.stage.round().await;
    harbour.play.mine_and_look().await;
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::settle(payee(), token())).await;
    harbour.play.node.mine();
    harbour.play.node.fail_next("call_at", NodeError::Slow { node: "n".into(), seconds: 1 });
    harbour.worker.run_once().await.unwrap();
    assert_eq!(harbour.books(), [1_000, 0, 800, 0, 0, 200], "the claim was not seen, and all is moved");
    harbour.worker.run_once().await.unwrap();
    assert_eq!(harbour.books(), [800, 0, 800, 0, 200, 200]);
}

#[tokio::test]
async fn little_is_claimed_after_a_while() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.charge(1, 3).unwrap();
    assert_eq!(harbour.worker.run_once().await.unwrap().claimed, 0);
    harbour.play.stage.hands.pass(3_600);
    assert_eq!(harbour.worker.run_once().await.unwrap().claimed, 1);
}

#[tokio::test]
async fn a_deposit_counts_when_enough_blocks_confirm_it() {
    let harbour = Harbour::with(|chain| chain.confirmations = 3);
    harbour.deposit(1, 1_000);
    for _ in 0..2 {
        harbour.pass().await;
        assert_eq!(harbour.books()[0], 0);
        assert_eq!(harbour.charge(1, 10), Err(Refused::ChannelNotFound.into()));
    }
    harbour.pass().await;
    assert_eq!(harbour.books(), [1_000, 0, 1_000, 0, 0, 0]);
    harbour.charge(1, 10).unwrap();
}

#[tokio::test]
async fn a_deposit_that_a_fork_takes_back_leaves_the_books() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.charge(1, 60).unwrap();
    harbour.play.node.fork(1, true);
    harbour.play.stage.round().await;
    harbour.worker.run_once().await.unwrap();
    assert_eq!(harbour.books(), [0, 0, 0, 60, 0, 60], "served, and not covered any more");
    assert_eq!(harbour.charge(1, 1), Err(Refused::ChannelNotFound.into()));
    // The call is opened again and its deposit carried out once more.
    harbour.pass().await;
    assert_eq!(harbour.books(), [1_000, 0, 940, 0, 0, 60]);
}

#[tokio::test]
async fn a_payer_who_wants_his_money_is_not_served_and_what_he_owes_is_claimed() {
    let harbour = Harbour::with(|chain| chain.confirmations = 2);
    harbour.deposit(1, 1_000);
    harbour.pass().await;
    harbour.pass().await;
    harbour.charge(1, 7).unwrap();
    let terms = Harbour::terms(1);
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::initiate_withdraw(&terms, Amount::new(1_000))).await;
    harbour.play.node.mine();
    let round = harbour.worker.run_once().await.unwrap();
    assert_eq!(
        (round.changed, round.claimed),
        (1, 1),
        "at once, though it is little and nothing is confirmed"
    );
    assert_eq!(harbour.charge(1, 1), Err(Refused::WithdrawalPending.into()));
    // Went wrong: each round claimed it anew until the first claim was confirmed.
    assert_eq!(harbour.worker.run_once().await.unwrap().claimed, 0);
    for _ in 0..2 {
        assert_eq!(harbour.pass().await.claimed, 0);
    }
    assert_eq!(harbour.row(1).books.chain().claimed, Amount::new(7));
    let later = NOW + 5_000;
    harbour.play.node.mine_at(Timestamp::from_secs(later));
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::finalize_withdraw(&terms)).await;
    harbour.pass().await;
    // Went wrong: his wish was gone and his money still in the balance that is confirmed.
    assert_eq!(harbour.charge(1, 1), Err(Refused::WithdrawalPending.into()));
    for _ in 0..2 {
        harbour.pass().await;
    }
    assert_eq!(harbour.books(), [0, 7, 0, 0, 0, 7], "he has the rest, we what is ours");
    assert_eq!(harbour.row(1).books.chain().withdraw_since, None);
}

/// Vouchers reserve nothing: a payer who has taken his money makes a row that undoes its whole batch.
#[tokio::test]
async fn a_bad_row_does_not_hold_the_others_up() {
    let harbour = Harbour::open();
    for n in 1..=5 {
        harbour.filled(n, 1_000).await;
    }
    (1..=5).for_each(|n| harbour.charge(n, 200).unwrap());
    // The third payer's balance is gone, and the worker has not seen it.
    let refund = batch_call::refund(&Harbour::terms(3), Amount::new(1_000));
    let from = submitter();
    let number =
        farthing_evm::Node::count(&*harbour.play.node, from.address(), farthing_evm::Moment::Pending);
    let fees = farthing_evm::Fees { most: Amount::new(10_u128.pow(10)), tip: Amount::new(1) };
    let transaction = farthing_evm::Transaction {
        chain: CHAIN,
        number: number.await.unwrap(),
        fees,
        gas: 100_000,
        to: BATCH_ESCROW,
        coin: Amount::ZERO,
        input: refund,
    };
    let signature = from.sign(&transaction.digest());
    let signed = transaction.signed(&signature).unwrap();
    farthing_evm::Node::send(&*harbour.play.node, signed.bytes).await.unwrap();
    harbour.play.node.mine();
    harbour.play.node.fail_next("logs", NodeError::Busy { node: "n".into(), cause: "much to do".into() });
    assert!(harbour.worker.run_once().await.is_err());
    // A worker that has just started and is told nothing of the refund.
    let rows: Vec<_> = (1..=5).map(|n| harbour.row(n)).collect();
    assert!(rows.iter().all(|row| row.books.chain().balance == Amount::new(1_000)));
    let round = harbour.pass().await;
    assert_eq!((round.changed, round.claimed, round.bad), (1, 4, 0));
    harbour.pass().await;
    harbour.pass().await;
    assert_eq!(harbour.books()[3], 200, "what the third took is lost");
    assert_eq!(harbour.books()[5], 1_000);
}

/// Went wrong: one question without an answer ended the round, and nothing was claimed.
#[tokio::test]
async fn a_channel_that_cannot_be_looked_at_holds_no_claim_up() {
    let harbour = Harbour::open();
    for n in 1..=2 {
        harbour.filled(n, 1_000).await;
    }
    (1..=2).for_each(|n| harbour.charge(n, 200).unwrap());
    let worker = ChannelWorker::new(Arc::clone(harbour.play.stage.facilitator.submitter()));
    harbour.play.node.fail_next("call_at", NodeError::Slow { node: "n".into(), seconds: 1 });
    let round = worker.run_once().await.unwrap();
    assert_eq!((round.looked, round.claimed, worker.is_fresh()), (2, 2, false));
    let round = worker.run_once().await.unwrap();
    assert!(round.looked >= 1 && worker.is_fresh(), "{round:?}");
}

/// Went wrong: a node that gives the logs of a few blocks at most was asked for more and more of them, and nothing was claimed.
#[tokio::test]
async fn where_a_node_gives_no_logs_of_so_many_blocks_all_channels_are_looked_at() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.charge(1, 200).unwrap();
    (0..30).for_each(|_| harbour.play.node.mine());
    let refused = || NodeError::Refused { code: -32_005, message: "too many blocks".into() };
    harbour.play.node.fail_next("logs", refused());
    let round = harbour.worker.run_once().await.unwrap();
    assert_eq!((round.looked, round.claimed), (1, 1));
    harbour.play.node.mine();
    harbour.play.node.fail_next("logs", refused());
    assert!(harbour.worker.run_once().await.is_err(), "of few blocks any node gives them");
}

#[tokio::test]
async fn a_row_that_is_refused_is_left_alone_for_a_while() {
    let harbour = Harbour::open();
    for n in 1..=4 {
        harbour.filled(n, 1_000).await;
    }
    (1..=4).for_each(|n| harbour.charge(n, 200).unwrap());
    let row = |n: u8| harbour.row(n).books.claim(&Harbour::terms(n)).unwrap();
    // Every batch that has the second's row begins so, or is that row alone.
    let mut order: Vec<u8> = (1..=4).collect();
    order.sort_by_key(|n| Harbour::id(*n));
    let refuses = |rows: &[u8]| {
        let rows: Vec<_> = rows.iter().map(|n| row(*n)).collect();
        let refused = farthing_evm::Effect::Refuses("ClaimExceedsBalance()".into());
        harbour.play.node.on(BATCH_ESCROW, &batch_call::claim(&rows), refused);
    };
    refuses(&order);
    refuses(&order[..2]);
    refuses(&order[..1]);
    let round = harbour.worker.run_once().await.unwrap();
    assert_eq!((round.claimed, round.bad), (3, 1));
    harbour.pass().await;
    assert_eq!(harbour.books()[1], 600);
    assert_eq!(harbour.worker.run_once().await.unwrap().bad, 0, "not asked again at once");
    harbour.play.node.forget(BATCH_ESCROW);
    harbour.play.stage.hands.pass(600);
    assert_eq!(harbour.worker.run_once().await.unwrap().claimed, 1);
}

#[tokio::test]
async fn a_claim_that_a_fork_takes_back_is_carried_out_again() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.charge(1, 200).unwrap();
    harbour.worker.run_once().await.unwrap();
    harbour.pass().await;
    assert_eq!(harbour.books(), [800, 200, 800, 0, 0, 200]);
    harbour.play.node.fork(1, true);
    assert_eq!(harbour.worker.setbacks(), 0);
    harbour.worker.run_once().await.unwrap();
    assert_eq!(harbour.worker.setbacks(), 1, "the gate counts anew what is owed");
    assert_eq!(harbour.books(), [1_000, 0, 800, 0, 0, 200]);
    for _ in 0..4 {
        harbour.pass().await;
    }
    assert_eq!(harbour.books(), [800, 0, 800, 0, 200, 200]);
}

/// Nothing but the books survives, and what was under way is neither lost nor made twice.
#[tokio::test]
async fn a_start_goes_on_with_what_was_under_way() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.charge(1, 200).unwrap();
    harbour.worker.run_once().await.unwrap();
    let again = ChannelWorker::new(Arc::clone(harbour.play.stage.restarted().facilitator.submitter()));
    assert!(!again.is_fresh(), "nothing is known yet");
    again.run_once().await.unwrap();
    assert!(again.is_fresh());
    assert_eq!(harbour.claims_under_way(), 1);
    harbour.pass().await;
    harbour.pass().await;
    harbour.pass().await;
    assert_eq!(harbour.books(), [800, 0, 800, 0, 200, 200]);
}

/// What was emptied long ago is not looked at for ever.
#[tokio::test]
async fn a_start_passes_over_channels_that_have_long_been_empty() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.filled(2, 1_000).await;
    let terms = Harbour::terms(1);
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::initiate_withdraw(&terms, Amount::new(1_000))).await;
    harbour.play.node.mine();
    harbour.play.node.mine_at(Timestamp::from_secs(NOW + 5_000));
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::finalize_withdraw(&terms)).await;
    harbour.pass().await;
    assert!(harbour.row(1).is_empty() && !harbour.row(2).is_empty());
    let start = async || {
        let again = ChannelWorker::new(Arc::clone(harbour.play.stage.restarted().facilitator.submitter()));
        again.run_once().await.unwrap().looked
    };
    assert_eq!(start().await, 2, "a fork could fill it again");
    harbour.play.stage.hands.pass(2 * 24 * 3_600);
    assert_eq!(start().await, 1);
}

#[tokio::test]
async fn what_is_known_goes_stale_when_the_chain_is_silent() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    assert!(harbour.worker.is_fresh());
    harbour.play.node.set_down(Some(NodeError::Unreachable { node: "n".into(), cause: "gone".into() }));
    harbour.play.stage.hands.pass(CONFIG.fresh_for().secs());
    assert!(harbour.worker.run_once().await.is_err());
    assert!(!harbour.worker.is_fresh());
    harbour.play.node.set_down(None);
    harbour.worker.run_once().await.unwrap();
    assert!(harbour.worker.is_fresh());
}

/// A voucher that is verified by a known key says nothing of its last byte, and the escrow goes by that.
#[tokio::test]
async fn a_claim_is_signed_as_the_escrow_reads_it() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    harbour.charge_by(1, 200, |signature| signature[64] ^= 7).unwrap();
    harbour.worker.run_once().await.unwrap();
    let calls = harbour.play.stage.desk.calls().unwrap();
    let (_, claim) =
        calls.iter().find(|(_, row)| row.purpose == Purpose::Channel(ChannelStep::Claim)).unwrap();
    let kept = harbour.row(1).books.claim(&Harbour::terms(1)).unwrap();
    let written = batch_call::claim(std::slice::from_ref(&kept));
    let read = batch_call::claim(&[kept.mended(&batch_domain(CHAIN)).unwrap()]);
    assert_ne!(written, read);
    assert_eq!(claim.call.input, read);
}

/// Went wrong: what a node that was a block late had not told was never asked for again.
#[tokio::test]
async fn what_a_late_node_has_not_told_is_asked_for_again() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    // Nothing is looked at any more that has just been filled.
    harbour.pass().await;
    assert_eq!(harbour.pass().await, ChannelRound::default());
    let terms = Harbour::terms(1);
    harbour.play.send_as_other(BATCH_ESCROW, batch_call::initiate_withdraw(&terms, Amount::new(1_000))).await;
    harbour.play.node.mine();
    harbour.play.node.be_late();
    assert_eq!(harbour.worker.run_once().await.unwrap().changed, 0);
    harbour.play.node.mine();
    assert_eq!(harbour.worker.run_once().await.unwrap().changed, 1);
    assert_eq!(harbour.charge(1, 1), Err(Refused::WithdrawalPending.into()));
}

/// Went wrong: a look at blocks before a refund ended it, and what had gone back was served for once more.
#[tokio::test]
async fn a_look_that_is_older_than_a_refund_does_not_end_it() {
    let harbour = Harbour::open();
    harbour.filled(1, 1_000).await;
    (0..3).for_each(|_| harbour.play.node.mine());
    let (ports, terms) = (harbour.play.stage.submitter().ports(), Harbour::terms(1));
    let late = farthing_evm::ChainConfig { confirmations: 3, ..(*ports.chain).clone() };
    let late = farthing_evm::Ports { chain: Arc::new(late), ..ports.clone() };
    let late = ChannelWorker::new(Arc::new(farthing_evm::Submitter::new(late)));
    let to = farthing_engine::ChainAddress::from_bytes(*BATCH_ESCROW.as_bytes());
    let call = Call {
        chain: CHAIN.number(),
        to,
        input: batch_call::refund(&terms, Amount::new(1_000)),
        moves: Movement { token: to, from: to, to, units: Amount::ZERO },
        until: harbour.play.stage.hands.now().after(Span::from_secs(3_600)),
        approval: None,
    };
    let made = MakeChannelCall {
        id: CallId::from_bytes([0xee; 32]),
        call,
        step: ChannelStep::Refund(Harbour::id(1)),
        opens: None,
        charged: Amount::ZERO,
    };
    harbour.play.stage.desk.run(&Command::MakeChannelCall(made)).unwrap();
    harbour.play.stage.round().await;
    harbour.play.mine_and_look().await;
    assert!(harbour.play.stage.outcome(CallId::from_bytes([0xee; 32])).is_some());
    late.see(Harbour::id(1), None).await.unwrap();
    assert_eq!(harbour.charge(1, 1), Err(Refused::ChannelBusy.into()));
    harbour.worker.run_once().await.unwrap();
    assert_eq!((harbour.row(1).refund, harbour.charge(1, 1)), (None, Err(Refused::ChannelNotFound.into())));
}

/// Went wrong: deposits and refunds that anybody may ask for stood before claims, and a payer who takes his money out was faster.
#[tokio::test]
async fn claims_go_before_what_strangers_ask_for() {
    let harbour = Harbour::with(|chain| chain.at_once = 8);
    harbour.filled(1, 1_000).await;
    let begun = async || harbour.play.stage.round().await.begun;
    (2..=30).for_each(|n| harbour.deposit(n, 10));
    assert_eq!(begun().await, 7, "one place is kept for a claim");
    harbour.charge(1, 200).unwrap();
    harbour.play.stage.hands.pass(1);
    harbour.worker.run_once().await.unwrap();
    assert_eq!((begun().await, begun().await), (1, 0));
    harbour.pass().await;
    harbour.worker.run_once().await.unwrap();
    assert_eq!(harbour.books()[1], 200, "claimed, while strangers wait");
    // What is claimed is moved to us before they are served, too.
    harbour.play.mine_and_look().await;
    let calls = harbour.play.stage.desk.calls().unwrap();
    let sweep = calls.iter().find(|(_, row)| row.purpose == Purpose::Channel(ChannelStep::Sweep)).unwrap();
    assert!(sweep.1.slot.is_some() && calls.iter().any(|(_, row)| row.slot.is_none()));
}

/// Where few calls go at once none of their places is kept, and a claim goes first.
#[tokio::test]
async fn of_a_few_places_none_is_kept_for_claims() {
    let harbour = Harbour::with(|chain| chain.at_once = 4);
    harbour.filled(1, 1_000).await;
    harbour.charge(1, 200).unwrap();
    (2..=9).for_each(|n| harbour.deposit(n, 10));
    harbour.play.stage.hands.pass(1);
    harbour.worker.run_once().await.unwrap();
    assert_eq!(harbour.play.stage.round().await.begun, 4);
    let calls = harbour.play.stage.desk.calls().unwrap();
    let claim = calls.iter().find(|(_, row)| row.purpose == Purpose::Channel(ChannelStep::Claim)).unwrap();
    assert!(claim.1.slot.is_some());
}
