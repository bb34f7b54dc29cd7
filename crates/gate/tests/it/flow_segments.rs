//! Media by the second: a playlist passes and costs nothing, and each segment's 402 names exactly what its length costs.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::bank::Bank;
use crate::support::meter::{meter, metered, purse};
use crate::support::pay::{Answer, cashu, cent, get, send};
use crate::support::{Server, start, start_service};
use farthing_gate::serve::Limits;
use farthing_gate::{Body, Gate, Meter, Proxy, ProxyConfig, Rule, Rules};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tower::ServiceExt;

const PLAYLIST: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:9.9766671,\n0.ts\n#EXTINF:4.000000,\n1.ts?token=x\n#EXTINF:500,\nlong.ts\n#EXT-X-ENDLIST\n";

/// What somebody has put onto the site, to see it all for nothing.
const FOR_NOTHING: &str = "#EXTM3U\n#EXTINF:0,\n/v/0.ts\n#EXTINF:1,\n/mine/0.ts\n";

/// A playlist that is sold by itself.
const ELSEWHERE: &str = "#EXTM3U\n#EXTINF:2,\n/v/0.ts\n#EXTINF:0,\n/mine/0.ts\n";

/// A manifest of two tracks: segments of two seconds by a timeline, and of four by a length for all.
const MANIFEST: &str = r#"<?xml version="1.0"?><MPD mediaPresentationDuration="PT8S"><Period>
<AdaptationSet><SegmentTemplate timescale="1000" initialization="init-$RepresentationID$.mp4" media="$RepresentationID$-$Time$.m4s">
<SegmentTimeline><S t="0" d="2000" r="3"/></SegmentTimeline></SegmentTemplate><Representation id="hd"/></AdaptationSet>
<AdaptationSet><SegmentTemplate duration="4" startNumber="1" media="sound/$Number$.m4s"/><Representation id="sound"/></AdaptationSet>
</Period></MPD>"#;

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
                "/v/late.m3u8" => "\u{feff}\n\n#EXTM3U\n#EXTINF:2,\nlate.ts\n",
                "/v/film/all.mpd" => MANIFEST,
                "/mine/all.m3u8" => FOR_NOTHING,
                "/lists/both.m3u8" => "#EXTM3U\n#EXTINF:2,\n/v/0.ts\n#EXTINF:3,\n/w/0.ts\n",
                "/lists/film.m3u8" => ELSEWHERE,
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

fn price(answer: &Answer) -> String {
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

/// Whatever was named like a playlist was free, and whoever could put a playlist anywhere made films free.
#[tokio::test]
async fn what_is_only_named_like_a_playlist_costs_what_a_segment_does() {
    let (bank, (upstream, _)) = (Bank::new(), film().await);
    let gate = metered(&bank, upstream.address, by_the_second()).await;
    for path in ["/v/film.m3u8", "/v/0.ts;.m3u8", "/v/0.ts%3f.m3u8", "/v/film.mpd", "/v/index.m3u8;.mpd"] {
        assert_eq!(price(&get(gate.address, path, "").await), "10000", "{path}");
    }
    assert_eq!(
        price(&send(gate.address, "POST", "/v/index.m3u8", "", "x").await),
        "10000",
        "it may change something"
    );
    let late = get(gate.address, "/v/late.m3u8", "").await;
    assert_eq!((late.status, late.body.ends_with("late.ts\n")), (200, true), "{late:?}");
    assert_eq!(price(&get(gate.address, "/v/late.ts", "").await), "200");
    assert_eq!(get(gate.address, "/none.m3u8", "").await.status, 404, "what is not there costs nothing");
    let (_, token, _) = purse(&bank);
    let paid = get(gate.address, "/v/film.m3u8", &cashu(&token)).await;
    assert_eq!((paid.status, paid.body.as_str(), bank.taken()), (200, "media", 10_000), "{paid:?}");
}

#[tokio::test]
async fn a_playlist_speaks_only_of_what_falls_under_its_own_rule() {
    let (bank, (upstream, _)) = (Bank::new(), film().await);
    let rule = |path: &str| Rule::new(path, cent()).unwrap();
    for uploads in [None, Some(rule("/mine/**")), Some(rule("/mine/**").metered(by_the_second()))] {
        let is_metered = uploads.as_ref().is_some_and(|rule| rule.meter().is_some());
        let film = rule("/v/**").metered(by_the_second());
        let rules = Rules::new([film].into_iter().chain(uploads).collect()).unwrap();
        let config = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
        let gate =
            start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap()))
                .await;
        let list = get(gate.address, "/mine/all.m3u8", "").await;
        assert!(list.status == 402 || list.body == FOR_NOTHING, "{list:?}");
        assert_eq!(price(&get(gate.address, "/v/0.ts", "").await), "10000", "{is_metered}");
        if is_metered {
            assert_eq!(price(&get(gate.address, "/mine/0.ts", "").await), "100");
        }
    }
}

