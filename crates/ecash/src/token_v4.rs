//! Tokens of version B: CBOR with one-letter names, credits grouped by keyset.

use std::convert::Infallible;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use crate::token::{KeysetRef, Token, TokenError, TokenLimits, TokenProof};
use crate::{ProofDleq, PublicKey, Scalar};

type Read<T> = Result<T, TokenError>;
type Written = Result<(), minicbor::encode::Error<Infallible>>;

/// Writes the CBOR: `{t: [{i, p: [{a, s, c, d?, w?, pe?}]}], d?, m, u}`.
pub(crate) fn encode(token: &Token) -> Vec<u8> {
    let mut groups: Vec<(KeysetRef, Vec<&TokenProof>)> = Vec::new();
    for proof in &token.proofs {
        match groups.iter_mut().find(|(id, _)| *id == proof.id) {
            Some((_, group)) => group.push(proof),
            None => groups.push((proof.id, vec![proof])),
        }
    }
    let mut encoder = Encoder::new(Vec::new());
    // A vector takes everything, so there is nothing to report.
    let _ = write(&mut encoder, token, &groups);
    encoder.into_writer()
}

fn write(e: &mut Encoder<Vec<u8>>, token: &Token, groups: &[(KeysetRef, Vec<&TokenProof>)]) -> Written {
    e.map(3_u64.saturating_add(u64::from(token.memo.is_some())))?.str("t")?.array(length(groups))?;
    for (id, proofs) in groups {
        e.map(2)?.str("i")?.bytes(id.as_bytes())?.str("p")?.array(length(proofs))?;
        for proof in proofs {
            write_proof(e, proof)?;
        }
    }
    if let Some(memo) = &token.memo {
        e.str("d")?.str(memo)?;
    }
    e.str("m")?.str(&token.mint)?.str("u")?.str(token.unit.as_str())?.ok()
}

fn write_proof(e: &mut Encoder<Vec<u8>>, proof: &TokenProof) -> Written {
    let optional = [proof.dleq.is_some(), proof.witness.is_some(), proof.p2pk_e.is_some()];
    let fields = optional.into_iter().fold(3_u64, |n, one| n.saturating_add(u64::from(one)));
    e.map(fields)?.str("a")?.u64(proof.amount)?.str("s")?.str(&proof.secret)?;
    e.str("c")?.bytes(&proof.c.to_bytes())?;
    if let Some(ProofDleq { e: challenge, s, r }) = &proof.dleq {
        e.str("d")?.map(3)?.str("e")?.bytes(challenge.as_bytes())?;
        e.str("s")?.bytes(s.as_bytes())?.str("r")?.bytes(r.as_bytes())?;
    }
    if let Some(witness) = &proof.witness {
        e.str("w")?.str(witness)?;
    }
    if let Some(key) = &proof.p2pk_e {
        e.str("pe")?.bytes(&key.to_bytes())?;
    }
    e.ok()
}

fn length<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// Reads the CBOR. Unknown fields are skipped, repeated ones refused.
pub(crate) fn decode(cbor: &[u8], limits: &TokenLimits) -> Read<Token> {
    let mut decoder = Decoder::new(cbor);
    let (mut mint, mut unit, mut memo, mut proofs) = (None, None, None, None);
    fields(&mut decoder, |d, name| match name {
        "m" => once(&mut mint, text(d)?.trim_end_matches('/').to_owned(), "m"),
        "u" => {
            let name = text(d)?;
            let parsed = name.parse().map_err(|_| TokenError::Unit(name.chars().take(32).collect()))?;
            once(&mut unit, parsed, "u")
        }
        "d" => once(&mut memo, nullable(d, |d| text(d).map(str::to_owned))?, "d"),
        "t" => once(&mut proofs, groups(d, limits)?, "t"),
        _ => d.skip().map_err(form),
    })?;
    if decoder.position() != cbor.len() {
        return Err(missing("the end of the token (more bytes follow)"));
    }
    Ok(Token {
        mint: mint.ok_or_else(|| missing("the field m (the issuer's address)"))?,
        unit: unit.ok_or_else(|| missing("the field u (the unit)"))?,
        memo: memo.flatten(),
        proofs: proofs.ok_or_else(|| missing("the field t (the credits)"))?,
    })
}

