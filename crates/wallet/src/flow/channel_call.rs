//! What the account itself sends to the chain for a channel: more money for it, the wish to have back what is left, and, when the
//! channel's delay is over, the taking of it. Each is a transaction that the account pays gas for and that a node carries.
//!
//! A transaction is written down before it is sent. After a crash it is sent again as it is, until a block has it, or another
//! transaction has its number: two are never under way.

use std::sync::Arc;

use farthing_channel::{BATCH_ESCROW, ChannelId, Fees, Transaction, batch_call, bytes_to_hex};
use farthing_money::{Amount, Span, Timestamp};

use super::channel_look::{ChannelLook, Seen};
use super::channel_see::{self, key, known};
use super::in_channel::new_deposit;
use super::{Flow, Sub, answer_of, done, in_channel};
use crate::budget::{Call, day_of};
use crate::chain::account;
use crate::channel::{CallKind, Channel, SentCall, Withdrawal, sign};
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, Step};
use crate::node;
use crate::outcome::{ChannelNews, Outcome};
use crate::state::Draft;
use crate::vault::{Change, Row};
use crate::wallet::Wallet;

/// A deposit of the account's own has this long to get into a block.
const DEPOSIT_SECS: u64 = 600;
/// One that is over so soon is signed anew.
const DEPOSIT_LEAST_SECS: u64 = 120;
/// How often a receipt is asked for, a second apart.
const LOOKS_MAX: u32 = 60;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelCall {
    /// Put so many of the token's minor units in.
    Fill(Amount),
    /// Take back what is left: ask for it, or take it if the delay is over.
    Withdraw,
}

/// Does it.
pub struct ChannelCallFlow {
    channel: ChannelId,
    call: ChannelCall,
    /// The most that its gas may cost, in the smallest units of the chain's coin.
    fee_most: Amount,
    random: [u8; 32],
    looks: u32,
    /// What the node said when it did not take the transaction.
    said: Option<String>,
    held: Option<Arc<()>>,
    stage: Stage,
}

enum Stage {
    Start,
    Look(ChannelLook),
    Number(CallKind),
    Price { kind: CallKind, number: u64 },
    Tip { kind: CallKind, number: u64, price: Amount },
    Gas { kind: CallKind, number: u64, fees: Fees },
    Coin { kind: CallKind, number: u64, fees: Fees, gas: u64 },
    Sending,
    Receipt,
    Count,
    Pause,
    End(ChannelLook, CallKind),
}

impl ChannelCallFlow {
    /// A flow for a channel of the wallet's. The caller draws the bytes for this flow alone.
    pub fn new(channel: ChannelId, call: ChannelCall, fee_most: Amount, random: [u8; 32]) -> Self {
        let (looks, said, held, stage) = (0, None, None, Stage::Start);
        Self { channel, call, fee_most, random, looks, said, held, stage }
    }

    fn look(&self, wallet: &Wallet) -> Result<ChannelLook, WalletError> {
        let chain = known(wallet, self.channel)?.chain();
        ChannelLook::new(wallet, chain, self.channel).ok_or(WalletError::NoNode(chain))
    }

    /// What has to be sent now, where the channel stands so; or what there is to tell.
    fn decide(&mut self, wallet: &mut Wallet, seen: Seen, now: Timestamp) -> Result<Step, WalletError> {
        let channel = channel_see::write_down(wallet, self.channel, seen, now)?;
        if channel.sent.is_some() {
            return self.send_again(wallet);
        }
        let kind = match (self.call, channel.withdrawal.clone()) {
            (ChannelCall::Fill(amount), _) => {
                self.fill(wallet, channel, amount, now)?;
                self.stage = Stage::Number(CallKind::Fill(amount));
                return self.count(wallet);
            }
            (ChannelCall::Withdraw, Some(Withdrawal { ready: Some(ready), amount })) if ready > seen.time => {
                let news = ChannelNews::Waiting { amount, ready };
                return Ok(done(Outcome::Channel(Box::new(channel), news)));
            }
            (ChannelCall::Withdraw, Some(Withdrawal { ready: Some(_), .. })) => CallKind::Take,
            (ChannelCall::Withdraw, _) => {
                // What was charged stays: the seller may take its time to claim it.
                let there = channel.found.checked_sub(channel.books.charged()).unwrap_or_default();
                let amount = channel.left().min(there);
                if amount.is_zero() {
                    return Err(farthing_channel::buyer::BuyerRefused::NothingLeft.into());
                }
                CallKind::Ask(amount)
            }
        };
        wallet.commit(vec![Change::Put(Row::Channel(Box::new(channel)))])?;
        self.stage = Stage::Number(kind);
        self.count(wallet)
    }

