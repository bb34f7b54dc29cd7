//! The first part of a page of HTML: read token by token as browsers do, written again with every element closed, and cut off.
//!
//! Scripts, comments and what only other programs see are left out, before the cut as well: they often hold the whole once more.

use std::fmt::Write as _;

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{EndTag, HtmlString, StartTag, Token, Tokenizer};

use super::Part;
use super::text::{start_of_word, words};

/// A page that was cut off, in two parts: between them there is room for what is said about the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutPage {
    /// All that is shown.
    pub before: String,
    /// What closes the elements that are open.
    pub after: String,
}

/// How deep elements are shown in one another: what is deeper is the rest, and each end looks through them all.
const DEPTH_MOST: usize = 256;
/// Elements without an end.
const VOID: [&str; 13] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];
/// Elements that are left out with all that is in them.
const HIDDEN: [&str; 11] = [
    "script",
    "noscript",
    "template",
    "iframe",
    "object",
    "embed",
    "applet",
    "noembed",
    "noframes",
    "xmp",
    "plaintext",
];
/// Elements that hold no text for readers.
const UNREAD: [&str; 3] = ["head", "title", "style"];
/// Elements that may stand in the head; another one ends it.
const HEAD: [&str; 5] = ["base", "link", "meta", "style", "title"];
/// Elements that end a paragraph which is still open.
const BLOCKS: [&str; 31] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "details",
    "dialog",
    "div",
    "dl",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hgroup",
    "hr",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "ul",
];
/// What is said about the rest stands at the end of the innermost of these.
const CONTAINERS: [&str; 3] = ["article", "main", "body"];

/// Cuts a page; nothing if there is no rest. `whole` says whether all of the page was read.
pub fn page(source: &str, whole: bool, part: &Part) -> Option<CutPage> {
    let (source, at_end) = match part {
        Part::Until(marker) => (source.get(..source.find(marker.as_str())?)?, true),
        Part::Items { .. } | Part::Preview(_) => return None,
        Part::Paragraphs(_) | Part::Words(_) | Part::Bytes(_) => (source, false),
    };
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut tokens = Tokenizer::new_with_emitter(source, emitter).map(|token| match token {
        Ok(token) => token,
    });
    let mut cutter = Cutter::new(part);
    let step = tokens.by_ref().map(|token| cutter.take(token)).find(|step| *step != Step::On);
    let is_cut = match step {
        // The marker, where the source ends.
        None | Some(Step::On) => at_end,
        Some(Step::Cut) => true,
        Some(Step::Full) => !whole || has_text(tokens),
    };
    is_cut.then(|| cutter.finish())
}

/// Whether anything is left to be read.
fn has_text(tokens: impl Iterator<Item = Token>) -> bool {
    let mut hidden = false;
    for token in tokens {
        match token {
            Token::StartTag(tag) => hidden = is_one_of(&tag.name, &HIDDEN) || is_one_of(&tag.name, &UNREAD),
            Token::EndTag(_) => hidden = false,
            Token::String(text) if !hidden && !text.trim_ascii().is_empty() => return true,
            _ => {}
        }
    }
    false
}

/// What a token has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    On,
    /// What comes next is the rest.
    Cut,
    /// All that is free was shown; whether there is a rest is to be seen.
    Full,
}

struct Cutter<'a> {
    part: &'a Part,
    most: usize,
    out: String,
    /// The elements that are open, the innermost last.
    open: Vec<String>,
    /// The element that is left out, and how many of its name are open in one another.
    hidden: Option<(String, usize)>,
    paragraphs: u32,
    words: u32,
}

impl<'a> Cutter<'a> {
    fn new(part: &'a Part) -> Self {
        Self {
            part,
            most: part.most(),
            out: String::new(),
            open: Vec::new(),
            hidden: None,
            paragraphs: 0,
            words: 0,
        }
    }

    fn take(&mut self, token: Token) -> Step {
        match token {
            Token::StartTag(tag) => self.start(tag),
            Token::EndTag(tag) => self.end(&tag),
            Token::String(_) if self.hidden.is_some() => Step::On,
            Token::String(text) => self.text(&text_of(&text)),
            Token::Doctype(doctype) if self.out.is_empty() => {
                self.write(&format!("<!doctype {}>", text_of(&doctype.name)))
            }
            Token::Doctype(_) | Token::Comment(_) | Token::Error(_) => Step::On,
        }
    }

