//! The end of a run for the chain: everything that is under way ends, whoever has paid gets what he paid for, and the books
//! agree with the chain to the unit.

use std::collections::BTreeSet;

use farthing_channel::{Address, TxHash};
use farthing_engine::{Outcome, PaymentId, Purpose};

use super::bookkeeper::{Book, Broken, Payouts, hold};
use super::chain::{Chain, Once, Token};
use super::dealer::Dealer;
use super::holder::{Paid, request};
use super::shop::PAGES;
use super::treasurer::author;
use super::world::World;

/// How often the chain is waited for.
pub const WAITS: u32 = 60;
/// How long each time.
pub const WAIT_MILLIS: u64 = 30_000;
/// How often somebody who has paid asks.
const TRIES: u32 = 15;

impl World {
    /// Ends what is under way on the chain.
    pub fn quiet(&mut self) -> Result<(), Broken> {
        let Some(chain) = self.around.chain.clone() else { return Ok(()) };
        chain.calm();
        self.end_calls()?;
        for paid in self.unserved(&chain) {
            self.insist(&paid);
        }
        self.hear_sellers(&chain);
        for _ in 0..3 {
            let sent = self.dealer.as_ref().map(Dealer::insist).unwrap_or_default();
            self.send_all(sent);
            self.pass(WAIT_MILLIS);
        }
        self.end_channels();
        self.end_calls()
    }

    /// Somebody else's gate asks until it hears what became of its payments.
    fn hear_sellers(&mut self, chain: &Chain) {
        let asked = self.seller.as_ref().map(|seller| seller.asked.clone()).unwrap_or_default();
        let token = chain.inner().state().token;
        for (once, request) in asked.into_iter().filter(|(once, _)| token.fate(once).is_some()) {
            for _ in 0..3 {
                if self.around.bookkeeper.book().onchain.told.contains_key(&once) {
                    break;
                }
                self.send(request.clone());
                self.pass(WAIT_MILLIS);
            }
        }
    }

    /// Waits until nothing is under way.
    fn end_calls(&mut self) -> Result<(), Broken> {
        for _ in 0..WAITS {
            if self.around.bookkeeper.book().kept.calls.is_empty() {
                break;
            }
            self.pass(WAIT_MILLIS);
        }
        let book = self.around.bookkeeper.book();
        hold(book.kept.calls.is_empty(), "nothing stays under way on the chain", || {
            let calls = book.kept.calls.iter().map(|(id, row)| {
                format!(
                    "{id}: {:?}, number {:?}, {} attempts, reopened {}",
                    row.purpose,
                    row.slot.map(|(_, number)| number),
                    row.attempts.len(),
                    row.reopened
                )
            });
            calls.collect::<Vec<_>>().join("; ")
        })
    }

    /// Our own account on the chain.
    fn own(&self) -> Option<Address> {
        let account = self.server.as_ref()?.installation.chain_account.as_ref()?;
        Some(account.address())
    }

    /// Payments whose money is ours, and which nobody was served for.
    fn unserved(&self, chain: &Chain) -> Vec<Paid> {
        let (token, own) = (chain.inner().state().token, self.own());
        let book = self.around.bookkeeper.book();
        let moved = |once: &Once| token.fate(once).is_some_and(|moved| Some(moved.to) == own);
        let all = self.holders.iter().flat_map(|holder| &holder.signed);
        all.filter(|paid| moved(&paid.once) && !book.onchain.handed.contains_key(&paid.payment))
            .cloned()
            .collect()
    }

    /// Somebody who has paid asks until he is served: for the page that he signed for, and then for those where he has tried the
    /// same payment, since the first that took it is what it has paid for.
    fn insist(&mut self, paid: &Paid) {
        let elsewhere = (0..PAGES.len()).filter(|page| *page != paid.page);
        let pages: Vec<usize> = std::iter::once(paid.page).chain(elsewhere).collect();
        for _ in 0..TRIES {
            for page in &pages {
                if self.around.bookkeeper.book().onchain.handed.contains_key(&paid.payment) {
                    return;
                }
                self.send(request(*page, Some(&paid.header)));
                self.pass(45_000);
            }
        }
    }

