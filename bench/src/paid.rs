//! Paid requests: a page of a cent, every request with credits of its own, against the same page for nothing.

use crate::connection::get;
use crate::credential::{authorization, challenge, token};
use crate::failure::Result;
use crate::figure::Figure;
use crate::load;
use crate::mint::{Credit, Mint, split};
use crate::nginx::Nginx;
use crate::ours::{CENT, CENT_PATH, FREE_PATH, Ours};
use crate::settings::Settings;
use crate::stat::{count_for, median, micros_each};

const CONNECTIONS: usize = 32;
const WARM_UP: usize = 200;
const REQUESTS_MIN: usize = 200;
const REQUESTS_MAX: usize = 15_000;
const PEER: &str = "the same page unpaid";

/// How the credits travel.
#[derive(Clone, Copy)]
enum Dialect {
    Cashu,
    Credit,
}

const DIALECTS: [(&str, Dialect); 2] = [("paid_credit", Dialect::Cashu), ("paid_mpp", Dialect::Credit)];

/// Measures the dialects that were asked for.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    let wanted: Vec<_> = DIALECTS.into_iter().filter(|(name, _)| settings.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let site = Nginx::site()?;
    let ours = Ours::start(&settings.farthing, site.port)?;
    let mint = ours.mint().await?;
    let free = get(&ours.address, FREE_PATH, "");
    let mut figures = Vec::new();
    for (name, dialect) in wanted {
        settings.say(&format!("{name}: a page of one cent"));
        let warm =
            load::run(&ours.address, CONNECTIONS, paying(&ours, &mint, dialect, WARM_UP).await?, 200).await?;
        let count = count_for(warm.rate(), settings.seconds, REQUESTS_MIN, REQUESTS_MAX);
        let unpaid_warm = load::run(&ours.address, CONNECTIONS, vec![free.clone(); 2_000], 200).await?;
        let unpaid_count = count_for(unpaid_warm.rate(), settings.seconds, REQUESTS_MIN, 200_000);
        let (mut rates, mut p99, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..settings.rounds {
            let before = ours.server.cpu()?;
            let unpaid = load::run(&ours.address, CONNECTIONS, vec![free.clone(); unpaid_count], 200).await?;
            let unpaid_cpu = micros_each(ours.server.cpu()?.saturating_sub(before), unpaid_count);
            let requests = paying(&ours, &mint, dialect, count).await?;
            let before = ours.server.cpu()?;
            let paid = load::run(&ours.address, CONNECTIONS, requests, 200).await?;
            let paid_cpu = micros_each(ours.server.cpu()?.saturating_sub(before), count);
            rates.push((paid.rate(), unpaid.rate()));
            p99.push(paid.within_ms(0.99));
            cpu.push((paid_cpu, unpaid_cpu));
        }
        figures.push(Figure::against(format!("{name}_vs_unpaid"), "requests/s", PEER, &rates));
        let own: Vec<f64> = rates.iter().map(|(paid, _)| *paid).collect();
        figures.push(Figure::alone(format!("{name}_c{CONNECTIONS}"), "requests/s", median(&own)));
        figures.push(Figure::alone(format!("{name}_c{CONNECTIONS}_p99"), "ms", median(&p99)));
        figures.push(Figure::against(format!("{name}_cpu"), "CPU us/request", PEER, &cpu));
    }
    Ok(figures)
}

/// Requests that each bring a cent.
async fn paying(ours: &Ours, mint: &Mint, dialect: Dialect, count: usize) -> Result<Vec<Vec<u8>>> {
    let parts = split(CENT);
    let credits = mint.fund(&parts.repeat(count)).await?;
    let challenge = match dialect {
        Dialect::Cashu => None,
        Dialect::Credit => Some(challenge(&ours.address, CENT_PATH).await?),
    };
    let request = |credits: &[Credit]| {
        let token = token(&ours.issuer, &mint.unit, credits)?;
        let field = match &challenge {
            None => format!("x-cashu: {token}\r\n"),
            Some(challenge) => format!("authorization: {}\r\n", authorization(challenge, token, None)?),
        };
        Ok(get(&ours.address, CENT_PATH, &field))
    };
    credits.chunks(parts.len()).map(request).collect()
}
