//! What a receipt has to say of each call of the escrow, and what it may not be taken for.

use farthing_channel::{ChainId, TxHash};
use farthing_money::{Amount, Asset};

use super::*;

fn at(n: u8) -> Address {
    Address::from_bytes([n; 20])
}

fn chain() -> ChainConfig {
    let coin = Asset::new("ETH", 18, "wei").unwrap();
    ChainConfig::new(ChainId::new(84_532), vec![], at(3), coin, vec![])
}

fn info(salt: u64) -> PaymentInfo {
    PaymentInfo {
        operator: at(1),
        payer: at(2),
        receiver: at(3),
        token: at(4),
        max_amount: Word::from(1_000),
        pre_approval_expiry: Word::from(10),
        authorization_expiry: Word::from(20),
        refund_expiry: Word::from(20),
        min_fee_bps: Word::ZERO,
        max_fee_bps: Word::ZERO,
        fee_receiver: Address::ZERO,
        salt: Word::from(salt),
    }
}

fn read(step: EscrowStep, amount: u64, salt: u64) -> EscrowCall {
    let made = call(&chain(), &info(salt), step, Word::from(amount), &[7; 65]).unwrap();
    EscrowCall::of_call(&chain(), &made).unwrap()
}

fn log(contract: Address, topics: Vec<Word>, rest: &[Word]) -> Log {
    let rest = rest.iter().flat_map(|word| *word.as_bytes()).collect();
    Log { contract, topics, rest, transaction: TxHash::from_bytes([0; 32]) }
}

fn said(event: &str, salt: u64, rest: &[Word]) -> Log {
    let escrow = chain().contracts.escrow;
    log(escrow, vec![abi::topic(event), info(salt).hash(chain().id, escrow).into()], rest)
}

fn moved(from: Address, to: Address, units: u64) -> Log {
    log(at(4), vec![abi::topic(movement::TRANSFER), from.into(), to.into()], &[Word::from(units)])
}

fn receipt(logs: Vec<Log>) -> Receipt {
    Receipt {
        transaction: TxHash::from_bytes([0; 32]),
        block: 1,
        block_hash: Digest::from_bytes([0; 32]),
        succeeded: true,
        paid: Amount::ZERO,
        logs,
    }
}

#[test]
fn each_step_is_proved_by_the_contract_and_the_token() {
    let (store, collector) = (at(8), chain().contracts.collector);
    let mut authorized = vec![Word::ZERO; AUTHORIZED_AMOUNT];
    authorized.extend([Word::from(1_000), collector.into()]);
    let captured = |units: u64| said(CAPTURED, 7, &[Word::from(units), Word::ZERO, Word::ZERO]);
    for (step, amount, event, transfer) in [
        (EscrowStep::Authorize, 1_000, said(AUTHORIZED, 7, &authorized), moved(at(2), collector, 1_000)),
        (EscrowStep::Capture, 400, captured(400), moved(store, at(3), 400)),
        (EscrowStep::Void, 1_000, said(VOIDED, 7, &[Word::from(600)]), moved(store, at(2), 600)),
    ] {
        let it = read(step, amount, 7);
        let whole = receipt(vec![moved(at(9), at(9), 1), event.clone(), transfer.clone()]);
        assert_eq!(it.place(&whole), Some(1), "{step:?}");
        assert_eq!(it.place(&Receipt { succeeded: false, ..whole.clone() }), None);
        assert_eq!(read(step, amount, 8).place(&whole), None, "another payment");
        assert_eq!(it.place(&receipt(vec![event.clone()])), None, "the token says nothing");
        assert_eq!(it.place(&receipt(vec![transfer.clone()])), None, "the escrow says nothing");
        let forged = Log { contract: at(4), ..event };
        assert_eq!(it.place(&receipt(vec![forged, transfer])), None, "anybody can say it");
    }
    let it = read(EscrowStep::Capture, 400, 7);
    assert_eq!(it.place(&receipt(vec![captured(399), moved(store, at(3), 399)])), None, "less");
    assert_eq!(it.place(&receipt(vec![captured(400), moved(store, at(3), 399)])), None, "less has moved");
}

#[test]
fn a_call_knows_what_gives_back_the_rest_and_until_when_it_is_good() {
    let capture = call(&chain(), &info(7), EscrowStep::Capture, Word::from(400), &[]).unwrap();
    assert_eq!((capture.until, capture.moves.units), (Timestamp::from_secs(19), Amount::new(400)));
    assert_eq!(of_engine(capture.moves.to), at(3));
    let back = EscrowCall::of_call(&chain(), &capture).unwrap().back(&chain()).unwrap();
    let read = EscrowCall::of_call(&chain(), &back).unwrap();
    assert_eq!((read.step, read.info), (EscrowStep::Void, info(7)));
    assert!(back.until > Timestamp::from_secs(1 << 40), "it may go back at any time");
    let authorize = call(&chain(), &info(7), EscrowStep::Authorize, Word::from(1_000), &[1]).unwrap();
    assert_eq!((authorize.until, of_engine(authorize.moves.from)), (Timestamp::from_secs(9), at(2)));
    let elsewhere = Call { to: to_engine(at(9)), ..authorize };
    assert_eq!(EscrowCall::of_call(&chain(), &elsewhere), None);
}
