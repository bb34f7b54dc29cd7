//! What the engine is asked to do. Every command is complete: cryptography is done, ids are drawn, sums are named.

use farthing_channel::ChannelId;
use farthing_ledger::{Account, AccountId, Reference};
use farthing_money::{Amount, Asset, Label, Timestamp};

use crate::{
    AccessId, Arrive, Authorize, BOOKS, BookGas, CallId, Capture, ChannelStep, ChargeVoucher, Chart, CodeId,
    CreditId, CursorRow, Deposit, EndCall, EndSweep, Facilitate, Fund, HeldVoucher, Keys, KeysetRow,
    MakeChannelCall, Marks, MeltQuoteRow, MintQuoteRow, Mode, NameId, OpenInlet, OutputId, PayOut, PaymentId,
    QuoteId, ReopenCall, RequestTag, SeeChannel, SeeReceiver, SendCall, SenderId, Settle, StatementId,
    StatementRow, Sweep, UndoArrival, Void, sale_reference,
};

/// A verified credit that is to be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Which.
    pub credit: CreditId,
    /// The account of its keyset.
    pub account: AccountId,
    /// How much it is worth.
    pub amount: u64,
    /// The witness that unlocked it.
    pub witness: Option<String>,
}

/// A signed output that is to be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// Which.
    pub output: OutputId,
    /// The account of the keyset that signed it.
    pub account: AccountId,
    /// How much it is worth.
    pub amount: u64,
}

/// Opens a keyset and its account; retires the ones named.
#[derive(Clone, Debug)]
pub struct OpenKeyset {
    /// The new keyset.
    pub keyset: KeysetRow,
    /// Its account.
    pub account: Account,
    /// Keysets of the same asset that no longer sign.
    pub retire: Vec<u32>,
}

/// Makes top-up codes of one amount.
#[derive(Clone, Debug)]
pub struct CreateCodes {
    /// The hashes of their texts.
    pub codes: Vec<CodeId>,
    /// What each buys.
    pub amount: Amount,
    /// In what.
    pub asset: Asset,
    /// When they end.
    pub expires_at: Option<Timestamp>,
}

/// Opens a mint quote. With a code, the row's amount, asset and source are those of the code.
#[derive(Clone, Debug)]
pub struct OpenMintQuote {
    /// Its id.
    pub quote: QuoteId,
    /// The quote.
    pub row: MintQuoteRow,
}

/// A quote that a mint request draws on.
#[derive(Clone, Debug)]
pub struct IssuePart {
    /// Which.
    pub quote: QuoteId,
    /// The key under which the request's signature was verified (NUT-20), as the quote names it.
    pub pubkey: Option<String>,
    /// How much is drawn.
    pub amount: Amount,
    /// The account that backs the quote.
    pub source: AccountId,
}

/// Issues credits for paid quotes (NUT-04, several at once by NUT-29).
#[derive(Clone, Debug)]
pub struct Issue {
    /// What it draws on.
    pub parts: Vec<IssuePart>,
    /// What is signed.
    pub outputs: Vec<Output>,
    /// In what.
    pub asset: Asset,
    /// The request.
    pub tag: RequestTag,
}

/// Swaps credits for others (NUT-03).
#[derive(Clone, Debug)]
pub struct Swap {
    /// What is spent.
    pub inputs: Vec<Input>,
    /// What is signed.
    pub outputs: Vec<Output>,
    /// What the issuer keeps (NUT-02).
    pub fee: Amount,
    /// In what.
    pub asset: Asset,
    /// The request.
    pub tag: RequestTag,
}

/// Opens a melt quote.
#[derive(Clone, Debug)]
pub struct OpenMeltQuote {
    /// Its id.
    pub quote: QuoteId,
    /// The quote.
    pub row: MeltQuoteRow,
}

/// Pays a melt quote with credits (NUT-05), giving change (NUT-08).
#[derive(Clone, Debug)]
pub struct Melt {
    /// Which.
    pub quote: QuoteId,
    /// Its terms, if it was never written down: whoever makes the command vouches for them.
    pub terms: Option<Box<MeltQuoteRow>>,
    /// What is spent.
    pub inputs: Vec<Input>,
    /// What goes back.
    pub change: Vec<Output>,
    /// What the issuer keeps.
    pub fee: Amount,
    /// In what.
    pub asset: Asset,
    /// The account that the money goes to, as the quote names it.
    pub target: AccountId,
    /// The code that it funds, as the quote names it.
    pub code: Option<CodeId>,
    /// The request.
    pub tag: RequestTag,
}

