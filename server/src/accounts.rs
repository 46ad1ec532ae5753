//! Accounts, which the server knows and the TTP makes.
//!
//! The [`directory`] remembers accounts that the store has. The TTP, which issues certificates, is reached through
//! [`ttp_client`]; [`revocations`] follows what it revokes.

pub mod directory;
pub mod revocations;
pub mod ttp_client;
