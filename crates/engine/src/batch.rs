//! One batch: commands decided in turn on evolving rows, their entries sealed into the journal.

use farthing_ledger::{Batch, Entry, FrameError, Head};
use farthing_money::Timestamp;

use crate::{Answer, Changes, Command, Reject, Rows, op};

/// A journal batch, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The bytes.
    pub frame: Vec<u8>,
    /// The journal's end once they are written.
    pub head: Head,
}

/// What a batch of commands comes to.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The answers, in the order of the commands. Not to be given before the commit.
    pub answers: Vec<Result<Answer, Reject>>,
    /// The rows that changed.
    pub changes: Changes,
    /// The journal batch, if any money moved or an account was opened.
    pub batch: Option<Sealed>,
}

/// Decides one command: changes rows, or refuses and changes nothing.
pub fn decide(rows: &mut Rows, command: &Command, now: Timestamp) -> Result<(Answer, Option<Entry>), Reject> {
    match command {
        Command::OpenAccounts(accounts) => op::open::accounts(rows, accounts),
        Command::OpenKeyset(command) => op::open::keyset(rows, command),
        Command::CreateCodes(command) => op::code::create(rows, command, now),
        Command::OpenMintQuote(command) => op::quote::open_mint(rows, command, now),
        Command::Issue(command) => op::issue::issue(rows, command, now),
        Command::Swap(command) => op::swap::swap(rows, command),
        Command::OpenMeltQuote(command) => op::quote::open_melt(rows, command),
        Command::Melt(command) => op::melt::melt(rows, command, now),
        Command::Hold(command) => op::hold::hold(rows, command, now),
        Command::Meter(_) | Command::Post(_) | Command::Release(_) => op::go_on(rows, command, now),
        Command::Settle(command) => op::call::settle(rows, command, now),
        Command::Authorize(command) => op::escrow::authorize(rows, command, now),
        Command::Capture(command) => op::escrow::capture(rows, command, now),
        Command::Void(command) => op::escrow::void(rows, command, now),
        Command::Deposit(command) => op::deposit::deposit(rows, command, now),
        Command::Withdraw(command) => op::withdrawal::withdraw(rows, command, now),
        Command::Facilitate(command) => op::call::facilitate(rows, command, now),
        Command::Fund(command) => op::fund::fund(rows, command, now),
        Command::SendCall(command) => op::call::send(rows, command),
        Command::EndCall(command) => op::call::end(rows, command, now),
        Command::Delivered(call) => op::call::delivered(rows, *call),
        Command::Unwatch(calls) => op::call::unwatch(rows, calls, now),
        Command::ReopenCall(command) => op::call::reopen(rows, command, now),
        Command::BookGas(command) => op::call::book_gas(rows, command),
        Command::MakeChannelCall(command) => op::channel::make_call(rows, command, now),
        Command::ChargeVoucher(command) => op::voucher::charge(rows, command, now),
        Command::SeeChannel(command) => op::channel::see_channel(rows, command),
        Command::SeeReceiver(command) => op::channel::see_receiver(rows, command, now),
        Command::OpenInlet(command) => op::inlet::open(rows, command, now),
        Command::Arrive(command) => op::inlet::arrive(rows, command, now),
        Command::UndoArrival(command) => op::inlet::undo(rows, command, now),
        Command::Sweep(command) => op::inlet::sweep(rows, command, now),
        Command::EndSweep(command) => op::inlet::end_sweep(rows, command),
        Command::Searched(quote, chain) => op::inlet::searched(rows, *quote, *chain),
        Command::CloseInlets(quotes) => op::inlet::close(rows, quotes, now),
        Command::SetCursor(chain, cursor) => op::inlet::set_cursor(rows, *chain, *cursor),
        Command::OpenSession(command) => op::session::open(rows, command),
        Command::TopUpSession(command) => op::session::top_up(rows, command),
        Command::CloseSession(command) => op::session::close(rows, command, now),
        Command::FoldTape(command) => op::fold::fold(rows, command),
        Command::MarkRestored(sessions) => op::session::mark_restored(rows, sessions),
        Command::CatchUp(command) => op::fold::catch_up(rows, command),
        Command::RefundCodes(command) => op::code::refund(rows, command),
        Command::ExpireKeyset(command) => op::expire::expire(rows, command, now),
        Command::Prune(command) => op::expire::prune(rows, command),
        Command::Forget(command) => op::mark::forget(rows, command, now),
        Command::AcceptRates(command) => op::rates::accept(rows, command, now),
        Command::Quota(command) => op::quota::decide(rows, command, now),
        Command::Refund(command) => op::refund::decide(rows, command, now),
        Command::OpenTrial(command) => op::trial::open(rows, command, now),
        Command::Bundle(command) => op::bundle::decide(rows, command, now),
        Command::Enter(command) => op::entry::enter(rows, command),
        Command::Reverse(command) => op::entry::reverse(rows, command, now),
        Command::ProposePayout(command) => op::payout::propose(rows, command, now),
        Command::ApprovePayout(command) => op::payout::approve(rows, command),
        Command::CancelPayout(command) => op::payout::cancel(rows, command, now),
        Command::SendPayout(command) => op::payout::send(rows, command, now),
        Command::FilePayouts(command) => op::payout::file(rows, command, now),
        Command::EndPayout(command) => op::payout::end(rows, command, now),
        Command::Entitlement(command) => op::entitlement::decide(rows, command, now),
        Command::Use(command) => op::feature::decide(rows, command, now),
        Command::Publish(command) => op::standing::publish(rows, command),
        Command::SetMode(mode) => op::standing::set_mode(rows, *mode),
        Command::OpenEpoch(number) => op::standing::open_epoch(rows, *number, now),
        Command::ClosePeriod(until) => op::standing::close_period(rows, *until, now),
    }
}

/// Decides commands in turn on loaded rows and seals what they did after `head`.
pub fn decide_batch(
    mut rows: Rows,
    commands: &[Command],
    head: Head,
    now: Timestamp,
) -> Result<Decided, FrameError> {
    let mut entries = Vec::new();
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        let decided = decide(&mut rows, command, now);
        answers.push(decided.map(|(answer, entry)| {
            entries.extend(entry);
            answer
        }));
    }
    let opened = std::mem::take(&mut rows.opened);
    let changes = rows.into_changes();
    let batch = if entries.is_empty() && opened.is_empty() {
        None
    } else {
        let number = head.number.saturating_add(1);
        // A clock that was put back does not put the journal back.
        let at = head.at.max(now.hour());
        let frame = Batch { number, previous: head.digest, at, opened, entries }.to_frame()?;
        let head = Head { number, digest: Batch::digest(&frame), at };
        Some(Sealed { frame, head })
    };
    Ok(Decided { answers, changes, batch })
}
