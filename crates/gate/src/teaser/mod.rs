//! Part free and the rest paid: which part of an answer goes out with the 402, and how it is cut off.
//!
//! A part is shown only where something is left to be paid for. An answer that has no rest, or whose cut cannot be found, is shown not
//! at all: what is sold never goes out because its page was written in another way than its operator thought.

mod html;
mod json;
mod range;
mod text;

use std::fmt;

use farthing_money::Span;

pub(crate) use html::{CutPage, page};
pub(crate) use json::items;
pub(crate) use range::{Asked as AskedRange, Window, content_range};
pub(crate) use text::text;

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

/// Why a text is not the path of a preview.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a path such as /previews{{path}}, without a query, got {0:?}")]
pub struct PreviewError(String);

impl Part {
    /// A preview at another path of the upstream.
    pub fn preview(text: &str) -> Result<Self, PreviewError> {
        let sample = text.replace("{path}", "/a");
        let good = text.starts_with('/') && text != "{path}" && text.matches("{path}").count() <= 1;
        let good = good && sample.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#{}\\\"<>".contains(&byte));
        if good { Ok(Self::Preview(text.to_owned())) } else { Err(PreviewError(text.chars().take(128).collect())) }
    }

    /// Whether it is shown as text in a page.
    pub(crate) fn is_text(&self) -> bool {
        !matches!(self, Self::Preview(_))
    }

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
    fn previews_are_paths() {
        for good in ["/previews{path}", "/small.jpg", "/p{path}.webp"] {
            assert_eq!(Part::preview(good), Ok(Part::Preview(good.to_owned())), "{good}");
        }
        for bad in ["", "{path}", "previews{path}", "/p?x", "/{path}{path}", "/a b", "/{other}", "http://a/"] {
            assert!(Part::preview(bad).is_err(), "{bad}");
        }
    }
}
