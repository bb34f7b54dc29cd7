//! What the account itself sends to the chain for a channel: more money for it, the wish to have back what is left, and, when the
//! channel's delay is over, the taking of it. Each is a transaction that the account pays gas for and that a node carries.
//!
//! A transaction is written down before it is sent. After a crash it is sent again, until a block has it, or another transaction
//! has its number: two are never under way. As it is, or, where it has become too cheap, signed again with higher fees under the
//! same number, so that one of them comes at the most. All their names are kept: whichever a block has, that one counts.

use std::sync::Arc;

use farthing_channel::{BATCH_ESCROW, ChannelId, Fees, Transaction, TxHash, batch_call, bytes_to_hex};
use farthing_money::{Amount, Span, Timestamp};

use super::channel_fees::{GasPrice, cost, raised};
use super::channel_look::{ChannelLook, Seen};
use super::channel_see::{self, key, known};
use super::in_channel::new_deposit;
use super::{Flow, Sub, answer_of, done, in_channel};
use crate::budget::{Asker, Asking, Call};
use crate::chain::account;
use crate::channel::{CallKind, Channel, SentCall, SignedDeposit, Withdrawal, sign};
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, Step};
use crate::node::{self, Taken};
use crate::outcome::{ChannelNews, Outcome};
use crate::state::Draft;
use crate::vault::{Change, Row};
use crate::wallet::Wallet;

/// A deposit of the account's own has this long to get into a block.
const DEPOSIT_SECS: u64 = 600;
/// One that is over so soon is signed anew.
const DEPOSIT_LEAST_SECS: u64 = 120;
/// More gas than a deposit uses: before one is signed nobody can be asked how much it is.
const DEPOSIT_GAS: u64 = 300_000;
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
    /// What has come back while this flow was at it.
    back: Amount,
    /// The chain's time when it was looked at.
    time: u64,
    looks: u32,
    /// How often the account was seen to have used the number, while none of ours was in a block.
    passed: u32,
    /// What the node said of the transaction; nothing if it was not sent in this run.
    said: Option<Taken>,
    /// Whether its fees were raised in this run.
    is_raised: bool,
    /// The fees of a transaction of the next number that was given up, and may still lie with nodes.
    floor: Option<Fees>,
    held: Option<Arc<()>>,
    stage: Stage,
}

/// For which transaction prices are asked.
#[derive(Clone, Copy)]
enum Job {
    /// One that nobody has signed yet.
    First { kind: CallKind, number: u64 },
    /// The one under way, which may have become too cheap.
    Again,
}

enum Stage {
    Start,
    Look(ChannelLook),
    Number(CallKind),
    Price(Job),
    Tip(Job, Amount),
    Coin(Job, Fees),
    Gas {
        kind: CallKind,
        number: u64,
        fees: Fees,
        coin: Amount,
    },
    Sending,
    /// What became of the one that has so many names before it.
    Receipt(usize),
    Count,
    Pause,
    /// A block has the one of this name.
    End(ChannelLook, TxHash),
}

impl ChannelCallFlow {
    /// A flow for a channel of the wallet's. The caller draws the bytes for this flow alone.
    pub fn new(channel: ChannelId, call: ChannelCall, fee_most: Amount, random: [u8; 32]) -> Self {
        Self {
            channel,
            call,
            fee_most,
            random,
            back: Amount::ZERO,
            time: 0,
            looks: 0,
            passed: 0,
            said: None,
            is_raised: false,
            floor: None,
            held: None,
            stage: Stage::Start,
        }
    }

    fn look(&self, wallet: &Wallet) -> Result<ChannelLook, WalletError> {
        let chain = known(wallet, self.channel)?.chain();
        ChannelLook::new(wallet, chain, self.channel).ok_or(WalletError::NoNode(chain))
    }

    /// What was sent before comes first.
    fn decide(&mut self, wallet: &mut Wallet, seen: Seen, now: Timestamp) -> Result<Step, WalletError> {
        let (channel, back) = channel_see::write_down_after(wallet, self.channel, seen, None, now)?;
        (self.time, self.back) = (seen.time, back);
        if channel.sent.is_some() { self.receipt(wallet, 0) } else { self.begin(wallet, channel, now) }
    }

