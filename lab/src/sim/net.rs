//! A virtual network between payers and the server: late, lost, doubled and reordered, both ways.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use farthing_engine::PaymentId;
use farthing_gate::Body;
use farthing_money::Timestamp;
use farthing_wallet::{Event, HttpRequest, HttpResponse};
use http::{Request, Response};

use super::bookkeeper::{Bookkeeper, Broken, Served, hold};
use super::dice::Dice;
use super::disclosure;
use super::reader;
use super::seller;
use super::server::Server;
use super::shop::{PAGES, SHOP};
use super::time::Time;
use super::trace::Trace;
use super::upstream::CONTENT;

/// A request that somebody waits for.
pub type CallId = u64;

/// How long a client waits.
const PATIENCE_MILLIS: u64 = 20_000;

/// Something on its way.
enum Letter {
    ToServer { call: CallId, request: Arc<HttpRequest>, hang_up_after: Option<u64> },
    ToClient { call: CallId, answer: HttpResponse },
    GiveUp { call: CallId },
}

/// A call that is not over.
#[derive(Default)]
struct Call {
    /// Copies that are still to come to the server.
    on_their_way: u32,
    /// Whether any came there.
    arrived: bool,
    /// Answers are lost.
    answer_lost: bool,
    /// How long an answer takes.
    answer_after: u64,
}

/// An answer as it leaves the server.
type Departure = (CallId, HttpResponse);

/// The network.
#[derive(Default)]
pub struct Network {
    letters: BTreeMap<(u64, u64), Letter>,
    calls: BTreeMap<CallId, Call>,
    departures: Arc<Mutex<Vec<Departure>>>,
    next: u64,
    /// What was sent lately, for whoever repeats it.
    pub heard: Vec<Arc<HttpRequest>>,
    /// Whether nothing goes wrong.
    pub calm: bool,
    /// How many requests came to the server.
    pub requests: u64,
}

impl Network {
    fn post(&mut self, due: u64, letter: Letter) {
        self.next = self.next.saturating_add(1);
        self.letters.insert((due, self.next), letter);
    }

    /// Sends a request at this moment. What becomes of it is told by [`Self::due`].
    pub fn send(&mut self, request: HttpRequest, now: u64, dice: &mut Dice) -> CallId {
        self.next = self.next.saturating_add(1);
        let (id, request) = (self.next, Arc::new(request));
        let mut call = Call { answer_after: dice.within(1..=30), ..Call::default() };
        let mut copies = 1;
        let mut hang_up_after = None;
        let mut delay = dice.within(1..=20);
        if !self.calm {
            match dice.below(100) {
                0..3 => copies = 0,
                3..9 => copies = 2,
                9..11 => copies = 3,
                11..16 => call.answer_lost = true,
                16..19 => hang_up_after = Some(dice.within(0..=40)),
                19..21 => delay = dice.within(1_000..=60_000),
                21..24 => call.answer_after = dice.within(1_000..=40_000),
                _ => {}
            }
        }
        for copy in 0..copies {
            let late = if copy == 0 || dice.per_mille(300) { 0 } else { dice.within(1..=3_000) };
            let due = now.saturating_add(delay).saturating_add(late);
            self.post(due, Letter::ToServer { call: id, request: Arc::clone(&request), hang_up_after });
        }
        call.on_their_way = copies;
        self.calls.insert(id, call);
        self.post(now.saturating_add(PATIENCE_MILLIS), Letter::GiveUp { call: id });
        id
    }

    /// Somebody on the way sends again what was sent before, and does not wait.
    pub fn repeat(&mut self, request: Arc<HttpRequest>, now: u64, dice: &mut Dice) {
        let due = now.saturating_add(dice.within(1..=20));
        self.post(due, Letter::ToServer { call: 0, request, hang_up_after: None });
    }

    /// When something arrives next.
    pub fn next_due(&self) -> Option<u64> {
        self.letters.keys().next().map(|(due, _)| *due)
    }

    /// The connections to a server that is no more are broken: what came there gets no answer.
    pub fn broken_off(&mut self) -> Vec<(CallId, Event)> {
        self.departures.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let came = self.calls.iter().filter(|(_, call)| call.arrived).map(|(id, _)| *id).collect::<Vec<_>>();
        came.into_iter()
            .filter_map(|id| self.end(id, Event::NoAnswer("the connection broke".into())))
            .collect()
    }

    fn end(&mut self, id: CallId, event: Event) -> Option<(CallId, Event)> {
        self.calls.remove(&id).map(|_| (id, event))
    }

    /// Takes what the server has answered since the last time.
    pub fn collect(&mut self, now: u64, trace: &mut Trace) {
        let departures = std::mem::take(&mut *self.departures.lock().unwrap_or_else(PoisonError::into_inner));
        for (id, answer) in departures {
            trace.add(&answer.status.to_le_bytes());
            trace.add(&answer.body);
            let Some(call) = self.calls.get(&id) else { continue };
            if !call.answer_lost {
                self.post(now.saturating_add(call.answer_after), Letter::ToClient { call: id, answer });
            }
        }
    }

