//! The audit log's events: a [`SecurityEvent`] of a [`Kind`] becomes an [`Entry`], and [`Repeats`] counts those that
//! repeat themselves, so that one entry stands for many.
//!
//! No event has a place for the content of a message. The recorder takes events from the whole server,
//! and the store chains the entries, so that changes are noticed.

mod event;
mod repeats;

pub use event::{Detail, Entry, Kind, SecurityEvent};
pub use repeats::Repeats;
