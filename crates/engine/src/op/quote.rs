//! Opens quotes. A mint quote with a code claims the code; asking again with the same code gives the same quote.

use farthing_money::Timestamp;

use super::Decision;
use crate::{Answer, Chart, CodeRow, CodeState, MintQuoteRow, OpenMeltQuote, OpenMintQuote, Reject, Rows};

pub(crate) fn open_mint(rows: &mut Rows, command: &OpenMintQuote, now: Timestamp) -> Decision {
    let OpenMintQuote { quote, row } = command;
    if rows.mint_quotes.get(quote)?.is_some() {
        return Err(Reject::QuoteExists(*quote));
    }
    let mut row = MintQuoteRow { updated_at: now.hour(), ..row.clone() };
    if row.code.is_none() {
        super::check_open(rows)?;
    }
    if let Some(id) = row.code {
        let code = rows.codes.get(&id)?.ok_or(Reject::UnknownCode)?.clone();
        match code.state {
            // The store loads no row that only another row names; who asks reads that quote by its id.
            CodeState::Claimed(claimed) => return Ok((Answer::MintQuote(claimed, Box::new(row)), None)),
            CodeState::Refunded | CodeState::Void => return Err(Reject::CodeWithdrawn),
            CodeState::Unused if code.expires_at.is_some_and(|end| end <= now) => {
                return Err(Reject::CodeExpired);
            }
            CodeState::Unused if code.asset != row.asset => {
                return Err(Reject::WrongAsset { expected: code.asset, got: row.asset });
            }
            CodeState::Unused => drop(super::epoch(rows)?),
        }
        row.amount = code.amount;
        row.paid = code.amount;
        row.source = Chart::of(code.asset).codes;
        // It is paid, so it never ends; and an exact end would say when exactly the payer came.
        row.expires_at = None;
        rows.codes.put(id, CodeRow { state: CodeState::Claimed(*quote), ..code });
    }
    rows.mint_quotes.put(*quote, row.clone());
    Ok((Answer::MintQuote(*quote, Box::new(row)), None))
}

pub(crate) fn open_melt(rows: &mut Rows, command: &OpenMeltQuote) -> Decision {
    let OpenMeltQuote { quote, row } = command;
    if rows.melt_quotes.get(quote)?.is_some() {
        return Err(Reject::QuoteExists(*quote));
    }
    if let Some(code) = row.code
        && rows.codes.get(&code)?.is_some()
    {
        return Err(Reject::CodeExists(code));
    }
    super::epoch(rows)?;
    rows.melt_quotes.put(*quote, row.clone());
    Ok((Answer::MeltQuote(*quote, Box::new(row.clone())), None))
}