    /// Compares what was served, what the books say and what the chain says.
    pub fn square(&mut self) -> Result<(), Broken> {
        let Some(chain) = self.around.chain.clone() else { return Ok(()) };
        self.count_trade();
        let unserved: BTreeSet<PaymentId> = self.unserved(&chain).iter().map(|paid| paid.payment).collect();
        let (unpaid, astray) = self.served_and_paid(&chain, &unserved)?;
        self.counts.unpaid = unpaid;
        self.counts.astray = astray;
        self.sold(&chain)?;
        self.square_channels(&chain)?;
        self.gas(&chain)
    }

    fn count_trade(&mut self) {
        let book = self.around.bookkeeper.book();
        for ended in book.kept.settlements.values() {
            let count = match (ended.row.purpose, &ended.outcome) {
                (_, Outcome::Failed { .. }) => &mut self.counts.failed,
                (Purpose::Deposit { .. }, _) => &mut self.counts.deposits,
                (Purpose::Withdrawal { .. }, _) => &mut self.counts.withdrawals,
                (Purpose::Facilitated, _) => &mut self.counts.facilitated,
                _ => continue,
            };
            *count = count.saturating_add(1);
        }
    }

    fn served_and_paid(&self, chain: &Chain, unserved: &BTreeSet<PaymentId>) -> Result<(u64, u64), Broken> {
        let (inner, own) = (chain.inner(), self.own());
        let (token, deep) = (inner.state().token, inner.counts().deep > 0);
        let book = self.around.bookkeeper.book();
        let (mut unpaid, mut astray, mut stray_units) = (0_u64, 0_u64, 0_u128);
        for (payment, once) in book.onchain.signed() {
            let moved = token.fate(&once).filter(|moved| Some(moved.to) == own);
            let (served, booked) = (book.onchain.handed.contains_key(&payment), book.is_settled(payment));
            let seen = || format!("{payment}: served {served}, booked {booked}, moved {moved:?}");
            hold(!booked || moved.is_some(), "what the books say has moved is on the chain", seen)?;
            if served && moved.is_none() {
                hold(inner.was_taken(&once), "nobody is served unpaid beyond the exposure", seen)?;
                unpaid = unpaid.saturating_add(1);
            }
            if let Some(moved) = moved.filter(|_| !booked) {
                hold(deep, "what has moved on the chain is in the books", seen)?;
                astray = astray.saturating_add(1);
                stray_units = stray_units.saturating_add(moved.units);
            } else {
                let told = !unserved.contains(&payment);
                hold(told, "who has paid gets what he paid for", seen)?;
            }
        }
        let strayed_out = self.paid_out(&book, &token, deep)?;
        let units = own.map_or(0, |own| token.units(own)).saturating_add(strayed_out);
        let reserve = booked(&book, "reserve:");
        let expected = i128::try_from(units.saturating_sub(stray_units)).unwrap_or(i128::MAX);
        hold(reserve == expected, "the books and the chain agree to the unit", || {
            format!("{reserve} are booked, {units} are there, {stray_units} of them astray")
        })?;
        Ok((unpaid, astray))
    }

    /// What was paid out is what the books say, each withdrawal once. Says how much has gone out that they do not have.
    fn paid_out(&self, book: &Book, token: &Token, deep: bool) -> Result<u128, Broken> {
        let mut strayed = Payouts::square(&book.kept, token.units(author()), deep)?;
        for (to, asked) in self.dealer.iter().flat_map(Dealer::withdrawals) {
            let sent = token.units(to);
            let own = book.kept.settlements.values().filter(|ended| {
                matches!(ended.row.purpose, Purpose::Withdrawal { .. })
                    && ended.row.call.moves.to.as_bytes() == to.as_bytes()
            });
            let booked = own.filter(|ended| matches!(ended.outcome, Outcome::Settled { .. })).count();
            let seen = || format!("{to}: {asked} asked for, {sent} sent, {booked} withdrawals in the books");
            hold(sent == 0 || sent == u128::from(asked), "a withdrawal is sent once", seen)?;
            hold(
                booked <= 1 && (booked == 0 || sent > 0),
                "what the books say has moved is on the chain",
                seen,
            )?;
            if booked == 0 && sent > 0 {
                hold(deep, "what has moved on the chain is in the books", seen)?;
                strayed = strayed.saturating_add(sent);
            }
        }
        Ok(strayed)
    }

