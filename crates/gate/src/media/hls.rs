//! Which segments an HLS playlist has and how long they last (RFC 8216): `#EXTINF` before an address, parts (`#EXT-X-PART`), and what is
//! read before the first (`#EXT-X-MAP`), which lasts nothing. Durations are read exactly, so that no price hangs on a rounding of
//! floating point.

use super::millis;
use super::told::{Length, Told};

/// The addresses of a playlist and how long they last.
pub(super) fn segments(text: &str) -> impl Iterator<Item = Told> {
    let mut lasting = None;
    let told = |address: &str, length| Some(Told { address: address.to_owned(), length });
    text.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("#EXTINF:") {
            lasting = Some(millis(rest.split(',').next().unwrap_or_default()));
            return None;
        }
        if let Some(attributes) = line.strip_prefix("#EXT-X-MAP:") {
            // A range of a file is no file: the rest of it may last long.
            let address =
                attribute(attributes, "URI").filter(|_| attribute(attributes, "BYTERANGE").is_none());
            return told(address?, Length::BEFORE);
        }
        if let Some(attributes) = line.strip_prefix("#EXT-X-PART:") {
            // A range of a file opens all of it, and how long that lasts only its `#EXTINF` says.
            let whole = attribute(attributes, "BYTERANGE").is_none();
            let duration = attribute(attributes, "DURATION").and_then(millis).filter(|_| whole);
            return told(attribute(attributes, "URI")?, Length::part(duration));
        }
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        // An address without a duration is that of another playlist.
        told(line, Length::whole(lasting.take()?))
    })
}

/// The value of an attribute, without its quotes.
fn attribute<'t>(mut attributes: &'t str, wanted: &str) -> Option<&'t str> {
    loop {
        let (name, after) = attributes.split_once('=')?;
        let (value, rest) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if name.trim() == wanted {
            return Some(value.trim());
        }
        attributes = rest.split_once(',')?.1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As ffmpeg writes it.
    const FILM: &str = "#EXTM3U\r\n#EXT-X-VERSION:7\r\n#EXT-X-TARGETDURATION:10\r\n#EXT-X-MEDIA-SEQUENCE:0\r\n\
        #EXT-X-PLAYLIST-TYPE:VOD\r\n#EXT-X-MAP:URI=\"init.mp4\"\r\n#EXTINF:10.000000,\r\nfilm0.m4s\r\n\
        #EXTINF:9.9766671,a title, with a comma\r\nfilm1.m4s\r\n#EXTINF:4,\r\n\r\n#EXT-X-DISCONTINUITY\r\nfilm2.m4s\r\n#EXT-X-ENDLIST\r\n";

    fn read(text: &str) -> Vec<(String, Length)> {
        segments(text).map(|told| (told.address, told.length)).collect()
    }

    fn named(list: &[(&str, Length)]) -> Vec<(String, Length)> {
        list.iter().map(|(address, length)| ((*address).to_owned(), *length)).collect()
    }

    fn whole(millis: u64) -> Length {
        Length::whole(Some(millis))
    }

    #[test]
    fn a_film_has_segments() {
        let expected = [
            ("init.mp4", Length::BEFORE),
            ("film0.m4s", whole(10_000)),
            ("film1.m4s", whole(9_977)),
            ("film2.m4s", whole(4_000)),
        ];
        assert_eq!(read(FILM), named(&expected));
        assert_eq!(read("#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"720@0\"\n"), [], "a range is no file");
    }

    #[test]
    fn a_list_of_lists_has_none_and_parts_count() {
        let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,URI=b\"\nlow/index.m3u8\n";
        assert_eq!(read(master), []);
        let live = "#EXT-X-PART:DURATION=0.33334,INDEPENDENT=YES,URI=\"p1.mp4\"\n#EXT-X-PART:URI=\"a,DURATION=0,b\",DURATION=0.5\n";
        let expected = [("p1.mp4", Length::part(Some(334))), ("a,DURATION=0,b", Length::part(Some(500)))];
        assert_eq!(read(live), named(&expected));
        let ranges = "#EXT-X-PART:DURATION=0.33,URI=\"a.mp4\",BYTERANGE=\"20@0\"\n";
        assert_eq!(read(ranges), named(&[("a.mp4", Length::part(None))]));
        for bad in ["-1", "1e3", "", "x", "1.2.3", "99999999999999999999", "18446744073709551.616"] {
            assert_eq!(millis(bad), None, "{bad}");
            let text = format!("#EXTINF:{bad},\n0.ts\n#EXT-X-PART:DURATION={bad},URI=\"1.ts\"\n");
            let unknown = [("0.ts", Length::whole(None)), ("1.ts", Length::part(None))];
            assert_eq!(read(&text), named(&unknown), "{bad}");
        }
    }

    #[test]
    fn attributes_are_read_by_their_quotes() {
        for (text, value) in [
            ("URI=\"a\"", Some("a")),
            ("X=1,URI=\"a,b=c\",Y=2", Some("a,b=c")),
            ("X=\"URI=1\", URI=\"a\"", Some("a")),
            ("URI=a,Y=1", Some("a")),
            ("X=\"URI=1\"", None),
            ("URI=\"a", None),
            ("", None),
        ] {
            assert_eq!(attribute(text, "URI"), value, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text: String, line in "#EXT-X-(MAP|PART):[A-Z=\",0-9.]{0,40}") {
            let _ = segments(&text).count();
            prop_assert!(segments(&line).count() <= 1);
        }

        #[test]
        fn durations_are_rounded_up(whole in 0u64..100_000, micros in 0u64..1_000_000) {
            let read = millis(&format!("{whole}.{micros:06}")).unwrap();
            prop_assert_eq!(read, whole * 1_000 + micros.div_ceil(1_000));
        }
    }
}
