//! What goes out with a paid answer: the receipt, the pass, the change, and word to caches that it is private.

use farthing_ecash::BlindSignature;
use farthing_engine::{PaymentId, PaymentRow};
use farthing_money::{Money, Timestamp};
use farthing_wire::mpp::{self, credit};
use farthing_wire::x402::batch::voucher_header;
use farthing_wire::{JwsError, Pass, Receipt, header};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::Shared;
use super::channel::ChannelPayment;
use super::credits::{Change, change_of};
use super::quote::Quote;
use super::refund;
use crate::body::Body;
use crate::chain::settled::Settled;
use crate::chain::statement;
use crate::{cors, own_header};

/// A payment that is posted, now or before.
pub(super) struct Posted<'a> {
    pub(super) payment: PaymentId,
    pub(super) row: &'a PaymentRow,
    /// The signatures of its change, in order.
    pub(super) signatures: Vec<BlindSignature>,
    /// `cashu` or `mpp`.
    pub(super) dialect: &'static str,
    /// The channel that has paid, if one has, and whether just now.
    pub(super) channel: Option<(&'a ChannelPayment, bool)>,
}

impl Shared {
    /// Adds all that the payer is told. What cannot be written is left out and logged: the money has moved.
    pub(super) fn deliver(
        &self,
        response: &mut Response<Body>,
        quote: &Quote,
        posted: Posted<'_>,
        now: Timestamp,
    ) {
        let headers = response.headers_mut();
        own_header::remove_from_answer(headers);
        keep_private(headers);
        let Posted { payment, row, signatures, dialect, channel } = posted;
        let secrets = &self.config.secrets;
        let mint = self.config.names.mints.first().map_or("", String::as_str);
        let change = change_of(row, signatures, &secrets.change, payment, mint);
        let receipt = self.receipt((quote.method.as_str(), &quote.url), payment, row, dialect);
        if let Change::Token(token) = &change {
            put(headers, header::X_CASHU, token);
        }
        match &receipt {
            Ok(receipt) => put(headers, header::FARTHING_RECEIPT, receipt),
            Err(error) => tracing::error!(%error, %payment, "a receipt cannot be written"),
        }
        refund::put_until(headers, row, now);
        cors::widen_answer(headers);
        if let Some((paid, fresh)) = channel.filter(|_| dialect == "x402") {
            self.put_channel(headers, quote, (paid, fresh), (row.asset.money(row.charged), row.at));
        }
        let is_settled = row.credits.is_empty() && channel.is_none();
        let settled = if is_settled { self.settlement(payment) } else { None };
        if let Some(settled) = settled.as_ref().filter(|_| dialect == "x402") {
            self.put_settled(headers, quote, settled, row.at);
        }
        if dialect == "mpp" {
            let text = match (&settled, channel) {
                (Some(settled), _) => settled.mpp_receipt(row.at).encode().ok(),
                (None, Some(paid)) => self.session_receipt(payment, row, paid),
                (None, None) => mpp_receipt(payment, row, change, receipt.ok()),
            };
            if let Some(text) = text {
                put(headers, header::PAYMENT_RECEIPT, &text);
            } else {
                tracing::error!(%payment, "an MPP receipt cannot be written");
            }
        }
        if let Some(until) = row.pass_until.filter(|until| *until > now && quote.is_safe()) {
            self.put_pass(response, quote, (payment, until, row.marks.refund.is_some()), now);
        }
        self.put_fare(response.headers_mut(), quote, payment, now);
        let secure = quote.url.starts_with("https:");
        self.put_refund_cookie(response.headers_mut(), (payment, row), secure, now);
    }

    /// Adds the pass: to what it opens, or in the place of an upstream's answer if it was asked for itself.
    pub(super) fn put_pass(
        &self,
        response: &mut Response<Body>,
        quote: &Quote,
        (payment, expires, checked): (PaymentId, Timestamp, bool),
        now: Timestamp,
    ) {
        let bought = quote.sale.as_ref().map(|sale| sale.plan.bought());
        let scope = quote.scope.clone();
        let pass = Pass { payment: payment.to_string(), scope, expires, checked, bought };
        match pass.sign(&self.config.secrets.signing) {
            Ok(signed) => {
                let headers = response.headers_mut();
                put(headers, header::FARTHING_PASS, &signed);
                let secure = quote.url.starts_with("https:");
                let cookie = pass.set_cookie(&signed, &quote.cookie_path, secure, now);
                if let Ok(cookie) = HeaderValue::try_from(cookie) {
                    headers.append(SET_COOKIE, cookie);
                }
                if let Some(sale) = &quote.sale {
                    sale.finish(response, &pass, &signed);
                }
            }
            Err(error) => tracing::error!(%error, %payment, "a pass cannot be written"),
        }
    }

