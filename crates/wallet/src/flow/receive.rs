//! Takes in a token of someone else's: its credits are swapped at once, so that the sender can no longer spend them.

use farthing_ecash::{KeysetId, Token};
use farthing_money::{Amount, Timestamp};

use super::keys::{self, Refresh};
use super::settle::Settle;
use super::{Flow, Sub, done};
use crate::address::mint_address;
use crate::attempt::{Attempt, AttemptKind};
use crate::error::WalletError;
use crate::http::{Event, Step};
use crate::mandate::{MandateReject, Taken};
use crate::outcome::{Outcome, Settled};
use crate::state::Draft;
use crate::wallet::Wallet;

/// Takes in a token.
pub struct ReceiveFlow {
    token: Token,
    mint: String,
    any_mint: bool,
    /// The mandate that the token came with.
    mandate: Option<Box<Taken>>,
    stage: Stage,
}

enum Stage {
    Start,
    Keys(Refresh),
    Settle(Settle),
    Over,
}

impl ReceiveFlow {
    /// A flow for a token's text. A mint that the wallet does not know is asked only if `any_mint` says so: whoever issues
    /// credits must be trusted with their worth.
    pub fn new(token: &str, any_mint: bool) -> Result<Self, WalletError> {
        let token = Token::decode(token)?;
        let mint = mint_address(&token.mint)?;
        Ok(Self { token, mint, any_mint, mandate: None, stage: Stage::Start })
    }

    /// A flow for the token that came with a mandate, which is taken in by the same commit. Its giver has chosen the mint.
    pub fn with_mandate(token: &str, mandate: Taken) -> Result<Self, WalletError> {
        let flow = Self::new(token, true)?;
        let worth = flow.token.total();
        if flow.token.unit != mandate.mandate.unit || worth.map(Amount::from) != Some(mandate.mandate.total) {
            return Err(MandateReject::Token(mandate.id().to_owned()).into());
        }
        Ok(Self { mandate: Some(Box::new(mandate)), ..flow })
    }

    fn write_down(&self, wallet: &mut Wallet, now: Timestamp) -> Result<u64, WalletError> {
        let mint = keys::known(wallet, &self.mint)?;
        let unit = self.token.unit;
        let ids: Vec<KeysetId> =
            mint.keysets.iter().filter(|info| info.unit == unit).map(|info| info.id).collect();
        let proofs = self.token.resolve(&ids)?;
        if proofs.iter().any(|proof| !ids.contains(&proof.id)) {
            return Err(WalletError::NoKeyset { mint: self.mint.clone(), unit, known: mint.unit_list() });
        }
        let mut draft = Draft::new(&wallet.state);
        if let Some(taken) = &self.mandate {
            wallet.check_taking(taken)?;
            draft.put(wallet.taking((**taken).clone()));
        }
        let id = draft.attempt_number();
        let kind = AttemptKind::Receive { proofs, change_of: None };
        let (inputs, plans) = (Vec::new(), Vec::new());
        draft.attempt(Attempt { id, at: now, mint: self.mint.clone(), unit, inputs, plans, kind });
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok(id)
    }
}

impl Flow for ReceiveFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        let mut event = event;
        loop {
            let came = std::mem::replace(&mut event, Event::Go);
            match &mut self.stage {
                Stage::Start => {
                    if !self.any_mint && !wallet.state.mints.contains_key(&self.mint) {
                        return Err(WalletError::UnknownMint(self.mint.clone()));
                    }
                    self.stage = Stage::Keys(Refresh::usable(&self.mint));
                }
                Stage::Keys(refresh) => match refresh.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(()) => self.stage = Stage::Settle(Settle::new(self.write_down(wallet, now)?)),
                },
                Stage::Settle(settle) => match settle.next(wallet, came, now)? {
                    Sub::Send(request) => return Ok(Step::Send(request)),
                    Sub::Done(Settled::Back(money)) => {
                        self.stage = Stage::Over;
                        return Ok(done(Outcome::Received { mint: self.mint.clone(), money }));
                    }
                    Sub::Done(_) => return Err(WalletError::Spent(self.mint.clone())),
                },
                Stage::Over => return Err(WalletError::Misuse("no more events")),
            }
        }
    }
}
