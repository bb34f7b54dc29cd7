//! What goes wrong in a wallet, as exit codes.

use farthing_wallet::{ErrorKind, WalletError};

use crate::exit::{Exit, Failure};

impl From<WalletError> for Failure {
    fn from(error: WalletError) -> Self {
        Self::new(exit_of(&error), error.to_string())
    }
}

fn exit_of(error: &WalletError) -> Exit {
    match error {
        WalletError::NoOffer { .. } => return Exit::PaymentRequired,
        WalletError::Sealed(_) | WalletError::UnknownMint(_) => return Exit::NotAllowed,
        _ => {}
    }
    match error.kind() {
        ErrorKind::Usage => Exit::Usage,
        ErrorKind::Unreachable => Exit::Unreachable,
        ErrorKind::FundsShort => Exit::PaymentRequired,
        ErrorKind::Budget => Exit::BudgetRefused,
        ErrorKind::Unknown => Exit::OutcomeUnknown,
        ErrorKind::NotFound => Exit::NotFound,
        ErrorKind::Failed => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_exit() {
        let text = String::new;
        for (error, exit) in [
            (WalletError::NoWallet, Exit::NotFound),
            (WalletError::NoOffer { url: text(), reasons: text() }, Exit::PaymentRequired),
            (WalletError::Unreachable { whom: text(), reason: text() }, Exit::Unreachable),
            (WalletError::Unknown { whom: text(), reason: text() }, Exit::OutcomeUnknown),
            (WalletError::UnknownMint(text()), Exit::NotAllowed),
            (WalletError::WalletExists, Exit::Failed),
        ] {
            assert_eq!(Failure::from(error).exit, exit);
        }
    }
}
