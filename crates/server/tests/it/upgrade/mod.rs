//! A data folder of the previous release is opened by this one: everything is there, what was on hold is released, old
//! credits are spent once and not twice, and what is newer than this program is refused by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farthing_ecash::{BlindedMessage, Keyset, KeysetId, Proof, Token, blind, restore};
use farthing_engine::StatementKind;
use farthing_money::{Span, Timestamp};
use farthing_server::app::{self, Ready};
use farthing_server::config::{Config, Passphrase};
use farthing_server::installation::{Installation, OpenError};
use farthing_server::liabilities::Liabilities;
use farthing_server::operator::{Operator, Trial};
use farthing_store::{Clock, Fjall, KeyValue, TableName, Write};
use farthing_wire::liabilities::Statement;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const FOLDER: &str = include_str!("format-1/folder.json");
const KEPT: &str = include_str!("format-1/kept.json");
const WORDS: &str = "the previous release keeps its books well";
/// Half an hour after the kill.
const NOW: u64 = 1_795_370_400;

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
upstream = "http://127.0.0.1:9"
data = "data"
merchant = "corner-shop"
[issuer]
input_fee_ppk = 100
"#;

/// The folder of the past, unpacked.
struct Past {
    folder: TempDir,
    kept: Value,
}

impl Past {
    fn unpacked() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let packed: Value = serde_json::from_str(FOLDER).unwrap();
        for below in packed["folders"].as_array().unwrap() {
            std::fs::create_dir_all(data.join(below.as_str().unwrap())).unwrap();
        }
        for (name, bytes) in packed["files"].as_object().unwrap() {
            let bytes = BASE64_STANDARD.decode(bytes.as_str().unwrap()).unwrap();
            std::fs::write(data.join(name), bytes).unwrap();
        }
        Self { folder, kept: serde_json::from_str(KEPT).unwrap() }
    }

    fn books(&self) -> PathBuf {
        self.folder.path().join("data/books")
    }

    fn config(&self) -> Config {
        Config::read(CONFIG, &self.folder.path().join("farthing.toml")).unwrap()
    }

    async fn open(&self) -> Result<Installation, OpenError> {
        Installation::open(&self.config(), &words(), clock()).await
    }

    /// The trial balance of then, with nothing on hold.
    fn trial(&self) -> Trial {
        let mut trial: Trial = serde_json::from_value(self.kept["trial"].clone()).unwrap();
        for row in trial.rows.iter_mut().chain(&mut trial.sums) {
            "0.00".clone_into(&mut row.debits_pending);
            "0.00".clone_into(&mut row.credits_pending);
        }
        trial.settled = true;
        trial
    }

    fn text(&self, name: &str) -> &str {
        self.kept[name].as_str().unwrap()
    }

    /// The credits of a token that a payer kept.
    fn credits(&self, name: &str) -> Vec<Proof> {
        let keysets = self.kept["keysets"].as_array().unwrap().iter();
        let known: Vec<KeysetId> =
            keysets.map(|keyset| keyset[0].as_str().unwrap().parse().unwrap()).collect();
        let credits = Token::decode(self.text(name)).unwrap().resolve(&known).unwrap();
        credits.iter().map(Proof::for_issuer).collect()
    }
}

fn words() -> Passphrase {
    Passphrase::new(WORDS.to_owned(), "a test").unwrap()
}

fn clock() -> Clock {
    Arc::new(|| Timestamp::from_secs(NOW))
}

/// What moved, by account, without accounts that nothing ever moved.
fn moved(trial: &Trial) -> BTreeMap<String, (String, String, String, String)> {
    let rows = trial.rows.iter().map(|row| {
        let [debits, credits] = [row.debits.clone(), row.credits.clone()];
        (row.account.clone(), (debits, credits, row.debits_pending.clone(), row.credits_pending.clone()))
    });
    rows.collect()
}

