//! What would be paid, for those who only ask.

use farthing_money::Money;

use crate::error::WalletError;
use crate::offer::Choice;
use crate::outcome::Quote;
use crate::unit::money;

/// The offer that would be taken, as a quote.
pub(crate) fn quote(url: String, choice: Choice, deposit: Option<Money>) -> Result<Quote, WalletError> {
    Ok(match choice {
        Choice::Credits(chosen) => Quote {
            url,
            price: money(chosen.unit, chosen.price)?,
            dialect: chosen.dialect().to_owned(),
            mint: Some(chosen.mint),
            on_chain: None,
            deposit: None,
        },
        Choice::Chain(offer) => Quote {
            url,
            price: money(offer.unit(), offer.price)?,
            dialect: offer.dialect().to_owned(),
            mint: None,
            on_chain: Some(offer.on_chain()),
            deposit,
        },
    })
}
