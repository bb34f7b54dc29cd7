//! Mandates in files, as `farthing pay` and `farthing wallet mandate` read them.

use std::path::Path;

use farthing_wallet::Taken;
use farthing_wire::MandateFile;

use crate::exit::{Exit, Failure};
use crate::payer::{Payer, now, text};

/// What a file holds.
pub fn read(path: &Path) -> Result<MandateFile, Failure> {
    let text = text(path, "a mandate")?;
    MandateFile::read(&text)
        .map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", path.display())))
}

/// The mandate of a file that payments of this command are under. One that this wallet has not taken in is written down, so that what
/// is spent under it is counted; it does not bind other commands.
pub fn known(payer: &mut Payer, path: &Path) -> Result<String, Failure> {
    let taken = Taken {
        is_binding: false,
        ..Taken::read(&read(path)?, now()).map_err(farthing_wallet::WalletError::from)?
    };
    let id = taken.id().to_owned();
    if !payer.wallet.mandates().any(|other| other.id() == id) {
        payer.wallet.take_mandate(taken)?;
    }
    Ok(id)
}

/// The same for those who only ask: nothing is written down.
pub fn in_wallet(payer: &Payer, path: &Path) -> Result<String, Failure> {
    let taken = Taken::read(&read(path)?, now()).map_err(farthing_wallet::WalletError::from)?;
    let id = taken.id().to_owned();
    if payer.wallet.mandates().any(|other| other.id() == id) {
        return Ok(id);
    }
    let message = "the mandate was not used here before, and a dry run writes nothing down";
    Err(Failure::new(Exit::NotFound, message)
        .hint("`farthing wallet mandate show FILE` tells what it allows; without --dry-run it is counted from now on"))
}
