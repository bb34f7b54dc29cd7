//! Any sequence of operations, with any answers lost and the power cut at any commit, against shops that may lie: limits
//! hold at every moment, and in the end every unit is where it belongs.

use farthing_ecash::{Proof, Token};
use farthing_money::{Amount, Asset, Span};
use farthing_wallet::{
    AttemptKind, Limits, Outcome, ReclaimFlow, RecoverFlow, RestoreFlow, SendFlow, Settled, Wallet,
    WalletError,
};
use proptest::prelude::*;

use crate::world::shop::Conduct;
use crate::world::vault::SharedVault;
use crate::world::{Fault, MINT, World, balance, reopen, total_spent};

const LIMIT: u64 = 120_000;
const PER_CALL: u64 = 40_000;

#[derive(Clone, Debug)]
enum Op {
    Redeem(u64),
    Pay {
        page: u8,
        price: u64,
        conduct: Conduct,
    },
    Send(u64),
    /// Someone takes the last token that was sent.
    Claim,
    Reclaim,
    Recover,
    Rotate,
    Later(u64),
}

#[derive(Clone, Debug)]
struct Act {
    op: Op,
    faults: Vec<Fault>,
    crash: Option<(usize, bool)>,
}

fn conduct() -> impl Strategy<Value = Conduct> {
    prop_oneof![
        4 => Just(Conduct::Honest),
        1 => Just(Conduct::Failing),
        1 => Just(Conduct::Stealing),
        1 => Just(Conduct::NoChange),
        1 => Just(Conduct::Busy),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let op = prop_oneof![
        1 => (1..100_000_u64).prop_map(Op::Redeem),
        // One large credit: every payment wants change.
        2 => (10..16_u32).prop_map(|order| Op::Redeem(1 << order)),
        6 => (0..3_u8, 1..12_500_u64, conduct()).prop_map(|(page, price, conduct)| Op::Pay { page, price, conduct }),
        1 => (1..20_000_u64).prop_map(Op::Send),
        1 => Just(Op::Claim),
        1 => Just(Op::Reclaim),
        2 => Just(Op::Recover),
        1 => Just(Op::Rotate),
        1 => prop_oneof![Just(100), Just(4_000), Just(90_000)].prop_map(Op::Later),
    ];
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::NotSent),
        1 => Just(Fault::RequestLost),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::Twice),
    ];
    let crash = prop::option::weighted(0.4, (0..5_usize, any::<bool>()));
    (op, prop::collection::vec(fault, 0..6), crash).prop_map(|(op, faults, crash)| Act { op, faults, crash })
}

/// The wallet's world, and what the model keeps of its own.
struct Model {
    world: World,
    vault: SharedVault,
    wallet: Wallet,
    codes: usize,
    tokens: Vec<String>,
    /// Whether an answer of the shop may not have reached the wallet's disk: change that came in it as a token is lost then,
    /// as it is written (docs/payments.md).
    missed: bool,
}

impl Model {
    fn new() -> Self {
        let vault = SharedVault::default();
        let mut wallet = vault.create();
        let some = |amount: u64| Some(Amount::from(amount));
        let limits = Limits::none("uusd".parse().unwrap());
        wallet.set_limits(Limits { per_call: some(PER_CALL), total: some(LIMIT), ..limits }).unwrap();
        Self { world: World::new(), vault, wallet, codes: 0, tokens: Vec::new(), missed: false }
    }

    fn act(&mut self, act: &Act) {
        self.world.faults.clone_from(&act.faults);
        if let Some((commits, durable)) = act.crash {
            self.vault.crash_after(commits, durable);
        }
        let is_payment = matches!(act.op, Op::Pay { .. });
        self.missed |= is_payment && (act.crash.is_some() || !act.faults.is_empty());
        let before = self.world.shop.revenue;
        let result = self.operate(&act.op);
        let payments = self.world.shop.revenue - before;
        assert!(payments <= PER_CALL, "{payments} were taken by one call");
        assert!(!matches!(result, Err(WalletError::Misuse(_))), "{result:?}");
        self.vault.never_crash();
        self.world.faults.clear();
        if act.crash.is_some() {
            self.wallet = reopen(&self.vault);
        }
    }

