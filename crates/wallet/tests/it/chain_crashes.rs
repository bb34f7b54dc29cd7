//! Payments on a chain with the power cut at every commit, answers lost, and sellers who may lie: at every moment what was
//! taken is booked, what was signed for one request is one signature at a time, and in the end budget and chain agree.

use farthing_money::{Amount, Span};
use farthing_wallet::{Attempt, ChainPayment, Limits, Outcome, Wallet, WalletError};
use proptest::prelude::*;

use crate::world::chain::{CHAIN, NODE, token};
use crate::world::seller::{Dialect, Manner, requirements, upto};
use crate::world::vault::SharedVault;
use crate::world::{Fault, World, reopen, total_spent};

const LIMIT: u64 = 90_000;
const PER_CALL: u64 = 40_000;

struct Model {
    world: World,
    vault: SharedVault,
    wallet: Wallet,
}

#[derive(Clone, Debug)]
struct Act {
    page: u8,
    price: u64,
    manner: Manner,
    dialect: Dialect,
    actual: Option<u64>,
    later: u64,
    faults: Vec<Fault>,
    crash: Option<(usize, bool)>,
}

impl Model {
    fn new() -> Self {
        let vault = SharedVault::default();
        let mut wallet = vault.create();
        wallet.add_token(token()).unwrap();
        wallet.set_node(CHAIN, Some(NODE)).unwrap();
        let some = |amount: u64| Some(Amount::from(amount));
        let limits = Limits::none("uusd".parse().unwrap());
        wallet.set_limits(Limits { per_call: some(PER_CALL), total: some(LIMIT), ..limits }).unwrap();
        Self { world: World::new(), vault, wallet }
    }

    fn act(&mut self, act: &Act) -> Result<Outcome, WalletError> {
        self.world.now = self.world.now.after(Span::from_secs(act.later));
        self.world.seller.manner = act.manner;
        self.world.seller.dialect = act.dialect;
        self.world.seller.actual = None;
        self.world.seller.accepts = vec![requirements(act.price)];
        if let (Some(actual), Dialect::X402) = (act.actual, act.dialect) {
            self.world.seller.actual = Some(actual.min(act.price));
            self.world.seller.accepts = vec![upto(act.price)];
        }
        self.world.faults.clone_from(&act.faults);
        if let Some((commits, durable)) = act.crash {
            self.vault.crash_after(commits, durable);
        }
        let result = self.world.buy(&mut self.wallet, &format!("/{}", act.page));
        assert!(!matches!(result, Err(WalletError::Misuse(_))), "{result:?}");
        self.vault.never_crash();
        self.world.faults.clear();
        if act.crash.is_some() {
            self.wallet = reopen(&self.vault);
        }
        self.check();
        result
    }

    fn check(&self) {
        let (taken, booked) = (self.world.chain.total(), self.vault.total_spent());
        assert!(taken <= booked, "{taken} were taken, {booked} are booked");
        assert!(booked <= LIMIT, "{booked} of {LIMIT}");
        let undelivered = || self.wallet.attempts().filter_map(Attempt::payment).filter(|one| !one.delivered);
        for payment in undelivered() {
            let same = undelivered().filter(|other| other.url == payment.url).count();
            assert_eq!(same, 1, "one at a time for each page");
        }
        // What could still be taken is booked too.
        let now = self.world.now.secs();
        let could = |signed: &ChainPayment| {
            !self.world.chain.taken.contains_key(&signed.nonce) && now < signed.until.secs()
        };
        let still: u64 = self
            .wallet
            .attempts()
            .filter_map(|attempt| attempt.chain().filter(|signed| could(signed)))
            .map(|signed| signed.on.units.to_u64().unwrap())
            .sum();
        assert!(taken + still <= booked, "{taken} and {still} of {booked}");
    }

    /// All time is over, and the node answers.
    fn end(mut self, agrees: bool) {
        self.world.now = self.world.now.after(Span::from_secs(5_000));
        self.world.recover(&mut self.wallet).unwrap();
        assert_eq!(self.wallet.attempts().count(), 0);
        let known = self.world.seller.signed.len();
        assert!(self.world.chain.taken.len() <= known);
        let (taken, booked) = (self.world.chain.total(), total_spent(&self.wallet));
        assert!(taken <= booked, "{taken} of {booked}");
        if !agrees {
            return;
        }
        assert_eq!(taken, booked, "budget and chain agree");
        let paid = self.wallet.history(1_000).unwrap();
        let paid = paid.iter().filter(|entry| entry.kind == farthing_wallet::EntryKind::Pay);
        let paid: u64 = paid.map(|entry| entry.money.amount().to_u64().unwrap()).sum();
        assert_eq!(taken, paid, "and so does the history");
    }
}

#[test]
fn the_power_is_cut_at_every_commit() {
    for dialect in [Dialect::X402, Dialect::V1, Dialect::Mpp] {
        for actual in [None, Some(3_000)] {
            for (commits, durable) in (0..6).flat_map(|commits| [(commits, false), (commits, true)]) {
                let mut model = Model::new();
                let act = |crash| Act {
                    page: 1,
                    price: 10_000,
                    manner: Manner::Honest,
                    dialect,
                    actual,
                    later: 1,
                    faults: Vec::new(),
                    crash,
                };
                let _ = model.act(&act(Some((commits, durable))));
                let again = model.act(&act(None));
                assert!(matches!(again, Ok(Outcome::Paid(_))), "{again:?}");
                assert!(model.world.chain.taken.len() <= 2, "the first was known to be paid, or is the same");
                model.end(true);
            }
        }
    }
}

fn act() -> impl Strategy<Value = Act> {
    let manner = prop_oneof![
        5 => Just(Manner::Honest),
        2 => Just(Manner::Forgetful),
        1 => Just(Manner::Stealing),
        1 => Just(Manner::Pending),
        1 => Just(Manner::Refusing("invalid_exact_evm_insufficient_balance")),
        1 => Just(Manner::Refusing("invalid_exact_evm_nonce_already_used")),
        1 => Just(Manner::Broken(502)),
    ];
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::NotSent),
        1 => Just(Fault::RequestLost),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::Twice),
    ];
    let dialect = prop_oneof![3 => Just(Dialect::X402), 1 => Just(Dialect::V1), 1 => Just(Dialect::Mpp)];
    let actual = prop::option::weighted(0.3, 1..12_000_u64);
    let crash = prop::option::weighted(0.4, (0..4_usize, any::<bool>()));
    let later = prop_oneof![4 => 1..20_u64, 1 => Just(290_u64), 1 => Just(400_u64)];
    let faults = prop::collection::vec(fault, 0..7);
    (0..3_u8, 1..12_000_u64, manner, dialect, actual, later, faults, crash).prop_map(
        |(page, price, manner, dialect, actual, later, faults, crash)| Act {
            page,
            price,
            manner,
            dialect,
            actual,
            later,
            faults,
            crash,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens_what_was_taken_is_booked(acts in prop::collection::vec(act(), 1..14)) {
        let mut model = Model::new();
        for act in &acts {
            let _ = model.act(act);
        }
        model.end(!acts.iter().any(is_vague));
    }
}

/// What a seller says to have taken counts as spent if no node can be reached; and how much of a ceiling was taken is not
/// known when the answer that told it was lost.
fn is_vague(act: &Act) -> bool {
    act.manner == Manner::Refusing("invalid_exact_evm_nonce_already_used") || act.actual.is_some()
}
