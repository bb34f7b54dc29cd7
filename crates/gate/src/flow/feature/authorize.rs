//! Whether a feature may be used: what stands for the price is looked for in one order, and set aside with the use in one commit.

use farthing_engine::{Answer, AuthorizeUse, Claim, Refusal, Reject, TakeQuota, UseCommand, UseRow};
use farthing_money::{Money, Timestamp};
use farthing_wire::{Credential, CredentialFields, credential};

use super::{Authorized, Denial, FeatureDesk, UseAsked};
use crate::flow::Shared;
use crate::flow::quote::Quote;
use crate::flow::refusal::Refused;

/// What has to be brought for a use.
enum Due {
    /// Nothing: it is free, or an entitlement stands for the price.
    Nothing,
    /// One of what is free, and the price if nothing is left of that.
    Quota(TakeQuota, Timestamp),
    /// The price.
    Price(Money),
}

impl FeatureDesk {
    /// Lets a feature be used, or says why not.
    pub async fn authorize(&self, asked: UseAsked) -> Authorized {
        match self.0.authorize_use(&asked).await {
            Ok(authorized) => authorized,
            Err(refused) => Authorized::Refused(Box::new(self.0.use_unpaid(&asked, Some(&refused)))),
        }
    }
}

impl UseAsked {
    /// The most that may be charged: what a use costs, or what the software names.
    pub(super) fn price(&self) -> Option<Money> {
        let amount = self.feature.amount()?;
        Some(self.most.map_or(amount, |most| amount.asset().money(most)))
    }

    pub(super) fn quote(&self) -> Option<Quote> {
        self.price().map(|price| Quote::of_feature(&self.feature, price))
    }
}

/// What pays.
fn read(text: &str) -> Result<Credential, Refused> {
    let values = [text.as_bytes()];
    let fields = if credential::is_payment(text.as_bytes()) {
        CredentialFields { authorization: &values, ..CredentialFields::default() }
    } else {
        CredentialFields { x_cashu: &values, ..CredentialFields::default() }
    };
    Credential::from_headers(fields)?.ok_or(Refused::NotOffered)
}

impl Shared {
    async fn authorize_use(&self, asked: &UseAsked) -> Result<Authorized, Refused> {
        let now = (self.config.clock)();
        match self.due(asked, now).await? {
            Due::Nothing => self.begin_use(asked, Claim::Nothing, now).await,
            Due::Price(price) => self.authorize_paid(asked, price, now).await,
            Due::Quota(take, resets) => match self.begin_use(asked, Claim::Quota(take), now).await {
                Err(Refused::Engine(Refusal::Reject(Reject::Quota(refused)))) => {
                    let denial =
                        || Denial { code: refused.code(), detail: refused.to_string(), resets: Some(resets) };
                    Ok(match asked.price() {
                        Some(_) => Authorized::Refused(Box::new(self.use_unpaid(asked, None))),
                        None => Authorized::Denied(denial()),
                    })
                }
                begun => begun,
            },
        }
    }

    /// What has to be brought. Who brings money pays; what is free is for who brings none.
    async fn due(&self, asked: &UseAsked, now: Timestamp) -> Result<Due, Refused> {
        let feature = &asked.feature;
        if asked.entitled && !feature.needs_entitlement {
            return Ok(Due::Nothing);
        }
        let quota = feature.quota.filter(|_| asked.credential.is_none());
        match (quota, &asked.subject, asked.price()) {
            (Some(quota), Some(subject), _) => {
                let (take, resets) = self.quota_of(&feature.name, quota, subject, now).await?;
                Ok(Due::Quota(take, resets))
            }
            (_, _, Some(price)) => Ok(Due::Price(price)),
            (_, _, None) => Ok(Due::Nothing),
        }
    }

    async fn authorize_paid(
        &self,
        asked: &UseAsked,
        price: Money,
        now: Timestamp,
    ) -> Result<Authorized, Refused> {
        let Some(credential) = asked.credential.as_deref().map(read).transpose()? else {
            return Ok(Authorized::Refused(Box::new(self.use_unpaid(asked, None))));
        };
        // Until the end of this, so that no more credentials are looked at at once than the gate takes.
        let (mut work, _place) = self.begin(&credential, None)?;
        let hold = self.use_hold(asked, price, &credential, (&mut work, now)).await?;
        let begun = self.begin_use(asked, Claim::Payment(Box::new(hold)), now).await;
        if matches!(begun, Ok(_) | Err(Refused::Engine(Refusal::Busy { .. } | Refusal::Fault(_)))) {
            work.genuine();
        }
        begun
    }

    /// Sets aside what a use takes. Nothing is told before that is on disk.
    async fn begin_use(&self, asked: &UseAsked, claim: Claim, now: Timestamp) -> Result<Authorized, Refused> {
        let names = asked.names;
        let command = AuthorizeUse {
            id: names.id,
            feature: asked.feature.name.clone(),
            tag: names.tag,
            whom: names.whom,
            lapses: now.after(asked.feature.hold),
            claim,
        };
        let row = self.use_answer(UseCommand::Authorize(command)).await?;
        Ok(Authorized::Allowed(Box::new(self.told_of(names.id, row)?)))
    }

    /// Carries a command about a use out.
    pub(super) async fn use_answer(&self, command: UseCommand) -> Result<UseRow, Refusal> {
        match self.config.execute.execute(command.into()).await? {
            Answer::Use(row) => Ok(*row),
            _ => Err(Refusal::Reject(Reject::NotLoaded)),
        }
    }
}
