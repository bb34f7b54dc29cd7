//! The edge to whoever performs requests: the wallet says what to send and is told what came back.

use std::fmt;

use farthing_money::Span;

use crate::Outcome;

/// A request to send, exactly as it is. Redirects are not followed: they are answers.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    /// The fields, besides those that HTTP itself needs.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// What to do with the body of the answer.
    pub read: Read,
}

/// What to do with the body of an answer before it is handed to the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Read it whole (up to [`ANSWER_LIMIT_BYTES`]).
    Whole,
    /// Read it only if it is `application/problem+json`, or the JSON of a 402, which may hold offers; leave it unread otherwise,
    /// as [`Step::Deliver`] may follow.
    Problem,
}

/// The most that is read of an answer that is not delivered.
pub const ANSWER_LIMIT_BYTES: usize = 4 << 20;

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status code.
    pub status: u16,
    /// The fields.
    pub headers: Vec<(String, String)>,
    /// The body, or nothing if it was left unread.
    pub body: Vec<u8>,
}

/// What happened since the last step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing: the flow begins; or what the step asked for (a wait, a delivery) is done.
    Go,
    /// The delivery that the step asked for is done, and the end of what was delivered has told this receipt.
    Receipt(String),
    /// An answer came.
    Answer(HttpResponse),
    /// None came, and the request certainly never left (no connection).
    NotSent(String),
    /// None came, and whether the request arrived is unknown.
    NoAnswer(String),
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this and come back with what happened.
    Send(HttpRequest),
    /// Wait so long, then come back with [`Event::Go`].
    Wait(Span),
    /// Hand the answer that just came to the user, its body as a stream, then come back with [`Event::Go`]. Everything
    /// that must not be lost is stored already.
    Deliver,
    /// Finished.
    Done(Box<Outcome>),
}

impl HttpRequest {
    pub(crate) fn get(url: String) -> Self {
        Self { method: "GET".into(), url, headers: Vec::new(), body: Vec::new(), read: Read::Whole }
    }

    pub(crate) fn post(url: String, body: Vec<u8>) -> Self {
        let headers = vec![("Content-Type".into(), "application/json".into())];
        Self { method: "POST".into(), url, headers, body, read: Read::Whole }
    }
}

impl Read {
    /// Whether the body of an answer of this status and type is to be read.
    pub fn wants_of(self, status: u16, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        self.wants(content_type) || (status == 402 && essence.eq_ignore_ascii_case("application/json"))
    }

    /// Whether the body of an answer of this type is to be read.
    pub fn wants(self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        self == Self::Whole || essence.eq_ignore_ascii_case(farthing_wire::header::PROBLEM_JSON)
    }
}

impl HttpResponse {
    /// The first field of a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status) || self.status == 101
    }

    /// `Retry-After` in seconds, within reason.
    pub(crate) fn retry_after(&self) -> Span {
        let secs = self.header("Retry-After").and_then(|value| value.trim().parse().ok()).unwrap_or(1);
        Span::from_secs(u64::clamp(secs, 1, 60))
    }
}

/// Bodies and fields may be money: only their sizes are shown.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method, self.url, self.body.len())
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_problems_are_read_of_what_may_be_delivered() {
        assert!(Read::Problem.wants("application/problem+json; charset=utf-8"));
        assert!(!Read::Problem.wants("application/json"));
        assert!(Read::Whole.wants(""));
        assert!(Read::Problem.wants_of(402, "application/json; charset=utf-8"));
        assert!(
            !Read::Problem.wants_of(200, "application/json") && !Read::Problem.wants_of(402, "text/html")
        );
    }

    #[test]
    fn waits_are_within_reason() {
        let answer = |value: &str| HttpResponse {
            status: 409,
            headers: vec![("retry-after".into(), value.into())],
            body: Vec::new(),
        };
        for (value, secs) in [("2", 2), ("0", 1), ("999999", 60), ("tomorrow", 1)] {
            assert_eq!(answer(value).retry_after(), Span::from_secs(secs));
        }
    }
}
