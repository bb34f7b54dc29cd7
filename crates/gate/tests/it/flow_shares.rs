//! What a rule earns is divided among merchants, whichever way it is paid.

use crate::support;
use crate::support::bank::{Bank, usd};
use crate::support::pay::{cashu, credential, get};
use crate::support::{Server, start_service};
use farthing_engine::{Chart, Command};
use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Price, Proxy, ProxyConfig, Rule, Rules, Share};
use farthing_money::Amount;

fn share(merchant: &str, share: u32) -> Share {
    Share { merchant: merchant.to_owned(), share }
}

/// A gate whose rule costs so many units and is shared; the merchant who runs it is `shop`.
async fn gate(bank: &std::sync::Arc<Bank>, price: u128, shares: Vec<Share>, upstream: &Server) -> Server {
    let price = Price::Paid { amount: usd().money(Amount::new(price)) };
    let rules = Rules::new(vec![Rule::new("/paid/**", price).unwrap().shared(shares)]).unwrap();
    let merchants = ["author", "translator"].map(|merchant| Chart::of(usd()).merchant(merchant));
    bank.decide(&Command::OpenAccounts(merchants.to_vec())).unwrap();
    let proxy = Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap()));
    start_service(Limits::default(), Gate::new(bank.config(rules), proxy.unwrap())).await
}

fn earned(bank: &Bank) -> [i128; 3] {
    ["author", "shop", "translator"].map(|name| -bank.debit(Chart::of(usd()).merchant(name).id()).0)
}

#[tokio::test]
async fn a_price_is_divided_to_the_last_unit() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, 101, vec![share("author", 70), share("translator", 10)], &upstream).await;
    let answer = get(gate.address, "/paid/x", &cashu(&bank.token(&[64, 32, 16]))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // 70.7, 20.2 and 10.1: the unit that is left is the author's.
    assert_eq!(earned(&bank), [71, 20, 10]);
    let challenge = get(gate.address, "/paid/y", "").await;
    let pay = credential(&challenge, &bank.token(&[64, 32, 8]), None);
    assert_eq!(get(gate.address, "/paid/y", &pay).await.status, 200);
    assert_eq!(earned(&bank), [142, 40, 20]);
}

#[tokio::test]
async fn who_runs_the_gate_has_what_is_left_and_nothing_if_nothing_is() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let all = gate(&bank, 10, vec![share("author", 55), share("translator", 45)], &upstream).await;
    assert_eq!(get(all.address, "/paid/x", &cashu(&bank.token(&[8, 2]))).await.status, 200);
    // 5.5 and 4.5: of equals the first named.
    assert_eq!(earned(&bank), [6, 0, 4]);
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let own = gate(&bank, 10, vec![share("shop", 10), share("author", 30)], &upstream).await;
    assert_eq!(get(own.address, "/paid/x", &cashu(&bank.token(&[8, 2]))).await.status, 200);
    assert_eq!(earned(&bank), [3, 7, 0]);
}

#[tokio::test]
async fn merchants_without_an_account_are_not_paid_by_mistake() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let gate = gate(&bank, 10, vec![share("author", 70)], &upstream).await;
    let stranger = Rule::new("/paid/**", Price::Paid { amount: usd().money(Amount::new(10)) }).unwrap();
    let rules = Rules::new(vec![stranger.shared(vec![share("stranger", 70)])]).unwrap();
    let proxy = Proxy::new(ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap()));
    let other = start_service(Limits::default(), Gate::new(bank.config(rules), proxy.unwrap())).await;
    let token = bank.token(&[8, 2]);
    let refused = get(other.address, "/paid/x", &cashu(&token)).await;
    assert!(refused.status >= 400, "{refused:?}");
    // Nothing was taken, so that the same credits pay where all is in order.
    assert_eq!(get(gate.address, "/paid/x", &cashu(&token)).await.status, 200);
    assert_eq!(earned(&bank), [7, 3, 0]);
}