    /// Signs more money for the channel, within the limits. What was signed for an empty channel can be taken again then.
    fn fill(
        &self,
        wallet: &mut Wallet,
        mut channel: Channel,
        amount: Amount,
        now: Timestamp,
    ) -> Result<(), WalletError> {
        // One that the same command has signed before, and that was not sent, is sent now: it is one deposit.
        let late = now.secs().saturating_add(DEPOSIT_LEAST_SECS);
        let again = channel
            .deposits
            .iter()
            .position(|deposit| !deposit.told && deposit.amount == amount && deposit.until.secs() > late);
        let deposit = if let Some(place) = again {
            channel.deposits.remove(place)
        } else {
            let counted = channel.token.counted(amount).map_or(Amount::MAX, Amount::from);
            let unit = channel.token.counts_as;
            let limits = wallet.limits(unit);
            limits.check_channels(wallet.in_channels(unit), counted)?;
            let more = Amount::from(in_channel::exposure(&channel)?);
            let call = Call { max: Some(Amount::MAX), spent: Amount::ZERO };
            limits.check(call, &channel.host, day_of(now), more, |scope| wallet.state.spent(unit, scope))?;
            new_deposit(amount, DEPOSIT_SECS, self.random, now)
        };
        channel.deposits.push(deposit);
        let mut draft = Draft::new(&wallet.state);
        let signed = channel.books.signed();
        in_channel::book(&mut draft, &mut channel, signed, now)?;
        draft.put(Row::Channel(Box::new(channel)));
        let changes = draft.into_changes();
        wallet.commit(changes)
    }

    fn count(&self, wallet: &Wallet) -> Result<Step, WalletError> {
        Ok(Step::Send(node::count_request(self.url(wallet)?, wallet.account()?)))
    }

