//! Signs what goes back to a payer: on his blank outputs, or on outputs of our own, which become a token.

use farthing_ecash::{BlindSignature, BlindedMessage};
use farthing_engine::{PaymentId, PaymentRow, Refusal, SignedOutput};
use farthing_money::{Amount, Asset, Money, Span, Timestamp};

use super::Shared;
use super::credits::{self, Credits};
use super::end::{Funding, Held};
use super::refusal::Refused;
use crate::crypto::CryptoError;

impl Shared {
    /// Signs what goes back if all that was agreed is charged. Refuses blank outputs that have no room for more: where less may be
    /// charged, that is everything.
    pub(super) async fn agreed_change(
        &self,
        (payment, price): (PaymentId, Money),
        credits: &Credits,
        metered: bool,
        now: Timestamp,
    ) -> Result<Vec<SignedOutput>, Refused> {
        let own = credits.blanks.is_empty();
        if metered && !own {
            let keyring = self.config.keyring.borrow().clone();
            keyring.check_blanks(credits.blanks.len(), credits.total, price.asset())?;
        }
        let change = credits.total.checked_sub(price.amount()).unwrap_or_default();
        self.sign_change((payment, price.asset()), credits, change, own, now).await
    }

    async fn sign_change(
        &self,
        (payment, asset): (PaymentId, Asset),
        credits: &Credits,
        change: Amount,
        own: bool,
        now: Timestamp,
    ) -> Result<Vec<SignedOutput>, Refused> {
        if change.is_zero() {
            return Ok(Vec::new());
        }
        let keyring = self.config.keyring.borrow().clone();
        let secret = self.config.secrets.change;
        let blanks = credits.blanks.clone();
        let weight = 3 * blanks.len().max(4);
        let work = move || {
            let blanks =
                if own { credits::own_blanks(&keyring, &secret, payment, change, asset)? } else { blanks };
            credits::change(&keyring, &blanks, change, asset, now)
        };
        Ok(self.config.crypto.run(weight, work).await??)
    }

    /// The signatures of the change that a payment has given, made again.
    pub(super) async fn change_again(&self, payment: PaymentId, row: &PaymentRow) -> Vec<BlindSignature> {
        let keyring = self.config.keyring.borrow().clone();
        let change = row.change.clone();
        let work = move || keyring.sign_change_again(&change);
        match self.config.crypto.run(3 * row.change.len(), work).await {
            Ok(Ok(signatures)) => signatures,
            error => {
                tracing::error!(?error, %payment, "change cannot be signed again");
                Vec::new()
            }
        }
    }

    /// Our own blank outputs for any change of a payment.
    pub(super) async fn own_blanks(
        &self,
        payment: PaymentId,
        most: Amount,
        asset: Asset,
    ) -> Result<Vec<BlindedMessage>, Refused> {
        let (keyring, secret) = (self.config.keyring.borrow().clone(), self.config.secrets.change);
        let work = move || credits::own_blanks_for_any(&keyring, &secret, payment, most, asset);
        Ok(self.config.crypto.run(4, work).await??)
    }

    /// The outputs that any change of a payment goes to. None if they cannot be made now: whoever needs them tries again.
    pub(super) async fn blanks_for(&self, held: &Held) -> Vec<BlindedMessage> {
        let Funding::Credits { credits, .. } = &held.funding else { return Vec::new() };
        if !credits.blanks.is_empty() {
            return credits.blanks.clone();
        }
        let blanks = self.own_blanks(held.payment, credits.total, held.price.asset()).await;
        blanks.unwrap_or_else(|error| {
            tracing::warn!(%error, payment = %held.payment, "change cannot be prepared yet");
            Vec::new()
        })
    }

    /// Signs change after the upstream has answered: on the payer's blank outputs, or if these cannot be signed any more on our
    /// own, as a token.
    pub(super) async fn late_change(
        &self,
        held: &Held,
        credits: &Credits,
        charged: Money,
        own: bool,
    ) -> Result<Vec<SignedOutput>, Refused> {
        let now = (self.config.clock)();
        let named = (held.payment, held.price.asset());
        let back = credits.total.checked_sub(charged.amount()).unwrap_or_default();
        let mut signed = self.sign_change(named, credits, back, own, now).await;
        if !own && matches!(signed, Err(Refused::Keyring(_))) {
            signed = self.sign_change(named, credits, back, true, now).await;
        }
        signed.map_err(|refused| match refused {
            // It was delivered, so it is charged as soon as there is time for it.
            Refused::Crypto(CryptoError::Busy) => {
                let source = Refusal::Busy { retry_after: Span::from_secs(1) };
                Refused::Unrecorded { payment: held.payment, source }
            }
            refused => refused,
        })
    }
}
