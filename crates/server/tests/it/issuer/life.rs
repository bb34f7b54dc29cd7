//! Pause, sunset and refunds, and what becomes of keysets when they are over.

use farthing_ecash::Proof;
use farthing_engine::{Command, Hold, Marks, Mode, PaymentId, Release, RequestTag};
use farthing_money::{Amount, Asset, Money};
use farthing_server::life::{self, CodeStanding, GRACE, KeysetState, Life, Pruned};
use farthing_wallet::{
    Event, Flow, HttpRequest, HttpResponse, MemoryVault, Outcome, RedeemFlow, RefundFlow, SealingEntropy,
    Seed, Step, Unlock, Wallet,
};
use http::{Method, Request};
use serde_json::{Value, json};

use super::support::{Mint, Payer, swap};

const EXPIRING: &str = "test_funding = true\nfinal_expiry = \"30d\"";
const DAY: u64 = 86_400;
const ADDRESS: &str = "https://mint.example";

fn life(mint: &Mint) -> Life {
    Life::new(mint.installation())
}

fn sat() -> Asset {
    Asset::new("SAT", 0, "sat").unwrap()
}

#[tokio::test]
async fn a_paused_issuer_does_nothing_new() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 4]).await;
    let code = mint.code("8 SAT").await;
    let quote = json!({ "unit": "sat", "amount": 8 });
    let open = mint.post("/v1/mint/quote/bolt11", &quote).await.ok();
    let before = mint.snapshot(&credits).await;

    assert_eq!(life(&mint).set_mode(Mode::Paused).await.unwrap().mode, Mode::Paused);
    let mint_body = json!({ "quote": open["quote"], "outputs": payer.outputs(&[8]).messages });
    let claim = json!({ "unit": "sat", "code": code });
    let change = swap(&credits, &payer.outputs(&[8, 4]));
    for (path, body) in [
        ("/v1/swap", &change),
        ("/v1/mint/bolt11", &mint_body),
        ("/v1/mint/quote/bolt11", &quote),
        ("/v1/mint/quote/code", &claim),
    ] {
        let (status, reject, _) = mint.post(path, body).await.refusal();
        assert_eq!((status, reject.as_str()), (503, "paused"), "{path}");
    }
    let info = mint.get("/v1/info").await.ok();
    assert_eq!((&info["mode"], &info["nuts"]["4"]["disabled"]), (&json!("paused"), &json!(true)));
    let listed = mint.get("/v1/keysets").await;
    listed.ok();

    life(&mint).set_mode(Mode::Open).await.unwrap();
    let after = mint.snapshot(&credits).await;
    assert_ne!(before, after, "the journal says when it was paused");
    mint.post("/v1/swap", &change).await.ok();
    mint.post("/v1/mint/bolt11", &mint_body).await.ok();
    mint.post("/v1/mint/quote/code", &claim).await.ok();
    mint.audit();
}

#[tokio::test]
async fn in_its_sunset_an_issuer_gives_back_and_takes_nothing() {
    let mut mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 4]).await;
    let code = mint.code("8 SAT").await;
    life(&mint).set_mode(Mode::Sunset).await.unwrap();

    let more =
        farthing_server::operator::Operator::new(mint.installation()).create_codes("1 SAT", 1, None).await;
    assert!(more.unwrap_err().to_string().contains("sunset"));
    let quote = json!({ "unit": "sat", "amount": 8 });
    let (_, reject, _) = mint.post("/v1/mint/quote/bolt11", &quote).await.refusal();
    assert_eq!(reject, "sunset");
    let info = mint.get("/v1/info").await.ok();
    assert_eq!(info["mode"], "sunset");
    let methods = info["nuts"]["4"]["methods"].as_array().unwrap();
    assert!(methods.iter().all(|method| method["method"] == "code"), "test funding is over: {methods:?}");

    // What was sold before is still good.
    let quote = mint.post("/v1/mint/quote/code", &json!({ "unit": "sat", "code": code })).await.ok();
    let outputs = payer.outputs(&[8]);
    let body = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    let issued = mint.post("/v1/mint/code", &body).await.ok();
    let bought = payer.credits(&outputs, &issued["signatures"]);
    payer.swapped(&mint, &[credits, bought].concat(), &[16, 4]).await;
    // It stays so after a restart.
    mint.restart("test_funding = true").await;
    assert_eq!(life(&mint).status().unwrap().mode, Mode::Sunset);
    mint.audit();
}

