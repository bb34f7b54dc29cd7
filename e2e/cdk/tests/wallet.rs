//! The wallet of crate `cdk` 0.18 uses Farthing as its mint: mint, swap, send, receive, restore, refusals.

mod stage;

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use cdk::Amount;
use cdk::amount::SplitTarget;
use cdk::nuts::nut00::ProofsMethods;
use cdk::nuts::{CurrencyUnit, MeltQuoteState, PaymentMethod, SecretKey, SpendingConditions, State};
use cdk::wallet::{ReceiveOptions, SendOptions, Wallet};
use cdk_sqlite::wallet::memory;
use stage::Farthing;

type Outcome = Result<(), Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(30);

async fn open(farthing: &Farthing, seed: u8) -> Result<Wallet, Box<dyn Error>> {
    let store = Arc::new(memory::empty().await?);
    let unit = CurrencyUnit::custom("uusd");
    Ok(Wallet::new(&farthing.issuer, unit, store, [seed; 64], None)?)
}

async fn fund(wallet: &Wallet, amount: u64) -> Outcome {
    let quote = wallet.mint_quote(PaymentMethod::BOLT11, Some(Amount::from(amount)), None, None).await?;
    let proofs = wallet.wait_and_mint_quote(quote, SplitTarget::default(), None, PATIENCE).await?;
    assert_eq!(proofs.total_amount()?, Amount::from(amount));
    Ok(())
}

async fn send(wallet: &Wallet, amount: u64) -> Result<String, Box<dyn Error>> {
    let prepared = wallet.prepare_send(Amount::from(amount), SendOptions::default()).await?;
    Ok(prepared.confirm(None).await?.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_go_from_one_wallet_to_another_and_only_once() -> Outcome {
    let farthing = Farthing::start()?;
    let alice = open(&farthing, 1).await?;
    let bob = open(&farthing, 2).await?;
    fund(&alice, 10_000).await?;

    let token = send(&alice, 2_501).await?;
    let received = bob.receive(&token, ReceiveOptions::default()).await?;
    assert_eq!(received, Amount::from(2_501));
    assert_eq!(alice.total_balance().await?, Amount::from(7_499));
    assert_eq!(bob.total_balance().await?, Amount::from(2_501));

    let twice = open(&farthing, 3).await?.receive(&token, ReceiveOptions::default()).await;
    assert!(matches!(twice, Err(cdk::Error::TokenAlreadySpent)), "a spent token is refused, got {twice:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_spends_the_old_credits_and_keeps_the_sum() -> Outcome {
    let farthing = Farthing::start()?;
    let wallet = open(&farthing, 4).await?;
    fund(&wallet, 1_000).await?;
    let old = wallet.get_unspent_proofs().await?;
    wallet.swap(None, SplitTarget::default(), old.clone(), None, false, false).await?;
    let states = wallet.check_proofs_spent(old).await?;
    assert!(states.iter().all(|proof| proof.state == State::Spent), "{states:?}");
    assert_eq!(wallet.total_balance().await?, Amount::from(1_000));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_alone_brings_the_credits_back() -> Outcome {
    let farthing = Farthing::start()?;
    let lost = open(&farthing, 5).await?;
    fund(&lost, 4_321).await?;
    let token = send(&lost, 321).await?;
    open(&farthing, 6).await?.receive(&token, ReceiveOptions::default()).await?;
    let left = lost.total_balance().await?;

    let found = open(&farthing, 5).await?;
    assert_eq!(found.total_balance().await?, Amount::ZERO);
    let restored = found.restore().await?;
    assert_eq!(restored.unspent, left);
    assert_eq!(found.total_balance().await?, Amount::from(4_000));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_locked_to_a_key_open_for_that_key_alone() -> Outcome {
    let farthing = Farthing::start()?;
    let alice = open(&farthing, 7).await?;
    let bob = open(&farthing, 8).await?;
    fund(&alice, 1_000).await?;
    let key = SecretKey::generate();
    let conditions = Some(SpendingConditions::new_p2pk(key.public_key(), None));
    let options = SendOptions { conditions, ..SendOptions::default() };
    let token = alice.prepare_send(Amount::from(600), options).await?.confirm(None).await?.to_string();

    let stranger =
        ReceiveOptions { p2pk_signing_keys: vec![SecretKey::generate()], ..ReceiveOptions::default() };
    let refused = bob.receive(&token, stranger).await;
    assert!(refused.is_err(), "another key opens nothing, got {refused:?}");
    assert_eq!(bob.total_balance().await?, Amount::ZERO);

    let owner = ReceiveOptions { p2pk_signing_keys: vec![key], ..ReceiveOptions::default() };
    assert_eq!(bob.receive(&token, owner).await?, Amount::from(600));
    assert_eq!(alice.total_balance().await?, Amount::from(400));
    // What came out of the lock is money without one.
    let freed = send(&bob, 600).await?;
    assert_eq!(alice.receive(&freed, ReceiveOptions::default()).await?, Amount::from(600));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_pay_an_invoice_and_the_rest_comes_back() -> Outcome {
    let farthing = Farthing::start()?;
    let payer = open(&farthing, 9).await?;
    let payee = open(&farthing, 10).await?;
    fund(&payer, 1_024).await?;
    let bill = payee.mint_quote(PaymentMethod::BOLT11, Some(Amount::from(300)), None, None).await?;

    let quote = payer.melt_quote(PaymentMethod::BOLT11, &bill.request, None, None).await?;
    assert_eq!(quote.amount, Amount::from(300));
    let paid = payer.prepare_melt(&quote.id, HashMap::new()).await?.confirm().await?;
    assert_eq!((paid.state(), paid.amount()), (MeltQuoteState::Paid, Amount::from(300)));
    assert_eq!(payer.total_balance().await?, Amount::from(724));

    // The credits that are left are good: all of them can be spent at once.
    let rest = send(&payer, 724).await?;
    assert_eq!(payee.receive(&rest, ReceiveOptions::default()).await?, Amount::from(724));
    // A melt that is more than there is takes nothing.
    fund(&payer, 100).await?;
    let dear = payer.melt_quote(PaymentMethod::BOLT11, &bill.request, None, None).await?;
    let refused = payer.prepare_melt(&dear.id, HashMap::new()).await;
    assert!(matches!(refused, Err(cdk::Error::InsufficientFunds)), "too little is refused");
    assert_eq!(payer.total_balance().await?, Amount::from(100));
    Ok(())
}
