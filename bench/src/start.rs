//! How long a start takes when there are many payments: after `kill -9`, and after a clean stop. The folder is filled by the
//! engine and the store themselves, without cryptography and HTTP: credits issued and spent, payments held and posted, the
//! journal written, a thousand commands a commit. Not measured unless asked for by name: it takes its time and its space.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use farthing_engine::{
    Chart, CreditId, Funds, Hold, Input, Issue, IssuePart, KeysetRow, Marks, MintQuoteRow, OpenMintQuote,
    Output, OutputId, PaymentId, Post, QuoteId, Read, RequestTag, credits_account,
};
use farthing_ledger::AccountId;
use farthing_money::{Amount, Timestamp};
use farthing_store::{Committer, Fjall, RowStore};

use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::memory::bytes_below;
use crate::ours::Ours;
use crate::settings::Settings;
use crate::stat::{mebibytes, rate};

const PEER: &str = "an empty folder";
/// Payments whose holds are one commit, and whose posts are the next.
const TOGETHER: usize = 1000;
/// Each pays with so many credits of this worth.
const CREDITS: usize = 2;
const WORTH: u64 = 4096;
/// The tables are written out, and the log begins anew, soon after so many bytes.
const LOG_LONG: u64 = 62_000_000;
const DONE: &str = "filled";

/// Fills a folder and starts the real binary on it.
pub fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    if !settings.asks("start") {
        return Ok(Vec::new());
    }
    let begun = Instant::now();
    let ours = Ours::start(&settings.farthing, 9)?;
    let empty = begun.elapsed().as_secs_f64();
    let empty_memory = mebibytes(ours.server.resident_bytes()?);
    let folder = ours.server.stop()?;
    let begun = Instant::now();
    fill_and_kill(folder.path(), settings.payments)?;
    let filled = rate(settings.payments, begun.elapsed());
    let weigh =
        |folder: &Path| bytes_below(folder).map(mebibytes).map_err(Failure::at("weighing the folder"));
    let killed_size = weigh(folder.path())?;
    let begun = Instant::now();
    let again = Ours::start_in(&settings.farthing, folder)?;
    let killed = begun.elapsed().as_secs_f64();
    let memory = mebibytes(again.server.resident_bytes()?);
    let begun = Instant::now();
    let folder = again.server.stop()?;
    let stop = begun.elapsed().as_secs_f64();
    let stopped_size = weigh(folder.path())?;
    let begun = Instant::now();
    let last = Ours::start_in(&settings.farthing, folder)?;
    let stopped = begun.elapsed().as_secs_f64();
    let stopped_memory = mebibytes(last.server.resident_bytes()?);
    Ok(vec![
        Figure::against("start_killed", "s", PEER, &[(killed, empty)]),
        Figure::against("start_stopped", "s", PEER, &[(stopped, empty)]),
        Figure::against("start_killed_memory", "MiB", PEER, &[(memory, empty_memory)]),
        Figure::against("start_stopped_memory", "MiB", PEER, &[(stopped_memory, empty_memory)]),
        Figure::alone("start_killed_folder", "MiB", killed_size),
        Figure::alone("start_stopped_folder", "MiB", stopped_size),
        Figure::alone("start_stop", "s", stop),
        Figure::alone("start_filling", "payments/s", filled),
    ])
}

/// Has another program fill the folder, and kills it when it is done.
fn fill_and_kill(folder: &Path, payments: usize) -> Result<()> {
    let own = std::env::current_exe().map_err(Failure::at("looking for this program"))?;
    let mut child = Command::new(own)
        .args(["--payments", &payments.to_string(), "--fill"])
        .arg(folder.join("data/books"))
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::at("starting to fill"))?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut said).map_err(Failure::at("filling"))?;
    }
    drop(child.kill());
    drop(child.wait());
    if said.trim() == DONE { Ok(()) } else { Err(Failure::new("the folder was not filled")) }
}

/// Fills a folder, says so, and waits to be killed. It goes on until the log is as long as it gets: that is the start that
/// takes longest.
pub fn fill(books: &Path, payments: usize) -> Result<()> {
    let mut filler = Filler::open(books)?;
    let begun = Instant::now();
    for done in (0..payments).step_by(TOGETHER) {
        filler.pay(TOGETHER.min(payments - done))?;
        if done % (100 * TOGETHER) == 0 && done > 0 {
            eprintln!("bench: {done} payments, {:.0} a second", rate(done, begun.elapsed()));
        }
    }
    while log_bytes(books).map_err(Failure::at("looking at the log"))? < LOG_LONG {
        filler.pay(TOGETHER)?;
    }
    println!("{DONE}");
    loop {
        std::thread::park();
    }
}

/// How much is written in the newest file of the write-ahead log; the rest of it is a hole for what is to come.
fn log_bytes(books: &Path) -> std::io::Result<u64> {
    let mut newest = (0, 0);
    for entry in std::fs::read_dir(books)? {
        let entry = entry?;
        let number =
            entry.file_name().to_str().and_then(|name| name.strip_suffix(".jnl")?.parse::<u64>().ok());
        if let Some(number) = number {
            newest = newest.max((number, entry.metadata()?.blocks().saturating_mul(512)));
        }
    }
    Ok(newest.1)
}

/// Pays without anybody paying.
struct Filler {
    committer: Committer<RowStore<Fjall>>,
    keyset: KeysetRow,
    account: AccountId,
    merchant: AccountId,
    /// What the next id is made of.
    drawn: u64,
}

