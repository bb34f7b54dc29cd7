//! Backups: made under load, restored to the same books, refused by name when they are not what was written, and harmless
//! when a restore breaks off.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use farthing_engine::{Command, FaultKind, Mode};
use farthing_money::Timestamp;
use farthing_server::access::Access;
use farthing_server::app::{self, Ready};
use farthing_server::backup::{self, BackupError, Checked};
use farthing_server::config::{Config, Passphrase};
use farthing_server::installation::{Installation, OpenError};
use farthing_server::operator::Operator;
use farthing_store::{Clock, Fjall, Freeze, Pairs, TableName};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// An installation's place, and room for its backups beside it.
struct House(TempDir);

const BACKUP: &str = "backup";

impl House {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// One with a few codes in its books, closed.
    async fn with_codes() -> Self {
        let house = Self::new();
        let open = house.open("data").await.unwrap();
        sell(&open, 3).await;
        open.close();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, data: &str) -> Config {
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nupstream = \"http://127.0.0.1:9\"\ndata = \"{data}\"\n[issuer]\ntest_funding = true\n"
        );
        Config::read(&text, &self.path("farthing.toml")).unwrap()
    }

    async fn open(&self, data: &str) -> Result<Installation, OpenError> {
        Installation::open(&self.config(data), &words(), clock()).await
    }

    async fn back_up(&self, to: &str) -> Result<Checked, BackupError> {
        backup::make(&self.config("data"), clock(), &self.path(to), false).await
    }

    fn restore(&self, from: &str, to: &str) -> Result<(), BackupError> {
        backup::restore(&self.path(from), &self.path(to), &clock()).map(drop)
    }

    /// Every row of every table but those that are the folder's own or say that the issuer is paused.
    fn rows(&self, data: &str) -> Vec<(TableName, Pairs)> {
        let books = Fjall::open(&self.path(data).join("books")).unwrap();
        let moment = books.freeze().unwrap();
        let kept = TableName::ALL.into_iter().filter(|table| *table != TableName::Books);
        let rows = kept.map(|table| {
            let mut rows = moment.scan(table, &[], usize::MAX).unwrap();
            rows.retain(|(key, _)| !key.starts_with(b"store/"));
            (table, rows)
        });
        rows.collect()
    }

    /// The backup with its bytes changed.
    fn spoilt(&self, change: impl FnOnce(&mut Vec<u8>)) -> BackupError {
        let mut bytes = fs::read(self.path(BACKUP)).unwrap();
        change(&mut bytes);
        fs::write(self.path("spoilt"), bytes).unwrap();
        let error = backup::check(&self.path("spoilt")).err().unwrap();
        let refused = self.restore("spoilt", "never").err().unwrap();
        assert_eq!(refused.to_string(), error.to_string());
        assert!(!self.path("never").exists(), "nothing is written before all was read");
        assert!(error.to_string().contains("spoilt: "), "it names the file: {error}");
        error
    }
}

fn words() -> Passphrase {
    Passphrase::new("correct horse".to_owned(), "a test").unwrap()
}

fn clock() -> Clock {
    Arc::new(|| Timestamp::from_secs(1_795_348_800))
}

async fn sell(open: &Installation, times: usize) {
    let operator = Operator::new(open);
    for _ in 0..times {
        operator.create_codes("0.50 USD", 2, None).await.unwrap();
    }
}

