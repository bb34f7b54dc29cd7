//! What the issuer states it owes: the sums are the journal's, the lists are the same for ever, and a crash leaves no gap.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use farthing_engine::{Command, Execute, ExecuteFuture, credits_account};
use farthing_ledger::{Leaf, SumTree, TreeName};
use farthing_money::{Span, Timestamp};
use farthing_server::liabilities::{Liabilities, routes, verify_statements};
use farthing_wire::liabilities::{LeafPage, PATH, Side, Statement, StatementPage};
use http::{Request, StatusCode};
use tower::ServiceExt;

use super::support::{Mint, Payer};

const DAY: Span = Span::from_secs(86_400);
const ROTATING: &str = "test_funding = true\nfinal_expiry = \"30d\"";

async fn turn(mint: &Mint) -> usize {
    Liabilities::new(mint.installation()).turn(DAY).await.unwrap()
}

/// A day later.
async fn next_epoch(mint: &Mint) -> usize {
    mint.wait_secs(86_400);
    turn(mint).await
}

async fn get(mint: &Mint, path: &str) -> (StatusCode, Vec<u8>) {
    let router = routes(Arc::clone(&mint.installation().books));
    let request = Request::get(format!("{PATH}{path}")).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    (status, axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}

/// Every statement, in the order of epochs.
async fn statements(mint: &Mint) -> Vec<Statement> {
    let key = mint.installation().receipts.verifying_key();
    let (mut all, mut query) = (Vec::new(), String::new());
    loop {
        let (status, body) = get(mint, &query).await;
        assert_eq!(status, StatusCode::OK);
        let page: StatementPage = serde_json::from_slice(&body).unwrap();
        all.extend(page.statements.iter().map(|text| Statement::verify(text, Some(&key)).unwrap().0));
        match page.next {
            Some(next) => query = format!("?after={next}"),
            None => return all,
        }
    }
}

/// The statements of a unit.
async fn of(mint: &Mint, unit: &str) -> Vec<Statement> {
    statements(mint).await.into_iter().filter(|statement| statement.unit.as_str() == unit).collect()
}

/// The pages of a list as they come over the wire, and their entries.
async fn list(mint: &Mint, statement: &Statement, side: Side) -> (Vec<Vec<u8>>, Vec<Leaf>) {
    let path = format!("/{}/{}/{}", statement.keyset, statement.epoch, side.as_str());
    let (mut pages, mut leaves, mut query) = (Vec::new(), Vec::new(), String::new());
    loop {
        let (status, body) = get(mint, &format!("{path}{query}")).await;
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&body));
        let page: LeafPage = serde_json::from_slice(&body).unwrap();
        assert!(page.leaves.len() <= 2_048);
        let leaf = |(key, amount, epoch): &(String, u64, u32)| Leaf {
            key: key.parse().unwrap(),
            amount: *amount,
            epoch: *epoch,
        };
        leaves.extend(page.leaves.iter().map(leaf));
        pages.push(body);
        match page.next {
            Some(next) => query = format!("?after={next}"),
            None => return (pages, leaves),
        }
    }
}

/// The lists make the roots, and the sums are those of the keyset's account.
async fn assert_proved(mint: &Mint, statement: &Statement) {
    for side in Side::ALL {
        let mut tree = SumTree::new(TreeName::new(&side.tree_name(&statement.keyset)));
        let (_, leaves) = list(mint, statement, side).await;
        for leaf in &leaves {
            tree.push(leaf).unwrap();
        }
        let (root, listed) = (tree.root().unwrap(), statement.side(side));
        assert_eq!((root.digest.as_bytes(), root.sum), (listed.root.as_bytes(), listed.sum));
        assert_eq!((root.count, listed.unlisted.value()), (listed.count, 0));
    }
}

fn assert_sums(mint: &Mint, statement: &Statement) {
    let books = &mint.installation().books;
    let keyset = books.keysets().unwrap().into_iter().find(|row| row.id == statement.keyset).unwrap();
    let id = credits_account(keyset.asset, &keyset.id).id();
    let account = books.accounts().unwrap().into_iter().find(|account| account.id() == id).unwrap();
    assert_eq!(statement.issued.total(), Some(account.totals.credits_posted));
    assert_eq!(statement.redeemed.total(), Some(account.totals.debits_posted));
}

