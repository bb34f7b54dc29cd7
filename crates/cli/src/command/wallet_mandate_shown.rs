//! Mandates as people and programs see them.

use farthing_money::{Amount, Timestamp};
use farthing_wallet::{Given, Period, Taken, Wallet, asset_of, day_of, month_of};
use farthing_wire::Mandate;
use serde_json::{Value, json};

use crate::output::{View, money_json};
use crate::table::table;

/// A mandate.
pub struct One {
    mandate: Mandate,
    /// `given`, `taken`, or `file` for one that is only looked at.
    side: &'static str,
    standing: String,
    giver: String,
    is_binding: bool,
    is_funded: bool,
    /// What is used of it: in all, today and this month.
    used: Option<[Amount; 3]>,
}

/// All of them.
pub struct All(Vec<One>);

impl One {
    pub fn given(wallet: &Wallet, given: &Given, now: Timestamp) -> Self {
        let standing = match given.revoked {
            Some(at) => format!("revoked {at}"),
            None if now >= given.mandate.until => "ended".to_owned(),
            None => "stands".to_owned(),
        };
        Self {
            side: "given",
            standing,
            giver: wallet.giver(),
            is_binding: false,
            is_funded: given.token.is_some(),
            used: None,
            mandate: given.mandate.clone(),
        }
    }

    pub fn taken(wallet: &Wallet, taken: &Taken, now: Timestamp) -> Self {
        let periods = [Period::Ever, Period::Day(day_of(now)), Period::Month(month_of(now))];
        let used = periods.map(|period| wallet.spent_under(taken, period));
        let standing = taken.stands(now).map_or_else(|reject| reject.to_string(), |()| "stands".to_owned());
        Self { side: "taken", standing, is_binding: taken.is_binding, used: Some(used), ..Self::file(taken) }
    }

    pub fn file(taken: &Taken) -> Self {
        Self {
            side: "file",
            standing: "stands".to_owned(),
            giver: taken.giver.clone(),
            is_binding: false,
            is_funded: taken.mandate.token.is_some(),
            used: None,
            mandate: taken.mandate.clone(),
        }
    }

    fn money(&self, amount: Amount) -> String {
        asset_of(self.mandate.unit)
            .map_or_else(|| amount.to_string(), |asset| asset.money(amount).to_string())
    }

    fn money_json(&self, amount: Amount) -> Value {
        asset_of(self.mandate.unit).map_or(Value::Null, |asset| money_json(asset.money(amount)))
    }

    fn left(&self) -> Option<Amount> {
        self.used.map(|[all, ..]| self.mandate.total.checked_sub(all).unwrap_or_default())
    }
}

impl All {
    pub fn of(wallet: &Wallet, now: Timestamp) -> Self {
        let given = wallet.given_mandates().map(|given| One::given(wallet, given, now));
        Self(given.chain(wallet.mandates().map(|taken| One::taken(wallet, taken, now))).collect())
    }
}

impl View for One {
    fn json(&self) -> Value {
        let mandate = &self.mandate;
        let limit = |limit: Option<Amount>| limit.map(|limit| self.money_json(limit));
        json!({
            "id": mandate.id,
            "side": self.side,
            "standing": self.standing,
            "giver": self.giver,
            "binding": self.is_binding,
            "funded": self.is_funded,
            "total": self.money_json(mandate.total),
            "per_call": limit(mandate.per_call),
            "per_day": limit(mandate.per_day),
            "per_month": limit(mandate.per_month),
            "hosts": mandate.hosts,
            "tools": mandate.tools,
            "given": mandate.given.to_string(),
            "until": mandate.until.to_string(),
            "note": mandate.note,
            "used": limit(self.used.map(|[all, ..]| all)),
            "used_today": limit(self.used.map(|[_, today, _]| today)),
            "used_this_month": limit(self.used.map(|[.., month]| month)),
            "left": limit(self.left()),
        })
    }

    fn text(&self) -> String {
        let mandate = &self.mandate;
        let mut lines = vec![
            format!("mandate {} ({}): {}", mandate.id, self.side, self.standing),
            format!("{} in all, until {}", self.money(mandate.total), mandate.until),
        ];
        let limits = [("call", mandate.per_call), ("day", mandate.per_day), ("month", mandate.per_month)];
        let limits =
            limits.iter().filter_map(|(per, limit)| Some(format!("{} a {per}", self.money((*limit)?))));
        lines.extend(limits);
        for (word, names) in [("hosts", &mandate.hosts), ("tools", &mandate.tools)] {
            if !names.is_empty() {
                lines.push(format!("{word}: {}", names.join(", ")));
            }
        }
        if let (Some([all, ..]), Some(left)) = (self.used, self.left()) {
            lines.push(format!("{} used, {} left", self.money(all), self.money(left)));
        }
        lines.push(format!("giver: {}", self.giver));
        if let Some(note) = &mandate.note {
            lines.push(format!("note: {}", note.chars().filter(|c| !c.is_control()).collect::<String>()));
        }
        lines.join("\n")
    }
}

impl View for All {
    fn json(&self) -> Value {
        json!({ "mandates": self.0.iter().map(View::json).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "no mandate was given or taken".to_owned();
        }
        let row = |one: &One| {
            let left = one.left().map_or_else(String::new, |left| one.money(left));
            let id: String = one.mandate.id.chars().take(8).collect();
            [
                id,
                one.side.to_owned(),
                one.money(one.mandate.total),
                left,
                one.mandate.until.to_string(),
                one.standing.clone(),
            ]
        };
        table(
            ["NAME", "SIDE", "TOTAL", "LEFT", "UNTIL", "STANDING"],
            &self.0.iter().map(row).collect::<Vec<_>>(),
        )
    }
}