async fn serve(config: Config) -> (Ready, oneshot::Sender<()>, JoinHandle<()>) {
    let ((stop, stopped), (say, said)) = (oneshot::channel(), oneshot::channel());
    let ended = tokio::spawn(async move {
        let on_ready = |ready: &Ready| drop(say.send(ready.clone()));
        app::run(config, None, &words(), clock(), on_ready, async { drop(stopped.await) }).await.unwrap();
    });
    (said.await.unwrap(), stop, ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_backup_under_load_is_the_books_at_one_commit() {
    let house = House::new();
    let (_, stop, ended) = serve(house.config("data")).await;
    let busy = Arc::new(AtomicBool::new(true));
    let payers: Vec<_> = (0..2)
        .map(|_| {
            let (config, busy) = (house.config("data"), Arc::clone(&busy));
            tokio::spawn(async move {
                let access = Access::open(&config, clock()).await.unwrap();
                let mut sold = 0;
                while busy.load(SeqCst) {
                    access.create_codes("0.50 USD", 7, None).await.unwrap();
                    sold += 1;
                }
                sold
            })
        })
        .collect();
    let mut made = Vec::new();
    for number in 0..3 {
        made.push(house.back_up(&format!("{BACKUP}-{number}")).await.unwrap());
    }
    busy.store(false, SeqCst);
    let mut sold = 0;
    for payer in payers {
        sold += payer.await.unwrap();
    }
    stop.send(()).unwrap();
    ended.await.unwrap();
    assert!(sold > 0 && made[0].header.batches <= made[2].header.batches, "{sold} {made:?}");

    let original = house.open("data").await.unwrap();
    for (number, made) in made.iter().enumerate() {
        let data = format!("restored-{number}");
        house.restore(&format!("{BACKUP}-{number}"), &data).unwrap();
        let restored = house.open(&data).await.unwrap();
        let head = usize::try_from(made.header.batches).unwrap();
        assert_eq!(restored.books.frames(1, head).unwrap(), original.books.frames(1, head).unwrap());
        let verified = Operator::new(&restored).verify().unwrap();
        assert!(verified.balances && verified.settled, "{verified:?}");
        // What a batch says that it did is there: every code of it, and no other.
        let codes = Operator::new(&restored).trial().unwrap();
        let sold = codes.rows.iter().find(|row| row.account == "codes-sold");
        let debits = sold.map_or("0.00", |row| row.debits.as_str());
        let rows = restored.rows.as_ref().unwrap().freeze().unwrap();
        let rows = rows.scan(TableName::Codes, &[], usize::MAX).unwrap().len();
        let cents: usize = debits.replace('.', "").parse().unwrap();
        assert_eq!(cents, rows * 50);
        restored.close();
    }
    original.close();
}

#[tokio::test]
async fn what_is_restored_is_what_was_backed_up() {
    let house = House::with_codes().await;
    let made = house.back_up(BACKUP).await.unwrap();
    assert_eq!(backup::check(&house.path(BACKUP)).unwrap().header, made.header);
    house.restore(BACKUP, "restored").unwrap();
    let (mut restored, original) = (house.rows("restored"), house.rows("data"));
    let journal = restored.iter_mut().find(|(table, _)| *table == TableName::Journal);
    journal.unwrap().1.pop().expect("the batch that says that the issuer is paused");
    let meta = restored.iter_mut().find(|(table, _)| *table == TableName::Meta);
    let when = meta.unwrap().1.extract_if(.., |(key, _)| key == b"restored");
    assert_eq!(when.count(), 1, "and when it was restored");
    assert!(restored == original, "every row is there, and no other");
    let seed = |data: &str| fs::read(house.path(data).join("seed.json")).unwrap();
    assert_eq!(seed("restored"), seed("data"));
    house.back_up("of-the-original").await.unwrap();
    assert!(
        matches!(house.back_up(BACKUP).await, Err(BackupError::Exists(_))),
        "a backup is never overwritten"
    );
    assert!(!house.path(&format!("{BACKUP}.draft")).exists());
}

/// An old backup does not know what was spent since: nothing is taken until the operator says so.
#[tokio::test]
async fn a_restored_issuer_is_paused_until_it_is_told() {
    let house = House::with_codes().await;
    house.back_up(BACKUP).await.unwrap();
    house.restore(BACKUP, "restored").unwrap();
    for _ in 0..2 {
        let open = house.open("restored").await.unwrap();
        assert_eq!(open.books.books().unwrap().mode, Mode::Paused);
        let refused = Operator::new(&open).create_codes("0.50 USD", 1, None).await.err().unwrap();
        assert!(refused.to_string().contains("paused"), "{refused}");
        open.close();
    }
    let open = house.open("restored").await.unwrap();
    open.writer.execute(Command::SetMode(Mode::Open)).await.unwrap();
    sell(&open, 1).await;
    open.close();
}

#[tokio::test]
async fn what_is_not_a_whole_backup_is_refused_by_name() {
    let house = House::with_codes().await;
    house.back_up(BACKUP).await.unwrap();
    let length = fs::read(house.path(BACKUP)).unwrap().len();
    for at in [60, length / 3, length / 2, length - 40, length - 1] {
        let error = house.spoilt(|bytes| bytes[at] ^= 1);
        let text = error.to_string();
        assert!(
            text.contains("damaged") || text.contains("cut off") || text.contains("do not agree"),
            "{text}"
        );
    }
    for left in [length - 1, length - 33, length / 2, 40] {
        let error = house.spoilt(|bytes| bytes.truncate(left));
        assert!(error.to_string().contains("is cut off"), "{left}: {error}");
    }
    let error = house.spoilt(|bytes| bytes.push(0));
    assert!(error.to_string().contains("does not end where it says"), "{error}");
    for foreign in [Vec::new(), b"PK\x03\x04 and so on, and on".to_vec()] {
        let error = house.spoilt(|bytes| *bytes = foreign);
        assert!(error.to_string().contains("expected a backup of Farthing"), "{error}");
    }
    let error = house.spoilt(|bytes| {
        let at = bytes.windows(10).position(|part| part == b"\"format\":1").unwrap();
        bytes[at + 9] = b'7';
    });
    assert!(error.to_string().contains("has format 7, this version reads 1"), "{error}");
}

#[tokio::test]
async fn a_restore_that_breaks_off_leaves_nothing_that_opens() {
    let house = House::with_codes().await;
    house.back_up(BACKUP).await.unwrap();
    let whole = || house.restore(BACKUP, "restored").unwrap();
    let place = |name: &str| house.path("restored").join(name);
    let moments: [&dyn Fn(); 3] = [
        // Just begun.
        &|| {
            fs::create_dir_all(place("books.restoring")).unwrap();
        },
        // While rows are written.
        &|| {
            whole();
            fs::rename(place("books"), place("books.restoring")).unwrap();
            fs::remove_file(place("seed.json")).unwrap();
        },
        // Before the last step.
        &|| {
            whole();
            fs::rename(place("books"), place("books.restoring")).unwrap();
        },
    ];
    for broken in moments {
        broken();
        let Err(OpenError::Fault(fault)) = house.open("restored").await else { panic!("it was opened") };
        assert_eq!(fault.kind, FaultKind::Corrupt);
        assert!(fault.message.contains("a restore was broken off here"), "{fault}");
        whole();
        house.open("restored").await.unwrap().close();
        fs::remove_dir_all(house.path("restored")).unwrap();
    }
}

#[tokio::test]
async fn a_folder_with_anything_in_it_is_left_alone() {
    let house = House::with_codes().await;
    house.back_up(BACKUP).await.unwrap();
    let before = house.rows("data");
    assert!(matches!(house.restore(BACKUP, "data"), Err(BackupError::NotEmpty(_))));
    assert!(house.rows("data") == before);

    // Another installation's seed is not overwritten, whatever lies beside it.
    fs::create_dir_all(house.path("other").join("books.restoring")).unwrap();
    fs::write(house.path("other").join("seed.json"), "another").unwrap();
    assert!(matches!(house.restore(BACKUP, "other"), Err(BackupError::NotEmpty(_))));
    let nothing = backup::make(&house.config("nowhere"), clock(), &house.path("x"), false).await;
    assert!(matches!(nothing, Err(BackupError::NoBooks(_))), "{nothing:?}");
    assert!(!house.path("nowhere").exists() && !house.path("x").exists() && !house.path("x.draft").exists());
}

#[tokio::test]
async fn what_is_left_of_a_damaged_folder_is_saved() {
    let house = House::with_codes().await;
    let log = newest_log(&house.path("data/books"));
    let bytes = fs::read(&log).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&log, &bytes[..used - used / 5]).unwrap();
    let Err(OpenError::Fault(fault)) = house.open("data").await else {
        panic!("lost commits were not missed")
    };
    assert!(fault.message.contains("farthing backup --salvage"), "{fault}");
    assert!(house.back_up(BACKUP).await.is_err());
    let saved = backup::make(&house.config("data"), clock(), &house.path(BACKUP), true).await.unwrap();
    assert!(saved.header.batches > 0, "{saved:?}");
    house.restore(BACKUP, "restored").unwrap();
    let open = house.open("restored").await.unwrap();
    assert!(Operator::new(&open).verify().unwrap().balances);
    open.close();
}

fn newest_log(books: &Path) -> PathBuf {
    let files = fs::read_dir(books).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "jnl")).max().unwrap()
}