    fn start(&mut self, tag: StartTag<()>) -> Step {
        let name = text_of(&tag.name);
        if let Some((hidden, depth)) = &mut self.hidden {
            *depth = depth.saturating_add(usize::from(*hidden == name));
            return Step::On;
        }
        if !is_plain(&name) {
            return Step::On;
        }
        let is_void = VOID.contains(&name.as_str());
        if HIDDEN.contains(&name.as_str()) {
            let closed = is_void || tag.self_closing && self.is_in_picture();
            self.hidden = (!closed).then_some((name, 1));
            return Step::On;
        }
        if name == "meta" && is_command(&tag) {
            return Step::On;
        }
        if let Some(step) = self.end_implied(&name) {
            return step;
        }
        if !is_void && self.open.len() >= DEPTH_MOST {
            return Step::Cut;
        }
        if let Part::Paragraphs(count) = self.part
            && name == "p"
        {
            if self.paragraphs >= *count {
                return Step::Cut;
            }
            self.paragraphs = self.paragraphs.saturating_add(1);
        }
        let closed = tag.self_closing && self.is_in_picture();
        let step = self.write(&written(&name, tag, closed));
        if step == Step::On && !is_void && !closed {
            self.open.push(name);
        }
        step
    }

    /// Ends what is open and ends by itself where this begins.
    fn end_implied(&mut self, name: &str) -> Option<Step> {
        let top = self.open.last()?.as_str();
        let ends = match name {
            "li" => top == "li" || top == "p",
            "dt" | "dd" => matches!(top, "dt" | "dd" | "p"),
            "tr" => matches!(top, "tr" | "td" | "th"),
            "td" | "th" => matches!(top, "td" | "th"),
            "option" | "optgroup" => top == "option",
            _ if top == "head" => !HEAD.contains(&name),
            _ => top == "p" && BLOCKS.contains(&name),
        };
        if !ends {
            return None;
        }
        let step = self.close(self.open.len().saturating_sub(1));
        if step == Step::On { self.end_implied(name) } else { Some(step) }
    }

    fn end(&mut self, tag: &EndTag<()>) -> Step {
        let name = text_of(&tag.name);
        if let Some((hidden, depth)) = &mut self.hidden {
            if *hidden == name {
                *depth = depth.saturating_sub(1);
            }
            if *depth == 0 {
                self.hidden = None;
            }
            return Step::On;
        }
        let opened = self.open.iter().rposition(|open| *open == name);
        opened.map_or(Step::On, |at| self.close(at))
    }

    /// Closes the elements from `at` on, the innermost first.
    fn close(&mut self, at: usize) -> Step {
        let closed = self.open.split_off(at.min(self.open.len()));
        self.out.push_str(&ends(&closed));
        let full = matches!(self.part, Part::Paragraphs(count) if self.paragraphs >= *count);
        if full && closed.iter().any(|name| name == "p") { Step::Full } else { Step::On }
    }

    fn text(&mut self, text: &str) -> Step {
        if self.open.last().is_some_and(|top| top == "style") {
            return self.write(text);
        }
        if text.trim().is_empty() && self.out.is_empty() {
            return Step::On;
        }
        if self.open.last().is_some_and(|top| top == "head") && !text.trim().is_empty() {
            self.close(self.open.len().saturating_sub(1));
        }
        let is_read = !self.open.iter().any(|open| UNREAD.contains(&open.as_str()));
        let (mut shown, mut step) = (text, Step::On);
        if let Part::Words(count) = self.part
            && is_read
        {
            let left = count.saturating_sub(self.words);
            if let Some(at) = start_of_word(text, left) {
                shown = text.get(..at).unwrap_or_default().trim_end();
                step = Step::Cut;
            }
            self.words = self.words.saturating_add(words(text));
        }
        let mut room = self.most.saturating_sub(self.out.len());
        for c in shown.chars() {
            let mut letter = [0; 4];
            let written = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                c => c.encode_utf8(&mut letter),
            };
            let Some(left) = room.checked_sub(written.len()) else { return Step::Cut };
            room = left;
            self.out.push_str(written);
        }
        step
    }

    /// Writes something that cannot be cut.
    fn write(&mut self, text: &str) -> Step {
        if self.out.len().saturating_add(text.len()) > self.most {
            return Step::Cut;
        }
        self.out.push_str(text);
        Step::On
    }

    fn is_in_picture(&self) -> bool {
        self.open.iter().any(|open| open == "svg" || open == "math")
    }

    fn finish(mut self) -> CutPage {
        let container = self.open.iter().rposition(|open| CONTAINERS.contains(&open.as_str()));
        let inner = self.open.split_off(container.map_or(0, |at| at.saturating_add(1)).min(self.open.len()));
        self.out.push_str(&ends(&inner));
        let after = ends(&self.open);
        CutPage { before: self.out, after }
    }
}

