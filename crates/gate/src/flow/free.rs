//! Serves what costs this asker nothing now, under a price that others pay: it stays out of shared caches, the upstream is told
//! that nothing was paid, and what was taken of a quota is given back if the upstream fails.

use std::sync::Arc;

use farthing_money::{Amount, Span};
use farthing_wire::upstream::Standing;
use farthing_wire::{Pass, PaymentNote, QuotaField, header};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, Response};

use super::pay::{is_delivery, uncharged};
use super::quota::Taken;
use super::quote::Quote;
use super::upstream::Upstream;
use super::{Answering, Shared, deliver};
use crate::body::Body;
use crate::cors;
use crate::own_header;
use crate::problem;
use crate::random;

impl Shared {
    /// Serves in a task of its own: what was taken is given back even if the client leaves.
    pub(super) async fn free<S: Upstream>(
        self: Arc<Self>,
        answering: Answering<S>,
        taken: Option<Taken>,
    ) -> Response<Body> {
        let (own, held) = (Arc::clone(&self), taken.clone());
        let task = tokio::spawn(async move {
            let served = tokio::spawn(Arc::clone(&own).serve_free(answering, taken)).await;
            let error = match served {
                Ok(response) => return response,
                Err(error) => error,
            };
            // Not why: what a service says in a panic may be about who asks.
            tracing::error!(panicked = error.is_panic(), "the task of a free answer broke off");
            let mut answer = problem::answer(&problem::broken());
            if let Some(taken) = &held {
                let field = own.return_free(taken).await;
                put_quota(answer.headers_mut(), &field);
            }
            answer
        });
        task.await.unwrap_or_else(|_| problem::answer(&problem::broken()))
    }

    async fn serve_free<S: Upstream>(
        self: Arc<Self>,
        answering: Answering<S>,
        taken: Option<Taken>,
    ) -> Response<Body> {
        let name = random::draw::<32>(&self.config.random).map(hex::encode).unwrap_or_default();
        let (quote, asked) = (answering.quote.clone(), answering.parts.headers.clone());
        let note = self.unpaid_note(&quote, &name, Standing::Free);
        let answer = match answering.call(note).await {
            Ok(response) if is_delivery(response.status()) => Ok(response),
            Ok(response) => Err(uncharged(response)),
            Err(error) => Err(problem::answer(&problem::of_upstream(&error))),
        };
        match answer {
            Ok(mut response) => {
                let headers = response.headers_mut();
                own_header::remove_from_answer(headers);
                deliver::keep_private(headers);
                cors::widen_answer(headers);
                if let Some(taken) = &taken {
                    put_quota(headers, &taken.field);
                    self.put_free_pass(headers, &quote, name, taken);
                }
                response
            }
            Err(mut answer) => {
                // That nothing was counted is said once it is so.
                if let Some(taken) = &taken {
                    let field = self.return_free(taken).await;
                    put_quota(answer.headers_mut(), &field);
                }
                cors::open(answer.headers_mut(), &asked);
                answer
            }
        }
    }

    /// A pass as after a payment, and the visitor's cookie.
    fn put_free_pass(&self, headers: &mut HeaderMap, quote: &Quote, name: String, taken: &Taken) {
        let now = (self.config.clock)();
        let secure = quote.url.starts_with("https:");
        let visitor = taken.visitor.and_then(|visitor| {
            let signed = visitor.sign(&self.config.secrets.challenge)?;
            HeaderValue::try_from(visitor.set_cookie(&signed, secure, now)).ok()
        });
        if let Some(cookie) = visitor {
            headers.append(SET_COOKIE, cookie);
        }
        if quote.pass == Span::ZERO || !quote.is_safe() {
            return;
        }
        let (scope, expires) = (quote.scope.clone(), now.after(quote.pass));
        let pass = Pass { payment: name, scope, expires, checked: false, bought: None };
        let Ok(signed) = pass.sign(&self.config.secrets.signing) else {
            return tracing::error!("a pass cannot be written");
        };
        let cookie = pass.set_cookie(&signed, &quote.cookie_path, secure, now);
        if let (Ok(signed), Ok(cookie)) = (HeaderValue::try_from(signed), HeaderValue::try_from(cookie)) {
            headers.insert(header::FARTHING_PASS, signed);
            headers.append(SET_COOKIE, cookie);
        }
    }

    /// The note that says to the upstream why something goes out without money.
    pub(super) fn unpaid_note(&self, quote: &Quote, name: &str, standing: Standing) -> Option<HeaderValue> {
        let note = PaymentNote {
            payment: name.to_owned(),
            standing,
            amount: Amount::ZERO,
            unit: quote.price.asset().unit(),
            resource: quote.url.clone(),
            noted_at: (self.config.clock)(),
            paid_at: None,
            pass_until: None,
        };
        note.sign(&self.config.secrets.signing).ok().and_then(|text| HeaderValue::try_from(text).ok())
    }
}

/// Says where what is free stands.
pub(super) fn put_quota(headers: &mut HeaderMap, field: &QuotaField) {
    if let Ok(value) = HeaderValue::try_from(field.to_string()) {
        headers.insert(header::FARTHING_QUOTA, value);
    }
}
