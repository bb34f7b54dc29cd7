//! The end of a run: nothing goes wrong any more, everything that is open is brought to its end, and all that there is must
//! be somewhere.

use std::collections::{BTreeMap, BTreeSet};

use farthing_engine::{CodeState, CreditId, credits_account};
use farthing_money::Asset;
use farthing_wallet::{Row, Vault};

use super::bookkeeper::{Book, Broken, hold};
use super::payer::{Person, Wish};
use super::world::World;

const OPEN_END: &str = "after a recovery nothing is left open";

/// How often a wallet recovers.
const ROUNDS: u32 = 3;

impl World {
    /// Brings everything to its end and adds it up.
    pub fn drain(&mut self) -> Result<(), Broken> {
        self.network.calm = true;
        for _ in 0..20 {
            self.crash();
            self.start();
            if self.server.is_some() {
                break;
            }
        }
        hold(self.server.is_some(), "a server starts after any crash", || "it does not".to_owned())?;
        self.pass(200_000);
        self.quiet()?;
        for who in 0..self.people.len() {
            self.settle(who)?;
        }
        // Everything that was under way has ended; nothing but passes may be left.
        self.pass(100_000);
        self.few_at_the_end()?;
        let around = self.around.clone();
        self.square()?;
        let mut book = around.bookkeeper.book();
        if let Some(server) = &self.server {
            book.audit(&*server.installation.books);
        }
        let held = book.kept.held.len();
        hold(held == 0, OPEN_END, || format!("{held} payments are on hold"))?;
        self.holdings(&book)?;
        book.quotas.at_rest()?;
        codes(&book)?;
        book.broken().map_or(Ok(()), Err)
    }

    /// A wallet is started again and recovers, several times if it must.
    fn settle(&mut self, who: usize) -> Result<(), Broken> {
        for round in 0..=ROUNDS {
            let Some(person) = self.people.get_mut(who) else { return Ok(()) };
            person.kill();
            person.restart()?;
            // What a request that came very late has brought is found by the words.
            let wish = if round == ROUNDS { Wish::Search } else { Wish::Recover };
            person.begin(wish).map_err(|error| Broken::new(OPEN_END, error.to_string()))?;
            for _ in 0..10_000 {
                if self.people.get(who).is_none_or(Person::is_idle) {
                    break;
                }
                self.advance(who);
                self.pass(50);
            }
            if round == ROUNDS
                && let Some(person) = self.people.get(who)
            {
                let found = person.found();
                self.by_words = self.by_words.saturating_add(found);
            }
        }
        let (now, dead) = (self.around.time.now().secs(), self.ended(self.around.time.now().secs()));
        let Some(wallet) = self.people.get(who).and_then(|person| person.wallet()) else { return Ok(()) };
        let rows = self.people.get(who).map(|person| person.folder().load()).transpose();
        let rows = rows.map_err(|fault| Broken::new(OPEN_END, fault.to_string()))?.unwrap_or_default();
        let ended: BTreeSet<_> = rows
            .iter()
            .filter_map(|row| match row {
                Row::Credit(credit) if dead.contains(&credit.proof.id.to_string()) => Some(credit.y()),
                _ => None,
            })
            .collect();
        let open = wallet.attempts().find(|attempt| {
            let lost = attempt.inputs.iter().any(|y| ended.contains(y));
            attempt.kind_name() != "sent" && attempt.kind_name() != "redeem" && !lost
        });
        let ended = self.people.get(who).map(|person| person.ended.clone()).unwrap_or_default();
        hold(open.is_none(), OPEN_END, || {
            format!("wallet {who} at {now}: {} {ended}", open.map_or("", |open| open.kind_name()))
        })
    }

