//! What sessions are opened, topped up, folded and closed with.

use super::Command;
use crate::{Chart, Keys};

impl Command {
    /// The keys of what happens to sessions.
    pub(super) fn session_keys(&self, keys: &mut Keys) {
        match self {
            Self::OpenSession(command) => {
                keys.sessions.push(command.session);
                keys.spent(&command.inputs);
                keys.accounts.push(Chart::of(command.asset).sessions);
            }
            Self::TopUpSession(command) => {
                keys.sessions.push(command.session);
                keys.spent(&command.inputs);
                keys.accounts.push(Chart::of(command.asset).sessions);
            }
            Self::CloseSession(command) => {
                keys.sessions.push(command.session);
                keys.signed(&command.change);
                keys.accounts.push(Chart::of(command.asset).sessions);
            }
            Self::FoldTape(command) => {
                keys.tape.extend(&command.rows);
                keys.sessions.extend(&command.sessions);
                keys.accounts.push(Chart::of(command.asset).sessions);
                command.payees.keys(keys);
            }
            Self::MarkRestored(sessions) => keys.sessions.extend(sessions),
            Self::CatchUp(command) => {
                keys.sessions.push(command.session);
                keys.accounts.push(Chart::of(command.asset).sessions);
                command.payees.keys(keys);
            }
            _ => {}
        }
    }
}
