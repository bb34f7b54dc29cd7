//! What payers through channels do next, honest or not.

use farthing_channel::{Address, BATCH_ESCROW, ChannelTerms, SigningKey, batch_call, call};
use farthing_money::Amount;
use farthing_wallet::HttpRequest;
use farthing_wire::x402::batch::{PayerPayload, VoucherFields};
use farthing_wire::x402::{Payload, SignatureText};
use serde_json::Map;

use super::lane::{Payer, Signs, deposit, id_of, payment, payment_with, refund, voucher};
use super::{Around, Asked, Depositor, Sent};
use crate::sim::chain::ADDRESS;
use crate::sim::dice::Dice;
use crate::sim::holder::request;

/// So many pages are bought, the first ones.
const PAGES_MOST: usize = 6;
/// What was sent is sent again among so many.
const RECENT: usize = 10;

impl Depositor {
    /// Does something.
    pub fn act(&mut self, around: &mut Around<'_>) -> Vec<Sent> {
        let pick = |dice: &mut Dice, all: usize| {
            usize::try_from(dice.below(u64::try_from(all).unwrap_or(1))).unwrap_or_default()
        };
        let (page, place) = (pick(around.dice, PAGES_MOST), pick(around.dice, self.lanes.len()));
        if !self.offers.contains_key(&page) {
            return vec![Sent { request: request(page, None), asked: Some(Asked::Offer(page)) }];
        }
        match around.dice.below(100) {
            0..54 => self.buys(page, place, false, around),
            54..63 => self.repeats(around.dice),
            63..68 => self.tries(page, place, around),
            68..71 => self.tops_up(page, place, around),
            71..75 => self.wants_back(page, place, around),
            75..95 => {
                self.goes_to_chain(page, place, around);
                Vec::new()
            }
            _ => vec![Sent { request: request(page, None), asked: Some(Asked::Offer(page)) }],
        }
    }

    /// What a channel for a page is made of.
    pub(super) fn terms(&self, place: usize, page: usize) -> Option<ChannelTerms> {
        let lane = self.lanes.get(place)?;
        lane.terms(self.payers.get(lane.payer)?, &self.offers.get(&page)?.requirements)
    }

    fn price(&self, page: usize) -> Option<u128> {
        Some(self.offers.get(&page)?.requirements.amount.amount()?.value())
    }

    /// Pays for a page by the next voucher, with a deposit if the channel does not cover it.
    pub(super) fn buys(
        &mut self,
        page: usize,
        place: usize,
        again: bool,
        around: &mut Around<'_>,
    ) -> Vec<Sent> {
        let paid = self.pays(page, place, false, around);
        let copies = if again || around.dice.per_mille(850) { 1 } else { 2 };
        self.sends(paid, Asked::Page { page, lane: place, again }, copies)
    }

    /// The same with a deposit that nobody needs.
    fn tops_up(&mut self, page: usize, place: usize, around: &mut Around<'_>) -> Vec<Sent> {
        let paid = self.pays(page, place, true, around);
        self.sends(paid, Asked::Page { page, lane: place, again: false }, 1)
    }

    fn pays(&self, page: usize, place: usize, more: bool, around: &mut Around<'_>) -> Option<HttpRequest> {
        let (lane, terms, price) = (self.lanes.get(place)?, self.terms(place, page)?, self.price(page)?);
        let payer = self.payers.get(lane.payer)?;
        let ceiling = lane.charged.saturating_add(price);
        let signed = voucher(lane.signer(payer), id_of(&terms), ceiling)?;
        around.book.channels.signs(&terms, ceiling, price);
        let missing = ceiling.saturating_sub(lane.balance);
        let covered = missing == 0 && !more;
        // At times somebody forgets to deposit.
        let payload = if covered || (!more && around.dice.per_mille(60)) {
            payment(&terms, signed)
        } else {
            let units = price.saturating_mul(around.dice.within(1..=40).into()).max(missing);
            let told = deposit(&payer.key, &terms, units, around.chain.seconds(), around.dice)?.told;
            payment_with(&terms, signed, told)
        };
        self.letter(page, &payload, around.dice)
    }

    fn letter(&self, page: usize, payload: &PayerPayload, dice: &mut Dice) -> Option<HttpRequest> {
        let offer = self.offers.get(&page)?;
        let resource = dice.per_mille(700).then(|| offer.resource.clone());
        let (accepted, payload) = (offer.requirements.clone(), payload.to_payload().ok()?);
        let signed = Payload { resource, accepted, payload, extensions: Map::new() };
        Some(request(page, Some(&signed.to_header().ok()?)))
    }

    fn sends(&mut self, paid: Option<HttpRequest>, asked: Asked, copies: usize) -> Vec<Sent> {
        let Some(paid) = paid else { return Vec::new() };
        if self.recent.len() >= RECENT {
            self.recent.remove(0);
        }
        self.recent.push((paid.clone(), asked));
        (0..copies).map(|_| Sent { request: paid.clone(), asked: Some(asked) }).collect()
    }

    /// Something that was sent before is sent again.
    fn repeats(&self, dice: &mut Dice) -> Vec<Sent> {
        let Some((request, asked)) = dice.pick(&self.recent).cloned() else { return Vec::new() };
        let times = if dice.per_mille(700) { 1 } else { dice.within(2..=4) };
        (0..times).map(|_| Sent { request: request.clone(), asked: Some(asked) }).collect()
    }

