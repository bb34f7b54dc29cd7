//! How long segments of media last, learned from the playlists that pass through: so the price of a segment is known before it
//! is paid.
//!
//! What is remembered is bounded and in memory only. Whoever restarts learns anew, from the next playlist or from the one that a rule
//! names.

mod dash;
mod hls;
mod kind;
mod representation;
mod told;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::Instant;

use self::kind::BYTE_ORDER_MARK;
pub(crate) use self::kind::{Begun, Kind};
pub use self::told::{Length, Rank, Told};

/// Segments that are remembered in a generation; there are two of them.
const KEPT_MAX: usize = 32_768;
/// How long a playlist may be.
pub(crate) const PLAYLIST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long nobody asks again for a playlist that did not know a segment.
const ASKED_AGAIN: Duration = Duration::from_secs(2);
/// How many are asked for at once; whoever comes beyond that waits.
const ASKING_MAX: usize = 32;
/// Playlists of which it is remembered that they were asked for.
const ASKED_MAX: usize = 1_024;

/// What is known of segments, by host and path.
pub(crate) struct Segments {
    memory: Mutex<Memory>,
    asking: Semaphore,
}

impl Default for Segments {
    fn default() -> Self {
        Self { memory: Mutex::default(), asking: Semaphore::new(ASKING_MAX) }
    }
}

/// When a question for a playlist was answered, once it was.
type Answered = Option<Instant>;

/// A question for a playlist.
pub(crate) struct Question {
    /// It was answered, or nobody asks it any more.
    pub(crate) answered: watch::Receiver<Answered>,
    /// For the one who is to ask it; nothing if it is under way, or was answered not long ago.
    pub(crate) asks: Option<watch::Sender<Answered>>,
}

/// A host and a path. Of long ones no more is kept than of short ones.
type Key = [u8; 16];

#[derive(Default)]
struct Memory {
    young: HashMap<Key, u64>,
    old: HashMap<Key, u64>,
    /// By the playlist and by the rule that it is asked for: of what falls under another one its answer says nothing.
    asked: HashMap<[Key; 2], watch::Receiver<Answered>>,
}

/// What a playlist says, whatever it is written in. What is none says nothing.
pub fn told(playlist: &[u8]) -> Vec<Told> {
    let playlist = playlist.strip_prefix(BYTE_ORDER_MARK).unwrap_or(playlist);
    match (Kind::begun(playlist), std::str::from_utf8(playlist)) {
        (Some(Begun::Playlist(Kind::Dash)), Ok(text)) => dash::segments(text, KEPT_MAX),
        (Some(Begun::Playlist(Kind::Hls)), Ok(text)) => hls::segments(text).take(KEPT_MAX).collect(),
        _ => Vec::new(),
    }
}

impl Segments {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every change of it is whole before anything could panic.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many thousandths of a second a segment lasts; nothing of what comes before the first one.
    pub(crate) fn lasts(&self, host: &str, path: &str) -> Option<u64> {
        let (key, mut memory) = (key(host, path), self.memory());
        if let Some(millis) = memory.young.get(&key) {
            return Some(*millis);
        }
        let millis = memory.old.remove(&key)?;
        memory.keep(key, millis);
        Some(millis)
    }

    /// Learns what a playlist at a path of a host says, of the places that it may speak of.
    pub(crate) fn learn(&self, (host, path): (&str, &str), playlist: &[u8], may_name: impl Fn(&str) -> bool) {
        let mut lasting: HashMap<Key, Length> = HashMap::new();
        for Told { address, length } in told(playlist) {
            if let Some(place) = resolved(host, path, &address).filter(|place| may_name(place)) {
                // Parts of one file are paid together.
                let sum = lasting.entry(key(host, &place));
                sum.and_modify(|sum| *sum = sum.and(length)).or_insert(length);
            }
        }
        let mut memory = self.memory();
        for (key, length) in lasting {
            match length.millis {
                Some(millis) => memory.keep(key, millis),
                None => memory.forget(&key),
            }
        }
    }

