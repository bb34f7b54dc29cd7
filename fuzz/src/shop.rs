//! What payers meet: the issuer's routes, and a page behind the gate that calls of sessions pay for.
//!
//! What a session has shown is kept in memory beside the rows, so the shop is opened anew for other rows once
//! somebody has used one.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use farthing_engine::{Record, RecordFuture, Tape, TapeRow, TapeStep};
use farthing_gate::crypto::Crypto;
use farthing_gate::{Body as GateBody, Sessions};
use farthing_server::config::{Config, Origin};
use farthing_server::installation::Installation;
use farthing_server::mount::Mount;
use farthing_store::{Memory, RowStore};
use farthing_wire::header::FARTHING_SESSION;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::util::BoxCloneService;
use tower::{ServiceExt, service_fn};

/// A page that is delivered to who pays, and one that fails, so that nothing is charged.
pub const PAGES: [&str; 2] = ["/paid/page", "/paid/broken"];

/// An answer, as far as it matters.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Everything behind one listener.
pub struct Shop {
    site: BoxCloneService<Request<GateBody>, Response<GateBody>, Infallible>,
    pub sessions: Arc<Sessions>,
    /// Whether anybody has asked for a session, so that something of it may be in memory.
    pub is_used: Cell<bool>,
}

impl Shop {
    /// Opens it as a start does: what is on the tape comes into the books first.
    pub fn open(config: &Config, installation: &Installation, origin: &Origin) -> Self {
        let rules = tokio::sync::watch::channel(Arc::new(config.rules.clone())).1;
        let mount = Mount::with(config, installation, origin, rules, Crypto::on_the_spot(), None);
        let sessions = installation.sessions.clone().expect("sessions are offered");
        let pages = service_fn(async |request: Request<GateBody>| {
            let at = PAGES.iter().position(|page| *page == request.uri().path());
            let statuses = [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR];
            let mut answer = Response::new(GateBody::from("a page"));
            *answer.status_mut() = at.map_or(StatusCode::NOT_FOUND, |at| statuses[at]);
            Ok::<_, Infallible>(answer)
        });
        Self { site: BoxCloneService::new(mount.before(pages)), sessions, is_used: Cell::new(false) }
    }

    /// What it answers.
    pub async fn ask(&self, request: Request<Body>) -> Answer {
        if request.uri().path().contains("/sessions") || request.headers().contains_key(FARTHING_SESSION) {
            self.is_used.set(true);
        }
        let request = request.map(GateBody::boxed);
        let Ok(answer) = self.site.clone().oneshot(request).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a whole answer").to_bytes().to_vec();
        Answer { status, body }
    }
}

/// Writes steps down before anybody looks.
pub struct OnTheTape {
    books: RowStore<Arc<Memory>>,
    next: AtomicU64,
}

impl OnTheTape {
    pub fn of(books: RowStore<Arc<Memory>>) -> Self {
        Self { books, next: AtomicU64::new(0) }
    }
}

impl Record for OnTheTape {
    fn record(&self, step: TapeStep) -> RecordFuture {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(self.books.append(number, &TapeRow { steps: vec![step] })))
    }
}
