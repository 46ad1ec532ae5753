//! Delivery: brings a stored message to everyone who may read it.
//!
//! [`fan_out`] takes the messages that became durable and brings them to the sessions in the [`hub`]. Each session has
//! a [`peer`]: an [`outbox`], and the [`wire`] on which the lines of the outbox are sent. [`in_flight`] bounds the
//! bytes of messages that are on their way at once.

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
