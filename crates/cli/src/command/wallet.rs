//! `farthing wallet`: credits, and what is done with them besides paying.

use clap::{Args, Subcommand};

use super::wallet_account::Address;
use super::wallet_audit::Audit;
use super::wallet_backup::{Backup, Restore};
use super::wallet_balance::Balance;
use super::wallet_chain_token::ChainToken;
use super::wallet_channels::Channels;
use super::wallet_deposit::Deposit;
use super::wallet_history::History;
use super::wallet_init::Init;
use super::wallet_limits::Limits;
use super::wallet_mandate::Mandate;
use super::wallet_parked::{Approve, Deny, ListParked};
use super::wallet_recover::{Reclaim, Recover};
use super::wallet_redeem::Redeem;
use super::wallet_refund::Refund;
use super::wallet_refund_payment::RefundPayment;
use super::wallet_sessions::Sessions;
use super::wallet_subscriptions::{ListSubscriptions, Renew, Subscribe, Unsubscribe};
use super::wallet_token::{Receive, Send};
use super::wallet_trial::Trial;
use crate::exit::Failure;
use crate::output::Output;
use crate::payer::{Payer, WalletPlace};
use crate::runtime;

#[derive(Debug, Args)]
pub struct Wallet {
    #[command(flatten)]
    place: WalletPlace,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a wallet and show its 12 words, once
    Init(Init),
    /// Turn a top-up code into credits; makes the wallet if there is none
    Redeem(Redeem),
    /// Take the credits that an issuer gives newcomers to try
    Trial(Trial),
    /// What there is, by mint and asset, and on chains of which a node is named
    Balance(Balance),
    /// The account on chains: one address, the same on each
    Address(Address),
    /// How to fill the account on chains; or buy credits with money on a chain
    Deposit(Deposit),
    /// Tokens on chains that may be spent, and what they count as
    #[command(subcommand)]
    Token(ChainToken),
    /// Channels through which sellers are paid: what lies in them, and how it comes back
    #[command(subcommand)]
    Channels(Channels),
    /// Sessions: credits that were put aside for many calls of one site, and how they come back
    #[command(subcommand)]
    Sessions(Sessions),
    /// Turn credits back into a top-up code, for the operator to pay out
    Refund(Refund),
    /// Ask a seller to give a payment back; what it has set aside for you comes too
    RefundPayment(RefundPayment),
    /// Make a token that whoever has it can spend
    Send(Send),
    /// Take in a token
    Receive(Receive),
    /// Take back a token that nobody took
    Reclaim(Reclaim),
    /// What happened, newest first; receipts too
    History(History),
    /// Subscribe to a pass: this wallet buys it again when it has ended
    Subscribe(Box<Subscribe>),
    /// Subscriptions: what they may cost, what they have cost, and when the next pass is due
    Subscriptions,
    /// End a subscription; the pass that is there lasts on
    Unsubscribe(Unsubscribe),
    /// Buy the passes of subscriptions that have ended; for a timer
    Renew(Renew),
    /// Payments that wait for your yes
    Parked,
    /// Say yes to one of them
    Approve(Approve),
    /// Say no to one of them, or take a yes back
    Deny(Deny),
    /// Mandates: what an agent may spend for you, signed
    #[command(subcommand)]
    Mandate(Box<Mandate>),
    /// Limits: what may be spent at most
    #[command(subcommand)]
    Limits(Limits),
    /// Look whether an issuer counts your credits among what it says it owes
    Audit(Audit),
    /// Write the 12 words, the mints and the counters down
    Backup(Backup),
    /// Find credits again, from a backup or from the words
    Restore(Restore),
    /// Bring what a crash or a lost answer left open to its end; every other command does so too
    Recover(Recover),
}

impl Wallet {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        runtime::block_on(self.act(output))
    }

    async fn act(&self, output: &Output) -> Result<(), Failure> {
        let place = &self.place;
        match &self.action {
            Action::Init(init) => init.run(place, output).await,
            Action::Redeem(redeem) => redeem.run(place, output).await,
            Action::Trial(trial) => trial.run(place, output).await,
            Action::Refund(refund) => refund.run(place, output).await,
            Action::RefundPayment(refund) => refund.run(place, output).await,
            Action::Restore(restore) => restore.run(place, output).await,
            Action::Receive(receive) => receive.run(place, output).await,
            Action::Recover(recover) => recover.run(&mut Payer::new(place.open().await?), output).await,
            Action::Audit(audit) => audit.run(place, output).await,
            Action::Balance(balance) => balance.run(&mut opened(place, output).await?, output).await,
            Action::Address(address) => address.run(&place.open().await?, output),
            Action::Deposit(deposit) => deposit.run(place, output).await,
            Action::Token(token) => token.run(&mut place.open().await?, output),
            Action::Channels(channels) => channels.run(&mut opened(place, output).await?, output).await,
            Action::Sessions(sessions) => sessions.run(&mut opened(place, output).await?, output).await,
            Action::Send(send) => send.run(&mut opened(place, output).await?, output).await,
            Action::Reclaim(reclaim) => reclaim.run(&mut opened(place, output).await?, output).await,
            Action::History(history) => history.run(&opened(place, output).await?, output),
            Action::Subscribe(subscribe) => subscribe.run(&mut opened(place, output).await?, output).await,
            Action::Subscriptions => ListSubscriptions::run(&opened(place, output).await?, output),
            Action::Unsubscribe(one) => one.run(&mut opened(place, output).await?, output),
            Action::Renew(renew) => renew.run(&mut opened(place, output).await?, output).await,
            Action::Parked => ListParked::run(&opened(place, output).await?, output),
            Action::Approve(approve) => approve.run(place, opened(place, output).await?, output).await,
            Action::Deny(deny) => deny.run(&mut opened(place, output).await?, output),
            Action::Mandate(mandate) => mandate.run(place, output).await,
            Action::Limits(limits) => limits.run(&mut opened(place, output).await?, output),
            Action::Backup(backup) => backup.run(&opened(place, output).await?, output),
        }
    }
}

/// The wallet that is there, with nothing left open that can be ended.
async fn opened(place: &WalletPlace, output: &Output) -> Result<Payer, Failure> {
    let mut payer = Payer::new(place.open().await?);
    payer.recover(output).await?;
    Ok(payer)
}