    /// Hands over everything that is due; says what became of calls.
    pub fn due(
        &mut self,
        now: u64,
        server: Option<&Server>,
        time: &Time,
        bookkeeper: &Bookkeeper,
    ) -> Vec<(CallId, Event)> {
        let mut over = Vec::new();
        while let Some(entry) = self.letters.first_entry() {
            if entry.key().0 > now {
                break;
            }
            match entry.remove() {
                Letter::ToClient { call, answer } => over.extend(self.end(call, Event::Answer(answer))),
                Letter::GiveUp { call } => {
                    over.extend(self.end(call, Event::NoAnswer("it took too long".into())));
                }
                Letter::ToServer { call: id, request, hang_up_after } => {
                    let mut call = self.calls.get_mut(&id);
                    if let Some(call) = &mut call {
                        call.on_their_way = call.on_their_way.saturating_sub(1);
                    }
                    if let Some(server) = server {
                        if let Some(call) = call {
                            call.arrived = true;
                        }
                        self.requests = self.requests.saturating_add(1);
                        self.overhear(&request);
                        self.arrive(server, id, &request, hang_up_after, time, bookkeeper);
                    } else if let Some(call) = call
                        && call.on_their_way == 0
                    {
                        // Only if no copy ever came there is it certain that nothing was done.
                        let event = if call.arrived {
                            Event::NoAnswer("the connection broke".into())
                        } else {
                            Event::NotSent("no connection".into())
                        };
                        over.extend(self.end(id, event));
                    }
                }
            }
        }
        over
    }

    /// Somebody on the way keeps what came through. What never left cannot be heard.
    fn overhear(&mut self, request: &Arc<HttpRequest>) {
        const EARS: usize = 64;
        if self.heard.len() < EARS {
            self.heard.push(Arc::clone(request));
        } else {
            let place = usize::try_from(self.requests).unwrap_or(0) % EARS;
            if let Some(heard) = self.heard.get_mut(place) {
                *heard = Arc::clone(request);
            }
        }
    }

    fn arrive(
        &self,
        server: &Server,
        call: CallId,
        asked: &Arc<HttpRequest>,
        hang_up_after: Option<u64>,
        time: &Time,
        bookkeeper: &Bookkeeper,
    ) {
        let Some(request) = request_of(asked) else {
            let broken = Broken::new("payers ask the shop", asked.url.clone());
            return bookkeeper.book().note(Err(broken));
        };
        let (departures, time, bookkeeper) = (Arc::clone(&self.departures), time.clone(), bookkeeper.clone());
        let (once, asked) = (seller::once_of(asked), Arc::clone(asked));
        let (began, read) = (time.moment(), asked.read);
        server.answer(request, hang_up_after, move |response| {
            let shown = time.since(began);
            let mut book = bookkeeper.book();
            book.note(disclosure::check(&asked, &response));
            let checked = check(&mut book, &response, &asked, shown);
            book.note(checked);
            if let Some(once) = once.filter(|_| seller::says_settled(response.body())) {
                let told = book.onchain.tells(once);
                book.note(told);
            }
            let answer = answer_of(&response, read);
            departures.lock().unwrap_or_else(PoisonError::into_inner).push((call, answer));
        });
    }
}

fn request_of(asked: &HttpRequest) -> Option<Request<Body>> {
    let mut request = Request::builder().method(asked.method.as_str()).uri(asked.url.strip_prefix(SHOP)?);
    request = request.header("host", SHOP.strip_prefix("https://")?);
    for (name, value) in &asked.headers {
        request = request.header(name.as_str(), value.as_str());
    }
    request.body(Body::from(Bytes::from(asked.body.clone()))).ok()
}

fn answer_of(response: &Response<Bytes>, read: farthing_wallet::Read) -> HttpResponse {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<_> =
        response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let kind = response.headers().get("content-type").map(text).unwrap_or_default();
    let body = if read.wants(&kind) { response.body().to_vec() } else { Vec::new() };
    HttpResponse { status: response.status().as_u16(), headers, body }
}

/// What leaves the server must be paid for, and what is refused must not have been.
fn check(
    book: &mut super::bookkeeper::Book,
    response: &Response<Bytes>,
    asked: &HttpRequest,
    (earliest, latest): (Timestamp, Timestamp),
) -> Result<(), Broken> {
    let (method, url) = (asked.method.as_str(), asked.url.as_str());
    let body = String::from_utf8_lossy(response.body());
    let address = url.split('?').next().unwrap_or_default();
    if response.status().is_success() && body.starts_with(CONTENT) {
        if let Some(checked) = reader::check(book, response, asked, (earliest, latest)) {
            return checked;
        }
        let mut words = body.split(' ').skip(1);
        let payment = words.next().and_then(|id| id.parse::<PaymentId>().ok());
        let payment = payment.ok_or_else(|| {
            Broken::new("nothing is delivered without a charge", format!("{method} {url} was served unpaid"))
        })?;
        if book.onchain.knows(payment) {
            let super::bookkeeper::Book { onchain, kept, .. } = book;
            return onchain.served(payment, kept);
        }
        let (row, first) = (book.kept.payments.get(&payment).cloned(), words.next() == Some("held"));
        let wide =
            PAGES.iter().any(|page| page.2 && address.ends_with(page.1.split('?').next().unwrap_or("-")));
        let resource = format!("{method} {address}");
        let served = Served { payment, row: row.as_ref(), earliest, first, resource: &resource, wide };
        return if book.channels.knows(payment) {
            book.channels.served(served)
        } else {
            book.deliveries.served(served)
        };
    }
    if response.status().as_u16() == 402 && body.contains("payment-used") {
        let payment =
            body.split(|c: char| !c.is_ascii_hexdigit()).find_map(|word| word.parse::<PaymentId>().ok());
        if let Some(payment) = payment.filter(|payment| book.onchain.knows(*payment)) {
            return book.onchain.refused_as_used(payment);
        }
        if let Some(payment) = payment.filter(|payment| book.channels.knows(*payment)) {
            return book.channels.refused_as_used(payment);
        }
        let row = payment.and_then(|payment| book.kept.payments.get(&payment));
        let lasts = row.and_then(|row| row.pass_until).is_some_and(|until| until > latest);
        return hold(!lasts, "what was charged opens its content while it lasts", || format!("{payment:?}"));
    }
    Ok(())
}
