//! From a message as the server delivers it to a message as a user sees it: [`opening`] decrypts and verifies it by
//! itself, [`judge`] compares it with the others of its [`chain`], and [`shown`] is the result.

pub mod chain;
pub mod counters;
pub mod judge;
pub mod opening;
pub mod shown;
