//! The end of a use: what was had is charged, with change for the rest, or all goes back. Said again, it is answered alike.

use farthing_engine::{
    CommitUse, IssueEntitlement, PaymentId, PaymentRow, Post, Refusal, Reject, ReleaseUse, UseBy, UseCommand,
    UseId, UseReject, UseState,
};
use farthing_money::{Amount, Money};
use farthing_wire::Receipt;
use http::Response;

use super::offer::use_refused;
use super::{FeatureDesk, UseTold};
use crate::body::Body;
use crate::flow::Shared;
use crate::flow::credits::{self, Change, change_of};
use crate::flow::refusal::Refused;

/// A use that was committed.
#[derive(Clone, Debug)]
pub struct UseEnded {
    /// The use.
    pub told: UseTold,
    /// What was charged, if money stood behind it.
    pub charged: Option<Money>,
    /// The rest of the credits, as a token. Whoever paid swaps it at once.
    pub change: Option<String>,
    /// The signed receipt.
    pub receipt: Option<String>,
}

impl FeatureDesk {
    /// The feature was used: charges what it cost, or all that may be charged if nothing is said.
    pub async fn commit(
        &self,
        id: UseId,
        amount: Option<Amount>,
        entitlement: Option<IssueEntitlement>,
    ) -> Result<UseEnded, Box<Response<Body>>> {
        let ended = self.0.commit_use(id, amount, entitlement).await;
        ended.map_err(|refused| Box::new(use_refused(&refused)))
    }

    /// It was not used: all goes back.
    pub async fn release(&self, id: UseId) -> Result<UseTold, Box<Response<Body>>> {
        let ended = self.0.release_use(id).await;
        ended.map_err(|refused| Box::new(use_refused(&refused)))
    }
}

impl Shared {
    async fn commit_use(
        &self,
        id: UseId,
        amount: Option<Amount>,
        entitlement: Option<IssueEntitlement>,
    ) -> Result<UseEnded, Refused> {
        let told = self.told(id)?.ok_or(UseReject::Unknown(id)).map_err(Reject::from)?;
        let post = match (told.row.state, told.row.by, &told.payment) {
            (UseState::Open, UseBy::Payment { payment, most }, Some(row)) => {
                let charged = amount.unwrap_or(most);
                if charged > most {
                    return Err(Reject::from(UseReject::Exceeded { most, got: charged }).into());
                }
                Some(Box::new(self.use_post(payment, row, charged).await?))
            }
            _ => None,
        };
        let row = self.use_answer(UseCommand::Commit(CommitUse { id, post, entitlement })).await?;
        let told = self.told_of(id, row)?;
        let UseBy::Payment { payment, .. } = told.row.by else {
            return Ok(UseEnded { told, charged: None, change: None, receipt: None });
        };
        let row = told.payment.as_ref().ok_or(Reject::PaymentNotHeld(payment))?;
        if amount.is_some_and(|amount| amount != row.charged) {
            // It was committed before, with another amount.
            return Err(Reject::from(UseReject::Committed(id)).into());
        }
        let (change, receipt) =
            (self.use_change(payment, row)?, self.use_receipt(&told.row.feature, payment, row));
        let charged = Some(row.asset.money(row.charged));
        Ok(UseEnded { told, charged, change, receipt })
    }

    async fn release_use(&self, id: UseId) -> Result<UseTold, Refused> {
        let told = self.told(id)?.ok_or(UseReject::Unknown(id)).map_err(Reject::from)?;
        let command = ReleaseUse::of(&*self.config.read, id, &told.row).map_err(Refusal::Fault)?;
        let row = self.use_answer(UseCommand::Release(command)).await?;
        Ok(self.told_of(id, row)?)
    }

    /// What charges a held payment. Its change is signed on outputs of our own: nothing but the row is needed, after a start too.
    async fn use_post(&self, payment: PaymentId, row: &PaymentRow, charged: Amount) -> Result<Post, Refused> {
        let held = Amount::try_sum(row.held.iter().map(|(_, amount)| *amount));
        let change = held.and_then(|held| held.checked_sub(charged)).ok_or(Reject::AmountOverflow)?;
        let (keyring, secret) = (self.config.keyring.borrow().clone(), self.config.secrets.change);
        let (asset, now) = (row.asset, (self.config.clock)());
        let work = move || {
            let blanks = credits::own_blanks(&keyring, &secret, payment, change, asset)?;
            credits::change(&keyring, &blanks, change, asset, now)
        };
        // Two multiplications for each credit of the change.
        let weight = usize::try_from(change.value().count_ones()).unwrap_or(usize::MAX).saturating_mul(2);
        let signed = self.config.crypto.run(weight, work).await??;
        Ok(Post {
            payment,
            credits: row.credits.clone(),
            accounts: row.held.iter().map(|(account, _)| *account).collect(),
            merchant: row.merchant.clone(),
            asset,
            charged,
            change: signed.iter().map(|signed| signed.output).collect(),
            pass_until: None,
            marks: row.marks,
        })
    }

    /// The change of a charged payment: the same row gives the same token.
    fn use_change(&self, payment: PaymentId, row: &PaymentRow) -> Result<Option<String>, Refused> {
        let signatures = self.config.keyring.borrow().sign_change_again(&row.change)?;
        let mint = self.config.names.mints.first().map_or("", String::as_str);
        Ok(match change_of(row, signatures, &self.config.secrets.change, payment, mint) {
            Change::Token(token) => Some(token),
            Change::None | Change::Signatures(_) => None,
        })
    }

    /// The receipt. What cannot be written is left out and logged: the money has moved.
    fn use_receipt(&self, feature: &str, payment: PaymentId, row: &PaymentRow) -> Option<String> {
        let (money, resource) = (row.asset.money(row.charged), format!("feature:{feature}"));
        let mut receipt = Receipt::new(payment.to_string(), resource, "feature", money, row.at);
        receipt.issuer = Some(self.config.names.issuer.clone());
        receipt.merchant = Some(self.config.names.merchant.clone());
        let signed = receipt.sign(&self.config.secrets.signing);
        signed.inspect_err(|error| tracing::error!(%error, %payment, "a receipt cannot be written")).ok()
    }
}
