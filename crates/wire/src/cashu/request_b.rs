//! `creqB` (NUT-26): bech32m of type-length-value bytes, shorter than `creqA` and kind to QR codes.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Checksum, Hrp};

use super::request::{Nut10, PaymentRequest, RequestError, Transport};
use super::{nostr, tlv};

const PREFIX: &str = "creqb";

/// Bech32m without its limit of 1023 characters: a request with many mints is longer.
enum LongBech32m {}

impl Checksum for LongBech32m {
    type MidstateRepr = <Bech32m as Checksum>::MidstateRepr;
    type CorrectionField = <Bech32m as Checksum>::CorrectionField;
    const ROOT_GENERATOR: Self::CorrectionField = Bech32m::ROOT_GENERATOR;
    const ROOT_EXPONENTS: std::ops::RangeInclusive<usize> = Bech32m::ROOT_EXPONENTS;
    const CODE_LENGTH: usize = usize::MAX;
    const CHECKSUM_LENGTH: usize = Bech32m::CHECKSUM_LENGTH;
    const GENERATOR_SH: [Self::MidstateRepr; 5] = Bech32m::GENERATOR_SH;
    const TARGET_RESIDUE: Self::MidstateRepr = Bech32m::TARGET_RESIDUE;
}

mod tag {
    pub(super) const ID: u8 = 1;
    pub(super) const AMOUNT: u8 = 2;
    pub(super) const UNIT: u8 = 3;
    pub(super) const SINGLE_USE: u8 = 4;
    pub(super) const MINT: u8 = 5;
    pub(super) const DESCRIPTION: u8 = 6;
    pub(super) const TRANSPORT: u8 = 7;
    pub(super) const NUT10: u8 = 8;
}

/// The sub-tags of a transport and of a lock are alike: its kind, its target or content, its tags.
const PART_KIND: u8 = 1;
const PART_VALUE: u8 = 2;
const PART_TAG: u8 = 3;

/// `sat` has a byte of its own.
const UNIT_SAT: &[u8] = &[0];
const TRANSPORTS: [(&str, u8); 2] = [("nostr", 0), ("post", 1)];
const LOCKS: [(&str, u8); 2] = [("P2PK", 0), ("HTLC", 1)];
/// The name of the tags that carry a Nostr profile's relays.
const RELAY: &str = "r";

pub(super) fn encode(request: &PaymentRequest) -> Result<String, RequestError> {
    let mut out = Vec::new();
    if let Some(id) = &request.id {
        tlv::put(&mut out, tag::ID, id.as_bytes(), "id")?;
    }
    if let Some(amount) = request.amount {
        tlv::put(&mut out, tag::AMOUNT, &amount.to_be_bytes(), "amount")?;
    }
    if let Some(unit) = &request.unit {
        let unit = if unit == "sat" { UNIT_SAT } else { unit.as_bytes() };
        tlv::put(&mut out, tag::UNIT, unit, "unit")?;
    }
    if let Some(single_use) = request.single_use {
        tlv::put(&mut out, tag::SINGLE_USE, &[u8::from(single_use)], "single use")?;
    }
    for mint in &request.mints {
        tlv::put(&mut out, tag::MINT, mint.as_bytes(), "mints")?;
    }
    if let Some(description) = &request.description {
        tlv::put(&mut out, tag::DESCRIPTION, description.as_bytes(), "description")?;
    }
    for transport in &request.transports {
        tlv::put(&mut out, tag::TRANSPORT, &transport_bytes(transport)?, "transport")?;
    }
    if let Some(Nut10 { kind, data, tags }) = &request.nut10 {
        let number = number_of(&LOCKS, kind)
            .ok_or(RequestError::Unwritable { field: "nut10", problem: "has a kind without a number" })?;
        tlv::put(&mut out, tag::NUT10, &part_bytes(number, data.as_bytes(), tags)?, "nut10")?;
    }
    let unwritable = RequestError::Unwritable { field: "content", problem: "is too long" };
    let prefix = Hrp::parse(PREFIX).map_err(|_| unwritable.clone())?;
    bech32::encode_upper::<LongBech32m>(prefix, &out).map_err(|_| unwritable)
}

