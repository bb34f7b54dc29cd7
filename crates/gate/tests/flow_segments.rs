//! Media by the second: a playlist passes and costs nothing, and each segment's 402 names exactly what its length costs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farthing_gate::serve::Limits;
use farthing_gate::{Body, Meter};
use http::{Request, Response, StatusCode};
use support::bank::Bank;
use support::meter::{meter, metered, purse};
use support::pay::{cashu, get};
use support::{Server, start};

const PLAYLIST: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:9.9766671,\n0.ts\n#EXTINF:4.000000,\n1.ts?token=x\n#EXTINF:500,\nlong.ts\n#EXT-X-ENDLIST\n";

/// A film; how often its playlist was asked for.
async fn film() -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = start(Limits::default(), move |request: Request<Body>| {
        let count = Arc::clone(&count);
        async move {
            let plain = request.headers().get("accept-encoding").is_none_or(|coding| coding == "identity");
            let body = match request.uri().path() {
                "/v/index.m3u8" if plain => {
                    count.fetch_add(1, Ordering::SeqCst);
                    PLAYLIST
                }
                "/v/index.m3u8" => "\u{1f}\u{8b}",
                path if path.starts_with("/v/") => "media",
                _ => {
                    let mut answer = Response::new(Body::empty());
                    *answer.status_mut() = StatusCode::NOT_FOUND;
                    return answer;
                }
            };
            Response::new(Body::from(body))
        }
    })
    .await;
    (server, asked)
}

fn by_the_second() -> Meter {
    meter("segments", 100, 1)
}

fn price(answer: &support::pay::Answer) -> String {
    assert_eq!(answer.status, 402, "{answer:?}");
    answer.problem().extra["price"]["amount"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_segment_costs_what_its_playlist_says() {
    let (bank, (upstream, _)) = (Bank::new(), film().await);
    let gate = metered(&bank, upstream.address, by_the_second()).await;
    assert_eq!(price(&get(gate.address, "/v/0.ts", "").await), "10000", "not known yet: what the rule says");
    let list = get(gate.address, "/v/index.m3u8", "Accept-Encoding: gzip\r\nRange: bytes=0-9\r\n").await;
    assert_eq!((list.status, list.body.as_str()), (200, PLAYLIST), "{list:?}");
    for (path, cost) in [
        ("/v/0.ts", "998"),
        ("/v/1.ts", "400"),
        ("/v/1.ts?token=y", "400"),
        ("/v/long.ts", "10000"),
        ("/v/2.ts", "10000"),
    ] {
        assert_eq!(price(&get(gate.address, path, "").await), cost, "{path}");
    }
    let init = get(gate.address, "/v/init.mp4", "").await;
    assert_eq!(
        (init.status, init.body.as_str()),
        (200, "media"),
        "what comes before the first costs nothing"
    );
    let (_, token, _) = purse(&bank);
    let answer = get(gate.address, "/v/0.ts", &cashu(&token)).await;
    assert_eq!((answer.status, bank.taken(), answer.change()), (200, 998, 16_384 - 998), "{answer:?}");
    let pass = answer.header("farthing-pass").unwrap().to_owned();
    let again = get(gate.address, "/v/0.ts", &format!("Farthing-Pass: {pass}\r\nRange: bytes=0-1\r\n")).await;
    assert_eq!(again.status, 200, "what is paid for may be read in pieces");
}

#[tokio::test]
async fn a_segment_that_is_not_known_is_looked_up_in_the_rules_playlist() {
    let (bank, (upstream, asked)) = (Bank::new(), film().await);
    let looking = Meter { playlist: Some("index.m3u8".to_owned()), ..by_the_second() };
    let gate = metered(&bank, upstream.address, looking).await;
    assert_eq!(price(&get(gate.address, "/v/1.ts", "").await), "400");
    assert_eq!(price(&get(gate.address, "/v/0.ts", "").await), "998");
    assert_eq!(price(&get(gate.address, "/v/none.ts", "").await), "10000");
    assert_eq!(price(&get(gate.address, "/v/none.ts", "").await), "10000");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "nobody asks again at once");
    assert_eq!(price(&get(gate.address, "/w/1.ts", "").await), "10000", "no playlist, no length");
}