/// A wallet with the credits of a code.
async fn wallet(mint: &Mint, number: u8, amount: &str) -> Wallet {
    let entropy = SealingEntropy { salt: [1; 16], nonce: [2; 24] };
    let seed = Seed::from_entropy([number; 16]).unwrap();
    let mut wallet = Wallet::create(MemoryVault::default(), seed, Unlock::Key(&[9; 32]), &entropy).unwrap();
    let code = mint.code(amount).await;
    let unit = amount.ends_with("SAT").then(|| "sat".parse().unwrap()).or("uusd".parse().ok());
    drive(mint, &mut wallet, &mut RedeemFlow::new(&code, ADDRESS, unit).unwrap()).await;
    wallet
}

/// Plays a wallet's flow against the issuer.
async fn drive(mint: &Mint, wallet: &mut Wallet, flow: &mut dyn Flow) -> Outcome {
    let mut event = Event::Go;
    loop {
        event = match flow.next(wallet, event, mint.now()).unwrap() {
            Step::Send(HttpRequest { method, url, body, .. }) => {
                let path = url.strip_prefix(ADDRESS).unwrap();
                let request = Request::builder().method(method.parse::<Method>().unwrap()).uri(path);
                let reply = mint.send(request.body(body.into()).unwrap()).await;
                let (status, headers) = (reply.status.as_u16(), Vec::new());
                Event::Answer(HttpResponse { status, headers, body: reply.body })
            }
            Step::Wait(_) | Step::Deliver => Event::Go,
            Step::Done(outcome) => return *outcome,
        };
    }
}

/// The end of an issuer: every wallet turns its credits into a code, every code is taken back, and nothing is owed.
#[tokio::test]
async fn everybody_is_refunded_at_the_end() {
    let issuer = "input_fee_ppk = 100";
    let mint = Mint::with(issuer).await;
    let mut wallets = Vec::new();
    for (number, amount) in [(1, "13 SAT"), (2, "100 SAT"), (3, "0.05 USD")] {
        wallets.push(wallet(&mint, number, amount).await);
    }
    let unused = mint.code("7 SAT").await;
    life(&mint).set_mode(Mode::Sunset).await.unwrap();

    // One takes a part first; what is left follows.
    let part = drive(&mint, &mut wallets[1], &mut RefundFlow::new(ADDRESS, None, Some(30)).unwrap()).await;
    let Outcome::Refunded { code, money, .. } = part else { panic!("{part:?}") };
    assert_eq!(money, sat().money(Amount::new(30)));
    let (mut codes, mut kept) = (vec![code, unused], 0);
    for wallet in &mut wallets {
        let outcome = drive(&mint, wallet, &mut RefundFlow::new(ADDRESS, None, None).unwrap()).await;
        let Outcome::Refunded { code, fee, .. } = outcome else { panic!("{outcome:?}") };
        assert!(wallet.balances().unwrap().is_empty(), "nothing is left");
        assert!(wallet.history(1).unwrap()[0].notes[0].contains(&code), "the history keeps the code");
        codes.push(code);
        kept += fee.amount().to_u64().unwrap();
    }
    assert!(kept > 0, "the fee is the mint's");

    let refunded = life(&mint).refund_codes(&codes).await.unwrap();
    assert!(refunded.codes.iter().all(|code| code.standing == CodeStanding::Refunded), "{refunded:?}");
    let again = life(&mint).refund_codes(&codes).await.unwrap();
    assert_eq!((again.now.len(), &again.before), (0, &refunded.now), "nobody is paid twice");
    let other =
        life(&mint).refund_codes(&["FT-NO".to_owned(), codes[0].clone(), codes[0].clone()]).await.unwrap();
    let standings: Vec<CodeStanding> = other.codes.iter().map(|code| code.standing).collect();
    assert_eq!(standings, [CodeStanding::Unknown, CodeStanding::RefundedBefore, CodeStanding::Repeated]);
    let claim = mint.post("/v1/mint/quote/code", &json!({ "unit": "sat", "code": codes[0] })).await;
    assert_eq!(claim.refusal().1, "code-withdrawn", "what was paid out buys nothing");

    let status = life(&mint).status().unwrap();
    assert!(
        status.assets.iter().all(|asset| asset.outstanding.is_zero() && asset.codes.is_zero()),
        "{status:?}"
    );
    // What was sold and not paid back is the fees; both sides agree.
    let number = |text: &str| {
        let money = Money::from_decimal(text, Asset::micro("USD").unwrap()).unwrap();
        money.amount().to_u64().unwrap()
    };
    let ((sold, paid), (_, fees)) = (mint.totals("codes-sold"), mint.totals("fees"));
    assert_eq!(number(&sold) - number(&paid), number(&fees));
    mint.audit();
}

