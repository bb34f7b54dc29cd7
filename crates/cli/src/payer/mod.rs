//! The payer at the command line: opens the wallet's folder, sends what the wallet says, and shows what came of it.

mod amount;
mod at_once;
mod delivery;
mod driver;
mod failure;
mod folder;
mod http;
mod redirect;
pub mod secret;
mod tally;

pub use amount::{Typed, assets_of};
pub use at_once::End;
pub use delivery::{Delivered, Delivery, OutFile, Redirect};
pub use driver::{Payer, now, tell};
pub use folder::{WalletPlace, draw};
pub use http::{Client, Patience};
pub use redirect::{Hop, next_hop};
pub use secret::{first_line, text, write_secret};
pub use tally::Tally;