/// What a credential pays with.
#[derive(Clone, Debug)]
pub enum Funds {
    /// Credits of ours: from now on they pay for this or are given back.
    Credits(Vec<Input>),
    /// Money on a chain, which the payer has signed for.
    Chain {
        /// The account of what we have of it.
        reserve: AccountId,
        /// How much at the most, in the asset's units.
        amount: Amount,
    },
    /// Money in a channel, which the payer has signed a voucher for.
    Voucher(Box<HeldVoucher>),
}

impl From<Vec<Input>> for Funds {
    fn from(inputs: Vec<Input>) -> Self {
        Self::Credits(inputs)
    }
}

/// Sets what a credential pays with aside for a request.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The payment, derived from the credential.
    pub payment: PaymentId,
    /// What it pays with.
    pub funds: Funds,
    /// The least that they must be worth.
    pub price: Amount,
    /// In what.
    pub asset: Asset,
    /// Whom it pays.
    pub merchant: AccountId,
    /// What it buys.
    pub resource: String,
    /// What the request asked for besides (blank outputs).
    pub tag: RequestTag,
    /// The tax code of the rule that set the price.
    pub tax_code: Option<Label>,
    /// What it is known by besides.
    pub marks: Marks,
}

/// Charges a held payment.
#[derive(Clone, Debug)]
pub struct Post {
    /// Which.
    pub payment: PaymentId,
    /// Its credits, as held.
    pub credits: Vec<CreditId>,
    /// The accounts of their keysets.
    pub accounts: Vec<AccountId>,
    /// The merchant's account.
    pub merchant: AccountId,
    /// In what.
    pub asset: Asset,
    /// What is charged; the rest of the hold is change.
    pub charged: Amount,
    /// The change.
    pub change: Vec<Output>,
    /// Until when it opens its resource.
    pub pass_until: Option<Timestamp>,
}

/// Gives a held payment back.
#[derive(Clone, Debug)]
pub struct Release {
    /// Which.
    pub payment: PaymentId,
    /// Its credits, as held.
    pub credits: Vec<CreditId>,
    /// The accounts of their keysets.
    pub accounts: Vec<AccountId>,
    /// In what.
    pub asset: Asset,
    /// The channel of its voucher, as held.
    pub channel: Option<ChannelId>,
    /// What it is known by besides, as its row says.
    pub marks: Marks,
}

/// Pays unused codes back to their holders, outside of the books: what was sold is no longer sold.
#[derive(Clone, Debug)]
pub struct RefundCodes {
    /// Which.
    pub codes: Vec<CodeId>,
    /// In what.
    pub asset: Asset,
}

/// Writes an expired keyset off: what is out of it becomes income, and it never redeems again.
#[derive(Clone, Debug)]
pub struct ExpireKeyset {
    /// Which.
    pub index: u32,
    /// Its account.
    pub account: AccountId,
    /// In what.
    pub asset: Asset,
}

/// Forgets rows of a keyset that was written off. Rows of others are left as they are.
#[derive(Clone, Debug)]
pub struct Prune {
    /// Which keyset.
    pub index: u32,
    /// Its account.
    pub account: AccountId,
    /// Spent credits.
    pub credits: Vec<CreditId>,
    /// Signed outputs.
    pub outputs: Vec<OutputId>,
    /// Payments that were made with nothing but this keyset's credits.
    pub payments: Vec<PaymentId>,
}

/// Forgets names and accesses whose time is over. Those that are not over are left as they are.
#[derive(Clone, Debug, Default)]
pub struct Forget {
    /// Payers' own names for payments.
    pub names: Vec<NameId>,
    /// Who has paid for what.
    pub access: Vec<AccessId>,
}

/// An entry of the operator's own: money received, paid out, moved between its accounts.
#[derive(Clone, Debug)]
pub struct Enter {
    /// Its name; the same name with the same contents is the same entry.
    pub reference: Reference,
    /// Where the money comes from.
    pub debit: AccountId,
    /// Where it goes.
    pub credit: AccountId,
    /// How much.
    pub amount: Amount,
    /// In what.
    pub asset: Asset,
    /// The day that it is about.
    pub dated: Timestamp,
    /// What it is.
    pub memo: String,
}

/// Takes an entry back that [`Enter`] or [`CreateCodes`] made, by one that moves the same money the other way.
#[derive(Clone, Debug)]
pub struct Reverse {
    /// Which.
    pub reference: Reference,
    /// The codes that it sold, as its row names them; all must be unused.
    pub codes: Vec<CodeId>,
    /// The accounts that it moved, as its row names them.
    pub accounts: Vec<AccountId>,
    /// Why.
    pub memo: String,
}

/// Publishes a signed text, which never changes afterwards.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Which.
    pub id: StatementId,
    /// The text.
    pub row: StatementRow,
}

