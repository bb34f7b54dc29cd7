//! Credits: quotes for them, issued, swapped, melted.

use farthing_ledger::AccountId;
use farthing_money::{Amount, Asset};

use super::Command;
use crate::{CodeId, CreditId, Keys, MeltQuoteRow, MintQuoteRow, OutputId, QuoteId, RequestTag};

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

impl Command {
    /// The keys of what mints and wallets do.
    pub(super) fn credit_keys(&self, keys: &mut Keys) {
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
            _ => {}
        }
    }
}
