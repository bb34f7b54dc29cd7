//! `farthing wallet channels`: the channels through which sellers are paid, what lies in them, and how it comes back.

use clap::{Args, Subcommand};
use farthing_money::{Amount, Timestamp};
use farthing_wallet::{
    Channel, ChannelCall, ChannelCallFlow, ChannelFindFlow, ChannelNews, ChannelPolicy, ChannelRefundFlow,
    ChannelSeeFlow, Outcome, Wallet, WalletError,
};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::{Output, View, money_json};
use crate::payer::{Payer, Typed, draw};
use crate::table::table;

/// What gas may cost at the most if nothing is said: a hundredth of a coin that has eighteen decimals.
const FEE_MOST: u128 = 10_000_000_000_000_000;

#[derive(Debug, Subcommand)]
pub enum Channels {
    /// Every channel, and what is left in it
    List,
    /// One channel, as the chain has it if a node is named
    Show(Show),
    /// Put more into a channel by a transaction of your own, which costs gas
    Topup(TopUp),
    /// Ask the seller to give back what is left; costs you nothing
    Refund(Refund),
    /// Take back without the seller what is left; run it again when the delay is over
    Withdraw(Withdraw),
    /// Find the channels again that these words have with a seller; needs a node
    Find(Find),
    /// Say whether payments open channels without being asked to
    Policy(Policy),
}

#[derive(Debug, Args)]
pub struct Show {
    /// The channel, or how its name begins
    #[arg(value_name = "CHANNEL")]
    channel: String,
}

#[derive(Debug, Args)]
pub struct TopUp {
    /// The channel, or how its name begins
    #[arg(value_name = "CHANNEL")]
    channel: String,
    /// How much, such as "0.50 USD"
    #[arg(value_name = "AMOUNT")]
    amount: Typed,
    /// What gas may cost at the most, in the smallest units of the chain's coin
    #[arg(long, value_name = "UNITS", default_value_t = FEE_MOST)]
    fee_most: u128,
}

#[derive(Debug, Args)]
pub struct Refund {
    /// The channel, or how its name begins
    #[arg(value_name = "CHANNEL")]
    channel: String,
    /// How much, such as "0.50 USD"; everything that is left otherwise
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<Typed>,
}

#[derive(Debug, Args)]
pub struct Withdraw {
    /// The channel, or how its name begins
    #[arg(value_name = "CHANNEL")]
    channel: String,
    /// What gas may cost at the most, in the smallest units of the chain's coin
    #[arg(long, value_name = "UNITS", default_value_t = FEE_MOST)]
    fee_most: u128,
}

#[derive(Debug, Args)]
pub struct Find {
    /// A page of the seller's that is paid through channels
    #[arg(value_name = "URL")]
    url: String,
}

#[derive(Debug, Args)]
pub struct Policy {
    /// `asked` opens channels only for `farthing pay --channel`, `always` for every seller that takes them
    #[arg(long, value_name = "WHEN", value_enum)]
    open: Option<Open>,
}

/// When channels are opened.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Open {
    /// Only if it is asked for.
    Asked,
    /// For every seller that takes them.
    Always,
}

struct List(Vec<Channel>);

struct News(Channel, ChannelNews);

struct Opens(ChannelPolicy);

impl Channels {
    pub async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List => output.show(&List(payer.wallet.channels().cloned().collect())),
            Self::Show(Show { channel }) => {
                let found = found(&payer.wallet, channel)?;
                if payer.wallet.node(found.chain()).is_none() {
                    return output.show(&List(vec![found]));
                }
                told(payer.run(&mut ChannelSeeFlow::new(found.id())).await?, output)
            }
            Self::Topup(TopUp { channel, amount, fee_most }) => {
                let found = found(&payer.wallet, channel)?;
                let call = ChannelCall::Fill(units(&payer.wallet, &found, amount)?);
                let fee_most = Amount::new(*fee_most);
                told(payer.run(&mut ChannelCallFlow::new(found.id(), call, fee_most, draw()?)).await?, output)
            }
            Self::Refund(Refund { channel, amount }) => {
                let found = found(&payer.wallet, channel)?;
                let amount = amount.as_ref().map(|typed| units(&payer.wallet, &found, typed)).transpose()?;
                told(payer.run(&mut ChannelRefundFlow::new(found.id(), amount, draw()?)).await?, output)
            }
            Self::Withdraw(Withdraw { channel, fee_most }) => {
                let found = found(&payer.wallet, channel)?;
                let (call, fee_most) = (ChannelCall::Withdraw, Amount::new(*fee_most));
                told(payer.run(&mut ChannelCallFlow::new(found.id(), call, fee_most, draw()?)).await?, output)
            }
            Self::Find(Find { url }) => match payer.run(&mut ChannelFindFlow::new(url)?).await? {
                Outcome::Channels(found) => output.show(&List(found)),
                _ => Err(Failure::new(Exit::Failed, "expected channels, got another outcome")),
            },
            Self::Policy(Policy { open }) => {
                if let Some(open) = open {
                    let opens = matches!(open, Open::Always);
                    payer.wallet.set_channel_policy(ChannelPolicy { opens })?;
                }
                output.show(&Opens(payer.wallet.channel_policy()))
            }
        }
    }
}

/// The one channel whose name begins so.
fn found(wallet: &Wallet, text: &str) -> Result<Channel, Failure> {
    let named = |channel: &&Channel| channel.id().to_string().starts_with(&text.to_ascii_lowercase());
    let mut all = wallet.channels().filter(named);
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(_), Some(_)) => {
            let message = format!("expected the name of one channel, got {text:?}, with which several begin");
            Err(Failure::new(Exit::Usage, message).hint("write more of it"))
        }
        (None, _) => Err(WalletError::UnknownChannel(text.to_owned()).into()),
    }
}

