//! Orders credits for money on a chain: a mint quote of the method `evm`, written down before anybody pays for it. Whoever has
//! the quote's key mints it, and the key comes from the words; so what is paid is not lost, however often the wallet crashes.

use farthing_ecash::restore;
use farthing_money::{Money, Timestamp};

use super::keys::{self, Refresh};
use super::{Flow, Sub, answer_of, done};
use crate::address::mint_address;
use crate::api;
use crate::attempt::{Attempt, AttemptKind};
use crate::error::WalletError;
use crate::http::{Event, HttpResponse, Step};
use crate::outcome::{Ordered, Outcome};
use crate::state::Draft;
use crate::wallet::Wallet;

/// Orders credits at a mint.
pub struct OrderFlow {
    mint: String,
    sums: Vec<Money>,
    by_transfer: bool,
    stage: Stage,
}

enum Stage {
    Start,
    Keys(Refresh),
    Quote { quote_key: u32, money: Money },
    Over,
}

impl OrderFlow {
    /// A flow for one of these sums, the first of which the mint has the unit; to be paid by a plain transfer, or else at a URL.
    pub fn new(mint: &str, sums: Vec<Money>, by_transfer: bool) -> Result<Self, WalletError> {
        Ok(Self { mint: mint_address(mint)?, sums, by_transfer, stage: Stage::Start })
    }

    fn ask(&mut self, wallet: &mut Wallet) -> Result<Step, WalletError> {
        let mint = keys::known(wallet, &self.mint)?;
        let known = mint.units();
        let money = self.sums.iter().find(|money| known.contains(&money.asset().unit())).copied();
        let which = || WalletError::WhichUnit { mint: self.mint.clone(), known: mint.unit_list() };
        let money = money.ok_or_else(which)?;
        let mut draft = Draft::new(&wallet.state);
        let quote_key = draft.quote_key();
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        let pubkey = restore::quote_key(wallet.seed.bytes(), quote_key)?.public_key().to_string();
        self.stage = Stage::Quote { quote_key, money };
        let amount = money.amount().to_u64().ok_or(WalletError::Misuse("an amount that fits"))?;
        api::order_request(&self.mint, (money.asset().unit(), amount), pubkey, self.by_transfer)
            .map(Step::Send)
    }

    fn ordered(
        &mut self,
        wallet: &mut Wallet,
        (quote_key, money): (u32, Money),
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let order = api::order(&self.mint, answer)?.map_err(|refusal| refusal.at(&self.mint))?;
        let unit = money.asset().unit();
        let asked = money.amount().to_u64().unwrap_or_default();
        if order.unit != unit || order.amount != asked || self.by_transfer && order.transfer.is_none() {
            let got = format!("one for {} {}", order.amount, order.unit);
            return Err(WalletError::bad_answer(&self.mint, "the quote that was asked for", got));
        }
        let mut draft = Draft::new(&wallet.state);
        let id = draft.attempt_number();
        let (quote, expiry) = (order.id, order.expiry);
        let kind = AttemptKind::Buy { quote_key, quote, asked, amount: 0, expiry, minted: 0 };
        let (mint, inputs, plans) = (self.mint.clone(), Vec::new(), Vec::new());
        draft.attempt(Attempt { id, at: now, mint, unit, inputs, plans, kind });
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        self.stage = Stage::Over;
        let (request, transfer) = (order.request, order.transfer);
        Ok(done(Outcome::Ordered(Box::new(Ordered { attempt: id, money, request, transfer }))))
    }
}

impl Flow for OrderFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match &mut self.stage {
                Stage::Start => self.stage = Stage::Keys(Refresh::usable(&self.mint)),
                Stage::Keys(refresh) => match refresh.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => return self.ask(wallet),
                },
                Stage::Quote { quote_key, money } => {
                    let asked = (*quote_key, *money);
                    let answer = answer_of(&self.mint, came)?;
                    return self.ordered(wallet, asked, &answer, now);
                }
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            }
        }
    }
}
