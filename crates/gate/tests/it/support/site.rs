//! An upstream that does what a test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use farthing_gate::Body;
use farthing_gate::serve::Limits;
use http::{HeaderValue, Response, StatusCode};
use tokio::sync::Semaphore;

use super::{Server, start};

/// An upstream that counts, and waits where a test wants it to.
#[derive(Clone)]
pub struct Site {
    pub asked: Arc<AtomicUsize>,
    /// One for each time that it is asked.
    pub arrived: Arc<Semaphore>,
    /// One for each answer.
    pub go: Arc<Semaphore>,
    pub status: Arc<Mutex<StatusCode>>,
    pub cost: Arc<Mutex<Option<&'static str>>>,
}

impl Site {
    pub fn new() -> Self {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self {
            asked: Arc::default(),
            arrived: semaphore(0),
            go: semaphore(100_000),
            status: Arc::new(Mutex::new(StatusCode::OK)),
            cost: Arc::default(),
        }
    }

    /// One that waits before it answers.
    pub fn waiting() -> Self {
        Self { go: Arc::new(Semaphore::new(0)), ..Self::new() }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn answers(&self, status: StatusCode) {
        *self.status.lock().unwrap() = status;
    }

    pub fn costs(&self, cost: &'static str) {
        *self.cost.lock().unwrap() = Some(cost);
    }

    pub async fn open(&self) -> Server {
        let site = self.clone();
        start(Limits::default(), move |_| {
            let site = site.clone();
            async move {
                site.asked.fetch_add(1, Ordering::SeqCst);
                site.arrived.add_permits(1);
                site.go.acquire().await.unwrap().forget();
                let mut response = Response::new(Body::from("the page"));
                *response.status_mut() = *site.status.lock().unwrap();
                if let Some(cost) = *site.cost.lock().unwrap() {
                    response.headers_mut().insert("farthing-cost", HeaderValue::from_static(cost));
                }
                response
            }
        })
        .await
    }
}
