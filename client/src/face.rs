//! The faces of the client: three ways to the same engine. [`words`] is the one table of what a user can
//! type, [`wording`] how a message reads as a line.

pub mod json;
pub mod plain;
pub mod tui;
pub mod why;
pub mod wording;
pub mod words;
