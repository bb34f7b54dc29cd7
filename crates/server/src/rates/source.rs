//! Where rates come from: a file, a command or a page. Whatever it is has a minute and a mebibyte, and is led nowhere else.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

const BYTES_MOST: usize = 1024 * 1024;
const TIME_MOST: Duration = Duration::from_mins(1);

/// Where rates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A program and its arguments; what it prints is read.
    Command(Vec<String>),
    /// A page.
    Page(Uri),
}

/// Why a source says nothing.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Not there, or not to be read.
    #[error("expected rates from {name}, got none: {reason}")]
    Silent {
        /// Which source.
        name: String,
        /// Why.
        reason: String,
    },
    /// Too much.
    #[error("expected at most {BYTES_MOST} bytes of rates from {0}, got more; name a feed of one day")]
    Huge(String),
    /// Elsewhere.
    #[error("expected rates from {name}, got a redirect; name the address that answers itself")]
    Redirect {
        /// Which source.
        name: String,
    },
    /// Too slow.
    #[error("expected rates from {0} within a minute, got none")]
    Slow(String),
}

/// Why a text names no source.
#[derive(Debug, Error)]
#[error(
    "expected \"file:PATH\", \"command:PROGRAM ARGUMENTS\" or \"https://..\" (http:// only on this machine), got {0:?}"
)]
pub struct NoSource(String);

impl Source {
    /// Reads the name of a source; `resolve` makes a path of the configuration's.
    pub(crate) fn parse(text: &str, resolve: impl FnOnce(&str) -> PathBuf) -> Result<Self, NoSource> {
        let bad = || NoSource(text.chars().take(128).collect());
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Self::File(resolve(path)));
        }
        if let Some(line) = text.strip_prefix("command:") {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            return if words.is_empty() { Err(bad()) } else { Ok(Self::Command(words)) };
        }
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_here =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let has_secret = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        let good = match uri.scheme_str() {
            Some("https") => !host.is_empty(),
            Some("http") => is_here,
            _ => false,
        };
        if good && !has_secret { Ok(Self::Page(uri)) } else { Err(bad()) }
    }

    /// Its name in the books and in messages: without arguments and queries, which may be secret.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                format!("file:{}", name.display())
            }
            Self::Command(words) => format!("command:{}", words.first().map_or("", String::as_str)),
            Self::Page(uri) => format!("{}{}", uri.host().unwrap_or_default(), uri.path()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// All that a source says.
pub(super) async fn fetch(source: &Source) -> Result<Bytes, SourceError> {
    let fetched = async {
        match source {
            Source::File(path) => {
                let opened = tokio::fs::File::open(path).await;
                read(opened.map_err(|error| silent(source, &error))?, source).await
            }
            Source::Command(words) => run(words, source).await,
            Source::Page(uri) => get(uri, source).await,
        }
    };
    let answer = tokio::time::timeout(TIME_MOST, fetched).await;
    answer.unwrap_or_else(|_| Err(SourceError::Slow(source.name())))
}

fn silent(source: &Source, reason: &dyn ToString) -> SourceError {
    SourceError::Silent { name: source.name(), reason: reason.to_string() }
}

/// Reads at most a byte too many, which says that there is too much.
async fn read(from: impl AsyncRead + Unpin, source: &Source) -> Result<Bytes, SourceError> {
    let most = u64::try_from(BYTES_MOST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes).await.map_err(|error| silent(source, &error))?;
    if bytes.len() > BYTES_MOST { Err(SourceError::Huge(source.name())) } else { Ok(bytes.into()) }
}

async fn run(words: &[String], source: &Source) -> Result<Bytes, SourceError> {
    let (program, arguments) = words.split_first().ok_or_else(|| silent(source, &"no program"))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| silent(source, &error))?;
    let output = child.stdout.take().ok_or_else(|| silent(source, &"it prints nothing"))?;
    let bytes = read(output, source).await?;
    let status = child.wait().await.map_err(|error| silent(source, &error))?;
    if status.success() { Ok(bytes) } else { Err(silent(source, &status)) }
}

async fn get(uri: &Uri, source: &Source) -> Result<Bytes, SourceError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let roots = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| silent(source, &error))?;
    let connector = roots.https_or_http().enable_http1().wrap_connector(http);
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector);
    let request = Request::get(uri).header(USER_AGENT, "farthing").body(Empty::new());
    let request = request.map_err(|error| silent(source, &error))?;
    let response = client.request(request).await.map_err(|error| silent(source, &error))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(SourceError::Redirect { name: source.name() });
    }
    if !status.is_success() {
        return Err(silent(source, &status));
    }
    let body = Limited::new(response.into_body(), BYTES_MOST).collect().await;
    let body = body.map_err(|error| {
        let huge = error.is::<http_body_util::LengthLimitError>();
        if huge { SourceError::Huge(source.name()) } else { silent(source, &error) }
    })?;
    Ok(body.to_bytes())
}