#[tokio::test]
async fn statements_are_what_the_ledger_says() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    assert_eq!(turn(&mint).await, 2, "one of each keyset, at once");
    assert_eq!(turn(&mint).await, 0, "and then not before the epoch is over");
    let credits = payer.funded(&mint, &[64, 32, 4]).await;
    let credits = payer.swapped(&mint, &credits[..2], &[32, 32, 16, 16]).await;
    payer.swapped(&mint, &credits[..1], &[16, 16]).await;
    assert_eq!(next_epoch(&mint).await, 2);
    let all = of(&mint, "uusd").await;
    let [first, second] = <&[Statement; 2]>::try_from(all.as_slice()).expect("two statements");
    assert_eq!((first.epoch, first.issued.count, second.epoch), (0, 0, 1));
    assert_eq!(second.issued.sum.value() - second.redeemed.sum.value(), 100);
    assert_eq!((second.issued.count, second.redeemed.count), (9, 3));
    assert_eq!((second.opened_at, second.closed_at), (first.closed_at, mint.now()));
    for statement in &all {
        assert_proved(&mint, statement).await;
    }
    assert_sums(&mint, second);
    // What is issued from now on is of the next epoch.
    payer.funded(&mint, &[128]).await;
    assert_eq!(of(&mint, "uusd").await, all);
    let key = &mint.installation().receipts;
    assert_eq!(verify_statements(&*mint.installation().books, key).unwrap(), 4);
    mint.audit();
}

#[tokio::test]
async fn a_past_list_is_the_same_for_ever() {
    let mut mint = Mint::with(ROTATING).await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    turn(&mint).await;
    let credits = payer.funded(&mint, &[64, 32, 4]).await;
    payer.swapped(&mint, &credits[..1], &[32, 32]).await;
    next_epoch(&mint).await;
    let statement = of(&mint, "uusd").await.pop().unwrap();
    let (_, text) = get(&mint, "").await;
    let mut before = Vec::new();
    for side in Side::ALL {
        before.push(list(&mint, &statement, side).await);
    }
    payer.swapped(&mint, &credits[1..], &[16, 16, 4]).await;
    payer.funded(&mint, &[1; 50]).await;
    next_epoch(&mint).await;
    // The next keyset signs, and the program starts anew.
    mint.wait_secs(16 * 86_400);
    mint.restart(ROTATING).await;
    let mut next = Payer::of(&mint, "uusd", 2).await;
    assert_ne!(next.keyset.id, payer.keyset.id);
    next.funded(&mint, &[8, 8]).await;
    assert_eq!(turn(&mint).await, 4);
    for (side, before) in Side::ALL.into_iter().zip(before) {
        assert_eq!(list(&mint, &statement, side).await, before);
    }
    let (_, after) = get(&mint, "").await;
    let [before, after] = [text, after].map(|text| serde_json::from_slice::<StatementPage>(&text).unwrap());
    assert_eq!(after.statements[..before.statements.len()], before.statements);
    for statement in statements(&mint).await {
        assert_proved(&mint, &statement).await;
    }
    for statement in statements(&mint).await.iter().rev().take(4) {
        assert_sums(&mint, statement);
    }
    let key = &mint.installation().receipts;
    assert_eq!(verify_statements(&*mint.installation().books, key).unwrap(), 10);
}

