//! Parlour's terminal client.
//!
//! Three faces, [`face::plain`], [`face::json`] and [`face::tui`], stand over one [`engine`]: an
//! [`Action`](action::Action) goes in, [`Update`](update::Update)s come out, and what they add up to is
//! the [`State`](state::State) that the terminal draws. The engine owns the [`link`] to the server, the
//! [`profile`] with the keys, and the [`records`] of what was said; [`trust`] decides which server it
//! talks to, [`opening`] finds what is in a message, [`judge`] what it is worth. [`words`] is the one table of what a user can type.

pub mod action;
pub mod cli;
pub mod clock;
pub mod config;
pub mod confinement;
pub mod control;
pub mod engine;
pub mod face;
pub mod failure;
pub mod judge;
pub mod link;
pub mod oneshot;
pub mod opening;
pub mod profile;
pub mod records;
pub mod setup;
pub mod shown;
pub mod state;
pub mod trust;
pub mod update;
pub mod wording;
pub mod words;