    /// The question for a playlist, for what falls under a rule: the one that is under way, or that was answered not long ago, or a new
    /// one, which whoever gets it has to ask. Nothing if there are too many.
    pub(crate) fn question(&self, (host, path): (&str, &str), rule: &str) -> Option<Question> {
        let (key, now) = ([key(host, path), key(host, rule)], Instant::now());
        let mut memory = self.memory();
        memory.asked.retain(|_, answered| match *answered.borrow() {
            Some(at) => now.duration_since(at) < ASKED_AGAIN,
            // Whoever asked has broken off.
            None => answered.has_changed().is_ok(),
        });
        if let Some(answered) = memory.asked.get(&key) {
            return Some(Question { answered: answered.clone(), asks: None });
        }
        if memory.asked.len() >= ASKED_MAX {
            return None;
        }
        let (asks, answered) = watch::channel(None);
        memory.asked.insert(key, answered.clone());
        Some(Question { answered, asks: Some(asks) })
    }

    /// A place among those who ask the upstream.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.asking.acquire().await.ok()
    }
}

impl Memory {
    fn forget(&mut self, key: &Key) {
        self.young.remove(key);
        self.old.remove(key);
    }

    fn keep(&mut self, key: Key, millis: u64) {
        if self.young.len() >= KEPT_MAX && !self.young.contains_key(&key) {
            // What nobody has asked for since the last time is forgotten.
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, millis);
    }
}

/// A decimal number of seconds in thousandths, rounded up.
fn millis(text: &str) -> Option<u64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let (kept, rest) = fraction.split_at_checked(3).unwrap_or((fraction, ""));
    let part: u64 = format!("{kept:0<3}").parse().ok()?;
    let begun = u64::from(rest.bytes().any(|byte| byte != b'0'));
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(part)?.checked_add(begun)
}

fn key(host: &str, path: &str) -> Key {
    let code: [u8; 32] =
        Sha256::new().chain_update(host).chain_update(" ").chain_update(path).finalize().into();
    code.first_chunk().copied().unwrap_or_default()
}

