//! The issuer over HTTP, from the outside: every endpoint's story, every refusal, repetitions, races, crashes and what
//! the folder tells about payers.

mod batches;
mod bodies;
mod crash;
mod credits;
mod deposits;
mod forgetting;
mod liabilities;
mod life;
mod limits;
mod locks;
mod melts;
mod outputs;
mod pages;
mod places;
mod privacy;
mod quotes;
mod races;
mod repetition;
mod rotation;
mod socket;
mod stories;
mod support;
mod transfers;
mod trials;
mod withdrawals;