    /// A voucher that should not be taken, or not by this seller: too low, too high, of another channel, by another key, of
    /// terms that are not offered.
    fn tries(&mut self, page: usize, place: usize, around: &mut Around<'_>) -> Vec<Sent> {
        let paid = self.odd_payment(page, place, around);
        let payload = paid.and_then(|paid| self.letter(page, &paid, around.dice));
        self.sends(payload, Asked::Page { page, lane: place, again: true }, 1)
    }

    fn odd_payment(&self, page: usize, place: usize, around: &mut Around<'_>) -> Option<PayerPayload> {
        let (lane, terms, price) = (self.lanes.get(place)?, self.terms(place, page)?, self.price(page)?);
        let key = lane.signer(self.payers.get(lane.payer)?);
        let next = lane.charged.saturating_add(price);
        let dice = &mut *around.dice;
        let mut own = |terms: &ChannelTerms, ceiling: u128| {
            around.book.channels.signs(terms, ceiling, price);
            voucher(key, id_of(terms), ceiling)
        };
        let most = u64::try_from(next).unwrap_or(u64::MAX);
        let (terms, signed) = match dice.below(8) {
            0 => (terms, own(&terms, lane.charged)?),
            1 => (terms, own(&terms, dice.below(most).into())?),
            2 => (terms, own(&terms, next.saturating_add(dice.within(1..=9_000).into()))?),
            3 => (terms, voucher(&self.stranger, id_of(&terms), next)?),
            4 => (terms, garbage(voucher(key, id_of(&terms), next)?, dice)?),
            5 => {
                let other = self.lanes.len().checked_sub(place)?.checked_sub(1)?;
                (terms, own(&self.terms(other, page)?, next)?)
            }
            6 => {
                let other = ChannelTerms { withdraw_delay: terms.withdraw_delay.saturating_add(1), ..terms };
                (other, own(&other, next)?)
            }
            _ => {
                let other = ChannelTerms { receiver: self.stranger.address(), ..terms };
                (other, own(&other, next)?)
            }
        };
        Some(payment(&terms, signed))
    }

    /// Asks for the rest of a channel, or for some of it.
    fn wants_back(&mut self, page: usize, place: usize, around: &mut Around<'_>) -> Vec<Sent> {
        let wish = self.lanes.get(place).zip(self.terms(place, page)).and_then(|(lane, terms)| {
            let signed = voucher(lane.signer(self.payers.get(lane.payer)?), id_of(&terms), lane.charged)?;
            around.book.channels.signs(&terms, lane.charged, 0);
            let some = around.dice.per_mille(600).then(|| around.dice.within(0..=60_000).into());
            Some(refund(&terms, signed, some))
        });
        let wish = wish.and_then(|wish| self.letter(page, &wish, around.dice));
        self.sends(wish, Asked::Page { page, lane: place, again: true }, 1)
    }

    /// Something on the chain itself, where nobody is asked.
    fn goes_to_chain(&self, page: usize, place: usize, around: &mut Around<'_>) -> Option<()> {
        let (lane, terms) = (self.lanes.get(place)?, self.terms(place, page)?);
        let payer = self.payers.get(lane.payer)?;
        let Around { chain, dice, .. } = around;
        match dice.below(19) {
            0..1 => {
                let left = chain.inner().state().escrow.channel(id_of(&terms)).available();
                let some = Amount::from(dice.within(1..=100_000));
                let units = if dice.per_mille(700) { left } else { some };
                let input = batch_call::initiate_withdraw(&terms, units);
                chain.call_to(any_of(payer, lane.signs, dice), BATCH_ESCROW, input, dice);
            }
            1..5 => {
                let input = batch_call::finalize_withdraw(&terms);
                chain.call_to(any_of(payer, lane.signs, dice), BATCH_ESCROW, input, dice);
            }
            5..11 => {
                let units = dice.within(1..=80_000).into();
                let signed = deposit(&payer.key, &terms, units, chain.seconds(), dice)?;
                let input = batch_call::deposit(&terms, &signed.collected);
                chain.call_to(&payer.key, BATCH_ESCROW, input, dice);
            }
            11..13 => {
                let input = batch_call::settle(terms.receiver, terms.token);
                chain.call_to(&self.stranger, BATCH_ESCROW, input, dice);
            }
            13..18 => chain.mint(payer.key.address(), u128::from(dice.within(10_000..=400_000))),
            _ => {
                // What is signed for may not be there any more.
                let units = Amount::from(dice.within(1..=300_000));
                let input = call::transfer(Address::from_bytes([0x66; 20]), units.into());
                chain.call_to(&payer.key, ADDRESS, input, dice);
            }
        }
        Some(())
    }
}

/// One of the keys that may take money out of a channel.
fn any_of<'a>(payer: &'a Payer, signs: Signs, dice: &mut Dice) -> &'a SigningKey {
    if signs == Signs::Session && dice.per_mille(300) { &payer.session } else { &payer.key }
}

/// The same voucher with a signature of nobody.
fn garbage(voucher: VoucherFields, dice: &mut Dice) -> Option<VoucherFields> {
    let mut bytes = vec![0; 65];
    dice.fill(&mut bytes);
    Some(VoucherFields { signature: SignatureText::new(bytes)?, ..voucher })
}
