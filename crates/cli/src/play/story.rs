//! The story, step by step.

use farthing_server::mount::ABOUT_PATH;
use serde_json::Value;

use super::shown;
use super::stage::Stage;
use crate::exit::{Exit, Failure};
use crate::output::View;

/// Tells it.
pub async fn tell(stage: &Stage<'_>) -> Result<(), Failure> {
    begin(stage)?;
    ask(stage).await?;
    top_up(stage).await?;
    pay(stage).await?;
    verify_receipt(stage).await?;
    come_back(stage).await?;
    look_into_the_books(stage).await?;
    stage.tell("That was all: nothing left this machine, and the demo's folder is gone.")
}

fn begin(stage: &Stage<'_>) -> Result<(), Failure> {
    stage
        .output
        .line("# A small site, a gate in front of it and an issuer of credits, all on this machine.")?;
    stage.show("farthing demo", &stage.ready.text())
}

async fn ask(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.tell("Without money there is no article, but an offer that people and programs can read.")?;
    let url = page(stage);
    let answer = stage.get(&url).await?;
    stage.show(&format!("curl -i {url}"), &shown::answer(&answer))?;
    stage.expect(answer.status == 402, "402 for the article", &answer.status.to_string())?;
    for name in ["X-Cashu", "WWW-Authenticate"] {
        stage.expect(answer.header(name).is_some(), &format!("{name} in the 402"), "none")?;
    }
    let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let amount = &problem["price"]["amount"];
    stage.expect(*amount == "10000", "a price of 10000 millionths of a dollar", &amount.to_string())
}

async fn top_up(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.tell("The code becomes credits, signed blind: the issuer will not know them again.")?;
    let (code, issuer) = (stage.ready.code.as_str(), stage.ready.server.issuer.as_str());
    stage.farthing(&["wallet", "redeem", code, "--mint", issuer]).await?;
    let said = stage.farthing(&["wallet", "balance"]).await?;
    stage.says(&said, "1.00 USD")
}

async fn pay(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.tell("The article costs a cent. The body goes into a file, the receipt into another.")?;
    let said =
        stage.farthing(&["pay", "-o", "article.html", "--receipt", "receipt.jws", &page(stage)]).await?;
    stage.says(&said, "0.01 USD")?;
    let came = read(&stage.file("article.html"))?;
    let there = read(&stage.ready.site.join("article.html"))?;
    stage.expect(came == there, "the article as it is on the site", &String::from_utf8_lossy(&came))
}

async fn verify_receipt(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.tell("Anyone can check the receipt with the merchant's key, offline. It names no payer.")?;
    let about = stage.get(&format!("{}{ABOUT_PATH}", stage.ready.server.gate)).await?;
    let about: Value = serde_json::from_slice(&about.body).unwrap_or_default();
    let key = about["receipt_key"].as_str().unwrap_or_default();
    let said = stage.farthing(&["receipt", "verify", "--key", key, "receipt.jws"]).await?;
    stage.says(&said, "0.01 USD")?;
    stage.says(&said, &page(stage))
}

async fn come_back(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.tell("Within ten minutes it is open: coming back costs nothing. A call of the API costs a tenth of a cent.")?;
    stage.farthing(&["pay", "-o", "again.html", &page(stage)]).await?;
    let (again, first) = (read(&stage.file("again.html"))?, read(&stage.file("article.html"))?);
    stage.expect(again == first, "the same article again", &String::from_utf8_lossy(&again))?;
    let said = stage.farthing(&["pay", &format!("{}/api/wren", stage.ready.server.gate)]).await?;
    stage.says(&said, "\"bird\":\"wren\"")?;
    stage.says(&said, "0.001 USD")?;
    let said = stage.farthing(&["wallet", "balance"]).await?;
    stage.says(&said, "0.989 USD")
}

async fn look_into_the_books(stage: &Stage<'_>) -> Result<(), Failure> {
    stage.tell(
        "The operator's books: every debit has its credit, nothing is pending, the journal proves it.",
    )?;
    let config = stage.ready.config.display().to_string();
    let said = stage.farthing(&["ledger", "trial", "--config", &config]).await?;
    stage.says(&said, "debits equal credits; nothing is on hold")?;
    stage.says(&said, "0.011")?;
    let said = stage.farthing(&["ledger", "verify", "--config", &config]).await?;
    stage.says(&said, "debits equal credits; nothing is on hold")
}

fn page(stage: &Stage<'_>) -> String {
    format!("{}/article.html", stage.ready.server.gate)
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::new(Exit::Failed, format!("the demo went wrong: expected {}, got: {error}", path.display()))
    })
}
