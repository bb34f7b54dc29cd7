//! The composition root: configuration, the issuer over HTTP, the admin API and the running server.

pub mod access;
pub mod admin_api;
pub mod app;
pub mod backup;
pub mod chains;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod entitlements;
pub mod features;
pub mod installation;
pub mod issuer_api;
pub mod keysets;
pub mod liabilities;
pub mod life;
pub mod mount;
pub mod operator;
pub mod payouts;
pub mod random;
pub mod rates;
pub mod refunds;
mod reload;
pub mod sandbox;
pub mod seed;
pub mod workers;
