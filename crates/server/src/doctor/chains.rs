//! Whether chains can be paid on: do their nodes answer for them, can our account pay gas, is nothing under way where nobody
//! looks, and do the books say what the chain says.

use std::collections::BTreeMap;
use std::time::Duration;

use farthing_channel::{AUTHORIZATION_COLLECTOR, Address, BATCH_ESCROW, ChainId, PERMIT2_COLLECTOR};
use farthing_evm::{ChannelConfig, HttpLimits, HttpNode, Node, TokenConfig, prudent_claim_after};
use http::Uri;

use super::{Bad, Check, Finding, Report, State};
use crate::access::Access;
use crate::chains::ChainStatus;
use crate::chains::outbox::UnderWay;
use crate::config::{ChainSection, Config};

/// How long a node may take here.
const LIMITS: HttpLimits =
    HttpLimits { connect: Duration::from_secs(2), answer: Duration::from_secs(3), bytes: 1 << 20 };

/// Looks at the configured chains, and at what a running server has under way.
pub(super) async fn look(report: &mut Report, config: &Config) {
    if config.chains.is_empty() {
        // Who has no chain reads nothing of chains, unless one was left behind.
        return report.findings.extend(warnings(config).await);
    }
    nodes(report, config).await;
    super::rates::look(report, config).await;
    super::payouts::look(report, config).await;
    let Some(access) = Access::running(config).await else {
        report.leave_out("chains", "no server answers in the data folder", "start it with `farthing serve`");
        return;
    };
    outbox(report, config, &access).await;
    let silent = |error: &dyn ToString| Bad::new(error.to_string(), "look at the nodes of [[chain]]");
    let status = access.chains().await.map(|status| (status, String::new())).map_err(|error| silent(&error));
    match status {
        Ok((status, _)) => {
            for chain in &status {
                report.note("purse", purse(chain));
                report.note("reserves", reserves(chain));
            }
        }
        Err(bad) => {
            report.note::<()>("chains", Err(bad));
        }
    }
}

/// What is not as it should be, as far as it can be seen before a start: nodes of other chains or that do not answer, and
/// what a running server has under way on chains that this configuration leaves out.
pub async fn warnings(config: &Config) -> Vec<Finding> {
    let mut report = Report::default();
    nodes(&mut report, config).await;
    super::rates::look(&mut report, config).await;
    super::payouts::look(&mut report, config).await;
    if let Some(access) = Access::running(config).await {
        outbox(&mut report, config, &access).await;
    }
    report.findings.into_iter().filter(|finding| finding.state == State::Bad).collect()
}

/// Every node has to answer, and for its own chain.
async fn nodes(report: &mut Report, config: &Config) {
    for section in &config.chains {
        for address in section.with_own_account(Address::ZERO).nodes {
            report.note("chain node", node(section.id(), address).await);
        }
        if section.with_own_account(Address::ZERO).channels.is_some() {
            report.note("channels", escrow(section).await);
        }
        if let Some(late) = claims_late(section) {
            report.note::<()>("channels", Err(late));
        }
    }
}

async fn node(chain: ChainId, address: Uri) -> Check<((), String)> {
    let next = format!("look at nodes in the [[chain]] with id = {}", chain.number());
    let bad = |error: farthing_evm::NodeError| Bad::new(error.to_string(), next.clone());
    let asked = HttpNode::new(chain, std::slice::from_ref(&address), LIMITS).map_err(bad)?;
    let head = asked.head().await.map_err(bad)?;
    // What stands behind the host is often a key.
    let host = address.host().unwrap_or_default();
    Ok(((), format!("{host} answers for {chain}, block {}", head.number)))
}

/// What is owed has to be claimed long before payers have their money back.
fn claims_late(section: &ChainSection) -> Option<Bad> {
    let channels = section.with_own_account(Address::ZERO).channels.filter(ChannelConfig::claims_late)?;
    let (after, delay) = (channels.claim_after.secs(), channels.withdraw_delay);
    let found = format!(
        "what channels owe is claimed after {after} s, and their payers have their money back after {delay} s: that leaves little time if something goes wrong"
    );
    let next = format!(
        "set claim_after to at most {}s in [chain.channels] of the [[chain]] with id = {}, or leave it out",
        prudent_claim_after(delay).secs(),
        section.id().number()
    );
    Some(Bad::new(found, next))
}

