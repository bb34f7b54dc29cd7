//! Which segments a DASH manifest has and how long they last (ISO/IEC 23009-1): templates with a timeline or with one length for all, and
//! lists. What stands outside applies to what is inside, as far as that says nothing itself.

use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// Segments of one representation: more are not written out.
const SEGMENTS_MOST: u64 = 20_000;
/// How deep elements are nested.
const DEPTH_MOST: usize = 64;

/// What applies at a place of the manifest.
#[derive(Clone, Default)]
struct Scope {
    /// The length of the present period in thousandths, if it is said.
    period: Option<u64>,
    base: String,
    representation: String,
    bandwidth: String,
    media: Option<String>,
    initialization: Option<String>,
    timescale: u64,
    duration: u64,
    first: u64,
    /// Beginnings and lengths, in the timescale.
    timeline: Vec<(u64, u64)>,
    /// Addresses of a list.
    list: Vec<String>,
}

/// The addresses of a manifest with their durations in thousandths, rounded up. What cannot be read says nothing.
pub(super) fn segments(text: &str, most: usize) -> Vec<(String, u64)> {
    let mut reader = Reader::from_str(text);
    let mut found = Vec::new();
    let mut scopes = vec![Scope { timescale: 1, first: 1, ..Scope::default() }];
    let mut in_base = false;
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) => {
                let mut scope = scopes.last().cloned().unwrap_or_default();
                scope.enter(&element);
                in_base = element.local_name().as_ref() == "BaseURL";
                scopes.push(scope);
            }
            Event::Empty(element) => {
                let mut scope = scopes.last().cloned().unwrap_or_default();
                scope.enter(&element);
                leave(&mut scopes, scope, element.local_name().as_ref(), &mut found);
            }
            Event::Text(base) if in_base => {
                // It applies to what is around the element that says it.
                if let (Some(scope), Ok(base)) = (scopes.iter_mut().rev().nth(1), unescape(&base)) {
                    scope.base = joined(&scope.base, base.trim());
                }
            }
            Event::End(element) => {
                in_base = false;
                let Some(scope) = scopes.pop().filter(|_| !scopes.is_empty()) else { break };
                leave(&mut scopes, scope, element.local_name().as_ref(), &mut found);
            }
            Event::DocType(_) | Event::Eof => break,
            _ => {}
        }
        if scopes.len() > DEPTH_MOST || found.len() >= most {
            break;
        }
    }
    found
}

/// What an element says of segments holds for the one around it; a representation that ends has told all.
fn leave(scopes: &mut [Scope], scope: Scope, name: &str, found: &mut Vec<(String, u64)>) {
    match name {
        "Representation" => scope.write_out(found),
        "SegmentTemplate" | "SegmentTimeline" | "SegmentList" | "S" | "SegmentURL" | "Initialization" => {
            if let Some(around) = scopes.last_mut() {
                let (base, period) = (std::mem::take(&mut around.base), around.period);
                let (representation, bandwidth) =
                    (std::mem::take(&mut around.representation), std::mem::take(&mut around.bandwidth));
                *around = Scope { period, base, representation, bandwidth, ..scope };
            }
        }
        _ => {}
    }
}

impl Scope {
    fn enter(&mut self, element: &BytesStart<'_>) {
        let text = |name: &str| attribute(element, name);
        let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
        match element.local_name().as_ref() {
            "MPD" => self.period = text("mediaPresentationDuration").and_then(|text| span(&text)),
            "Period" => self.period = text("duration").and_then(|text| span(&text)).or(self.period),
            "Representation" => {
                self.representation = text("id").unwrap_or_default();
                self.bandwidth = text("bandwidth").unwrap_or_default();
            }
            "SegmentTemplate" | "SegmentList" => {
                self.media = text("media").or(self.media.take());
                self.initialization = text("initialization").or(self.initialization.take());
                self.timescale =
                    number("timescale").filter(|scale| *scale > 0).unwrap_or(self.timescale.max(1));
                self.duration = number("duration").unwrap_or(self.duration);
                self.first = number("startNumber").unwrap_or(self.first);
            }
            "SegmentTimeline" => self.timeline.clear(),
            "S" => self.run(number("t"), number("d").unwrap_or_default(), text("r")),
            "SegmentURL" => self.list.extend(text("media")),
            "Initialization" => self.initialization = text("sourceURL").or(self.initialization.take()),
            _ => {}
        }
    }

