//! Which segments a DASH manifest has and how long they last (ISO/IEC 23009-1): templates with a timeline or with one length for all, and
//! lists. What stands outside applies to what is inside, as far as that says nothing itself.
//!
//! A manifest of few bytes may name very many segments, so all that is written from one is bounded: how many, and how many bytes.

use std::sync::Arc;

use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::representation::{Addresses, Runs, Scope};
use super::told::Told;

/// Segments of one representation: more are not written out.
pub(super) const SEGMENTS_MOST: usize = 20_000;
/// How deep elements are nested.
const DEPTH_MOST: usize = 64;
/// Texts and numbers that are longer cannot be read.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;

/// A manifest as far as it has been read.
struct Manifest {
    /// What applies inside the elements that have a scope of their own.
    scopes: Vec<Scope>,
    depth: usize,
    /// Of a `BaseURL`, a `SegmentTimeline` and a `SegmentList` what has come of it.
    base: Option<String>,
    timeline: Option<Runs>,
    list: Option<Vec<Option<Arc<str>>>>,
    addresses: Addresses,
}

/// The addresses of a manifest, at most so many, and how long they last. What cannot be read says nothing.
pub(super) fn segments(text: &str, most: usize) -> Vec<Told> {
    let mut reader = Reader::from_str(text);
    let mut manifest = Manifest {
        scopes: vec![Scope::default()],
        depth: 0,
        base: None,
        timeline: None,
        list: None,
        addresses: Addresses::new(most),
    };
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) => manifest.begin(&element),
            Event::Empty(element) => {
                manifest.begin(&element);
                manifest.end(element.local_name().as_ref());
            }
            Event::Text(text) => manifest.add_to_base(&text),
            Event::CData(text) => manifest.add_to_base(&text),
            Event::GeneralRef(name) => {
                // Of one that is not known, nothing is made.
                let text = format!("&{};", &*name);
                manifest.add_to_base(unescape(&text).as_deref().unwrap_or(&text));
            }
            Event::End(element) => manifest.end(element.local_name().as_ref()),
            Event::DocType(_) | Event::Eof => break,
            _ => {}
        }
        if manifest.depth > DEPTH_MOST || manifest.addresses.are_full() {
            break;
        }
    }
    manifest.addresses.told()
}

/// Whether what an element says holds inside it only. All others speak of the one around them.
fn has_scope(name: &str) -> bool {
    matches!(name, "MPD" | "Period" | "AdaptationSet" | "Representation")
}

