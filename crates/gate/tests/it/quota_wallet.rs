//! What is free for accounts that sign in, between real sockets: counted by account, exact for many at once, and not by inventing accounts.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::support::bank::Bank;
use crate::support::chain::TestChain;
use crate::support::pay::{Answer, cent, get, signed};
use crate::support::site::Site;
use crate::support::{Server, start_service};
use farthing_channel::SigningKey;
use farthing_gate::chain::Chains;
use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Per, Proxy, ProxyConfig, Quota, Rule, Rules};
use farthing_wire::QuotaField;
use farthing_wire::x402::PaymentRequired;
use farthing_wire::{QuotaBy, header};

async fn shop(bank: &Arc<Bank>, upstream: SocketAddr) -> Server {
    let quota = Quota { free: 2, per: Per::Day, by: QuotaBy::Wallet, newcomers: 2 };
    let rules = Rules::new(vec![Rule::new("/counted/**", cent()).unwrap().free_up_to(quota)]).unwrap();
    let mut config = bank.config(rules);
    config.chains = Some(TestChain::new(bank) as Arc<dyn Chains>);
    let proxy = ProxyConfig::new(format!("http://{upstream}").parse().unwrap());
    start_service(Limits::default(), Gate::new(config, Proxy::new(proxy).unwrap())).await
}

fn left(answer: &Answer) -> Option<u32> {
    answer.header("farthing-quota")?.parse::<QuotaField>().unwrap().left
}

fn account(n: u8) -> SigningKey {
    SigningKey::from_bytes([n; 32]).unwrap()
}

/// The field of an account that answers a 402 for a page.
async fn sign_in(gate: SocketAddr, path: &str, key: &SigningKey) -> String {
    let asked = get(gate, path, "").await;
    let required = PaymentRequired::from_header(asked.header("payment-required").unwrap()).unwrap();
    format!("SIGN-IN-WITH-X: {}\r\n", signed(&required, key).to_header().unwrap())
}

#[tokio::test]
async fn an_account_has_what_is_free_and_no_more_however_many_ask_at_once() {
    let (bank, site) = (Bank::new(), Site::new());
    let upstream = site.open().await;
    let gate = shop(&bank, upstream.address).await;
    let mut fields = Vec::new();
    for n in 0..16 {
        let path = format!("/counted/{n}");
        fields.push((sign_in(gate.address, &path, &account(1)).await, path));
    }
    let mut asking = tokio::task::JoinSet::new();
    for (field, path) in fields.clone() {
        let address = gate.address;
        asking.spawn(async move { get(address, &path, &field).await });
    }
    let answers = asking.join_all().await;
    let served: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!((served.len(), site.asked(), bank.taken()), (2, 2, 0));
    assert!(
        served.iter().all(|answer| answer.header(header::FARTHING_PASS).is_some()),
        "it comes back by its pass"
    );
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!((refused.status, left(refused)), (402, Some(0)), "{refused:?}");
        assert_eq!(refused.problem().extra["quota"]["refused"], "quota-used-up");
    }
}

#[tokio::test]
async fn a_sign_in_counts_once_and_accounts_are_not_invented_without_end() {
    let (bank, site) = (Bank::new(), Site::new());
    let upstream = site.open().await;
    let gate = shop(&bank, upstream.address).await;
    let field = sign_in(gate.address, "/counted/x", &account(1)).await;
    let first = get(gate.address, "/counted/x", &field).await;
    assert_eq!((first.status, left(&first)), (200, Some(1)));
    let again = get(gate.address, "/counted/x", &field).await;
    assert_ne!(again.status, 200, "a sign-in is taken once: {again:?}");
    for (n, status) in [(2, 200), (3, 402), (4, 402), (1, 200), (1, 402)] {
        let path = format!("/counted/other-{n}");
        let answer = get(gate.address, &path, &sign_in(gate.address, &path, &account(n)).await).await;
        assert_eq!(answer.status, status, "account {n}: {answer:?}");
    }
    let crowded =
        get(gate.address, "/counted/y", &sign_in(gate.address, "/counted/y", &account(9)).await).await;
    assert_eq!(crowded.problem().extra["quota"]["refused"], "quota-crowded");
    assert_eq!((site.asked(), bank.taken()), (3, 0));
    for n in 1..5 {
        assert_eq!(bank.tables_with(account(n).address().as_bytes()), [""; 0], "the account {n}");
    }
}
