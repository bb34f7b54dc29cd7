//! `creqA` (NUT-18): base64url of a CBOR map with one-letter names.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::request::{Nut10, PaymentRequest, RequestError, Transport};
use crate::b64;

const PREFIX: &str = "creqA";

pub(super) fn encode(request: &PaymentRequest) -> Result<String, RequestError> {
    let mut encoder = Encoder::new(Vec::new());
    // Writing to memory does not fail; the type says that it might.
    write(request, &mut encoder)
        .map_err(|_| RequestError::Unwritable { field: "content", problem: "does not fit in memory" })?;
    Ok(format!("{PREFIX}{}", b64::encode(encoder.writer())))
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn write(request: &PaymentRequest, e: &mut Encoder<Vec<u8>>) -> Written {
    let members = [
        request.id.is_some(),
        request.amount.is_some(),
        request.unit.is_some(),
        request.single_use.is_some(),
        !request.mints.is_empty(),
        request.description.is_some(),
        !request.transports.is_empty(),
        request.nut10.is_some(),
    ];
    e.map(length(members.into_iter().filter(|present| *present).count()))?;
    if let Some(id) = &request.id {
        e.str("i")?.str(id)?;
    }
    if let Some(amount) = request.amount {
        e.str("a")?.u64(amount)?;
    }
    if let Some(unit) = &request.unit {
        e.str("u")?.str(unit)?;
    }
    if let Some(single_use) = request.single_use {
        e.str("s")?.bool(single_use)?;
    }
    if !request.mints.is_empty() {
        e.str("m")?.array(length(request.mints.len()))?;
        for mint in &request.mints {
            e.str(mint)?;
        }
    }
    if let Some(description) = &request.description {
        e.str("d")?.str(description)?;
    }
    if !request.transports.is_empty() {
        e.str("t")?.array(length(request.transports.len()))?;
        for Transport { kind, target, tags } in &request.transports {
            e.map(if tags.is_empty() { 2 } else { 3 })?.str("t")?.str(kind)?.str("a")?.str(target)?;
            write_tags("g", tags, e)?;
        }
    }
    if let Some(Nut10 { kind, data, tags }) = &request.nut10 {
        e.str("nut10")?;
        e.map(if tags.is_empty() { 2 } else { 3 })?.str("k")?.str(kind)?.str("d")?.str(data)?;
        write_tags("t", tags, e)?;
    }
    Ok(())
}

fn write_tags(name: &str, tags: &[Vec<String>], e: &mut Encoder<Vec<u8>>) -> Written {
    if tags.is_empty() {
        return Ok(());
    }
    e.str(name)?.array(length(tags.len()))?;
    for tag in tags {
        e.array(length(tag.len()))?;
        for word in tag {
            e.str(word)?;
        }
    }
    Ok(())
}

pub(super) fn decode(text: &str) -> Result<PaymentRequest, RequestError> {
    let bytes = b64::decode_any(text).ok_or(RequestError::Encoding { expected: "base64" })?;
    let mut reader = Reader(Decoder::new(&bytes));
    let request = reader.request()?;
    if reader.0.position() < bytes.len() {
        return Err(RequestError::Field { field: "content", expected: "one CBOR map and nothing after it" });
    }
    Ok(request)
}

struct Reader<'b>(Decoder<'b>);

