//! What judging a payment takes of a CPU beside asking the node, against the one thing that nobody can leave out: recovering
//! the signer of a signature, by libsecp256k1 itself.

use std::time::Duration;

use farthing_channel::{Address, ChainId, TxHash, call};
use farthing_evm::{
    Asked, Block, ChainConfig, Judge, Log, LogFilter, Moment, Node, NodeError, Receipt, TokenConfig, Trial,
    call_of, payment_of,
};
use farthing_money::{Amount, Asset, Money, Timestamp};
use farthing_wire::x402::{Payload, Requirements, SchemePayload};
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};

use crate::bare::cpu;
use crate::chain::{CHAIN, NAME, VERSION};
use crate::failure::{Failure, Result};
use crate::figure::Figure;
use crate::payer::{Payer, now_secs};
use crate::settings::Settings;
use crate::stat::{count_for, micros_each, rate};

const NAME_OF_IT: &str = "verify_exact";
const PEER: &str = "one recovery by libsecp256k1";
const PAYMENTS: usize = 256;
const TIMES_MIN: usize = 4;
const TIMES_MAX: usize = 200;
/// The longest header that the gate reads.
const HEADER_LIMIT: usize = 16 * 1024;

/// A payment as it comes, and what is bare of it.
struct Paid {
    header: String,
    message: Message,
    signature: RecoverableSignature,
}

/// Judges payments as the gate does, and recovers as many signatures.
pub async fn measure(settings: &Settings) -> Result<Vec<Figure>> {
    if !settings.wants(NAME_OF_IT) {
        return Ok(Vec::new());
    }
    settings.say(&format!("{NAME_OF_IT}: judging a payment against {PEER}"));
    let (chain, price) = configured()?;
    let submitter = Payer::new(8)?.address();
    let payer = Payer::new(7)?;
    let offer = chain.offers(price, submitter).into_iter().next();
    let offer = offer.ok_or_else(|| Failure::new("the chain offers nothing"))?;
    let payments = (0..PAYMENTS).map(|_| Paid::make(&payer, &offer)).collect::<Result<Vec<_>>>()?;
    let node = Yes { token: offer.asset.parse().map_err(Failure::at("reading an offer"))? };
    let judge = Judge { chain: &chain, node: &node, submitter };
    let warm = judged(&payments, &judge, price).await?;
    // Half of a round's time for this side; a recovery takes less.
    let times = count_for(rate(2, warm), settings.seconds, TIMES_MIN, TIMES_MAX);
    let mut rounds = Vec::new();
    for _ in 0..settings.rounds {
        let (mut ours, mut bare) = (Duration::ZERO, Duration::ZERO);
        // In turns, so that whatever slows the machine slows both.
        for _ in 0..times {
            bare += recovered(&payments)?;
            ours += judged(&payments, &judge, price).await?;
        }
        let count = times * PAYMENTS;
        rounds.push((micros_each(ours, count), micros_each(bare, count)));
    }
    Ok(vec![Figure::against(format!("{NAME_OF_IT}_vs_recover"), "CPU us/payment", PEER, &rounds)])
}

/// The CPU time that judging all of them takes: read, matched with the offers, named, judged, and made the call that settles it.
async fn judged(payments: &[Paid], judge: &Judge<'_>, price: Money) -> Result<Duration> {
    let begun = cpu();
    for paid in payments {
        let payload = Payload::from_header(&paid.header, HEADER_LIMIT).map_err(Failure::at("reading"))?;
        let offers = judge.chain.offers(price, judge.submitter);
        let offer = offers.into_iter().find(|offer| offer.is_met_by(&payload.accepted));
        let offer = offer.ok_or_else(|| Failure::new("the payment is for another offer"))?;
        let payment = payment_of(judge.chain, &offer, &payload);
        let now = Timestamp::from_secs(now_secs());
        let verified = judge.verify(&offer, &payload, now).await.map_err(Failure::at("judging"))?;
        let call = call_of(judge.chain, &offer, &payload, verified.units).map_err(Failure::at("calling"))?;
        if payment != Some(verified.payment) || call.moves.units != verified.units {
            return Err(Failure::new("a payment is not what was signed"));
        }
    }
    Ok(cpu().saturating_sub(begun))
}

/// The CPU time that recovering all signers takes.
fn recovered(payments: &[Paid]) -> Result<Duration> {
    let begun = cpu();
    for Paid { message, signature, .. } in payments {
        std::hint::black_box(signature.recover_ecdsa(*message).map_err(Failure::at("recovering"))?);
    }
    Ok(cpu().saturating_sub(begun))
}

