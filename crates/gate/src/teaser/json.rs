//! The first items of a list in JSON.

use serde_json::Value;

use super::SHOWN_BYTES_MAX;

/// The first items of the list at `at`, and how many there are; nothing if there is no list there, or no more than these.
pub fn items(bytes: &[u8], count: u32, at: &str) -> Option<(Vec<Value>, usize)> {
    let mut whole: Value = serde_json::from_slice(bytes).ok()?;
    let list = whole.pointer_mut(at)?.as_array_mut()?;
    let (all, count) = (list.len(), usize::try_from(count).ok()?);
    if all <= count {
        return None;
    }
    list.truncate(count);
    let mut room = SHOWN_BYTES_MAX;
    let fits = |item: &Value| {
        let left = room.checked_sub(item.to_string().len());
        room = left.unwrap_or_default();
        left.is_some()
    };
    let shown: Vec<Value> = std::mem::take(list).into_iter().take_while(fits).collect();
    (!shown.is_empty()).then_some((shown, all))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn so_many_items_and_no_more() {
        let list = json!([1, { "a": 2 }, "three"]).to_string();
        assert_eq!(items(list.as_bytes(), 2, ""), Some((vec![json!(1), json!({ "a": 2 })], 3)));
        assert_eq!(items(list.as_bytes(), 3, ""), None, "there is no rest");
        let deep = json!({ "results": { "of/all": [1, 2] } }).to_string();
        assert_eq!(items(deep.as_bytes(), 1, "/results/of~1all"), Some((vec![json!(1)], 2)));
        for (text, at) in [("{}", ""), ("[1,2", ""), ("[1,2]", "/0"), (deep.as_str(), "/other")] {
            assert_eq!(items(text.as_bytes(), 1, at), None, "{text} {at}");
        }
        let long = json!(["x".repeat(SHOWN_BYTES_MAX / 2), "y".repeat(SHOWN_BYTES_MAX), 3]).to_string();
        assert_eq!(items(long.as_bytes(), 2, "").unwrap().0.len(), 1, "as much as may go out");
    }
}
