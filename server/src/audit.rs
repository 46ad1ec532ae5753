//! The audit log: security events in a chain that reveals changes.
//!
//! The [`Recorder`] takes each [`SecurityEvent`] with its time, counts [repetitions](Repeats) instead of writing
//! each, and hands [`Entry`]s to the store, which chains them. With [`report`] an operator reads and checks the
//! log. No event has a place for the content of a message.

mod event;
mod recorder;
mod repeats;
pub mod report;
mod since;

pub use event::{Detail, Entry, Kind, SecurityEvent};
pub use recorder::Recorder;
pub use repeats::Repeats;
pub use since::Since;
