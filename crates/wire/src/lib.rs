//! What goes over the wire of a paid request, as text: offers into headers, headers into credentials, problems,
//! receipts and passes.
//!
//! Header text lives only here. Strings come in, strings go out: nothing here knows an HTTP library, a socket, a clock
//! or the arithmetic of credits (points and tokens are opaque text). One folder per dialect: [`cashu`] (NUT-18, NUT-24,
//! NUT-26), [`mpp`] (the `Payment` scheme of HTTP authentication) and [`x402`] (stablecoins). [`challenge`], [`offer`] and
//! [`credential`] put the dialects side by side. Credentials are money, so no error repeats one.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

mod b64;
pub mod books;
pub mod cashu;
pub mod challenge;
mod coded;
pub mod credential;
pub mod digest;
pub mod header;
pub mod http_signature;
pub mod last_event;
pub mod liabilities;
pub mod mandate;
pub mod meter;
pub mod mpp;
pub mod offer;
pub mod pass;
pub mod problem;
pub mod quota;
pub mod receipt;
pub mod refund;
pub mod refund_cookie;
mod rfc3339;
pub mod session_step;
pub mod upstream;
pub mod visitor;
pub mod x402;

pub use books::{DayHead, PeriodClose};
pub use challenge::Challenge;
pub use credential::{Credential, CredentialError, CredentialFields};
pub use farthing_jws::{self as jws, JwsError, json};
pub use mandate::{Mandate, MandateFile, Revocation};
pub use meter::{MeterEnd, MeterField};
pub use offer::Offer;
pub use pass::{Bought, Fare, PASSES_PATH, Pass};
pub use problem::Problem;
pub use quota::{QuotaBy, QuotaField};
pub use receipt::Receipt;
pub use refund::{REFUNDS_PATH, RefundAnswer, RefundRequest};
pub use refund_cookie::RefundCookie;
pub use session_step::{SessionStanding, SessionStep, SessionStepError};
pub use upstream::PaymentNote;
pub use visitor::Visitor;

use farthing_jws::beginning;