impl Paid {
    fn make(payer: &Payer, offer: &Requirements) -> Result<Self> {
        let header = payer.pay(offer)?;
        let payload = Payload::from_header(&header, HEADER_LIMIT).map_err(Failure::at("reading"))?;
        let SchemePayload::Eip3009(paid) = payload.payload else {
            return Err(Failure::new("expected an authorization of EIP-3009"));
        };
        let (parts, odd) = match paid.signature.as_bytes() {
            [parts @ .., v] if parts.len() == 64 => (parts.to_vec(), v % 2 == 0),
            _ => return Err(Failure::new("expected a signature of 65 bytes")),
        };
        let id = if odd { RecoveryId::One } else { RecoveryId::Zero };
        let signature = RecoverableSignature::from_compact(&parts, id).map_err(Failure::at("reading"))?;
        // What was signed does not change how long it takes; that this very signature is recovered does not either.
        let message = Message::from_digest(paid.authorization.nonce.0);
        Ok(Self { header, message, signature })
    }
}

/// A chain with one dollar, and a price of a cent.
fn configured() -> Result<(ChainConfig, Money)> {
    let asset = |code, scale, unit| Asset::new(code, scale, unit).map_err(Failure::at("making an asset"));
    let (usd, coin) = (asset("USD", 6, "uusd")?, asset("ETH", 18, "wei")?);
    let token = TokenConfig {
        permit2: false,
        upto: false,
        ..TokenConfig::dollar(Address::from_bytes([0xd0; 20]), "USDC", NAME, VERSION, usd)
    };
    let pay_to = Address::from_bytes([0x5e; 20]);
    let chain = ChainConfig::new(ChainId::new(CHAIN), Vec::new(), pay_to, coin, vec![token]);
    Ok((chain, usd.money(Amount::new(10_000))))
}

/// A node that says at once what a good payment needs: the token is there, the payer is an account, the nonce is unused.
struct Yes {
    token: Address,
}

fn said<T: Send + 'static>(answer: T) -> Asked<'static, T> {
    Box::pin(std::future::ready(Ok(answer)))
}

fn unasked<T: Send + 'static>() -> Asked<'static, T> {
    let message = "nothing but a good payment is asked for here".to_owned();
    Box::pin(std::future::ready(Err(NodeError::Refused { code: 0, message })))
}

impl Node for Yes {
    fn chain_id(&self) -> Asked<'_, ChainId> {
        said(ChainId::new(CHAIN))
    }

    fn head(&self) -> Asked<'_, Block> {
        unasked()
    }

    fn block(&self, _: u64) -> Asked<'_, Option<Block>> {
        unasked()
    }

    fn call(&self, trial: Trial) -> Asked<'_, Vec<u8>> {
        let question = call::authorization_state(
            Address::ZERO,
            farthing_channel::AuthorizationNonce::from_bytes([0; 32]),
        );
        let is_question = trial.input.get(..4) == question.get(..4);
        said(if is_question { vec![0; 32] } else { Vec::new() })
    }

    fn call_at(&self, _: Trial, _: Moment) -> Asked<'_, Vec<u8>> {
        unasked()
    }

    fn gas(&self, _: Trial) -> Asked<'_, u64> {
        unasked()
    }

    fn code_at(&self, address: Address) -> Asked<'_, Vec<u8>> {
        said(if address == self.token { vec![0xfe] } else { Vec::new() })
    }

    fn balance(&self, _: Address) -> Asked<'_, Amount> {
        unasked()
    }

    fn count(&self, _: Address, _: Moment) -> Asked<'_, u64> {
        unasked()
    }

    fn tip(&self) -> Asked<'_, Amount> {
        unasked()
    }

    fn send(&self, _: Vec<u8>) -> Asked<'_, ()> {
        unasked()
    }

    fn receipt(&self, _: TxHash) -> Asked<'_, Option<Receipt>> {
        unasked()
    }

    fn logs(&self, _: LogFilter) -> Asked<'_, Vec<Log>> {
        unasked()
    }

    fn sent(&self, _: TxHash) -> Asked<'_, Option<Trial>> {
        unasked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_signed_is_judged_and_nothing_else() {
        let (chain, price) = configured().unwrap();
        let (submitter, payer) = (Payer::new(8).unwrap().address(), Payer::new(7).unwrap());
        let offer = chain.offers(price, submitter).remove(0);
        let node = Yes { token: offer.asset.parse().unwrap() };
        let judge = Judge { chain: &chain, node: &node, submitter };
        let paid = Paid::make(&payer, &offer).unwrap();
        assert!(judged(&[paid], &judge, price).await.is_ok());
        let mut less = offer.clone();
        less.amount = 9_999_u64.into();
        let mut payload = Payload::from_header(&payer.pay(&less).unwrap(), HEADER_LIMIT).unwrap();
        payload.accepted = offer.clone();
        let paid = Paid { header: payload.to_header().unwrap(), ..Paid::make(&payer, &offer).unwrap() };
        assert!(judged(&[paid], &judge, price).await.unwrap_err().to_string().contains("judging"));
    }
}
