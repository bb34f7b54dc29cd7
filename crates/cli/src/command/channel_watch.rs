//! `farthing channel watch`: one line for each channel that changes.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use farthing_money::Span;
use farthing_server::access::Access;
use farthing_server::chains::channel_desk::ChannelLine;
use serde_json::json;

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::runtime;

#[derive(Debug, Args)]
pub struct Watch {
    /// How often the server is asked
    #[arg(long, value_name = "SPAN", default_value = "1s")]
    every: Span,
    /// End after so many changes
    #[arg(long, value_name = "COUNT")]
    count: Option<usize>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Watch {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let config = self.config.load()?;
        let pause = Duration::from_millis(self.every.millis().max(1));
        runtime::block_on(async {
            let Some(access) = Access::running(&config).await else {
                return Err(Failure::new(
                    Exit::Unreachable,
                    "no server answers in the data folder: nothing changes",
                )
                .hint("start it with `farthing serve`"));
            };
            let (mut known, mut shown) = (None, 0_usize);
            loop {
                let lines = access.channels().await?;
                let changed = changes(&mut known, lines);
                for line in &changed {
                    output.line(text(line, output.is_json()))?;
                    shown = shown.saturating_add(1);
                    if self.count.is_some_and(|most| shown >= most) {
                        return Ok(());
                    }
                }
                tokio::time::sleep(pause).await;
            }
        })
    }
}

/// What is otherwise than the last time. The first time everything is known.
fn changes(
    known: &mut Option<BTreeMap<String, ChannelLine>>,
    mut lines: Vec<ChannelLine>,
) -> Vec<ChannelLine> {
    let now: BTreeMap<String, ChannelLine> =
        lines.iter().map(|line| (line.channel.clone(), line.clone())).collect();
    match known.replace(now) {
        Some(before) => lines.retain(|line| before.get(&line.channel) != Some(line)),
        None => lines.clear(),
    }
    // The oldest change first.
    lines.reverse();
    lines
}

fn text(line: &ChannelLine, is_json: bool) -> String {
    if is_json {
        return json!(line).to_string();
    }
    let [balance, unclaimed] = &line.shown;
    format!(
        "{} {} {} balance {balance}, charged {} units, not claimed {unclaimed}",
        line.used_at, line.channel, line.state, line.charged
    )
}

#[cfg(test)]
mod tests {
    use farthing_money::{Amount, Timestamp};

    use super::*;

    fn line(channel: &str, charged: u128) -> ChannelLine {
        ChannelLine {
            channel: channel.to_owned(),
            network: "eip155:1".to_owned(),
            payer: "0x".to_owned(),
            token: "USDC".to_owned(),
            balance: Amount::new(10),
            charged: Amount::new(charged),
            claimed: Amount::ZERO,
            unclaimed: Amount::new(charged),
            shown: ["10".to_owned(), charged.to_string()],
            state: "open".to_owned(),
            used_at: Timestamp::from_secs(1),
        }
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let mut known = None;
        assert_eq!(changes(&mut known, vec![line("a", 1), line("b", 1)]), []);
        assert_eq!(changes(&mut known, vec![line("a", 1), line("b", 1)]), []);
        assert_eq!(changes(&mut known, vec![line("a", 2), line("b", 1)]), [line("a", 2)]);
        assert_eq!(
            changes(&mut known, vec![line("c", 1), line("a", 3), line("b", 1)]),
            [line("a", 3), line("c", 1)]
        );
        assert!(text(&line("a", 2), true).contains("\"charged\":\"2\""));
        assert!(text(&line("a", 2), false).contains("charged 2 units"));
    }
}