    fn operate(&mut self, op: &Op) -> Result<(), WalletError> {
        let Self { world, wallet, .. } = self;
        match op {
            Op::Redeem(amount) => {
                self.codes += 1;
                let code = format!("CODE-{}", self.codes);
                world.mint.add_code(&code, *amount);
                world.redeem(wallet, &code)?;
            }
            Op::Pay { page, price, conduct } => {
                (world.shop.price, world.shop.conduct) = (*price, *conduct);
                world.shop.token_change = *page == 2;
                world.shop.mpp = *page != 1;
                world.pay(wallet, &format!("/page/{page}"))?;
            }
            Op::Send(amount) => {
                let money = Asset::micro("USD").unwrap().money(Amount::from(*amount));
                if let Outcome::Sent { token, .. } = world.run(wallet, SendFlow::new(money, None, None)?)? {
                    self.tokens.push(token);
                }
            }
            Op::Claim => self.claim(),
            Op::Reclaim => {
                let sent =
                    |attempt: &&farthing_wallet::Attempt| matches!(attempt.kind, AttemptKind::Sent { .. });
                let id = wallet.attempts().find(sent).map(|attempt| attempt.id);
                if let Some(id) = id {
                    world.run(wallet, ReclaimFlow::new(id))?;
                }
            }
            Op::Recover => {
                world.recover(wallet)?;
            }
            Op::Rotate => world.mint.rotate(),
            Op::Later(secs) => world.now = world.now.after(Span::from_secs(*secs)),
        }
        Ok(())
    }

    fn claim(&mut self) {
        let Some(token) = self.tokens.pop() else { return };
        let mint = &mut self.world.mint;
        let mut proofs = Token::decode(&token).unwrap().resolve(&mint.ids()).unwrap();
        for proof in &mut proofs {
            *proof = proof.for_issuer();
        }
        if let Ok(ys) = mint.check(&proofs) {
            mint.spend(&ys, "friend");
            mint.taken += proofs.iter().map(|proof: &Proof| proof.amount).sum::<u64>();
        }
    }

    /// What must hold at every moment.
    fn check(&self) {
        let (revenue, spent) = (self.world.shop.revenue, total_spent(&self.wallet));
        assert!(revenue <= LIMIT, "{revenue} were taken, {LIMIT} were allowed");
        assert!(revenue <= spent, "{revenue} were taken, {spent} are booked");
        let durable = self.vault.total_spent();
        assert_eq!(spent, durable, "what is in memory is what is durable");
    }

    /// Everything that is open is brought to its end.
    fn settle(&mut self) {
        for _ in 0..4 {
            let Ok(Outcome::Recovered(list)) = self.world.run(&mut self.wallet, RecoverFlow::new()) else {
                panic!("expected a recovery")
            };
            let open = list.iter().any(|one| !matches!(one.ended, Ok(Settled::Open(_))));
            if !open && self.wallet.attempts().all(|attempt| attempt.kind_name() == "sent") {
                return;
            }
        }
        let open: Vec<_> = self.wallet.attempts().collect();
        panic!("attempts that never end: {open:?}");
    }
}

fn run(acts: &[Act]) -> Model {
    let mut model = Model::new();
    for act in acts {
        model.act(act);
        model.check();
    }
    model.world.shop.conduct = Conduct::Honest;
    model.settle();
    model.check();
    let (free, reserved) = balance(&model.wallet);
    let World { mint, shop, .. } = &model.world;
    let lost: u64 = shop.given.iter().filter(|(y, _)| !mint.is_spent(*y)).map(|(_, amount)| amount).sum();
    assert!(lost == 0 || model.missed, "change of {lost} that came is taken in");
    assert_eq!(free + reserved + lost, mint.outstanding(), "every unit is where it belongs");
    assert_eq!(
        total_spent(&model.wallet),
        model.world.shop.revenue + lost,
        "the budget knows exactly what was taken"
    );
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_lost_and_limits_hold(acts in prop::collection::vec(act(), 1..12)) {
        run(&acts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_words_alone_bring_back_the_same(acts in prop::collection::vec(act(), 1..12)) {
        let mut model = run(&acts);
        let (free, reserved) = balance(&model.wallet);
        let mut again = SharedVault::default().restore();
        model.world.run(&mut again, RestoreFlow::new(MINT).unwrap()).unwrap();
        prop_assert_eq!(balance(&again), (free + reserved, 0));
    }
}

/// Every commit of a payment is cut once, before and after it is durable; then it is made again, or only recovered.
#[test]
fn a_payment_is_cut_at_every_commit() {
    let pay = |faults: &[Fault], crash| Act {
        op: Op::Pay { page: 0, price: 10_000, conduct: Conduct::Honest },
        faults: faults.to_vec(),
        crash,
    };
    // The larger credit is over the limit per call, so it is changed first.
    for (amount, durable, commits, again) in [1 << 15, 1 << 16].into_iter().flat_map(|amount| {
        [false, true].into_iter().flat_map(move |durable| {
            (0..6).flat_map(move |commits| [false, true].map(|again| (amount, durable, commits, again)))
        })
    }) {
        for faults in [&[][..], &[Fault::None, Fault::AnswerLost, Fault::AnswerLost]] {
            let redeem = Act { op: Op::Redeem(amount), faults: Vec::new(), crash: None };
            let mut acts = vec![redeem, pay(faults, Some((commits, durable)))];
            acts.extend(again.then(|| pay(&[], None)));
            let revenue = run(&acts).world.shop.revenue;
            assert!(revenue <= 20_000 && (!again || revenue >= 10_000), "{revenue}");
        }
    }
}
