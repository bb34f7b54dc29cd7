//! Bundles: passes that open something a number of times. One use is taken, durably, before the upstream is asked, and given back
//! before the answer says that it failed. No answer goes out whose use is not counted. Coming back to the same thing while its rule's pass lasts is the same use.

use std::sync::Arc;

use farthing_engine::{
    Answer, BeginBundleUse, BundleCommand, BundleUseId, Command, EndBundleUse, PaymentId, RefundReject,
    Refusal, Reject,
};
use farthing_money::Span;
use farthing_wire::upstream::Standing;
use farthing_wire::{Pass, header};
use http::{HeaderMap, HeaderValue, Response};

use super::challenge::Asked;
use super::deliver::put;
use super::pay::{is_delivery, uncharged};
use super::quote::Quote;
use super::upstream::Upstream;
use super::{Answering, Shared, broken_off, deliver};
use crate::body::Body;
use crate::own_header::{self, FARTHING_CHARGE};
use crate::rule::Covers;
use crate::{cors, problem};

/// A use that was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    bundle: PaymentId,
    used: BundleUseId,
    of: u32,
    left: u32,
}

/// The bundles among passes that cover a request, those that end first before others.
pub(super) fn covering(passes: Vec<Pass>, quote: &Quote) -> Vec<Pass> {
    let covers = |pass: &Pass| {
        let bought = pass.bought.as_ref().filter(|bought| bought.uses.is_some());
        let covers = bought.and_then(Covers::of);
        covers.is_some_and(|covers| quote.place.is_covered(&covers, &quote.method))
    };
    let mut bundles: Vec<Pass> = passes.into_iter().filter(covers).collect();
    bundles.sort_by_key(|pass| pass.expires);
    bundles
}

impl Shared {
    /// Takes one use of the first bundle that has any. If none has, the quote says why.
    pub(super) async fn open_bundle(&self, quote: &mut Quote) -> Result<Option<Taken>, Refusal> {
        for pass in std::mem::take(&mut quote.bundles) {
            let Some(begin) = self.bundle_use(&pass, quote) else { continue };
            let BeginBundleUse { bundle, of, used, .. } = begin;
            match self.config.execute.execute(Command::Bundle(BundleCommand::Begin(begin))).await {
                Ok(Answer::BundleUse { left }) => return Ok(Some(Taken { bundle, used, of, left })),
                Ok(_) => return Err(Refusal::Reject(Reject::NotLoaded)),
                Err(Refusal::Reject(reject @ (Reject::Bundle(_) | Reject::Refund(RefundReject::Done)))) => {
                    quote.used_up = Some(Box::new(reject));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(None)
    }

    fn bundle_use(&self, pass: &Pass, quote: &Quote) -> Option<BeginBundleUse> {
        let bundle: PaymentId = pass.payment.parse().ok()?;
        let of = pass.bought.as_ref()?.uses?;
        let used = self.code(b"farthing/use/1", &[bundle.as_bytes(), quote.scope.as_bytes()])?;
        Some(BeginBundleUse { bundle, of, ends: pass.expires, used: BundleUseId::from_bytes(used) })
    }

    /// Serves in a task of its own: what was taken is given back even if the client leaves.
    pub(super) async fn serve_bundle<S: Upstream>(
        self: Arc<Self>,
        answering: Answering<S>,
        taken: Taken,
    ) -> Response<Body> {
        let task = tokio::spawn(async move { self.open_with(answering, taken).await });
        task.await.unwrap_or_else(|error| broken_off(&error))
    }

    async fn open_with<S: Upstream>(&self, answering: Answering<S>, taken: Taken) -> Response<Body> {
        let (asked, quote) = (answering.parts.headers.clone(), Arc::clone(&answering.quote));
        let lasts = answering.quote.pass;
        let note = self.note(&answering.quote, taken.bundle, Standing::Pass, answering.quote.price, None);
        let answer = match answering.call(note).await {
            Ok(response) if is_delivery(response.status()) => Ok(response),
            Ok(response) => Err(uncharged(response)),
            Err(error) => Err(problem::answer(&problem::of_upstream(&error))),
        };
        let ended = self.end_bundle(taken, answer.is_ok().then_some(lasts)).await;
        match (answer, ended) {
            (Ok(_), Err(refusal)) => {
                let asked = Asked { quote: &quote, headers: &asked, digest: None };
                self.refuse(&asked, &refusal.into(), false)
            }
            (Ok(mut response), Ok(())) => {
                let headers = response.headers_mut();
                own_header::remove_from_answer(headers);
                deliver::keep_private(headers);
                put(headers, header::FARTHING_USES, &format!("left={}; of={}", taken.left, taken.of));
                cors::widen_answer(headers);
                response
            }
            (Err(mut answer), _) => {
                not_counted(answer.headers_mut());
                cors::open(answer.headers_mut(), &asked);
                answer
            }
        }
    }

    /// Says what has become of a use, although the writer has no time at once. What cannot be said waits, and is given back when
    /// nothing has come of it.
    async fn end_bundle(&self, taken: Taken, delivered: Option<Span>) -> Result<(), Refusal> {
        let Taken { bundle, used, .. } = taken;
        let command = Command::Bundle(BundleCommand::End(EndBundleUse { bundle, used, delivered }));
        let ended = self.execute_patiently(command).await.map(|_| ());
        ended.inspect_err(|error| tracing::error!(%error, "a use of a bundle cannot be ended"))
    }
}

fn not_counted(headers: &mut HeaderMap) {
    headers.insert(FARTHING_CHARGE, HeaderValue::from_static("none"));
}
