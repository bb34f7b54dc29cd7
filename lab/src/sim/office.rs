//! The operator's office: how merchants are paid and rates are read, as the configuration says it, and what happens there. Rates
//! come good, old, of the future, wild and torn; payouts go their way; and readers have what is free.

use std::fmt::Write as _;

use farthing_money::Timestamp;
use farthing_server::payouts::statement_key;

use super::bookkeeper::Book;
use super::chain;
use super::dice::Dice;
use super::reader;
use super::treasurer::{self, APPROVALS, PERSONS, author};
use super::world::World;

const DAY_MILLIS: u64 = 86_400_000;

/// The configuration of it.
pub fn text(has_chain: bool) -> String {
    let mut text = format!(
        "[rates]\nsource = \"file:rates.json\"\nformat = \"json\"\nspread = \"1.5\"\n\
         [payouts]\napprovals = {APPROVALS}\nname = \"Example Ltd\"\niban = \"FI2112345600000785\"\n"
    );
    for (name, key) in PERSONS {
        let key = statement_key(&treasurer::key(key));
        // Writing to a text does not fail.
        let _ = write!(text, "[[operator]]\nname = \"{name}\"\nkey = \"{key}\"\n");
    }
    let (bank, holder) =
        ("payout = \"bank\"\niban = \"DE89370400440532013000\"\n", "holder = \"Example Author\"\n");
    let way = if has_chain {
        let (id, to) = (chain::ID, author());
        format!("payout = \"evm\"\nchain = {id}\ntoken = \"SIM\"\naddress = \"{to}\"\n")
    } else {
        "payout = \"credits\"\n".to_owned()
    };
    text + &format!(
        "[[merchant]]\nname = \"author\"\n{way}every = \"day\"\nfrom = \"0.01 USD\"\n\
         [[merchant]]\nname = \"author\"\nasset = \"EUR\"\n{bank}{holder}\
         [[merchant]]\nname = \"translator\"\npayout = \"credits\"\nevery = \"week\"\nkeep = \"0.000500 USD\"\n\
         [[merchant]]\nname = \"shop\"\n{bank}{holder}keep = \"0.01 USD\"\n"
    )
}

impl World {
    /// Something happens in the office, or a reader asks.
    pub fn trade(&mut self, dice: &mut Dice) {
        match dice.below(100) {
            0..25 => {
                for request in reader::ask(dice) {
                    self.send(request);
                }
            }
            25..45 => self.feed(dice),
            _ => self.pay_out(dice),
        }
    }

    fn feed(&self, dice: &mut Dice) {
        let Some(server) = &self.server else { return };
        let text = said(dice, self.around.time.now(), &mut self.around.bookkeeper.book());
        let desk = server.installation.rates.clone();
        server.spawn(async move { drop(desk.take(text.as_bytes()).await) });
    }

    fn pay_out(&self, dice: &mut Dice) {
        let Some(server) = &self.server else { return };
        let told = treasurer::Told { codes: self.codes.clone(), disk: self.around.disk.clone() };
        let act = treasurer::act(&server.installation, told, &mut self.around.bookkeeper.book(), dice);
        if let Some(act) = act {
            server.spawn(act);
        }
    }
}

/// What a feed says. Whatever may be believed is within eight per cent of all else that may be, and a multiple of ten.
fn said(dice: &mut Dice, now: Timestamp, book: &mut Book) -> String {
    let rate = dice.within(104_000..=112_000).saturating_mul(10);
    let moved = |days: i64| {
        let millis = days.unsigned_abs().saturating_mul(DAY_MILLIS);
        let at =
            if days < 0 { now.millis().saturating_sub(millis) } else { now.millis().saturating_add(millis) };
        Timestamp::from_millis(at)
    };
    // What was accepted long ago says nothing of what is wild.
    let current = book.kept.rates.values().next().and_then(|row| row.current.as_ref());
    let holds = current.is_some_and(|set| set.at.millis().saturating_add(4 * DAY_MILLIS) > now.millis());
    match dice.below(100) {
        0..60 => {
            book.earnings.tells(rate.into());
            feed(now, &decimal(rate))
        }
        60..68 => feed(moved(-7), &decimal(rate.saturating_add(1))),
        68..76 => feed(moved(3), &decimal(rate.saturating_add(1))),
        76..82 => feed(now, "0"),
        82..90 if holds => feed(now, &decimal(rate.saturating_mul(dice.within(2..=9)).saturating_add(1))),
        90..94 => feed(now, &format!("-{}", decimal(rate))),
        94..97 => feed(now, "1.08e0"),
        _ => feed(now, &decimal(rate.saturating_add(1))).chars().take(40).collect(),
    }
}

fn feed(at: Timestamp, dollars: &str) -> String {
    format!("{{\"base\": \"EUR\", \"date\": \"{at}\", \"rates\": {{\"USD\": {dollars}}}}}")
}

fn decimal(micro: u64) -> String {
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}
