//! The part of paying that is told no: what can be taken back is, and what was signed stays booked until it is known what became
//! of it.

use farthing_money::{Amount, Timestamp};
use farthing_wire::Problem;

use super::super::on_chain::Refusal;
use super::super::settle::Settle;
use super::super::{Sub, done};
use super::{PayFlow, Refused, Stage, TRIES_MAX, on_chain_of};
use crate::chain::ChainPayment;
use crate::error::WalletError;
use crate::http::{Event, HttpResponse, Read, Step};
use crate::outcome::{Outcome, RefusedPayment, Settled};
use crate::wallet::Wallet;

impl PayFlow {
    /// An answer that is not a problem of the gate's is the user's to see; the credits are taken back either way.
    pub(super) fn refused(
        &mut self,
        answer: &HttpResponse,
        signed: Option<&ChainPayment>,
        later: bool,
    ) -> Result<Option<Step>, WalletError> {
        let id = self.id.unwrap_or_default();
        let is_problem = answer.header("Content-Type").is_some_and(|kind| Read::Problem.wants(kind));
        let problem = Problem::from_json(&answer.body).ok().filter(|_| is_problem);
        let (mut refusal, mut on_chain) = (Refusal::default(), None);
        if let Some(signed) = signed {
            refusal = Refusal::of(answer, problem.as_ref());
            if refusal.is_pending && self.tries < TRIES_MAX {
                self.stage = Stage::Again;
                return Ok(Some(Step::Wait(answer.retry_after())));
            }
            if refusal.is_pending || later {
                let reason = refusal.reason.unwrap_or_else(|| format!("it answered {}", answer.status));
                return Err(WalletError::Unknown { whom: self.address.origin(), reason });
            }
            on_chain = Some(on_chain_of(signed));
        }
        let deliver = problem.is_none() && answer.status != 402 && !self.resumed;
        let settle = Settle::told(id, refusal.is_used);
        let refused = Box::new(Refused { problem, reason: refusal.reason, on_chain });
        self.stage = Stage::Back { status: answer.status, refused, settle };
        Ok(deliver.then_some(Step::Deliver))
    }

    pub(super) fn back(
        &mut self,
        wallet: &mut Wallet,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let Stage::Back { status, refused, settle } = &mut self.stage else {
            return Err(WalletError::Misuse("a refusal"));
        };
        let settled = match settle.next(wallet, event, now) {
            Ok(Sub::Send(request)) => return Ok(Some(Step::Send(request))),
            Ok(Sub::Done(settled)) => Ok(settled),
            Err(error @ WalletError::Vault(_)) => return Err(error),
            Err(error) => Err(error),
        };
        let is_back = match &settled {
            Ok(Settled::Back(money)) => money.amount() > Amount::ZERO,
            // Long over: that it counts as spent is in the history.
            Ok(Settled::Unknown(_) | Settled::InChannel(_)) => true,
            _ => false,
        };
        if self.resumed && is_back {
            // That was an earlier run's payment, and it cost nothing; this run's begins now. One that was charged is told
            // first: whether to pay again is not for the wallet to decide.
            (self.id, self.resumed, self.tries, self.stage) = (None, false, 0, Stage::Start);
            return Ok(None);
        }
        let (status, Refused { problem, reason, on_chain }) = (*status, std::mem::take(&mut **refused));
        self.stage = Stage::Over;
        let url = self.address.to_string();
        let refused = RefusedPayment { url, status, problem, reason, on_chain, settled };
        Ok(Some(done(Outcome::Refused(Box::new(refused)))))
    }
}
