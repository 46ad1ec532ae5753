//! The audit log: what happened that matters to security, in a chain that shows when it was changed.
//!
//! An [`SecurityEvent`] is what happened. The [`Recorder`] notes it with its time, counts [repetitions](Repeats)
//! instead of writing each, and hands [`Entry`]s to the store, which chains them. [`report`] is how an
//! operator reads and checks the log. No event has a place for what a message says.

mod event;
mod recorder;
mod repeats;
pub mod report;
mod since;

pub use event::{Detail, Entry, Kind, SecurityEvent};
pub use recorder::Recorder;
pub use repeats::Repeats;
pub use since::Since;
