//! Names that payers give to payments are kept for their time on disk, and no longer.

use farthing_engine::{Command, Hold, Marks, NAME_LASTS, NameId, PaymentId, RequestTag};
use farthing_money::{Amount, Asset};
use farthing_server::life;

use crate::support::{Mint, Payer};

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
        merchant: installation.merchant_account(asset),
        resource: "https://shop.example/".to_owned(),
        tag: RequestTag::of_parts("test", [b"".as_slice()]),
        tax_code: None,
        marks: Marks { name: Some(name), access: None },
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
