//! A round as the attacker sees it: what happened, by whom he cannot say, and the questions that he is asked.

use super::evidence::{Origin, Payment, Round};
use super::folder::Folder;
use super::question::{Bought, Question, Source};
use super::scenario::{Doing, Scenario, Schedule};
use super::traffic::Visit;

/// What was done in a round, and by whom.
pub struct Story {
    /// What was to be done.
    pub schedule: Schedule,
    /// What came of it.
    pub visits: Vec<Visit>,
}

/// All that happened in a round, each with the wallet that did it, which only the answers tell.
#[derive(Default)]
struct Seen {
    origins: Vec<(usize, Source, Origin)>,
    payments: Vec<(usize, Bought, Payment)>,
}

/// The questions of a round.
pub fn rounds(scenario: &Scenario, folder: &mut Folder, story: &Story) -> Result<Vec<Round>, String> {
    let mut seen = Seen::default();
    for ((_, who, doing), visit) in story.schedule.iter().zip(&story.visits) {
        let who = *who;
        match doing {
            Doing::TopUp => seen.origins.push((who, Source::TopUp, folder.top_up(visit)?)),
            Doing::Pay(_) => seen.payments.push((who, Bought::Page, folder.payment(visit)?)),
            Doing::BuyPass => seen.payments.push((who, Bought::Pass, folder.payment(visit)?)),
            Doing::BuyGoods => seen.payments.push((who, Bought::Goods, folder.payment(visit)?)),
            Doing::AskBack => seen.came_back(who, Source::Refund, folder.refund(visit)?)?,
            Doing::Close => seen.came_back(who, Source::Close, folder.closing(visit)?)?,
            Doing::Call if visit.opens_a_session() => {
                seen.payments.push((who, Bought::Session, folder.opening(visit)?));
            }
            Doing::Call | Doing::ComeBack => {
                let text = folder.naming(visit)?;
                seen.named(&text)?.text.push_str(&text);
            }
        }
    }
    scenario.questions().into_iter().map(|question| seen.round(scenario, question)).collect()
}

impl Seen {
    /// The payment that a text names: who comes back with a pass, asks back with a receipt or shows a session says which it is.
    fn named(&mut self, text: &str) -> Result<&mut Payment, String> {
        let is_named = |payment: &Payment| payment.names.iter().any(|name| text.contains(name));
        let named = self.payments.iter_mut().map(|(.., payment)| payment).find(|payment| is_named(payment));
        named.ok_or_else(|| format!("expected that it names a payment: {text}"))
    }

    /// Credits that came back for a payment: what is known of one is known of the other.
    fn came_back(&mut self, who: usize, source: Source, origin: Origin) -> Result<(), String> {
        let mut origin = origin;
        let payment = self.named(&origin.text)?;
        let known_before = payment.text.clone();
        payment.text.push_str(&origin.text);
        origin.text.push_str(&known_before);
        self.origins.push((who, source, origin));
        Ok(())
    }

    fn round(&self, scenario: &Scenario, question: Question) -> Result<Round, String> {
        let origins = self.origins.iter().filter(|(_, source, _)| *source == question.source);
        let payments = self.payments.iter().filter(|(_, bought, _)| *bought == question.bought);
        let owners: Vec<usize> = origins.clone().map(|(who, ..)| *who).collect();
        let place = |who: usize| owners.iter().position(|owner| *owner == who);
        let truth = payments.clone().map(|(who, ..)| place(*who).ok_or("expected credits before payments"));
        let truth: Vec<usize> = truth.collect::<Result<_, _>>()?;
        let payments: Vec<Payment> = payments.map(|(.., payment)| payment.clone()).collect();
        let origins: Vec<Origin> = origins.map(|(.., origin)| origin.clone()).collect();
        let pages = payments.len() / origins.len().max(1);
        // What goes into a session is never more than what it is opened with.
        let exact = scenario.exact || question.bought == Bought::Session;
        Ok(Round { pages, exact, origins, payments, truth })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use farthing_ledger::AccountId;

    use super::super::purse::Shown;
    use super::super::scenario::{Amounts, Waiting};
    use super::*;

    fn payment(name: &str) -> Payment {
        Payment {
            at: 1,
            price: 5,
            shown: Shown::default(),
            keysets: BTreeSet::new(),
            asked_keysets: false,
            names: vec![name.to_owned()],
            text: format!("the row of {name}"),
        }
    }

    fn origin(text: &str) -> Origin {
        let keyset = AccountId::from_bytes([1; 16]);
        Origin { at: 2, amount: 5, keyset, asked_keysets: false, text: text.to_owned() }
    }

    #[test]
    fn what_comes_back_is_known_with_the_payment_that_it_names_and_the_answers_are_by_wallet() {
        let mut seen = Seen::default();
        for (who, name) in ["aa11", "bb22"].iter().enumerate() {
            seen.payments.push((who, Bought::Goods, payment(name)));
        }
        seen.came_back(1, Source::Refund, origin("the receipt of bb22")).unwrap();
        seen.came_back(0, Source::Refund, origin("the receipt of aa11")).unwrap();
        assert!(seen.came_back(0, Source::Refund, origin("a receipt of nothing")).is_err());
        assert_eq!(seen.payments[1].2.text, "the row of bb22the receipt of bb22");
        assert_eq!(seen.origins[0].2.text, "the receipt of bb22the row of bb22");
        seen.payments.push((0, Bought::Page, payment("cc33")));
        let scenario = Scenario::of(Amounts::Equal, Waiting::Batch);
        let question = |source| Question { source, bought: Bought::Page };
        let round = seen.round(&scenario, question(Source::Refund)).unwrap();
        assert_eq!((round.truth, round.payments.len(), round.origins.len()), (vec![1], 1, 2));
        assert!(seen.round(&scenario, question(Source::TopUp)).is_err(), "nobody has topped up");
    }
}