/// Anything that changes a row.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the struct of the same name")]
pub enum Command {
    OpenAccounts(Vec<Account>),
    OpenKeyset(OpenKeyset),
    CreateCodes(CreateCodes),
    OpenMintQuote(OpenMintQuote),
    Issue(Issue),
    Swap(Swap),
    OpenMeltQuote(OpenMeltQuote),
    Melt(Melt),
    Hold(Hold),
    Post(Post),
    Release(Release),
    Settle(Settle),
    Authorize(Authorize),
    Capture(Capture),
    Void(Void),
    Deposit(Deposit),
    PayOut(PayOut),
    Facilitate(Facilitate),
    Fund(Fund),
    SendCall(SendCall),
    EndCall(EndCall),
    ReopenCall(ReopenCall),
    BookGas(BookGas),
    /// The payer has what the payment bought that this call settled.
    Delivered(CallId),
    MakeChannelCall(MakeChannelCall),
    ChargeVoucher(ChargeVoucher),
    SeeChannel(SeeChannel),
    SeeReceiver(SeeReceiver),
    /// No chain takes the outcomes of these calls back any more.
    Unwatch(Vec<CallId>),
    OpenInlet(OpenInlet),
    Arrive(Arrive),
    UndoArrival(UndoArrival),
    Sweep(Sweep),
    EndSweep(EndSweep),
    /// All blocks of the chain with this number were searched for what this quote's inlet has got.
    Searched(QuoteId, u64),
    /// Forgets inlets that are over.
    CloseInlets(Vec<QuoteId>),
    /// A chain, by its number, was looked through this far.
    SetCursor(u64, CursorRow),
    RefundCodes(RefundCodes),
    ExpireKeyset(ExpireKeyset),
    Prune(Prune),
    Forget(Forget),
    Enter(Enter),
    Reverse(Reverse),
    Publish(Publish),
    /// Opens, pauses or ends the issuer.
    SetMode(Mode),
    /// Ends the present epoch and begins the one with this number, which is the next.
    OpenEpoch(u32),
    /// Closes everything dated before this: nothing is entered there any more.
    ClosePeriod(Timestamp),
}

impl Command {
    /// Adds the keys of every row that deciding this command reads or writes.
    pub fn keys(&self, keys: &mut Keys) {
        keys.books.push(BOOKS);
        match self {
            Self::OpenMintQuote(command) => {
                keys.mint_quotes.push(command.quote);
                keys.codes.extend(command.row.code);
            }
            Self::Issue(command) => {
                keys.mint_quotes.extend(command.parts.iter().map(|part| part.quote));
                keys.accounts.extend(command.parts.iter().map(|part| part.source));
                keys.signed(&command.outputs);
                keys.chart(command.asset);
            }
            Self::Swap(command) => {
                keys.spent(&command.inputs);
                keys.signed(&command.outputs);
                keys.chart(command.asset);
            }
            Self::OpenMeltQuote(command) => {
                keys.melt_quotes.push(command.quote);
                keys.codes.extend(command.row.code);
            }
            Self::Melt(command) => {
                keys.melt_quotes.push(command.quote);
                keys.codes.extend(command.code);
                keys.spent(&command.inputs);
                keys.signed(&command.change);
                keys.accounts.push(command.target);
                keys.chart(command.asset);
            }
            other => {
                other.payment_keys(keys);
                other.channel_keys(keys);
                other.call_keys(keys);
                other.inlet_keys(keys);
                other.operator_keys(keys);
            }
        }
    }

    /// The keys of what pays here.
    fn payment_keys(&self, keys: &mut Keys) {
        match self {
            Self::Hold(command) => {
                keys.payment(command.payment);
                keys.marks(command.marks);
                match &command.funds {
                    Funds::Credits(inputs) => keys.spent(inputs),
                    Funds::Chain { reserve, .. } => keys.accounts.push(*reserve),
                    Funds::Voucher(voucher) => {
                        keys.channels.push(voucher.voucher.channel());
                        keys.accounts.extend(voucher.accounts.ids());
                    }
                }
                keys.clearing(command.asset);
            }
            Self::Post(command) => {
                keys.payment(command.payment);
                keys.credits.extend(&command.credits);
                keys.signed(&command.change);
                keys.accounts.extend(&command.accounts);
                keys.accounts.push(command.merchant);
                keys.chart(command.asset);
            }
            Self::Release(command) => {
                keys.payment(command.payment);
                keys.marks(command.marks);
                keys.credits.extend(&command.credits);
                keys.accounts.extend(&command.accounts);
                keys.channels.extend(command.channel);
                keys.chart(command.asset);
            }
            _ => {}
        }
    }

