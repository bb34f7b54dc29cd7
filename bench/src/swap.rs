//! Swaps a second, ours against the peer's: the same generator, the same shape of bytes, one after the other in each round.

use std::time::Duration;

use crate::cdk::Cdk;
use crate::failure::Result;
use crate::figure::Figure;
use crate::load::{self, Round};
use crate::mint::Mint;
use crate::ours::Ours;
use crate::server::Server;
use crate::settings::Settings;
use crate::stat::{count_for, micros_each};

const WARM_UP: usize = 300;
const SWAPS_MIN: usize = 200;
const SWAPS_MAX: usize = 60_000;

/// How wide a swap is and how many are under way.
#[derive(Clone, Copy)]
struct Shape {
    width: usize,
    connections: usize,
    /// Whether to tell p99 and CPU as well.
    in_depth: bool,
}

const SHAPES: [Shape; 4] = [
    Shape { width: 1, connections: 1, in_depth: false },
    Shape { width: 1, connections: 8, in_depth: false },
    Shape { width: 1, connections: 32, in_depth: true },
    Shape { width: 8, connections: 8, in_depth: false },
];

impl Shape {
    fn name(self) -> String {
        let Self { width, connections, .. } = self;
        format!("swap_{width}x{width}_c{connections}")
    }
}

/// A mint and how many swaps it does in the time of a round.
struct Side<'a> {
    server: &'a Server,
    mint: Mint,
    count: usize,
}

/// What a round showed of one side.
struct Seen {
    round: Round,
    cpu_micros: f64,
}

/// Measures the shapes that were asked for.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    let wanted: Vec<Shape> = SHAPES.into_iter().filter(|shape| settings.wants(&shape.name())).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let peer = Cdk::start(settings.cdk()?)?;
    // Nothing is asked of the gate here; the upstream need not exist.
    let ours = Ours::start(&settings.farthing, 9)?;
    let mut figures = Vec::new();
    for shape in wanted {
        settings.say(&format!("{}: swaps against {}", shape.name(), peer.server.name()));
        let mut us = Side { server: &ours.server, mint: ours.mint().await?, count: 0 };
        let mut them = Side { server: &peer.server, mint: peer.mint().await?, count: 0 };
        for side in [&mut us, &mut them] {
            let warm = side.run(shape, WARM_UP).await?;
            side.count = count_for(warm.round.rate(), settings.seconds, SWAPS_MIN, SWAPS_MAX);
        }
        let mut rounds = Vec::new();
        for _ in 0..settings.rounds {
            let theirs = them.run(shape, them.count).await?;
            let own = us.run(shape, us.count).await?;
            rounds.push((own, theirs));
        }
        figures.extend(figures_of(shape, peer.server.name(), &rounds));
    }
    Ok(figures)
}

impl Side<'_> {
    async fn run(&self, shape: Shape, count: usize) -> Result<Seen> {
        let swaps = self.mint.swaps(count, shape.width).await?;
        let before = self.server.cpu()?;
        let round = load::run(&self.mint.address, shape.connections, swaps, 200).await?;
        let cpu: Duration = self.server.cpu()?.saturating_sub(before);
        Ok(Seen { round, cpu_micros: micros_each(cpu, count) })
    }
}

fn figures_of(shape: Shape, peer: &str, rounds: &[(Seen, Seen)]) -> Vec<Figure> {
    let of = |read: fn(&Seen) -> f64| -> Vec<(f64, f64)> {
        rounds.iter().map(|(ours, theirs)| (read(ours), read(theirs))).collect()
    };
    let name = shape.name();
    let mut figures =
        vec![Figure::against(format!("{name}_vs_cdk"), "swaps/s", peer, &of(|seen| seen.round.rate()))];
    if shape.in_depth {
        let p50 = of(|seen| seen.round.within_ms(0.5));
        let p99 = of(|seen| seen.round.within_ms(0.99));
        figures.push(Figure::against(format!("{name}_p50"), "ms", peer, &p50));
        figures.push(Figure::against(format!("{name}_p99"), "ms", peer, &p99));
        figures.push(Figure::against(
            format!("{name}_cpu"),
            "CPU us/swap",
            peer,
            &of(|seen| seen.cpu_micros),
        ));
    }
    figures
}
