//! Credits that are bought with money on a chain: what has come is minted, also what comes later, as long as the order is kept.

use farthing_money::{Amount, Asset, Money, Span};
use farthing_wallet::{EntryKind, OrderFlow, Ordered, Outcome, RecoverFlow, Recovered, Settled, Wallet};

use crate::world::vault::SharedVault;
use crate::world::{Fault, MINT, World, balance, reopen};

const DAY: Span = Span::from_secs(24 * 3_600);

fn usd(minor: u64) -> Money {
    Asset::micro("USD").unwrap().money(Amount::from(minor))
}

struct Stage {
    world: World,
    wallet: Wallet,
    vault: SharedVault,
}

impl Stage {
    /// A wallet that has ordered credits for 1,000, for a day.
    fn ordered() -> Self {
        let mut world = World::new();
        let vault = SharedVault::default();
        let mut wallet = vault.create();
        world.mint.orders_end = world.now.after(DAY).secs();
        let flow = OrderFlow::new(MINT, vec![usd(1_000)], true).unwrap();
        let Outcome::Ordered(order) = world.run(&mut wallet, flow).unwrap() else { panic!("no order") };
        let Ordered { money, .. } = *order;
        assert_eq!(money, usd(1_000));
        Self { world, wallet, vault }
    }

    fn comes(&mut self, units: u64) {
        self.world.mint.orders.get_mut("order-0").unwrap().paid += units;
    }

    fn recovered(&mut self, flow: RecoverFlow) -> Vec<Recovered> {
        match self.world.run(&mut self.wallet, flow).unwrap() {
            Outcome::Recovered(list) => list,
            other => panic!("expected what was open, got {other:?}"),
        }
    }

    /// What all of it has come to.
    fn brings(&mut self, flow: RecoverFlow) -> Vec<Settled> {
        self.recovered(flow).into_iter().map(|one| one.ended.unwrap()).collect()
    }

    fn bought(&self) -> Vec<Money> {
        let entries = self.wallet.history(9).unwrap();
        entries.iter().filter(|entry| entry.kind == EntryKind::Buy).map(|entry| entry.money).collect()
    }
}

#[test]
fn what_comes_after_the_first_mint_is_minted_too() {
    let mut stage = Stage::ordered();
    assert_eq!(stage.brings(RecoverFlow::new()), [Settled::Open(usd(1_000))]);
    stage.comes(1_000);
    assert_eq!(stage.brings(RecoverFlow::new()), [Settled::Back(usd(1_000))]);
    assert_eq!(stage.brings(RecoverFlow::new()), [], "nothing is open");
    // Paid twice; then once more after the end of the order.
    stage.comes(1_000);
    assert_eq!(stage.brings(RecoverFlow::overdue()), [Settled::Back(usd(1_000))]);
    stage.world.now = stage.world.now.after(Span::from_secs(20 * DAY.millis() / 1_000));
    stage.wallet = reopen(&stage.vault);
    stage.comes(7);
    let asked = stage.world.log.len();
    assert_eq!(stage.brings(RecoverFlow::overdue()), []);
    assert_eq!(stage.world.log.len(), asked, "other commands do not ask for a month");
    assert_eq!(stage.brings(RecoverFlow::new()), [Settled::Back(usd(7))]);
    assert_eq!((balance(&stage.wallet), stage.world.mint.outstanding()), ((2_007, 0), 2_007));
    assert_eq!(stage.bought().len(), 3, "an entry each: {:?}", stage.bought());
}

#[test]
fn an_order_is_forgotten_a_month_after_its_end() {
    let mut stage = Stage::ordered();
    stage.comes(1_000);
    stage.brings(RecoverFlow::new());
    assert_eq!(stage.wallet.attempts().count(), 1);
    stage.world.now = stage.world.now.after(Span::from_secs(32 * DAY.millis() / 1_000));
    stage.comes(5);
    assert_eq!(stage.brings(RecoverFlow::overdue()), [Settled::Back(usd(5))], "it is asked for once more");
    assert_eq!(stage.brings(RecoverFlow::overdue()), []);
    assert_eq!(stage.wallet.attempts().count(), 0);
    assert_eq!(balance(&stage.wallet), (1_005, 0));
}

#[test]
fn a_lost_answer_loses_nothing_of_what_came_later() {
    for fault in [Fault::NotSent, Fault::RequestLost, Fault::AnswerLost, Fault::Twice] {
        for at in 0..4 {
            let mut stage = Stage::ordered();
            stage.comes(1_000);
            stage.brings(RecoverFlow::new());
            stage.comes(300);
            stage.world.faults = vec![Fault::None; at];
            stage.world.faults.push(fault);
            stage.recovered(RecoverFlow::new());
            stage.world.faults.clear();
            stage.wallet = reopen(&stage.vault);
            stage.recovered(RecoverFlow::new());
            assert_eq!(balance(&stage.wallet), (1_300, 0), "{fault:?} at {at}");
            assert_eq!(stage.bought().len(), 2);
        }
    }
}

/// A copy of the wallet that was first has the credits; the order stays for what comes then.
#[test]
fn what_another_copy_has_minted_is_its_own() {
    let mut stage = Stage::ordered();
    stage.comes(1_000);
    stage.world.mint.orders.get_mut("order-0").unwrap().issued = 1_000;
    stage.recovered(RecoverFlow::new());
    assert_eq!(balance(&stage.wallet), (0, 0));
    stage.comes(20);
    assert_eq!(stage.brings(RecoverFlow::new()), [Settled::Back(usd(20))]);
    assert_eq!(balance(&stage.wallet), (20, 0));
}
