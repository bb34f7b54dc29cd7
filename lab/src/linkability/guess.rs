//! The attacker's ways of guessing. Each answers with an origin for every payment: the top-up, the refund or the closed session
//! that its credits came from.

use std::collections::{BTreeSet, HashMap};

use super::assignment::cheapest;
use super::chance::Chance;
use super::evidence::{Origin, Payment, Round};
use super::purse::Purse;
use super::scenario::PRICES;

/// A way of guessing.
pub struct Guesser {
    /// Its name in the table.
    pub name: &'static str,
    /// For each payment the place of an origin.
    pub guess: fn(&Round, &mut Chance) -> Vec<usize>,
}

/// All of them.
pub const GUESSERS: [Guesser; 7] = [
    Guesser { name: "nearest", guess: nearest },
    Guesser { name: "in turn", guess: in_turn },
    Guesser { name: "amounts", guess: amounts },
    Guesser { name: "clock", guess: clock },
    Guesser { name: "traces", guess: traces },
    Guesser { name: "chain", guess: chain },
    Guesser { name: "likeliest", guess: likeliest },
];

const CENT: u64 = 10_000;
const HOUR: u64 = 3_600_000;
/// What may pass between two requests of one visit.
const SLACK: u64 = 2_000;

/// The last origin before the payment.
fn nearest(round: &Round, _: &mut Chance) -> Vec<usize> {
    let last = |payment: &Payment| before(round, payment).last().unwrap_or_default();
    round.payments.iter().map(last).collect()
}

/// First come, first gone.
fn in_turn(round: &Round, _: &mut Chance) -> Vec<usize> {
    (0..round.payments.len()).map(|place| place % round.origins.len().max(1)).collect()
}

/// Any origin before it whose credits fit: amount, denominations, keyset.
fn amounts(round: &Round, chance: &mut Chance) -> Vec<usize> {
    let fits = Fits::of(round);
    any_of(round, chance, |origin, payment| fits.purse(origin, payment))
}

/// Any origin before it that fits in that way, and whose wallet would have asked for the keysets, or not, as this one did.
fn clock(round: &Round, chance: &mut Chance) -> Vec<usize> {
    let fits = Fits::of(round);
    any_of(round, chance, |origin, payment| fits.purse(origin, payment) && fits.clock(origin, payment))
}

/// The origin that shares a text with the payment which the payment shares with no other origin: an id, a key, a tag, a time.
fn traces(round: &Round, chance: &mut Chance) -> Vec<usize> {
    let mut owners: HashMap<u128, Option<usize>> = HashMap::new();
    for (place, origin) in round.origins.iter().enumerate() {
        for window in windows(&origin.text) {
            let owner = owners.entry(window).or_insert(Some(place));
            if *owner != Some(place) {
                *owner = None;
            }
        }
    }
    let guess = |payment: &Payment| {
        let mut votes = vec![0_usize; round.origins.len()];
        for window in windows(&payment.text) {
            if let Some(Some(place)) = owners.get(&window) {
                votes[*place] += 1;
            }
        }
        let best = votes.iter().copied().max().unwrap_or_default();
        let places: Vec<usize> = (0..votes.len()).filter(|place| votes[*place] == best).collect();
        pick(&places, chance)
    };
    round.payments.iter().map(guess).collect()
}

/// Every sixteen bytes of a text.
fn windows(text: &str) -> impl Iterator<Item = u128> {
    text.as_bytes().windows(16).filter_map(|window| Some(u128::from_be_bytes(window.try_into().ok()?)))
}

/// Follows every purse through its payments: the one that was used last of those that would have paid in just this way.
fn chain(round: &Round, _: &mut Chance) -> Vec<usize> {
    let mut purses: Vec<(u64, Purse)> =
        round.origins.iter().map(|origin| (origin.at, Purse::of(origin.amount))).collect();
    let mut guesses = Vec::new();
    for payment in &round.payments {
        let as_shown = |purse: &Purse| {
            let paid = purse.pay(payment.price, round.exact);
            paid.filter(|(shown, _)| *shown == payment.shown).map(|(_, after)| after)
        };
        let fitting = purses.iter().enumerate().filter(|(_, (at, _))| *at < payment.at);
        let fitting = fitting.filter_map(|(place, (at, purse))| Some((*at, place, as_shown(purse)?)));
        match fitting.max_by_key(|(at, ..)| *at) {
            Some((_, place, after)) => {
                purses[place] = (payment.at, after);
                guesses.push(place);
            }
            None => guesses.push(before(round, payment).last().unwrap_or_default()),
        }
    }
    guesses
}

