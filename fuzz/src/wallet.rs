//! The wallet: what it keeps as text, and what mints and merchants answer it.

use std::cell::OnceCell;
use std::str::from_utf8;
use std::sync::{Arc, Mutex};

use farthing_money::{Amount, Timestamp};
use farthing_server::mount::ISSUER_PATH;
use farthing_store::Write;
use farthing_wallet::{
    Address, Backup, Event, Flow, HttpRequest, HttpResponse, Limits, MemoryVault, PayFlow, PayRequest,
    ReceiveFlow, RecoverFlow, RedeemFlow, RestoreFlow, Row, Sealed, SealingEntropy, Seed, Step, Unlock,
    Vault, Wallet, mint_address,
};
use farthing_wire::{Credential, CredentialFields};
use http::Method;

use crate::world::{self, CODE, CODE_UNITS, ORIGIN, World};
use crate::{Cut, json_again};

const KEY: [u8; 32] = [9; 32];
const SHOP: &str = "https://shop.example";
/// The most that one payment may cost.
const CALL_UNITS: u64 = 20;

/// Backups, words, sealed secrets, addresses and the rows of a wallet's folder.
pub fn wallet_texts(bytes: &[u8]) {
    if let Some(sealed) = json_again::<Sealed>(bytes) {
        assert!(sealed.open(Unlock::Key(&KEY)).is_err(), "nobody knows the key");
    }
    if let Ok(row) = serde_json::from_slice::<Row>(bytes) {
        let written = serde_json::to_vec(&row).expect("what was read can be written");
        let again: Row = serde_json::from_slice(&written).expect("what was written can be read");
        assert_eq!(again, row);
        drop(row.key());
    }
    let Ok(text) = from_utf8(bytes) else { return };
    if let Ok(seed) = Seed::from_words(text) {
        let again = Seed::from_words(&seed.words()).expect("what was written can be read");
        assert_eq!(*again.words(), *seed.words());
    }
    if let Ok(backup) = Backup::from_text(text) {
        let written = backup.to_text();
        let again = Backup::from_text(&written).expect("what was written can be read");
        assert_eq!(*again.to_text(), *written);
    }
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse().as_ref(), Ok(&address));
        assert!(!address.to_string().contains('@') || address.path_and_query().contains('@'));
    }
    if let Ok(mint) = mint_address(text) {
        assert_eq!(mint_address(&mint), Ok(mint));
    }
}

/// An operation whose answers are lies, losses, or the truth with something changed.
///
/// Whatever they are, it ends, the wallet never believes in more than was issued, and it sends no more than it may.
pub fn wallet_answers(bytes: &[u8]) {
    let mut cut = Cut(bytes);
    let which = cut.byte() % 5;
    let (vault, rows) = STARTS.with(|starts| {
        let (empty, filled) = starts.get_or_init(|| (empty(), filled()));
        if which == 0 { empty.clone() } else { filled.clone() }
    });
    let world = world::fresh_with(rows);
    let mut wallet = Wallet::open(vault, Unlock::Key(&KEY)).expect("a wallet");
    let flow: Option<Box<dyn Flow>> = match which {
        0 => RedeemFlow::new(CODE, &mint(), None).ok().map(|flow| Box::new(flow) as Box<dyn Flow>),
        1 => RestoreFlow::new(&mint()).ok().map(|flow| Box::new(flow) as _),
        2 => ReceiveFlow::new(cut.text(), true).ok().map(|flow| Box::new(flow) as _),
        _ => PayFlow::new(request()).ok().map(|flow| Box::new(flow) as _),
    };
    let Some(flow) = flow else { return };
    play(&world, &mut wallet, flow, &mut cut);
    play(&world, &mut wallet, Box::new(RecoverFlow::new()), &mut cut);
    let balances = wallet.balances().expect("balances");
    for balance in balances.iter().filter(|balance| balance.mint == mint()) {
        let sum = balance.free.amount().checked_add(balance.reserved.amount());
        assert!(sum.is_some_and(|sum| sum <= Amount::from(CODE_UNITS)), "more than was issued: {balance:?}");
    }
    world.check_books();
}

fn mint() -> String {
    format!("{ORIGIN}{ISSUER_PATH}")
}

fn request() -> PayRequest {
    let (headers, body) = (Vec::new(), Vec::new());
    PayRequest { method: "GET".into(), url: format!("{SHOP}/page"), headers, body, max: None }
}

thread_local! {
    /// A wallet's rows and the issuer's: before and after the code was redeemed.
    static STARTS: OnceCell<(Start, Start)> = const { OnceCell::new() };
}

type Start = (MemoryVault, Vec<Write>);

fn empty() -> Start {
    let entropy = SealingEntropy { salt: [1; 16], nonce: [2; 24] };
    let vault = Shared::default();
    let seed = Seed::from_entropy([7; 16]).expect("a seed");
    let mut wallet = Wallet::create(vault.clone(), seed, Unlock::Key(&KEY), &entropy).expect("a wallet");
    let unit = "uusd".parse().expect("a unit");
    let limits = Limits { per_call: Some(Amount::from(CALL_UNITS)), ..Limits::none(unit) };
    wallet.set_limits(limits).expect("limits");
    (vault.rows(), world::fresh().rows())
}

