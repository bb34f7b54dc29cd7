//! The name of every header that a dialect uses, once, in the case in which specifications write them.

/// Cashu NUT-24: payment requests in a 402, a token in a request, change in an answer.
pub const X_CASHU: &str = "X-Cashu";
/// Challenges of HTTP authentication; MPP's are of the scheme `Payment`.
pub const WWW_AUTHENTICATE: &str = "WWW-Authenticate";
/// Credentials of HTTP authentication.
pub const AUTHORIZATION: &str = "Authorization";
/// MPP's credential when `Authorization` is taken by the upstream's own login.
pub const PAYMENT_AUTHORIZATION: &str = "Payment-Authorization";
/// MPP's receipt.
pub const PAYMENT_RECEIPT: &str = "Payment-Receipt";
/// Which MPP methods a payer prefers.
pub const ACCEPT_PAYMENT: &str = "Accept-Payment";
/// x402: the offers of a 402.
pub const PAYMENT_REQUIRED: &str = "PAYMENT-REQUIRED";
/// x402: the payment of a request.
pub const PAYMENT_SIGNATURE: &str = "PAYMENT-SIGNATURE";
/// x402: what became of the payment.
pub const PAYMENT_RESPONSE: &str = "PAYMENT-RESPONSE";
/// x402: the proof of who has paid before.
pub const SIGN_IN_WITH_X: &str = "SIGN-IN-WITH-X";
/// x402 version 1: the payment of a request.
pub const X_PAYMENT: &str = "X-PAYMENT";
/// x402 version 1: what became of the payment.
pub const X_PAYMENT_RESPONSE: &str = "X-PAYMENT-RESPONSE";
/// Our signed receipt.
pub const FARTHING_RECEIPT: &str = "Farthing-Receipt";
/// Our signed pass: the right to come back without paying again.
pub const FARTHING_PASS: &str = "Farthing-Pass";
/// Our signed fare: what single payments count in, until a pass is paid.
pub const FARTHING_FARE: &str = "Farthing-Fare";
/// How many uses of a bundle are left.
pub const FARTHING_USES: &str = "Farthing-Uses";
/// Until when a payment can be asked back, and where.
pub const FARTHING_REFUND: &str = "Farthing-Refund";
/// What the upstream is told about the payment; stripped from every request that a payer sends.
pub const FARTHING_PAYMENT: &str = "Farthing-Payment";
/// What a request cost, said by the upstream in the asset of its price, where that may be less than the price.
pub const FARTHING_COST: &str = "Farthing-Cost";
/// What a payer pays who names the amount.
pub const FARTHING_AMOUNT: &str = "Farthing-Amount";
/// Where what is free stands.
pub const FARTHING_QUOTA: &str = "Farthing-Quota";
/// Says `none` on an answer under a price for which nothing was charged.
pub const FARTHING_CHARGE: &str = "Farthing-Charge";
/// What is counted of an answer, what it costs, and how far that is.
pub const FARTHING_METER: &str = "Farthing-Meter";
/// A step of a session that pays for a request; where the session stands, in an answer.
pub const FARTHING_SESSION: &str = "Farthing-Session";
/// Where browsers carry the pass.
pub const COOKIE: &str = "Cookie";
/// How browsers are given the pass.
pub const SET_COOKIE: &str = "Set-Cookie";
/// The name of the pass's cookie. One that was bought has a `_` and its plan behind it, so that none takes another's place.
pub const PASS_COOKIE: &str = "farthing_pass";
/// The name of the visitor's cookie.
pub const VISITOR_COOKIE: &str = "farthing_visitor";
/// Fetch Metadata: where a browser's request comes from, which no page can say itself.
pub const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// The same: how it was made. What a person opens or sends is a `navigate`.
pub const SEC_FETCH_MODE: &str = "sec-fetch-mode";
/// The same: what its answer is for. A page of its own is a `document`.
pub const SEC_FETCH_DEST: &str = "sec-fetch-dest";
/// What begins the names of the cookies in which a browser keeps payments that it may ask back.
pub const REFUND_COOKIE: &str = "farthing_refund";
/// The name of a fare's cookie, before a `_` and its plan.
pub const FARE_COOKIE: &str = "farthing_fare";
/// RFC 9530: the digest of a body.
pub const CONTENT_DIGEST: &str = "Content-Digest";
/// The authentication scheme of MPP.
pub const PAYMENT_SCHEME: &str = "Payment";
/// The media type of [`Problem`](crate::Problem).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// All fields of one 402 together stay below this many bytes: some proxies stop at 8 KiB.
pub const CHALLENGE_LIMIT_BYTES: usize = 8 * 1024;
/// The largest credential that is read unless the operator says otherwise.
pub const CREDENTIAL_LIMIT_BYTES: usize = 16 * 1024;

/// Whether a text may stand in a header field as it is: visible ASCII, spaces inside but not around.
pub fn is_field_value(text: &str) -> bool {
    let visible = text.bytes().all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic());
    visible && text.trim_matches([' ', '\t']) == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_never_stand_in_a_field() {
        assert!(is_field_value("Payment id=\"a b\""));
        for bad in ["a\r\nb", "a\nb", "a\0", " a", "a ", "é", "\u{7f}"] {
            assert!(!is_field_value(bad), "{bad:?}");
        }
    }
}
