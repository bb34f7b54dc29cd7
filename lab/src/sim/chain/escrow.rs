//! The escrow of channels on the simulated chain: it counts as the published contract does, looks at every signature, and its
//! tokens move with it. The collector of EIP-3009 is here; nobody deposits by Permit2.

use farthing_channel::{
    AUTHORIZATION_COLLECTOR, Address, Authorization, BATCH_ESCROW, ChainId, Digest, Salt, Signature, TxHash,
    Word, deposit_nonce,
};
use farthing_evm::{Collecting, EscrowAround, Log, Trial};
use farthing_money::{Amount, Timestamp};

use super::block::State;
use super::token::{ADDRESS, Token, domain};

/// What the escrow has around it: the token, at one moment of one transaction.
struct Till<'a> {
    token: &'a mut Token,
    chain: ChainId,
    by: TxHash,
    now: Timestamp,
}

impl EscrowAround for Till<'_> {
    /// As contracts recover it: of the two last bytes only the right one is taken.
    fn is_signed_by(&self, signer: Address, digest: &Digest, signature: &[u8]) -> bool {
        let named = signature.last().is_some_and(|last| [27, 28].contains(last));
        let signature = Signature::from_bytes(signature).ok().filter(|_| named);
        signature.is_some_and(|signature| signature.recover(digest) == Ok(signer))
    }

    fn collect(&mut self, deposit: &Collecting<'_>) -> Result<Vec<Log>, &'static str> {
        if deposit.collector != AUTHORIZATION_COLLECTOR || deposit.token != ADDRESS {
            return Err("execution reverted");
        }
        let (said, signature) = authorization(deposit).ok_or("execution reverted")?;
        let digest = said.receive_digest(&domain(self.chain));
        let mut logs = self.token.authorized(&said, &digest, Some(signature), self.by, self.now)?;
        logs.push(self.token.pass_on(
            AUTHORIZATION_COLLECTOR,
            BATCH_ESCROW,
            deposit.units.value(),
            self.by,
        )?);
        Ok(logs)
    }

    fn send(&mut self, token: Address, to: Address, units: Amount) -> Result<Vec<Log>, &'static str> {
        if token != ADDRESS {
            return Err("execution reverted");
        }
        Ok(vec![self.token.pass_on(BATCH_ESCROW, to, units.value(), self.by)?])
    }
}

/// What the collector reads: from when until when, a salt, and where the signature is.
fn authorization(deposit: &Collecting<'_>) -> Option<(Authorization, Signature)> {
    let word = |place: usize| {
        let bytes = deposit.bytes.get(place.checked_mul(32)?..)?.first_chunk::<32>()?;
        Some(Word::from_bytes(*bytes))
    };
    let salt = Salt::from_bytes(*word(2)?.as_bytes());
    let signature = deposit.bytes.get(5 * 32..)?.get(..65)?;
    let said = Authorization {
        from: deposit.payer,
        to: AUTHORIZATION_COLLECTOR,
        value: deposit.units.into(),
        valid_after: word(0)?,
        valid_before: word(1)?,
        nonce: deposit_nonce(deposit.channel, salt),
    };
    Some((said, Signature::from_bytes(signature).ok()?))
}

impl State {
    /// Does what a call asks for, all of it, or says why not and does nothing.
    pub fn change(
        &mut self,
        chain: ChainId,
        trial: &Trial,
        by: TxHash,
        now: Timestamp,
    ) -> Result<Vec<Log>, &'static str> {
        let (mut token, mut escrow) = (self.token.clone(), self.escrow.clone());
        let logs = if trial.to == ADDRESS {
            token.change(chain, trial, by, now)?
        } else if trial.to == BATCH_ESCROW {
            let mut till = Till { token: &mut token, chain, by, now };
            escrow.change(trial, now, &mut till).unwrap_or(Err("execution reverted"))?
        } else {
            Vec::new()
        };
        (self.token, self.escrow) = (token, escrow);
        Ok(logs.into_iter().map(|log| Log { transaction: by, ..log }).collect())
    }

    /// What contracts answer to a question; nothing if it is none.
    pub fn answer(&self, trial: &Trial) -> Option<Vec<u8>> {
        if trial.to == ADDRESS { self.token.answer(&trial.input) } else { self.escrow.answer(trial) }
    }

    /// What the escrow has of the token beside what it owes to payers and receivers.
    pub fn beyond_owed(&self, receiver: Address) -> i128 {
        let number = |amount: Amount| i128::try_from(amount.value()).unwrap_or(i128::MAX);
        let balances = self.escrow.channels().map(|(_, channel)| number(channel.balance)).sum::<i128>();
        let settled = number(self.escrow.receiver(receiver, ADDRESS).settled);
        let units = i128::try_from(self.token.units(BATCH_ESCROW)).unwrap_or(i128::MAX);
        units.saturating_sub(balances.saturating_sub(settled))
    }
}

#[cfg(test)]
mod tests {
    use farthing_channel::{
        AuthorizedDeposit, ChannelTerms, ClaimRow, SigningKey, Voucher, batch_call, batch_domain,
    };

    use super::super::{Chain, ID, Waiting};
    use super::*;
    use crate::sim::dice::Dice;

    const BEGAN: u64 = 1_800_000_000;

    struct Stage {
        chain: Chain,
        dice: Dice,
        payer: SigningKey,
        ours: SigningKey,
        now: u64,
    }