impl Filler {
    fn open(books: &Path) -> Result<Self> {
        let store = RowStore::open(Fjall::open(books).map_err(Failure::at("opening the books"))?);
        let store = store.map_err(Failure::at("opening the books"))?;
        let keysets = store.keysets().map_err(Failure::at("reading the keysets"))?;
        let keyset = keysets.into_iter().next().ok_or_else(|| Failure::new("expected a keyset"))?;
        let clock = Arc::new(|| Timestamp::from_secs(1_795_348_800));
        // What was filled before is not filled again.
        let drawn = Read::head(&store).map_err(Failure::at("reading the journal"))?.number << 32;
        let committer = Committer::new(store, clock, Box::new(|_| {})).map_err(Failure::at("the journal"))?;
        let account = credits_account(keyset.asset, &keyset.id).id();
        let merchant = Chart::of(keyset.asset).merchant("bench").id();
        Ok(Self { committer, keyset, account, merchant, drawn })
    }

    /// So many payments in three commits: credits are issued, held and charged.
    fn pay(&mut self, payments: usize) -> Result<()> {
        let credits: Vec<Vec<CreditId>> = (0..payments)
            .map(|_| (0..CREDITS).map(|_| CreditId::from_bytes(self.point())).collect())
            .collect();
        let issue = self.issue(payments)?;
        self.commit(&issue)?;
        let holds: Vec<_> = credits.iter().map(|credits| self.hold(credits)).collect();
        self.commit(&holds)?;
        let posts: Vec<_> = credits.iter().map(|credits| self.post(credits)).collect();
        self.commit(&posts)
    }

    fn commit(&mut self, commands: &[farthing_engine::Command]) -> Result<()> {
        match self.committer.commit(commands).into_iter().find_map(std::result::Result::err) {
            None => Ok(()),
            Some(refusal) => Err(Failure::new(format!("the engine refuses: {refusal}"))),
        }
    }

    fn issue(&mut self, payments: usize) -> Result<Vec<farthing_engine::Command>> {
        let asset = self.keyset.asset;
        let source = Chart::of(asset).test_funding;
        let outputs: Vec<Output> = (0..payments * CREDITS)
            .map(|_| Output {
                output: OutputId::from_bytes(self.point()),
                account: self.account,
                amount: WORTH,
            })
            .collect();
        let worth = u64::try_from(outputs.len()).ok().and_then(|count| count.checked_mul(WORTH));
        let amount = Amount::from(worth.ok_or_else(|| Failure::new("too much money"))?);
        let id: [u8; 16] = self.words::<16>();
        let quote = QuoteId::from_bytes(id);
        let row = MintQuoteRow {
            method: "bolt11".to_owned(),
            request: String::new(),
            asset,
            amount,
            paid: amount,
            issued: Amount::ZERO,
            source,
            code: None,
            pubkey: None,
            expires_at: None,
            updated_at: Timestamp::default(),
            tag: None,
            payment: None,
            inlet: false,
        };
        let parts = vec![IssuePart { quote, pubkey: None, amount, source }];
        let tag = RequestTag::of_parts("bench", [id.as_slice()]);
        Ok(vec![
            farthing_engine::Command::OpenMintQuote(OpenMintQuote { quote, row }),
            farthing_engine::Command::Issue(Issue { parts, outputs, asset, tag }),
        ])
    }

    fn hold(&self, credits: &[CreditId]) -> farthing_engine::Command {
        let input = |credit: &CreditId| Input {
            credit: *credit,
            account: self.account,
            amount: WORTH,
            witness: None,
        };
        farthing_engine::Command::Hold(Hold {
            payment: PaymentId::of_credits(credits),
            funds: Funds::Credits(credits.iter().map(input).collect()),
            price: price(),
            asset: self.keyset.asset,
            merchant: self.merchant.into(),
            resource: "GET https://shop.example/articles/1".to_owned(),
            tag: RequestTag::of_parts("bench", []),
            tax_code: None,
            marks: Marks::default(),
        })
    }

    fn post(&self, credits: &[CreditId]) -> farthing_engine::Command {
        farthing_engine::Command::Post(Post {
            payment: PaymentId::of_credits(credits),
            credits: credits.to_vec(),
            accounts: vec![self.account],
            merchant: self.merchant.into(),
            asset: self.keyset.asset,
            charged: price(),
            change: Vec::new(),
            pass_until: None,
            marks: Marks::default(),
        })
    }

    /// Bytes that never come again and look like any others.
    fn words<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.drawn ^ (self.drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.iter_mut().zip((mixed ^ (mixed >> 31)).to_be_bytes()).for_each(|(to, from)| *to = from);
        }
        bytes
    }

    /// A point of the curve, as far as the store can see.
    fn point(&mut self) -> [u8; 33] {
        let mut bytes = self.words::<33>();
        if let Some(first) = bytes.first_mut() {
            *first = 2;
        }
        bytes
    }
}

/// What a payment costs: all that it is paid with.
fn price() -> Amount {
    Amount::from(WORTH * u64::try_from(CREDITS).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_keyset_cannot_be_filled() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Filler::open(&folder.path().join("books")).err().unwrap();
        assert!(failure.to_string().contains("expected a keyset"), "{failure}");
        assert!(std::fs::exists(folder.path().join("books")).unwrap());
    }
}
