//! The issuer's API as a stranger meets it: paths and bodies in, never an inner failure out, and the books sum to zero.

use farthing_money::Asset;
use farthing_server::issuer_api::Subscriptions;
use farthing_server::mount::ISSUER_PATH;
use http::Method;

use crate::Cut;
use crate::world::{World, fresh, output};

const POSTS: [&str; 12] = [
    "/v1/swap",
    "/v1/mint/quote/code",
    "/v1/mint/quote/bolt11",
    "/v1/mint/quote/code/check",
    "/v1/mint/code",
    "/v1/mint/bolt11",
    "/v1/mint/code/batch",
    "/v1/melt/quote/code",
    "/v1/melt/quote/bolt11",
    "/v1/melt/code",
    "/v1/checkstate",
    "/v1/restore",
];

/// Up to six requests in turn, on one issuer.
pub fn issuer_api(bytes: &[u8]) {
    let world = fresh();
    let mut cut = Cut(bytes);
    let mut quote = String::new();
    for _ in 0..6 {
        if cut.is_empty() {
            break;
        }
        let which = usize::from(cut.byte());
        let text = filled(&world, cut.part(), &quote);
        let answer = match POSTS.get(which) {
            Some(path) => world.ask(Method::POST, &format!("{ISSUER_PATH}{path}"), text),
            None => {
                let path = String::from_utf8_lossy(&text);
                world.ask(Method::GET, &format!("{ISSUER_PATH}{path}"), Vec::new())
            }
        };
        let Some(answer) = answer else { continue };
        let said = String::from_utf8_lossy(&answer.body);
        assert!(answer.status < 500, "{}: {said}", answer.status);
        let body = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
        if let Some(told) = body["quote"].as_str() {
            quote = told.to_owned();
        }
    }
    world.check_books();
}

/// What a mutation cannot make: `$q` is the last quote, `$p` and a digit a good credit of that power of two, `$o` and a
/// digit an output of it, `$y` and a digit the credit's point.
fn filled(world: &World, text: &[u8], quote: &str) -> Vec<u8> {
    let keyring = world.keyring();
    let asset = Asset::micro("USD").expect("an asset");
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        let (kind, digit) = (tail.first(), tail.get(1).filter(|digit| digit.is_ascii_digit()));
        let put = match (first, kind, digit) {
            (b'$', Some(b'q'), _) => Some((1, quote.to_owned())),
            (b'$', Some(b'p' | b'y'), Some(digit)) => {
                let secret = format!("credit {digit}");
                let proof = keyring.sign_unblinded(&secret, 1 << (digit - b'0'), asset).expect("a credit");
                let json = serde_json::to_string(&proof).expect("JSON");
                Some((2, if kind == Some(&b'y') { proof.y().to_string() } else { json }))
            }
            (b'$', Some(b'o'), Some(digit)) => {
                let output = output(&keyring, 1 << (digit - b'0'), *digit);
                Some((2, serde_json::to_string(&output).expect("JSON")))
            }
            _ => None,
        };
        match put {
            Some((taken, text)) => {
                out.extend(text.into_bytes());
                rest = &rest[taken..];
            }
            None => out.push(*first),
        }
    }
    out
}

/// Messages of one WebSocket connection.
pub fn socket(bytes: &[u8]) {
    let world = fresh();
    let issuer = world.issuer();
    let mut subscriptions = Subscriptions::default();
    let mut cut = Cut(bytes);
    for _ in 0..32 {
        if cut.is_empty() {
            break;
        }
        let text = filled(&world, cut.part(), "");
        let Ok(text) = String::from_utf8(text) else { continue };
        let replies = subscriptions.answer(&issuer, &text);
        assert!(!replies.is_empty(), "every message is answered");
        // One answer, and the present state of what was subscribed to.
        assert!(replies.len() <= 1 + 1_000);
        assert!(replies.iter().all(|reply| reply["jsonrpc"] == "2.0"));
    }
}
