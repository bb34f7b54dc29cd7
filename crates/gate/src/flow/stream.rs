//! An answer that is counted while it flows.
//!
//! Its money is on hold until it ends, whichever way. What has flowed is written down once a second or each quarter of a
//! megabyte, before more flows: a crash costs the merchant no more than that, and the payer never more than what was sent. At
//! the ceiling the answer breaks off; a payer who leaves pays for what he was sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use farthing_ecash::BlindedMessage;
use farthing_engine::{Answer, Command, KeyringReject, Meter as Progress, Refusal, Reject};
use farthing_money::{Amount, Money};
use farthing_wire::MeterEnd;
use http::header::{CONTENT_LENGTH, TE, TRAILER};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::Shared;
use super::deliver::keep_private;
use super::end::{Charged, Funding, Held};
use super::handover::Handover;
use super::metered::{is_events, put_meter};
use super::pieces::{Piece, Received};
use super::quote::Quote;
use super::refusal::Refused;
use crate::body::{Body, BoxError};
use crate::meter::{Counted, Meter, Tally};
use crate::{cors, own_header};

/// How long what flows may be ahead of what is written down.
const STEP_TIME: Duration = Duration::from_secs(1);
/// How many bytes may.
const STEP_BYTES: usize = 256 * 1024;

/// What the answer's last words are, where it takes them as trailers.
const TRAILERS: HeaderValue = HeaderValue::from_static(
    "farthing-meter, farthing-receipt, farthing-charge, payment-receipt, payment-response, x-cashu",
);

/// What a stream is paid with, and what counts it.
pub(super) struct Streamed {
    pub(super) held: Arc<Held>,
    pub(super) quote: Arc<Quote>,
    pub(super) meter: Arc<Meter>,
    pub(super) tally: Tally,
    /// The dialect of its credential.
    pub(super) dialect: &'static str,
    /// Of an answer whose money is in escrow.
    pub(super) handover: Option<Handover>,
}

/// How a stream has ended.
#[derive(Debug)]
pub(super) enum End {
    Whole,
    /// What was set aside is used up.
    Ceiling,
    /// The payer has left.
    Left,
    /// The upstream has broken off.
    Broken(BoxError),
    /// What has flowed cannot be written down.
    Unwritten(Box<Refused>),
}

impl End {
    pub(super) fn word(&self) -> MeterEnd {
        match self {
            Self::Whole => MeterEnd::Whole,
            Self::Ceiling => MeterEnd::Ceiling,
            Self::Left => MeterEnd::Left,
            Self::Broken(_) | Self::Unwritten(_) => MeterEnd::Broken,
        }
    }
}

/// One stream at work.
pub(super) struct Pump {
    pub(super) shared: Arc<Shared>,
    pub(super) streamed: Streamed,
    pub(super) is_events: bool,
    begun: Instant,
    /// What may be charged, in the asset of the price, and how many that pays for.
    most: Amount,
    paid_for: u128,
    /// Whether anything was handed to the payer.
    has_flowed: bool,
    /// What was handed over since something was written down.
    unwritten: usize,
    /// What is written down.
    written: Amount,
    /// How many there were when it ended.
    ended_at: Option<u128>,
    /// The outputs that its change goes to.
    blanks: Vec<BlindedMessage>,
}

impl Shared {
    /// Begins to hand over an answer that is counted as it flows.
    pub(super) async fn begin_stream(
        self: &Arc<Self>,
        mut response: Response<Body>,
        asked: &HeaderMap,
        streamed: Streamed,
    ) -> Response<Body> {
        let most = streamed.held.agreed().amount();
        let is_events = is_events(response.headers());
        let headers = response.headers_mut();
        own_header::remove_from_answer(headers);
        keep_private(headers);
        cors::widen_answer(headers);
        put_meter(headers, &streamed.meter.field(most, None, None));
        if streamed.held.channel().is_none() {
            let payment = (streamed.held.payment, &*streamed.quote);
            self.put_refund_cookie_ahead(headers, payment, (self.config.clock)());
        }
        let takes_trailers =
            asked.get_all(TE).iter().any(|te| te.to_str().is_ok_and(|te| te.contains("trailers")));
        if takes_trailers {
            headers.append(TRAILER, TRAILERS);
        }
        if takes_trailers || is_events {
            headers.remove(CONTENT_LENGTH);
        }
        let (sender, receiver) = mpsc::channel(1);
        let (parts, body) = response.into_parts();
        let blanks = self.blanks_for(&streamed.held).await;
        let pump = Pump {
            shared: Arc::clone(self),
            is_events,
            begun: Instant::now(),
            most,
            paid_for: streamed.meter.paid_by(most),
            has_flowed: false,
            unwritten: 0,
            written: Amount::ZERO,
            ended_at: None,
            blanks,
            streamed,
        };
        tokio::spawn(pump.run(body, sender));
        Response::from_parts(parts, Body::boxed(Received(receiver)))
    }
}

