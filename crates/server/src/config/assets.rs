//! `[[asset]]`: what money is counted in.

use farthing_money::{Asset, AssetCode, AssetTable, Unit};

use super::section::Section;

const SCALE_DEFAULT: u8 = 6;

/// The assets of the file; one, the dollar in millionths, if there is none.
pub(super) fn read(sections: Vec<Section<'_>>, torn: bool) -> AssetTable {
    let mut assets: Vec<Asset> = Vec::new();
    for section in sections {
        section.require("code", torn);
        if let Some(asset) = read_one(&section) {
            let twin =
                assets.iter().find(|other| other.code() == asset.code() || other.unit() == asset.unit());
            match twin {
                Some(twin) if twin.code() == asset.code() => {
                    section.remark("code", format!("expected each asset once, got {asset} again"), None);
                }
                Some(twin) => {
                    let message =
                        format!("expected a unit of its own, got {} which is {twin}'s", asset.unit());
                    section.remark("unit", message, None);
                }
                None => assets.push(asset),
            }
        }
        section.finish();
    }
    if assets.is_empty() {
        assets.extend(Asset::micro("USD"));
    }
    AssetTable::new(assets).unwrap_or_default()
}

fn read_one(section: &Section<'_>) -> Option<Asset> {
    let number = |key: &str| section.number(key, 0..=18).and_then(|scale| u8::try_from(scale).ok());
    let scale = section.given_or("scale", SCALE_DEFAULT, number);
    let unit = section.judged("unit", str::parse::<Unit>);
    let code = section.judged("code", str::parse::<AssetCode>)?;
    let (scale, unit) = match (scale?, unit, section.has("unit")) {
        (_, None, true) => return None,
        (scale, Some(unit), _) => (scale, unit.to_string()),
        (SCALE_DEFAULT, None, _) => (SCALE_DEFAULT, format!("u{}", code.as_str().to_ascii_lowercase())),
        (scale, None, _) => {
            let message = format!("expected the name of a minor unit of {scale} decimals, got none");
            section.remark("unit", message, Some("write such as unit = \"usd\" for cents".to_owned()));
            return None;
        }
    };
    match Asset::new(code.as_str(), scale, &unit) {
        Ok(asset) => Some(asset),
        Err(error) => {
            section.remark("unit", error, None);
            None
        }
    }
}