    /// A run of a timeline: a length and how often it comes again.
    fn run(&mut self, begins: Option<u64>, length: u64, again: Option<String>) {
        let after = self.timeline.last().map_or(0, |(at, length)| at.saturating_add(*length));
        let mut at = begins.unwrap_or(after);
        let again = again.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let count =
            u64::try_from(again).map_or_else(|_| self.rest(at, length), |again| again.saturating_add(1));
        for _ in 0..count.min(SEGMENTS_MOST) {
            if self.timeline.len() >= usize::try_from(SEGMENTS_MOST).unwrap_or(usize::MAX) {
                return;
            }
            self.timeline.push((at, length));
            at = at.saturating_add(length);
        }
    }

    /// How many of a length there are until the period ends.
    fn rest(&self, at: u64, length: u64) -> u64 {
        let period = self.period.unwrap_or(0).saturating_mul(self.timescale) / 1_000;
        period.saturating_sub(at).div_ceil(length.max(1))
    }

    fn write_out(&self, found: &mut Vec<(String, u64)>) {
        let place = |reference: &str| joined(&self.base, reference);
        if let Some(initialization) = &self.initialization {
            found.push((place(&self.filled(initialization, 0, 0)), 0));
        }
        let millis = |length: u64| length.saturating_mul(1_000).div_ceil(self.timescale.max(1));
        if !self.list.is_empty() {
            let lengths =
                self.timeline.iter().map(|(_, length)| *length).chain(std::iter::repeat(self.duration));
            found.extend(self.list.iter().zip(lengths).map(|(media, length)| (place(media), millis(length))));
            return;
        }
        let Some(media) = &self.media else { return };
        let timeline = if self.timeline.is_empty() && self.duration > 0 {
            let count = self.rest(0, self.duration).min(SEGMENTS_MOST);
            (0..count).map(|n| (n.saturating_mul(self.duration), self.duration)).collect()
        } else {
            self.timeline.clone()
        };
        let numbered = (self.first..).zip(timeline);
        found.extend(numbered.map(|(n, (at, length))| (place(&self.filled(media, n, at)), millis(length))));
    }

    /// A template with its identifiers filled in, such as `$Number%05d$`.
    fn filled(&self, template: &str, number: u64, time: u64) -> String {
        // Every second part stands between two signs; an empty one is the sign itself.
        let parts = template.split('$').enumerate().map(|(at, part)| {
            let (name, width) = part.split_once("%0").unwrap_or((part, ""));
            let width = width.trim_end_matches('d').parse::<usize>().unwrap_or(0).min(32);
            match name {
                _ if at % 2 == 0 => part.to_owned(),
                "" => "$".to_owned(),
                "Number" => format!("{number:0width$}"),
                "Time" => format!("{time:0width$}"),
                "RepresentationID" => self.representation.clone(),
                "Bandwidth" => self.bandwidth.clone(),
                _ => String::new(),
            }
        });
        parts.collect()
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.try_get_attribute(name).ok().flatten()?;
    unescape(&found.value).ok().map(std::borrow::Cow::into_owned)
}

/// A reference against a base that may itself be one.
fn joined(base: &str, reference: &str) -> String {
    if base.is_empty() || reference.starts_with('/') || reference.contains("://") {
        return reference.to_owned();
    }
    let folder = base.rsplit_once('/').map_or("", |(folder, _)| folder);
    if folder.is_empty() && !base.starts_with('/') {
        reference.to_owned()
    } else {
        format!("{folder}/{reference}")
    }
}

/// A span such as `PT1H2M3.5S` in thousandths, rounded up.
fn span(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix("PT")?;
    let mut sum = 0_u64;
    for (sign, factor) in [('H', 3_600), ('M', 60), ('S', 1)] {
        if let Some((number, after)) = rest.split_once(sign) {
            sum = sum.checked_add(super::millis(number)?.checked_mul(factor)?)?;
            rest = after;
        }
    }
    rest.is_empty().then_some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, u64)> {
        segments(text, 1_000)
    }