/// What happens next to a stream.
enum Next<'s> {
    /// It is time to write down what has flowed.
    Step,
    /// Something came, and there is room for it.
    Piece(Option<Piece>, mpsc::Permit<'s, Piece>),
    Over(End),
}

/// Waits for what happens next. A payer who takes nothing more is waited for before anything more is asked of the upstream.
async fn next<'s>(
    body: &mut Body,
    sender: &'s mpsc::Sender<Piece>,
    tick: &mut Interval,
    over: Option<Instant>,
) -> Next<'s> {
    let is_over = async || match over {
        Some(over) => sleep_until(over).await,
        None => std::future::pending().await,
    };
    let permit = tokio::select! {
        biased;
        () = is_over() => return Next::Over(End::Ceiling),
        _ = tick.tick() => return Next::Step,
        permit = sender.reserve() => permit,
    };
    let Ok(permit) = permit else { return Next::Over(End::Left) };
    tokio::select! {
        biased;
        () = sender.closed() => Next::Over(End::Left),
        () = is_over() => Next::Over(End::Ceiling),
        _ = tick.tick() => Next::Step,
        frame = body.frame() => Next::Piece(frame, permit),
    }
}

impl Pump {
    async fn run(mut self, mut body: Body, sender: mpsc::Sender<Piece>) {
        let mut trailers = HeaderMap::new();
        let end = self.flow(&mut body, &sender, &mut trailers).await;
        self.ended_at = Some(self.count());
        // Nothing more is asked of the upstream.
        drop(body);
        let charged = self.charge(&end).await;
        let is_settled = self.streamed.held.is_on_chain() && matches!(charged, Ok(Some(_)));
        match self.streamed.handover.take() {
            // Before it is told: who hears the end may ask again at once.
            Some(handover) if is_settled => self.shared.note_delivered(handover),
            handover => handover.into_iter().for_each(Handover::done),
        }
        self.tell(sender, end, charged, trailers).await;
    }

    /// Hands on what comes, until it ends.
    async fn flow(&mut self, body: &mut Body, sender: &mpsc::Sender<Piece>, trailers: &mut HeaderMap) -> End {
        let mut tick = interval_at(Instant::now() + STEP_TIME, STEP_TIME);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let over = self.ends_at();
        loop {
            let next = next(body, sender, &mut tick, over).await;
            if (matches!(next, Next::Step) || self.unwritten >= STEP_BYTES)
                && let Err(refused) = self.write_down().await
            {
                return End::Unwritten(Box::new(refused));
            }
            let (frame, permit) = match next {
                Next::Step => continue,
                Next::Over(end) => return end,
                Next::Piece(frame, permit) => (frame, permit),
            };
            match self.take(frame, trailers) {
                Ok(bytes) => self.hand_over(permit, bytes),
                Err((bytes, end)) => {
                    self.hand_over(permit, bytes);
                    return end;
                }
            }
        }
    }

    /// What of a frame may go on, and whether it was the last.
    fn take(&mut self, frame: Option<Piece>, trailers: &mut HeaderMap) -> Result<Bytes, (Bytes, End)> {
        let tally = &mut self.streamed.tally;
        let passed = match frame {
            None => {
                let rest = tally.end(self.paid_for);
                let end = if rest.is_full { End::Ceiling } else { End::Whole };
                return Err((rest.bytes, end));
            }
            Some(Err(error)) => return Err((Bytes::new(), End::Broken(error))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => tally.pass(bytes, self.paid_for),
                Err(other) => {
                    trailers.extend(other.into_trailers().unwrap_or_default());
                    return Ok(Bytes::new());
                }
            },
        };
        if passed.is_full { Err((passed.bytes, End::Ceiling)) } else { Ok(passed.bytes) }
    }