    /// The keys of what happens to channels.
    fn channel_keys(&self, keys: &mut Keys) {
        match self {
            Self::MakeChannelCall(command) => {
                keys.call(command.id);
                if let ChannelStep::Deposit(channel) | ChannelStep::Refund(channel) = command.step {
                    keys.channels.push(channel);
                }
            }
            Self::ChargeVoucher(command) => {
                keys.payment(command.payment);
                keys.marks(command.marks);
                keys.channels.push(command.channel);
                keys.accounts.extend(command.accounts.ids());
                keys.accounts.push(command.merchant);
                keys.clearing(command.asset);
            }
            Self::SeeChannel(command) => {
                keys.channels.push(command.channel);
                keys.accounts.extend(command.accounts.ids());
                keys.chart(command.asset);
            }
            Self::SeeReceiver(command) => {
                keys.receivers.push(command.receiver);
                keys.accounts.extend(command.accounts.ids());
            }
            _ => {}
        }
    }

    /// The keys of what goes to a chain and comes back.
    fn call_keys(&self, keys: &mut Keys) {
        match self {
            Self::Settle(command) => {
                keys.payment(command.payment);
                keys.call(CallId::of_payment(command.payment));
                keys.marks(command.marks);
                keys.accounts.extend(&command.accounts);
                keys.accounts.push(command.merchant);
                keys.chart(command.asset);
            }
            Self::Authorize(command) => command.keys(keys),
            Self::Capture(command) => command.keys(keys),
            Self::Void(command) => command.keys(keys),
            Self::Deposit(command) => {
                keys.mint_quotes.push(command.quote);
                keys.payment(command.payment);
                keys.call(CallId::of_payment(command.payment));
                keys.accounts.extend([command.reserve, Chart::of(command.asset).deposits]);
                keys.chart(command.asset);
            }
            Self::PayOut(command) => {
                let payment = PaymentId::of_payout(command.quote, command.failed);
                keys.melt_quotes.push(command.quote);
                keys.payment(payment);
                keys.call(CallId::of_payment(payment));
                keys.spent(&command.inputs);
                keys.signed(&command.change);
                keys.accounts.push(command.target);
                keys.chart(command.asset);
            }
            Self::Facilitate(command) => keys.call(command.id),
            Self::Fund(command) => {
                keys.call(command.id);
                keys.call(command.of);
            }
            Self::SendCall(command) => {
                keys.call(command.call);
                keys.numbers.push(SenderId::of(command.chain, command.slot.0));
            }
            Self::Delivered(call) => keys.call(*call),
            Self::Unwatch(calls) => keys.watched.extend(calls),
            Self::EndCall(command) => {
                keys.call(command.call);
                keys.moved.extend(command.outcome.log());
                keys.settled(command.payment.as_ref());
                command.back_keys(keys);
                let gas = command.gas.as_ref().map(|gas| [gas.accounts.purse, gas.accounts.spent]);
                keys.accounts.extend(gas.into_iter().flatten());
            }
            Self::ReopenCall(command) => {
                keys.call(command.call);
                keys.settled(command.payment.as_ref());
            }
            Self::BookGas(command) => {
                keys.call(command.call);
                keys.accounts.extend([command.gas.accounts.purse, command.gas.accounts.spent]);
            }
            _ => {}
        }
    }

    /// The keys of what only the operator asks for.
    fn operator_keys(&self, keys: &mut Keys) {
        match self {
            Self::OpenAccounts(accounts) => keys.accounts.extend(accounts.iter().map(Account::id)),
            Self::OpenKeyset(command) => {
                keys.keysets.push(command.keyset.index);
                keys.keysets.extend(&command.retire);
                keys.accounts.push(command.account.id());
            }
            Self::CreateCodes(command) => {
                keys.codes.extend(&command.codes);
                keys.entries.push(sale_reference(&command.codes));
                keys.chart(command.asset);
            }
            Self::RefundCodes(command) => {
                keys.codes.extend(&command.codes);
                keys.chart(command.asset);
            }
            Self::ExpireKeyset(command) => {
                keys.keysets.push(command.index);
                keys.accounts.push(command.account);
                keys.chart(command.asset);
            }
            Self::Prune(command) => {
                keys.keysets.push(command.index);
                keys.credits.extend(&command.credits);
                keys.outputs.extend(&command.outputs);
                keys.payments.extend(&command.payments);
            }
            Self::Forget(command) => {
                keys.names.extend(&command.names);
                keys.access.extend(&command.access);
            }
            Self::Enter(command) => {
                keys.entries.push(command.reference);
                keys.accounts.extend([command.debit, command.credit]);
            }
            Self::Reverse(command) => {
                keys.entries.push(command.reference);
                keys.codes.extend(&command.codes);
                keys.accounts.extend(&command.accounts);
            }
            Self::Publish(command) => keys.statements.push(command.id),
            _ => {}
        }
    }
}
