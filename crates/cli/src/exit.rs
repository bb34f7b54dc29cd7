//! How a command ended: the exit codes that scripts and agents may rely on, and what goes with a bad one.

use std::process::ExitCode;

use farthing_engine::FaultKind;
use farthing_server::access::AccessError;
use farthing_server::app::ServeError;
use farthing_server::config::LoadError;
use farthing_server::installation::OpenError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Ok,
    Failed,
    Usage,
    Unreachable,
    NotAllowed,
    NotFound,
    PaymentRequired,
    BudgetRefused,
    OutcomeUnknown,
    BadConfig,
}

impl Exit {
    /// All of them, with what they mean.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Ok, "done"),
        (Self::Failed, "failed; the message says why"),
        (Self::Usage, "the command line is wrong"),
        (Self::Unreachable, "the other side cannot be reached; nothing was done"),
        (Self::NotAllowed, "not allowed"),
        (Self::NotFound, "not found"),
        (Self::PaymentRequired, "payment is required, or the funds are short"),
        (Self::BudgetRefused, "a limit of the wallet's budget forbids it"),
        (Self::OutcomeUnknown, "the outcome is unknown; the same command again is safe"),
        (Self::BadConfig, "the configuration is wrong"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotAllowed => 4,
            Self::NotFound => 5,
            Self::PaymentRequired => 6,
            Self::BudgetRefused => 7,
            Self::OutcomeUnknown => 8,
            Self::BadConfig => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// A command that did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// What was expected and what came.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match &error {
            LoadError::Unreadable { .. } => Self::new(Exit::BadConfig, error.to_string())
                .hint("name the file with --config FILE; otherwise it is farthing.toml in this folder or farthing/farthing.toml in the XDG config folder"),
            LoadError::Mistakes(mistakes) => {
                let count = match mistakes.len() {
                    1 => "one mistake".to_owned(),
                    count => format!("{count} mistakes"),
                };
                let message = format!("the configuration has {count}\n{error}");
                Self::new(Exit::BadConfig, message).hint("`farthing check` tells whether all is well")
            }
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        match error {
            OpenError::NoPassphrase | OpenError::Passphrase(_) | OpenError::AssetChanged { .. } => {
                Self::new(Exit::BadConfig, message)
            }
            OpenError::Fault(fault) if fault.kind == FaultKind::InUse => Self::new(Exit::Failed, message)
                .hint("a server or another command has it; while a server runs, the other commands reach it by its socket"),
            _ => Self::new(Exit::Failed, message),
        }
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Open(error) => error.into(),
            AccessError::Unreachable { .. } => Self::new(Exit::Unreachable, error.to_string())
                .hint("ask again; if it stays so, look whether `farthing serve` still runs on this folder"),
            AccessError::Missing(_) => Self::new(Exit::NotFound, error.to_string()),
            AccessError::Refused(_) | AccessError::Operator(_) | AccessError::Write(_) => {
                Self::new(Exit::Failed, error.to_string())
            }
        }
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Open(error) => error.into(),
            ServeError::Listen { .. } => Self::new(Exit::Failed, error.to_string())
                .hint("is another server there already? change listen in [server]; port 0 is any free one"),
            error => Self::new(Exit::Failed, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_in_order() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 78]);
    }
}