    fn url<'w>(&self, wallet: &'w Wallet) -> Result<&'w str, WalletError> {
        let chain = known(wallet, self.channel)?.chain();
        wallet.node(chain).ok_or(WalletError::NoNode(chain))
    }

    fn input(&self, wallet: &Wallet, kind: CallKind) -> Result<Vec<u8>, WalletError> {
        let channel = known(wallet, self.channel)?;
        Ok(match kind {
            CallKind::Fill(_) => {
                let deposit = channel.deposits.last().ok_or(WalletError::Misuse("a deposit"))?;
                batch_call::deposit(&channel.terms, &sign::collected(wallet, &channel, deposit)?)
            }
            CallKind::Ask(amount) => batch_call::initiate_withdraw(&channel.terms, amount),
            CallKind::Take => batch_call::finalize_withdraw(&channel.terms),
        })
    }

    /// Signs the transaction and writes it down; then it is sent.
    fn sign(
        &mut self,
        wallet: &mut Wallet,
        (kind, number, fees): (CallKind, u64, Fees),
        gas: u64,
        coin: Amount,
    ) -> Result<Step, WalletError> {
        let cost = fees.most.checked_mul(gas.into()).unwrap_or(Amount::MAX);
        if cost > self.fee_most {
            return Err(WalletError::NotOnChain(format!(
                "the transaction may cost {cost} of the coin's smallest units, and at most {} are allowed; wait until gas is cheaper, or allow more with --fee-most",
                self.fee_most
            )));
        }
        if coin < cost {
            return Err(WalletError::NoCoin { chain: known(wallet, self.channel)?.chain(), cost, coin });
        }
        let mut channel = known(wallet, self.channel)?;
        let input = self.input(wallet, kind)?;
        let transaction = Transaction {
            chain: channel.chain(),
            number,
            fees,
            gas,
            to: BATCH_ESCROW,
            coin: Amount::ZERO,
            input,
        };
        let signature = account::key(&wallet.seed)?.sign(&transaction.digest());
        let signed = transaction.signed(&signature).ok_or(WalletError::Misuse("a signature"))?;
        let bytes = bytes_to_hex(&signed.bytes);
        if let CallKind::Ask(amount) = kind {
            // From now on nothing more is paid through it.
            channel.withdrawal = Some(Withdrawal { amount, ready: None });
        }
        channel.sent = Some(SentCall { hash: signed.hash, number, bytes, call: kind });
        wallet.commit(vec![Change::Put(Row::Channel(Box::new(channel)))])?;
        self.send_again(wallet)
    }

    fn send_again(&mut self, wallet: &Wallet) -> Result<Step, WalletError> {
        let sent = self.under_way(wallet)?;
        self.stage = Stage::Sending;
        Ok(Step::Send(node::send_request(self.url(wallet)?, &sent.bytes)))
    }

    fn under_way(&self, wallet: &Wallet) -> Result<SentCall, WalletError> {
        known(wallet, self.channel)?.sent.ok_or(WalletError::Misuse("a transaction under way"))
    }

    fn receipt(&mut self, wallet: &Wallet) -> Result<Step, WalletError> {
        let hash = self.under_way(wallet)?.hash.to_string();
        let request: HttpRequest = node::receipt_request(self.url(wallet)?, &hash);
        self.stage = Stage::Receipt;
        Ok(Step::Send(request))
    }

    /// No transaction is under way any more.
    fn forget(&self, wallet: &mut Wallet, is_done: bool) -> Result<Channel, WalletError> {
        let mut channel = known(wallet, self.channel)?;
        let sent = channel.sent.take();
        match sent.map(|sent| sent.call) {
            Some(CallKind::Ask(_)) if !is_done => channel.withdrawal = None,
            Some(CallKind::Take) if is_done => channel.withdrawal = None,
            _ => {}
        }
        wallet.commit(vec![Change::Put(Row::Channel(Box::new(channel.clone())))])?;
        Ok(channel)
    }

    fn ended(
        &self,
        wallet: &mut Wallet,
        seen: Seen,
        (kind, before): (CallKind, Amount),
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let channel = channel_see::write_down(wallet, self.channel, seen, now)?;
        let news = match (kind, &channel.withdrawal) {
            (CallKind::Fill(amount), _) => ChannelNews::Filled(amount),
            (CallKind::Ask(_), Some(Withdrawal { amount, ready: Some(ready) })) => {
                ChannelNews::Waiting { amount: *amount, ready: *ready }
            }
            (CallKind::Ask(_), _) => ChannelNews::Seen,
            (CallKind::Take, _) => {
                ChannelNews::Withdrawn(before.checked_sub(channel.books.balance()).unwrap_or_default())
            }
        };
        Ok(done(Outcome::Channel(Box::new(channel), news)))
    }

    /// What the receipt says, if there is one.
    fn read_receipt(&mut self, wallet: &mut Wallet, event: Event) -> Result<Step, WalletError> {
        let url = self.url(wallet)?.to_owned();
        let sent = self.under_way(wallet)?;
        match node::succeeded(&url, &answer_of(&node::whom(&url), event)?)? {
            Some(true) => {
                self.forget(wallet, true)?;
                let mut look = self.look(wallet)?;
                let step = look.next(wallet, Event::Go)?;
                self.stage = Stage::End(look, sent.call);
                match step {
                    Sub::Send(request) => Ok(Step::Send(request)),
                    Sub::Done(_) => Err(WalletError::Misuse("a question first")),
                }
            }
            Some(false) => {
                self.forget(wallet, false)?;
                Err(WalletError::NotOnChain(format!(
                    "the transaction {} was refused by the escrow; nothing moved but its gas. Run `farthing wallet channels show` and try again",
                    sent.hash
                )))
            }
            None => {
                self.stage = Stage::Count;
                self.count(wallet)
            }
        }
    }

    /// No block has it yet. It never comes if another one has its number.
    fn counted(&mut self, wallet: &mut Wallet, event: Event) -> Result<Step, WalletError> {
        let url = self.url(wallet)?.to_owned();
        let count =
            node::number(&url, "how many an account has sent", &answer_of(&node::whom(&url), event)?)?;
        let sent = self.under_way(wallet)?;
        self.looks = self.looks.saturating_add(1);
        if count > sent.number && self.looks > 2 {
            self.forget(wallet, false)?;
            return Err(WalletError::NotOnChain(format!(
                "another transaction of this account has taken the place of {}; run the same command again",
                sent.hash
            )));
        }
        if self.looks >= LOOKS_MAX || (self.said.is_some() && self.looks > 2) {
            if let Some(said) = self.said.take() {
                return Err(WalletError::NotOnChain(format!(
                    "the node does not take the transaction {}: {said}; it is kept, the same command sends it again",
                    sent.hash
                )));
            }
            let channel = known(wallet, self.channel)?;
            return Ok(done(Outcome::Channel(Box::new(channel), ChannelNews::Sent(sent.hash.to_string()))));
        }
        self.stage = Stage::Pause;
        Ok(Step::Wait(Span::from_secs(1)))
    }
}