/// Money as so many of the token's minor units.
fn units(wallet: &Wallet, channel: &Channel, typed: &Typed) -> Result<Amount, Failure> {
    let money = typed.money(wallet)?;
    channel.units_of(money).ok_or_else(|| {
        let message = format!(
            "expected an amount that {} counts as, got {}",
            channel.token.symbol,
            money.asset().code()
        );
        Failure::new(Exit::Usage, message)
    })
}

fn told(outcome: Outcome, output: &Output) -> Result<(), Failure> {
    let Outcome::Channel(channel, news) = outcome else {
        return Err(Failure::new(Exit::Failed, "expected news of a channel, got another outcome"));
    };
    let is_sent = matches!(news, ChannelNews::Sent(_));
    output.show(&News(*channel, news))?;
    if is_sent {
        return Err(Failure::new(Exit::OutcomeUnknown, "no block has the transaction yet").hint(
            "the same command again looks for it, and sends it again; it is never sent twice as another one",
        ));
    }
    Ok(())
}

fn shown(channel: &Channel, units: Amount) -> String {
    channel.money(units).map_or_else(|| units.to_string(), |money| money.to_string())
}

fn of_channel(channel: &Channel) -> Value {
    let books = &channel.books;
    let money = |units| channel.money(units).map(money_json);
    json!({
        "channel": channel.id(),
        "chain": channel.chain(),
        "token": channel.token.address,
        "symbol": channel.token.symbol,
        "lane": channel.lane,
        "host": channel.host,
        "url": channel.url,
        "pay_to": channel.terms.receiver,
        "signer": channel.terms.payer_authorizer,
        "withdraw_delay": channel.terms.withdraw_delay,
        "balance": money(books.balance()),
        "charged": money(books.charged()),
        "signed": money(books.signed()),
        "claimed": money(books.claimed()),
        "left": money(channel.left()),
        "deposits_under_way": channel.under_way().count(),
        "withdrawal": channel.withdrawal.as_ref().map(|withdrawal| json!({
            "amount": money(withdrawal.amount),
            "ready": withdrawal.ready.map(|secs| Timestamp::from_secs(secs).to_string()),
        })),
        "transaction": channel.sent.as_ref().map(|sent| sent.hash),
        "doubt": channel.doubt,
        "opened": channel.opened.to_string(),
    })
}

fn state(channel: &Channel) -> &'static str {
    match (&channel.withdrawal, &channel.doubt) {
        (Some(_), _) => "being emptied",
        (None, Some(_)) => "in doubt",
        (None, None) if channel.left().is_zero() => "empty",
        (None, None) => "open",
    }
}

impl View for List {
    fn json(&self) -> Value {
        json!({ "channels": self.0.iter().map(of_channel).collect::<Vec<_>>() })
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "there are no channels; `farthing pay --channel` opens one with a seller that takes them"
                .to_owned();
        }
        let row = |channel: &Channel| {
            let id: String = channel.id().to_string().chars().take(12).collect();
            [
                id,
                channel.host.clone(),
                channel.chain().to_string(),
                channel.lane.to_string(),
                shown(channel, channel.left()),
                shown(channel, channel.books.charged()),
                state(channel).to_owned(),
            ]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table(["CHANNEL", "HOST", "CHAIN", "LANE", "LEFT", "CHARGED", "STATE"], &rows)
    }
}

impl View for News {
    fn json(&self) -> Value {
        let Self(channel, news) = self;
        let money = |units: Amount| channel.money(units).map(money_json);
        let (end, amount) = match news {
            ChannelNews::Refunded(amount) => ("refunded", Some(*amount)),
            ChannelNews::Filled(amount) => ("filled", Some(*amount)),
            ChannelNews::Waiting { amount, .. } => ("waiting", Some(*amount)),
            ChannelNews::Withdrawn(amount) => ("withdrawn", Some(*amount)),
            ChannelNews::Sent(_) => ("sent", None),
            ChannelNews::Seen => ("seen", None),
        };
        json!({ "end": end, "amount": amount.map(money), "channel": of_channel(channel) })
    }

    fn text(&self) -> String {
        let Self(channel, news) = self;
        let shown = |units: &Amount| shown(channel, *units);
        let (id, host) = (channel.id(), &channel.host);
        match news {
            ChannelNews::Refunded(amount) => format!("{host} has given {} back", shown(amount)),
            ChannelNews::Filled(amount) => format!("{} are in the channel {id}", shown(amount)),
            ChannelNews::Waiting { amount, ready } => format!(
                "{} are asked for; run the same command after {} to take them",
                shown(amount),
                Timestamp::from_secs(*ready)
            ),
            ChannelNews::Withdrawn(amount) => format!("{} are back in the account", shown(amount)),
            ChannelNews::Sent(hash) => format!("the transaction {hash} is sent"),
            ChannelNews::Seen => List(vec![channel.clone()]).text(),
        }
    }
}

impl View for Opens {
    fn json(&self) -> Value {
        json!({ "open": if self.0.opens { "always" } else { "asked" } })
    }

    fn text(&self) -> String {
        let when = if self.0.opens {
            "for every seller that takes them"
        } else {
            "only by `farthing pay --channel`"
        };
        format!(
            "channels are opened {when}; `farthing wallet limits set --in-channels` says how much may lie in them"
        )
    }
}
