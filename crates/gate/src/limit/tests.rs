//! Those who pay are not limited, those who forge are, and neither knows more of the other than an address.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

struct Scene {
    limiter: Limiter,
    now: Arc<AtomicU64>,
}

impl Scene {
    fn new() -> Self {
        let now = Arc::new(AtomicU64::new(1_000_000));
        let clock = Arc::clone(&now);
        let limits = WorkLimits { per_second: 100, burst: 1_000 };
        let clock: Clock = Arc::new(move || Timestamp::from_millis(clock.load(Ordering::SeqCst)));
        Self { limiter: Limiter::new(limits, clock, vec!["10.0.0.0/8".parse().unwrap()]), now }
    }

    /// Somebody on a new connection.
    fn client(&self, address: &str) -> Option<Client> {
        let mut extensions = Extensions::new();
        extensions.insert(Peer::new(format!("{address}:1").parse().unwrap(), false));
        self.limiter.client(&extensions, &HeaderMap::new())
    }

    fn forges(&self, client: Option<&Client>, work: usize) -> bool {
        self.limiter.begin(client, work).is_ok()
    }

    fn pays(&self, client: Option<&Client>, work: usize) -> bool {
        self.limiter.begin(client, work).map(Work::genuine).is_ok()
    }

    fn remembered(&self) -> usize {
        self.limiter.0.as_ref().unwrap().accounts().by_client.len()
    }
}

#[test]
fn payers_are_never_limited_and_nothing_of_them_is_kept() {
    let scene = Scene::new();
    let client = scene.client("1.1.1.1");
    for _ in 0..10_000 {
        assert!(scene.pays(client.as_ref(), 900));
    }
    let at_once: Vec<_> = (0..64).map(|_| scene.limiter.begin(client.as_ref(), 15)).collect();
    assert!(at_once.iter().all(Result::is_ok), "sixty-four at once");
    for work in at_once {
        work.unwrap().genuine();
    }
    assert_eq!(scene.remembered(), 0);
}

#[test]
fn forgers_are_limited_by_their_address() {
    let scene = Scene::new();
    let forger = scene.client("1.1.1.1");
    let done = (0..1_000).filter(|_| scene.forges(forger.as_ref(), 100)).count();
    assert_eq!(done, 10);
    let limited = scene.limiter.begin(forger.as_ref(), 1).unwrap_err();
    assert_eq!(limited.retry_after, Span::from_secs(1), "a second is what a client can wait");
    assert!(scene.pays(scene.client("2.2.2.2").as_ref(), 100), "others are others");
    scene.now.fetch_add(1_000, Ordering::SeqCst);
    assert!(scene.forges(forger.as_ref(), 100) && !scene.forges(forger.as_ref(), 100));
    assert_eq!(scene.remembered(), 1);
}

#[test]
fn what_was_really_done_is_what_counts() {
    let scene = Scene::new();
    let client = scene.client("1.1.1.1");
    for _ in 0..999 {
        let mut work = scene.limiter.begin(client.as_ref(), 100).unwrap();
        work.cost(1);
    }
    let mut work = scene.limiter.begin(client.as_ref(), 1).unwrap();
    work.cost(10_000);
    drop(work);
    let limited = scene.limiter.begin(client.as_ref(), 1).unwrap_err();
    assert_eq!(limited.retry_after, Span::from_millis(10_001), "but nobody is shut out for long");
}

/// An address is shared by a whole house, and one in it forges as fast as it can.
#[test]
fn a_connection_without_forgeries_may_pay_although_the_address_may_not() {
    let scene = Scene::new();
    let forger = scene.client("1.1.1.1");
    assert!(scene.forges(forger.as_ref(), 5_000));
    assert!(!scene.forges(forger.as_ref(), 1));
    for _ in 0..100 {
        let neighbour = scene.client("1.1.1.1");
        assert!(scene.pays(neighbour.as_ref(), 20) && scene.pays(neighbour.as_ref(), 20));
        assert!(!scene.pays(neighbour.as_ref(), 1_000), "but nothing large");
    }
    let another = scene.client("1.1.1.1");
    let first = scene.limiter.begin(another.as_ref(), 20).unwrap();
    assert!(!scene.forges(another.as_ref(), 20), "one at a time until it has paid");
    drop(first);
    assert!(!scene.forges(another.as_ref(), 20), "and none after a forgery");
    let tries = (0..10_000).filter(|_| scene.forges(scene.client("1.1.1.1").as_ref(), 64)).count();
    assert_eq!(tries, 64, "new connections are limited too, at what a core does in a fifth of a second");
}

#[test]
fn behind_a_proxy_of_ours_a_client_is_who_the_proxy_says() {
    let scene = Scene::new();
    let via = |name: &'static str| {
        let mut extensions = Extensions::new();
        extensions.insert(Peer::new("10.0.0.1:1".parse().unwrap(), false));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", http::HeaderValue::from_static(name));
        scene.limiter.client(&extensions, &headers)
    };
    assert!(scene.forges(via("1.1.1.1").as_ref(), 5_000));
    assert!(!scene.forges(via("1.1.1.1").as_ref(), 1), "its connections are the proxy's");
    assert!(scene.forges(via("2.2.2.2").as_ref(), 1));
    assert!(!scene.forges(via("9.9.9.9, 1.1.1.1").as_ref(), 1));
}

/// Many addresses, or one that has many networks: memory stays as it is.
#[test]
fn a_crowd_shares_one_bucket() {
    let scene = Scene::new();
    let shared = scene.limiter.0.as_ref().unwrap();
    let client = |key| Some(Client { key, connection: None });
    for key in 0..u64::try_from(CLIENTS_MAX).unwrap() {
        assert!(scene.forges(client(key).as_ref(), 10));
    }
    assert_eq!(scene.remembered(), CLIENTS_MAX);
    let crowd = (0..100_000).filter(|n| scene.forges(client(1_000_000 + n).as_ref(), 100)).count();
    assert_eq!((crowd, scene.remembered()), (160, CLIENTS_MAX));
    assert!(scene.pays(client(7).as_ref(), 10), "those who are known have their own");
    scene.now.fetch_add(10_000, Ordering::SeqCst);
    assert!(scene.pays(client(5_000_000).as_ref(), 10));
    assert_eq!(shared.accounts().by_client.len(), 0, "what is full again is forgotten");
}

#[test]
fn nobody_is_limited_without_limits() {
    let clock: Clock = Arc::new(|| Timestamp::from_secs(1));
    let none = Limiter::new(WorkLimits { per_second: 0, burst: 0 }, clock, Vec::new());
    let client = Some(Client { key: 1, connection: None });
    assert!((0..100).all(|_| none.begin(client.as_ref(), 1_000_000).is_ok()));
    assert!((0..100).all(|_| Scene::new().limiter.begin(None, 1_000_000).is_ok()));
}
