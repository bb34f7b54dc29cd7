//! Paid requests a second by vouchers of channels: ours against the official server with the official facilitator, and against the same
//! page of ours unpaid. All vouchers are signed before the clock starts; what a channel takes is in turn, and there are many channels.
//! After the last round everything is claimed and moved, and nothing is told unless payers, books and chain agree to the unit.

use std::time::Duration;

use farthing_channel::Address;
use farthing_wire::x402::Requirements;
use farthing_wire::x402::batch::SCHEME_BATCH;
use rayon::prelude::*;

use crate::bare::{VERIFICATION, verification_micros};
use crate::chain::Chain;
use crate::connection::get;
use crate::express::Express;
use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::lane::{Lane, Paying, channel_offer};
use crate::load;
use crate::nginx::Nginx;
use crate::ours::{CENT, CENT_PATH, FREE_PATH, Ours};
use crate::seller::Seller;
use crate::settings::Settings;
use crate::stat::{count_for, micros_each, percent};
use crate::turns::{self, Turns};

const NAME_OF_IT: &str = "paid_voucher";
const UNPAID: &str = "the same page unpaid";
/// Each with a payer of its own.
const CHANNELS: u8 = 32;
/// Who is paid.
const PAY_TO: Address = Address::from_bytes([0x5e; 20]);
/// What is in each channel: more than anybody spends here.
const DEPOSIT: u128 = 1 << 50;
const WARM_UP: Duration = Duration::from_secs(1);
/// Vouchers of each channel for the first look at how fast a seller is.
const FIRST: usize = 300;
const UNPAID_WARM_UP: usize = 4_000;
const UNPAID_MOST: usize = 400_000;
/// A channel's vouchers for a round: so many times what it is expected to use, and not more than this.
const SPARE: usize = 2;
const VOUCHERS_MOST: usize = 8_000;

/// A seller, the chain that it settles on, and the channels of its payers.
struct Side {
    chain: Chain,
    seller: Seller,
    lanes: Vec<Lane>,
    /// Vouchers of each channel for a round.
    vouchers: usize,
}

/// What a round showed of one side.
struct Seen {
    turns: Turns,
    cpu_micros: f64,
    node_cpu_micros: f64,
}

/// What a round showed of everybody.
struct Compared {
    theirs: Seen,
    ours: Seen,
    unpaid_rate: f64,
    unpaid_cpu: f64,
    verification: f64,
}

/// Measures it if it was asked for.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    if !settings.wants(NAME_OF_IT) {
        return Ok(Vec::new());
    }
    let site = Nginx::site()?;
    let mut theirs = Side::theirs(settings).await?;
    let mut ours = Side::ours(settings, site.port).await?;
    let peer = theirs.seller.server().name().to_owned();
    settings.say(&format!("{NAME_OF_IT}: vouchers of {CHANNELS} channels against {peer}"));
    for side in [&mut theirs, &mut ours] {
        side.warm_up(settings.seconds).await?;
    }
    let unpaid = ours.unpaid(UNPAID_WARM_UP).await?.0;
    let count = count_for(unpaid, settings.seconds, UNPAID_WARM_UP, UNPAID_MOST);
    let time = Duration::from_secs(settings.seconds);
    let mut rounds = Vec::new();
    for _ in 0..settings.rounds {
        let theirs = theirs.run(time).await?;
        let (unpaid_rate, unpaid_cpu) = ours.unpaid(count).await?;
        let verification = verification_micros()?;
        let ours = ours.run(time).await?;
        rounds.push(Compared { theirs, ours, unpaid_rate, unpaid_cpu, verification });
    }
    for side in [&mut theirs, &mut ours] {
        side.close().await?;
    }
    Ok(figures_of(&peer, &rounds))
}

impl Side {
    async fn theirs(settings: &Settings) -> Result<Self> {
        let mut chain = Chain::start(settings.anvil()?, None).await?;
        chain.place_escrow().await?;
        let sold = (CENT_PATH, CENT);
        let express = Express::start(settings.express()?, &chain, SCHEME_BATCH, sold, PAY_TO)?;
        Self::of(chain, Seller::Theirs(express)).await
    }

    async fn ours(settings: &Settings, upstream: u16) -> Result<Self> {
        let mut chain = Chain::start(settings.anvil()?, None).await?;
        chain.place_escrow().await?;
        let ours = Ours::start_on(&settings.farthing, upstream, &mut chain, (PAY_TO, SCHEME_BATCH)).await?;
        Self::of(chain, Seller::Ours(ours)).await
    }

    /// With channels that are filled on the chain, of which the seller has not heard yet.
    async fn of(mut chain: Chain, seller: Seller) -> Result<Self> {
        let offer: Requirements = channel_offer(seller.address(), CENT_PATH).await?;
        let mut lanes = Vec::new();
        for byte in 1..=CHANNELS {
            let lane = Lane::new(byte, &offer)?;
            chain.fund(lane.terms().payer, DEPOSIT).await?;
            chain.deposit(lane.terms(), &lane.deposit(DEPOSIT)).await?;
            lanes.push(lane);
        }
        Ok(Self { chain, seller, lanes, vouchers: FIRST })
    }

