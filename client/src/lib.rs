//! Parlour's terminal client.
//!
//! | to find | look in |
//! | --- | --- |
//! | what runs when the program starts, its options, commands for scripts | [`start`] |
//! | what a user sees and types: lines, JSON, the terminal | [`face`] |
//! | what a face can ask for, and what it is told | [`asking`] |
//! | the task that does it: logging in, saying, catching up | [`engine`] |
//! | what a message holds and how far it can be believed | [`reading`] |
//! | what is kept on this machine of what was said | [`records`] |
//! | how an error reads to a user | [`failure`] |
//! | the connection, and which server is trusted | [`link`] |
//! | a user's keys and certificates | [`profile`] |
//! | the socket through which one-shot commands reach a running client | [`control`] |
//!
//! An [`Action`](asking::action::Action) goes into the engine, [`Update`](asking::update::Update)s come out,
//! and what they add up to is the [`State`](face::tui::state::State) that the terminal draws. Dependencies
//! run one way: from the program and its faces over the language of asking to the engine, and from there to
//! records, connection, keys and messages, which do not know the engine.

pub mod asking;
pub mod clock;
pub mod control;
pub mod engine;
pub mod face;
pub mod failure;
pub mod link;
pub mod locale;
pub mod profile;
pub mod reading;
pub mod records;
pub mod start;
