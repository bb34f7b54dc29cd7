//! What stands before the upstream: prices and the readings of a path, the configuration, header texts.

use std::path::Path;
use std::str::from_utf8;

use farthing_gate::{PassScope, Price, Rule, Rules, Target};
use farthing_money::{Amount, Asset, Span};
use farthing_server::config::{Config, Origin};
use farthing_wire::{Problem, SessionStanding, SessionStep, digest, header, json, pass};
use http::{Method, Request};

use crate::Cut;

/// A configuration: read whole, or with mistakes that say where.
pub fn config(bytes: &[u8]) {
    let Ok(text) = from_utf8(bytes) else { return };
    if let Err(mistakes) = Config::read(text, Path::new("farthing.toml")) {
        assert!(!mistakes.is_empty(), "what is not a configuration has mistakes");
        let lines = text.split('\n').count();
        assert!(mistakes.iter().all(|mistake| mistake.line <= lines), "a mistake stands in the text");
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert_eq!(
            origin.to_string().parse::<Origin>().map(|again| again.to_string()),
            Ok(origin.to_string())
        );
    }
}

/// Header texts and JSON that more than one reader sees.
pub fn headers(bytes: &[u8]) {
    if let Ok(value) = json::read::<serde_json::Value>(bytes, "JSON")
        && let Ok(text) = json::canonical(&value)
    {
        let again =
            json::read::<serde_json::Value>(text.as_bytes(), "JSON").expect("what was written can be read");
        assert_eq!(again, value);
        assert_eq!(json::canonical(&again).as_deref(), Ok(text.as_str()));
    }
    if let Ok(problem) = Problem::from_json(bytes) {
        let again = Problem::from_json(problem.to_json().as_bytes()).expect("what was written can be read");
        // The last digit of a fraction may change; nothing that counts is one.
        if problem.extra.values().all(|value| json::canonical(value).is_ok()) {
            assert_eq!(again, problem);
        }
    }
    let mut cut = Cut(bytes);
    let (field, body) = (cut.text(), cut.0);
    assert!(digest::matches(&digest::content_digest(body), body));
    if digest::matches(field, body) {
        assert!(!digest::matches(field, &[body, b"x"].concat()), "a digest fits one body");
    }
    if header::is_field_value(field) {
        assert!(!field.contains(['\r', '\n', '\0']));
    }
    if let Ok(step) = field.parse::<SessionStep>() {
        assert_eq!(step.encode(), field, "a step of a session is written in one way");
    }
    let _ = field.parse::<SessionStanding>();
    for pass in pass::in_cookies(field) {
        assert!(!pass.is_empty());
    }
    let request = Request::builder().uri(field).header("host", body);
    if let Ok(request) = request.body(()) {
        let (parts, ()) = request.into_parts();
        if let Ok(target) = Target::of(&parts) {
            assert!(
                target.path().starts_with(b"/") && !target.host().bytes().any(|b| b.is_ascii_uppercase())
            );
        }
    }
}

/// Rules, a path, and ways to spell it.
///
/// No spelling may have another rule than the path's normal form, unless it is refused: what one server in the world
/// reads as `/paid` must not be served at another price.
pub fn price_rules(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let count = cut.byte() % 6;
    let rules: Vec<Rule> = (0..count).filter_map(|_| rule(&mut cut)).collect();
    let Ok(rules) = Rules::new(rules) else { return };
    let (host, path, spelling) = (cut.text(), cut.text(), cut.0);
    let index = |path: &str| {
        let target = Target::new(host, path).ok()?;
        let chosen = rules.choose(&Method::GET, &target).ok()?;
        Some(chosen.map(|chosen| std::ptr::from_ref(chosen.rule)))
    };
    // What other programs make of the path.
    if let Some(chosen) = index(path) {
        for reading in readings(path.as_bytes()) {
            if let Some(other) = index(&plain(&reading)) {
                assert_eq!(chosen, other, "read as {:?}", String::from_utf8_lossy(&reading));
            }
        }
    }
    // The path spelled in other words.
    let normal =
        path.starts_with('/') && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_".contains(&b));
    if normal
        && !path.contains("//")
        && let (Some(chosen), Some(other)) = (index(path), index(&spelled(path, spelling)))
    {
        assert_eq!(chosen, other, "spelled {:?}", spelled(path, spelling));
    }
}

