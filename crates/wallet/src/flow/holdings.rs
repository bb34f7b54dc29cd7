//! Asks the nodes that are named what the wallet's account has of its tokens.

use std::collections::{BTreeSet, VecDeque};

use farthing_channel::{ChainId, call};
use farthing_money::Timestamp;

use super::{Flow, answer_of, done};
use crate::chain::Token;
use crate::error::WalletError;
use crate::http::{Event, Step};
use crate::node;
use crate::outcome::{Holding, Outcome};
use crate::wallet::Wallet;

/// Asks for one token after the other. A node that does not answer is told of, and the next is asked.
#[derive(Default)]
pub struct HoldingsFlow {
    queue: Option<VecDeque<(Token, String)>>,
    /// The chains of which a node has shown to be.
    checked: BTreeSet<ChainId>,
    current: Option<(Token, String, Stage)>,
    found: Vec<Holding>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Chain,
    Balance,
}

impl HoldingsFlow {
    /// A flow for all tokens on chains of which a node is named.
    pub fn new() -> Self {
        Self::default()
    }

    fn came(
        &mut self,
        wallet: &Wallet,
        (token, url, stage): (Token, String, Stage),
        event: Event,
    ) -> Result<Option<Step>, WalletError> {
        let answer = answer_of(&node::whom(&url), event)?;
        if stage == Stage::Chain {
            node::check_chain(&url, token.chain, &answer)?;
            self.checked.insert(token.chain);
            let request = node::call_request(&url, token.address, &call::balance_of(wallet.account()?));
            self.current = Some((token, url, Stage::Balance));
            return Ok(Some(Step::Send(request)));
        }
        let units = node::word(&url, &answer)?.to_amount();
        let money = units.and_then(|units| token.money(units));
        let money = money.ok_or_else(|| {
            WalletError::bad_answer(&node::whom(&url), "a balance that can be counted", "more than that")
        });
        self.found.push(Holding { token, money });
        Ok(None)
    }
}

impl Flow for HoldingsFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, _now: Timestamp) -> Result<Step, WalletError> {
        if self.queue.is_none() {
            let tokens = wallet.tokens().into_iter().filter(|token| !token.is_blocked);
            let with_node = tokens.filter_map(|token| {
                let url = wallet.node(token.chain)?.to_owned();
                Some((token, url))
            });
            self.queue = Some(with_node.collect());
        }
        if let Some(current) = self.current.take() {
            let token = current.0.clone();
            match self.came(wallet, current, event) {
                Ok(Some(step)) => return Ok(step),
                Ok(None) => {}
                Err(error) => {
                    self.current = None;
                    self.found.push(Holding { token, money: Err(error) });
                }
            }
        }
        let next = self.queue.as_mut().and_then(VecDeque::pop_front);
        let Some((token, url)) = next else {
            return Ok(done(Outcome::Holdings(std::mem::take(&mut self.found))));
        };
        let (request, stage) = if self.checked.contains(&token.chain) {
            let call = call::balance_of(wallet.account()?);
            (node::call_request(&url, token.address, &call), Stage::Balance)
        } else {
            (node::chain_request(&url), Stage::Chain)
        };
        self.current = Some((token, url, stage));
        Ok(Step::Send(request))
    }
}
