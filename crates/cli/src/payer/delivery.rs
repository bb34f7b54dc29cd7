//! Where the body of an answer goes: to stdout or into a file, as it comes, never held in memory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use farthing_wire::last_event;
use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use http_body_util::BodyExt;

use super::http::{Answer, Body};
use super::redirect::is_redirect;
use crate::exit::{Exit, Failure};

/// A file that is opened before anything is paid, so that an answer is never bought and then thrown away.
#[derive(Debug)]
pub struct OutFile {
    file: File,
    path: PathBuf,
    /// Whether it goes again if nothing comes to be written.
    is_new: bool,
}

impl OutFile {
    /// Opens it for writing. What is in it stays until something is written.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let is_new = !path.exists();
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| unwritable(path, &error))?;
        Ok(Self { file, path: path.to_owned(), is_new })
    }

    /// Empties it, for what comes now.
    fn begin(&mut self) -> io::Result<()> {
        self.is_new = false;
        // What cannot be cut, such as a device, need not be.
        if self.file.metadata()?.is_file() { self.file.set_len(0) } else { Ok(()) }
    }

    /// Replaces what is in it.
    pub fn write(&mut self, text: &str) -> Result<(), Failure> {
        let written = self.begin().and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if self.is_new {
            // An empty file that stays does no harm.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Where the body goes.
#[derive(Debug)]
enum Target {
    Nowhere,
    Stdout,
    File(OutFile),
}

/// Where an answer leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To be followed; nothing of the answer was written.
    Follow(String),
    /// The request carried a credential: the answer was delivered as it is, and nobody goes where it leads. Whoever has
    /// just taken money must not choose what is paid next.
    AfterPayment(String),
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub status: StatusCode,
    /// Where it leads, if it is a redirect of which something is to be done.
    pub redirect: Option<Redirect>,
    /// How many bytes of the body were written.
    pub bytes: u64,
    /// Why it is not whole.
    pub broken: Option<String>,
    /// The receipt in the last event of a stream.
    pub receipt: Option<String>,
}

/// The end of what was written so far of a stream of events.
#[derive(Debug, Default)]
struct End(Vec<u8>);

impl End {
    fn add(&mut self, bytes: &[u8]) {
        let kept = bytes.get(bytes.len().saturating_sub(last_event::BYTES_MAX)..).unwrap_or_default();
        let over = self.0.len().saturating_add(kept.len()).saturating_sub(last_event::BYTES_MAX);
        // Not with each piece: that would move all of it again and again.
        if over > last_event::BYTES_MAX {
            self.0.drain(..over.min(self.0.len()));
        }
        self.0.extend_from_slice(kept);
    }
}

/// How an answer is delivered, and how it went.
#[derive(Debug)]
pub struct Delivery {
    target: Target,
    with_head: bool,
    follow: bool,
    /// Kept of a stream of events.
    end: Option<End>,
    delivered: Option<Delivered>,
}

impl Delivery {
    /// For flows that deliver nothing.
    pub fn none() -> Self {
        Self { target: Target::Nowhere, with_head: false, follow: false, end: None, delivered: None }
    }

    /// To a file or to stdout, with status and fields before it if wanted.
    pub fn to(file: Option<OutFile>, with_head: bool) -> Self {
        let target = file.map_or(Target::Stdout, Target::File);
        Self { target, with_head, follow: false, end: None, delivered: None }
    }

    /// Redirects are remembered instead of written, unless they answer a payment.
    pub fn follow_redirects(&mut self, follow: bool) {
        self.follow = follow;
    }

    /// The receipt that the end of the last answer has told.
    pub fn receipt(&self) -> Option<&str> {
        self.delivered.as_ref()?.receipt.as_deref()
    }

    /// What became of the last answer.
    pub fn take(&mut self) -> Option<Delivered> {
        self.delivered.take()
    }

    /// Writes an answer as it comes. A failure is kept, not raised: whatever was paid has to be brought to its end.
    pub async fn deliver(&mut self, answer: Answer, is_paid: bool) {
        let Answer { status, version, headers, body } = answer;
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.filter(|_| is_redirect(status)).map(str::to_owned);
        let redirect = match location {
            Some(location) if is_paid => Some(Redirect::AfterPayment(location)),
            Some(location) if self.follow => Some(Redirect::Follow(location)),
            _ => None,
        };
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.end = (is_paid && kind.starts_with("text/event-stream")).then(End::default);
        let mut delivered = Delivered { status, redirect, bytes: 0, broken: None, receipt: None };
        if !matches!(delivered.redirect, Some(Redirect::Follow(_))) {
            let mut head = Vec::new();
            if self.with_head {
                head.extend(format!("{version:?} {status}\r\n").bytes());
                for (name, value) in &headers {
                    head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
                }
                head.extend(b"\r\n");
            }
            let written = self.begin(&head);
            delivered.broken = match written {
                Ok(()) => self.body(body, &mut delivered.bytes).await.err(),
                Err(error) => Some(error),
            };
        }
        delivered.receipt = self.end.take().and_then(|end| last_event::receipt(&end.0));
        self.delivered = Some(delivered);
    }

    fn begin(&mut self, head: &[u8]) -> Result<(), String> {
        let begun = match &mut self.target {
            Target::File(file) => file.begin(),
            Target::Nowhere | Target::Stdout => Ok(()),
        };
        begun.map_err(|error| self.unwritten(&error)).and_then(|()| self.write(head).map(drop))
    }

    /// Answers with whether anyone still reads.
    fn write(&mut self, bytes: &[u8]) -> Result<bool, String> {
        let written = match &mut self.target {
            Target::Nowhere => Ok(()),
            Target::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Target::File(file) => file.file.write_all(bytes),
        };
        match written {
            Ok(()) => Ok(true),
            // Whoever reads has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(self.unwritten(&error)),
        }
    }

    fn unwritten(&self, error: &io::Error) -> String {
        let place = match &self.target {
            Target::File(file) => file.path.display().to_string(),
            Target::Nowhere | Target::Stdout => "stdout".to_owned(),
        };
        format!("the answer cannot be written to {place}: {error}")
    }

    async fn body(&mut self, body: Body, count: &mut u64) -> Result<(), String> {
        let mut body = match body {
            Body::Whole(bytes) => return self.count(&bytes, count).map(drop),
            Body::Unread(body) => body,
        };
        if matches!(self.target, Target::Nowhere) {
            return Ok(());
        }
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| format!("the answer broke off after {count} bytes: {error}"))?;
            if let Ok(bytes) = frame.into_data()
                && !self.count(&bytes, count)?
            {
                break;
            }
        }
        Ok(())
    }

    fn count(&mut self, bytes: &Bytes, count: &mut u64) -> Result<bool, String> {
        let reads = self.write(bytes)?;
        if let Some(end) = &mut self.end {
            end.add(bytes);
        }
        *count = count.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(reads)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Version};

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static("/x"));
        let status = StatusCode::from_u16(status).unwrap();
        Answer {
            status,
            version: Version::HTTP_11,
            headers,
            body: Body::Whole(Bytes::from_static(body.as_bytes())),
        }
    }

    #[test]
    fn a_file_stays_as_it_was_until_something_comes() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        std::fs::write(&old, "before").unwrap();
        drop((OutFile::open(&old).unwrap(), OutFile::open(&new).unwrap()));
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "before");
        assert!(!new.exists());
        assert_eq!(OutFile::open(&folder.path().join("no/file")).unwrap_err().exit, Exit::Failed);
    }

    #[tokio::test]
    async fn an_answer_replaces_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "something longer than the answer").unwrap();
        let mut delivery = Delivery::to(Some(OutFile::open(&path).unwrap()), true);
        delivery.deliver(answer(200, "page"), true).await;
        let delivered = delivery.take().unwrap();
        assert_eq!((delivered.bytes, delivered.broken), (4, None));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "HTTP/1.1 200 OK\r\nlocation: /x\r\n\r\npage");
    }

    #[tokio::test]
    async fn the_receipt_of_a_stream_is_in_its_last_event() {
        let folder = tempfile::tempdir().unwrap();
        let text = |times: usize| {
            let event = last_event::write(r#"{"charged":"3","receipt":"a.b.c"}"#);
            format!("{}{event}", "data: hello\n\n".repeat(times))
        };
        for (kind, is_paid, expected) in [
            ("text/event-stream; charset=utf-8", true, Some("a.b.c")),
            ("text/event-stream", false, None),
            ("text/plain", true, None),
        ] {
            for times in [0, 1, 100_000] {
                let file = OutFile::open(&folder.path().join("file")).unwrap();
                let mut delivery = Delivery::to(Some(file), false);
                let mut answer = answer(200, "");
                answer.headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap())]);
                answer.body = Body::Whole(text(times).into());
                delivery.deliver(answer, is_paid).await;
                assert_eq!(delivery.receipt(), expected, "{kind} {times}");
            }
        }
        let (mut end, whole) = (End::default(), text(100_000));
        whole.as_bytes().chunks(1_000).for_each(|piece| end.add(piece));
        assert!(end.0.len() <= 2 * last_event::BYTES_MAX);
        assert_eq!(last_event::receipt(&end.0).as_deref(), Some("a.b.c"));
    }

    #[tokio::test]
    async fn redirects_are_written_or_followed() {
        let folder = tempfile::tempdir().unwrap();
        let led = |follow: fn(String) -> Redirect| Some(follow("/x".to_owned()));
        for (follow, is_paid, status, redirect) in [
            (false, false, 302, None),
            (true, false, 302, led(Redirect::Follow)),
            (true, true, 302, led(Redirect::AfterPayment)),
            (false, true, 307, led(Redirect::AfterPayment)),
            (true, false, 304, None),
            (true, true, 200, None),
        ] {
            let path = folder.path().join(format!("{follow}-{is_paid}-{status}"));
            let mut delivery = Delivery::to(Some(OutFile::open(&path).unwrap()), false);
            delivery.follow_redirects(follow);
            delivery.deliver(answer(status, "moved"), is_paid).await;
            let delivered = delivery.take().unwrap();
            assert_eq!(delivered.redirect, redirect);
            drop(delivery);
            assert_eq!(path.exists(), redirect != led(Redirect::Follow));
        }
    }
}
