//! Figures as tables: one for the terminal, one for the page, which stands between two markers and is never written by
//! hand.

use serde_json::Value;

const BEGIN: &str = "<!-- figures:begin -->";
const END: &str = "<!-- figures:end -->";
const HEAD: [&str; 6] = ["figure", "Farthing", "peer", "unit", "ratio", "least to most"];

/// Name, ours, the peer and its value, unit, ratio, spread.
fn row(figure: &Value) -> [String; 6] {
    let text = |key: &str| figure.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |key: &str| figure.get(key).and_then(Value::as_f64).map(short);
    let spread = figure.get("ratio_spread").and_then(Value::as_array);
    let spread = spread.map(|ends| ends.iter().filter_map(Value::as_f64).map(short).collect::<Vec<_>>());
    let peer = number("peer_value").map_or_else(String::new, |value| format!("{value} ({})", text("peer")));
    [
        text("name"),
        number("value").unwrap_or_default(),
        peer,
        text("unit"),
        number("ratio").unwrap_or_default(),
        spread.unwrap_or_default().join(" to "),
    ]
}

/// Without the decimals of a whole number.
fn short(value: f64) -> String {
    value.to_string()
}

/// Columns of spaces.
pub fn for_terminal(figures: &[Value]) -> String {
    let rows: Vec<[String; 6]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(figures.iter().map(row)).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A table in Markdown.
pub fn for_page(figures: &[Value]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let head = line(HEAD.map(str::to_owned).to_vec());
    let rule = line(vec!["---".to_owned(); HEAD.len()]);
    let rows = figures.iter().map(|figure| {
        let [name, rest @ ..] = row(figure);
        line(std::iter::once(format!("`{name}`")).chain(rest).collect())
    });
    [head, rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// The page with another block between the markers.
pub fn with_block(page: &str, block: &str) -> Result<String, String> {
    let missing = || format!("expected `{BEGIN}` and then `{END}`, once each");
    let (before, rest) = page.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    if after.contains(BEGIN) || after.contains(END) {
        return Err(missing());
    }
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", block.trim()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn figures() -> [Value; 2] {
        [
            json!({"name": "a_vs_b", "value": 6000.0, "unit": "swaps/s", "peer": "b 1.2", "ratio": 10.5,
                "ratio_spread": [9.8, 11.0], "peer_value": 571.0}),
            json!({"name": "weight", "value": 0.5, "unit": "MiB", "peer": null, "ratio": null,
                "ratio_spread": null, "peer_value": null}),
        ]
    }

    #[test]
    fn the_page_has_a_row_for_each_figure() {
        let expected = "| figure | Farthing | peer | unit | ratio | least to most |\n\
            | --- | --- | --- | --- | --- | --- |\n\
            | `a_vs_b` | 6000 | 571 (b 1.2) | swaps/s | 10.5 | 9.8 to 11 |\n\
            | `weight` | 0.5 |  | MiB |  |  |";
        assert_eq!(for_page(&figures()), expected);
    }

    #[test]
    fn columns_are_aligned() {
        let table = for_terminal(&figures());
        let at: Vec<_> = table.lines().map(|line| line.find(['F', '6', '0'])).collect();
        assert_eq!(at, [Some(8), Some(8), Some(8)], "{table}");
    }

    #[test]
    fn the_block_is_replaced_and_nothing_else() {
        let page = format!("# A\n\n{BEGIN}\nold\n{END}\n\nend\n");
        assert_eq!(with_block(&page, "new\n").unwrap(), format!("# A\n\n{BEGIN}\nnew\n{END}\n\nend\n"));
        for bad in ["", BEGIN, &format!("{END}{BEGIN}"), &format!("{page}{END}")] {
            assert!(with_block(bad, "new").is_err(), "{bad}");
        }
    }
}