#[tokio::test]
async fn a_crash_between_the_end_of_an_epoch_and_its_statement_leaves_no_gap() {
    let mut mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    turn(&mint).await;
    payer.funded(&mint, &[64]).await;
    mint.wait_secs(86_400);
    let ended = mint.now();
    mint.execute(Command::OpenEpoch(2)).await.unwrap();
    mint.restart("test_funding = true").await;
    mint.wait_secs(60);
    let later = payer.funded(&mint, &[32]).await;
    payer.swapped(&mint, &later, &[16, 16]).await;
    assert_eq!(turn(&mint).await, 2);
    let statement = of(&mint, "uusd").await.pop().unwrap();
    assert_eq!((statement.epoch, statement.issued.sum.value(), statement.redeemed.count), (1, 64, 0));
    assert_eq!(statement.closed_at, ended);
    // Two that end an epoch at the same moment end it once.
    mint.wait_secs(86_400);
    let two = [(); 2].map(|()| Liabilities::new(mint.installation()));
    let (one, other) = tokio::join!(two[0].turn(DAY), two[1].turn(DAY));
    assert!(one.unwrap() + other.unwrap() >= 2);
    assert_eq!(mint.installation().books.books().unwrap().epoch, 3);
    let all = of(&mint, "uusd").await;
    assert_eq!(all.iter().map(|statement| statement.epoch).collect::<Vec<_>>(), [0, 1, 2]);
    let key = &mint.installation().receipts;
    assert_eq!(verify_statements(&*mint.installation().books, key).unwrap(), 6);
}

#[tokio::test]
async fn pages_are_bounded_and_strange_requests_are_refused() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    turn(&mint).await;
    for _ in 0..3 {
        payer.funded(&mint, &[1; 900]).await;
    }
    next_epoch(&mint).await;
    let statement = of(&mint, "uusd").await.pop().unwrap();
    let (pages, leaves) = list(&mint, &statement, Side::Issued).await;
    assert_eq!((pages.len(), leaves.len()), (2, 2_700));
    assert!(leaves.is_sorted_by_key(|leaf| leaf.key));
    assert_proved(&mint, &statement).await;
    let keyset = &statement.keyset;
    for (path, status) in [
        ("/KEYSET/1/issued", StatusCode::OK),
        ("/KEYSET/2/issued", StatusCode::NOT_FOUND),
        ("/KEYSET/4294967296/issued", StatusCode::NOT_FOUND),
        ("/KEYSET/1/both", StatusCode::NOT_FOUND),
        ("/00ffffffffffffff/1/issued", StatusCode::NOT_FOUND),
        ("/KEYSET/1/issued?after=02ab", StatusCode::BAD_REQUEST),
        ("/KEYSET/1/issued?after=", StatusCode::BAD_REQUEST),
        ("?after=00", StatusCode::BAD_REQUEST),
        ("?after=00000000000000000000000000000000", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(get(&mint, &path.replace("KEYSET", keyset)).await.0, status, "{path}");
    }
}

/// Carries out commands, after somebody else has had a whole turn.
struct After {
    execute: Arc<dyn Execute>,
    other: Mutex<Option<Liabilities>>,
}

impl Execute for After {
    fn execute(&self, command: Command) -> ExecuteFuture {
        let (execute, other) = (Arc::clone(&self.execute), self.other.lock().unwrap().take());
        Box::pin(async move {
            if let Some(other) = other {
                other.turn(DAY).await.unwrap();
            }
            execute.execute(command).await
        })
    }
}

/// Went wrong: who published first what an earlier run had left ended the epoch that another had begun meanwhile.
#[tokio::test]
async fn an_epoch_that_another_has_ended_is_not_ended_again() {
    let mint = Mint::new().await;
    turn(&mint).await;
    mint.wait_secs(86_400);
    mint.execute(Command::OpenEpoch(2)).await.unwrap();
    mint.wait_secs(86_400);
    let at = mint.installation();
    let other = Mutex::new(Some(Liabilities::new(at)));
    let execute = Arc::new(After { execute: Arc::clone(&at.writer), other });
    let slow = Liabilities::over(Arc::clone(&at.books), execute, at.receipts.clone(), Arc::clone(&at.clock));
    slow.turn(DAY).await.unwrap();
    assert_eq!(at.books.books().unwrap().epoch, 3);
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_no_statement_that_ends_before_it_begins() {
    let mint = Mint::new().await;
    turn(&mint).await;
    mint.wait_secs(86_400);
    turn(&mint).await;
    mint.wait_secs(0_u64.wrapping_sub(7_200));
    Liabilities::new(mint.installation()).end_epoch().await.unwrap();
    let all = of(&mint, "uusd").await;
    assert_eq!(all.len(), 3);
    assert!(all[2].opened_at >= all[1].closed_at && all[2].closed_at >= all[2].opened_at);
    assert_ne!(all[2].closed_at, Timestamp::default());
}
