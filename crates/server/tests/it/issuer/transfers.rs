//! Buying credits by a plain transfer to the address of a quote (NUT-04, method `evm`).

use farthing_engine::{
    ArrivalRow, Arrive, ChainAddress, Chart, Command, LogId, Mode, QuoteId, TransactionId,
};
use farthing_money::{Amount, Asset};
use serde_json::{Value, json};

use super::deposits;
use super::support::chain::{Fate, RESERVE, TOKEN};
use super::support::{Mint, Payer};

const HOUR: u64 = 3_600;

pub async fn quote(mint: &Mint, amount: u64) -> Value {
    mint.post("/v1/mint/quote/evm", &json!({ "unit": "uusd", "amount": amount, "transfer": true })).await.ok()
}

/// The inlets that somebody looks at.
pub fn inlets(mint: &Mint) -> Vec<QuoteId> {
    mint.installation().books.inlets().unwrap().into_iter().map(|(quote, _)| quote).collect()
}

/// What the room of the chains does with a transfer that it finds.
pub async fn send(mint: &Mint, quote: QuoteId, number: u8, units: u128) {
    let asset = Asset::micro("USD").unwrap();
    let transaction = TransactionId::from_bytes([number; 32]);
    let arrival = ArrivalRow {
        quote,
        chain: 84_532,
        token: ChainAddress::from_bytes([1; 20]),
        units: Amount::new(units),
        amount: Amount::new(units),
        asset,
        reserve: Chart::of(asset).reserve(RESERVE.strip_prefix("reserve:").unwrap()).id(),
        transaction,
        block: 1,
        block_hash: [1; 32],
    };
    mint.execute(Command::Arrive(Arrive { log: LogId::of(transaction, 0), arrival })).await.unwrap();
}

async fn mint_credits(mint: &Mint, payer: &mut Payer, quote: &Value, amounts: &[u64]) -> String {
    let outputs = payer.outputs(amounts);
    let body = json!({ "quote": quote["quote"], "outputs": outputs.messages });
    let reply = mint.post("/v1/mint/evm", &body).await;
    if reply.status != 200 {
        return reply.refusal().1;
    }
    assert_eq!(mint.post("/v1/mint/evm", &body).await, reply, "once more is the same");
    payer.credits(&outputs, &reply.ok()["signatures"]);
    String::new()
}

fn numbers(quote: &Value) -> (u64, u64, &str) {
    let number = |name: &str| quote[name].as_u64().unwrap();
    (number("amount_paid"), number("amount_issued"), quote["state"].as_str().unwrap())
}

#[tokio::test]
async fn a_quote_says_where_it_takes_a_transfer() {
    let mint = Mint::on_chain().await;
    let plain = deposits::quote(&mint, 96).await;
    assert!(plain.get("transfer").is_none() && inlets(&mint).is_empty(), "{plain}");
    let (first, second) = (quote(&mint, 96).await, quote(&mint, 96).await);
    let way = &first["transfer"]["ways"][0];
    let address = first["transfer"]["address"].as_str().unwrap();
    assert_ne!(first["transfer"]["address"], second["transfer"]["address"]);
    assert_eq!(
        (&way["chain_id"], &way["token"], &way["units"]),
        (&json!(84_532), &json!(TOKEN), &json!("96"))
    );
    let uri = format!("ethereum:{TOKEN}@84532/transfer?address={address}&uint256=96");
    assert_eq!(way["uri"], uri);
    assert_eq!(inlets(&mint).len(), 2);
    assert_eq!(deposits::state(&mint, &first).await, first);
    let body = json!({ "unit": "uusd", "amount": 9, "transfer": true });
    let refused = mint.post("/v1/mint/quote/evm", &body).await;
    assert_eq!(refused.refusal().1, "amount-out-of-bounds");
    assert_eq!(inlets(&mint).len(), 2, "what is refused is not written down");
}

#[tokio::test]
async fn parts_add_up_and_more_is_the_payers() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let bought = quote(&mint, 96).await;
    let id = inlets(&mint)[0];
    send(&mint, id, 1, 32).await;
    let part = deposits::state(&mint, &bought).await;
    assert_eq!(numbers(&part), (32, 0, "UNPAID"), "a wallet that waits for all of it goes on waiting");
    assert_eq!(part["transfer"]["ways"][0]["units"], "64", "what is still missing");
    send(&mint, id, 2, 72).await;
    assert_eq!(numbers(&deposits::state(&mint, &bought).await), (104, 0, "PAID"));
    assert_eq!(mint_credits(&mint, &mut payer, &bought, &[64, 32]).await, "", "what it has asked for");
    assert_eq!(numbers(&deposits::state(&mint, &bought).await), (104, 96, "PAID"), "there is more");
    assert_eq!(mint_credits(&mint, &mut payer, &bought, &[16]).await, "quote-amount");
    assert_eq!(mint_credits(&mint, &mut payer, &bought, &[8]).await, "");
    assert_eq!(numbers(&deposits::state(&mint, &bought).await), (104, 104, "ISSUED"));
    assert_eq!(mint_credits(&mint, &mut payer, &bought, &[1]).await, "quote-used");
    assert_eq!(mint.totals("deposits"), ("0.000104".into(), "0.000104".into()));
    assert_eq!(mint.totals(RESERVE), ("0.000104".into(), "0.00".into()));
    mint.audit();
}