fn transport_bytes(transport: &Transport) -> Result<Vec<u8>, RequestError> {
    let unwritable = |problem| RequestError::Unwritable { field: "transport", problem };
    let number =
        number_of(&TRANSPORTS, &transport.kind).ok_or_else(|| unwritable("is of a kind without a number"))?;
    match number {
        0 => {
            let (key, relays) = nostr::read(&transport.target)
                .ok_or_else(|| unwritable("has a target that is neither npub nor nprofile"))?;
            let relays = relays.into_iter().map(|relay| vec![RELAY.to_owned(), relay]);
            let tags: Vec<_> = transport.tags.iter().cloned().chain(relays).collect();
            part_bytes(number, &key, &tags)
        }
        1 => part_bytes(number, transport.target.as_bytes(), &transport.tags),
        _ => {
            let target = hex::decode(&transport.target)
                .map_err(|_| unwritable("has an unknown kind and a target that is not hexadecimal"))?;
            part_bytes(number, &target, &transport.tags)
        }
    }
}

fn part_bytes(kind: u8, value: &[u8], tags: &[Vec<String>]) -> Result<Vec<u8>, RequestError> {
    let mut out = Vec::new();
    tlv::put(&mut out, PART_KIND, &[kind], "kind")?;
    tlv::put(&mut out, PART_VALUE, value, "target")?;
    for words in tags {
        tlv::put(&mut out, PART_TAG, &tlv::tag(words, "tag")?, "tag")?;
    }
    Ok(out)
}

/// The number of a kind: by its name, or a number that we read and did not know.
fn number_of(names: &[(&str, u8)], kind: &str) -> Option<u8> {
    let known = names.iter().find(|(name, _)| *name == kind).map(|(_, number)| *number);
    known.or_else(|| kind.parse().ok().filter(|number| names.iter().all(|(_, known)| known != number)))
}

fn name_of(names: &[(&str, u8)], number: u8) -> String {
    let known = names.iter().find(|(_, known)| *known == number).map(|(name, _)| (*name).to_owned());
    known.unwrap_or_else(|| number.to_string())
}

pub(super) fn decode(text: &str) -> Result<PaymentRequest, RequestError> {
    let malformed = RequestError::Encoding { expected: "bech32m" };
    let checked = CheckedHrpstring::new::<LongBech32m>(text).map_err(|_| malformed.clone())?;
    if checked.hrp().to_lowercase() != PREFIX {
        return Err(malformed);
    }
    let bytes: Vec<u8> = checked.byte_iter().collect();
    read(&bytes)
}

fn read(bytes: &[u8]) -> Result<PaymentRequest, RequestError> {
    let mut reader = tlv::Reader::new(bytes, "content");
    let mut request = PaymentRequest::default();
    while let Some((kind, value)) = reader.entry()? {
        match kind {
            tag::ID => once(&mut request.id, tlv::text(value, "id")?, "id")?,
            tag::AMOUNT => {
                let malformed = |_| RequestError::Field { field: "amount", expected: "8 bytes" };
                let amount = u64::from_be_bytes(value.try_into().map_err(malformed)?);
                once(&mut request.amount, amount, "amount")?;
            }
            tag::UNIT => {
                let unit = if value == UNIT_SAT { "sat".to_owned() } else { tlv::text(value, "unit")? };
                once(&mut request.unit, unit, "unit")?;
            }
            tag::SINGLE_USE => {
                let single_use = match value {
                    [0] => false,
                    [1] => true,
                    _ => return Err(RequestError::Field { field: "single use", expected: "0 or 1" }),
                };
                once(&mut request.single_use, single_use, "single use")?;
            }
            tag::MINT => request.mints.push(tlv::text(value, "mints")?),
            tag::DESCRIPTION => {
                once(&mut request.description, tlv::text(value, "description")?, "description")?;
            }
            tag::TRANSPORT => request.transports.push(transport(value)?),
            tag::NUT10 => {
                let part = Part::read(value, "nut10")?;
                let data = tlv::text(part.value, "nut10")?;
                let lock = Nut10 { kind: name_of(&LOCKS, part.kind), data, tags: part.tags };
                once(&mut request.nut10, lock, "nut10")?;
            }
            _ => {} // NUT-26: unknown tags are ignored
        }
    }
    Ok(request)
}

fn once<T>(slot: &mut Option<T>, value: T, field: &'static str) -> Result<(), RequestError> {
    if slot.replace(value).is_some() { Err(RequestError::Twice(field)) } else { Ok(()) }
}

