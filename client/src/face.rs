//! The faces of the client: three ways to the same engine.

pub mod json;
pub mod plain;
pub mod tui;