/// A part of a part is money as well: its owner may take what has come, and the quote stays payable.
#[tokio::test]
async fn a_part_may_be_minted_late_and_in_a_sunset() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let bought = quote(&mint, 96).await;
    let id = inlets(&mint)[0];
    mint.wait_secs(48 * HOUR);
    mint.execute(Command::SetMode(Mode::Sunset)).await.unwrap();
    assert_eq!(mint_credits(&mint, &mut payer, &bought, &[32]).await, "quote-expired");
    send(&mint, id, 1, 32).await;
    assert_eq!(mint_credits(&mint, &mut payer, &bought, &[32]).await, "");
    assert_eq!(numbers(&deposits::state(&mint, &bought).await), (32, 32, "ISSUED"));
    let body = json!({ "unit": "uusd", "amount": 96, "transfer": true });
    let refused = mint.post("/v1/mint/quote/evm", &body).await;
    assert_eq!(refused.refusal().1, "sunset");
    mint.audit();
}

/// Nobody looks at an address for ever, and a backup may know nothing of one: asking for the quote is enough.
#[tokio::test]
async fn whoever_asks_for_a_quote_has_its_address_looked_at() {
    let mint = Mint::on_chain().await;
    let bought = quote(&mint, 96).await;
    let id = inlets(&mint)[0];
    let since = mint.now();
    mint.wait_secs(48 * HOUR);
    mint.execute(Command::CloseInlets(vec![id])).await.unwrap();
    assert!(inlets(&mint).is_empty() && mint.installation().books.mint_quote(id).unwrap().is_none());
    assert_eq!(deposits::state(&mint, &bought).await["transfer"]["address"], bought["transfer"]["address"]);
    let row = mint.installation().books.inlet(id).unwrap().unwrap();
    assert_eq!((row.since, row.search.clone()), (since, vec![84_532]), "all blocks since then are searched");
    // Asked while it is looked at, nothing is written; shortly before its end, it is looked at longer.
    deposits::state(&mint, &bought).await;
    assert_eq!(mint.installation().books.inlet(id).unwrap().unwrap(), row);
    mint.wait_secs(6 * HOUR - 60);
    let body = json!({ "quotes": [bought["quote"]] });
    mint.post("/v1/mint/quote/evm/check", &body).await.ok();
    assert!(mint.installation().books.inlet(id).unwrap().unwrap().until > row.until);
}

#[tokio::test]
async fn a_transfer_and_a_payment_both_count() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let bought = quote(&mint, 96).await;
    let id = inlets(&mint)[0];
    let payment = deposits::payment(&mint, &bought, 1).await;
    mint.script().then(Fate::Silent);
    assert_eq!(deposits::pay(&mint, &bought, &payment).await.status, 503);
    send(&mint, id, 1, 96).await;
    assert_eq!(deposits::pay(&mint, &bought, &payment).await.status, 200);
    assert_eq!(numbers(&deposits::state(&mint, &bought).await), (192, 0, "PAID"));
    assert_eq!(mint_credits(&mint, &mut payer, &bought, &[128, 64]).await, "");
    mint.audit();
    // A quote that has got something is paid on by transfers alone.
    let other = quote(&mint, 96).await;
    let id = inlets(&mint).into_iter().find(|other| *other != id).unwrap();
    let payment = deposits::payment(&mint, &other, 2).await;
    send(&mint, id, 2, 1).await;
    let refused = deposits::pay(&mint, &other, &payment).await;
    assert_eq!((refused.status, &refused.body["reject"]), (409, &"quote-part-paid".into()));
}

/// Who sees 200 believes that the quote is paid: one unit of somebody else's does not make it so.
#[tokio::test]
async fn a_part_is_not_told_as_paid() {
    let mint = Mint::on_chain().await;
    let bought = quote(&mint, 96).await;
    let id = inlets(&mint)[0];
    assert_eq!(deposits::ask(&mint, &bought, &[]).await.status, 402);
    send(&mint, id, 1, 1).await;
    let part = deposits::ask(&mint, &bought, &[]).await;
    assert_eq!((part.status, &part.body["reject"]), (409, &"quote-part-paid".into()), "{}", part.body);
    assert!(part.body["detail"].as_str().unwrap().contains("0.000001"), "{}", part.body);
    send(&mint, id, 2, 95).await;
    assert_eq!(deposits::ask(&mint, &bought, &[]).await.status, 200);
}

#[tokio::test]
async fn what_was_counted_survives_a_crash() {
    let mint = Mint::on_chain().await;
    let mut payer = Payer::of(&mint, "uusd", 1).await;
    let bought = quote(&mint, 96).await;
    send(&mint, inlets(&mint)[0], 1, 96).await;
    let mint = mint.after_kill().await;
    send(&mint, inlets(&mint)[0], 1, 96).await;
    assert_eq!(deposits::state(&mint, &bought).await["transfer"]["address"], bought["transfer"]["address"]);
    assert_eq!(
        numbers(&deposits::state(&mint, &bought).await),
        (96, 0, "PAID"),
        "the same log again is the same"
    );
    assert_eq!(mint_credits(&mint, &mut payer, &bought, &[64, 32]).await, "");
    mint.audit();
}