/// Where a reference in something at a path leads on the same host; nothing if it leads elsewhere.
pub(crate) fn resolved(host: &str, base: &str, reference: &str) -> Option<String> {
    let reference = reference.split(['?', '#']).next().unwrap_or_default();
    let path = match reference.split_once("://") {
        Some(("http" | "https", rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
            if !name.eq_ignore_ascii_case(host) {
                return None;
            }
            format!("/{path}")
        }
        Some(_) => return None,
        None if reference.is_empty() || reference.starts_with("//") => return None,
        None if reference.starts_with('/') => reference.to_owned(),
        None => {
            let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{reference}")
        }
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').skip(1) {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_where_players_go() {
        let at = |reference| resolved("cdn.example", "/v/film/index.m3u8", reference);
        for (reference, path) in [
            ("0.ts", Some("/v/film/0.ts")),
            ("./a/0.ts?token=x", Some("/v/film/a/0.ts")),
            ("../0.ts", Some("/v/0.ts")),
            ("../../../../0.ts", Some("/0.ts")),
            ("/0.ts#t", Some("/0.ts")),
            ("https://CDN.example:8443/w/0.ts", Some("/w/0.ts")),
            ("https://other.example/0.ts", None),
            ("data://x", None),
            ("//cdn.example/0.ts", None),
            ("", None),
        ] {
            assert_eq!(at(reference).as_deref(), path, "{reference}");
        }
    }

    #[test]
    fn segments_are_known_by_their_place() {
        let known = Segments::default();
        let text = "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:9.97667,\n0.ts\n#EXTINF:4,\n#EXT-X-BYTERANGE:10@0\nall.ts\n#EXTINF:3,\n#EXT-X-BYTERANGE:10@10\nall.ts\n";
        known.learn(("a", "/v/i.m3u8"), text.as_bytes(), |_| true);
        for (path, millis) in [
            ("/v/0.ts", Some(9_977)),
            ("/v/all.ts", Some(7_000)),
            ("/v/init.mp4", Some(0)),
            ("/v/1.ts", None),
        ] {
            assert_eq!(known.lasts("a", path), millis, "{path}");
        }
        assert_eq!(known.lasts("b", "/v/0.ts"), None, "another host is another film");
        known.learn(("a", "/v/i.m3u8"), b"#EXTM3U\n#EXTINF:2,\n0.ts\n", |_| true);
        assert_eq!(known.lasts("a", "/v/0.ts"), Some(2_000), "the latest word counts");
        known.learn(
            ("a", "/v/i.m3u8"),
            b"#EXTM3U\n#EXTINF:x,\n0.ts\n#EXTINF:-1,\nall.ts\n#EXTINF:3,\nall.ts\n",
            |_| true,
        );
        let unknown = (known.lasts("a", "/v/0.ts"), known.lasts("a", "/v/all.ts"));
        assert_eq!(unknown, (None, None), "what cannot be read is not known");
        let live = "#EXTM3U\n#EXT-X-PART:DURATION=1,URI=\"a.mp4\",BYTERANGE=\"9@0\"\n#EXT-X-PART:DURATION=1.5,URI=\"a.mp4\",BYTERANGE=\"9@9\"\n";
        known.learn(("a", "/v/i.m3u8"), live.as_bytes(), |_| true);
        assert_eq!(known.lasts("a", "/v/a.mp4"), None, "a range opens the whole file");
        let whole = format!("{live}#EXTINF:4,\na.mp4\n");
        known.learn(("a", "/v/i.m3u8"), whole.as_bytes(), |_| true);
        assert_eq!(known.lasts("a", "/v/a.mp4"), Some(4_000), "parts do not count beside the whole");
    }

    #[test]
    fn a_playlist_speaks_of_what_it_may() {
        let known = Segments::default();
        let text = b"#EXTM3U\n#EXTINF:0,\n/film/0.ts\n#EXTINF:1,\n0.ts\n";
        known.learn(("a", "/mine/i.m3u8"), text, |place| place.starts_with("/mine/"));
        assert_eq!((known.lasts("a", "/film/0.ts"), known.lasts("a", "/mine/0.ts")), (None, Some(1_000)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_is_asked_once_for_all_who_come_meanwhile_and_for_a_while() {
        let known = Segments::default();
        let ask = || known.question(("a", "/i.m3u8"), "rule").unwrap();
        let (one, two) = (ask(), ask());
        let is_answered = |question: &Question| question.answered.borrow().is_some();
        assert!(one.asks.is_some() && two.asks.is_none() && !is_answered(&two), "under way");
        assert!(known.question(("a", "/i.m3u8"), "another").unwrap().asks.is_some(), "it speaks of one rule");
        drop(one);
        let again = ask();
        again.asks.as_ref().unwrap().send_replace(Some(Instant::now()));
        drop(again);
        let other = ask();
        assert!(other.asks.is_none() && is_answered(&other), "answered just now");
        tokio::time::advance(ASKED_AGAIN).await;
        let first = ask();
        assert!(first.asks.is_some(), "asked again");
        let all: Vec<_> =
            (1..ASKED_MAX).map(|n| known.question(("a", &n.to_string()), "rule").unwrap()).collect();
        assert!(known.question(("a", "/more"), "rule").is_none());
        assert!(ask().asks.is_none(), "who comes meanwhile needs no room");
        drop(all);
        assert!(
            known.question(("a", "/more"), "rule").is_some(),
            "who has broken off leaves no question behind"
        );
    }

    #[test]
    fn memory_is_bounded() {
        let known = Segments::default();
        known.learn(("a", "/i.m3u8"), b"#EXTM3U\n#EXTINF:1,\nfirst.ts\n", |_| true);
        for round in 0..3 {
            let list: String = (0..KEPT_MAX)
                .fold("#EXTM3U\n".to_owned(), |list, n| list + "#EXTINF:1,\n" + &format!("{round}-{n}.ts\n"));
            known.learn(("a", "/i.m3u8"), list.as_bytes(), |_| true);
            let memory = known.memory();
            assert!(memory.young.len() <= KEPT_MAX && memory.old.len() <= KEPT_MAX);
        }
        assert_eq!(known.lasts("a", "/first.ts"), None, "it was forgotten");
        assert!(known.lasts("a", "/2-7.ts").is_some());
    }
}