    /// Deposits are owed until their credits are out, and sellers hear of what was settled for them.
    fn sold(&self, chain: &Chain) -> Result<(), Broken> {
        let (inner, book) = (chain.inner(), self.around.bookkeeper.book());
        let (token, deep) = (inner.state().token, inner.counts().deep > 0);
        let (mut paid, mut issued) = (0_i128, 0_i128);
        let number = |amount: farthing_money::Amount| i128::try_from(amount.value()).unwrap_or(i128::MAX);
        for ended in book.kept.settlements.values() {
            let (Purpose::Deposit { quote, .. }, Outcome::Settled { .. }) =
                (ended.row.purpose, &ended.outcome)
            else {
                continue;
            };
            let row = book.kept.mint_quotes.get(&quote);
            hold(row.is_some_and(|row| row.paid == row.amount), "a deposit pays its quote", || {
                format!("{quote}: {row:?}")
            })?;
            paid = paid.saturating_add(row.map_or(0, |row| number(row.amount)));
        }
        for row in book.kept.mint_quotes.values().filter(|row| row.payment.is_some()) {
            issued = issued.saturating_add(number(row.issued));
        }
        let owed = booked(&book, "deposits").saturating_neg();
        hold(owed == paid.saturating_sub(issued), "deposits are owed until their credits are out", || {
            format!("{owed} are owed, {paid} were paid, {issued} issued")
        })?;
        for (once, _) in self.seller.iter().flat_map(|seller| &seller.asked) {
            let moved = token.fate(once).is_some();
            let told = book.onchain.told.contains_key(once);
            let carries = |input: &[u8]| input.windows(32).any(|word| *word == once.1);
            let mut ended = book.kept.settlements.values().filter(|ended| carries(&ended.row.call.input));
            let settled = ended.find(|ended| matches!(ended.outcome, Outcome::Settled { .. }));
            let heard = told || settled.is_some_and(|ended| ended.row.delivered);
            let seen = || format!("{once:?}: moved {moved}, told {told}, in the books {}", settled.is_some());
            hold(!moved || heard || deep, "who was settled for hears of it", seen)?;
            hold(moved || !told || inner.was_taken(once), "nothing is told that has not moved", seen)?;
        }
        Ok(())
    }

    /// What our transactions of calls have cost is what the books say, whoever has ended those and how.
    fn gas(&self, chain: &Chain) -> Result<(), Broken> {
        let (inner, book) = (chain.inner(), self.around.bookkeeper.book());
        let mut all = 0_i128;
        for (id, ended) in &book.kept.settlements {
            let hashes = ended.row.attempts.iter().map(|one| TxHash::from_bytes(*one.transaction.as_bytes()));
            let paid: u128 = hashes.filter_map(|hash| inner.paid(hash)).sum();
            let booked = ended.row.gas.value();
            all = all.saturating_add(i128::try_from(booked).unwrap_or(i128::MAX));
            hold(paid == booked, "the gas of a call is in the books", || {
                format!("{id}: {booked} are booked, {paid} were paid: {:?}", ended.outcome)
            })?;
        }
        let gas = booked(&book, "gas:");
        hold(gas >= all, "the gas of a call is in the books", || format!("{gas} of {all} are booked"))
    }
}

/// What accounts whose names begin so are worth, debits first.
pub fn booked(book: &Book, name: &str) -> i128 {
    let own = book.kept.accounts.values().filter(|account| account.name.starts_with(name));
    own.map(|account| {
        let side = |amount: farthing_money::Amount| i128::try_from(amount.value()).unwrap_or(i128::MAX);
        side(account.totals.debits_posted).saturating_sub(side(account.totals.credits_posted))
    })
    .sum()
}
