//! Nothing but tests lives here: the wallet of crate `cdk` uses a running farthing as its mint.
