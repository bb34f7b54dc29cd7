//! `farthing issuer status|pause|resume|epoch|sunset`: how the issuer stands, and the operator's hand on it.

use std::fmt::Write;

use clap::{Args, Subcommand};
use farthing_engine::Mode;
use farthing_server::access::{Access, AccessError};
use farthing_server::life::{IssuerStatus, KeysetStatus};
use serde_json::{Value, json};

use super::issuer_epoch;
use crate::args::ConfigFile;
use crate::exit::Failure;
use crate::operator::ask_those_of;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Issuer {
    /// What it does at present, and what is out of each keyset
    Status(Place),
    /// Stop everything new for a while; what is on hold ends, passes stay good
    Pause(Place),
    /// Do everything again
    Resume(Place),
    /// End the present epoch now, and publish signed statements of what is owed; each day does so by itself
    Epoch(issuer_epoch::Epoch),
    /// End it: no new money comes in, and everybody may spend or refund what they have
    Sunset(Place),
}

#[derive(Debug, Args)]
pub struct Place {
    #[command(flatten)]
    config: ConfigFile,
}

impl Issuer {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let status = match self {
            Self::Epoch(epoch) => return epoch.run(output),
            Self::Status(place) => ask(place, async |access| access.issuer_status().await)?,
            Self::Pause(place) => turn(place, Mode::Paused)?,
            Self::Resume(place) => turn(place, Mode::Open)?,
            Self::Sunset(place) => turn(place, Mode::Sunset)?,
        };
        if status.mode == Mode::Sunset && !matches!(self, Self::Status(_)) {
            output.say(
                "no codes are sold any more; payers spend their credits or turn them into codes with\n\
                 `farthing wallet refund`, and `farthing code refund` takes those back",
            );
        }
        output.show(&status)
    }
}

fn turn(place: &Place, mode: Mode) -> Result<IssuerStatus, Failure> {
    ask(place, async |access| access.set_mode(mode).await)
}

fn ask(
    place: &Place,
    question: impl AsyncFnOnce(&Access) -> Result<IssuerStatus, AccessError>,
) -> Result<IssuerStatus, Failure> {
    let config = place.config.load()?;
    ask_those_of(&config, question)
}

impl View for IssuerStatus {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        let line = |keyset: &KeysetStatus| {
            let until = keyset.final_expiry.map_or_else(|| "never".to_owned(), |expiry| expiry.to_string());
            [
                keyset.id.chars().take(16).collect(),
                keyset.asset.clone(),
                keyset.state.as_str().to_owned(),
                keyset.issued.to_string(),
                keyset.redeemed.to_string(),
                keyset.outstanding_shown.clone(),
                until,
            ]
        };
        let head = ["keyset", "asset", "state", "issued", "redeemed", "outstanding", "expires"];
        let rows: Vec<[String; 7]> = self.keysets.iter().map(line).collect();
        let mut text = format!("the issuer is {}\n", self.mode.as_str());
        for asset in &self.assets {
            let (out, codes) = (&asset.outstanding_shown, &asset.codes_shown);
            let _ = writeln!(text, "owed: {out} in credits, {codes} in unused codes");
        }
        text.push_str(&table(head, &rows));
        text
    }
}
