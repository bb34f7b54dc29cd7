//! Channels on the chains against those of the books: every channel, every receiver, and the accounts that follow from them.

use std::collections::BTreeMap;

use farthing_channel::{Address, ChannelId};
use farthing_engine::{ChannelRow, ReceiverId, ReceiverRow};
use farthing_evm::TokenConfig;
use farthing_ledger::{Account, Totals};
use farthing_money::Amount;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::channels::Harbour;
use super::{ChainRoom, engine_address, owing_elsewhere};
use crate::operator::OperatorError;

/// How many channels are asked for at once.
const AT_ONCE: usize = 16;

/// The channels of a chain, compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelAudit {
    /// The chain by CAIP-2.
    pub network: String,
    /// How many channels there are in the books.
    pub channels: usize,
    /// All that differs. Amounts are in the token's units, those of accounts in the asset's.
    pub differences: Vec<Difference>,
}

/// Something that is otherwise on the chain, or otherwise in the accounts than in the rows that they follow from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Of what: a channel's id, a receiver and a token, or an account.
    pub of: String,
    /// What: `balance`, `claimed`, `settled`, `found`, `withdrawal`, `refunds`, `account`, `chain`.
    pub what: String,
    /// What it should be: what the chain says, or what follows from the rows.
    pub expected: String,
    /// What the books say.
    pub in_books: String,
}

impl ChainRoom {
    /// Compares the channels of all chains with the books.
    pub async fn audit_channels(&self) -> Result<Vec<ChannelAudit>, OperatorError> {
        let mut all = Vec::new();
        for harbour in self.harbours.iter() {
            all.push(self.audit(harbour).await?);
        }
        all.extend(self.unknown_chains()?);
        Ok(all)
    }

    /// Of chains that are not in the configuration nothing is asked and nothing claimed: what is owed there is a difference.
    fn unknown_chains(&self) -> Result<Vec<ChannelAudit>, OperatorError> {
        let Some(books) = self.books() else { return Ok(Vec::new()) };
        let is_known = |chain| self.harbours.iter().any(|harbour| harbour.chain == chain);
        let audit = |(chain, channels): (u64, usize)| {
            let network = format!("eip155:{chain}");
            let expected = "its [[chain]] in the configuration, or nothing owed".to_owned();
            let in_books = format!("{channels} that owe something");
            let differences =
                vec![Difference { of: network.clone(), what: "chain".to_owned(), expected, in_books }];
            ChannelAudit { network, channels, differences }
        };
        Ok(owing_elsewhere(books, is_known)?.into_iter().map(audit).collect())
    }

    async fn audit(&self, harbour: &Harbour) -> Result<ChannelAudit, OperatorError> {
        let rows: Vec<(ChannelId, ChannelRow)> = harbour.worker.rows()?.into_iter().collect();
        let mut found = Found::default();
        for some in rows.chunks(AT_ONCE) {
            let seen = join_all(some.iter().map(|(id, _)| harbour.worker.on_chain(*id))).await;
            for ((id, row), seen) in some.iter().zip(seen) {
                let (seen, known) = (seen.map_err(|error| silent(&error))?, row.books.chain());
                let of = id.to_string();
                found.compare(&of, "balance", seen.balance, known.balance);
                found.compare(&of, "claimed", seen.claimed, known.claimed);
                found.compare(
                    &of,
                    "withdrawal",
                    seen.withdraw_since.unwrap_or_default(),
                    known.withdraw_since.unwrap_or_default(),
                );
                found.compare(&of, "refunds", seen.refund_nonce, known.refund_nonce);
            }
        }
        self.audit_receivers(harbour, &rows, &mut found).await?;
        self.audit_accounts(harbour, &rows, &mut found)?;
        let (network, channels) = (harbour.network.clone(), rows.len());
        Ok(ChannelAudit { network, channels, differences: found.0 })
    }

    /// What was moved to a receiver is in the books, also what of it others have claimed; and our channels have claimed no more
    /// than the contract says.
    async fn audit_receivers(
        &self,
        harbour: &Harbour,
        rows: &[(ChannelId, ChannelRow)],
        found: &mut Found,
    ) -> Result<(), OperatorError> {
        for (receiver, token) in Self::receivers_of(rows.iter().map(|(_, row)| row)) {
            let seen = harbour.worker.receiver_on_chain(receiver, token).await;
            let (claimed, settled) = seen.map_err(|error| silent(&error))?;
            let of = format!("{receiver} in {}", self.symbol(harbour, token));
            let ours =
                rows.iter().filter(|(_, row)| (row.terms.receiver, row.terms.token) == (receiver, token));
            let ours = Amount::try_sum(ours.map(|(_, row)| row.books.chain().claimed));
            let ours = ours.ok_or(OperatorError::Overflow)?;
            found.compare(&of, "claimed", claimed.min(ours), ours);
            let id = ReceiverId::of(harbour.chain, engine_address(receiver), engine_address(token));
            let kept = self.books().and_then(|books| books.receiver(id).transpose()).transpose()?;
            let (known, others) = kept.map(|row| (row.settled, row.found)).unwrap_or_default();
            found.compare(&of, "settled", settled, known);
            found.compare(&of, "found", ReceiverRow::found_of(settled, claimed, ours), others);
        }
        Ok(())
    }

