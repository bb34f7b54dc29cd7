//! `farthing channel list|show|claim|settle|refund|watch`: the channels through which payers pay here.

use clap::{Args, Subcommand};
use farthing_money::Amount;
use farthing_server::access::{Access, AccessError};
use farthing_server::chains::channel_desk::{
    ChannelDetail, ChannelLine, ChannelOrder, ChannelQuery, RefundRequest,
};
use farthing_server::chains::seller::{SellerKey, SellerQuery};
use serde_json::{Value, json};

use super::channel_watch::Watch;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask_those_of;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub enum Channel {
    /// All channels, the latest used first
    List(List),
    /// One channel: its terms, what the books say and what the chain says
    Show(Show),
    /// Claim now what is owed, instead of when it is due
    Claim(Claim),
    /// Move now to the account that is paid what is claimed
    Settle(Settle),
    /// Give a payer back what is left in a channel; what he owes is claimed before
    Refund(Refund),
    /// The key by which a seller, for whom we settle, has our own account sign its claims and refunds
    Key(Key),
    /// Show what changes, until it is interrupted
    Watch(Watch),
}

#[derive(Debug, Args)]
pub struct List {
    /// Only those in this state: open, busy, refund, withdrawal or empty
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only those with something to claim
    #[arg(long)]
    owing: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The channel, by its id in `farthing channel list`
    #[arg(value_name = "CHANNEL")]
    channel: String,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Claim {
    /// Of this channel alone; of all that owe something otherwise
    #[arg(value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Settle {
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Key {
    /// The account that the seller is paid at
    #[arg(value_name = "ACCOUNT")]
    account: String,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Refund {
    /// The channel, by its id in `farthing channel list`
    #[arg(value_name = "CHANNEL")]
    channel: String,
    /// How many of the token's smallest units; otherwise all that is left
    #[arg(long, value_name = "UNITS")]
    units: Option<Amount>,
    /// Do it; without this it is only said what would be done
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Channel {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(output),
            Self::Show(show) => {
                let channel = ask(&show.config, async |access| access.channel(&show.channel).await)?;
                output.show(&One(channel))
            }
            Self::Claim(claim) => {
                let query = ChannelQuery { channel: claim.channel.clone() };
                done(output, &ask(&claim.config, async |access| access.claim_channels(&query).await)?)
            }
            Self::Settle(settle) => {
                done(output, &ask(&settle.config, async |access| access.settle_channels().await)?)
            }
            Self::Refund(refund) => refund.run(output),
            Self::Key(key) => {
                let query = SellerQuery { account: key.account.clone() };
                output.show(&Shown(ask(&key.config, async |access| access.seller_key(&query).await)?))
            }
            Self::Watch(watch) => watch.run(output),
        }
    }
}

/// Asks whoever has the books.
pub fn ask<T>(
    config: &ConfigFile,
    question: impl AsyncFnOnce(&Access) -> Result<T, AccessError>,
) -> Result<T, Failure> {
    let config = config.load()?;
    if config.chains.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no chain is configured").hint(
            "add [[chain]], and a [[token]] with the scheme \"batch-settlement\"; docs/channels.md says how",
        ));
    }
    ask_those_of(&config, question)
}

impl List {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        let mut lines = ask(&self.config, async |access| access.channels().await)?;
        lines.retain(|line| self.state.as_ref().is_none_or(|state| line.state == *state));
        lines.retain(|line| !self.owing || !line.unclaimed.is_zero());
        output.show(&Lines(lines))
    }
}

impl Refund {
    fn run(&self, output: &Output) -> Result<(), Failure> {
        if !self.yes {
            let how_much =
                self.units.map_or_else(|| "all that is left".to_owned(), |units| format!("{units} units"));
            let message = format!(
                "nothing was done: {how_much} of the channel {} would go back to its payer",
                self.channel
            );
            return Err(Failure::new(Exit::Usage, message).hint("say it again with --yes"));
        }
        let request = RefundRequest { channel: self.channel.clone(), units: self.units };
        done(output, &ask(&self.config, async |access| access.refund_channel(&request).await)?)
    }
}

fn done(output: &Output, order: &ChannelOrder) -> Result<(), Failure> {
    output.show(&Order(order))
}

struct Lines(Vec<ChannelLine>);

impl View for Lines {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let line = |line: &ChannelLine| {
            let [balance, unclaimed] = line.shown.clone();
            let used = line.used_at.to_string();
            [line.channel.clone(), line.state.clone(), line.token.clone(), balance, unclaimed, used]
        };
        let rows: Vec<_> = self.0.iter().map(line).collect();
        table(["CHANNEL", "STATE", "TOKEN", "BALANCE", "NOT CLAIMED", "LAST USED"], &rows)
    }
}

struct One(ChannelDetail);

impl View for One {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let ChannelDetail { line, terms, uncovered, withdraw_since, on_chain, agrees, calls } = &self.0;
        let [balance, unclaimed] = &line.shown;
        let chain = match (on_chain, agrees) {
            (Some(_), Some(true)) => "the same".to_owned(),
            (Some([balance, claimed]), _) => {
                format!("balance {balance}, claimed {claimed}: NOT what the books say")
            }
            (None, _) => "the chain does not answer".to_owned(),
        };
        let mut lines = vec![
            format!("{} on {}: {}", line.channel, line.network, line.state),
            format!("balance      {balance} ({} units)", line.balance),
            format!("charged      {} units, claimed {}, not claimed {unclaimed}", line.charged, line.claimed),
            format!("at the chain {chain}"),
            format!("payer        {}, vouchers by {}", terms.payer, terms.payer_authorizer),
            format!("receiver     {}, claims by {}", terms.receiver, terms.receiver_authorizer),
            format!("token        {} {}", line.token, terms.token),
            format!("terms        withdrawals take {} seconds, salt {}", terms.withdraw_delay, terms.salt),
        ];
        lines.extend(withdraw_since.map(|since| {
            format!("its payer wants his money since second {since}: nothing is served, and what is owed is claimed")
        }));
        if !uncovered.is_zero() {
            lines.push(format!(
                "{uncovered} units were charged and are not covered any more: lost, unless the payer deposits"
            ));
        }
        lines.extend(calls.iter().map(|call| format!("under way: {call}")));
        lines.join("\n")
    }
}

struct Shown(SellerKey);

impl View for Shown {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        format!("Authorization: Bearer {}", self.0.key)
    }
}

struct Order<'a>(&'a ChannelOrder);

impl View for Order<'_> {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        let ChannelOrder { claimed, refused, moved, refund } = self.0;
        let mut said = Vec::new();
        if let Some((call, units)) = refund {
            said.push(format!("{units} units go back to the payer, by the call {call}"));
        }
        if *claimed > 0 {
            said.push(format!("{claimed} channels are claimed"));
        }
        if *refused > 0 {
            said.push(format!("of {refused} channels the escrow takes no claim; the log says why"));
        }
        if *moved > 0 {
            said.push(format!("what is claimed is moved to {moved} receivers"));
        }
        if said.is_empty() {
            return "nothing was to be done, or it is under way; `farthing chain status` shows what is"
                .to_owned();
        }
        format!(
            "{}; a running server sends it, and `farthing chain status` shows how far it is",
            said.join("; ")
        )
    }
}
