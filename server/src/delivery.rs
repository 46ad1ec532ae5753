//! Delivery: a stored message reaches everyone who may hear it.
//!
//! [`fan_out`] takes what became durable and brings it to everyone in the [`hub`]. Each of them is a [`peer`]: an
//! [`outbox`], and the [`wire`] on which what is in it is sent. [`in_flight`] bounds how many bytes of messages are on their
//! way at once.

pub mod fan_out;
pub mod hub;
pub mod in_flight;
pub mod outbox;
pub mod peer;
mod refusals;
pub mod wire;

pub use self::fan_out::{Posting, deliver};
pub(crate) use self::refusals::{
    append_refusal, create_account_refusal, internal, read_refusal, write_refusal,
};
