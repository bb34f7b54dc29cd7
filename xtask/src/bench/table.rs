//! Figures as tables: one for the terminal, and those of the page, each of which stands between two markers and is never
//! written by hand.

use serde_json::Value;

/// The beginnings of the names of what is measured on a chain. It has a table of its own, which can be written by itself.
const ON_CHAINS: [&str; 3] = ["paid_exact", "exact_latency", "verify_exact"];
/// The same of what is measured through channels.
const CHANNELS: [&str; 1] = ["paid_voucher"];

/// A table of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Everything without a chain.
    Figures,
    /// Payments on a chain.
    OnChains,
    /// Payments through channels.
    Channels,
}

impl Block {
    /// All tables.
    pub const ALL: [Self; 3] = [Self::Figures, Self::OnChains, Self::Channels];

    /// Whether a figure stands in it.
    pub fn has(self, name: &str) -> bool {
        let is_of = |block: &Self| block.families().iter().any(|family| name.starts_with(family));
        Self::ALL.iter().find(|block| is_of(block)).copied().unwrap_or(Self::Figures) == self
    }

    /// The beginnings of the names of what stands in it; none for the table that has all the others.
    fn families(self) -> &'static [&'static str] {
        match self {
            Self::Figures => &[],
            Self::OnChains => &ON_CHAINS,
            Self::Channels => &CHANNELS,
        }
    }

    /// The tables that a run of these names fills; nothing if it fills one only in part.
    pub fn filled_by(names: &[String]) -> Option<Vec<Self>> {
        if names.is_empty() {
            return Some(Self::ALL.to_vec());
        }
        let is_whole = |block: &Self| {
            let families = block.families();
            !families.is_empty() && families.iter().all(|family| names.iter().any(|name| name == family))
        };
        let blocks: Vec<Self> = Self::ALL.into_iter().filter(is_whole).collect();
        let families: usize = blocks.iter().map(|block| block.families().len()).sum();
        (families == names.len()).then_some(blocks)
    }

    fn markers(self) -> [String; 2] {
        let name = match self {
            Self::Figures => "figures",
            Self::OnChains => "figures-on-chains",
            Self::Channels => "figures-of-channels",
        };
        ["begin", "end"].map(|end| format!("<!-- {name}:{end} -->"))
    }
}

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

/// The page with another text between the markers of a table.
pub fn with_block(page: &str, block: Block, text: &str) -> Result<String, String> {
    let [begin, end] = block.markers();
    let missing = || format!("expected `{begin}` and then `{end}`, once each");
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    if after.contains(&begin) || after.contains(&end) {
        return Err(missing());
    }
    Ok(format!("{before}{begin}\n{}\n{end}{after}", text.trim()))
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
        for block in Block::ALL {
            let [begin, end] = block.markers();
            let page = format!("# A\n\n{begin}\nold\n{end}\n\nend\n");
            let new = format!("# A\n\n{begin}\nnew\n{end}\n\nend\n");
            assert_eq!(with_block(&page, block, "new\n").unwrap(), new);
            for bad in ["", begin.as_str(), &format!("{end}{begin}"), &format!("{page}{end}")] {
                assert!(with_block(bad, block, "new").is_err(), "{bad}");
            }
        }
    }

    #[test]
    fn a_table_is_written_whole_or_not_at_all() {
        let filled = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Block::filled_by(&names)
        };
        assert_eq!(filled(&[]), Some(Block::ALL.to_vec()));
        assert_eq!(filled(&["verify_exact", "paid_exact", "exact_latency"]), Some(vec![Block::OnChains]));
        assert_eq!(filled(&["paid_voucher"]), Some(vec![Block::Channels]));
        let both = ["paid_voucher", "verify_exact", "paid_exact", "exact_latency"];
        assert_eq!(filled(&both), Some(vec![Block::OnChains, Block::Channels]));
        for part in [&["paid_exact"][..], &["swap"], &["paid_exact", "exact_latency", "verify_exact", "swap"]]
        {
            assert_eq!(filled(part), None, "{part:?}");
        }
        assert!(Block::OnChains.has("paid_exact_c8_p50") && !Block::Figures.has("paid_exact_c8_p50"));
        assert!(Block::Channels.has("paid_voucher_p99") && !Block::Figures.has("paid_voucher_p99"));
        assert!(Block::Figures.has("paid_credit_cpu") && !Block::OnChains.has("paid_credit_cpu"));
    }
}
