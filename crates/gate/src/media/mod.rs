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

/// Whether a path is that of a playlist.
pub(crate) fn is_playlist(path: &str) -> bool {
    [".m3u8", ".m3u", ".mpd"].iter().any(|kind| ends_in(path, kind))
}

/// Whether a path ends in this, whatever its case.
fn ends_in(path: &str, kind: &str) -> bool {
    let end = path.get(path.len().saturating_sub(kind.len())..);
    end.is_some_and(|end| end.eq_ignore_ascii_case(kind))
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

    /// Learns what a playlist at a path of a host says.
    pub(crate) fn learn(&self, host: &str, path: &str, playlist: &[u8]) {
        let Ok(text) = std::str::from_utf8(playlist) else { return };
        let mut lasting: HashMap<String, u64> = HashMap::new();
        let found: Vec<(String, u64)> = if ends_in(path, ".mpd") {
            dash::segments(text, KEPT_MAX)
        } else {
            hls::segments(text).take(KEPT_MAX).map(|(uri, millis)| (uri.to_owned(), millis)).collect()
        };
        for (uri, millis) in found {
            if let Some(place) = resolved(host, path, &uri) {
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
        known.learn("a", "/v/i.m3u8", text.as_bytes());
        for (path, millis) in [
            ("/v/0.ts", Some(9_977)),
            ("/v/all.ts", Some(7_000)),
            ("/v/init.mp4", Some(0)),
            ("/v/1.ts", None),
        ] {
            assert_eq!(known.lasts("a", path), millis, "{path}");
        }
        assert_eq!(known.lasts("b", "/v/0.ts"), None, "another host is another film");
        known.learn("a", "/v/i.m3u8", b"#EXTINF:2,\n0.ts\n");
        assert_eq!(known.lasts("a", "/v/0.ts"), Some(2_000), "the latest word counts");
        assert!(known.may_ask("a", "/v/i.m3u8") && !known.may_ask("a", "/v/i.m3u8"));
    }

    #[test]
    fn memory_is_bounded() {
        let known = Segments::default();
        known.learn("a", "/i.m3u8", b"#EXTINF:1,\nfirst.ts\n");
        for round in 0..3 {
            let list: String = (0..KEPT_MAX)
                .fold(String::new(), |list, n| list + "#EXTINF:1,\n" + &format!("{round}-{n}.ts\n"));
            known.learn("a", "/i.m3u8", list.as_bytes());
            let memory = known.memory();
            assert!(memory.young.len() <= KEPT_MAX && memory.old.len() <= KEPT_MAX);
        }
        assert_eq!(known.lasts("a", "/first.ts"), None, "it was forgotten");
        assert!(known.lasts("a", "/2-7.ts").is_some());
    }
}
