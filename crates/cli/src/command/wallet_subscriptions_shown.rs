//! Subscriptions as people and programs see them.

use farthing_money::{Money, Span, Timestamp};
use farthing_wallet::{Paid, Standing, Subscription, Wallet};
use serde_json::{Value, json};

use super::renewal::told;
use crate::exit::Failure;
use crate::output::{View, money_json};
use crate::table::table;

/// A subscription as it stands.
pub struct Stand {
    subscription: Subscription,
    standing: Standing,
    pass_ends: Option<Timestamp>,
    cost: Vec<Money>,
}

/// All of them.
pub struct Shelf(pub Vec<Stand>);

/// One that was ended.
pub struct Ended(pub Stand);

/// What came of looking at some.
pub struct Looked {
    outcome: &'static str,
    each: Vec<(Stand, Bought)>,
}

type Bought = Result<Option<Box<Paid>>, Failure>;

impl Stand {
    pub fn of(wallet: &Wallet, subscription: &Subscription, at: Timestamp) -> Result<Self, Failure> {
        Ok(Self {
            standing: wallet.standing(subscription, Span::ZERO, at),
            pass_ends: wallet.pass_ends(subscription),
            cost: wallet.subscription_cost(subscription.number)?,
            subscription: subscription.clone(),
        })
    }

    fn word(&self) -> &'static str {
        match self.standing {
            Standing::Due => "due",
            Standing::Waits(_) => "stands",
            Standing::Over => "over",
            Standing::Halted => "halted",
        }
    }

    fn next(&self) -> Option<Timestamp> {
        match self.standing {
            Standing::Waits(next) => Some(next),
            _ => None,
        }
    }

    fn json(&self) -> Value {
        let one = &self.subscription;
        json!({
            "subscription": one.number,
            "url": one.url,
            "since": one.since.to_string(),
            "max": money_json(one.max),
            "every": one.every.map(|every| every.to_string()),
            "until": one.until.map(|until| until.to_string()),
            "left": one.left,
            "standing": self.word(),
            "next": self.next().map(|next| next.to_string()),
            "pass_ends": self.pass_ends.map(|ends| ends.to_string()),
            "last": one.last.map(|last| json!({
                "at": last.at.to_string(),
                "charged": money_json(last.charged),
                "payment": last.attempt,
            })),
            "cost": self.cost.iter().copied().map(money_json).collect::<Vec<_>>(),
        })
    }

    fn cost(&self) -> String {
        let sums: Vec<String> = self.cost.iter().map(ToString::to_string).collect();
        if sums.is_empty() { "nothing".to_owned() } else { sums.join(", ") }
    }
}

impl View for Shelf {
    fn json(&self) -> Value {
        json!({ "subscriptions": self.0.iter().map(Stand::json).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "there are no subscriptions; `farthing wallet subscribe URL --max PRICE` makes one"
                .to_owned();
        }
        let row = |stand: &Stand| {
            let one = &stand.subscription;
            let next = stand.next().map_or_else(|| stand.word().to_owned(), |next| next.to_string());
            [one.number.to_string(), one.max.to_string(), stand.cost(), next, one.url.clone()]
        };
        let rows: Vec<[String; 5]> = self.0.iter().map(row).collect();
        table(["NUMBER", "AT MOST", "HAS COST", "NEXT", "PASS"], &rows)
    }
}

impl View for Ended {
    fn json(&self) -> Value {
        json!({ "outcome": "unsubscribed", "subscription": self.0.json() })
    }

    fn text(&self) -> String {
        let Stand { subscription, pass_ends, .. } = &self.0;
        let until = pass_ends.map(|ends| format!("; its pass lasts until {ends}")).unwrap_or_default();
        format!("unsubscribed from {}, which has cost {}{until}", subscription.url, self.0.cost())
    }
}

impl Looked {
    pub fn subscribed(stand: Stand, bought: Bought) -> Self {
        Self { outcome: "subscribed", each: vec![(stand, bought)] }
    }

    pub fn renewed(each: Vec<(Stand, Bought)>) -> Self {
        Self { outcome: "renewed", each }
    }
}

impl View for Looked {
    fn json(&self) -> Value {
        let one = |(stand, bought): &(Stand, Bought)| {
            let (charged, error) = match bought {
                Ok(paid) => (paid.as_ref().map(|paid| money_json(paid.charged)), None),
                Err(failure) => (None, Some(failure.message.clone())),
            };
            let mut json = stand.json();
            if let Some(json) = json.as_object_mut() {
                json.insert("charged".to_owned(), json!(charged));
                json.insert("error".to_owned(), json!(error));
            }
            json
        };
        json!({ "outcome": self.outcome, "subscriptions": self.each.iter().map(one).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        let one = |(stand, bought): &(Stand, Bought)| {
            let Stand { subscription, .. } = stand;
            let (number, url) = (subscription.number, &subscription.url);
            let what = match (bought, stand.next()) {
                (Ok(Some(paid)), _) => told(url, paid),
                (Ok(None), Some(next)) => format!("nothing to buy for {url} before {next}"),
                (Ok(None), None) => format!("nothing to buy for {url}: it is {}", stand.word()),
                (Err(failure), _) => format!("{url}: {}", failure.message),
            };
            format!("{number}: {what}")
        };
        if self.each.is_empty() {
            return "there are no subscriptions".to_owned();
        }
        self.each.iter().map(one).collect::<Vec<_>>().join("\n")
    }
}
