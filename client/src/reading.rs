//! From a message as the server hands it out to what a user sees: [`opening`] finds what is in it, [`judge`]
//! what it is worth, beside the others of its [`chain`], and [`shown`] is the result.

pub mod chain;
pub mod counters;
pub mod judge;
pub mod opening;
pub mod shown;
