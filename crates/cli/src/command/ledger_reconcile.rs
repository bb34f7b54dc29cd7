//! `farthing ledger reconcile --chain`: the tokens and the channels on the chains against the books, to the unit.

use clap::Args;
use farthing_server::chains::ChainStatus;
use farthing_server::chains::reconcile::{ChannelAudit, Difference};
use serde_json::{Value, json};

use super::chain::{Chains, ask};
use super::channel;
use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View, counted};
use crate::table::table;

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
        let channels = channel::ask(&self.config, async |access| access.audit_channels().await)?;
        let tokens = chains.iter().flat_map(|chain| &chain.tokens).filter(|token| !token.agrees).count();
        let of_channels: usize = channels.iter().map(|audit| audit.differences.len()).sum();
        let under_way: usize = chains.iter().map(|chain| chain.under_way).sum();
        output.show(&Compared(chains, channels))?;
        if tokens == 0 && of_channels == 0 {
            return Ok(());
        }
        let hint = if under_way > 0 {
            "calls are under way; ask again when they have ended"
        } else if of_channels > 0 {
            "a running server takes over what a chain says within moments; ask again, and look in its log if it stays so"
        } else {
            "enter what you moved yourself with `farthing ledger enter`, from or to the account that is named"
        };
        let message = format!(
            "chain and books differ: {}, {}",
            counted(tokens, "token"),
            counted(of_channels, "difference of channel")
        );
        Err(Failure::new(Exit::Failed, message).hint(hint))
    }
}

/// Chains, each with its channels beside it.
struct Compared(Vec<ChainStatus>, Vec<ChannelAudit>);

impl View for Compared {
    /// The chains as `farthing chain status` has them, with a member more; then those that have only channels in the books.
    fn json(&self) -> Value {
        let one = |chain: &ChainStatus| {
            let mut value = json!(chain);
            let audit = self.1.iter().find(|audit| audit.network == chain.network);
            if let (Some(audit), Some(members)) = (audit, value.as_object_mut()) {
                members.insert("channels".to_owned(), json!(audit));
            }
            value
        };
        let known: Vec<Value> = self.0.iter().map(one).collect();
        let is_known = |audit: &&ChannelAudit| self.0.iter().any(|chain| chain.network == audit.network);
        let unknown = self.1.iter().filter(|audit| !is_known(audit));
        let unknown = unknown.map(|audit| json!({ "network": audit.network, "channels": audit }));
        known.into_iter().chain(unknown).collect()
    }

    fn text(&self) -> String {
        let chains = Chains(self.0.clone()).text();
        let of_any = |audit: &&ChannelAudit| audit.channels > 0 || !audit.differences.is_empty();
        let audits: String = self.1.iter().filter(of_any).map(audit).collect();
        format!("{chains}{audits}")
    }
}

fn audit(audit: &ChannelAudit) -> String {
    let count = counted(audit.channels, "channel");
    if audit.differences.is_empty() {
        return format!("\n\n{}: {count}, all as the books say", audit.network);
    }
    let row = |difference: &Difference| {
        let Difference { of, what, expected, in_books } = difference.clone();
        [of, what, expected, in_books]
    };
    let rows: Vec<_> = audit.differences.iter().map(row).collect();
    let differ = table(["OF", "WHAT", "EXPECTED", "IN BOOKS"], &rows);
    format!("\n\n{}: {count}, these differ\n{differ}", audit.network)
}