/// Rotation, expiry and pruning over two months: the folder shrinks, the books agree, nothing closed comes back.
#[tokio::test]
async fn an_old_keyset_is_written_off_and_forgotten() {
    let mut mint = Mint::with(EXPIRING).await;
    let mut old = Payer::of(&mint, "sat", 1).await;
    let credits = old.funded(&mint, &[8; 40]).await;
    let left = old.swapped(&mint, &credits, &[64, 64, 64, 64, 64]).await;
    mint.wait_secs(20 * DAY);
    assert!(mint.installation().keysets.rotate(mint.now()).await.unwrap());
    let mut new = Payer::of(&mint, "sat", 2).await;
    let fresh = new.funded(&mint, &[8, 8]).await;
    let fresh = new.swapped(&mint, &fresh, &[16]).await;
    let rows = count(&mint);

    // Expired, but within the grace: nothing happens yet.
    mint.wait_secs(10 * DAY);
    assert_eq!(life::expire(mint.installation()).await.unwrap(), 0);
    let state =
        |mint: &Mint| life(mint).status().unwrap().keysets.iter().map(|k| k.state).collect::<Vec<_>>();
    assert!(state(&mint).contains(&KeysetState::Expired));
    mint.wait_secs(GRACE.secs());
    assert_eq!(
        life::prune(mint.installation()).await.unwrap(),
        Pruned::default(),
        "only what is closed is forgotten"
    );
    assert_eq!(life::expire(mint.installation()).await.unwrap(), 2, "one keyset of each unit");
    assert_eq!(life::expire(mint.installation()).await.unwrap(), 0, "once");
    assert_eq!(mint.totals("expired").1, "320", "what nobody redeemed is income");
    let closed = life(&mint).status().unwrap();
    let closed: Vec<_> = closed.keysets.iter().filter(|k| k.state == KeysetState::Closed).collect();
    assert!(closed.len() == 2 && closed.iter().all(|keyset| keyset.outstanding.is_zero()), "{closed:?}");

    let pruned = life::prune(mint.installation()).await.unwrap();
    assert_eq!(pruned, Pruned { credits: 40, outputs: 45, payments: 0 });
    assert_eq!(life::prune(mint.installation()).await.unwrap(), Pruned::default(), "once");
    assert_eq!(count(&mint), (rows.0 - 40, rows.1 - 45), "the rows of the other keyset stay");
    mint.audit();

    // Neither a restart nor a clock that goes back brings it to life again.
    let late = swap(&left, &new.outputs(&[64, 64, 64, 64, 64]));
    assert_eq!(mint.post("/v1/swap", &late).await.refusal().1, "keyset-expired");
    mint.wait_secs(0_u64.wrapping_sub(25 * DAY));
    assert_eq!(mint.post("/v1/swap", &late).await.refusal().1, "keyset-expired");
    let spent = swap(&credits, &new.outputs(&[64, 64, 64, 64, 64]));
    assert_eq!(mint.post("/v1/swap", &spent).await.refusal().1, "keyset-expired");
    mint.restart(EXPIRING).await;
    assert_eq!(mint.post("/v1/swap", &late).await.refusal().1, "keyset-expired");
    new.swapped(&mint, &fresh, &[8, 8]).await;
    mint.audit();
}

