//! Paid requests a second with dollars on a chain: ours against the official server with the official facilitator. Each
//! has a chain of its own with the same settings, every payment is signed before the clock starts, and what counts is what the chain
//! has moved.

use farthing_channel::Address;
use farthing_wire::x402::{Requirements, SCHEME_EXACT};

use crate::chain::Chain;
use crate::express::Express;
use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::load::{self, Round};
use crate::nginx::Nginx;
use crate::ours::{CENT, CENT_PATH, Ours};
use crate::payer::{Payer, offer};
use crate::seller::Seller;
use crate::settings::Settings;
use crate::stat::{count_for, micros_each, percent};

/// Who is paid.
const PAY_TO: Address = Address::from_bytes([0x5e; 20]);
/// More than anybody spends here.
const FUNDS: u128 = 1 << 60;
const WARM_UP: usize = 40;
const REQUESTS_MIN: usize = 30;
const REQUESTS_MAX: usize = 10_000;

/// How many are under way, and how the chain makes blocks.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    connections: usize,
    block_seconds: Option<u64>,
}

const SHAPES: [Shape; 4] = [
    Shape { name: "paid_exact_c1", connections: 1, block_seconds: None },
    Shape { name: "paid_exact_c8", connections: 8, block_seconds: None },
    Shape { name: "paid_exact_c32", connections: 32, block_seconds: None },
    Shape { name: "paid_exact_1s_c32", connections: 32, block_seconds: Some(1) },
];

/// A seller, and the chain that it settles on.
struct Side {
    chain: Chain,
    seller: Seller,
    payer: Payer,
    offer: Requirements,
    count: usize,
}

/// What a round showed of one side.
struct Seen {
    round: Round,
    /// How many payments the chain has carried out.
    settled: usize,
    sent: usize,
    cpu_micros: f64,
    node_cpu_micros: f64,
}

/// Measures the shapes that were asked for.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for block_seconds in [None, Some(1)] {
        let of_chain = |shape: &Shape| shape.block_seconds == block_seconds && settings.wants(shape.name);
        let wanted: Vec<Shape> = SHAPES.into_iter().filter(of_chain).collect();
        if !wanted.is_empty() {
            figures.extend(measure_on(settings, block_seconds, &wanted).await?);
        }
    }
    Ok(figures)
}

async fn measure_on(
    settings: &Settings,
    block_seconds: Option<u64>,
    shapes: &[Shape],
) -> Result<Vec<Figure>> {
    let site = Nginx::site()?;
    let mut ours = Side::ours(settings, block_seconds, site.port).await?;
    let mut theirs = Side::theirs(settings, block_seconds).await?;
    let peer = theirs.seller.server().name().to_owned();
    let mut figures = Vec::new();
    for shape in shapes {
        settings.say(&format!("{}: payments on a chain against {peer}", shape.name));
        for side in [&mut ours, &mut theirs] {
            let warm = side.run(shape.connections, WARM_UP.max(2 * shape.connections)).await?;
            side.count = count_for(warm.round.rate(), settings.seconds, REQUESTS_MIN, REQUESTS_MAX);
        }
        let mut rounds = Vec::new();
        for _ in 0..settings.rounds {
            let seen = theirs.run(shape.connections, theirs.count).await?;
            rounds.push((ours.run(shape.connections, ours.count).await?, seen));
        }
        figures.extend(figures_of(shape.name, &peer, &rounds));
    }
    Ok(figures)
}

impl Side {
    async fn ours(settings: &Settings, block_seconds: Option<u64>, upstream: u16) -> Result<Self> {
        let mut chain = Chain::start(settings.anvil()?, block_seconds).await?;
        let ours = Ours::start_on(&settings.farthing, upstream, &mut chain, (PAY_TO, SCHEME_EXACT)).await?;
        Self::of(chain, Seller::Ours(ours)).await
    }

    async fn theirs(settings: &Settings, block_seconds: Option<u64>) -> Result<Self> {
        let chain = Chain::start(settings.anvil()?, block_seconds).await?;
        let express = Express::start(settings.express()?, &chain, SCHEME_EXACT, (CENT_PATH, CENT), PAY_TO)?;
        Self::of(chain, Seller::Theirs(express)).await
    }

    async fn of(mut chain: Chain, seller: Seller) -> Result<Self> {
        let payer = Payer::new(7)?;
        chain.fund(payer.address(), FUNDS).await?;
        let offer = offer(seller.address(), CENT_PATH).await?;
        Ok(Self { chain, seller, payer, offer, count: 0 })
    }

    async fn run(&mut self, connections: usize, count: usize) -> Result<Seen> {
        let address = self.seller.address().to_owned();
        let request = |_| self.payer.request(&address, CENT_PATH, &self.offer);
        let requests = (0..count).map(request).collect::<Result<Vec<_>>>()?;
        let paid = self.chain.units(PAY_TO).await?;
        let before = (self.seller.server().cpu()?, self.chain.server.cpu()?);
        let round = load::run_some(&address, connections, requests, 200).await?;
        let cpu = self.seller.server().cpu()?.saturating_sub(before.0);
        let node_cpu = self.chain.server.cpu()?.saturating_sub(before.1);
        let moved = self.chain.units(PAY_TO).await?.saturating_sub(paid) / u128::from(CENT);
        let settled = usize::try_from(moved).unwrap_or_default();
        if round.latencies.len() > settled || settled == 0 {
            let delivered = round.latencies.len();
            let said = self.seller.server().last_words();
            return Err(Failure::new(format!(
                "of {count} pages {delivered} were delivered and {settled} paid for; the seller says: {said}"
            )));
        }
        let (cpu_micros, node_cpu_micros) = (micros_each(cpu, settled), micros_each(node_cpu, settled));
        Ok(Seen { round, settled, sent: count, cpu_micros, node_cpu_micros })
    }
}

fn figures_of(name: &str, peer: &str, rounds: &[(Seen, Seen)]) -> Vec<Figure> {
    let of = |read: fn(&Seen) -> f64| -> Vec<(f64, f64)> {
        rounds.iter().map(|(ours, theirs)| (read(ours), read(theirs))).collect()
    };
    let figure = |what: &str, unit, read| Figure::against(format!("{name}_{what}"), unit, peer, &of(read));
    vec![
        figure("vs_x402_express", "paid requests/s", |seen| seen.round.rate()),
        figure("p50", "ms", |seen| seen.round.within_ms(0.5)),
        figure("p99", "ms", |seen| seen.round.within_ms(0.99)),
        figure("settled", "% of requests", |seen| percent(seen.settled, seen.sent)),
        figure("cpu", "CPU us/request", |seen| seen.cpu_micros),
        figure("node_cpu", "CPU us/request of the node", |seen| seen.node_cpu_micros),
    ]
}