/// The rule of a playlist that is looked up is not asked: nobody is served anything of it, and it speaks of the segment's rule alone.
#[tokio::test]
async fn a_playlist_that_is_looked_up_under_another_rule_is_not_given_away() {
    let (bank, (upstream, _)) = (Bank::new(), film().await);
    let rule = |path: &str| Rule::new(path, cent()).unwrap();
    let looking = Meter { playlist: Some("/lists/film.m3u8".to_owned()), ..by_the_second() };
    let film = rule("/v/**").metered(looking);
    let mine = rule("/mine/**").metered(by_the_second());
    let rules = Rules::new(vec![film, rule("/lists/**"), mine]).unwrap();
    let config = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
    let gate =
        start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap())).await;
    let segment = get(gate.address, "/v/0.ts", "").await;
    assert_eq!(price(&segment), "200");
    let list = get(gate.address, "/lists/film.m3u8", "").await;
    assert_eq!(price(&list), "10000");
    assert!(!segment.body.contains("EXTINF") && !list.body.contains("EXTINF"), "{segment:?} {list:?}");
    assert_eq!(price(&get(gate.address, "/mine/0.ts", "").await), "10000", "of others it says nothing");
    let (_, token, _) = purse(&bank);
    let paid = get(gate.address, "/v/0.ts", &cashu(&token)).await;
    assert_eq!((paid.status, paid.body.as_str(), bank.taken()), (200, "media", 200), "{paid:?}");
}

/// The same of DASH: what a manifest says holds for segments by time and by number.
#[tokio::test]
async fn a_segment_costs_what_its_manifest_says() {
    let (bank, (upstream, _)) = (Bank::new(), film().await);
    let gate = metered(&bank, upstream.address, by_the_second()).await;
    assert_eq!(price(&get(gate.address, "/v/film/hd-2000.m4s", "").await), "10000", "not known yet");
    let manifest = get(gate.address, "/v/film/all.mpd", "").await;
    assert_eq!((manifest.status, manifest.body.as_str()), (200, MANIFEST), "{manifest:?}");
    for (path, cost) in [
        ("/v/film/hd-2000.m4s", "200"),
        ("/v/film/hd-6000.m4s", "200"),
        ("/v/film/hd-8000.m4s", "10000"),
        ("/v/film/sound/2.m4s", "400"),
        ("/v/film/sound/3.m4s", "10000"),
    ] {
        assert_eq!(price(&get(gate.address, path, "").await), cost, "{path}");
    }
    assert_eq!(get(gate.address, "/v/film/init-hd.mp4", "").await.status, 200);
    let (_, token, _) = purse(&bank);
    let paid = get(gate.address, "/v/film/sound/1.m4s", &cashu(&token)).await;
    assert_eq!((paid.status, paid.body.as_str(), bank.taken()), (200, "media", 400), "{paid:?}");
}

/// Two rules that name the same playlist: who came under the second while the first had asked paid for a segment that nobody knows.
#[tokio::test]
async fn a_playlist_that_two_rules_name_is_asked_for_each() {
    let (bank, (upstream, _)) = (Bank::new(), film().await);
    let looking = || Meter { playlist: Some("/lists/both.m3u8".to_owned()), ..by_the_second() };
    let rule = |path: &str| Rule::new(path, cent()).unwrap().metered(looking());
    let rules = Rules::new(vec![rule("/v/**"), rule("/w/**")]).unwrap();
    let config = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
    let gate =
        start_service(Limits::default(), Gate::new(bank.config(rules), Proxy::new(config).unwrap())).await;
    assert_eq!(price(&get(gate.address, "/v/0.ts", "").await), "200");
    assert_eq!(price(&get(gate.address, "/w/0.ts", "").await), "300");
}