    /// What x402 is told of a settled payment. Version 1 has no extensions.
    fn put_settled(&self, headers: &mut HeaderMap, quote: &Quote, settled: &Settled, booked_at: Timestamp) {
        let mut response = settled.response();
        if let Ok(text) = response.to_header() {
            put(headers, header::X_PAYMENT_RESPONSE, &text);
        }
        if self.config.offers.extensions.offer_receipt {
            response.extensions = statement::receipt(&response, &quote.url, &self.statements, booked_at);
        }
        if let Ok(text) = response.to_header() {
            put(headers, header::PAYMENT_RESPONSE, &text);
        }
    }

    /// What x402 is told of a payment through a channel.
    pub(super) fn put_channel(
        &self,
        headers: &mut HeaderMap,
        quote: &Quote,
        (paid, fresh): (&ChannelPayment, bool),
        (charged, booked_at): (Money, Timestamp),
    ) {
        let Some(mut response) = self.channel_response(paid, charged, fresh) else {
            return tracing::error!("where a channel stands cannot be told");
        };
        if self.config.offers.extensions.offer_receipt {
            response.extensions = statement::receipt(&response, &quote.url, &self.statements, booked_at);
        }
        if let Ok(text) = voucher_header(&response) {
            put(headers, header::PAYMENT_RESPONSE, &text);
        }
    }

    /// The receipt: the same row gives the same text.
    pub(super) fn receipt(
        &self,
        (method, url): (&str, &str),
        payment: PaymentId,
        row: &PaymentRow,
        dialect: &str,
    ) -> Result<String, JwsError> {
        let money = row.asset.money(row.charged);
        let mut receipt = Receipt::new(payment.to_string(), url.to_owned(), dialect, money, row.at);
        receipt.method = Some(method.to_owned());
        receipt.pass_until = row.pass_until;
        receipt.refund_until = refund::until(row);
        receipt.issuer = Some(self.config.names.issuer.clone());
        receipt.merchant = Some(self.config.names.merchant.clone());
        receipt.sign(&self.config.secrets.signing)
    }
}

pub(super) fn mpp_receipt(
    payment: PaymentId,
    row: &PaymentRow,
    change: Change,
    farthing: Option<String>,
) -> Option<String> {
    let signatures = if let Change::Signatures(signatures) = change { signatures } else { Vec::new() };
    let texts = signatures.iter().map(|signature| {
        serde_json::to_value(signature).and_then(serde_json::from_value::<credit::SignatureText>)
    });
    let change = texts.collect::<Result<_, _>>().ok()?;
    let mut receipt = mpp::Receipt::success(mpp::METHOD_CREDIT, payment.to_string(), row.at);
    credit::ReceiptExtra { change, farthing }.put(&mut receipt).ok()?;
    receipt.encode().ok()
}

pub(super) fn put(headers: &mut HeaderMap, name: &'static str, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    } else {
        tracing::error!(name, "a header cannot be written");
    }
}

/// What was paid for is kept by no shared cache; how long the payer's own may keep it, the upstream says. Words for one
/// kind of cache alone (RFC 9213), which would count more than ours, are taken out.
pub(super) fn keep_private(headers: &mut HeaderMap) {
    let targeted = |name: &HeaderName| {
        let name = name.as_str();
        name != CACHE_CONTROL.as_str() && name.ends_with("cache-control")
            || matches!(name, "surrogate-control" | "edge-control" | "x-accel-expires")
    };
    let names: Vec<HeaderName> = headers.keys().filter(|name| targeted(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        return;
    }
    let shared = |token: &&str| {
        let name = token.split('=').next().unwrap_or_default().trim();
        !["public", "private", "s-maxage", "proxy-revalidate"]
            .iter()
            .any(|shared| name.eq_ignore_ascii_case(shared))
    };
    let fields = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let kept = fields
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
        .filter(shared);
    let joined = std::iter::once("private").chain(kept).collect::<Vec<_>>().join(", ");
    let value = HeaderValue::try_from(joined).unwrap_or(HeaderValue::from_static("private"));
    headers.insert(CACHE_CONTROL, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paid_answers_are_private() {
        for (before, after) in [
            (None, "private"),
            (Some("public, max-age=60, s-maxage=9"), "private, max-age=60"),
            (Some("no-store"), "private, no-store"),
            (Some("Private"), "private"),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(before.map(|text| (CACHE_CONTROL, HeaderValue::from_static(text))));
            keep_private(&mut headers);
            assert_eq!(headers.get(CACHE_CONTROL).unwrap(), after);
        }
    }
}