    fn hand_over(&mut self, permit: mpsc::Permit<'_, Piece>, bytes: Bytes) {
        if !bytes.is_empty() {
            self.unwritten = self.unwritten.saturating_add(bytes.len());
            self.has_flowed = true;
            permit.send(Ok(Frame::data(bytes)));
        }
    }

    /// When time that is paid for is over.
    fn ends_at(&self) -> Option<Instant> {
        let millis = u64::try_from(self.paid_for).ok().filter(|_| self.streamed.meter.count.is_time())?;
        self.begun.checked_add(Duration::from_millis(millis))
    }

    /// How many there were so far.
    pub(super) fn count(&self) -> u128 {
        if let Some(count) = self.ended_at {
            count
        } else if self.streamed.meter.count.is_time() {
            self.begun.elapsed().as_millis().min(self.paid_for)
        } else {
            self.streamed.tally.count()
        }
    }

    /// What that costs, in what is paid.
    fn cost(&self, count: u128) -> Money {
        let Streamed { held, meter, .. } = &self.streamed;
        held.paid_for(meter.charge_for(Counted::So(count), self.most))
    }

    pub(super) fn most(&self) -> Amount {
        self.most
    }

    /// Writes down what has flowed. What only a chain can move is written down nowhere.
    async fn write_down(&mut self) -> Result<(), Refused> {
        self.unwritten = 0;
        let charged = self.cost(self.count());
        if !self.has_flowed || charged.amount() <= self.written {
            return Ok(());
        }
        let mut progress = self.progress(charged);
        if progress.is_err() {
            // There was no time for them when the stream began.
            self.take_own_blanks().await?;
            progress = self.progress(charged);
        }
        let Some(command) = progress? else { return Ok(()) };
        let mut answer = self.shared.execute_patiently(command).await;
        if let Err(Refusal::Reject(Reject::OutputSigned(_) | Reject::DuplicateOutput(_))) = answer {
            // The payer has had his blank outputs signed for something else: the change is a token.
            self.take_own_blanks().await?;
            let Some(command) = self.progress(charged)? else { return Ok(()) };
            answer = self.shared.execute_patiently(command).await;
        }
        match answer? {
            Answer::Held(_) => {
                self.written = charged.amount();
                Ok(())
            }
            _ => Err(Refusal::Reject(Reject::PaymentNotHeld(self.streamed.held.payment)).into()),
        }
    }

    /// From now on the change goes to outputs of our own.
    async fn take_own_blanks(&mut self) -> Result<(), Refused> {
        let held = &self.streamed.held;
        if let Funding::Credits { credits, .. } = &held.funding {
            self.blanks = self.shared.own_blanks(held.payment, credits.total, held.price.asset()).await?;
        }
        Ok(())
    }

    /// What is written down, if it is at all.
    fn progress(&self, charged: Money) -> Result<Option<Command>, KeyringReject> {
        let held = &self.streamed.held;
        let written = match &held.funding {
            Funding::Chain(_) => None,
            Funding::Channel(paid) => self.shared.units(paid, charged).map(|units| (units, Vec::new())),
            Funding::Credits { credits, .. } => {
                let keyring = self.shared.config.keyring.borrow().clone();
                let back = credits.total.checked_sub(charged.amount());
                let change = |back| keyring.plan_change(&self.blanks, back, held.price.asset());
                back.map(change).transpose()?.map(|change| (charged.amount(), change))
            }
        };
        let progress =
            |(charged, change)| Command::Meter(Progress { payment: held.payment, charged, change });
        Ok(written.map(progress))
    }

    /// Ends the payment: charges what has flowed, or gives all back if that is nothing.
    async fn charge(&mut self, end: &End) -> Result<Option<Charged>, Refused> {
        let (shared, held) = (&self.shared, &self.streamed.held);
        let charged = self.cost(self.count());
        let is_nothing = charged.amount().is_zero() && matches!(held.funding, Funding::Credits { .. });
        if is_nothing || !self.has_flowed && !matches!(end, End::Whole) {
            return shared.release(held).await.map(|()| None);
        }
        shared.post(held, None, charged).await.map(Some)
    }
}
