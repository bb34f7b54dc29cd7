//! How long segments of media last, learned from the playlists that pass through: so the price of a segment is known before it
//! is paid.
//!
//! What is remembered is bounded and in memory only. Whoever restarts learns anew, from the next playlist or from the one that a rule
//! names.

mod dash;
mod hls;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Segments that are remembered in a generation; there are two of them.
const KEPT_MAX: usize = 32_768;
/// How long a playlist may be.
pub(crate) const PLAYLIST_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long nobody asks again for a playlist that did not know a segment.
const ASKED_AGAIN: Duration = Duration::from_secs(2);
/// Playlists of which it is remembered that they were asked for.
const ASKED_MAX: usize = 1_024;

/// What is known of segments, by host and path.
#[derive(Default)]
pub(crate) struct Segments(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    young: HashMap<String, u64>,
    old: HashMap<String, u64>,
    asked: HashMap<String, Instant>,
}

/// What a playlist is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// HLS.
    Hls,
    /// DASH.
    Dash,
}

/// What something is by its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    Playlist(Kind),
    Other,
}

/// How the names of playlists end.
const ENDS: [(&str, Kind); 3] = [(".m3u8", Kind::Hls), (".m3u", Kind::Hls), (".mpd", Kind::Dash)];
/// How playlists begin.
const BEGINS: [(&str, Kind); 3] = [("#EXTM3U", Kind::Hls), ("<?xml", Kind::Dash), ("<MPD", Kind::Dash)];
/// Where a playlist has begun, however many blanks it has.
const BEGUN_MOST: usize = 1_024;
/// What some programs put before any text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Kind {
    /// What all readings of a path name; nothing if they disagree, or if one names no playlist.
    pub(crate) fn named<'p>(readings: impl Iterator<Item = &'p [u8]>) -> Option<Self> {
        let mut kinds = readings.map(Self::of);
        let first = kinds.next()??;
        kinds.all(|kind| kind == Some(first)).then_some(first)
    }

    fn of(path: &[u8]) -> Option<Self> {
        ENDS.iter().find(|(end, _)| ends_in(path, end)).map(|(_, kind)| *kind)
    }

    /// What the beginning of a text says that it is; more of it is needed where there is no answer yet.
    pub(crate) fn begun(text: &[u8]) -> Option<Begun> {
        let rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii_start();
        let known = BEGINS.iter().find(|(begin, _)| rest.starts_with(begin.as_bytes()));
        let longest = BEGINS.iter().map(|(begin, _)| begin.len()).max().unwrap_or_default();
        let enough = rest.len() >= longest || text.len() >= BEGUN_MOST;
        let begun = known.map_or(Begun::Other, |(_, kind)| Begun::Playlist(*kind));
        (known.is_some() || enough).then_some(begun)
    }
}

/// Whether a path ends in this, whatever its case.
fn ends_in(path: &[u8], end: &str) -> bool {
    let last = path.get(path.len().saturating_sub(end.len())..);
    last.is_some_and(|last| last.eq_ignore_ascii_case(end.as_bytes()))
}

impl Segments {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every change of it is whole before anything could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let playlist = playlist.strip_prefix(BYTE_ORDER_MARK).unwrap_or(playlist);
        let (Some(Begun::Playlist(kind)), Ok(text)) = (Kind::begun(playlist), std::str::from_utf8(playlist))
        else {
            return;
        };
        let mut lasting: HashMap<String, u64> = HashMap::new();
        let found: Vec<(String, u64)> = match kind {
            Kind::Dash => dash::segments(text, KEPT_MAX),
            Kind::Hls => {
                hls::segments(text).take(KEPT_MAX).map(|(uri, millis)| (uri.to_owned(), millis)).collect()
            }
        };
        for (uri, millis) in found {
            if let Some(place) = resolved(host, path, &uri).filter(|place| may_name(place)) {
                // Parts of one file are paid together.
                let sum = lasting.entry(key(host, &place)).or_default();
                *sum = sum.saturating_add(millis);
            }
        }
        let mut memory = self.memory();
        for (key, millis) in lasting {
            memory.keep(key, millis);
        }
    }

    /// Whether a playlist is worth asking for: not if it was not long ago.
    pub(crate) fn may_ask(&self, host: &str, path: &str) -> bool {
        let (key, now) = (key(host, path), Instant::now());
        let mut memory = self.memory();
        memory.asked.retain(|_, at| now.duration_since(*at) < ASKED_AGAIN);
        if memory.asked.contains_key(&key) || memory.asked.len() >= ASKED_MAX {
            return false;
        }
        memory.asked.insert(key, now);
        true
    }
}

impl Memory {
    fn keep(&mut self, key: String, millis: u64) {
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

fn key(host: &str, path: &str) -> String {
    format!("{host} {path}")
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
        assert!(known.may_ask("a", "/v/i.m3u8") && !known.may_ask("a", "/v/i.m3u8"));
    }

    #[test]
    fn a_playlist_is_one_by_its_name_and_by_its_beginning() {
        let named = |path: &str| {
            let target = crate::Target::new("a", path).unwrap();
            Kind::named(target.readings())
        };
        for (path, kind) in [
            ("/v/index.m3u8", Some(Kind::Hls)),
            ("/v/INDEX.M3U8/", Some(Kind::Hls)),
            ("/v/film.mpd", Some(Kind::Dash)),
            ("/v/film.ts;.m3u8", None),
            ("/v/film.ts;x/../index.mpd", Some(Kind::Dash)),
            ("/v/film.mpd;.m3u8", None),
            ("/v/0.ts", None),
            ("/", None),
        ] {
            assert_eq!(named(path), kind, "{path}");
        }
        for (text, begun) in [
            ("#EXTM3U\n", Some(Begun::Playlist(Kind::Hls))),
            ("\u{feff} \r\n#EXTM3U", Some(Begun::Playlist(Kind::Hls))),
            ("<?xml version", Some(Begun::Playlist(Kind::Dash))),
            ("\n<MPD>", Some(Begun::Playlist(Kind::Dash))),
            ("#EXTM", None),
            ("\u{feff}", None),
            ("", None),
            ("G@\u{0}\u{11}\u{10}\u{0}B", Some(Begun::Other)),
            ("#EXTINF:0,\n0.ts", Some(Begun::Other)),
            (&" ".repeat(BEGUN_MOST), Some(Begun::Other)),
        ] {
            assert_eq!(Kind::begun(text.as_bytes()), begun, "{text:?}");
        }
    }

    #[test]
    fn a_playlist_speaks_of_what_it_may() {
        let known = Segments::default();
        let text = b"#EXTM3U\n#EXTINF:0,\n/film/0.ts\n#EXTINF:1,\n0.ts\n";
        known.learn(("a", "/mine/i.m3u8"), text, |place| place.starts_with("/mine/"));
        assert_eq!((known.lasts("a", "/film/0.ts"), known.lasts("a", "/mine/0.ts")), (None, Some(1_000)));
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
