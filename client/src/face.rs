//! The faces of the client: three ways to use the same engine. [`words`] is the table of the commands that a user can
//! type, [`wording`] turns a message into a line of text, [`why`] explains what became of kept messages, and [`paper`]
//! writes a line to a pipe or a terminal.

pub mod json;
pub mod paper;
pub mod plain;
pub mod tui;
pub mod why;
pub mod wording;
pub mod words;
mod wrap;
