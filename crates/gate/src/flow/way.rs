//! Which way a request goes. It is decided from its head alone, before anybody is asked and before anything is taken.

use std::sync::Arc;

use farthing_engine::PaymentId;
use farthing_wire::mpp::{self, credit_session};
use farthing_wire::{Credential, REFUNDS_PATH, SessionStep, header};
use http::request::Parts;
use http::{Method, Response};

use super::pass::Opened;
use super::payments::PAYMENTS_PATH;
use super::quota::Counted;
use super::quote::Quote;
use super::refusal::Refused;
use super::sign_in::SignedIn;
use super::terms::Terms;
use super::{Shared, credential, is_preflight, named, sale, session};
use crate::body::Body;
use crate::limit::Client;
use crate::session::SessionRefusal;
use crate::target::Target;
use crate::{own_header, problem};

/// Whether a request has a price.
pub(super) enum Found {
    /// It is answered here.
    Answer(Box<Response<Body>>),
    /// It asks for money back.
    Refund,
    /// It asks what became of a payment.
    Payment,
    /// It has none.
    Unpriced,
    /// It has one.
    Priced(Arc<Quote>),
}

/// Where a request under a price goes.
pub(super) enum Way {
    /// It is answered here.
    Answer(Box<Response<Body>>),
    /// Something that it brings has opened it.
    Opened(Opened),
    /// A browser asks for leave.
    Preflight,
    /// It costs whoever asks nothing.
    Free,
    /// A session pays.
    Session(Result<SessionStep, SessionRefusal>),
    /// The same, as MPP says it, by a challenge of ours.
    MppSession(Box<(mpp::Challenge, credit_session::Payload)>),
    /// Whoever has signed in has paid for it before.
    Again(PaymentId),
    /// It takes one of what is free, pays, or is asked to.
    Pay(Box<Brought>),
}

/// What a request brings to be served for.
pub(super) struct Brought {
    pub(super) credential: Option<Credential>,
    /// As whom it is counted, if some of it is free.
    pub(super) counted: Option<Counted>,
    /// Whether it pays as Cashu does.
    pub(super) cashu: bool,
}

impl From<Response<Body>> for Found {
    fn from(answer: Response<Body>) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl From<Response<Body>> for Way {
    fn from(answer: Response<Body>) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl Shared {
    /// Looks for the price of a request. What reaches the service behind us without a price loses what would be a claim there.
    pub(super) fn find(&self, parts: &mut Parts) -> Found {
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return problem::answer(&problem::of_method(&parts.method)).into();
        }
        if parts.uri.path() == REFUNDS_PATH {
            return Found::Refund;
        }
        if parts.uri.path() == PAYMENTS_PATH {
            return Found::Payment;
        }
        let rules = self.config.rules.borrow().clone();
        let quote = {
            let target = match Target::of(parts) {
                Ok(target) => target,
                Err(error) => return problem::answer(&problem::of_target(&error)).into(),
            };
            if !rules.know_host(target.host()) && target.host() != self.config.names.host {
                return problem::answer(&problem::of_host(target.host())).into();
            }
            let https = self.config.names.https;
            let chosen = || {
                let chosen = rules.choose(&parts.method, &target)?;
                Ok(chosen.map(|chosen| match self.terms(chosen.rule, &rules, parts) {
                    Terms::Free => None,
                    Terms::Price(ask) => {
                        let plans = rules.plans_for(&parts.method, &target);
                        let mut quote = Quote::new(chosen.rule, ask, parts, &target, https);
                        quote.trial = rules.trial().map(|trial| trial.amount);
                        quote.plans = plans;
                        Some(Arc::new(quote))
                    }
                }))
            };
            let found = match sale::asked(&rules, parts, &target, https) {
                None => chosen().map_err(|error| problem::answer(&problem::of_target(&error))),
                Some(sale) => sale.map(|quote| Some(Some(Arc::new(quote)))),
            };
            match found {
                Ok(found) => found,
                Err(answer) => return answer.into(),
            }
        };
        let Some(quote) = quote else {
            own_header::remove_spoofed(&mut parts.headers);
            return Found::Unpriced;
        };
        // Where a pass stands for the payment, an override would repeat what changes things.
        if rules.name_methods() || quote.as_ref().is_some_and(|quote| quote.is_safe()) {
            own_header::remove_method_overrides(&mut parts.headers);
        }
        if let Some(quote) = quote {
            return Found::Priced(quote);
        }
        own_header::remove_spoofed(&mut parts.headers);
        own_header::remove_credentials(&mut parts.headers);
        Found::Unpriced
    }

    /// Chooses a way, and takes out of the request what is ours.
    pub(super) fn way(&self, parts: &mut Parts, quote: &mut Arc<Quote>, client: Option<&Client>) -> Way {
        let credential = credential(&parts.headers);
        let pays = matches!(credential, Ok(Some(_)));
        let opened = self.opened(Arc::make_mut(quote), &parts.headers, (client, pays));
        let signed_in = self.signed_in(&parts.headers, quote, client);
        let cashu = parts.headers.contains_key(header::X_CASHU);
        let counted = self.counted(&parts.headers, quote, (self.config.clock)());
        let step = session::step(&parts.headers);
        own_header::remove_spoofed(&mut parts.headers);
        own_header::remove_credentials(&mut parts.headers);
        if quote.least.is_some() {
            named::remove(parts);
        }
        match opened {
            Ok(None) => {}
            Ok(Some(by)) => return Way::Opened(by),
            Err(refused) => return self.refuse_unread(quote, parts, &refused, cashu).into(),
        }
        if is_preflight(parts) {
            return if quote.sale.is_some() { sale::leave().into() } else { Way::Preflight };
        }
        if quote.granted {
            return Way::Free;
        }
        if let Some(refused) = quote.refused.clone() {
            let refused = Refused::Named(refused);
            return self.refuse_unread(quote, parts, &refused, false).into();
        }
        let is_head = parts.method == Method::HEAD;
        // HEAD delivers nothing, so nothing is taken for it. A pass is not sold by the step, and no step counts in a fare.
        if let Some(step) = step.filter(|_| !is_head && quote.sale.is_none()) {
            Arc::make_mut(quote).leave_fare();
            let alone = matches!(credential, Ok(None));
            return Way::Session(
                step.and_then(|step| if alone { Ok(step) } else { Err(SessionRefusal::Several) }),
            );
        }
        if let Ok(Some(Credential::CreditSession { challenge, payload })) = &credential
            && !is_head
            && quote.sale.is_none()
        {
            Arc::make_mut(quote).leave_fare();
            return Way::MppSession(Box::new(((**challenge).clone(), (**payload).clone())));
        }
        let counted = match signed_in {
            Ok(None) => counted,
            Ok(Some(SignedIn::Paid(row))) if quote.sale.is_some() => {
                return self.pass_again(quote, &row).into();
            }
            Ok(Some(SignedIn::Paid(row))) => return Way::Again(row.payment),
            Ok(Some(SignedIn::Account(account))) => Some(Counted::Account(account)),
            // Who pays as well has no need of it.
            Err(_) if pays => None,
            Err(refused) => return self.refuse_unread(quote, parts, &refused, cashu).into(),
        };
        let credential = match credential {
            // HEAD delivers nothing, so nothing is taken for it.
            Ok(credential) => credential.filter(|_| !is_head),
            Err(error) => return self.refuse_unread(quote, parts, &Refused::Credential(error), cashu).into(),
        };
        // Who brings money pays; what is free is for who brings none.
        let counted = counted.filter(|_| credential.is_none() && !is_head);
        Way::Pay(Box::new(Brought { credential, counted, cashu }))
    }
}
