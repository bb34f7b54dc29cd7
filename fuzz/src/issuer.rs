//! The issuer's API as a stranger meets it: paths and bodies in, never an inner failure out, and the books sum to zero.

use farthing_money::Asset;
use farthing_server::issuer_api::Subscriptions;
use farthing_server::mount::ISSUER_PATH;
use farthing_store::Write;
use http::Method;

use crate::Cut;
use crate::session::Chain;
use crate::shop::{Answer, PAGES};
use crate::world::{World, fresh, output};

/// `$s` is the session of which was told last.
const POSTS: [&str; 16] = [
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
    "/v1/sessions",
    "/v1/sessions/$s",
    "/v1/sessions/$s/top-up",
    "/v1/sessions/$s/close",
];
/// Calls that a session pays for: these, and those of the other pages behind them.
const CALLS: usize = POSTS.len();
const BACKUP: usize = CALLS + PAGES.len();
const RESTORE: usize = BACKUP + 1;

/// What earlier answers have told.
struct Told {
    quote: String,
    session: String,
}

impl Default for Told {
    fn default() -> Self {
        Self { quote: String::new(), session: "0".repeat(32) }
    }
}

/// Up to eight requests in turn, on one issuer and the pages that its credits pay for.
pub fn issuer_api(bytes: &[u8]) {
    let world = fresh();
    let mut cut = Cut(bytes);
    let (mut told, mut backup) = (Told::default(), None);
    for _ in 0..8 {
        if cut.is_empty() {
            break;
        }
        let which = usize::from(cut.byte());
        let text = filled(&world, cut.part(), &told);
        let Some(answer) = ask(&world, which, text, &told, &mut backup) else { continue };
        let said = String::from_utf8_lossy(&answer.body);
        assert!(answer.status < 500 || which == CALLS + 1, "{}: {said}", answer.status);
        let body = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
        if let Some(quote) = body["quote"].as_str() {
            told.quote = quote.to_owned();
        }
        if let Some(session) = body["session"].as_str() {
            told.session = session.to_owned();
        }
    }
    world.check_books();
}

fn ask(
    world: &World,
    which: usize,
    text: Vec<u8>,
    told: &Told,
    backup: &mut Option<Vec<Write>>,
) -> Option<Answer> {
    match which {
        BACKUP => *backup = Some(world.rows()),
        RESTORE => world.restore(backup.clone()?),
        _ => {
            if let Some(path) = POSTS.get(which) {
                let path = path.replace("$s", &told.session);
                return world.ask(Method::POST, &format!("{ISSUER_PATH}{path}"), text);
            }
            if let Some(page) = which.checked_sub(CALLS).and_then(|at| PAGES.get(at)) {
                return world.call(page, &text);
            }
            let path = String::from_utf8_lossy(&text);
            return world.ask(Method::GET, &format!("{ISSUER_PATH}{path}"), Vec::new());
        }
    }
    None
}

/// Puts in what a mutation cannot make; see [`put`].
fn filled(world: &World, text: &[u8], told: &Told) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match Some(tail).filter(|_| *first == b'$').and_then(|tail| put(world, tail, told)) {
            Some((taken, text)) => {
                out.extend(text.into_bytes());
                rest = &rest[taken..];
            }
            None => out.push(*first),
        }
    }
    out
}

/// What stands for a `$` and so many bytes behind it: `q` is the last quote, `s` the last session, `p` and a digit a good
/// credit of that power of two, `o` and a digit an output of it, `y` and a digit the credit's point. Of the payer of a
/// session, whose number is a digit, `c` is what names his chain, `k` the key of its lock, `l` and another digit the link of
/// that step, and `h` and a digit that step as a call of the last session shows it.
fn put(world: &World, text: &[u8], told: &Told) -> Option<(usize, String)> {
    let digit = |at: usize| text.get(at).filter(|digit| digit.is_ascii_digit()).copied();
    let json = |part: serde_json::Result<String>| part.expect("JSON");
    let credit = |digit: u8| {
        let (asset, secret) = (Asset::micro("USD").expect("an asset"), format!("credit {digit}"));
        world.keyring().sign_unblinded(&secret, 1 << (digit - b'0'), asset).expect("a credit")
    };
    Some(match text.first()? {
        b'q' => (1, told.quote.clone()),
        b's' => (1, told.session.clone()),
        b'p' => (2, json(serde_json::to_string(&credit(digit(1)?)))),
        b'y' => (2, credit(digit(1)?).y().to_string()),
        b'o' => {
            let digit = digit(1)?;
            (2, json(serde_json::to_string(&output(&world.keyring(), 1 << (digit - b'0'), digit))))
        }
        b'c' => (2, Chain::of(digit(1)?).members()),
        b'k' => (2, Chain::of(digit(1)?).key()),
        b'l' => (3, Chain::of(digit(1)?).link(digit(2)? - b'0')),
        b'h' => (3, Chain::of(digit(1)?).header(&told.session, digit(2)? - b'0')),
        _ => return None,
    })
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
        let text = filled(&world, cut.part(), &Told::default());
        let Ok(text) = String::from_utf8(text) else { continue };
        let replies = subscriptions.answer(&issuer, &text);
        assert!(!replies.is_empty(), "every message is answered");
        // One answer, and the present state of what was subscribed to.
        assert!(replies.len() <= 1 + 1_000);
        assert!(replies.iter().all(|reply| reply["jsonrpc"] == "2.0"));
    }
}
