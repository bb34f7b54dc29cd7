//! The published attacks on pay-per-request, and some more. Each is carried out twice: on a naive server, where it must
//! succeed, so that we know that it is an attack, and on the gate, where it must not.

mod comparison;
mod confusion;
mod forged;
mod house;
mod race;
mod replay;
mod stolen;
mod stripping;