impl<'b> Reader<'b> {
    /// Runs `member` for each name of a map that has a value; null and undefined count as absent.
    fn members(
        &mut self,
        field: &'static str,
        mut member: impl FnMut(&mut Self, &'b str) -> Result<(), RequestError>,
    ) -> Result<(), RequestError> {
        let malformed = |_| RequestError::Field { field, expected: "a CBOR map with text names" };
        let mut left = self.0.map().map_err(malformed)?;
        let mut seen = Vec::new();
        while self.more(&mut left, field)? {
            let name = self.0.str().map_err(malformed)?;
            if seen.contains(&name) {
                return Err(RequestError::Twice(field));
            }
            seen.push(name);
            if matches!(self.0.datatype().map_err(malformed)?, Type::Null | Type::Undefined) {
                self.0.skip().map_err(malformed)?;
            } else {
                member(self, name)?;
            }
        }
        Ok(())
    }

    fn items<T>(
        &mut self,
        field: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, RequestError>,
    ) -> Result<Vec<T>, RequestError> {
        let malformed = |_| RequestError::Field { field, expected: "a CBOR array" };
        let mut left = self.0.array().map_err(malformed)?;
        let mut items = Vec::new();
        while self.more(&mut left, field)? {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Whether a map or array has another entry; `left` is `None` where CBOR leaves the length open.
    fn more(&mut self, left: &mut Option<u64>, field: &'static str) -> Result<bool, RequestError> {
        if let Some(count) = left {
            let more = *count > 0;
            *count = count.saturating_sub(1);
            return Ok(more);
        }
        let malformed = |_| RequestError::Field { field, expected: "an end" };
        let end = self.0.datatype().map_err(malformed)? == Type::Break;
        if end {
            self.0.skip().map_err(malformed)?;
        }
        Ok(!end)
    }

    fn text(&mut self, field: &'static str) -> Result<String, RequestError> {
        self.0.str().map(str::to_owned).map_err(|_| RequestError::Field { field, expected: "text" })
    }

    fn skip(&mut self) -> Result<(), RequestError> {
        self.0.skip().map_err(|_| RequestError::Field { field: "content", expected: "sound CBOR" })
    }

    fn tags(&mut self, field: &'static str) -> Result<Vec<Vec<String>>, RequestError> {
        self.items(field, |reader| reader.items(field, |reader| reader.text(field)))
    }

    fn request(&mut self) -> Result<PaymentRequest, RequestError> {
        let mut request = PaymentRequest::default();
        self.members("content", |reader, name| {
            match name {
                "i" => request.id = Some(reader.text("id")?),
                "a" => {
                    let malformed = |_| RequestError::Field { field: "amount", expected: "0 to 2^64 - 1" };
                    request.amount = Some(reader.0.u64().map_err(malformed)?);
                }
                "u" => request.unit = Some(reader.text("unit")?),
                "s" => {
                    let malformed =
                        |_| RequestError::Field { field: "single use", expected: "true or false" };
                    request.single_use = Some(reader.0.bool().map_err(malformed)?);
                }
                "m" => request.mints = reader.items("mints", |reader| reader.text("mints"))?,
                "d" => request.description = Some(reader.text("description")?),
                "t" => request.transports = reader.items("transports", Self::transport)?,
                "nut10" => request.nut10 = Some(reader.nut10()?),
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(request)
    }

    fn transport(&mut self) -> Result<Transport, RequestError> {
        let (mut kind, mut target, mut tags) = (None, None, Vec::new());
        self.members("transport", |reader, name| {
            match name {
                "t" => kind = Some(reader.text("transport")?),
                "a" => target = Some(reader.text("transport")?),
                "g" => tags = reader.tags("transport tags")?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        let missing = || RequestError::Field { field: "transport", expected: "a type and a target" };
        Ok(Transport { kind: kind.ok_or_else(missing)?, target: target.ok_or_else(missing)?, tags })
    }

    fn nut10(&mut self) -> Result<Nut10, RequestError> {
        let (mut kind, mut data, mut tags) = (None, None, Vec::new());
        self.members("nut10", |reader, name| {
            match name {
                "k" => kind = Some(reader.text("nut10")?),
                "d" => data = Some(reader.text("nut10")?),
                "t" => tags = reader.tags("nut10 tags")?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        let missing = || RequestError::Field { field: "nut10", expected: "a kind and its content" };
        Ok(Nut10 { kind: kind.ok_or_else(missing)?, data: data.ok_or_else(missing)?, tags })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cbor(hex: &str) -> Result<PaymentRequest, RequestError> {
        decode(&b64::encode(&hex::decode(hex).unwrap()))
    }

    #[test]
    fn unknown_names_and_open_lengths_are_read() {
        // {_ "u": "sat", "zz": [1, {2: 3}], "m": [_ "a", "b"], "d": null}
        let request = cbor("bf617563736174627a7a8201a10203616d9f61616162ff6164f6ff").unwrap();
        assert_eq!(request.unit.as_deref(), Some("sat"));
        assert_eq!(request.mints, ["a", "b"]);
        assert_eq!(request.description, None);
    }

    #[test]
    fn malformed_cbor_is_refused() {
        for (bad, why) in [
            ("", "nothing"),
            ("a1", "cut short"),
            ("a16161", "name without a value"),
            ("a1616120", "a negative amount"),
            ("a161611bffffffffffffffff", "an amount without a unit is refused one level up"),
            ("a2617563736174617563736174", "the unit twice"),
            ("a161756373617400", "bytes behind"),
            ("9bffffffffffffffff", "an array of 2^64 - 1"),
            ("bbffffffffffffffff", "a map of 2^64 - 1"),
            ("a1617481a1617464706f7374", "a transport without a target"),
            ("a1617561ff", "text that is not UTF-8"),
        ] {
            let result = cbor(bad);
            let ok_here = bad == "a161611bffffffffffffffff";
            assert_eq!(result.is_ok(), ok_here, "{why}: {result:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>) {
            let _ = decode(&b64::encode(&bytes));
        }
    }
}