    /// What has to be sent now, where the channel stands so; or what there is to tell.
    fn begin(&mut self, wallet: &mut Wallet, channel: Channel, now: Timestamp) -> Result<Step, WalletError> {
        let kind = match (self.call, channel.withdrawal.clone()) {
            (ChannelCall::Fill(amount), _) => {
                // What is beyond the limits is refused before a node is asked for anything.
                self.deposit(wallet, &channel, amount, now)?;
                CallKind::Fill(amount)
            }
            (ChannelCall::Withdraw, Some(Withdrawal { ready: Some(ready), amount })) if ready > self.time => {
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

    /// More money for the channel, within the limits. One that is signed already, and that is enough, is sent now: it is one
    /// deposit, whoever carries it.
    fn deposit(
        &self,
        wallet: &Wallet,
        channel: &Channel,
        amount: Amount,
        now: Timestamp,
    ) -> Result<SignedDeposit, WalletError> {
        let late = now.secs().saturating_add(DEPOSIT_LEAST_SECS);
        let open = channel.under_way().filter(|one| one.amount >= amount && one.until.secs() > late);
        if let Some(again) = open.min_by_key(|one| one.amount) {
            return Ok(again.clone());
        }
        let counted = channel.token.counted(amount).map_or(Amount::MAX, Amount::from);
        let unit = channel.token.counts_as;
        let limits = wallet.limits(unit);
        limits.check_channels(wallet.in_channels(unit), counted)?;
        let more = in_channel::exposure(channel)?;
        let call = Call { max: Some(Amount::MAX), spent: Amount::ZERO };
        let (address, asker) = (in_channel::address_of(channel)?, Asker::default());
        let asking = Asking::unasked(&address, &asker, call);
        wallet.weigh(unit, &asking, (0, more), now)?;
        Ok(new_deposit(amount, channel.method, DEPOSIT_SECS, self.random, now))
    }

    /// Writes the deposit down. What was signed for an empty channel can be taken again then. Answers with what it puts in.
    fn fill(&self, wallet: &mut Wallet, amount: Amount, now: Timestamp) -> Result<Amount, WalletError> {
        let mut channel = known(wallet, self.channel)?;
        let deposit = self.deposit(wallet, &channel, amount, now)?;
        let amount = deposit.amount;
        channel.deposits.retain(|other| other.salt != deposit.salt);
        channel.deposits.push(deposit);
        let mut draft = Draft::new(&wallet.state);
        let signed = channel.books.signed();
        in_channel::book(&mut draft, wallet, &mut channel, signed, now)?;
        draft.put(Row::Channel(Box::new(channel)));
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok(amount)
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

    /// Signs a transaction that is the first of its number and writes it down; then it is sent.
    fn sign(
        &mut self,
        wallet: &mut Wallet,
        (kind, number, fees): (CallKind, u64, Fees),
        gas: u64,
        coin: Amount,
    ) -> Result<Step, WalletError> {
        let is_signed = matches!(kind, CallKind::Fill(_));
        let kept = if is_signed { "the deposit is signed, and the next command uses it: " } else { "" };
        self.check_cost(wallet, cost(fees, gas), coin, kept)?;
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
        let (hash, bytes) = signed(wallet, transaction)?;
        if let CallKind::Ask(amount) = kind {
            // From now on nothing more is paid through it.
            channel.withdrawal = Some(Withdrawal { amount, ready: None });
        }
        let carried = channel.deposits.last().filter(|_| matches!(kind, CallKind::Fill(_)));
        let until = carried.map(|deposit| deposit.until);
        channel.sent = Some(SentCall { hash, earlier: Vec::new(), number, bytes, call: kind, until });
        wallet.commit(vec![Change::Put(Row::Channel(Box::new(channel)))])?;
        self.send_again(wallet)
    }

    /// Signs the one under way again, with these fees and nothing else changed.
    fn raise(&mut self, wallet: &mut Wallet, fees: Fees, coin: Amount) -> Result<Step, WalletError> {
        let mut channel = known(wallet, self.channel)?;
        let sent = channel.sent.as_mut().ok_or(WalletError::Misuse("a transaction under way"))?;
        let before = sent.transaction().ok_or(WalletError::Misuse("a transaction that was signed"))?;
        let kept = format!("{} has become too cheap, and is kept: with fees that are not, ", sent.hash);
        self.check_cost(wallet, cost(fees, before.gas), coin, &kept)?;
        let (hash, bytes) = signed(wallet, Transaction { fees, ..before })?;
        sent.earlier.push(std::mem::replace(&mut sent.hash, hash));
        sent.bytes = bytes;
        wallet.commit(vec![Change::Put(Row::Channel(Box::new(channel)))])?;
        self.is_raised = true;
        self.send_again(wallet)
    }

    /// Whether gas may cost so much, and there is the coin for it. `kept` is what stays if not, as a sentence begins.
    fn check_cost(&self, wallet: &Wallet, cost: Amount, coin: Amount, kept: &str) -> Result<(), WalletError> {
        if cost > self.fee_most {
            return Err(WalletError::NotOnChain(format!(
                "{kept}the transaction may cost {cost} of the coin's smallest units, and at most {} are allowed; wait until gas is cheaper, or allow more with --fee-most",
                self.fee_most
            )));
        }
        if coin < cost {
            return Err(WalletError::NoCoin { chain: known(wallet, self.channel)?.chain(), cost, coin });
        }
        Ok(())
    }

    /// What gas costs now is known.
    fn priced(&mut self, wallet: &Wallet, job: Job, gas: GasPrice) -> Result<Step, WalletError> {
        let fees = match job {
            Job::First { .. } => self.floor.map_or_else(|| gas.fees(), |floor| raised(floor, gas.fees())),
            Job::Again => {
                let before = self.fees(wallet)?;
                if !matches!(self.said, Some(Taken::TooCheap(_))) && !gas.is_beyond(before) {
                    return self.send_again(wallet);
                }
                raised(before, gas.fees())
            }
        };
        self.stage = Stage::Coin(job, fees);
        Ok(Step::Send(node::coin_request(self.url(wallet)?, wallet.account()?)))
    }

    fn price(&mut self, wallet: &Wallet, job: Job) -> Result<Step, WalletError> {
        self.stage = Stage::Price(job);
        Ok(Step::Send(node::price_request(self.url(wallet)?)))
    }

    fn send_again(&mut self, wallet: &Wallet) -> Result<Step, WalletError> {
        let sent = self.under_way(wallet)?;
        self.stage = Stage::Sending;
        Ok(Step::Send(node::send_request(self.url(wallet)?, &sent.bytes)))
    }

    fn under_way(&self, wallet: &Wallet) -> Result<SentCall, WalletError> {
        known(wallet, self.channel)?.sent.ok_or(WalletError::Misuse("a transaction under way"))
    }

    fn fees(&self, wallet: &Wallet) -> Result<Fees, WalletError> {
        let transaction = self.under_way(wallet)?.transaction();
        Ok(transaction.ok_or(WalletError::Misuse("a transaction that was signed"))?.fees)
    }

    /// Asks what became of one of its names; when all were asked for, how many the account has sent.
    fn receipt(&mut self, wallet: &Wallet, place: usize) -> Result<Step, WalletError> {
        let sent = self.under_way(wallet)?;
        let Some(hash) = sent.hashes().nth(place) else {
            self.stage = Stage::Count;
            return self.count(wallet);
        };
        let request: HttpRequest = node::receipt_request(self.url(wallet)?, &hash.to_string());
        self.stage = Stage::Receipt(place);
        Ok(Step::Send(request))
    }

    /// The transaction that was under way will do nothing.
    fn forget(&self, wallet: &mut Wallet) -> Result<Channel, WalletError> {
        let mut channel = known(wallet, self.channel)?;
        channel.call_ended(false);
        wallet.commit(vec![Change::Put(Row::Channel(Box::new(channel.clone())))])?;
        Ok(channel)
    }

    fn ended(
        &self,
        wallet: &mut Wallet,
        seen: Seen,
        hash: TxHash,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let before = known(wallet, self.channel)?;
        let call = before.sent.ok_or(WalletError::Misuse("a transaction under way"))?.call;
        let (channel, back) = channel_see::write_down_after(wallet, self.channel, seen, Some(hash), now)?;
        let news = match (call, &channel.withdrawal) {
            (CallKind::Fill(amount), _) => ChannelNews::Filled(amount),
            (CallKind::Ask(_), Some(Withdrawal { amount, ready: Some(ready) })) => {
                ChannelNews::Waiting { amount: *amount, ready: *ready }
            }
            (CallKind::Ask(_), _) => ChannelNews::Seen,
            (CallKind::Take, _) => {
                // Another look may have seen it before: then it is what was wanted.
                let back = back.checked_add(self.back).filter(|back| !back.is_zero());
                let wanted = before.withdrawal.map(|withdrawal| withdrawal.amount);
                ChannelNews::Withdrawn(back.or(wanted).unwrap_or_default())
            }
        };
        Ok(done(Outcome::Channel(Box::new(channel), news)))
    }

    /// What the receipt says, if there is one.
    fn read_receipt(&mut self, wallet: &mut Wallet, place: usize, event: Event) -> Result<Step, WalletError> {
        let url = self.url(wallet)?.to_owned();
        let sent = self.under_way(wallet)?;
        let hash = sent.hashes().nth(place).copied().unwrap_or(sent.hash);
        match node::succeeded(&url, &answer_of(&node::whom(&url), event)?)? {
            Some(true) => {
                let mut look = self.look(wallet)?;
                let step = look.next(wallet, Event::Go)?;
                self.stage = Stage::End(look, hash);
                match step {
                    Sub::Send(request) => Ok(Step::Send(request)),
                    Sub::Done(_) => Err(WalletError::Misuse("a question first")),
                }
            }
            Some(false) => {
                self.forget(wallet)?;
                Err(WalletError::NotOnChain(format!(
                    "the transaction {hash} was refused by the escrow; nothing moved but its gas. Run `farthing wallet channels show` and try again"
                )))
            }
            None => self.receipt(wallet, place.saturating_add(1)),
        }
    }

    /// No block has it yet. It never comes if another one has its number.
    fn counted(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let url = self.url(wallet)?.to_owned();
        let count =
            node::number(&url, "how many an account has sent", &answer_of(&node::whom(&url), event)?)?;
        let sent = self.under_way(wallet)?;
        self.looks = self.looks.saturating_add(1);
        if count > sent.number {
            // It may have come between the two questions: then the next look finds it.
            self.passed = self.passed.saturating_add(1);
            if self.passed > 2 {
                self.forget(wallet)?;
                return Err(WalletError::NotOnChain(format!(
                    "another transaction of this account has taken the place of {}; run the same command again",
                    sent.hash
                )));
            }
            return Ok(self.pause());
        }
        if sent.is_over(self.time) {
            // It would fail: what comes next has its number, and pays more than it.
            self.floor = Some(self.fees(wallet)?);
            let channel = self.forget(wallet)?;
            return self.begin(wallet, channel, now);
        }
        match self.said.clone() {
            // Nothing was sent in this run.
            None => self.price(wallet, Job::Again),
            Some(Taken::TooCheap(_)) if !self.is_raised => self.price(wallet, Job::Again),
            Some(Taken::TooCheap(said) | Taken::No(said)) if self.looks > 2 => {
                Err(WalletError::NotOnChain(format!(
                    "the node does not take the transaction {}: {said}; it is kept, the same command sends it again",
                    sent.hash
                )))
            }
            Some(_) if self.looks >= LOOKS_MAX => {
                let channel = known(wallet, self.channel)?;
                Ok(done(Outcome::Channel(Box::new(channel), ChannelNews::Sent(sent.hash.to_string()))))
            }
            Some(_) => Ok(self.pause()),
        }
    }

    fn pause(&mut self) -> Step {
        self.stage = Stage::Pause;
        Step::Wait(Span::from_secs(1))
    }
}

/// A transaction's name and bytes, as the account signs it.
fn signed(wallet: &Wallet, transaction: Transaction) -> Result<(TxHash, String), WalletError> {
    let signature = account::key(&wallet.seed)?.sign(&transaction.digest());
    let signed = transaction.signed(&signature).ok_or(WalletError::Misuse("a signature"))?;
    Ok((signed.hash, bytes_to_hex(&signed.bytes)))
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
                self.price(wallet, Job::First { kind, number })
            }
            Stage::Price(job) => {
                let price = node::number(&url, "what gas costs", &answer_of(&whom, event)?)?;
                self.stage = Stage::Tip(job, price.into());
                Ok(Step::Send(node::tip_request(&url)))
            }
            Stage::Tip(job, price) => {
                // Some nodes do not say; then a small part of the price is the tip.
                let said =
                    answer_of(&whom, event).and_then(|answer| node::number(&url, "a usual tip", &answer));
                let tip = said.map_or_else(|_| Amount::new(price.value() / 10), Amount::from);
                self.priced(wallet, job, GasPrice { price, tip })
            }
            Stage::Coin(job, fees) => {
                let coin = node::coin(&url, &answer_of(&whom, event)?)?;
                let Job::First { mut kind, number } = job else { return self.raise(wallet, fees, coin) };
                if let CallKind::Fill(amount) = kind {
                    self.check_cost(wallet, cost(fees, DEPOSIT_GAS), coin, "")?;
                    kind = CallKind::Fill(self.fill(wallet, amount, now)?);
                }
                self.stage = Stage::Gas { kind, number, fees, coin };
                let input = self.input(wallet, kind)?;
                Ok(Step::Send(node::gas_request(&url, wallet.account()?, BATCH_ESCROW, &input)))
            }
            Stage::Gas { kind, number, fees, coin } => {
                let gas = node::number(&url, "a call that the escrow takes", &answer_of(&whom, event)?)?;
                // A block later it may use a little more.
                self.sign(wallet, (kind, number, fees), gas.saturating_add(gas / 4), coin)
            }
            Stage::Sending => {
                self.said = Some(node::taken(&url, &answer_of(&whom, event)?));
                self.receipt(wallet, 0)
            }
            Stage::Receipt(place) => self.read_receipt(wallet, place, event),
            Stage::Count => self.counted(wallet, event, now),
            Stage::Pause => self.receipt(wallet, 0),
            Stage::End(mut look, hash) => match look.next(wallet, event)? {
                Sub::Send(request) => {
                    self.stage = Stage::End(look, hash);
                    Ok(Step::Send(request))
                }
                Sub::Done(seen) => self.ended(wallet, seen, hash, now),
            },
        }
    }
}
