//! What a paid page takes longer than the chain itself: the time from a request with a payment to its answer, against a bare
//! `transferWithAuthorization` that is handed to the same node and awaited to the same depth. One at a time.

use std::time::{Duration, Instant};

use farthing_channel::{Address, ChainId, call};
use farthing_evm::{Fees, Transaction};
use farthing_money::Amount;
use farthing_wire::x402::{Requirements, SCHEME_EXACT};
use serde_json::json;

use crate::chain::{CHAIN, Chain, Rpc};
use crate::connection::Connection;
use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::nginx::Nginx;
use crate::ours::{CENT_PATH, Ours};
use crate::payer::{Payer, offer};
use crate::settings::Settings;
use crate::stat::{mean, median, parts_of_a_second};

const PAY_TO: Address = Address::from_bytes([0x5e; 20]);
const FUNDS: u128 = 1 << 60;
const PEER: &str = "a bare transfer, sent to the node and confirmed";
const WARM_UP: usize = 5;
/// Pairs of a round where every transaction has a block at once.
const PAIRS: usize = 40;
/// More than the transfer uses.
const GAS: u64 = 200_000;

/// The measurements, and how often their chain makes a block.
const SHAPES: [(&str, Option<u64>); 2] = [("exact_latency", None), ("exact_latency_1s", Some(1))];

/// Everything that takes part.
struct Scene {
    chain: Chain,
    node: Rpc,
    payer: Payer,
    offer: Requirements,
    page: Connection,
    address: String,
    /// The number of the bare sender's next transaction.
    number: u64,
    _ours: Ours,
    _site: Nginx,
}

/// Measures what was asked for.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, block_seconds) in SHAPES {
        if !settings.wants(name) {
            continue;
        }
        settings.say(&format!("{name}: a paid page against {PEER}"));
        let mut scene = Scene::start(settings, block_seconds).await?;
        for _ in 0..WARM_UP {
            scene.bare().await?;
            scene.paid().await?;
        }
        let mut rounds = Vec::new();
        for _ in 0..settings.rounds {
            rounds.push(match block_seconds {
                None => scene.at_once().await?,
                Some(_) => scene.at_all_times_of_a_block(settings.seconds).await?,
            });
        }
        figures.push(Figure::against(format!("{name}_vs_confirmation"), "ms", PEER, &rounds));
    }
    Ok(figures)
}

impl Scene {
    async fn start(settings: &Settings, block_seconds: Option<u64>) -> Result<Self> {
        let site = Nginx::site()?;
        let mut chain = Chain::start(settings.anvil()?, block_seconds).await?;
        let ours = Ours::start_on(&settings.farthing, site.port, &mut chain, (PAY_TO, SCHEME_EXACT)).await?;
        let payer = Payer::new(7)?;
        chain.fund(payer.address(), FUNDS).await?;
        let offer = offer(&ours.address, CENT_PATH).await?;
        let (page, address) = (Connection::open(&ours.address).await?, ours.address.clone());
        let mut node = Rpc::open(&chain.address).await?;
        let number = node.count(payer.address()).await?;
        Ok(Self { chain, node, payer, offer, page, address, number, _ours: ours, _site: site })
    }

    /// A bare transfer, then a paid page, again and again: the medians in milliseconds.
    async fn at_once(&mut self) -> Result<(f64, f64)> {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            bare.push(self.bare().await?);
            ours.push(self.paid().await?);
        }
        Ok((median(&ours), median(&bare)))
    }

    /// How long a block is waited for depends on when one begins to wait. So both begin at the same places between two
    /// blocks, evenly spread; the means in milliseconds.
    async fn at_all_times_of_a_block(&mut self, seconds: u64) -> Result<(f64, f64)> {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        let parts = u32::try_from(seconds.saturating_mul(2)).unwrap_or(u32::MAX);
        for place in parts_of_a_second(parts) {
            self.node.next_block().await?;
            tokio::time::sleep(place).await;
            bare.push(self.bare().await?);
            self.node.next_block().await?;
            tokio::time::sleep(place).await;
            ours.push(self.paid().await?);
        }
        Ok((mean(&ours), mean(&bare)))
    }

    async fn paid(&mut self) -> Result<f64> {
        let request = self.payer.request(&self.address, CENT_PATH, &self.offer)?;
        let begun = Instant::now();
        self.page.exchange(&request).await?.expect(200)?;
        Ok(millis(begun.elapsed()))
    }

    /// Signed before the clock starts, as the payment is. The payer pays the gas, so that both have a sender of their own.
    async fn bare(&mut self) -> Result<f64> {
        let (authorization, signature) = self.payer.authorize(&self.offer)?;
        let transaction = Transaction {
            chain: ChainId::new(CHAIN),
            number: self.number,
            fees: Fees { most: Amount::new(10_000_000_000), tip: Amount::new(1_000) },
            gas: GAS,
            to: self.chain.dollar,
            coin: Amount::ZERO,
            input: call::transfer_with_authorization(&authorization, &signature),
        };
        let signature = self.payer.key().sign(&transaction.digest());
        let signed = transaction.signed(&signature);
        let signed = signed.ok_or_else(|| Failure::new("a transaction was not signed"))?;
        self.number += 1;
        let bytes = farthing_channel::bytes_to_hex(&signed.bytes);
        let begun = Instant::now();
        self.node.ask("eth_sendRawTransaction", json!([bytes])).await?;
        self.node.receipt(signed.hash).await?;
        Ok(millis(begun.elapsed()))
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
