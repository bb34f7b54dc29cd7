//! Amounts, decimals, times, spans, codes and units.

use std::str::from_utf8;

use farthing_money::{Amount, Asset, AssetCode, AssetTable, Label, Money, Rounding, Span, Timestamp, Unit};

use crate::{Cut, json_again};

/// Whatever can be read is written again as the same.
pub fn money(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let scale = cut.byte();
    let text = cut.text();
    let fixed = Asset::new("XTS", scale % 19, "xts").expect("an asset");
    if let Ok(money) = Money::from_decimal(text, fixed) {
        assert_eq!(Money::from_decimal(&money.to_decimal(), fixed).as_ref(), Ok(&money));
    }
    let table = AssetTable::new(vec![fixed, Asset::micro("USD").expect("an asset")]).expect("a table");
    if let Ok(money) = table.parse_money(text) {
        assert_eq!(table.parse_money(&money.to_string()).as_ref(), Ok(&money));
    }
    if let Ok(amount) = text.parse::<Amount>() {
        assert_eq!(amount.to_string().parse(), Ok(amount));
        assert_eq!(amount.mul_div(7, 7, Rounding::Down), Some(amount));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse(), Ok(time));
    }
    if let Ok(span) = text.parse::<Span>() {
        assert_eq!(span.to_string().parse(), Ok(span));
    }
    if let Ok(label) = text.parse::<Label>() {
        assert_eq!(label.as_str(), text);
    }
    if let Ok(code) = text.parse::<AssetCode>() {
        assert_eq!(code.as_str(), text);
    }
    if let Ok(unit) = text.parse::<Unit>() {
        assert_eq!(unit.as_str(), text);
    }
    if let Some((code, unit)) = text.split_once(' ') {
        drop(Asset::new(code, scale, unit));
        drop(Asset::micro(code));
    }
    json_again::<Amount>(text.as_bytes());
    let rest = from_utf8(cut.part()).unwrap_or_default();
    if let (Ok(one), Ok(other)) = (Money::from_decimal(text, fixed), Money::from_decimal(rest, fixed))
        && let Ok(sum) = one.checked_add(other)
    {
        assert_eq!(sum.checked_sub(other), Ok(one));
    }
}