/// Rows of spent credits and of signed outputs.
fn count(mint: &Mint) -> (usize, usize) {
    let books = &mint.installation().books;
    (books.credits_after(None, 10_000).unwrap().len(), books.outputs_after(None, 10_000).unwrap().len())
}

#[tokio::test]
async fn what_is_on_hold_ends_before_its_keyset_is_written_off() {
    let mint = Mint::with(EXPIRING).await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8, 8]).await;
    let installation = mint.installation();
    let keyring = installation.keyring.borrow().clone();
    let input = keyring.verify(&credits[0], sat(), mint.now()).unwrap();
    let payment = PaymentId::of_credits(&[input.credit]);
    let merchant = installation.merchant_account(sat());
    let hold = Hold {
        payment,
        funds: (vec![input.clone()]).into(),
        price: Amount::new(8),
        asset: sat(),
        merchant: merchant.into(),
        resource: "https://shop.example/".to_owned(),
        tag: RequestTag::of_parts("test", [b"".as_slice()]),
        tax_code: None,
        marks: Marks::default(),
    };
    mint.execute(Command::Hold(hold)).await.unwrap();
    mint.wait_secs(32 * DAY);
    assert_eq!(life::expire(installation).await.unwrap(), 1, "the other unit's only");
    let (credits, accounts) = (vec![input.credit], vec![input.account]);
    // What is on hold ends even while the issuer is paused.
    life(&mint).set_mode(Mode::Paused).await.unwrap();
    let release =
        Release { payment, credits, accounts, asset: sat(), channel: None, marks: Marks::default() };
    mint.execute(Command::Release(release)).await.unwrap();
    assert_eq!(life::expire(installation).await.unwrap(), 1);
    assert_eq!(mint.totals("expired").1, "16");
    mint.audit();
}

/// Whoever has stolen a keyset's keys can make as many credits as he likes: what can be had for them is what was issued.
#[tokio::test]
async fn a_stolen_key_redeems_no_more_than_was_issued() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let honest = payer.funded(&mint, &[64]).await;
    let keyring = mint.installation().keyring.borrow().clone();
    let forge = |n: u32| keyring.sign_unblinded(&format!("forged {n}"), 32, sat()).unwrap();
    let mut taken = 0;
    let mut thief = Payer::of(&mint, "sat", 66).await;
    for n in 0..4 {
        let forged: [Proof; 1] = [forge(n)];
        let code = format!("{n:02}").repeat(32);
        let quote = json!({ "unit": "sat", "request": code, "amount": 32 });
        let quote = mint.post("/v1/melt/quote/code", &quote).await.ok();
        let reply = mint.post("/v1/melt/code", &json!({ "quote": quote["quote"], "inputs": forged })).await;
        if reply.status.is_success() {
            taken += 32;
        } else {
            assert_eq!(reply.refusal().1, "limit-reached");
        }
    }
    assert_eq!(taken, 64);
    let refused: Value = mint.post("/v1/swap", &swap(&honest, &thief.outputs(&[64]))).await.value();
    assert_eq!(
        refused["reject"], "limit-reached",
        "the honest one is told that the books are empty, not that he lies"
    );
    mint.audit();
}
