//! Which channel pays an offer: one that covers the price, or one that is filled up or opened if that may be.

use farthing_channel::buyer::{BuyerRefused, DepositPolicy, Signing};
use farthing_channel::{Address, ChannelTerms, Salt};
use farthing_money::{Amount, Timestamp};
use farthing_wire::x402::batch::ChannelOfferText;

use super::Channel;
use crate::budget::BudgetReject;
use crate::chain::account;
use crate::chain::offer::ChainOffer;
use crate::chain::{ChainId, Method};
use crate::error::WalletError;
use crate::vault::RowKey;
use crate::wallet::Wallet;

/// More lanes than this are not opened with one receiver: each locks money up.
pub(crate) const LANES_MOST: u32 = 16;
/// The delays that the escrow takes, in seconds.
const DELAYS: std::ops::RangeInclusive<u64> = 900..=2_592_000;
/// A deposit that is over so soon is not sent again.
const DEPOSIT_LEAST_SECS: u64 = 20;

/// What an offer says of the channels that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfferedChannel {
    pub(crate) receiver_authorizer: Address,
    pub(crate) withdraw_delay: u32,
    /// What is to be deposited at least.
    pub(crate) least: Option<Amount>,
}

impl OfferedChannel {
    /// Reads it; a reason if nobody should open a channel by it.
    pub(crate) fn of(text: Option<ChannelOfferText>) -> Result<Self, String> {
        let text = text.ok_or("an offer of batch-settlement must name its receiverAuthorizer")?;
        let delay = u32::try_from(text.withdraw_delay).ok().filter(|_| DELAYS.contains(&text.withdraw_delay));
        let withdraw_delay = delay.ok_or_else(|| {
            format!("a withdrawal would take {} s; the escrow takes 900 to 2592000", text.withdraw_delay)
        })?;
        let receiver_authorizer = Address::from_bytes(text.receiver_authorizer.0);
        Ok(Self {
            receiver_authorizer,
            withdraw_delay,
            least: text.min_deposit.and_then(|least| least.amount()),
        })
    }
}

/// A channel that pays, and what is signed for it.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) channel: Channel,
    pub(crate) is_new: bool,
    pub(crate) signing: Signing,
}

/// Whether an offer can be paid through a channel now.
#[derive(Debug)]
pub(crate) enum Found {
    /// By this one.
    Lane(Box<Lane>),
    /// Every one that could is in use by another request of this program; one will be free in a moment.
    Busy,
}

/// Why none pays.
#[derive(Debug)]
pub(crate) enum NoLane {
    /// It would have to be opened or filled up, and nobody has asked for that.
    NotAsked,
    /// More than may lie in channels.
    Limit(Box<BudgetReject>),
    /// A rule says no.
    Refused(BuyerRefused),
    /// The wallet itself.
    Wallet(WalletError),
}

impl NoLane {
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::NotAsked => "it takes a channel, and none is open that covers the price; `farthing pay --channel` opens one".to_owned(),
            Self::Limit(reject) => reject.to_string(),
            Self::Refused(refused) => refused.to_string(),
            Self::Wallet(error) => error.to_string(),
        }
    }
}

/// What the channels for an offer are made of, but for their salt.
pub(crate) fn terms(
    wallet: &Wallet,
    offer: &ChainOffer,
    asked: &OfferedChannel,
    lane: u32,
) -> Result<ChannelTerms, WalletError> {
    Ok(ChannelTerms {
        payer: wallet.account()?,
        payer_authorizer: account::session_key(&wallet.seed)?.address(),
        receiver: offer.pay_to,
        receiver_authorizer: asked.receiver_authorizer,
        token: offer.token.address,
        withdraw_delay: asked.withdraw_delay,
        salt: salt_of(lane),
    })
}

/// A lane's salt is its number, so that the words alone find it again.
fn salt_of(lane: u32) -> Salt {
    let mut bytes = [0; 32];
    bytes.iter_mut().rev().zip(lane.to_be_bytes().iter().rev()).for_each(|(place, byte)| *place = *byte);
    Salt::from_bytes(bytes)
}

/// The channel that pays. `opens` tells that one may be opened or filled up.
pub(crate) fn find(
    wallet: &Wallet,
    offer: &ChainOffer,
    host: &str,
    opens: bool,
    now: Timestamp,
) -> Result<Found, NoLane> {
    let asked = offer.channel.as_ref().ok_or(NoLane::NotAsked)?;
    let base = terms(wallet, offer, asked, 0).map_err(NoLane::Wallet)?;
    let of_offer = |channel: &&Channel| {
        channel.chain() == offer.token.chain
            && ChannelTerms { salt: base.salt, ..channel.terms } == base
            && channel.is_open()
    };
    let mut lanes: Vec<&Channel> = wallet.channels().filter(of_offer).collect();
    lanes.sort_by_key(|channel| channel.lane);
    let policy = |channel: &Channel| DepositPolicy {
        announced: asked.least,
        most: Some(room(wallet, offer, channel, now)),
    };
    let is_free = |channel: &Channel| !wallet.is_held(&RowKey::channel(channel.chain(), channel.id()));
    let covers = |channel: &Channel| {
        let signing = channel.books.sign(offer.units, &policy(channel)).ok()?;
        signing.deposit.is_none().then_some(signing)
    };
    let mut is_busy = false;
    for channel in &lanes {
        match covers(channel) {
            Some(signing) if is_free(channel) => {
                return Ok(lane(channel, false, signing));
            }
            Some(_) => is_busy = true,
            None => {}
        }
    }
    if !opens {
        return if is_busy { Ok(Found::Busy) } else { Err(NoLane::NotAsked) };
    }
    let unused =
        (0..LANES_MOST).find(|number| wallet.channel_lane(&base, offer.token.chain, *number).is_none());
    let fresh = unused.map(|number| fresh(offer, base, number, host, now));
    let candidates = lanes.into_iter().filter(|channel| is_free(channel)).map(|channel| (channel, false));
    let fresh = fresh.as_ref().filter(|channel| is_free(channel)).map(|channel| (channel, true));
    match candidates.chain(fresh).next() {
        Some((channel, is_new)) => {
            let signing = fill(wallet, channel, offer.units, &policy(channel))?;
            Ok(lane(channel, is_new, signing))
        }
        None => Ok(Found::Busy),
    }
}

