//! Receipts and passes in other hands, for other pages, of other gates.

use std::sync::Arc;

use farthing_gate::serve::Limits;
use farthing_gate::{Gate, Proxy, ProxyConfig};
use farthing_money::Span;
use farthing_wire::{Pass, header};

use super::house::{HOUSES, House, rules};
use crate::support::bank::{Bank, signing_key};
use crate::support::pay::{Answer, cashu, get, send};
use crate::support::{self, start_service};

/// Whoever had seen one receipt had every page.
#[tokio::test]
async fn a_receipt_opens_nothing() {
    for house in HOUSES {
        let (bank, upstream) = (Bank::new(), support::mirror().await);
        let door = house.open(&bank, upstream.address).await;
        let bought = get(door.address, "/paid/x", &cashu(&bank.token(&[16_384]))).await;
        let taken = bank.taken();
        let name = if house == House::Naive { "x-receipt" } else { header::FARTHING_RECEIPT };
        let receipt = bought.header(name).unwrap();
        let mut stolen = 0;
        for field in [name, "Farthing-Pass", "X-Cashu", "Payment-Authorization", "Farthing-Payment"] {
            for path in ["/paid/x", "/paid/y", "/dear/x"] {
                let answer = get(door.address, path, &format!("{field}: {receipt}\r\n")).await;
                stolen += usize::from(answer.status == 200);
            }
        }
        for cookie in ["farthing_pass", "farthing-pass", "__Host-farthing_pass"] {
            let answer = get(door.address, "/paid/x", &format!("Cookie: {cookie}={receipt}\r\n")).await;
            stolen += usize::from(answer.status == 200);
        }
        assert_eq!((stolen > 0, bank.taken()), (house.falls(), taken), "{house:?}: {stolen} for one receipt");
    }
}

/// The note that the upstream gets is signed with the same key; an upstream that shows its requests shows it to all.
fn note_of(bought: &Answer) -> String {
    let line = bought.body.lines().find_map(|line| line.strip_prefix("farthing-payment: "));
    line.unwrap().to_owned()
}

#[tokio::test]
async fn a_pass_opens_what_was_paid_for_and_nothing_else() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let door = House::Ours.open(&bank, upstream.address).await;
    let bought = get(door.address, "/paid/x", &cashu(&bank.token(&[16_384]))).await;
    let pass = bought.header("farthing-pass").unwrap().to_owned();
    let field = |text: &str| format!("Farthing-Pass: {text}\r\n");
    assert_eq!(get(door.address, "/paid/x", &field(&pass)).await.status, 200);
    for path in ["/paid/y", "/paid/x/", "/paid/X", "/paid/x?a", "/paid/%78", "/dear/x", "/once/x"] {
        assert_eq!(get(door.address, path, &field(&pass)).await.status, 402, "{path}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        assert_eq!(send(door.address, method, "/paid/x", &field(&pass), "").await.status, 402, "{method}");
    }
    let text =
        format!("GET /paid/x HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n{}\r\n", field(&pass));
    assert_eq!(Answer::of(&support::raw(door.address, text).await).status, 402, "another host");

    // Changed by a letter, cut short, of no algorithm, with two signatures, in other letters.
    let (signed, signature) = pass.rsplit_once('.').unwrap();
    let (head, body) = signed.split_once('.').unwrap();
    let verified = Pass::verify(&pass, &signing_key().verifying_key(), bank.time()).unwrap();
    let forever = Pass { expires: verified.expires.after(Span::from_secs(1 << 30)), ..verified.clone() };
    let foreign = forever.sign(&ed25519_dalek::SigningKey::from_bytes(&[8; 32])).unwrap();
    let foreign_body = foreign.split('.').nth(1).unwrap().to_owned();
    for forged in [
        format!("{head}.{foreign_body}.{signature}"),
        format!("{head}.{body}."),
        format!("{head}.{body}.{}", "A".repeat(86)),
        format!("eyJhbGciOiJub25lIn0.{body}."),
        format!("{pass}.{signature}"),
        pass.to_lowercase(),
        foreign,
        note_of(&bought),
        bought.header("farthing-receipt").unwrap().to_owned(),
    ] {
        assert_eq!(get(door.address, "/paid/x", &field(&forged)).await.status, 402, "{forged}");
    }
    // Another gate's, with the same prices before the same pages.
    let other = Bank::new();
    let mut config = other.config(rules());
    config.secrets.signing = ed25519_dalek::SigningKey::from_bytes(&[8; 32]);
    let proxy = ProxyConfig::new(format!("http://{}", upstream.address).parse().unwrap());
    let gate = Gate::new(config, Proxy::new(proxy).unwrap());
    let elsewhere = start_service(Limits::default(), gate).await;
    assert_eq!(get(elsewhere.address, "/paid/x", &field(&pass)).await.status, 402);

    bank.pass_time(Span::from_secs(61));
    assert_eq!(get(door.address, "/paid/x", &field(&pass)).await.status, 402, "it has ended");
    assert_eq!((bank.taken(), other.taken()), (10_000, 0));
}

/// Whoever holds a pass has it: like a ticket it names no person. What it cannot do is pay, refund, or tell the upstream
/// that more was paid.
#[tokio::test]
async fn a_pass_in_other_hands_is_told_as_what_it_is() {
    let (bank, upstream) = (Bank::new(), support::mirror().await);
    let door = House::Ours.open(&bank, upstream.address).await;
    let bought = get(door.address, "/paid/x", &cashu(&bank.token(&[16_384]))).await;
    let pass = format!("Farthing-Pass: {}\r\n", bought.header("farthing-pass").unwrap());
    let shown = get(door.address, "/paid/x", &pass).await;
    let note = farthing_wire::PaymentNote::verify(
        &note_of(&shown),
        &signing_key().verifying_key(),
        bank.time(),
        Span::from_secs(60),
    )
    .unwrap();
    assert_eq!(
        (note.standing, note.payment),
        (farthing_wire::upstream::Standing::Pass, bought.receipt().payment)
    );
    assert!(shown.header("x-cashu").is_none(), "no change for who did not pay");
    assert!(shown.header("farthing-receipt").is_none() && bought.header("x-cashu").is_some());
    assert_eq!((bank.taken(), Arc::strong_count(&bank) > 1), (10_000, true));
}
