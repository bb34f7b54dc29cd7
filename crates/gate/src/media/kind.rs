//! What a playlist is written in: by the end of its name, and by its beginning.

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
    /// A playlist.
    Playlist(Kind),
    /// Anything else.
    Other,
}

/// How the names of playlists end.
const ENDS: [(&str, Kind); 3] = [(".m3u8", Kind::Hls), (".m3u", Kind::Hls), (".mpd", Kind::Dash)];
/// How playlists begin.
const BEGINS: [(&str, Kind); 3] = [("#EXTM3U", Kind::Hls), ("<?xml", Kind::Dash), ("<MPD", Kind::Dash)];
/// Where a playlist has begun, however many blanks it has.
const BEGUN_MOST: usize = 1_024;
/// What some programs put before any text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
