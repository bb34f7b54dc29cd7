//! The chains of an installation: what the gate asks of them, who sends their transactions, and whom else we settle for.
//!
//! The room of the chains (farthing-evm) speaks to one chain at a time; here they are put together, with the books and with
//! our own account, whose key comes from the sealed seed.

mod access;
pub mod admin;
pub mod channel_desk;
mod channels;
pub mod facilitator_api;
mod inlets;
pub mod outbox;
pub mod reconcile;
pub mod seller;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use farthing_channel::{Address, SigningKey};
use farthing_engine::{Call, CallId, ChainAddress, Fault, Movement, Outcome, PaymentId, QuoteId, Read};
use farthing_evm::{
    ChainConfig, Facilitator, Facilitators, HttpLimits, HttpNode, InletWatcher, Invalid, Node, NodeError,
    NotVerified, Ports, RemoteSigner, Signer, Submitter, TokenConfig,
};
use farthing_gate::chain::channel::Channels;
use farthing_gate::chain::{
    Bounds, ChainFuture, ChainRefusal, Chains, CreditTerms, Destination, Inlet, Transfer, Verified,
    Withdrawal,
};
use farthing_ledger::Account;
use farthing_money::{Amount, Asset, Money, Span};
use farthing_wire::x402::{AssetTransferMethod, Payload, Reason, Requirements};
use tokio::task::JoinSet;

use channels::Harbour;
use seller::SellerKeys;
pub use status::{ChainStatus, SignerStatus, TokenStatus};

use crate::config::{ChainSection, CreditSale};
use crate::installation::Installation;

/// How long a withdrawal may wait for a cheaper block. Its transfer has no end of its own.
const WITHDRAWAL_TIME: Span = Span::from_secs(24 * 3600);

/// How many channels are read at once.
const CHANNELS_AT_ONCE: usize = 1_000;

fn engine_address(address: Address) -> ChainAddress {
    ChainAddress::from_bytes(*address.as_bytes())
}

/// The chains as they are with our own account.
pub fn configured(sections: &[ChainSection], own: Address) -> Vec<ChainConfig> {
    sections.iter().map(|section| section.with_own_account(own)).collect()
}

/// The accounts that the books need for these chains.
pub fn accounts(chains: &[ChainConfig]) -> Vec<Account> {
    chains.iter().flat_map(ChainConfig::accounts).collect()
}

/// Calls that are under way on chains which are not configured any more, by the chain's number: nobody looks after them.
pub fn abandoned(installation: &Installation) -> Result<BTreeMap<u64, usize>, Fault> {
    let mut abandoned = BTreeMap::new();
    for (_, row) in installation.books.calls()? {
        let chain = row.call.chain;
        if installation.chains.iter().all(|configured| configured.id.number() != chain) {
            let calls: &mut usize = abandoned.entry(chain).or_default();
            *calls = calls.saturating_add(1);
        }
    }
    Ok(abandoned)
}

/// Channels that owe something on chains which are not configured any more, by the chain's number: nobody claims it.
pub fn abandoned_channels(installation: &Installation) -> Result<BTreeMap<u64, usize>, Fault> {
    let is_known = |chain| installation.chains.iter().any(|known| known.id.number() == chain);
    owing_elsewhere(installation.books.as_ref(), is_known)
}

/// Channels that owe something on chains which are not known, by the chain's number.
fn owing_elsewhere(books: &dyn Read, is_known: impl Fn(u64) -> bool) -> Result<BTreeMap<u64, usize>, Fault> {
    let (mut abandoned, mut after) = (BTreeMap::new(), None);
    loop {
        let page = books.channels_after(after, CHANNELS_AT_ONCE)?;
        for (id, row) in &page {
            after = Some(*id);
            if !is_known(row.chain) && !row.unclaimed().is_zero() {
                let channels: &mut usize = abandoned.entry(row.chain).or_default();
                *channels = channels.saturating_add(1);
            }
        }
        if page.len() < CHANNELS_AT_ONCE {
            return Ok(abandoned);
        }
    }
}