/// Where channels are taken, their escrow has to be, and whoever takes deposits for it.
async fn escrow(section: &ChainSection) -> Check<((), String)> {
    let chain = section.with_own_account(Address::ZERO);
    let next = format!(
        "take the scheme batch-settlement from the tokens of the [[chain]] with id = {}, or look at its nodes",
        chain.id.number()
    );
    let bad = |error: farthing_evm::NodeError| Bad::new(error.to_string(), next.clone());
    let node = HttpNode::new(chain.id, &chain.nodes, LIMITS).map_err(bad)?;
    let taken =
        |method: fn(&TokenConfig) -> bool| chain.tokens.iter().any(|token| token.channels && method(token));
    let mut needed = vec![("the escrow of channels", BATCH_ESCROW)];
    if taken(|token| token.eip3009) {
        needed.push(("the collector of deposits by EIP-3009", AUTHORIZATION_COLLECTOR));
    }
    if taken(|token| token.permit2) {
        needed.push(("the collector of deposits by Permit2", PERMIT2_COLLECTOR));
    }
    for (what, address) in needed {
        if node.code_at(address).await.map_err(bad)?.is_empty() {
            return Err(Bad::new(format!("{what} is not at {address} on {}", chain.id), next));
        }
    }
    Ok(((), format!("the escrow of channels is on {}", chain.id)))
}

async fn outbox(report: &mut Report, config: &Config, access: &Access) {
    let checked = match access.calls_under_way().await {
        Ok(calls) => left_behind(config, &calls),
        Err(error) => Err(Bad::new(error.to_string(), "restart the server, which may be older than this")),
    };
    report.note("outbox", checked);
}

/// Nobody looks after calls on a chain that is not configured.
fn left_behind(config: &Config, calls: &[UnderWay]) -> Check<((), String)> {
    let mut by_chain: BTreeMap<u64, usize> = BTreeMap::new();
    let is_known = |chain: u64| config.chains.iter().any(|section| section.id().number() == chain);
    for call in calls.iter().filter(|call| !is_known(call.chain)) {
        let count = by_chain.entry(call.chain).or_default();
        *count = count.saturating_add(1);
    }
    if by_chain.is_empty() {
        return Ok(((), format!("{} under way, all on chains that are configured", calls.len())));
    }
    let said: Vec<_> =
        by_chain.iter().map(|(chain, count)| format!("{count} on {}", ChainId::new(*chain))).collect();
    let found = format!("calls are under way on chains that are not configured: {}", said.join(", "));
    Err(Bad::new(found, "put their [[chain]] back until `farthing chain status` shows none under way"))
}

fn purse(chain: &ChainStatus) -> Check<((), String)> {
    let found = format!("our account on {} has {}", chain.network, chain.coin);
    if chain.coin_low {
        let next = format!("send coin to {}: settlements wait when it cannot pay their gas", chain.account);
        return Err(Bad::new(format!("{found}, which is less than purse_low"), next));
    }
    Ok(((), found))
}