impl Flow for ChannelCallFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        if matches!(self.stage, Stage::Start) {
            let channel = known(wallet, self.channel)?;
            self.held = Some(wallet.hold(key(&channel)));
            self.stage = Stage::Look(self.look(wallet)?);
        }
        let url = self.url(wallet)?.to_owned();
        let whom = node::whom(&url);
        match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Start => Err(WalletError::Misuse("a look first")),
            Stage::Look(mut look) => match look.next(wallet, event)? {
                Sub::Send(request) => {
                    self.stage = Stage::Look(look);
                    Ok(Step::Send(request))
                }
                Sub::Done(seen) => self.decide(wallet, seen, now),
            },
            Stage::Number(kind) => {
                let number = node::number(&url, "how many an account has sent", &answer_of(&whom, event)?)?;
                self.stage = Stage::Price { kind, number };
                Ok(Step::Send(node::price_request(&url)))
            }
            Stage::Price { kind, number } => {
                let price = node::number(&url, "what gas costs", &answer_of(&whom, event)?)?;
                self.stage = Stage::Tip { kind, number, price: price.into() };
                Ok(Step::Send(node::tip_request(&url)))
            }
            Stage::Tip { kind, number, price } => {
                // Some nodes do not say; then a small part of the price is the tip.
                let said =
                    answer_of(&whom, event).and_then(|answer| node::number(&url, "a usual tip", &answer));
                let tip = said.map_or_else(|_| Amount::new(price.value() / 10), Amount::from).min(price);
                let most = price.checked_mul(2).unwrap_or(Amount::MAX);
                self.stage = Stage::Gas { kind, number, fees: Fees { most, tip } };
                let input = self.input(wallet, kind)?;
                Ok(Step::Send(node::gas_request(&url, wallet.account()?, BATCH_ESCROW, &input)))
            }
            Stage::Gas { kind, number, fees } => {
                let gas = node::number(&url, "a call that the escrow takes", &answer_of(&whom, event)?)?;
                // A block later it may use a little more.
                let gas = gas.saturating_add(gas / 4);
                self.stage = Stage::Coin { kind, number, fees, gas };
                Ok(Step::Send(node::coin_request(&url, wallet.account()?)))
            }
            Stage::Coin { kind, number, fees, gas } => {
                let coin = node::coin(&url, &answer_of(&whom, event)?)?;
                self.sign(wallet, (kind, number, fees), gas, coin)
            }
            Stage::Sending => {
                let answer = answer_of(&whom, event)?;
                self.said = node::hash(&url, &answer).err().map(|error| error.to_string());
                self.receipt(wallet)
            }
            Stage::Receipt => self.read_receipt(wallet, event),
            Stage::Count => self.counted(wallet, event),
            Stage::Pause => self.receipt(wallet),
            Stage::End(mut look, kind) => {
                let before = known(wallet, self.channel)?.books.balance();
                match look.next(wallet, event)? {
                    Sub::Send(request) => {
                        self.stage = Stage::End(look, kind);
                        Ok(Step::Send(request))
                    }
                    Sub::Done(seen) => self.ended(wallet, seen, (kind, before), now),
                }
            }
        }
    }
}