fn groups(d: &mut Decoder<'_>, limits: &TokenLimits) -> Read<Vec<TokenProof>> {
    let mut all = Vec::new();
    items(d, |d| {
        let (mut id, mut credits) = (None, None);
        fields(d, |d, name| match name {
            "i" => {
                let keyset = KeysetRef::from_slice(d.bytes().map_err(form)?);
                once(&mut id, keyset.ok_or_else(|| missing("a keyset id of 8 or 33 bytes in i"))?, "i")
            }
            "p" => {
                let mut group = Vec::new();
                items(d, |d| {
                    if all.len().saturating_add(group.len()) >= limits.proofs {
                        return Err(TokenError::TooManyProofs(limits.proofs));
                    }
                    group.push(credit(d)?);
                    Ok(())
                })?;
                once(&mut credits, group, "p")
            }
            _ => d.skip().map_err(form),
        })?;
        let id = id.ok_or_else(|| missing("the field i (the keyset id)"))?;
        let credits = credits.ok_or_else(|| missing("the field p (the credits of a keyset)"))?;
        all.extend(credits.into_iter().map(|credit| TokenProof { id, ..credit }));
        Ok(())
    })?;
    Ok(all)
}

/// One credit; its keyset is filled in by the group.
fn credit(d: &mut Decoder<'_>) -> Read<TokenProof> {
    let (mut amount, mut secret, mut c) = (None, None, None);
    let (mut witness, mut dleq, mut p2pk_e) = (None, None, None);
    fields(d, |d, name| match name {
        "a" => once(&mut amount, d.u64().map_err(form)?, "a"),
        "s" => once(&mut secret, text(d)?.to_owned(), "s"),
        "c" => once(&mut c, point(d)?, "c"),
        "d" => once(&mut dleq, nullable(d, equality)?, "d"),
        "w" => once(&mut witness, nullable(d, |d| text(d).map(str::to_owned))?, "w"),
        "pe" => once(&mut p2pk_e, nullable(d, point)?, "pe"),
        _ => d.skip().map_err(form),
    })?;
    Ok(TokenProof {
        amount: amount.ok_or_else(|| missing("the field a (the amount)"))?,
        id: KeysetRef::Full(crate::KeysetId::V1([0; 8])),
        secret: secret.ok_or_else(|| missing("the field s (the secret)"))?,
        c: c.ok_or_else(|| missing("the field c (the signature)"))?,
        witness: witness.flatten(),
        dleq: dleq.flatten(),
        p2pk_e: p2pk_e.flatten(),
    })
}

fn equality(d: &mut Decoder<'_>) -> Read<ProofDleq> {
    let (mut e, mut s, mut r) = (None, None, None);
    fields(d, |d, name| match name {
        "e" => once(&mut e, scalar(d)?, "e"),
        "s" => once(&mut s, scalar(d)?, "s"),
        "r" => once(&mut r, scalar(d)?, "r"),
        _ => d.skip().map_err(form),
    })?;
    let (Some(e), Some(s), Some(r)) = (e, s, r) else {
        return Err(missing("the fields e, s and r of a proof of equality"));
    };
    Ok(ProofDleq { e, s, r })
}

fn text<'b>(d: &mut Decoder<'b>) -> Read<&'b str> {
    d.str().map_err(form)
}

fn point(d: &mut Decoder<'_>) -> Read<PublicKey> {
    PublicKey::from_slice(d.bytes().map_err(form)?).map_err(|error| TokenError::Form(error.to_string()))
}

fn scalar(d: &mut Decoder<'_>) -> Read<Scalar> {
    let bytes = d.bytes().map_err(form)?.try_into().map_err(|_| missing("32 bytes for a number"))?;
    Ok(Scalar::from_bytes(bytes))
}

