//! Channels on a chain: the stand-ins for the published escrow and for who takes its deposits by EIP-3009, at the addresses where they
//! are published; what is deposited there, and what the escrow says.

use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, BATCH_ESCROW, ChannelId, ChannelTerms, CollectedDeposit, batch_call,
    bytes_to_hex,
};
use farthing_money::Amount;
use serde_json::Value;

use crate::chain::Chain;
use crate::failure::{Failure, Result};

const ESCROW: &str = include_str!("../../contracts/artifacts/BatchSettlement.json");
const COLLECTOR: &str = include_str!("../../contracts/artifacts/AuthorizationCollector.json");

impl Chain {
    /// Puts the escrow and its collector where clients look for them.
    pub async fn place_escrow(&mut self) -> Result<()> {
        for (place, artifact) in [(BATCH_ESCROW, ESCROW), (AUTHORIZATION_COLLECTOR, COLLECTOR)] {
            let artifact: Value =
                serde_json::from_str(artifact).map_err(Failure::at("reading the escrow's artifact"))?;
            let code = artifact.get("runtime").and_then(Value::as_str).unwrap_or_default();
            self.place(place, code).await?;
        }
        Ok(())
    }

    /// Carries a deposit into the escrow, as anybody may.
    pub async fn deposit(&mut self, terms: &ChannelTerms, deposit: &CollectedDeposit) -> Result<()> {
        self.carry(BATCH_ESCROW, &batch_call::deposit(terms, deposit)).await
    }

    /// What the receiver has claimed of a channel.
    pub async fn claimed_of(&mut self, channel: ChannelId) -> Result<u128> {
        Ok(self.pair(&batch_call::channels(channel)).await?.1)
    }

    /// What a receiver has claimed of all his channels, and what of it was sent to him.
    pub async fn receiver(&mut self, receiver: Address) -> Result<(u128, u128)> {
        let question = batch_call::receivers(receiver, self.dollar);
        self.pair(&question).await
    }

    /// Asks the escrow for two amounts.
    async fn pair(&mut self, question: &[u8]) -> Result<(u128, u128)> {
        let words = self.read(BATCH_ESCROW, question).await?;
        let amounts: Vec<u128> =
            words.iter().filter_map(|word| word.to_amount()).map(Amount::value).collect();
        match amounts.as_slice() {
            [first, second] => Ok((*first, *second)),
            _ => Err(Failure::new(format!(
                "expected two amounts of the escrow, got {}",
                bytes_to_hex(question)
            ))),
        }
    }
}
