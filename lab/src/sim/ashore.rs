//! What happens in a world with a chain, beside all else: people with tokens pay, buy credits and have them paid out, somebody
//! else's gate has us settle, and the chain has its troubles.

use super::chain::Chain;
use super::dealer::{Around, Dealer, Sent};
use super::depositor::Depositor;
use super::dice::Dice;
use super::world::World;

impl World {
    /// Something happens that has to do with the chain.
    pub fn happen_on_chain(&mut self, dice: &mut Dice) {
        let Some(chain) = self.around.chain.clone() else { return };
        if self.depositor.is_some() && dice.per_mille(420) {
            let sent = self.moor(Depositor::act, &chain, dice);
            return self.send_moored(sent);
        }
        match dice.below(1000) {
            0..340 => {
                let who = usize::try_from(dice.below(self.holders.len() as u64)).unwrap_or_default();
                let acts = self.holders.get_mut(who).map(|holder| holder.act(&chain, dice));
                for (request, offer) in acts.unwrap_or_default() {
                    let call = self.send(request);
                    if let (Some(holder), Some(page)) = (self.holders.get_mut(who), offer) {
                        holder.waits_for_offer(call, page);
                    }
                }
            }
            340..500 => {
                let sent = self.deal(Dealer::act, &chain, dice);
                self.send_all(sent);
            }
            500..610 => {
                let asked = self.seller.as_mut().map(|seller| seller.act(&chain, dice));
                for request in asked.unwrap_or_default() {
                    self.send(request);
                }
            }
            610..850 => chain.trouble(dice),
            _ => self.pass(dice.within(500..=6_000)),
        }
    }

    /// The dealer does or hears something.
    fn deal(
        &mut self,
        what: impl FnOnce(&mut Dealer, &mut Around<'_>) -> Vec<Sent>,
        chain: &Chain,
        dice: &mut Dice,
    ) -> Vec<Sent> {
        let (Some(server), Some(dealer)) = (&self.server, &mut self.dealer) else { return Vec::new() };
        let keyring = server.installation.keyring.borrow().clone();
        self.bearer.keysets = keyring.ids();
        let (bookkeeper, bearer) = (self.around.bookkeeper.clone(), &mut self.bearer);
        let mut book = bookkeeper.book();
        what(dealer, &mut Around { chain, keyring: &keyring, bearer, book: &mut book, dice })
    }

    /// Sends what the dealer wants.
    pub fn send_all(&mut self, sent: Vec<Sent>) {
        for one in sent {
            let call = self.send(one.request());
            if let Some(dealer) = &mut self.dealer {
                dealer.waits_for(call, one);
            }
        }
    }

    /// Whoever waits for something that has to do with the chain.
    pub fn tell_holders(&mut self, call: u64, event: &farthing_wallet::Event) {
        let Some(chain) = self.around.chain.clone() else { return };
        let mut requests = Vec::new();
        {
            let (chance, bookkeeper) = (self.around.chance.clone(), self.around.bookkeeper.clone());
            let (mut dice, mut book) = (chance.dice(), bookkeeper.book());
            for holder in &mut self.holders {
                requests.extend(holder.hears(call, event, (&chain, &mut dice, &mut book)));
            }
        }
        for request in requests {
            self.send(request);
        }
        let chance = self.around.chance.clone();
        let sent = {
            let mut dice = chance.dice().clone();
            let sent = self.deal(|dealer, around| dealer.hears(call, event, around), &chain, &mut dice);
            *chance.dice() = dice;
            sent
        };
        self.send_all(sent);
        let sent = {
            let mut dice = chance.dice().clone();
            let sent = self.moor(|depositor, around| depositor.hears(call, event, around), &chain, &mut dice);
            *chance.dice() = dice;
            sent
        };
        self.send_moored(sent);
    }
}