    /// Lets the seller hear of the channels, and looks how fast it is.
    async fn warm_up(&mut self, seconds: u64) -> Result<()> {
        let first = self.run(WARM_UP).await?.turns;
        if let Some(wrong) = first.wrong.first() {
            let name = self.seller.server().name();
            return Err(Failure::new(format!("{name} does not take vouchers: {wrong}")));
        }
        let each = first.round.rate() / f64::from(CHANNELS);
        self.vouchers = count_for(each, seconds, FIRST, VOUCHERS_MOST / SPARE) * SPARE;
        Ok(())
    }

    /// Signs, then pays for so long.
    async fn run(&mut self, time: Duration) -> Result<Seen> {
        let address = self.seller.address().to_owned();
        let sign = |lane: &Lane| lane.next(&address, CENT_PATH, self.vouchers);
        let requests: Vec<Vec<Paying>> = self.lanes.par_iter().map(sign).collect::<Result<_>>()?;
        let before = (self.seller.server().cpu()?, self.chain.server.cpu()?);
        let turns = turns::run(&address, requests, time).await?;
        let cpu = self.seller.server().cpu()?.saturating_sub(before.0);
        let node_cpu = self.chain.server.cpu()?.saturating_sub(before.1);
        for (lane, charged) in self.lanes.iter_mut().zip(&turns.charged) {
            lane.charged = charged.unwrap_or(lane.charged);
        }
        let name = self.seller.server().name();
        for wrong in &turns.wrong {
            eprintln!("bench: {name} has answered otherwise: {wrong}");
        }
        if turns.ran_out > 0 {
            eprintln!("bench: the vouchers of {} channels of {name} were used up early", turns.ran_out);
        }
        let each = |span| micros_each(span, turns.round.latencies.len());
        let (cpu_micros, node_cpu_micros) = (each(cpu), each(node_cpu));
        Ok(Seen { turns, cpu_micros, node_cpu_micros })
    }

    /// The page that costs nothing, over as many connections: requests a second, and what one takes of a CPU.
    async fn unpaid(&self, count: usize) -> Result<(f64, f64)> {
        let address = self.seller.address();
        let before = self.seller.server().cpu()?;
        let requests = vec![get(address, FREE_PATH, ""); count];
        let round = load::run(address, CHANNELS.into(), requests, 200).await?;
        let cpu = self.seller.server().cpu()?.saturating_sub(before);
        Ok((round.rate(), micros_each(cpu, count)))
    }

    /// Claims and moves everything, and compares what was paid, what the books say and what the chain has moved.
    async fn close(&mut self) -> Result<()> {
        let paid: u128 = self.lanes.iter().map(|lane| lane.charged).sum();
        let books = match &self.seller {
            Seller::Ours(ours) => ours.close(&mut self.chain, PAY_TO, paid).await?,
            Seller::Theirs(theirs) => theirs.close().await?,
        };
        let mut claimed = 0;
        for lane in &self.lanes {
            claimed += self.chain.claimed_of(lane.id()).await?;
        }
        let (receivers, settled) = self.chain.receiver(PAY_TO).await?;
        let moved = self.chain.units(PAY_TO).await?;
        if [books, claimed, receivers, settled, moved] != [paid; 5] {
            return Err(Failure::new(format!(
                "{}: payers have paid {paid}; the books say {books}, claimed are {claimed} and {receivers}, settled {settled}, moved {moved}",
                self.seller.server().name()
            )));
        }
        eprintln!("bench: {}: {paid} units paid, booked, claimed and moved", self.seller.server().name());
        Ok(())
    }
}

fn figures_of(peer: &str, rounds: &[Compared]) -> Vec<Figure> {
    let of = |read: fn(&Compared) -> (f64, f64)| -> Vec<(f64, f64)> { rounds.iter().map(read).collect() };
    let figure = |what: &str, unit, peer: &str, read| {
        Figure::against(format!("{NAME_OF_IT}_{what}"), unit, peer, &of(read))
    };
    let both = |what: &str, unit, read: fn(&Seen) -> f64| {
        let values: Vec<_> = rounds.iter().map(|round| (read(&round.ours), read(&round.theirs))).collect();
        Figure::against(format!("{NAME_OF_IT}_{what}"), unit, peer, &values)
    };
    vec![
        both("vs_x402_express", "paid requests/s", |seen| seen.turns.round.rate()),
        figure("vs_unpaid", "requests/s", UNPAID, |round| (round.ours.turns.round.rate(), round.unpaid_rate)),
        both("p50", "ms", |seen| seen.turns.round.within_ms(0.5)),
        both("p99", "ms", |seen| seen.turns.round.within_ms(0.99)),
        both("served", "% of answers", |seen| {
            let served = seen.turns.round.latencies.len();
            percent(served, served + seen.turns.wrong.len())
        }),
        both("cpu", "CPU us/request", |seen| seen.cpu_micros),
        both("node_cpu", "CPU us/request of the node", |seen| seen.node_cpu_micros),
        figure("cpu_vs_unpaid", "CPU us/request", UNPAID, |round| (round.ours.cpu_micros, round.unpaid_cpu)),
        figure(
            "more_cpu_vs_verification",
            "CPU us/voucher beyond the unpaid request",
            VERIFICATION,
            |round| (round.ours.cpu_micros - round.unpaid_cpu, round.verification),
        ),
        figure("cpu_vs_verification", "CPU us/request", VERIFICATION, |round| {
            (round.ours.cpu_micros, round.verification)
        }),
    ]
}