fn lane(channel: &Channel, is_new: bool, signing: Signing) -> Found {
    Found::Lane(Box::new(Lane { channel: channel.clone(), is_new, signing }))
}

/// What is signed for a price, with a deposit that is within the limit.
fn fill(
    wallet: &Wallet,
    channel: &Channel,
    price: Amount,
    policy: &DepositPolicy,
) -> Result<Signing, NoLane> {
    match channel.books.sign(price, policy) {
        Ok(signing) => Ok(signing),
        Err(BuyerRefused::DepositTooLarge) => {
            let needed = channel.books.charged().checked_add(price).unwrap_or(Amount::MAX);
            let missing = needed.checked_sub(channel.books.balance()).unwrap_or_default();
            let counted = channel.token.counted(missing).map_or(Amount::MAX, Amount::from);
            let limits = wallet.limits(channel.token.counts_as);
            match limits.check_channels(wallet.in_channels(channel.token.counts_as), counted) {
                Err(reject) => Err(NoLane::Limit(Box::new(reject))),
                Ok(()) => Err(NoLane::Refused(BuyerRefused::DepositTooLarge)),
            }
        }
        Err(refused) => Err(NoLane::Refused(refused)),
    }
}

/// The most that may be put into a channel now. A deposit that is signed already counts once: it is sent again.
fn room(wallet: &Wallet, offer: &ChainOffer, channel: &Channel, now: Timestamp) -> Amount {
    let unit = channel.token.counts_as;
    let left = wallet.limits(unit).left_for_channels(wallet.in_channels(unit));
    let again = again(channel, offer.method, Amount::ZERO, now);
    let again = again.map_or(Amount::ZERO, |deposit| deposit.amount);
    let fresh = channel.token.units_within(left).unwrap_or(Amount::MAX);
    fresh.max(again)
}

/// A deposit that is signed already, in the way that an offer takes, and is good for a while: sent again it is still one deposit.
pub(crate) fn again(
    channel: &Channel,
    method: Method,
    missing: Amount,
    now: Timestamp,
) -> Option<&super::SignedDeposit> {
    let late = now.secs().saturating_add(DEPOSIT_LEAST_SECS);
    let mut good =
        channel.under_way().filter(|deposit| deposit.method == method && deposit.until.secs() > late);
    good.find(|deposit| deposit.amount >= missing)
}

/// A lane of an offer, as if nothing were known of it.
pub(crate) fn numbered(
    wallet: &Wallet,
    offer: &ChainOffer,
    number: u32,
    host: &str,
    now: Timestamp,
) -> Result<Option<Channel>, WalletError> {
    let Some(asked) = &offer.channel else { return Ok(None) };
    Ok(Some(fresh(offer, terms(wallet, offer, asked, number)?, number, host, now)))
}

/// A channel of which nothing is known.
fn fresh(offer: &ChainOffer, base: ChannelTerms, lane: u32, host: &str, now: Timestamp) -> Channel {
    Channel {
        token: offer.token.clone(),
        terms: ChannelTerms { salt: salt_of(lane), ..base },
        lane,
        method: offer.method,
        host: host.to_owned(),
        url: String::new(),
        books: farthing_channel::buyer::BuyerBooks::default(),
        booked: Amount::ZERO,
        entered: Amount::ZERO,
        deposits: Vec::new(),
        found: Amount::ZERO,
        returned: Amount::ZERO,
        withdrawal: None,
        sent: None,
        doubt: None,
        opened: now,
    }
}

impl Wallet {
    /// The channels, those of one receiver together.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.state.channels.values()
    }

    /// What lies in channels unspent, or may still be put there, of a unit.
    pub fn in_channels(&self, unit: farthing_money::Unit) -> Amount {
        let here = self.channels().filter(|channel| channel.token.counts_as == unit);
        Amount::try_sum(here.map(Channel::locked)).unwrap_or(Amount::MAX)
    }

    fn channel_lane(&self, base: &ChannelTerms, chain: ChainId, lane: u32) -> Option<&Channel> {
        let terms = ChannelTerms { salt: salt_of(lane), ..*base };
        self.channels().find(|channel| channel.chain() == chain && channel.terms == terms)
    }
}