/// A transport or a lock, before its value is understood.
struct Part<'a> {
    kind: u8,
    value: &'a [u8],
    tags: Vec<Vec<String>>,
}

impl<'a> Part<'a> {
    fn read(bytes: &'a [u8], field: &'static str) -> Result<Self, RequestError> {
        let mut reader = tlv::Reader::new(bytes, field);
        let (mut kind, mut content, mut tags) = (None, None, Vec::new());
        while let Some((sub_tag, value)) = reader.entry()? {
            match (sub_tag, value) {
                (PART_KIND, [number]) => once(&mut kind, *number, field)?,
                (PART_KIND, _) => return Err(RequestError::Field { field, expected: "a kind of one byte" }),
                (PART_VALUE, _) => once(&mut content, value, field)?,
                (PART_TAG, _) => tags.push(tlv::read_tag(value, field)?),
                _ => {}
            }
        }
        let missing = || RequestError::Field { field, expected: "a kind and a value" };
        Ok(Self { kind: kind.ok_or_else(missing)?, value: content.ok_or_else(missing)?, tags })
    }
}

fn transport(bytes: &[u8]) -> Result<Transport, RequestError> {
    let part = Part::read(bytes, "transport")?;
    let kind = name_of(&TRANSPORTS, part.kind);
    match part.kind {
        0 => {
            let expected = "a public key of 32 bytes and relays of at most 255";
            let malformed = || RequestError::Field { field: "transport", expected };
            let key: [u8; 32] = part.value.try_into().map_err(|_| malformed())?;
            let is_relay = |tag: &Vec<String>| tag.first().is_some_and(|name| name == RELAY);
            let (relays, tags): (Vec<_>, Vec<_>) = part.tags.into_iter().partition(is_relay);
            let relays: Vec<_> = relays.into_iter().flat_map(|tag| tag.into_iter().skip(1)).collect();
            Ok(Transport { kind, target: nostr::write(&key, &relays).ok_or_else(malformed)?, tags })
        }
        1 => Ok(Transport { kind, target: tlv::text(part.value, "transport")?, tags: part.tags }),
        _ => Ok(Transport { kind, target: hex::encode(part.value), tags: part.tags }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn malformed_bytes_are_refused() {
        let cases: [(&[u8], &str); 8] = [
            (&[1], "a type without a length"),
            (&[1, 0, 2, b'a'], "a value cut short"),
            (&[2, 0, 1, 5], "an amount of one byte"),
            (&[4, 0, 1, 2], "neither true nor false"),
            (&[1, 0, 1, b'a', 1, 0, 1, b'b'], "the id twice"),
            (&[1, 0, 1, 0xff], "text that is not UTF-8"),
            (&[7, 0, 4, 1, 0, 1, 1], "a transport without a target"),
            (&[8, 0, 8, 1, 0, 1, 0, 2, 0, 1, 0xff], "a lock that is not UTF-8"),
        ];
        for (bytes, why) in cases {
            assert!(read(bytes).is_err(), "{why}");
        }
        assert_eq!(read(&[99, 0, 1, 7]), Ok(PaymentRequest::default()), "unknown tags are ignored");
    }

    #[test]
    fn a_transport_of_an_unknown_kind_is_kept() {
        // Dropping it would make the request look as if payment were in-band.
        let bytes = [7, 0, 9, 1, 0, 1, 9, 2, 0, 2, 0xab, 0xcd];
        let request = read(&bytes).unwrap();
        let expected = Transport { kind: "9".into(), target: "abcd".into(), tags: vec![] };
        assert_eq!(request.transports, [expected]);
        assert_eq!(decode(&encode(&request).unwrap()), Ok(request));
    }

    #[test]
    fn bech32_without_m_and_mixed_case_are_refused() {
        let good = encode(&PaymentRequest::default()).unwrap();
        assert!(decode(&good).is_ok());
        let old = bech32::encode_upper::<bech32::Bech32>(Hrp::parse(PREFIX).unwrap(), &[]).unwrap();
        assert_eq!(decode(&old), Err(RequestError::Encoding { expected: "bech32m" }));
        assert!(decode(&good.replace("CREQB", "creqb")).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>) {
            let _ = (read(&bytes), transport(&bytes));
        }
    }
}
