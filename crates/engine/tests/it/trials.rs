//! Trials are exact: whoever asks, in whatever order and how often, no more are given than the merchant has said, each costs the
//! merchant what it is worth once, and the books sum to zero.

use std::collections::BTreeMap;

use crate::support;
use crate::support::{credits, usd};
use farthing_engine::{
    Answer, Chart, Command, Issue, IssuePart, MintQuoteRow, OpenTrial, Output, OutputId, QuotaId, QuoteId,
    Reject, RequestTag, Rows, TrialCount, TrialReject,
};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Timestamp};
use proptest::prelude::*;

const EACH: u64 = 64;
const NETWORK: u32 = 2;
const ALL: u32 = 5;
const NOW: Timestamp = Timestamp::from_secs(10_000);

fn open(newcomer: u8, network: u8) -> Command {
    let row = MintQuoteRow {
        method: "trial".into(),
        request: String::new(),
        asset: usd(),
        amount: Amount::from(EACH),
        paid: Amount::ZERO,
        issued: Amount::ZERO,
        source: Chart::of(usd()).codes,
        code: None,
        pubkey: Some(format!("key {newcomer}")),
        expires_at: None,
        updated_at: NOW,
        tag: None,
        payment: None,
        inlet: false,
    };
    let count = |n: u8, limit| TrialCount { count: QuotaId::from_bytes([n; 32]), limit };
    let (network, all) = (count(network, NETWORK), count(200, ALL));
    Command::OpenTrial(OpenTrial {
        quote: QuoteId::from_bytes([newcomer; 16]),
        row,
        network,
        all,
        until: NOW,
    })
}

fn issue(newcomer: u8) -> Command {
    let part = IssuePart {
        quote: QuoteId::from_bytes([newcomer; 16]),
        pubkey: Some(format!("key {newcomer}")),
        amount: Amount::from(EACH),
        source: Chart::of(usd()).marketing,
    };
    let outputs =
        vec![Output { output: OutputId::from_bytes([newcomer; 33]), account: credits(), amount: EACH }];
    Command::Issue(Issue {
        parts: vec![part],
        outputs,
        asset: usd(),
        tag: RequestTag::from_bytes([newcomer; 16]),
    })
}

struct Books(Rows);

impl Books {
    fn new() -> Self {
        Self(support::issuer([], NOW))
    }

    fn run(&mut self, command: &Command) -> Result<Answer, Reject> {
        support::run(&mut self.0, command, NOW)
    }

    /// Debits and credits of an account.
    fn totals(&self, account: AccountId) -> (Amount, Amount) {
        let totals = self.0.accounts.get(&account).unwrap().unwrap().totals;
        (totals.debits_posted, totals.credits_posted)
    }
}

proptest! {
    #[test]
    fn no_more_are_given_than_was_said_and_each_costs_what_it_is_worth(
        steps in prop::collection::vec((0..12_u8, 100..103_u8, any::<bool>()), 0..60),
    ) {
        let mut books = Books::new();
        let (mut given, mut issued): (BTreeMap<u8, u8>, Vec<u8>) = (BTreeMap::new(), Vec::new());
        for (newcomer, network, issues) in steps {
            if issues {
                let done = books.run(&issue(newcomer));
                prop_assert_eq!(done.is_ok(), given.contains_key(&newcomer), "{:?}", done);
                if done.is_ok() && !issued.contains(&newcomer) {
                    issued.push(newcomer);
                }
                continue;
            }
            let there = given.values().filter(|at| **at == network).count();
            let answer = books.run(&open(newcomer, network));
            match answer {
                Ok(Answer::MintQuote(id, row)) => {
                    prop_assert_eq!(id, QuoteId::from_bytes([newcomer; 16]));
                    prop_assert_eq!((row.paid, row.source), (Amount::from(EACH), Chart::of(usd()).marketing));
                    given.entry(newcomer).or_insert(network);
                }
                Err(Reject::Trial(TrialReject::AllGiven { limit: ALL })) => prop_assert_eq!(given.len(), 5),
                Err(Reject::Trial(TrialReject::NetworkHadItsOwn { limit: NETWORK })) => prop_assert_eq!(there, 2),
                other => prop_assert!(false, "{:?}", other),
            }
            prop_assert!(given.len() <= 5 && [100, 101, 102].iter().all(|n| given.values().filter(|at| *at == n).count() <= 2));
        }
        let cost = Amount::from(EACH * u64::try_from(issued.len()).unwrap());
        prop_assert_eq!(books.totals(Chart::of(usd()).marketing), (cost, Amount::ZERO));
        prop_assert_eq!(books.totals(credits()), (Amount::ZERO, cost));
        prop_assert_eq!(books.totals(Chart::of(usd()).clearing), (cost, cost));
    }
}