impl Manifest {
    fn begin(&mut self, element: &BytesStart<'_>) {
        self.depth = self.depth.saturating_add(1);
        let name = element.local_name();
        if has_scope(name.as_ref()) {
            let scope = self.scopes.last().map(Scope::inside).unwrap_or_default();
            self.scopes.push(scope);
        }
        let value = |name: &str| attribute(element, name);
        let Some(scope) = self.scopes.last_mut() else { return };
        match name.as_ref() {
            "MPD" => scope.lasts(value("mediaPresentationDuration")),
            "Period" => scope.lasts(value("duration")),
            "Representation" => scope.is_called(value("id"), value("bandwidth")),
            "BaseURL" => self.base = Some(String::new()),
            "SegmentTemplate" => scope.is_cut_by(value),
            "SegmentList" => {
                scope.is_cut_by(value);
                self.list = Some(Vec::new());
            }
            "SegmentTimeline" => self.timeline = Some(Runs::default()),
            "S" => {
                if let Some(timeline) = &mut self.timeline {
                    timeline.run(value("t"), value("d"), value("r"), scope);
                }
            }
            "SegmentURL" => {
                if let Some(list) = self.list.as_mut().filter(|list| list.len() < SEGMENTS_MOST) {
                    list.push(value("media"));
                }
            }
            // A range of a file is no file: the rest of it may last long.
            "Initialization" => scope.begins_with(value("sourceURL").filter(|_| value("range").is_none())),
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        if has_scope(name) {
            let ended = self.scopes.pop();
            if let Some(representation) = ended.filter(|_| name == "Representation") {
                self.addresses.write(&representation);
            }
            return;
        }
        let Some(scope) = self.scopes.last_mut() else { return };
        match name {
            "BaseURL" => {
                if let Some(base) = self.base.take() {
                    scope.is_based(base.trim());
                }
            }
            "SegmentTimeline" => scope.timeline = self.timeline.take().map(Arc::new).unwrap_or_default(),
            "SegmentList" => scope.list = self.list.take().map(Arc::from).unwrap_or_default(),
            _ => {}
        }
    }

    fn add_to_base(&mut self, text: &str) {
        // Of one that is too long it is enough to know that it is.
        if let Some(base) = self.base.as_mut().filter(|base| base.len() <= VALUE_BYTES_MAX) {
            base.extend(text.chars().take(VALUE_BYTES_MAX.saturating_add(1)));
        }
    }
}

/// The value of an attribute. One that is too long is none.
fn attribute(element: &BytesStart<'_>, name: &str) -> Option<Arc<str>> {
    let found = element.try_get_attribute(name).ok().flatten()?;
    let short = Some(&*found.value).filter(|value| value.len() <= VALUE_BYTES_MAX)?;
    unescape(short).ok().map(|text| Arc::from(&*text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::representation::{ADDRESS_BYTES_MAX, WRITTEN_BYTES_MAX};
    use super::super::told::Length;
    use super::*;

    fn read(text: &str) -> Vec<(String, Length)> {
        segments(text, SEGMENTS_MOST).into_iter().map(|told| (told.address, told.length)).collect()
    }

    fn named(list: &[(&str, u64)]) -> Vec<(String, Length)> {
        let length = |millis| if millis == 0 { Length::BEFORE } else { Length::whole(Some(millis)) };
        list.iter().map(|(name, millis)| ((*name).to_owned(), length(*millis))).collect()
    }

    /// A manifest of one representation.
    fn one(inside: &str) -> String {
        format!(
            "<MPD><Period><AdaptationSet><Representation id=\"r\">{inside}</Representation></AdaptationSet></Period></MPD>"
        )
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
        let text = r#"<MPD mediaPresentationDuration="PT1M5S"><BaseURL>/films/</BaseURL><BaseURL>https://b.example/</BaseURL><Period><BaseURL>on&amp;e/</BaseURL><AdaptationSet>
            <SegmentTemplate timescale="1000" duration="30000" media="$Bandwidth$/$Number$.m4s" startNumber="0"/>
            <Representation id="x" bandwidth="7"/><Representation id="y" bandwidth="9"><BaseURL>hd/</BaseURL></Representation></AdaptationSet></Period></MPD>"#;
        let expected = [
            ("/films/on&e/7/0.m4s", 30_000),
            ("/films/on&e/7/1.m4s", 30_000),
            ("/films/on&e/7/2.m4s", 30_000),
            ("/films/on&e/hd/9/0.m4s", 30_000),
            ("/films/on&e/hd/9/1.m4s", 30_000),
            ("/films/on&e/hd/9/2.m4s", 30_000),
        ];
        assert_eq!(read(text), named(&expected));
    }

    #[test]
    fn lists_are_read_and_nonsense_says_nothing() {
        let list = one(
            r#"<SegmentList timescale="2" duration="5"><Initialization sourceURL="i.mp4"/><SegmentURL media="1.m4s"/><SegmentURL media="2.m4s"/></SegmentList>"#,
        );
        assert_eq!(read(&list), named(&[("i.mp4", 0), ("1.m4s", 2_500), ("2.m4s", 2_500)]));
        let endless = r#"<MPD mediaPresentationDuration="PT99999999H"><Period><Representation><SegmentTemplate duration="1" media="$Number$"/></Representation></Period></MPD>"#;
        assert_eq!(read(endless).len(), SEGMENTS_MOST);
        assert_eq!(segments(endless, 7).len(), 7);
        let text = one(r#"<SegmentTemplate duration="1" media="$Number$"/>"#);
        let foreign = one(
            r#"<SegmentTemplate media="$Other$"><SegmentTimeline><S d="1"/></SegmentTimeline></SegmentTemplate>"#,
        );
        for bad in
            ["", "<MPD>", "</MPD>", "<!DOCTYPE a [<!ENTITY b \"c\">]><MPD/>", "<S d=\"1\"/>", &text, &foreign]
        {
            assert_eq!(read(bad), Vec::new(), "{bad}");
        }
    }

    /// A range of the whole film at its beginning made the film free, and so did a length that could not be read.
    #[test]
    fn ranges_of_one_file_are_the_file_and_no_length_is_none_at_all() {
        let ranges = r#"<BaseURL>film.mp4</BaseURL><SegmentList duration="4"><Initialization sourceURL="film.mp4" range="0-9"/><SegmentURL mediaRange="10-19"/><SegmentURL mediaRange="20-29"/></SegmentList>"#;
        assert_eq!(read(&one(ranges)), named(&[("film.mp4", 4_000), ("film.mp4", 4_000)]));
        let base = r#"<BaseURL>film.mp4</BaseURL><SegmentBase><Initialization range="0-9"/></SegmentBase>"#;
        assert_eq!(read(&one(base)), []);
        let unknown =
            |text: &str| read(&one(text)).into_iter().map(|(_, length)| length.millis).collect::<Vec<_>>();
        let timeline = |run: &str| {
            unknown(&format!(
                "<SegmentTemplate media=\"$Number$\"><SegmentTimeline><S d=\"2\"/><S {run}/></SegmentTimeline></SegmentTemplate>"
            ))
        };
        for run in ["", "d=\"0\"", "d=\"x\"", "d=\"-1\"", "d=\"18446744073709551615\""] {
            assert_eq!(timeline(run), [Some(2_000), None], "{run}");
        }
        assert_eq!(unknown("<SegmentList><SegmentURL media=\"a\"/></SegmentList>"), [None]);
        let last = r#"<SegmentTemplate startNumber="18446744073709551615" media="$Number$"><SegmentTimeline><S d="1" r="9"/></SegmentTimeline></SegmentTemplate>"#;
        assert_eq!(read(&one(last)).len(), 1, "numbers end");
    }

    fn written(found: &[Told]) -> usize {
        found.iter().map(|told| told.address.len()).sum()
    }

    /// Some kilobytes named twenty gigabytes of addresses.
    #[test]
    fn few_bytes_name_no_more_than_there_is_room_for() {
        let runs = "<SegmentTimeline><S d=\"1\" r=\"9223372036854775807\"/></SegmentTimeline>";
        let (long, most) = ("a".repeat(VALUE_BYTES_MAX), usize::MAX);
        let base = format!("<BaseURL>{long}/</BaseURL>");
        let file = "b".repeat(VALUE_BYTES_MAX - 1) + "/$Number$";
        for (name, media, bases, is_lost) in [
            ("short", "$Number$", "", false),
            ("wide", "$Number%099999999999d$", "", false),
            ("many identifiers", &*"$RepresentationID$".repeat(56), "", true),
            ("a long name", &file[9..], "", false),
            ("too long a name", &*(file.clone() + "c"), "", true),
            ("a long base", "$Number$", &*base, true),
        ] {
            let representation = format!(
                "<Representation id=\"{long}\">{bases}<SegmentTemplate media=\"{media}\">{runs}</SegmentTemplate></Representation>"
            );
            let text = format!("<MPD><Period>{}</Period></MPD>", representation.repeat(40));
            let found = segments(&text, most);
            assert!(written(&found) <= WRITTEN_BYTES_MAX, "{name}");
            assert_eq!(found.is_empty(), is_lost, "{name}");
        }
        let nested = base.replace(&long, &long[2..]);
        let deep = format!(
            "<MPD>{nested}<Period>{nested}<AdaptationSet>{nested}<Representation>{nested}<SegmentTemplate media=\"1\">{runs}</SegmentTemplate></Representation></AdaptationSet></Period></MPD>"
        );
        let found = segments(&deep, most);
        assert!(!found.is_empty() && found.iter().all(|told| told.address.len() <= ADDRESS_BYTES_MAX));
        assert!(written(&found) <= WRITTEN_BYTES_MAX);
    }

    /// An element with attributes and what is inside, any of it and in any order.
    fn any_element() -> impl Strategy<Value = String> {
        const NAMES: [&str; 12] = [
            "MPD",
            "Period",
            "AdaptationSet",
            "Representation",
            "Representation",
            "SegmentTemplate",
            "SegmentTimeline",
            "S",
            "SegmentList",
            "SegmentURL",
            "Initialization",
            "BaseURL",
        ];
        const KEYS: [&str; 16] = [
            "d",
            "t",
            "r",
            "media",
            "media",
            "sourceURL",
            "range",
            "duration",
            "timescale",
            "startNumber",
            "initialization",
            "id",
            "bandwidth",
            "mediaPresentationDuration",
            "duration",
            "d",
        ];
        let value = prop_oneof![
            4 => "[0-9]{1,20}|-1|PT[0-9]{1,9}[HMS]|/?[a-z]{0,3}/|\\$(Number|Time)(%0[0-9]{1,3}d)?\\$|(a|\\$RepresentationID\\$){1,60}|&amp;|&x;|\\$",
            1 => (1_000_usize..1_030).prop_map(|length| "z".repeat(length)),
        ];
        let attributes =
            proptest::collection::vec((proptest::sample::select(&KEYS[..]), value.clone()), 0..5);
        let opened = (proptest::sample::select(&NAMES[..]), attributes);
        let written = |name: &str, attributes: &[(&str, String)], inside: &str| {
            let attributes: String =
                attributes.iter().fold(String::new(), |all, (key, value)| format!("{all} {key}=\"{value}\""));
            if inside.is_empty() {
                format!("<{name}{attributes}/>")
            } else {
                format!("<{name}{attributes}>{inside}</{name}>")
            }
        };
        let leaf = prop_oneof![
            value,
            opened.clone().prop_map(move |(name, attributes)| written(name, &attributes, ""))
        ];
        leaf.prop_recursive(8, 64, 6, move |inner| {
            (opened.clone(), proptest::collection::vec(inner, 0..6))
                .prop_map(move |((name, attributes), inside)| written(name, &attributes, &inside.concat()))
        })
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "(<|>|/|\"|=|MPD|Period|Representation|SegmentTemplate|S|d|r|t|[0-9]| |\\PC){0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn any_tree_stays_within_its_bounds(text in any_element(), most in 0_usize..50) {
            let found = segments(&text, usize::MAX);
            prop_assert!(written(&found) <= WRITTEN_BYTES_MAX);
            prop_assert!(found.iter().all(|told| told.address.len() <= ADDRESS_BYTES_MAX));
            let fewer = segments(&text, most);
            prop_assert!(fewer.len() == most.min(found.len()) && found.starts_with(&fewer));
        }
    }
}