    impl Stage {
        fn new() -> Self {
            let key = |n| SigningKey::from_bytes([n; 32]).unwrap();
            let mut dice = Dice::of(1, 1);
            let chain = Chain::new(2, true, Timestamp::from_secs(BEGAN), &mut dice);
            chain.calm();
            chain.mint(key(1).address(), 1_000);
            Self { chain, dice, payer: key(1), ours: key(4), now: BEGAN }
        }

        fn terms(&self) -> ChannelTerms {
            let (payer, ours) = (self.payer.address(), self.ours.address());
            ChannelTerms {
                payer,
                payer_authorizer: payer,
                receiver: ours,
                receiver_authorizer: ours,
                token: ADDRESS,
                withdraw_delay: 900,
                salt: Salt::from_bytes([0; 32]),
            }
        }

        fn deposit(&self, units: u128) -> Vec<u8> {
            let (terms, salt) = (self.terms(), Salt::from_bytes([9; 32]));
            let (valid_after, valid_before) = (Word::ZERO, (BEGAN + 9_000).into());
            let wanted = AuthorizedDeposit { amount: Amount::new(units), valid_after, valid_before, salt };
            let said = wanted.authorization(terms.payer, terms.id(&batch_domain(ChainId::new(ID))));
            let signature = self.payer.sign(&said.receive_digest(&domain(ChainId::new(ID)))).to_bytes();
            batch_call::deposit(&terms, &wanted.collected(&signature))
        }

        fn claim(&self, units: u128) -> ClaimRow {
            let (terms, batch) = (self.terms(), batch_domain(ChainId::new(ID)));
            let (channel, cumulative) = (terms.id(&batch), Amount::new(units));
            let signature = self.payer.sign(&Voucher { channel, cumulative }.batch_digest(&batch));
            ClaimRow {
                terms,
                ceiling: cumulative,
                signature: signature.to_bytes().to_vec(),
                total_claimed: cumulative,
            }
        }

        /// A block with one call of this sender.
        fn mine(&mut self, key: &SigningKey, input: Vec<u8>) {
            let mut inner = self.chain.inner();
            let number = super::super::block::count(&inner.truth, key.address());
            let signed = inner.sign(key, number, (BATCH_ESCROW, input)).unwrap();
            inner.pool.push(Waiting { signed, from: Some(0) });
            self.now += 2;
            inner.mine(Timestamp::from_secs(self.now), &mut self.dice);
        }

        /// What is in the channel and claimed of it, and what the payer, the escrow and we have.
        fn stands(&self) -> [u128; 5] {
            let state = self.chain.inner().state();
            let channel = state.escrow.channel(self.terms().id(&batch_domain(ChainId::new(ID))));
            let units = |account| state.token.units(account);
            let have = [units(self.payer.address()), units(BATCH_ESCROW), units(self.ours.address())];
            assert_eq!(state.beyond_owed(self.ours.address()), 0);
            [channel.balance.value(), channel.claimed.value(), have[0], have[1], have[2]]
        }
    }

    #[test]
    fn money_goes_in_and_out_and_a_fork_takes_it_all_back() {
        let mut stage = Stage::new();
        let (payer, ours) = (stage.payer.clone(), stage.ours.clone());
        stage.mine(&payer, stage.deposit(700));
        assert_eq!(stage.stands(), [700, 0, 300, 700, 0]);
        stage.mine(&payer, stage.deposit(700));
        assert_eq!(stage.stands(), [700, 0, 300, 700, 0], "its number is used");
        stage.mine(&ours, batch_call::claim(&[stage.claim(200)]));
        stage.mine(&ours, batch_call::settle(ours.address(), ADDRESS));
        assert_eq!(stage.stands(), [700, 200, 300, 500, 200]);
        let wish = batch_call::initiate_withdraw(&stage.terms(), Amount::new(500));
        stage.mine(&payer, wish);
        stage.now += 900;
        stage.mine(&payer, batch_call::finalize_withdraw(&stage.terms()));
        assert_eq!(stage.stands(), [200, 200, 800, 0, 200]);
        for expected in [[700, 200, 300, 500, 200], [700, 200, 300, 500, 200], [700, 200, 300, 700, 0]] {
            stage.chain.inner().truth.pop();
            assert_eq!(stage.stands(), expected);
        }
        stage.chain.inner().truth.truncate(1);
        assert_eq!(stage.stands(), [0, 0, 1_000, 0, 0]);
    }

    #[test]
    fn signatures_are_looked_at() {
        let mut stage = Stage::new();
        let (payer, ours) = (stage.payer.clone(), stage.ours.clone());
        stage.mine(&payer, stage.deposit(700));
        let good = stage.claim(200);
        let higher = ClaimRow { ceiling: Amount::new(300), total_claimed: Amount::new(300), ..good.clone() };
        stage.mine(&ours, batch_call::claim(&[higher]));
        let mut other = good.clone();
        if let Some(last) = other.signature.last_mut() {
            *last = 27 + 28 - *last;
        }
        stage.mine(&ours, batch_call::claim(&[other]));
        stage.mine(&payer, batch_call::claim(std::slice::from_ref(&good)));
        assert_eq!(stage.stands(), [700, 0, 300, 700, 0]);
        stage.mine(&ours, batch_call::claim(&[good]));
        assert_eq!(stage.stands(), [700, 200, 300, 700, 0]);
    }
}