fn say_abandoned(installation: &Installation) {
    match abandoned_channels(installation) {
        Ok(abandoned) => {
            for (chain, channels) in abandoned {
                tracing::error!(
                    chain,
                    channels,
                    "channels owe something on a chain that is not configured: nobody claims it, and their payers can take it back; put its [[chain]] back"
                );
            }
        }
        Err(error) => tracing::error!(%error, "the channels cannot be read"),
    }
    match abandoned(installation) {
        Ok(abandoned) => {
            for (chain, calls) in abandoned {
                tracing::error!(
                    chain,
                    calls,
                    "calls are under way on a chain that is not configured: what they pay for never ends; put its [[chain]] back"
                );
            }
        }
        Err(error) => tracing::error!(%error, "the calls that are under way cannot be read"),
    }
}

/// Whoever signs on a chain: the program that the configuration names, or our own account.
fn signer_of(chain: &ChainConfig, own: &SigningKey) -> Result<Arc<dyn Signer>, NodeError> {
    Ok(match &chain.remote {
        Some(remote) => Arc::new(RemoteSigner::new(&remote.signer, remote.account, RemoteSigner::limits())?),
        None => Arc::new(own.clone()),
    })
}

/// All chains of an installation. Clones share them.
#[derive(Clone)]
pub struct ChainRoom {
    facilitators: Facilitators,
    sales: Arc<[CreditSale]>,
    /// What sends, if it ends with the last clone of this.
    work: Option<Arc<JoinSet<()>>>,
    inlets: Arc<[Arc<InletWatcher>]>,
    harbours: Arc<[Harbour]>,
    sellers: SellerKeys,
}

impl ChainRoom {
    /// The chains of an open installation; nothing if none is configured.
    pub fn open(installation: &Installation) -> Result<Option<Self>, NodeError> {
        Self::over(installation, |chain| {
            let node = HttpNode::new(chain.id, &chain.nodes, HttpLimits::default())?;
            Ok(Arc::new(node) as Arc<dyn Node>)
        })
    }

    /// The same with nodes that are asked in another way, so that a simulation runs what the program runs.
    pub fn over(
        installation: &Installation,
        node: impl Fn(&ChainConfig) -> Result<Arc<dyn Node>, NodeError>,
    ) -> Result<Option<Self>, NodeError> {
        say_abandoned(installation);
        let Some(account) = &installation.chain_account else { return Ok(None) };
        let one = |chain: &ChainConfig| {
            let signer = signer_of(chain, account)?;
            Ok(Self::facilitator(installation, chain.clone(), signer, node(chain)?))
        };
        let all = installation.chains.iter().map(one).collect::<Result<Vec<_>, NodeError>>()?;
        let sales: Arc<[CreditSale]> = installation.credit_sales.clone().into();
        let facilitators = Facilitators::new(all);
        let inlets = inlets::watchers(installation, &facilitators, &sales);
        let harbours = channels::harbours(&facilitators);
        let sellers = SellerKeys::new(installation.sellers.clone());
        Ok(Some(Self { facilitators, sales, inlets, harbours, sellers, work: None }))
    }

    fn facilitator(
        installation: &Installation,
        chain: ChainConfig,
        signer: Arc<dyn Signer>,
        node: Arc<dyn Node>,
    ) -> Arc<Facilitator> {
        let ports = Ports {
            chain: Arc::new(chain),
            node,
            signer,
            read: Arc::clone(&installation.books),
            execute: Arc::clone(&installation.writer),
            clock: Arc::clone(&installation.clock),
        };
        Arc::new(Facilitator::new(Arc::new(Submitter::new(ports))))
    }

    /// What settles, chain by chain.
    pub fn facilitators(&self) -> &Facilitators {
        &self.facilitators
    }

    /// Sends what is in the outbox and watches what becomes of it, for ever.
    pub fn start(&self, tasks: &mut JoinSet<()>) {
        for facilitator in self.facilitators.iter() {
            let submitter = Arc::clone(facilitator.submitter());
            tasks.spawn(async move { submitter.run(std::future::pending()).await });
        }
        for watcher in self.inlets.iter() {
            let watcher = Arc::clone(watcher);
            tasks.spawn(async move { watcher.run(std::future::pending()).await });
        }
        for harbour in self.harbours.iter() {
            let worker = Arc::clone(&harbour.worker);
            tasks.spawn(async move { worker.run(std::future::pending()).await });
        }
    }

