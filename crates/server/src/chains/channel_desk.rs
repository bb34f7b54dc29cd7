//! The operator's questions about channels: which there are, how one stands, and what is to be done about it.

use std::collections::BTreeSet;

use farthing_channel::{ChannelId, ChannelTerms};
use farthing_engine::{CallId, ChannelRow, ChannelStep, Command, MakeChannelCall, Purpose};
use farthing_evm::{ChannelRound, Facilitator, RoundFault};
use farthing_money::{Amount, Timestamp};
use serde::{Deserialize, Serialize};

use super::ChainRoom;
use super::channels::Harbour;
use crate::operator::OperatorError;

/// A channel as the books know it. Amounts are in the token's units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelLine {
    /// Its id.
    pub channel: String,
    /// Its chain by CAIP-2.
    pub network: String,
    /// Whose money is in it.
    pub payer: String,
    /// What people call its token; the contract if it is not configured any more.
    pub token: String,
    /// What came in less what went back.
    pub balance: Amount,
    /// What was charged through it.
    pub charged: Amount,
    /// What of that is claimed.
    pub claimed: Amount,
    /// What is not.
    pub unclaimed: Amount,
    /// The balance and what is not claimed, for people.
    pub shown: [String; 2],
    /// `open`, `busy` while a request is served through it, `refund` while its rest goes back, `withdrawal` since its payer
    /// wants his money, `empty`.
    pub state: String,
    /// When it was last paid with.
    pub used_at: Timestamp,
}

/// A channel with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelDetail {
    /// What the books say.
    #[serde(flatten)]
    pub line: ChannelLine,
    /// What it is made of.
    pub terms: ChannelTerms,
    /// What was charged and is not covered any more.
    pub uncovered: Amount,
    /// The second since which its payer wants his money.
    pub withdraw_since: Option<u64>,
    /// What the chain says: the balance, and what is claimed; nothing if it does not answer.
    pub on_chain: Option<[Amount; 2]>,
    /// Whether that is what the books say.
    pub agrees: Option<bool>,
    /// The calls on it that are under way. Claims are of many channels and not listed.
    pub calls: Vec<String>,
}

/// Which channels.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ChannelQuery {
    /// One channel, by its id.
    pub channel: Option<String>,
}

/// What is to be given back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefundRequest {
    /// Of which channel.
    pub channel: String,
    /// How many units; all that is left if it is not said.
    pub units: Option<Amount>,
}

/// What was asked of the chains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelOrder {
    /// Channels that are claimed from now on.
    pub claimed: usize,
    /// Channels of which the escrow takes no claim.
    pub refused: usize,
    /// Receivers to whom what is claimed is moved from now on.
    pub moved: usize,
    /// The call that gives a payer money back, by its name, and how many units.
    pub refund: Option<(String, Amount)>,
}

fn parse(text: &str) -> Result<ChannelId, OperatorError> {
    text.parse().map_err(|_| {
        OperatorError::Request(format!("expected a channel: 0x and 64 hexadecimal digits, got {text:?}"))
    })
}

fn unknown(id: ChannelId) -> OperatorError {
    OperatorError::Missing(format!("there is no channel {id} in the books; `farthing channel list` has them"))
}

fn silent(error: &RoundFault) -> OperatorError {
    OperatorError::Chain(error.to_string())
}

impl ChainRoom {
    /// The channels in the books, of chains that take them, the latest used first.
    pub fn channel_lines(&self) -> Result<Vec<ChannelLine>, OperatorError> {
        let mut lines = Vec::new();
        for harbour in self.harbours.iter() {
            let rows = harbour.worker.rows()?;
            lines.extend(rows.iter().map(|(id, row)| self.line(*id, row)));
        }
        lines.sort_by(|one, other| {
            other.used_at.cmp(&one.used_at).then_with(|| one.channel.cmp(&other.channel))
        });
        Ok(lines)
    }

    fn line(&self, id: ChannelId, row: &ChannelRow) -> ChannelLine {
        let facilitator = self.facilitators.of_chain(row.chain);
        let token = facilitator.and_then(|facilitator| {
            facilitator.submitter().ports().chain.token(row.terms.token).map(|token| token.symbol.clone())
        });
        let chain = row.books.chain();
        let shown = |units: Amount| {
            row.worth(units)
                .map_or_else(|| format!("{units} units"), |worth| row.asset.money(worth).to_string())
        };
        let state = if row.refund.is_some() {
            "refund"
        } else if chain.withdraw_since.is_some() {
            "withdrawal"
        } else if row.held.is_some() {
            "busy"
        } else if chain.balance <= row.books.charged() && chain.balance == chain.claimed {
            "empty"
        } else {
            "open"
        };
        ChannelLine {
            channel: id.to_string(),
            network: format!("eip155:{}", row.chain),
            payer: row.terms.payer.to_string(),
            token: token.unwrap_or_else(|| row.terms.token.to_string()),
            balance: chain.balance,
            charged: row.books.charged(),
            claimed: chain.claimed,
            unclaimed: row.unclaimed(),
            shown: [shown(chain.balance), shown(row.unclaimed())],
            state: state.to_owned(),
            used_at: row.used_at,
        }
    }