/// The second of two who came at once paid the price of a segment that is not known.
#[tokio::test]
async fn who_comes_while_the_playlist_is_asked_for_waits_for_it() {
    let (asked, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, may_answer) = (Arc::clone(&asked), Arc::clone(&answers));
    let upstream = start(Limits::default(), move |request: Request<Body>| {
        let (count, may_answer) = (Arc::clone(&count), Arc::clone(&may_answer));
        async move {
            assert!(request.headers().get("cookie").is_none(), "it is asked for nobody in particular");
            count.fetch_add(1, Ordering::SeqCst);
            let _ = may_answer.acquire().await;
            Response::new(Body::from(PLAYLIST))
        }
    })
    .await;
    let bank = Bank::new();
    let looking = Meter { playlist: Some("index.m3u8".to_owned()), ..by_the_second() };
    let gate = metered(&bank, upstream.address, looking).await;
    let first = tokio::spawn(async move { get(gate.address, "/v/0.ts", "Cookie: a=b\r\n").await });
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let mut second = tokio::spawn(async move { get(gate.address, "/v/1.ts", "").await });
    let many_turns = async {
        for _ in 0..20_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = &mut second => panic!("it has not waited: {answer:?}"),
        () = many_turns => answers.add_permits(2),
    }
    assert_eq!(
        (price(&first.await.unwrap()), price(&second.await.unwrap())),
        ("998".to_owned(), "400".to_owned())
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// What went wrong: a client that had set the question for a playlist in motion left, and the upstream was asked anew by whoever waited;
/// with clients that left one after another nobody ever got an answer, and each paid the price of a segment that is not known.
#[tokio::test(start_paused = true)]
async fn who_leaves_takes_nobodys_answer_along() {
    let (asked, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, may_answer) = (Arc::clone(&asked), Arc::clone(&answers));
    let upstream = tower::service_fn(move |_: Request<Body>| {
        let (count, may_answer) = (Arc::clone(&count), Arc::clone(&may_answer));
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            may_answer.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Response::new(Body::from(PLAYLIST)))
        }
    });
    let looking = Meter { playlist: Some("index.m3u8".to_owned()), ..by_the_second() };
    let rules = Rules::new(vec![Rule::new("/**", cent()).unwrap().metered(looking)]).unwrap();
    let bank = Bank::new();
    let gate = Gate::new(bank.config(rules), upstream);
    let ask = |path: &str| {
        let request = Request::get(path).header("host", "shop.example").body(Body::empty()).unwrap();
        let answer = gate.clone().oneshot(request);
        async move {
            let body = answer.await.unwrap().into_body().collect().await.unwrap().to_bytes();
            let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
            problem["price"]["amount"].as_str().unwrap().to_owned()
        }
    };
    let leaves = |path: &'static str, secs| tokio::time::timeout(Duration::from_secs(secs), ask(path));

    // The first leaves after a second; who came meanwhile has the answer to its question.
    assert!(leaves("/v/0.ts", 1).await.is_err());
    let answer = async {
        tokio::time::advance(Duration::from_secs(1)).await;
        answers.add_permits(1);
    };
    let (price, ()) = tokio::join!(ask("/v/1.ts"), answer);
    assert_eq!((price.as_str(), asked.load(Ordering::SeqCst)), ("400", 1));
    assert_eq!(ask("/v/0.ts").await, "998");

    // The upstream says nothing: nobody waits longer than the question has, which is asked once.
    let began = tokio::time::Instant::now();
    let (first, second, third) = tokio::join!(leaves("/w/0.ts", 4), ask("/w/1.ts"), ask("/w/2.ts"));
    assert!(first.is_err());
    assert_eq!((second.as_str(), third.as_str()), ("10000", "10000"));
    assert!(began.elapsed() < Duration::from_millis(5_100), "{:?}", began.elapsed());
    assert_eq!(asked.load(Ordering::SeqCst), 2, "and no more is asked of the upstream");
}