    /// The same, which sends for as long as there is a clone of it. Within a runtime.
    #[must_use]
    pub fn at_work(mut self) -> Self {
        let mut tasks = JoinSet::new();
        self.start(&mut tasks);
        self.work = Some(Arc::new(tasks));
        self
    }

    fn chains(&self) -> impl Iterator<Item = &ChainConfig> {
        self.facilitators.iter().map(|facilitator| facilitator.submitter().ports().chain.as_ref())
    }

    fn of(&self, offer: &Requirements) -> Result<&Arc<Facilitator>, ChainRefusal> {
        self.facilitators.of_network(&offer.network).ok_or_else(|| {
            let message = format!("expected a payment on a chain that is configured, got {}", offer.network);
            ChainRefusal::Invalid { reason: Reason::NetworkMismatch, message }
        })
    }

    fn token(&self, offer: &Requirements) -> Option<(&ChainConfig, &TokenConfig)> {
        let chain = &self.facilitators.of_network(&offer.network)?.submitter().ports().chain;
        let address = Address::from_bytes(offer.asset_address()?.0);
        Some((chain, chain.token(address)?))
    }
}

fn invalid(Invalid { reason, message, .. }: Invalid) -> ChainRefusal {
    ChainRefusal::Invalid { reason, message }
}

fn unreadable() -> ChainRefusal {
    let message = "expected a payment in the shape of its scheme, got another".to_owned();
    ChainRefusal::Invalid { reason: Reason::UnsupportedPayloadType, message }
}

impl Chains for ChainRoom {
    fn offers(&self, price: Money) -> Vec<Requirements> {
        self.facilitators.offers(price)
    }

    fn price(&self, offer: &Requirements, units: Amount) -> Option<Money> {
        let (_, token) = self.token(offer)?;
        Some(token.asset.money(token.amount(units)?))
    }

    fn decimals(&self, offer: &Requirements) -> Option<u8> {
        self.token(offer).map(|(_, token)| token.decimals)
    }

    fn sponsors(&self, offer: &Requirements) -> bool {
        let by_permit2 = offer.extra.method() == Some(AssetTransferMethod::Permit2);
        by_permit2 && self.token(offer).is_some_and(|(_, token)| token.sponsored)
    }

    fn payment(&self, offer: &Requirements, payload: &Payload) -> Result<PaymentId, ChainRefusal> {
        self.of(offer)?.payment_of(offer, payload).ok_or_else(unreadable)
    }

