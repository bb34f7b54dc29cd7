//! `farthing ledger reconcile --chain`: the tokens on the chains against the books, to the unit.

use clap::Args;

use super::chain::{Chains, ask};
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Compare what is on the chains with the books; fails if they differ
#[derive(Debug, Args)]
pub struct Reconcile {
    #[command(flatten)]
    config: ConfigFile,
    /// Compare with the chains (the only place outside of the books so far)
    #[arg(long, required = true)]
    chain: bool,
}

impl Reconcile {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let chains = ask(&self.config)?;
        let differ = chains.iter().flat_map(|chain| &chain.tokens).filter(|token| !token.agrees).count();
        let under_way: usize = chains.iter().map(|chain| chain.under_way).sum();
        output.show(&Chains(chains))?;
        if differ == 0 {
            return Ok(());
        }
        let hint = if under_way > 0 {
            "calls are under way; ask again when they have ended"
        } else {
            "enter what you moved yourself with `farthing ledger enter`, from or to the account that is named"
        };
        Err(Failure::new(Exit::Failed, format!("{differ} tokens differ between chain and books")).hint(hint))
    }
}
