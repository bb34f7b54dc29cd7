//! Which segments an HLS playlist has and how long they last (RFC 8216): `#EXTINF` before an address, parts (`#EXT-X-PART`), and what is
//! read before the first (`#EXT-X-MAP`), which lasts nothing. Durations are read exactly, so that no price hangs on a rounding of
//! floating point.

use super::millis;

/// The addresses of a playlist with their durations in thousandths, rounded up.
pub(super) fn segments(text: &str) -> impl Iterator<Item = (&str, u64)> {
    let mut lasting = None;
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("#EXTINF:") {
            lasting = millis(rest.split(',').next().unwrap_or_default());
            return None;
        }
        if let Some(attributes) = line.strip_prefix("#EXT-X-MAP:") {
            return Some((quoted(attributes, "URI")?, 0));
        }
        if let Some(attributes) = line.strip_prefix("#EXT-X-PART:") {
            let duration = attributes.split(',').find_map(|part| part.trim().strip_prefix("DURATION="))?;
            return Some((quoted(attributes, "URI")?, millis(duration)?));
        }
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        // An address without a duration is that of another playlist.
        Some((line, lasting.take()?))
    })
}

/// The text of an attribute between quotes.
fn quoted<'t>(attributes: &'t str, name: &str) -> Option<&'t str> {
    let after = attributes.match_indices(name).find_map(|(at, _)| {
        let begins = attributes.get(..at).is_some_and(|before| before.is_empty() || before.ends_with(','));
        let rest = attributes.get(at..)?.strip_prefix(name)?.strip_prefix("=\"")?;
        begins.then_some(rest)
    })?;
    after.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As ffmpeg writes it.
    const FILM: &str = "#EXTM3U\r\n#EXT-X-VERSION:7\r\n#EXT-X-TARGETDURATION:10\r\n#EXT-X-MEDIA-SEQUENCE:0\r\n\
        #EXT-X-PLAYLIST-TYPE:VOD\r\n#EXT-X-MAP:URI=\"init.mp4\",BYTERANGE=\"720@0\"\r\n#EXTINF:10.000000,\r\nfilm0.m4s\r\n\
        #EXTINF:9.9766671,a title, with a comma\r\nfilm1.m4s\r\n#EXTINF:4,\r\n\r\n#EXT-X-DISCONTINUITY\r\nfilm2.m4s\r\n#EXT-X-ENDLIST\r\n";

    #[test]
    fn a_film_has_segments() {
        let found: Vec<_> = segments(FILM).collect();
        assert_eq!(
            found,
            [("init.mp4", 0), ("film0.m4s", 10_000), ("film1.m4s", 9_977), ("film2.m4s", 4_000)]
        );
    }

    #[test]
    fn a_list_of_lists_has_none_and_parts_count() {
        let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,URI=b\"\nlow/index.m3u8\n";
        assert_eq!(segments(master).count(), 0);
        let live = "#EXT-X-PART:DURATION=0.33334,INDEPENDENT=YES,URI=\"p1.mp4\"\n#EXT-X-PART:URI=\"p2.mp4\",DURATION=0.5\n";
        assert_eq!(segments(live).collect::<Vec<_>>(), [("p1.mp4", 334), ("p2.mp4", 500)]);
        for bad in ["-1", "1e3", "", "x", "1.2.3", "99999999999999999999"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text: String) {
            let _ = segments(&text).count();
        }

        #[test]
        fn durations_are_rounded_up(whole in 0u64..100_000, micros in 0u64..1_000_000) {
            let read = millis(&format!("{whole}.{micros:06}")).unwrap();
            prop_assert_eq!(read, whole * 1_000 + micros.div_ceil(1_000));
        }
    }
}
