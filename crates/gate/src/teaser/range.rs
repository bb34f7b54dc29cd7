//! The first bytes of anything, to who asks for a range that begins within them: a player starts, and stops where the price begins.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Frame, SizeHint};

use crate::body::{Body, BoxError};

/// A range that was asked for, as far as it is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The first byte.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Asked {
    /// The range of a request that begins within the first `free` bytes, up to where they end. One range alone: several are for who pays.
    pub(crate) fn of(headers: &HeaderMap, free: u32) -> Option<Self> {
        let mut fields = headers.get_all(header::RANGE).iter();
        let (field, more) = (fields.next()?, fields.next());
        let range = field.to_str().ok()?.trim().strip_prefix("bytes=").filter(|_| more.is_none())?;
        let (first, last) = range.split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u64>().ok().filter(|_| digits)
        };
        let (first, end) = (number(first.trim())?, u64::from(free).checked_sub(1)?);
        let last = if last.trim().is_empty() { end } else { number(last.trim())?.min(end) };
        (first <= last).then_some(Self { first, last })
    }

    /// As it is asked of the upstream.
    pub(crate) fn to_field(self) -> String {
        format!("bytes={}-{}", self.first, self.last)
    }

    /// As the answer says it.
    pub(crate) fn to_content_range(self, all: u64) -> String {
        format!("bytes {}-{}/{all}", self.first, self.last)
    }

    /// How many bytes.
    pub(crate) fn len(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// What a `Content-Range` says: the range, and how many bytes there are of the whole.
pub(crate) fn content_range(headers: &HeaderMap) -> Option<(Asked, u64)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, all) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let all = all.trim().parse().ok()?;
    (first <= last && last < all).then_some((Asked { first, last }, all))
}

/// Some bytes of a body and no others, whatever comes.
pub(crate) struct Window {
    body: Option<Body>,
    skip: u64,
    left: u64,
}

impl Window {
    /// So many bytes after those that are left out.
    pub(crate) fn new(body: Body, skip: u64, length: u64) -> Self {
        Self { body: (length > 0).then_some(body), skip, left: length }
    }

    /// What of a piece is let through.
    fn cut(&mut self, mut piece: Bytes) -> Bytes {
        let length = |piece: &Bytes| u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let skipped = self.skip.min(length(&piece));
        self.skip = self.skip.saturating_sub(skipped);
        let mut kept = piece.split_off(usize::try_from(skipped).unwrap_or(piece.len()).min(piece.len()));
        let taken = self.left.min(length(&kept));
        self.left = self.left.saturating_sub(taken);
        kept.truncate(usize::try_from(taken).unwrap_or_default());
        kept
    }
}

impl http_body::Body for Window {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let frame = match Pin::new(body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(other) => {
                    self.body = None;
                    return Poll::Ready(other);
                }
            };
            // Trailers are of the whole.
            let Ok(piece) = frame.into_data() else { continue };
            let kept = self.cut(piece);
            if self.left == 0 {
                // The upstream need not send the rest.
                self.body = None;
            }
            if !kept.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(kept))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_upper(self.left);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::BodyExt;
    use proptest::prelude::*;

    use super::*;

    fn of(text: &'static str) -> Option<(u64, u64)> {
        let headers = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]);
        Asked::of(&headers, 100).map(|asked| (asked.first, asked.last))
    }

    #[test]
    fn only_what_begins_in_the_free_part_is_free() {
        assert_eq!(of("bytes=0-9"), Some((0, 9)));
        assert_eq!(of("bytes=0-"), Some((0, 99)));
        assert_eq!(of("bytes=50-500"), Some((50, 99)));
        assert_eq!(of("bytes=99-"), Some((99, 99)));
        for paid in [
            "bytes=100-",
            "bytes=100-200",
            "bytes=-5",
            "bytes=0-1,5-6",
            "bytes=9-1",
            "items=0-1",
            "bytes=+1-2",
            "bytes=",
            "bytes=0-99999999999999999999999",
        ] {
            assert_eq!(of(paid), None, "{paid}");
        }
        assert_eq!(Asked::of(&HeaderMap::new(), 100), None);
    }

    #[test]
    fn what_an_upstream_says_of_its_range_is_read() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_RANGE, HeaderValue::from_static(text))]);
            content_range(&headers).map(|(range, all)| (range.first, range.last, all))
        };
        assert_eq!(of("bytes 0-9/100"), Some((0, 9, 100)));
        for bad in ["bytes 0-9/*", "bytes */100", "bytes 9-0/100", "bytes 0-100/100", "0-9/100"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    /// A body in pieces.
    struct Pieces(std::vec::IntoIter<Vec<u8>>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(Bytes::from(piece)))))
        }
    }

    proptest! {
        #[test]
        fn a_window_lets_through_its_bytes_and_no_others(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9), 0..9),
            skip in 0_usize..40,
            length in 0_usize..40,
        ) {
            let expected: Vec<u8> = pieces.concat().into_iter().skip(skip).take(length).collect();
            let body = Body::boxed(Pieces(pieces.into_iter()));
            let window = Window::new(body, skip.try_into().unwrap(), length.try_into().unwrap());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let got = runtime.block_on(window.collect()).unwrap().to_bytes();
            prop_assert_eq!(got.to_vec(), expected);
        }
    }
}
