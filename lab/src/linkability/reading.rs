//! What an attacker reads out of recorded requests and answers: what is written in base64, what a token holds, and the name under
//! which a secret's credit stands in the books.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use farthing_ecash::{Token, hash_to_curve};

/// What is shorter is left as it stands.
const SHORTEST: usize = 16;
/// Credentials hold texts that hold texts.
const DEPTH: usize = 3;

/// The text, and all that can be read out of it.
pub fn read(text: &str) -> String {
    let mut all = text.to_owned();
    let mut last = text.to_owned();
    for _ in 0..DEPTH {
        let inner: Vec<String> = last.split(|sign: char| !is_base64(sign)).filter_map(inside).collect();
        if inner.is_empty() {
            break;
        }
        last = inner.join("\n");
        all.push('\n');
        all.push_str(&last);
    }
    for name in names(&all) {
        all.push('\n');
        all.push_str(&name);
    }
    all
}

const fn is_base64(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '+' | '/')
}

/// What a word says that is a token, or base64 of a text.
fn inside(word: &str) -> Option<String> {
    if word.len() < SHORTEST {
        return None;
    }
    if let Ok(token) = Token::decode(word) {
        let secrets = token.proofs.iter().map(|proof| format!("{{\"secret\":\"{}\"}}", proof.secret));
        return Some(secrets.collect());
    }
    let bytes = URL_SAFE_NO_PAD.decode(word).or_else(|_| STANDARD_NO_PAD.decode(word)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let is_text = text.chars().all(|sign| !sign.is_control() || sign.is_whitespace());
    is_text.then_some(text)
}

/// The books' names of the credits whose secrets stand in a text.
pub fn names(text: &str) -> BTreeSet<String> {
    let secrets = text.split("\"secret\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    secrets.map(|secret| hash_to_curve(secret.as_bytes()).to_string()).collect()
}

/// The points in a text, in hexadecimal: blinded outputs, signatures, credits.
pub fn points(text: &str) -> BTreeSet<&str> {
    let is_point = |word: &&str| word.len() == 66 && (word.starts_with("02") || word.starts_with("03"));
    text.split(|sign: char| !sign.is_ascii_hexdigit()).filter(is_point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_is_read_and_secrets_get_the_names_of_their_credits() {
        let inner = "{\"secret\":\"a secret that nobody knows\"}";
        let outer = format!("{{\"payload\":\"{}\"}}", URL_SAFE_NO_PAD.encode(inner));
        let text = format!("authorization: Payment {}\r\n", STANDARD_NO_PAD.encode(outer));
        let all = read(&text);
        assert!(all.starts_with(&text) && all.contains(inner), "{all}");
        let name = hash_to_curve(b"a secret that nobody knows").to_string();
        assert!(all.ends_with(&name), "{all}");
        assert_eq!(points(&all), BTreeSet::from([name.as_str()]));
        assert_eq!(read("GET /a/page HTTP/1.1"), "GET /a/page HTTP/1.1");
    }
}