/// A value, or null for none.
fn nullable<'b, T>(d: &mut Decoder<'b>, read: impl FnOnce(&mut Decoder<'b>) -> Read<T>) -> Read<Option<T>> {
    match d.datatype().map_err(form)? {
        Type::Null | Type::Undefined => d.skip().map_err(form).map(|()| None),
        _ => read(d).map(Some),
    }
}

/// Each field of a map of either length form, by name.
fn fields<'b>(d: &mut Decoder<'b>, mut field: impl FnMut(&mut Decoder<'b>, &str) -> Read<()>) -> Read<()> {
    let count = d.map().map_err(form)?;
    each(d, count, |d| {
        let name = text(d)?;
        field(d, name)
    })
}

/// Each item of an array of either length form.
fn items<'b>(d: &mut Decoder<'b>, item: impl FnMut(&mut Decoder<'b>) -> Read<()>) -> Read<()> {
    let count = d.array().map_err(form)?;
    each(d, count, item)
}

/// Runs as often as said, or until the break. Every run takes at least a byte, so false lengths end with the input.
fn each<'b>(
    d: &mut Decoder<'b>,
    count: Option<u64>,
    mut run: impl FnMut(&mut Decoder<'b>) -> Read<()>,
) -> Read<()> {
    if let Some(count) = count {
        return (0..count).try_for_each(|_| run(d));
    }
    while d.datatype().map_err(form)? != Type::Break {
        run(d)?;
    }
    d.skip().map_err(form)
}

fn once<T>(place: &mut Option<T>, value: T, name: &str) -> Read<()> {
    if place.replace(value).is_some() {
        return Err(TokenError::Form(format!("the field {name} appears twice")));
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn form(error: minicbor::decode::Error) -> TokenError {
    TokenError::Form(format!("not the CBOR of a token, {error}"))
}

fn missing(what: &str) -> TokenError {
    TokenError::Form(format!("expected {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    fn read(cbor: &str) -> Read<Token> {
        let cbor = cbor.replace(' ', "").replace("POINT", &format!("5821{POINT}"));
        decode(&hex::decode(cbor).unwrap(), &TokenLimits::default())
    }

    /// `{i, p: [{a: 1, s: "s", c: POINT}]}` as an array of one.
    const T: &str = "6174 81 a2 6169 48 0000000000000000 6170 81 a3 6161 01 6173 6173 6163 POINT";
    /// `m: "m"` and `u: "u"`.
    const M: &str = "616d 616d";
    const U: &str = "6175 6175";

    #[test]
    fn lengths_may_be_open_and_unknown_fields_are_skipped() {
        let token = read(&format!("a3 {T} {M} {U}")).unwrap();
        assert_eq!((token.mint.as_str(), token.unit.as_str(), token.proofs.len()), ("m", "u", 1));
        assert_eq!(read(&format!("bf {T} {M} {U} ff")), Ok(token.clone()));
        assert_eq!(read(&format!("a3 {} {M} {U}", T.replacen("81", "9f", 1) + "ff")), Ok(token.clone()));
        assert_eq!(read(&format!("a4 {T} {M} {U} 6178 82 01 a1 01 02")), Ok(token.clone()));
        assert_eq!(read(&format!("a4 {T} {M} {U} 6164 f6")), Ok(token), "null is nothing");
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for bad in [
            String::new(),
            "a0".to_owned(),
            "80".to_owned(),
            format!("a3 {T} {M} {U} 00"),
            format!("a2 {T} {M}"),
            format!("a2 {T} {U}"),
            format!("a2 {M} {U}"),
            format!("a4 {T} {M} {U} {U}"),
            format!("a3 {} {M} {U}", T.replace("01", "20")),
            format!("a3 {} {M} {U}", T.replace("48 00", "48 02")),
            format!("a3 {} {M} {U}", T.replace("POINT", "40")),
            format!("a3 {} {M} {U}", T.replace("81 a3", "9b ffffffffffffffff a3")),
            format!("bb ffffffffffffffff {T} {M} {U}"),
            format!("a3 {T} {M} 6175 6155"),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
