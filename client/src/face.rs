//! The faces of the client: three ways to the same engine. [`words`] is the one table of what a user can
//! type, [`wording`] how a message reads as a line, [`paper`] how a line is written where it goes.

pub mod json;
pub mod paper;
pub mod plain;
pub mod tui;
pub mod why;
pub mod wording;
pub mod words;
mod wrap;
