//! The cheap client that the bench and the experiments share: kept-alive connections, credits, credentials.

pub mod connection;
pub mod credential;
pub mod failure;
pub mod mint;