    fn verify<'a>(
        &'a self,
        offer: &'a Requirements,
        payload: &'a Payload,
    ) -> ChainFuture<'a, Result<Verified, ChainRefusal>> {
        Box::pin(async move {
            let verified = self.of(offer)?.verify(offer, payload).await.map_err(|error| match error {
                NotVerified::Invalid(refused) => invalid(refused),
                NotVerified::Unknown(error) => ChainRefusal::Unreachable(error.to_string()),
            })?;
            let (chain, token) = self.token(offer).ok_or_else(unreadable)?;
            let most = token.amount(verified.units).ok_or_else(unreadable)?;
            Ok(Verified { reserve: chain.reserve(token).id(), most: token.asset.money(most) })
        })
    }

    fn call(&self, offer: &Requirements, payload: &Payload, charged: Money) -> Result<Call, ChainRefusal> {
        let (_, token) = self.token(offer).ok_or_else(unreadable)?;
        let units = token.units(charged.amount()).ok_or_else(unreadable)?;
        self.of(offer)?.call_of(offer, payload, units).map_err(invalid)
    }

    fn escrow_offers(&self, price: Money) -> Vec<Requirements> {
        self.facilitators.escrow_offers(price)
    }

    fn put_into_escrow(
        &self,
        offer: &Requirements,
        payload: &Payload,
        money: Money,
    ) -> Result<Call, ChainRefusal> {
        let (_, token) = self.token(offer).ok_or_else(unreadable)?;
        let units = token.units(money.amount()).ok_or_else(unreadable)?;
        self.of(offer)?.put_into_escrow(offer, payload, units).map_err(invalid)
    }

    fn out_of_escrow(&self, authorize: &Call, money: Option<Money>) -> Result<Call, ChainRefusal> {
        let facilitator = self.facilitators.of_chain(authorize.chain).ok_or_else(unreadable)?;
        let chain = &facilitator.submitter().ports().chain;
        let units = |money: Money| {
            let token = chain.token(Address::from_bytes(*authorize.moves.token.as_bytes()))?;
            token.units(money.amount()).filter(|_| token.asset == money.asset())
        };
        let units = money.map(|money| units(money).ok_or_else(unreadable)).transpose()?;
        facilitator.out_of_escrow(authorize, units).map_err(invalid)
    }

    fn credit_terms(&self, asset: Asset) -> Option<CreditTerms> {
        let sale = self.sales.iter().find(|sale| sale.asset == asset)?;
        let bounds = Bounds { least: sale.least, most: None };
        Some(CreditTerms { deposit: bounds, withdrawal: bounds, withdrawal_fee: sale.withdrawal_fee })
    }

    fn withdrawal(&self, amount: Money, to: &Destination) -> Result<Withdrawal, ChainRefusal> {
        let refuse = |message: String| ChainRefusal::Invalid { reason: Reason::RecipientMismatch, message };
        let mut tokens = self.chains().flat_map(|chain| chain.tokens.iter().map(move |token| (chain, token)));
        let fits = |(chain, token): &(&ChainConfig, &TokenConfig)| {
            token.asset == amount.asset()
                && self.sales.iter().any(|sale| (sale.chain, sale.token) == (chain.id, token.address))
                && to.token.is_none_or(|wanted| wanted == (chain.id.number(), token.address))
        };
        let (chain, token) = tokens.find(fits).ok_or_else(|| {
            let asset = amount.asset();
            refuse(format!("expected a token for which credits of {asset} are sold here"))
        })?;
        let own = self.facilitators.of_chain(chain.id.number()).ok_or_else(unreadable)?.submitter();
        if chain.pay_to != own.address() {
            return Err(refuse(
                "payers pay another account here than the one that pays out; ask the operator".to_owned(),
            ));
        }
        if to.to.is_zero() || [token.address, own.address()].contains(&to.to) {
            return Err(refuse(format!("expected an account of yours, got {}", to.to)));
        }
        let units = token.units(amount.amount()).filter(|units| !units.is_zero());
        let units =
            units.ok_or_else(|| refuse(format!("{amount} is no whole number of the token's units")))?;
        let now = (own.ports().clock)();
        let moves = Movement {
            token: engine_address(token.address),
            from: engine_address(own.address()),
            to: engine_address(to.to),
            units,
        };
        let call = Call {
            chain: chain.id.number(),
            to: moves.token,
            input: farthing_channel::call::transfer(to.to, units.into()),
            moves,
            until: now.after(WITHDRAWAL_TIME),
            approval: None,
        };
        Ok(Withdrawal { call, reserve: chain.reserve(token).id() })
    }

    fn inlet(&self, quote: QuoteId, amount: Money) -> Option<Inlet> {
        let mut ways = Vec::new();
        for watcher in self.inlets.iter() {
            for token in watcher.tokens().filter(|token| token.asset == amount.asset()) {
                let units = token.units(amount.amount()).filter(|units| !units.is_zero());
                let way = |units| Transfer {
                    chain: watcher.chain(),
                    token: token.address,
                    symbol: token.symbol.clone(),
                    units,
                };
                ways.extend(units.map(way));
            }
        }
        let address = self.inlets.first().filter(|_| !ways.is_empty())?.address(quote)?;
        Some(Inlet { address, ways })
    }

    fn channels(&self) -> Option<&dyn Channels> {
        self.harbours.iter().any(|harbour| !harbour.desks.is_empty()).then_some(self)
    }

    fn look(&self) {
        self.inlets.iter().for_each(|watcher| watcher.wake());
    }

    fn ended(&self, call: CallId) -> ChainFuture<'_, Option<Outcome>> {
        Box::pin(async move {
            let books = self.facilitators.iter().next()?.submitter().ports().read.clone();
            let chain = match books.call(call) {
                Ok(Some(row)) => row.call.chain,
                _ => return books.settlement(call).ok().flatten().map(|row| row.outcome),
            };
            let facilitator = self.facilitators.of_chain(chain)?;
            let patience = facilitator.submitter().ports().chain.patience;
            facilitator.wait(call, patience).await.unwrap_or_else(|error| {
                tracing::error!(%error, "what became of a call cannot be read");
                None
            })
        })
    }
}