/// Who belongs to whom, all at once: of everything that fits, what is likeliest if waits are as long as fits best.
fn likeliest(round: &Round, chance: &mut Chance) -> Vec<usize> {
    const IMPOSSIBLE: f64 = 1e6;
    let fits = Fits::of(round);
    let columns = round.origins.len() * round.pages;
    let longest = round.payments.iter().map(|payment| payment.at).max().unwrap_or(1);
    let mut best: Option<(f64, Vec<usize>)> = None;
    for scale in [Some(30_000), Some(600_000), Some(HOUR), Some(6 * HOUR), Some(48 * HOUR), None] {
        let mut cost = |place: usize, payment: usize| {
            let (origin, paid) = (place / round.pages, payment);
            let (from, to) = (&round.origins[origin], &round.payments[paid]);
            // What is as good as another is chosen by chance.
            let tie = millis(chance.below(1_000)) * 1e-9;
            if from.at >= to.at || !fits.purse(origin, paid) || !fits.clock(origin, paid) {
                return IMPOSSIBLE + tie;
            }
            let wait = millis(to.at - from.at);
            tie + scale
                .map_or_else(|| millis(longest).ln(), |scale| millis(scale).ln() + wait / millis(scale))
        };
        let costs: Vec<Vec<f64>> = (0..round.payments.len())
            .map(|payment| (0..columns).map(|place| cost(place, payment)).collect())
            .collect();
        let places = cheapest(&costs);
        let sum: f64 = places.iter().enumerate().map(|(payment, place)| costs[payment][*place]).sum();
        if best.as_ref().is_none_or(|(least, _)| sum < *least) {
            best = Some((sum, places));
        }
    }
    let places = best.map(|(_, places)| places).unwrap_or_default();
    places.into_iter().map(|place| place / round.pages).collect()
}

/// Which origins could have paid for which payments.
struct Fits<'r> {
    round: &'r Round,
    purses: Vec<BTreeSet<Purse>>,
}

impl<'r> Fits<'r> {
    fn of(round: &'r Round) -> Self {
        let prices = PRICES.map(|cents| cents * CENT);
        let reachable =
            |origin: &Origin| Purse::of(origin.amount).reachable(round.pages - 1, &prices, round.exact);
        Self { round, purses: round.origins.iter().map(reachable).collect() }
    }

    /// Whether a purse of this origin would have paid in just this way.
    fn purse(&self, origin: usize, payment: usize) -> bool {
        let (from, to) = (&self.round.origins[origin], &self.round.payments[payment]);
        let shows =
            |purse: &Purse| purse.pay(to.price, self.round.exact).is_some_and(|(shown, _)| shown == to.shown);
        let keyset = self.round.pages > 1 || to.shown.swapped.is_some() || to.keysets.contains(&from.keyset);
        keyset && self.purses[origin].iter().any(shows)
    }

    /// Whether it is as long ago as the wallet's questions say, if this was its first payment.
    fn clock(&self, origin: usize, payment: usize) -> bool {
        let (from, to) = (&self.round.origins[origin], &self.round.payments[payment]);
        let wait = to.at.saturating_sub(from.at);
        if to.asked_keysets {
            // Who had not asked then has asked some time before.
            !from.asked_keysets || wait + SLACK >= HOUR
        } else {
            self.round.pages > 1 || wait <= HOUR + SLACK
        }
    }
}

fn before<'r>(round: &'r Round, payment: &Payment) -> impl Iterator<Item = usize> + use<'r> {
    let at = payment.at;
    round.origins.iter().enumerate().filter(move |(_, origin)| origin.at < at).map(|(place, _)| place)
}

/// Any origin that fits; if none does, any that came before.
fn any_of(round: &Round, chance: &mut Chance, fits: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut guess = |(place, payment): (usize, &Payment)| {
        let earlier: Vec<usize> = before(round, payment).collect();
        let fitting: Vec<usize> = earlier.iter().copied().filter(|origin| fits(*origin, place)).collect();
        pick(if fitting.is_empty() { &earlier } else { &fitting }, chance)
    };
    round.payments.iter().enumerate().map(&mut guess).collect()
}