/// What a fork has carried out after it had failed shows here until it is entered.
fn reserves(chain: &ChainStatus) -> Check<((), String)> {
    // What is under way may have moved, and is not in the books yet.
    let odd: Vec<_> = chain.tokens.iter().filter(|token| !token.agrees && chain.under_way == 0).collect();
    if odd.is_empty() {
        return Ok(((), format!("the tokens on {} are those of the books", chain.network)));
    }
    let said: Vec<_> = odd
        .iter()
        .map(|token| {
            let [on_chain, in_books] = &token.shown;
            format!("{on_chain} on the chain and {in_books} in {}", token.account)
        })
        .collect();
    let found = format!("chain and books differ on {}: {}", chain.network, said.join("; "));
    let next = "look in the log for `a fork has carried out what had failed`, and enter what moved with `farthing ledger enter`";
    Err(Bad::new(found, next))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use farthing_money::{Amount, Timestamp};

    use super::*;
    use crate::chains::TokenStatus;

    fn config(chains: &str) -> Config {
        let text = format!("[server]\nupstream = \"http://127.0.0.1:3000\"\n{chains}");
        Config::read(&text, Path::new("farthing.toml")).unwrap()
    }

    fn call(chain: u64) -> UnderWay {
        let (call, purpose) = ("11".repeat(32), "payment".to_owned());
        UnderWay { call, chain, purpose, since: Timestamp::from_secs(1), transactions: vec![] }
    }

    fn status() -> ChainStatus {
        let token = TokenStatus {
            symbol: "USDC".into(),
            address: "0x".into(),
            account: "reserve:eip155:7:USDC".into(),
            units_on_chain: Amount::new(2),
            units_at_quotes: Amount::ZERO,
            units_uncounted: Amount::ZERO,
            units_in_books: Amount::new(2),
            units_to_merchants: Amount::ZERO,
            shown: ["0.000002 USD".into(), "0.000002 USD".into()],
            agrees: true,
        };
        ChainStatus {
            network: "eip155:7".into(),
            account: "0xabc".into(),
            pay_to: "0xabc".into(),
            coin: "1 ETH".into(),
            coin_low: false,
            signer: None,
            under_way: 0,
            calls: vec![],
            tokens: vec![token],
        }
    }

    #[test]
    fn calls_that_nobody_looks_after_are_counted_by_chain() {
        let config = config("[[chain]]\nid = 7\nnodes = [\"http://127.0.0.1:9\"]\n");
        assert!(left_behind(&config, &[call(7), call(7)]).is_ok());
        let bad = left_behind(&config, &[call(7), call(8), call(8), call(9)]).unwrap_err();
        assert!(bad.found.ends_with("2 on eip155:8, 1 on eip155:9"), "{}", bad.found);
        assert!(bad.next.contains("[[chain]]"));
    }

    #[test]
    fn a_low_purse_and_books_that_differ_are_said_with_what_to_do() {
        assert!(purse(&status()).is_ok() && reserves(&status()).is_ok());
        let low = purse(&ChainStatus { coin_low: true, ..status() }).unwrap_err();
        assert!(low.found.contains("1 ETH") && low.next.contains("0xabc"), "{} {}", low.found, low.next);
        let mut odd = status();
        odd.tokens[0].agrees = false;
        let bad = reserves(&odd).unwrap_err();
        assert!(bad.found.contains("reserve:eip155:7:USDC") && bad.next.contains("ledger enter"));
        odd.under_way = 1;
        assert!(reserves(&odd).is_ok(), "it may just have moved");
    }

    #[tokio::test]
    async fn nodes_that_do_not_answer_are_said() {
        let config = config("[[chain]]\nid = 7\nnodes = [\"http://127.0.0.1:9/secret\"]\n");
        let warnings = warnings(&config).await;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].found.contains("127.0.0.1:9"), "{warnings:?}");
        assert!(!format!("{warnings:?}").contains("secret"));
        let token = "[[token]]\nchain = 7\naddress = \"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"\nsymbol = \"USDC\"\nname = \"USDC\"\nversion = \"2\"\ncounts_as = \"USD\"\nschemes = \"batch-settlement\"\n";
        let with_channels =
            self::config(&format!("[[chain]]\nid = 7\nnodes = [\"http://127.0.0.1:9/secret\"]\n{token}"));
        let warnings_of_channels = self::warnings(&with_channels).await;
        assert_eq!(warnings_of_channels.len(), 2, "{warnings_of_channels:?}");
        assert!(warnings_of_channels[1].next.as_deref().unwrap().contains("batch-settlement"));
        assert!(warnings[0].next.as_deref().unwrap().contains("id = 7"));
    }

    #[tokio::test]
    async fn claims_that_come_late_are_told() {
        let found = async |after: &str| {
            // Nobody answers there.
            let chain = "[[chain]]\nid = 7\nnodes = [\"http://127.0.0.1:1\"]\n";
            let token = "[[token]]\nchain = 7\naddress = \"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"\nsymbol = \"USDC\"\nname = \"USDC\"\nversion = \"2\"\ncounts_as = \"USD\"\nschemes = \"batch-settlement\"\n";
            let terms = format!("[chain.channels]\nwithdraw_delay = \"15m\"\nclaim_after = \"{after}\"\n");
            let mut report = Report::default();
            nodes(&mut report, &config(&format!("{chain}{terms}{token}"))).await;
            let told =
                report.findings.into_iter().find(|finding| finding.found.contains("have their money back"));
            told.and_then(|finding| finding.next)
        };
        assert_eq!(found("5m").await, None);
        assert!(found("6m").await.unwrap().contains("at most 300s"));
    }
}
