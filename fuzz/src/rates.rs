//! What feeds of rates say: read exactly or refused, never guessed at. Whatever is believed can be converted by.

use farthing_engine::RateSet;
use farthing_money::{Amount, Asset, AssetTable, Rounding, Span, Timestamp};
use farthing_server::config::RatesConfig;
use farthing_server::rates::{Format, Source, read};

use crate::Cut;

/// The first byte says in which format the rest is.
pub fn rate_feeds(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let format = if cut.byte() & 1 == 0 { Format::Ecb } else { Format::Json };
    let assets = assets();
    let config = RatesConfig {
        source: Source::File("feed".into()),
        format,
        every: Span::from_secs(3_600),
        max_age: Span::from_secs(40 * 365 * 86_400),
        max_change: 10,
        spread: 0,
    };
    // Late enough that whatever day a seed names is past.
    let now = Timestamp::from_secs(1_900_000_000);
    let Ok(set) = read(&config, &assets, cut.0, now) else { return };
    assert!(set.at <= now.after(Span::from_secs(86_400)), "nothing of the future is believed");
    for (place, quotation) in set.quotations.iter().enumerate() {
        assert!(quotation.numerator > 0 && quotation.denominator > 0, "{quotation:?}");
        assert!(quotation.code != set.base, "the base has no rate of its own");
        let known = assets.by_code(quotation.code.as_str()).expect("only our own are kept");
        let again = set.quotations.iter().skip(place + 1).any(|other| other.code == quotation.code);
        assert!(!again, "a currency has one rate");
        converts(&set, known, &assets);
    }
    if format == Format::Json {
        return;
    }
    // The same rates as the other format writes them are the same rates.
    let rates: Vec<String> = set
        .quotations
        .iter()
        .map(|one| format!("\"{}\": {}", one.code, decimal(one.numerator, one.denominator)))
        .collect();
    let text =
        format!(r#"{{"base": "{}", "date": "{}", "rates": {{{}}}}}"#, set.base, set.at, rates.join(", "));
    let json = RatesConfig { format: Format::Json, ..config };
    assert_eq!(read(&json, &assets, text.as_bytes(), now).expect("what was read can be written"), set);
}

/// From and to every other asset, and back: nothing comes of nothing, and what goes there and back is not more.
fn converts(set: &RateSet, from: Asset, assets: &AssetTable) {
    for to in assets.iter().filter(|to| *to != from) {
        let (Some(there), Some(back)) = (set.rate(from, to), set.rate(to, from)) else { continue };
        let money = from.money(Amount::from(1_000_000_u64));
        let Ok(changed) = there.convert(money, Rounding::Down) else { continue };
        let Ok(again) = back.convert(changed, Rounding::Down) else { continue };
        assert!(again.amount() <= money.amount(), "{money} became {changed} and {again}");
    }
}

/// Feeds write powers of ten below the line.
fn decimal(numerator: u128, denominator: u128) -> String {
    let digits = denominator.ilog10() as usize;
    let (whole, part) = (numerator / denominator, numerator % denominator);
    if digits == 0 { whole.to_string() } else { format!("{whole}.{part:0digits$}") }
}

fn assets() -> AssetTable {
    let micro = |code| Asset::micro(code).expect("an asset");
    let yen = Asset::new("JPY", 0, "jpy").expect("an asset");
    AssetTable::new(vec![micro("EUR"), micro("USD"), yen]).expect("three assets")
}