/// The ends of elements, the innermost first.
fn ends(open: &[String]) -> String {
    open.iter().rev().fold(String::new(), |mut text, name| {
        let _ = write!(text, "</{name}>");
        text
    })
}

/// A start tag again. What would be a script, or a page of its own, is not written.
fn written(name: &str, tag: StartTag<()>, closed: bool) -> String {
    let mut text = format!("<{name}");
    for (attribute, value) in tag.attributes {
        let attribute = text_of(&attribute);
        if attribute.starts_with("on") || attribute == "srcdoc" || !is_plain(&attribute) {
            continue;
        }
        let value = text_of(&value.value).replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
        let _ = write!(text, " {attribute}=\"{value}\"");
    }
    text.push_str(if closed { "/>" } else { ">" });
    text
}

/// Whether a name is one that anybody would write. The standard lets `<a<script>` be an element; not every reader does.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.'))
}

/// A `meta` that sends the reader elsewhere.
fn is_command(tag: &StartTag<()>) -> bool {
    let kind = tag.attributes.get(&b"http-equiv"[..]);
    kind.is_some_and(|kind| kind.value.trim_ascii().eq_ignore_ascii_case(b"refresh"))
}

fn is_one_of(name: &HtmlString, names: &[&str]) -> bool {
    names.iter().any(|own| name.as_slice() == own.as_bytes())
}

