//! The part of paying that sends credits: which are set aside, and the credential that carries them.

use farthing_ecash::{Token, denomination};
use farthing_money::Timestamp;
use farthing_wire::header::{AUTHORIZATION, PAYMENT_AUTHORIZATION, X_CASHU};
use farthing_wire::mpp::{self, credit};

use super::super::settle::Settle;
use super::super::{exact, keys, paid};
use super::spending::Later;
use super::{PayFlow, Stage};
use crate::attempt::{Attempt, AttemptKind, Outputs, Payment};
use crate::budget::Grant;
use crate::credit::Credit;
use crate::error::WalletError;
use crate::http::Step;
use crate::offer::Chosen;
use crate::select::select;
use crate::state::Draft;
use crate::vault::RowKey;
use crate::wallet::Wallet;

/// More credits than this do not fit in the headers that servers accept: they are changed for fewer first.
const CREDITS_MAX: usize = 32;

impl PayFlow {
    /// Sets credits aside and writes the credential down; or begins a change of credits, if exact payment is needed; or waits until others
    /// that are under way have ended.
    pub(super) fn reserve(
        &mut self,
        wallet: &mut Wallet,
        chosen: Box<Chosen>,
        changed: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        self.held.clear();
        let again = chosen.clone();
        match self.set_aside(wallet, chosen, changed, now) {
            Err(error) => self.or_later(wallet, error, || Later::Reserve(again)),
            step => step,
        }
    }

    fn set_aside(
        &mut self,
        wallet: &mut Wallet,
        chosen: Box<Chosen>,
        changed: bool,
        now: Timestamp,
    ) -> Result<Option<Step>, WalletError> {
        let Chosen { ref mint, unit, price, .. } = *chosen;
        self.grant(wallet, unit, (price, price), now)?;
        let free = wallet.state.free(mint, unit, now.secs());
        let amounts: Vec<u64> = free.iter().map(|credit| credit.amount()).collect();
        let places = select(&amounts, price).unwrap_or_default();
        let credits: Vec<&Credit> = places.iter().filter_map(|place| free.get(*place).copied()).collect();
        let total = credits.iter().try_fold(0_u64, |sum, credit| sum.checked_add(credit.amount()));
        let Some((total, over)) = total.and_then(|total| Some((total, total.checked_sub(price)?))) else {
            return Err(exact::funds_short(wallet, std::slice::from_ref(mint), unit, price, now)?);
        };
        let credits = credits_of(&credits);
        let within = self.grant(wallet, unit, (price, total), now);
        // Who is asked for change may keep it: what is over the price must be within the limits too, and a dialect that
        // promises no change is paid exactly.
        let inexact = over > 0 && (within.is_err() || chosen.challenge.is_none());
        if (inexact || credits.len() > CREDITS_MAX) && !changed {
            let id = exact::begin(wallet, mint, unit, price, now)?;
            self.held = vec![wallet.hold(RowKey::attempt(id))];
            self.stage = Stage::Change(Settle::new(id), chosen);
            return Ok(None);
        }
        let grant = within?;
        let (id, payment) = self.write_down(wallet, &chosen, &credits, grant, now)?;
        self.held = vec![wallet.hold(RowKey::attempt(id))];
        (self.id, self.resumed, self.tries, self.stage) = (Some(id), false, 0, Stage::Sent);
        Ok(Some(Step::Send(self.with_credential(&payment))))
    }

    /// One commit: credits set aside, budget charged, change planned, credential kept. Only then is anything sent.
    fn write_down(
        &self,
        wallet: &mut Wallet,
        chosen: &Chosen,
        credits: &[Credit],
        grant: Grant,
        now: Timestamp,
    ) -> Result<(u64, Payment), WalletError> {
        let mint = keys::known(wallet, &chosen.mint)?;
        let over = grant.booking.amount.saturating_sub(chosen.price);
        let keyset = mint.active(chosen.unit).map(|keyset| keyset.id);
        let mut draft = Draft::new(&wallet.state);
        let id = draft.attempt_number();
        // Of a metered price all that is sent may come back.
        let most = if chosen.is_metered() { grant.booking.amount } else { over };
        let change = match (&chosen.challenge, most) {
            (Some(_), 1..) => {
                let count = denomination::blank_outputs(most).saturating_add(1).min(u64::BITS);
                let blanks = (0..count).map(|_| 0).collect();
                Some(draft.plan(keyset?, blanks)?)
            }
            _ => None,
        };
        let (field, credential) = self.credential(wallet, chosen, credits, change.as_ref())?;
        draft.grant(chosen.unit, &grant);
        draft.reserve(&credits.iter().collect::<Vec<_>>(), id);
        let payment = Payment {
            method: self.request.method.clone(),
            url: self.address.to_string(),
            body: self.body_digest(),
            dialect: chosen.dialect().to_owned(),
            field,
            credential,
            price: chosen.price,
            booking: grant.booking,
            change,
            metered: chosen.is_metered(),
            delivered: false,
            receipt: None,
            chain: None,
            channel: None,
        };
        let inputs = credits.iter().map(Credit::y).collect();
        let kind = AttemptKind::Pay(Box::new(payment.clone()));
        let (mint, unit) = (chosen.mint.clone(), chosen.unit);
        draft.attempt(Attempt { id, at: now, mint, unit, inputs, plans: Vec::new(), kind });
        let changes = draft.into_changes();
        wallet.commit(changes)?;
        Ok((id, payment))
    }

    /// The field and the text that pay. Proofs of equality stay here: they would link the credits to their issue.
    fn credential(
        &self,
        wallet: &Wallet,
        chosen: &Chosen,
        credits: &[Credit],
        change: Option<&Outputs>,
    ) -> Result<(String, String), WalletError> {
        let proofs = credits.iter().map(|credit| credit.proof.for_issuer());
        let token = Token::new(&chosen.mint_text, chosen.unit, None, proofs).encode();
        let Some(challenge) = &chosen.challenge else { return Ok((X_CASHU.to_owned(), token)) };
        let unwritable = || WalletError::Misuse("a credential that can be written");
        let outputs = change.map(|change| paid::output_texts(wallet, change)).transpose()?;
        let payload = credit::Payload { token, outputs }.to_json().map_err(|_| unwritable())?;
        let challenge = (**challenge).clone();
        let wanted = challenge.header.as_deref();
        let other =
            self.has_login() || wanted.is_some_and(|name| name.eq_ignore_ascii_case(PAYMENT_AUTHORIZATION));
        let field = if other { PAYMENT_AUTHORIZATION } else { AUTHORIZATION };
        let credential = mpp::Credential { challenge, source: None, payload };
        Ok((field.to_owned(), credential.encode().map_err(|_| unwritable())?))
    }
}

fn credits_of(credits: &[&Credit]) -> Vec<Credit> {
    credits.iter().map(|credit| (*credit).clone()).collect()
}