    /// A channel of the books, and whoever looks after it.
    fn berth(&self, text: &str) -> Result<(ChannelId, ChannelRow, &Harbour, &Facilitator), OperatorError> {
        let id = parse(text)?;
        let first = self.facilitators.iter().next().ok_or_else(|| unknown(id))?;
        let row = first.submitter().ports().read.channel(id)?.ok_or_else(|| unknown(id))?;
        let harbour = self.harbour(row.chain).zip(self.facilitators.of_chain(row.chain));
        let (harbour, facilitator) = harbour.ok_or_else(|| {
            OperatorError::Request(format!(
                "the channel is on eip155:{}, which is not configured: nobody can look there; put its [[chain]] back",
                row.chain
            ))
        })?;
        Ok((id, row, harbour, facilitator))
    }

    /// A channel with all that is known of it.
    pub async fn channel_detail(&self, text: &str) -> Result<ChannelDetail, OperatorError> {
        let (id, row, harbour, facilitator) = self.berth(text)?;
        let on_chain = harbour.worker.on_chain(id).await;
        if let Err(error) = &on_chain {
            tracing::warn!(%error, channel = %id, "the chain cannot be asked about a channel");
        }
        let on_chain = on_chain.ok();
        let known = row.books.chain();
        let is_known = |seen: &farthing_channel::seller::ChannelOnChain| seen == known;
        let calls = facilitator.submitter().ports().read.calls()?;
        let of_this = |purpose: Purpose| match purpose {
            Purpose::Channel(ChannelStep::Deposit(channel) | ChannelStep::Refund(channel)) => channel == id,
            _ => false,
        };
        Ok(ChannelDetail {
            line: self.line(id, &row),
            terms: row.terms,
            uncovered: row.books.uncovered(),
            withdraw_since: known.withdraw_since,
            agrees: on_chain.as_ref().map(is_known),
            on_chain: on_chain.map(|seen| [seen.balance, seen.claimed]),
            calls: calls
                .iter()
                .filter(|(_, call)| of_this(call.purpose))
                .map(|(call, _)| call.to_string())
                .collect(),
        })
    }

    /// Claims what is owed now, of one channel or of all.
    pub async fn claim_channels(&self, query: &ChannelQuery) -> Result<ChannelOrder, OperatorError> {
        if let Some(text) = &query.channel {
            let (id, _, harbour, _) = self.berth(text)?;
            let round = harbour.worker.claim_now(Some(id)).await.map_err(|error| silent(&error))?;
            return Ok(order(&[round]));
        }
        let mut rounds = Vec::new();
        for harbour in self.harbours.iter() {
            rounds.push(harbour.worker.claim_now(None).await.map_err(|error| silent(&error))?);
        }
        Ok(order(&rounds))
    }

    /// Moves all that is claimed now.
    pub async fn settle_channels(&self) -> Result<ChannelOrder, OperatorError> {
        let mut rounds = Vec::new();
        for harbour in self.harbours.iter() {
            rounds.push(harbour.worker.settle_now().await.map_err(|error| silent(&error))?);
        }
        Ok(order(&rounds))
    }

    /// Gives a payer back what is left of a channel, or a part of it, after what is owed was claimed.
    pub async fn refund_channel(&self, request: &RefundRequest) -> Result<ChannelOrder, OperatorError> {
        let (id, _, harbour, facilitator) = self.berth(&request.channel)?;
        harbour.worker.see(id, None).await.map_err(|error| silent(&error))?;
        let ports = facilitator.submitter().ports();
        let row = ports.read.channel(id)?.ok_or_else(|| unknown(id))?;
        let refused = |error: farthing_channel::seller::Refused| OperatorError::Rejected(error.into());
        if row.refund.is_some() {
            return Err(refused(farthing_channel::seller::Refused::ChannelBusy));
        }
        let plan = row.books.refund(&row.terms, request.units).map_err(refused)?;
        let call = facilitator.refund_of(&row.terms, &plan).ok_or_else(|| {
            OperatorError::Request(
                "the voucher of this channel is not signed by its payerAuthorizer".to_owned(),
            )
        })?;
        let now = (ports.clock)().millis().to_be_bytes();
        let name = CallId::of_parts("farthing/call/refund/operator/1", [&id.as_bytes()[..], &now]);
        let step = ChannelStep::Refund(id);
        let made = MakeChannelCall { id: name, call, step, opens: None, charged: row.books.charged() };
        ports.execute.execute(Command::MakeChannelCall(made)).await?;
        facilitator.submitter().wake();
        Ok(ChannelOrder { refund: Some((name.to_string(), plan.amount)), ..ChannelOrder::default() })
    }

    /// The receivers and tokens of the channels of a chain.
    pub(super) fn receivers_of<'a>(
        rows: impl Iterator<Item = &'a ChannelRow>,
    ) -> BTreeSet<(farthing_channel::Address, farthing_channel::Address)> {
        rows.map(|row| (row.terms.receiver, row.terms.token)).collect()
    }
}

fn order(rounds: &[ChannelRound]) -> ChannelOrder {
    let sum = |part: fn(&ChannelRound) -> usize| {
        rounds.iter().map(part).fold(0, |sum: usize, count| sum.saturating_add(count))
    };
    ChannelOrder {
        claimed: sum(|round| round.claimed),
        refused: sum(|round| round.bad),
        moved: sum(|round| round.swept),
        refund: None,
    }
}