/// The server on the folder.
struct Running {
    ready: Ready,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    async fn on(past: &Past) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (say, said) = oneshot::channel();
        let config = past.config();
        let ended = tokio::spawn(async move {
            let on_ready = |ready: &Ready| drop(say.send(ready.clone()));
            let until = async { drop(stopped.await) };
            app::run(config, None, &words(), clock(), on_ready, until).await.unwrap();
        });
        Self { ready: said.await.unwrap(), stop, ended }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
    }

    /// Status and answer of the issuer.
    async fn ask(&self, path: &str, body: Option<Value>) -> (u16, Value) {
        let rest = self.ready.issuer.strip_prefix("http://").unwrap();
        let (host, prefix) = rest.split_once('/').unwrap();
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let head = format!(
            "{method} /{prefix}{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// The keyset that signs.
    async fn keyset(&self) -> Keyset {
        let (_, keys) = self.ask("/v1/keys", None).await;
        let keysets: Vec<Keyset> = serde_json::from_value(keys["keysets"].clone()).unwrap();
        keysets.into_iter().find(|keyset| keyset.active).unwrap()
    }

    /// Swaps credits for new ones, `number` telling one wallet from another.
    async fn swap(&self, credits: &[Proof], fee: u64, number: u8) -> Result<(), String> {
        let keyset = self.keyset().await;
        let worth = credits.iter().map(|credit| credit.amount).sum::<u64>() - fee;
        let outputs = blinded(&keyset, worth, number);
        let (status, answer) =
            self.ask("/v1/swap", Some(json!({ "inputs": credits, "outputs": outputs }))).await;
        if status == 200 { Ok(()) } else { Err(answer["reject"].as_str().unwrap().to_owned()) }
    }

    /// Redeems a code into credits.
    async fn redeem(&self, code: &str, worth: u64, number: u8) -> Result<(), String> {
        let open = json!({ "unit": "uusd", "amount": worth, "code": code });
        let (status, quote) = self.ask("/v1/mint/quote/code", Some(open)).await;
        if status != 200 {
            return Err(quote["reject"].as_str().unwrap().to_owned());
        }
        let outputs = blinded(&self.keyset().await, worth, number);
        let (status, answer) =
            self.ask("/v1/mint/code", Some(json!({ "quote": quote["quote"], "outputs": outputs }))).await;
        if status == 200 { Ok(()) } else { Err(answer["reject"].as_str().unwrap().to_owned()) }
    }

    async fn states(&self, credits: &[Proof]) -> Vec<String> {
        let ys: Vec<String> = credits.iter().map(|credit| credit.y().point().to_string()).collect();
        let (_, answer) = self.ask("/v1/checkstate", Some(json!({ "Ys": ys }))).await;
        let states = answer["states"].as_array().unwrap().iter();
        states.map(|state| state["state"].as_str().unwrap().to_owned()).collect()
    }
}

/// Outputs worth so much: the powers of two of it.
fn blinded(keyset: &Keyset, worth: u64, number: u8) -> Vec<BlindedMessage> {
    let amounts = (0..63).map(|order| 1_u64 << order).filter(|amount| worth & amount != 0);
    let message = |(counter, amount): (usize, u64)| {
        let counter = u32::try_from(counter).unwrap();
        let (secret, r) = restore::derive(&[number; 64], keyset.id, counter).unwrap();
        BlindedMessage { amount, id: keyset.id, b_: blind(secret.as_bytes(), &r).unwrap() }
    };
    amounts.enumerate().map(message).collect()
}

#[tokio::test]
async fn the_books_are_as_they_were_and_nothing_is_on_hold() {
    let past = Past::unpacked();
    let opened = past.open().await.unwrap();
    assert_eq!(opened.released, 1, "the payment that the kill left on hold");
    let operator = Operator::new(&opened);
    let (now, then) = (operator.trial().unwrap(), past.trial());
    assert!(now.balances && now.settled);
    let (now, then) = (moved(&now), moved(&then));
    for (account, totals) in &then {
        assert_eq!(now.get(account), Some(totals), "{account}");
    }
    let nothing = ("0.00".to_owned(), "0.00".to_owned(), "0.00".to_owned(), "0.00".to_owned());
    assert!(now.iter().all(|(account, totals)| then.contains_key(account) || *totals == nothing), "{now:?}");
    let names: Vec<String> = opened.books.accounts().unwrap().into_iter().map(|row| row.name).collect();
    for new in ["deposits", "withdrawals"] {
        assert!(names.iter().any(|name| name == new), "{new} is opened where it was missing");
    }

    let verified = operator.verify().unwrap();
    let old = past.kept["verify"]["batches"].as_u64().unwrap();
    assert!(verified.balances && verified.settled && verified.batches > old, "{verified:?}");
    let last = opened.books.frames(old, 1).unwrap();
    let head = farthing_ledger::Batch::digest(&last[0]).to_string();
    assert_eq!(head, past.text_of_verify("head"), "the journal of the past is untouched");
    drop(operator);
    opened.close();
}

impl Past {
    fn text_of_verify(&self, name: &str) -> &str {
        self.kept["verify"][name].as_str().unwrap()
    }
}

#[tokio::test]
async fn old_credits_are_spent_once_and_codes_redeemed_once() {
    let past = Past::unpacked();
    let server = Running::on(&past).await;
    assert_eq!(server.ready.released, 1);
    for name in ["paid_token", "swapped_token", "melted_token"] {
        let credits = past.credits(name);
        assert!(server.states(&credits).await.iter().all(|state| state == "SPENT"), "{name}");
        assert_eq!(server.swap(&credits, 0, 1).await, Err("credit-spent".to_owned()), "{name}");
    }
    // The first keyset takes no fee, the second a tenth of a credit for each.
    for (number, name, fee) in
        [(2, "old_token", 0), (3, "released_token", 0), (4, "new_token", 1), (5, "held_token", 1)]
    {
        let credits = past.credits(name);
        assert!(server.states(&credits).await.iter().all(|state| state == "UNSPENT"), "{name}");
        assert_eq!(server.swap(&credits, fee, number).await, Ok(()), "{name}");
        assert_eq!(server.swap(&credits, fee, number + 100).await, Err("credit-spent".to_owned()), "{name}");
    }
    for name in ["redeemed_code", "redeemed_code_2", "redeemed_code_3"] {
        assert_eq!(server.redeem(past.text(name), 5_000_000, 6).await, Err("code-used".to_owned()), "{name}");
    }
    assert_eq!(server.redeem(past.text("unused_code"), 5_000_000, 7).await, Ok(()));
    assert_eq!(server.redeem(past.text("melted_into_code"), 320_000, 8).await, Ok(()));
    assert!(server.redeem(past.text("unused_code"), 5_000_000, 9).await.is_err());
    server.stop().await;

    let opened = past.open().await.unwrap();
    assert_eq!(opened.released, 0);
    let operator = Operator::new(&opened);
    let verified = operator.verify().unwrap();
    assert!(verified.balances && verified.settled, "{verified:?}");
    let codes = operator.create_codes("1.00 USD", 2, None).await.unwrap();
    assert_eq!(codes.codes.len(), 2);
    drop(operator);
    opened.close();
}

#[tokio::test]
async fn a_folder_of_a_later_format_is_refused_by_name() {
    let past = Past::unpacked();
    past.open().await.unwrap().close();
    let books = Fjall::open(&past.books()).unwrap();
    let format = Write { table: TableName::Meta, key: b"format".to_vec(), value: Some(b"9".to_vec()) };
    books.write(vec![format]).unwrap();
    drop(books);
    let before = names(&past.books());
    let Err(refused) = past.open().await else { panic!("a folder of the future was opened") };
    let text = refused.to_string();
    assert!(text.contains("has format \"9\", this version reads"), "{text}");
    assert!(text.contains("use the version that wrote it"), "{text}");
    assert_eq!(names(&past.books()), before);
}

fn names(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<String> = files.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// What was spent before rows told their worth cannot be listed: it is stated as one sum, which never grows.
#[tokio::test]
async fn what_was_redeemed_before_lists_were_kept_is_stated_as_one_sum() {
    let past = Past::unpacked();
    let at = past.open().await.unwrap();
    let liabilities = Liabilities::new(&at);
    assert!(liabilities.turn(Span::from_secs(86_400)).await.unwrap() > 0);
    assert!(liabilities.end_epoch().await.unwrap() > 0);
    let rows = at.books.statements(StatementKind::Liabilities.first(), 100).unwrap();
    let statements: Vec<Statement> =
        rows.iter().map(|(_, row)| Statement::verify(&row.text, None).unwrap().0).collect();
    let accounts = at.books.accounts().unwrap();
    let mut unlisted = 0;
    for statement in &statements {
        let name = format!("credits:{}", statement.keyset);
        let account = accounts.iter().find(|account| account.name == name).unwrap();
        assert_eq!(statement.issued.total(), Some(account.totals.credits_posted));
        assert_eq!(statement.redeemed.total(), Some(account.totals.debits_posted));
        assert_eq!(statement.issued.unlisted.value(), 0, "every output was written down with its amount");
        assert_eq!((statement.redeemed.count, statement.redeemed.sum.value()), (0, 0));
        unlisted += statement.redeemed.unlisted.value();
    }
    assert!(unlisted > 0, "{statements:?}");
    assert_eq!(Operator::new(&at).verify().unwrap().statements, statements.len());
    // Whoever has the writer keeps the folder open.
    drop(liabilities);
    at.close();
}
