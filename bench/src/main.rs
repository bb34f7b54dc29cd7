//! The program `bench`: measures, and writes one JSON object a line for every figure. `cargo xtask bench` builds what it
//! needs, starts it, and turns its lines into a table.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures go to stdout, talk to stderr")]

mod authorize;
mod bare;
mod cdk;
mod chain;
mod confirmation;
mod escrow;
mod exact;
mod express;
mod figure;
mod lane;
mod load;
mod memory;
mod nginx;
mod ours;
mod paid;
mod payer;
mod proxy;
mod seller;
mod server;
mod session;
mod settings;
mod start;
mod stat;
mod swap;
mod turns;
mod verify;
mod voucher;

use std::process::ExitCode;

use farthing_bench::failure::{Failure, Result};
use farthing_bench::{connection, credential, failure, mint};
use figure::Figure;
use settings::Settings;

fn main() -> ExitCode {
    match Settings::read(std::env::args().skip(1)).and_then(|settings| run(&settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: &Settings) -> Result<()> {
    if let Some(books) = &settings.fill {
        return start::fill(books, settings.payments);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::at("starting the load generator"))?;
    let mut shown = show(&runtime.block_on(swap::measure(settings))?)?;
    shown += show(&proxy::measure(settings)?)?;
    shown += show(&runtime.block_on(paid::measure(settings))?)?;
    shown += show(&runtime.block_on(session::measure(settings))?)?;
    shown += show(&runtime.block_on(authorize::measure(settings))?)?;
    shown += show(&runtime.block_on(exact::measure(settings))?)?;
    shown += show(&runtime.block_on(confirmation::measure(settings))?)?;
    shown += show(&runtime.block_on(voucher::measure(settings))?)?;
    shown += show(&runtime.block_on(verify::measure(settings))?)?;
    shown += show(&runtime.block_on(memory::measure(settings))?)?;
    shown += show(&start::measure(settings)?)?;
    if shown == 0 {
        return Err(Failure::new(
            "no measurement has that name; they begin with swap, proxy, paid, authorize, exact, verify and memory; start is only measured by name",
        ));
    }
    Ok(())
}

/// Writes figures, one a line; says how many.
fn show(figures: &[Figure]) -> Result<usize> {
    for figure in figures {
        println!("{}", serde_json::to_string(figure).map_err(Failure::at("writing a figure"))?);
    }
    Ok(figures.len())
}