/// A wallet that has redeemed the code.
fn filled() -> Start {
    let (rows, _) = empty();
    let world = world::fresh();
    let vault = Shared(Arc::new(Mutex::new(rows)));
    let mut wallet = Wallet::open(vault.clone(), Unlock::Key(&KEY)).expect("a wallet");
    let flow = RedeemFlow::new(CODE, &mint(), None).expect("a flow");
    play(&world, &mut wallet, Box::new(flow), &mut Cut(&[]));
    assert!(!wallet.balances().expect("balances").is_empty(), "the truth redeems the code");
    (vault.rows(), world.rows())
}

/// Drives a flow: for each request one byte says what happens to it; when none are left, the truth does.
fn play(world: &World, wallet: &mut Wallet, mut flow: Box<dyn Flow>, cut: &mut Cut<'_>) {
    let mut event = Event::Go;
    let mut time: Timestamp = world::now();
    for _ in 0..2_000 {
        event = match flow.next(wallet, event, time) {
            Err(_) | Ok(Step::Done(_)) => return,
            Ok(Step::Wait(span)) => {
                time = time.after(span);
                Event::Go
            }
            Ok(Step::Deliver) => Event::Go,
            Ok(Step::Send(request)) => {
                check_sent(&request);
                answer(world, &request, cut)
            }
        };
    }
    panic!("the flow does not end");
}

/// Money goes to the mint, or to the shop within the limit.
fn check_sent(request: &HttpRequest) {
    let of = |name: &str| -> Vec<&[u8]> {
        let named = request.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_bytes()).collect()
    };
    let found = Credential::from_headers(CredentialFields {
        x_cashu: &of("X-Cashu"),
        authorization: &of("Authorization"),
        payment_authorization: &of("Payment-Authorization"),
        payment_signature: &of("PAYMENT-SIGNATURE"),
        x_payment: &of("X-PAYMENT"),
    });
    let Some(credential) = found.expect("what the wallet sends can be read") else { return };
    assert!(request.url.starts_with(SHOP), "{}", request.url);
    let token =
        farthing_ecash::Token::decode(credential.token().expect("it pays with a token")).expect("a token");
    assert!(token.total().is_some_and(|total| total <= CALL_UNITS), "more than the limit");
}

fn answer(world: &World, request: &HttpRequest, cut: &mut Cut<'_>) -> Event {
    match cut.byte() % 8 {
        1 => Event::NotSent("no connection".into()),
        2 => Event::NoAnswer("time out".into()),
        3 => {
            truth(world, request);
            Event::NoAnswer("time out".into())
        }
        4 => Event::Answer(invented(cut)),
        5 => {
            let (mut answer, piece) = (truth(world, request), cut.part());
            let at = usize::from(cut.byte()).wrapping_mul(7) % (answer.body.len() + 1);
            let end = (at + piece.len()).min(answer.body.len());
            answer.body.splice(at..end, piece.iter().copied());
            Event::Answer(answer)
        }
        6 => {
            let mut answer = truth(world, request);
            answer.status = 200_u16.saturating_add(u16::from(cut.byte()) * 2);
            Event::Answer(answer)
        }
        _ => Event::Answer(truth(world, request)),
    }
}

/// A status, header lines up to an empty one, and a body.
fn invented(cut: &mut Cut<'_>) -> HttpResponse {
    let statuses = [200, 402, 400, 404, 409, 503, 301, 101];
    let status = statuses[usize::from(cut.byte()) % statuses.len()];
    let part = cut.part();
    let text = String::from_utf8_lossy(part);
    let (head, body) = text.split_once("\n\n").unwrap_or(("", &text));
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let headers = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    HttpResponse { status, headers, body: body.as_bytes().to_vec() }
}

fn truth(world: &World, request: &HttpRequest) -> HttpResponse {
    let method = if request.method == "GET" { Method::GET } else { Method::POST };
    let path = request.url.strip_prefix(ORIGIN);
    let answer = path.and_then(|path| world.ask(method, path, request.body.clone()));
    let Some(answer) = answer else {
        return HttpResponse { status: 404, headers: Vec::new(), body: Vec::new() };
    };
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    HttpResponse { status: answer.status, headers, body: answer.body }
}

/// A vault that outlives its wallet.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<MemoryVault>>);

impl Shared {
    fn rows(&self) -> MemoryVault {
        self.0.lock().expect("a lock").clone()
    }
}

impl Vault for Shared {
    fn load(&self) -> Result<Vec<Row>, farthing_wallet::VaultFault> {
        self.rows().load()
    }

    fn commit(&mut self, changes: &[farthing_wallet::Change]) -> Result<(), farthing_wallet::VaultFault> {
        self.0.lock().expect("a lock").commit(changes)
    }

    fn history(&self, limit: usize) -> Result<Vec<farthing_wallet::Entry>, farthing_wallet::VaultFault> {
        self.rows().history(limit)
    }
}
