//! Cashu in HTTP: payment requests (NUT-18 `creqA`, NUT-26 `creqB`) and how NUT-24 carries them in `X-Cashu`.

mod nostr;
mod request;
mod request_a;
mod request_b;
mod tlv;
#[cfg(test)]
mod vectors;

pub use request::{Nut10, PaymentRequest, RequestError, Transport};

/// The `X-Cashu` values of a 402, in the order in which they must be sent: `creqA`, then `creqB`, each its own field.
///
/// NUT-24 speaks of one header, but wallets read different encodings. With `creqA` first, programs that take the first
/// field get the older encoding, and those whose HTTP library joins fields with a comma read it as well (cashu-ts from
/// 2.5 to 4.8 does); with `creqB` first they fail.
pub fn challenge_fields(request: &PaymentRequest) -> Result<[String; 2], RequestError> {
    Ok([request.encode_a()?, request.encode_b()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_are_offered_creq_a_first() {
        let request = PaymentRequest {
            amount: Some(10_000),
            unit: Some("uusd".into()),
            mints: vec!["https://mint.example".into()],
            ..PaymentRequest::default()
        };
        let [first, second] = challenge_fields(&request).unwrap();
        assert!(first.starts_with("creqA") && second.starts_with("CREQB1"));
        let read = PaymentRequest::decode_list(&format!("{first}, {second}")).unwrap();
        assert_eq!(read, [request.clone(), request]);
    }
}
