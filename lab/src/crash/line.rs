//! A client's way to the program: it connects again by itself, and tells honestly what is known of an answer.

use farthing_bench::connection::{Answer, Connection};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// An answer.
    Answer(Owned),
    /// Nothing: the request never left.
    NotSent,
    /// Nothing, and whether the request arrived is unknown.
    Lost,
}

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The status code.
    pub status: u16,
    head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A way to the program.
pub struct Line {
    address: String,
    connection: Option<Connection>,
}

impl Owned {
    fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name, value.trim()))
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.lines().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All fields.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        self.lines().map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    /// Read as an answer of the connection.
    pub fn answer(&self) -> Answer<'_> {
        Answer { status: self.status, head: &self.head, body: &self.body }
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |name: &str| json.get(name).and_then(|code| code.as_str()).map(str::to_owned);
        text("reject").or_else(|| text("code")).unwrap_or_default()
    }

    /// For a message: what it says, as far as it matters.
    pub fn said(&self) -> String {
        format!("{} {}", self.status, self.answer().text())
    }
}

impl Line {
    /// A way that is not open yet.
    pub fn to(address: &str) -> Self {
        Self { address: address.to_owned(), connection: None }
    }

    /// Sends a request once.
    pub async fn ask(&mut self, request: &[u8]) -> Heard {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match Connection::open(&self.address).await {
                Ok(connection) => connection,
                Err(_) => return Heard::NotSent,
            },
        };
        let heard = match connection.exchange(request).await {
            Ok(Answer { status, head, body }) => {
                Heard::Answer(Owned { status, head: head.to_owned(), body: body.to_vec() })
            }
            Err(_) => return Heard::Lost,
        };
        self.connection = Some(connection);
        heard
    }

    /// Closes it; the next request opens another.
    pub fn close(&mut self) {
        self.connection = None;
    }
}

#[cfg(test)]
mod tests {
    use farthing_bench::connection::get;

    use super::*;
    use crate::program::{Reply, Site};

    #[tokio::test]
    async fn what_never_left_is_told_from_what_was_lost() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut line = Line::to(&address);
        let request = get(&address, "/", "");
        let (heard, ()) = tokio::join!(line.ask(&request), async {
            drop(listener.accept().await.unwrap());
        });
        assert_eq!(heard, Heard::Lost);
        drop(listener);
        assert_eq!(line.ask(&request).await, Heard::NotSent);
    }

    #[tokio::test]
    async fn answers_are_kept() {
        let site = Site::start(|_| Reply { status: 402, ..Reply::page("{\"code\":\"credit-spent\"}") });
        let site = site.await.unwrap();
        let mut line = Line::to(site.address());
        let Heard::Answer(answer) = line.ask(&get(site.address(), "/", "")).await else {
            panic!("expected an answer");
        };
        assert_eq!((answer.status, answer.code().as_str()), (402, "credit-spent"));
        assert_eq!(answer.field("Content-Type"), Some("text/plain"));
        assert!(answer.headers().any(|(name, value)| name == "content-length" && value == "23"));
    }
}