fn pick(places: &[usize], chance: &mut Chance) -> usize {
    places.get(chance.place(places.len())).copied().unwrap_or_default()
}

/// Milliseconds to count with; fifty days are the most.
fn millis(millis: u64) -> f64 {
    f64::from(u32::try_from(millis).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use farthing_ledger::AccountId;

    use super::super::purse::Shown;
    use super::*;

    /// Top-ups a minute apart, each spent a wait later.
    fn round(amounts: &[u64], waits: &[u64]) -> Round {
        let keyset = AccountId::from_bytes([1; 16]);
        let at = |place: usize| 60_000 * u64::try_from(place).unwrap();
        let origin = |(place, amount): (usize, &u64)| Origin {
            at: at(place),
            amount: amount * CENT,
            keyset,
            asked_keysets: true,
            text: format!("a text of {place} that only it has: {place:020}"),
        };
        let mut paid: Vec<(u64, usize)> =
            waits.iter().enumerate().map(|(place, wait)| (at(place) + wait, place)).collect();
        paid.sort_unstable();
        let payment = |(at, place): &(u64, usize)| {
            let shown = Purse::of(amounts[*place] * CENT).pay(CENT, false).unwrap().0;
            let (keysets, text) = (BTreeSet::from([keyset]), "nothing in common".to_owned());
            let (names, asked_keysets) = (Vec::new(), false);
            Payment { at: *at, price: CENT, shown, keysets, asked_keysets, names, text }
        };
        Round {
            pages: 1,
            exact: false,
            origins: amounts.iter().enumerate().map(origin).collect(),
            payments: paid.iter().map(payment).collect(),
            truth: paid.iter().map(|(_, place)| *place).collect(),
        }
    }

    fn right(round: &Round, way: fn(&Round, &mut Chance) -> Vec<usize>) -> usize {
        let guesses = way(round, &mut Chance::of(5));
        assert_eq!(guesses.len(), round.payments.len());
        guesses.iter().zip(&round.truth).filter(|(guess, truth)| guess == truth).count()
    }

    #[test]
    fn who_spends_at_once_is_found_by_the_clock() {
        let round = round(&[500; 6], &[9_000; 6]);
        assert_eq!([nearest, in_turn, chain, likeliest].map(|guess| right(&round, guess)), [6; 4]);
        let late = Round { payments: Vec::new(), truth: Vec::new(), ..round };
        assert!(
            GUESSERS.iter().all(|guesser| right(&late, guesser.guess) == 0),
            "nothing to guess is no panic"
        );
    }

    #[test]
    fn who_tops_up_an_odd_amount_is_found_by_it() {
        let waits = [900_000, 100_000, 800_000, 300_000, 700_000];
        let round = round(&[500, 137, 256, 999, 613], &waits);
        let found = [amounts, chain, likeliest].map(|guess| right(&round, guess));
        assert!(found.iter().all(|found| *found >= 4), "{found:?}");
        assert!(right(&round, nearest) < 4);
    }

    #[test]
    fn a_text_that_two_rows_share_is_found() {
        let mut round = round(&[500; 5], &[900_000, 800_000, 700_000, 600_000, 500_000]);
        assert!(right(&round, traces) < 5);
        for (payment, place) in round.payments.iter_mut().zip(&round.truth) {
            payment.text = format!("leaks {place:020} here");
        }
        assert_eq!(right(&round, traces), 5);
    }

    #[test]
    fn an_old_keyset_and_a_question_for_keysets_tell_the_hour() {
        // The first pays a little more than an hour after it topped up, the second a little less.
        let mut round = round(&[500; 2], &[HOUR + 12_000, HOUR - 52_000]);
        round.payments[1].asked_keysets = true;
        assert_eq!((right(&round, clock), right(&round, likeliest)), (2, 2));
        let mut round = self::round(&[500; 2], &[300_000, 200_000]);
        let other = AccountId::from_bytes([2; 16]);
        round.origins[1].keyset = other;
        for (payment, place) in round.payments.iter_mut().zip(&round.truth) {
            if *place == 1 {
                payment.keysets = BTreeSet::from([other]);
            }
        }
        assert_eq!(
            (right(&round, amounts), round.payments[0].shown.clone()),
            (2, Shown { swapped: None, inputs: round.payments[1].shown.inputs.clone() })
        );
    }
}
