//! What a use takes: one of what is free for whom it is, or credits of the payer's.

use farthing_engine::{Hold, Marks, QuotaId, Refusal, Reject, TakeQuota};
use farthing_money::{Money, Timestamp};
use farthing_wire::Credential;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{UseAsked, resource_of};
use crate::flow::Shared;
use crate::flow::quota::GRACE;
use crate::flow::refusal::Refused;
use crate::limit::Work;
use crate::rule::FeatureQuota;

impl Shared {
    /// One of what is free of a feature for somebody, and when that is counted anew. The count's name is a code under the day's
    /// key, as everywhere.
    pub(super) async fn quota_of(
        &self,
        feature: &str,
        quota: FeatureQuota,
        subject: &str,
        now: Timestamp,
    ) -> Result<(TakeQuota, Timestamp), Refusal> {
        let period = quota.per.at(now);
        let key = self.quota_key(period, now).await?;
        let parts = [feature, quota.per.as_str(), subject].map(str::as_bytes);
        let code = self.code(b"farthing/feature-quota/1", &parts);
        let name = code.and_then(|code| Some(Hmac::<Sha256>::new_from_slice(&key).ok()?.chain_update(code)));
        let name = name.map(|name| QuotaId::from_bytes(name.finalize().into_bytes().into()));
        let id = name.ok_or(Refusal::Reject(Reject::NotLoaded))?;
        // Subjects are named by the seller, so nobody invents them.
        let until = period.ends.after(GRACE);
        Ok((TakeQuota { quota: id, limit: quota.free, until, admission: None }, period.ends))
    }

    /// The credits of a credential, to be held. All of them are; what is not charged comes back as a token.
    pub(super) async fn use_hold(
        &self,
        asked: &UseAsked,
        price: Money,
        credential: &Credential,
        (work, now): (&mut Work, Timestamp),
    ) -> Result<Hold, Refused> {
        let quote = asked.quote().ok_or(Reject::NotLoaded)?;
        let (payable, over) = self.price(&quote, credential, None, now)?;
        if let Some(over) = over {
            return Err(over.into());
        }
        if payable.price.amount() < price.amount() {
            let (price, got) = (price.amount(), payable.price.amount());
            return Err(Reject::Insufficient { price, got }.into());
        }
        let (token, outputs) = match credential {
            Credential::Cashu { token } => (token.clone(), Vec::new()),
            Credential::Credit { payload, .. } => {
                (payload.token.clone(), payload.outputs.clone().unwrap_or_default())
            }
            other => return Err(other.not_offered().into()),
        };
        let keyring = self.config.keyring.borrow().clone();
        let asset = price.asset();
        let credits = self.recognise(keyring, (token, outputs, asset, now), work).await?;
        Ok(Hold {
            payment: credits.payment,
            funds: credits.inputs.into(),
            price: price.amount(),
            asset,
            merchant: quote.payees(&self.config.names.merchant, asset),
            resource: resource_of(&asked.feature.name),
            tag: asked.names.tag,
            tax_code: asked.feature.tax_code,
            marks: Marks { behind: Some(asked.names.id), ..Marks::default() },
        })
    }
}