/// All that is read was text.
fn text_of(bytes: &HtmlString) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARTICLE: &str = "<!DOCTYPE html><html lang=en><head><title>A wren</title><style>p>b{color:red}</style>\
        <script type=\"application/ld+json\">{\"articleBody\":\"SECRET one two\"}</script><meta http-equiv=refresh content=0></head>\
        <body onload=\"x()\"><main><article><h1>Wrens &amp; coins</h1><!-- SECRET --><p>One <b>two</b> three<p class=\"a&quot;b\">Four \
        <em>five six</em> <img src=a.png> seven.</p><div>SECRET eight</div></article></main><footer><p>Nine</p></footer></body></html>";

    fn cut(part: &Part) -> Option<String> {
        page(ARTICLE, true, part).map(|page| format!("{}|{}", page.before, page.after))
    }

    #[test]
    fn a_page_is_cut_where_it_is_said() {
        let head = "<!doctype html><html lang=\"en\"><head><title>A wren</title><style>p>b{color:red}</style></head><body><main><article>\
                    <h1>Wrens &amp; coins</h1>";
        let after = "|</article></main></body></html>";
        for (part, expected) in [
            (Part::Paragraphs(1), "<p>One <b>two</b> three</p>"),
            (
                Part::Paragraphs(2),
                "<p>One <b>two</b> three</p><p class=\"a&quot;b\">Four <em>five six</em> <img src=\"a.png\"> seven.</p>",
            ),
            (Part::Words(5), "<p>One <b>two</b></p>"),
            (Part::Words(8), "<p>One <b>two</b> three</p><p class=\"a&quot;b\">Four <em>five</em></p>"),
            (
                Part::Until("five".into()),
                "<p>One <b>two</b> three</p><p class=\"a&quot;b\">Four <em></em></p>",
            ),
            (Part::Until("<!-- SECRET".into()), ""),
        ] {
            assert_eq!(cut(&part).unwrap(), format!("{head}{expected}{after}"), "{part}");
        }
    }

    #[test]
    fn without_a_rest_or_its_place_nothing_is_shown() {
        for part in [
            Part::Paragraphs(3),
            Part::Words(13),
            Part::Until("<!-- farthing:rest -->".into()),
            Part::Bytes(60_000),
            Part::Items { count: 1, at: String::new() },
        ] {
            assert_eq!(cut(&part), None, "{part}");
        }
        assert_eq!(page("<p>One", true, &Part::Paragraphs(1)), None, "the only paragraph");
        assert_eq!(
            page("<p>One</p> <script>two</script>", true, &Part::Paragraphs(1)),
            None,
            "a script is no rest"
        );
        assert_eq!(page("<div>one two</div>", true, &Part::Paragraphs(1)), None, "no paragraph at all");
        let no_body = "<head><title>t</title><h1>One two</h1>three";
        let expected = "<head><title>t</title></head><h1>One</h1>";
        assert_eq!(
            page(no_body, true, &Part::Words(1)).unwrap().before,
            expected,
            "a head that ends by itself"
        );
        assert!(page("<p>One</p> ", false, &Part::Paragraphs(1)).is_some(), "there is more");
    }

    /// Every start has its end, one within the other.
    fn is_whole(html: &str) -> bool {
        let mut open = Vec::new();
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        for token in Tokenizer::new_with_emitter(html, emitter).flatten() {
            match token {
                Token::StartTag(tag) if !is_one_of(&tag.name, &VOID) && !tag.self_closing => {
                    open.push(tag.name);
                }
                Token::EndTag(tag) if open.pop() != Some(tag.name.clone()) => return false,
                _ => {}
            }
        }
        open.is_empty()
    }

    fn tags() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("<p>".to_owned()),
            Just("</p>".to_owned()),
            Just("<div class='x'>".to_owned()),
            Just("</div>".to_owned()),
            Just("<b>".to_owned()),
            Just("</b>".to_owned()),
            Just("<li>".to_owned()),
            Just("<script>".to_owned()),
            Just("</script>".to_owned()),
            Just("<svg><path/>".to_owned()),
            Just("</svg>".to_owned()),
            Just("<style>".to_owned()),
            Just("</style>".to_owned()),
            Just("<!--".to_owned()),
            Just("-->".to_owned()),
            Just("<article>".to_owned()),
            "[ a-z<>&\"'/é]{0,12}",
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn what_is_nested_deeper_than_anybody_reads_is_the_rest() {
        let deep = format!("<body>{}a{}", "<b>".repeat(20_000), "</x>".repeat(40_000));
        let cut = page(&deep, true, &Part::Words(10)).unwrap();
        assert!(
            cut.before.matches("<b>").count() < DEPTH_MOST
                && is_whole(&format!("{}{}", cut.before, cut.after))
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_is_cut_well_formed_and_within_bounds(
            html in tags(),
            whole: bool,
            count in 1_u32..5,
            bytes in 1_u32..60,
        ) {
            for part in [Part::Paragraphs(count), Part::Words(count), Part::Bytes(bytes), Part::Until("</b>".into())] {
                let Some(CutPage { before, after }) = page(&html, whole, &part) else { continue };
                prop_assert!(is_whole(&format!("{before}{after}")), "{part} of {html}: {before}|{after}");
                let has_style = before.contains("<style");
                prop_assert!(has_style || !before.contains("<script") && !before.contains("<!--"));
                if let Part::Bytes(bytes) = part {
                    let ends: usize = before.split("</").skip(1).map(|end| end.find('>').unwrap_or(0) + 3).sum();
                    prop_assert!(before.len() <= usize::try_from(bytes).unwrap() + ends, "{before}");
                }
                if let Part::Words(count) = part {
                    let text: String = Tokenizer::new(before.as_str()).flatten().filter_map(|token| match token {
                        Token::String(text) => Some(text_of(&text) + " "),
                        _ => None,
                    }).collect();
                    prop_assert!(has_style || words(&text) <= count, "{before}");
                }
            }
        }
    }
}
