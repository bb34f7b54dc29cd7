//! Whoever reads what is free a few times: brings one of the shop's keys, again and again, several times at once; and what an answer
//! that nobody was charged for must have behind it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use farthing_engine::FareId;
use farthing_money::Timestamp;
use farthing_wallet::{HttpRequest, Read};
use farthing_wire::header;
use http::Response;
use serde_json::Value;

use super::bookkeeper::{Book, Broken, hold};
use super::dice::Dice;
use super::shop::{COVERED, FEW, FEW_FREE, SHOP};
use super::world::World;

const API_KEY: &str = "X-Api-Key";
/// Says that a payment was not needed.
const CHARGE: &str = "farthing-charge";

/// Keys of readers. One of a reader who comes at the end is another.
const KEYS: [&str; 4] = ["k-one", "k-two", "k-three", "k-four"];

/// How often a reader asks at the end at the most: the upstream may fail.
const TRIES: u32 = 60;

/// Seconds.
const DAY: u64 = 86_400;

/// Somebody asks, perhaps several times at once.
pub fn ask(dice: &mut Dice) -> Vec<HttpRequest> {
    let key = dice.pick(&KEYS).copied().unwrap_or("k-one");
    let times = if dice.per_mille(600) { 1 } else { dice.within(2..=6) };
    (0..times).map(|_| request(key)).collect()
}

fn request(key: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: format!("{SHOP}{FEW}"),
        headers: vec![(API_KEY.to_owned(), key.to_owned())],
        body: Vec::new(),
        read: Read::Whole,
    }
}

impl World {
    /// When nothing goes wrong, a reader who comes for the first time has exactly what is free.
    pub fn few_at_the_end(&mut self) -> Result<(), Broken> {
        let had = |world: &Self| world.around.bookkeeper.book().quotas.served;
        let day = |world: &Self| world.around.time.now().secs() / DAY;
        let (before, began) = (had(self), day(self));
        for _ in 0..TRIES {
            self.send(request("k-last"));
            self.pass(50_000);
        }
        let had = had(self).saturating_sub(before);
        // Past midnight it begins anew.
        let most = u64::from(FEW_FREE).saturating_mul(day(self).saturating_sub(began).saturating_add(1));
        let fits = (u64::from(FEW_FREE)..=most).contains(&had);
        hold(fits, "whoever comes for the first time has all that is free", || {
            format!("{had} of {FEW_FREE} were had")
        })
    }
}

/// Whether content that is no payment's was due; nothing if it is a payment's.
pub fn check(
    book: &mut Book,
    response: &Response<Bytes>,
    asked: &HttpRequest,
    (earliest, latest): (Timestamp, Timestamp),
) -> Option<Result<(), Broken>> {
    let body = String::from_utf8_lossy(response.body());
    let mut words = body.split(' ').skip(1);
    let (name, word) = (words.next()?, words.next());
    let path = asked.url.strip_prefix(SHOP)?.split('?').next()?;
    if word == Some("free") {
        let rule = "what is free is what a rule says";
        let key = asked.headers.iter().find(|(name, _)| name == API_KEY).map(|(_, key)| key.as_str());
        let Some(key) = key.filter(|_| path == FEW) else {
            return Some(Err(Broken::new(rule, asked.url.clone())));
        };
        return Some(book.quotas.served(key, (earliest, latest)));
    }
    // A fare that is paid opens what it covers, by a pass that names it or by itself.
    let is_none = |value: &http::HeaderValue| value.as_bytes() == b"none";
    let taken_nothing = response.headers().get(CHARGE).is_some_and(is_none);
    let mut fares =
        if name == "unpaid" && taken_nothing { shown(asked) } else { name.parse().into_iter().collect() };
    let is_paid = |fare: &FareId| book.fares.is_paid(*fare, earliest);
    let covered = COVERED.contains(&path);
    if name == "unpaid" || fares.iter().any(|fare| book.fares.knows(*fare)) {
        fares.retain(is_paid);
        return Some(hold(covered && !fares.is_empty(), "nothing is delivered without a charge", || {
            format!("{} {} was served as {body}", asked.method, asked.url)
        }));
    }
    None
}

/// The fares that a request brings.
fn shown(asked: &HttpRequest) -> Vec<FareId> {
    let texts = asked.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header::FARTHING_FARE));
    texts.filter_map(|(_, text)| fare_of(text)).collect()
}

fn fare_of(text: &str) -> Option<FareId> {
    let body = URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    body.get("fare")?.as_str()?.parse().ok()
}