    fn named(list: &[(&str, u64)]) -> Vec<(String, u64)> {
        list.iter().map(|(name, millis)| ((*name).to_owned(), *millis)).collect()
    }

    #[test]
    fn a_timeline_says_how_long_each_lasts() {
        // As ffmpeg writes it.
        let text = r#"<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT9.0S"><Period id="0" start="PT0.0S">
            <AdaptationSet contentType="video"><Representation id="0" bandwidth="800000">
            <SegmentTemplate timescale="15360" initialization="init-$RepresentationID$.m4s" media="chunk-$RepresentationID$-$Number%05d$.m4s" startNumber="1">
            <SegmentTimeline><S t="0" d="61440" r="1" /><S d="15361" /></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet>
            <AdaptationSet><Representation id="a&amp;b"><SegmentTemplate timescale="10" media="s-$Time$.m4s"><SegmentTimeline><S t="5" d="30" r="-1"/></SegmentTimeline></SegmentTemplate></Representation></AdaptationSet>
            </Period></MPD>"#;
        let expected = [
            ("init-0.m4s", 0),
            ("chunk-0-00001.m4s", 4_000),
            ("chunk-0-00002.m4s", 4_000),
            ("chunk-0-00003.m4s", 1_001),
            ("s-5.m4s", 3_000),
            ("s-35.m4s", 3_000),
            ("s-65.m4s", 3_000),
        ];
        assert_eq!(read(text), named(&expected));
    }

    #[test]
    fn one_length_for_all_and_what_stands_outside() {
        let text = r#"<MPD mediaPresentationDuration="PT1M5S"><BaseURL>/films/</BaseURL><Period><BaseURL>one/</BaseURL><AdaptationSet>
            <SegmentTemplate timescale="1000" duration="30000" media="$Bandwidth$/$Number$.m4s" startNumber="0"/>
            <Representation id="x" bandwidth="7"/><Representation id="y" bandwidth="9"><BaseURL>hd/</BaseURL></Representation></AdaptationSet></Period></MPD>"#;
        let expected = [
            ("/films/one/7/0.m4s", 30_000),
            ("/films/one/7/1.m4s", 30_000),
            ("/films/one/7/2.m4s", 30_000),
            ("/films/one/hd/9/0.m4s", 30_000),
            ("/films/one/hd/9/1.m4s", 30_000),
            ("/films/one/hd/9/2.m4s", 30_000),
        ];
        assert_eq!(read(text), named(&expected));
    }

    #[test]
    fn lists_are_read_and_nonsense_says_nothing() {
        let text = r#"<MPD><Period><AdaptationSet><Representation><SegmentList timescale="2" duration="5"><Initialization sourceURL="i.mp4"/>
            <SegmentURL media="1.m4s"/><SegmentURL media="2.m4s"/></SegmentList></Representation></AdaptationSet></Period></MPD>"#;
        assert_eq!(read(text), named(&[("i.mp4", 0), ("1.m4s", 2_500), ("2.m4s", 2_500)]));
        for bad in [
            "",
            "<MPD>",
            "</MPD>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><MPD/>",
            "<MPD><Period><Representation><SegmentTemplate duration=\"1\" media=\"$Number$\"/></Representation></Period></MPD>",
        ] {
            assert_eq!(read(bad), Vec::new(), "{bad}");
        }
        let endless = r#"<MPD mediaPresentationDuration="PT99999999H"><Period><Representation><SegmentTemplate duration="1" media="$Number$"/></Representation></Period></MPD>"#;
        assert_eq!(read(endless).len(), usize::try_from(SEGMENTS_MOST).unwrap());
        assert_eq!(span("PT1H1M1.5S"), Some(3_661_500));
        assert_eq!((span("P1D"), span("PT5"), span("PT-1S")), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "(<|>|/|\"|=|MPD|Period|Representation|SegmentTemplate|S|d|r|t|[0-9]| |\\PC){0,80}") {
            let _ = read(&text);
        }
    }
}