fn rule(cut: &mut Cut<'_>) -> Option<Rule> {
    let (price, pass) = (cut.byte(), cut.byte());
    let asset = Asset::micro("USD").ok()?;
    let price = match price {
        0 => Price::Free,
        n => Price::Paid { amount: asset.money(Amount::from(u64::from(n))) },
    };
    let (path, host, method) = (cut.text(), cut.text(), cut.text());
    let mut rule = Rule::new(path, price).ok()?;
    assert_eq!(Rule::new(rule.path_pattern().as_str(), price).ok().as_ref(), Some(&rule));
    if !host.is_empty() {
        rule = rule.host(host).ok()?;
    }
    if !method.is_empty() {
        rule = rule.methods(method.split(',')).ok()?;
    }
    let scope = [PassScope::Url, PassScope::Path, PassScope::Rule];
    Some(rule.pass(Span::from_secs(u64::from(pass)), scope[usize::from(pass) % scope.len()]))
}

/// Independent of the gate's own reader: what servers with other habits see.
fn readings(path: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for habits in 0..8_u8 {
        let (opens_slashes, strips_parameters, resolves_dots) =
            (habits & 1 > 0, habits & 2 > 0, habits & 4 > 0);
        let Some(decoded) = decoded(path, opens_slashes) else { return Vec::new() };
        let mut segments: Vec<&[u8]> = Vec::new();
        for segment in decoded.split(|byte| *byte == b'/').skip(1) {
            let segment = match segment.iter().position(|byte| *byte == b';').filter(|_| strips_parameters) {
                Some(end) => &segment[..end],
                None => segment,
            };
            match segment {
                b"." | b"" if resolves_dots => {}
                b".." if resolves_dots => drop(segments.pop()),
                other => segments.push(other),
            }
        }
        let plain = segments.iter().all(|segment| ![&b"."[..], b"..", b""].contains(segment));
        if plain {
            found.push([b"/", segments.join(&b'/').as_slice()].concat());
        }
    }
    found
}

fn decoded(path: &[u8], opens_slashes: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            out.push(if *first == b'\\' && opens_slashes { b'/' } else { *first });
            continue;
        }
        let digits = from_utf8(rest.get(..2)?).ok()?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        rest = &rest[2..];
        match byte {
            b'/' if !opens_slashes => out.extend(b"%2F"),
            b'\\' if opens_slashes => out.push(b'/'),
            byte => out.push(byte),
        }
    }
    Some(out)
}

/// A path that can be read in one way only.
fn plain(path: &[u8]) -> String {
    let letter = |byte: &u8| match byte {
        b'/' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    path.iter().map(letter).collect()
}

/// The same path with letters encoded, slashes doubled, and detours through other folders.
fn spelled(path: &str, spelling: &[u8]) -> String {
    let mut out = String::new();
    for (at, byte) in path.bytes().enumerate() {
        let how = spelling.get(at).copied().unwrap_or_default();
        match (byte, how % 6) {
            (b'/', 1) => out.push_str("//"),
            (b'/', 2) => out.push_str("/./"),
            (b'/', 3) => out.push_str("/free/../"),
            (b'/', 4) => out.push_str("/%2e/"),
            (b'/', 5) => out.push_str("/a/%2E%2e/"),
            (byte, 1 | 2) if byte != b'/' => out.push_str(&format!("%{byte:02X}")),
            (byte, _) => out.push(char::from(byte)),
        }
    }
    out
}