    /// What wallets have not finished, and what they said last.
    fn left_open(&self) -> Vec<(Vec<String>, &str)> {
        let kinds = |person: &Person| {
            let attempts = person.wallet().into_iter().flat_map(farthing_wallet::Wallet::attempts);
            attempts.map(|one| format!("{} {}", one.kind_name(), one.id)).collect()
        };
        self.people.iter().map(|person| (kinds(person), person.ended.as_str())).collect()
    }

    /// Keysets whose credits are worth nothing any more.
    fn ended(&self, now: u64) -> BTreeSet<String> {
        let book = self.around.bookkeeper.book();
        let over =
            |row: &&farthing_engine::KeysetRow| row.closed || row.final_expiry.is_some_and(|end| end <= now);
        book.kept.keysets.values().filter(over).map(|row| row.id.clone()).collect()
    }

    /// What wallets and tokens hold is what is outstanding: nothing was made of nothing, nothing is lost.
    fn holdings(&self, book: &Book) -> Result<(), Broken> {
        let mut held: BTreeMap<CreditId, (String, u64)> = BTreeMap::new();
        for person in &self.people {
            for row in person.folder().load().map_err(|fault| Broken::new(OPEN_END, fault.to_string()))? {
                if let Row::Credit(credit) = row {
                    let name = CreditId::from_bytes(credit.y().to_bytes());
                    held.insert(name, (credit.proof.id.to_string(), credit.amount()));
                }
            }
        }
        for (name, (keyset, amount)) in &self.bearer.seen {
            held.insert(*name, (keyset.to_string(), *amount));
        }
        let mut sums: BTreeMap<String, u128> = BTreeMap::new();
        for (name, (keyset, amount)) in held {
            if !book.credits.is_spent(name) {
                let sum = sums.entry(keyset).or_default();
                *sum = sum.saturating_add(u128::from(amount));
            }
        }
        let now = self.around.time.now().secs();
        for row in book.kept.keysets.values() {
            let account = credits_account(row.asset, &row.id).id();
            let sum = book.credits.sum(account);
            let out = sum.issued.saturating_sub(sum.redeemed);
            let unclaimed: u128 = book
                .kept
                .payments
                .iter()
                .filter(|(payment, _)| !self.bearer.changed.contains(payment))
                .flat_map(|(payment, row)| row.change.iter().map(|change| (*payment, change)))
                .filter(|(payment, change)| {
                    change.account == account && book.is_in_token(*payment, change.output)
                })
                .map(|(_, change)| u128::from(change.amount))
                .sum();
            let have = sums.get(&row.id).copied().unwrap_or(0);
            let seen = || {
                let open = self.left_open();
                format!(
                    "{}: {out} are out, {have} are held, {unclaimed} of change unclaimed; open: {open:?}",
                    row.id
                )
            };
            hold(have.saturating_add(unclaimed) <= out, "no money is made of nothing", seen)?;
            let ended = row.closed || row.final_expiry.is_some_and(|end| end <= now);
            hold(ended || have.saturating_add(unclaimed) == out, "no money is lost", seen)?;
        }
        Ok(())
    }
}

/// Codes that were not used are a debt, and no other are.
fn codes(book: &Book) -> Result<(), Broken> {
    let mut open: BTreeMap<Asset, u128> = BTreeMap::new();
    for row in book.kept.codes.values() {
        let issued = match row.state {
            CodeState::Claimed(quote) => {
                book.kept.mint_quotes.get(&quote).map_or(0, |quote| quote.issued.value())
            }
            CodeState::Unused => 0,
            _ => row.amount.value(),
        };
        let sum = open.entry(row.asset).or_default();
        *sum = sum.saturating_add(row.amount.value().saturating_sub(issued));
    }
    for account in book.kept.accounts.values().filter(|account| account.name == "codes") {
        let booked =
            account.totals.credits_posted.value().saturating_sub(account.totals.debits_posted.value());
        let open = open.get(&account.asset).copied().unwrap_or(0);
        hold(open == booked, "unused codes are what is owed for them", || format!("{open} and {booked}"))?;
    }
    Ok(())
}
