//! Names that payers give to payments, and what was had for nothing, are kept for their time on disk, and no longer.

use farthing_engine::{
    Command, DrawQuotaKey, Hold, Marks, NAME_LASTS, NameId, PaymentId, QuotaId, RequestTag, TakeQuota,
};
use farthing_money::{Amount, Asset, Span};
use farthing_server::life;

use super::support::{Mint, Payer};

#[tokio::test]
async fn a_name_is_forgotten_when_its_time_is_over() {
    let mint = Mint::new().await;
    let mut payer = Payer::of(&mint, "sat", 1).await;
    let credits = payer.funded(&mint, &[8]).await;
    let installation = mint.installation();
    let asset = Asset::new("SAT", 0, "sat").unwrap();
    let keyring = installation.keyring.borrow().clone();
    let input = keyring.verify(&credits[0], asset, mint.now()).unwrap();
    let name = NameId::from_bytes([7; 32]);
    let hold = Hold {
        payment: PaymentId::of_credits(&[input.credit]),
        funds: (vec![input]).into(),
        price: Amount::new(8),
        asset,
        merchant: installation.merchant_account(asset).into(),
        resource: "https://shop.example/".to_owned(),
        tag: RequestTag::of_parts("test", [b"".as_slice()]),
        tax_code: None,
        marks: Marks { name: Some(name), ..Marks::default() },
    };
    mint.execute(Command::Hold(hold)).await.unwrap();
    let known = || installation.books.name(name).unwrap();
    mint.wait_secs(NAME_LASTS.secs() - 1);
    assert_eq!(life::forget(installation).await.unwrap(), 0);
    assert!(known().is_some());
    mint.wait_secs(1);
    assert_eq!(life::forget(installation).await.unwrap(), 1);
    assert!(known().is_none());
    assert!(installation.books.names_after(None, 10).unwrap().is_empty());
}

#[tokio::test]
async fn quotas_and_their_keys_are_forgotten_when_their_period_is_over() {
    let mint = Mint::new().await;
    let installation = mint.installation();
    let (soon, later) = (mint.now().after(Span::from_secs(60)), mint.now().after(Span::from_secs(120)));
    for (n, until) in [(1, soon), (2, later)] {
        let key = DrawQuotaKey { day: u32::from(n), key: [n; 32], until };
        mint.execute(Command::from(key)).await.unwrap();
        let quota = QuotaId::from_bytes([n; 32]);
        let take = TakeQuota { quota, limit: 1, until, admission: None };
        mint.execute(Command::from(take)).await.unwrap();
    }
    let left = || (installation.books.quotas_after(None, 10).unwrap().len(), installation.books.quota_keys());
    mint.wait_secs(59);
    assert_eq!(life::forget(installation).await.unwrap(), 0);
    mint.wait_secs(1);
    assert_eq!(life::forget(installation).await.unwrap(), 2);
    let (quotas, keys) = left();
    assert_eq!((quotas, keys.unwrap().iter().map(|(day, _)| *day).collect::<Vec<_>>()), (1, vec![2]));
    mint.wait_secs(60);
    assert_eq!(life::forget(installation).await.unwrap(), 2);
    assert_eq!((left().0, left().1.unwrap().len()), (0, 0));
}
