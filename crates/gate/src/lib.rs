//! The gate: price rules, the streaming proxy behind them, the accept loop before them, and the pages in between.

pub mod body;
pub mod chain;
pub mod cors;
pub mod count;
pub mod crypto;
pub mod flow;
pub mod limit;
pub mod media;
pub mod meter;
pub mod network;
pub mod own_header;
pub mod page;
pub mod peer;
pub mod problem;
pub mod proxy;
pub mod random;
pub mod rule;
pub mod serve;
pub mod session;
pub mod target;
pub mod teaser;
pub mod tls;

pub use body::{Body, BoxError};
pub use crypto::Crypto;
pub use flow::{Gate, GateConfig, GateLayer};
pub use meter::{Count, Meter};
pub use network::Network;
pub use peer::Peer;
pub use proxy::{Proxy, ProxyConfig, UpstreamError};
pub use rule::{
    Chosen, Covers, Feature, FeatureQuota, Features, PassScope, Per, Plan, Price, Quota, Refunds, Rule,
    RuleError, Rules, Share,
};
pub use session::{SessionLimits, Sessions};
pub use target::{Target, TargetError};
