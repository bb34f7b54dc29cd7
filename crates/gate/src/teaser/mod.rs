//! Part free and the rest paid: which part of an answer goes out with the 402, and how it is cut off.
//!
//! A part is shown only where something is left to be paid for. An answer that has no rest, or whose cut cannot be found, is shown not
//! at all: what is sold never goes out because its page was written in another way than its operator thought.

mod html;
mod json;
mod range;
mod text;

use std::fmt;
use std::str::FromStr;

use farthing_money::Span;

pub use html::{CutPage, page};
pub use json::items;
pub(crate) use range::{Asked as AskedRange, Window, content_range};
pub use text::text;

/// How long what is shown is kept in memory, unless a rule says otherwise.
pub const KEEP_DEFAULT: Span = Span::from_secs(60);
/// What goes out of a page, a text or a list at the most.
pub const SHOWN_BYTES_MAX: usize = 64 * 1024;

/// What is free of each thing that a rule prices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Teaser {
    /// Which part.
    pub part: Part,
    /// How long it is kept in memory.
    pub keep: Span,
}

/// Which part of an answer is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first paragraphs of a page or a text.
    Paragraphs(u32),
    /// The first words of a page or a text.
    Words(u32),
    /// A page or a text up to where this stands in it.
    Until(String),
    /// The first items of a list in JSON.
    Items {
        /// How many.
        count: u32,
        /// Where the list is, as a JSON pointer; empty if it is the whole.
        at: String,
    },
    /// The first bytes of anything, to who asks for a range; of pages and texts, to readers too.
    Bytes(u32),
    /// What the upstream has at another path; `{path}` in it stands for the path that was asked for.
    Preview(String),
}

/// Why a text is not a part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// Not one of the shapes.
    #[error(
        "expected a part such as 3 paragraphs, 120 words, 3 items of /results, 65536 bytes, until <!-- farthing:rest --> or preview \
         /previews{{path}}, got {0:?}"
    )]
    Shape(String),
    /// Not the path of a preview.
    #[error("expected a path such as /previews{{path}}, without a query, got {0:?}")]
    Preview(String),
    /// Not a place in JSON.
    #[error("expected a JSON pointer such as /results, got {0:?}")]
    Pointer(String),
}

/// A marker that is longer stands in no page.
const MARKER_BYTES_MAX: usize = 128;

impl FromStr for Part {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        let short = |text: &str| text.chars().take(MARKER_BYTES_MAX).collect::<String>();
        let shape = || PartError::Shape(short(text));
        let (first, rest) = text.split_once(' ').ok_or_else(shape)?;
        match (first, rest.trim()) {
            ("until", marker) if (1..=MARKER_BYTES_MAX).contains(&marker.len()) => {
                return Ok(Self::Until(marker.to_owned()));
            }
            ("preview", path) if is_preview(path) => return Ok(Self::Preview(path.to_owned())),
            ("preview", path) => return Err(PartError::Preview(short(path))),
            _ => {}
        }
        let count = first.parse().ok().filter(|count| *count > 0).ok_or_else(shape)?;
        match rest.trim().split_once(" of ").map_or((rest.trim(), ""), |(kind, at)| (kind.trim(), at.trim()))
        {
            ("paragraph" | "paragraphs", "") => Ok(Self::Paragraphs(count)),
            ("word" | "words", "") => Ok(Self::Words(count)),
            ("byte" | "bytes", "") => Ok(Self::Bytes(count)),
            ("item" | "items", at) if at.is_empty() || at.starts_with('/') => {
                Ok(Self::Items { count, at: at.to_owned() })
            }
            ("item" | "items", at) => Err(PartError::Pointer(short(at))),
            _ => Err(shape()),
        }
    }
}

/// Whether a text is a path of the upstream, with at most one place for the path that was asked for.
fn is_preview(text: &str) -> bool {
    let sample = text.replace("{path}", "/a");
    let good = text.starts_with('/') && text.matches("{path}").count() <= 1;
    good && sample.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#{}\\\"<>".contains(&byte))
}

impl Part {
    /// How many bytes of a page or a text may go out.
    pub(crate) fn most(&self) -> usize {
        match self {
            Self::Bytes(bytes) => usize::try_from(*bytes).unwrap_or(usize::MAX).min(SHOWN_BYTES_MAX),
            _ => SHOWN_BYTES_MAX,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paragraphs(1) => f.write_str("the first paragraph"),
            Self::Paragraphs(count) => write!(f, "the first {count} paragraphs"),
            Self::Words(1) => f.write_str("the first word"),
            Self::Words(count) => write!(f, "the first {count} words"),
            Self::Until(marker) => write!(f, "what stands before {marker:?}"),
            Self::Items { count, at } if at.is_empty() => write!(f, "the first {count} items"),
            Self::Items { count, at } => write!(f, "the first {count} items of {at}"),
            Self::Bytes(bytes) => write!(f, "the first {bytes} bytes"),
            Self::Preview(path) => write!(f, "the preview at {path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_people_write_them() {
        let items = |at: &str| Part::Items { count: 3, at: at.to_owned() };
        for (text, expected) in [
            ("3 paragraphs", Part::Paragraphs(3)),
            ("1 paragraph", Part::Paragraphs(1)),
            ("120 words", Part::Words(120)),
            ("65536 bytes", Part::Bytes(65_536)),
            ("3 items", items("")),
            ("3 items of /results", items("/results")),
            ("until <!-- farthing:rest -->", Part::Until("<!-- farthing:rest -->".into())),
            ("preview /previews{path}", Part::Preview("/previews{path}".into())),
            ("preview /small.jpg", Part::Preview("/small.jpg".into())),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "3",
            "paragraphs",
            "0 words",
            "-1 words",
            "3 words of /a",
            "until ",
            "3 lines",
            "99999999999 bytes",
        ] {
            assert_eq!(bad.parse::<Part>(), Err(PartError::Shape(bad.into())), "{bad}");
        }
        for bad in ["{path}", "previews{path}", "/p?x", "/{path}{path}", "/a b", "/{other}", "http://a/"] {
            assert_eq!(
                format!("preview {bad}").parse::<Part>(),
                Err(PartError::Preview(bad.into())),
                "{bad}"
            );
        }
        assert_eq!("3 items of results".parse::<Part>(), Err(PartError::Pointer("results".into())));
    }
}