    /// The accounts follow from the rows.
    fn audit_accounts(
        &self,
        harbour: &Harbour,
        rows: &[(ChannelId, ChannelRow)],
        found: &mut Found,
    ) -> Result<(), OperatorError> {
        let Some(books) = self.books() else { return Ok(()) };
        let accounts: BTreeMap<_, Account> =
            books.accounts()?.into_iter().map(|account| (account.id(), account)).collect();
        // Also those of a token that takes no more channels.
        let offered = harbour.desks.iter().map(|desk| (desk.accounts, desk.unit));
        let kept: BTreeMap<_, _> = offered
            .chain(rows.iter().map(|(_, row)| (row.accounts, row.unit)))
            .map(|(accounts, unit)| (accounts.escrow, (accounts, unit)))
            .collect();
        for (of_token, unit) in kept.into_values() {
            let rows: Vec<&ChannelRow> =
                rows.iter().map(|(_, row)| row).filter(|row| row.accounts == of_token).collect();
            let (mut escrow, mut claimed, mut payers, mut lost) = (0_i128, 0_i128, 0_i128, 0_i128);
            for row in &rows {
                let shares = row.shares().ok_or(OperatorError::Overflow)?;
                escrow = add(escrow, signed(shares.escrow())?)?;
                claimed = add(claimed, signed(shares.claimed())?)?;
                payers = add(payers, signed(shares.payers())?)?;
                let (gone, got) = shares.lost_and_found();
                lost = add(lost, add(signed(gone)?, -signed(got)?)?)?;
            }
            for (receiver, token) in Self::receivers_of(rows.iter().copied()) {
                let id = ReceiverId::of(harbour.chain, engine_address(receiver), engine_address(token));
                let Some(row) = books.receiver(id)? else { continue };
                let worth = |units| signed(unit.of(units).ok_or(OperatorError::Overflow)?);
                let others = worth(row.found)?;
                claimed = add(claimed, add(others, -worth(row.settled)?)?)?;
                lost = add(lost, -others)?;
            }
            for (id, expected, is_asset) in [
                (of_token.escrow, escrow, true),
                (of_token.claimed, claimed, true),
                (of_token.payers, payers, false),
                (of_token.lost, lost, true),
            ] {
                let Some(account) = accounts.get(&id) else { continue };
                found.compare(&account.name, "account", expected, standing(&account.totals, is_asset)?);
            }
        }
        Ok(())
    }

    fn books(&self) -> Option<&dyn farthing_engine::Read> {
        let first = self.facilitators.iter().next()?;
        Some(first.submitter().ports().read.as_ref())
    }

    fn symbol(&self, harbour: &Harbour, token: Address) -> String {
        let facilitator = self.facilitators.of_chain(harbour.chain);
        let known = facilitator.and_then(|facilitator| facilitator.submitter().ports().chain.token(token));
        known.map_or_else(|| token.to_string(), |token: &TokenConfig| token.symbol.clone())
    }
}

/// What stands in an account, which is less than nothing if more has gone out than came in.
fn standing(totals: &Totals, is_asset: bool) -> Result<i128, OperatorError> {
    let (debits, credits) = (signed(totals.debits_posted)?, signed(totals.credits_posted)?);
    if is_asset { add(debits, -credits) } else { add(credits, -debits) }
}

fn signed(amount: Amount) -> Result<i128, OperatorError> {
    i128::try_from(amount.value()).map_err(|_| OperatorError::Overflow)
}

fn add(sum: i128, more: i128) -> Result<i128, OperatorError> {
    sum.checked_add(more).ok_or(OperatorError::Overflow)
}

fn silent(error: &farthing_evm::NodeError) -> OperatorError {
    OperatorError::Chain(format!("a chain cannot be asked about its channels: {error}"))
}

/// What differs.
#[derive(Default)]
struct Found(Vec<Difference>);

impl Found {
    fn compare<T: Copy + PartialEq + ToString>(&mut self, of: &str, what: &str, expected: T, in_books: T) {
        if expected != in_books {
            self.0.push(Difference {
                of: of.to_owned(),
                what: what.to_owned(),
                expected: expected.to_string(),
                in_books: in_books.to_string(),
            });
        }
    }
}
