//! What costs nothing, proxied: ours against nginx, before the same site, loaded by wrk.

use std::process::Command;

use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::nginx::Nginx;
use crate::ours::Ours;
use crate::server::Server;
use crate::settings::Settings;

/// Seconds before the first round of each path.
const WARM_UP_SECS: u64 = 1;

/// What is fetched and under which name it is told.
const PAGES: [(&str, &str); 2] = [("proxy_unpaid", "/small"), ("proxy_unpaid_64k", "/large")];

/// What a round showed.
struct Seen {
    rate: f64,
    p99_ms: f64,
    cpu_micros: f64,
}

/// Measures the pages that were asked for.
pub fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    let wanted: Vec<_> = PAGES.into_iter().filter(|(name, _)| settings.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let site = Nginx::site()?;
    let peer = Nginx::proxy(site.port)?;
    let ours = Ours::start(&settings.farthing, site.port)?;
    let mut figures = Vec::new();
    for (name, page) in wanted {
        settings.say(&format!("{name}: {page} through {}", peer.server.name()));
        let own = format!("http://{}{page}", ours.address);
        let other = format!("http://127.0.0.1:{}{page}", peer.port);
        wrk(&own, &ours.server, WARM_UP_SECS)?;
        wrk(&other, &peer.server, WARM_UP_SECS)?;
        let mut rounds = Vec::new();
        for _ in 0..settings.rounds {
            let theirs = wrk(&other, &peer.server, settings.seconds)?;
            rounds.push((wrk(&own, &ours.server, settings.seconds)?, theirs));
        }
        let of = |read: fn(&Seen) -> f64| -> Vec<(f64, f64)> {
            rounds.iter().map(|(ours, theirs)| (read(ours), read(theirs))).collect()
        };
        let peer = peer.server.name();
        figures.push(Figure::against(format!("{name}_vs_nginx"), "requests/s", peer, &of(|seen| seen.rate)));
        figures.push(Figure::against(format!("{name}_p99"), "ms", peer, &of(|seen| seen.p99_ms)));
        figures.push(Figure::against(
            format!("{name}_cpu"),
            "CPU us/request",
            peer,
            &of(|seen| seen.cpu_micros),
        ));
    }
    Ok(figures)
}

fn wrk(url: &str, server: &Server, seconds: u64) -> Result<Seen> {
    let before = server.cpu()?;
    let duration = format!("-d{seconds}s");
    let output = Command::new("wrk")
        .args(["-t2", "-c32", "--latency", duration.as_str(), url])
        .output()
        .map_err(Failure::at("running wrk"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let cpu = server.cpu()?.saturating_sub(before);
    let report = Report::parse(&text).ok_or_else(|| Failure::new(format!("wrk said: {text}")))?;
    if report.faulty {
        return Err(Failure::new(format!("wrk saw errors at {url}: {text}")));
    }
    let cpu_micros = cpu.as_secs_f64() * 1e6 / report.requests;
    Ok(Seen { rate: report.rate, p99_ms: report.p99_ms, cpu_micros })
}

/// What wrk prints.
#[derive(Debug, PartialEq)]
struct Report {
    requests: f64,
    rate: f64,
    p99_ms: f64,
    faulty: bool,
}

impl Report {
    fn parse(text: &str) -> Option<Self> {
        let after = |label: &str| {
            text.lines().find_map(|line| line.trim().strip_prefix(label)?.split_whitespace().next())
        };
        let requests =
            text.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())?;
        Some(Self {
            requests,
            rate: after("Requests/sec:")?.parse().ok()?,
            p99_ms: millis(after("99%")?)?,
            faulty: text.contains("Non-2xx") || text.contains("Socket errors"),
        })
    }
}

/// A time as wrk writes it: `12.30us`, `1.20ms`, `1.05s`.
fn millis(text: &str) -> Option<f64> {
    let (number, scale) = if let Some(number) = text.strip_suffix("us") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix("ms") {
        (number, 1.0)
    } else {
        (text.strip_suffix('s')?, 1e3)
    };
    number.parse::<f64>().ok().map(|number| number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 1s test @ http://127.0.0.1:1/small
  2 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.20ms  300.00us   5.00ms   90.00%
    Req/Sec    10.00k   100.00    11.00k    70.00%
  Latency Distribution
     50%    1.10ms
     75%    1.30ms
     90%    1.50ms
     99%    2.50ms
  20100 requests in 1.00s, 12.30MB read
Requests/sec:  20090.50
Transfer/sec:     12.30MB
";

    #[test]
    fn the_report_is_read() {
        let report = Report { requests: 20_100.0, rate: 20_090.5, p99_ms: 2.5, faulty: false };
        assert_eq!(Report::parse(SAID), Some(report));
        assert!(Report::parse(&format!("{SAID}  Non-2xx or 3xx responses: 3\n")).unwrap().faulty);
        assert_eq!(Report::parse("unable to connect"), None);
    }

    #[test]
    fn times_have_three_units() {
        let times: Vec<_> = ["500.00us", "2.00ms", "1.50s", "1h"].into_iter().map(millis).collect();
        assert_eq!(times, [Some(0.5), Some(2.0), Some(1500.0), None]);
    }
}
