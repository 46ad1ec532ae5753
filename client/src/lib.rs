//! Parlour's terminal client.
//!
//! | to find | look in |
//! | --- | --- |
//! | the program's start, its options, commands for scripts | [`start`] |
//! | what a user types and sees: plain lines, JSON, the terminal | [`face`] |
//! | the requests that a face can make, and the reports that it gets | [`asking`] |
//! | the task that carries them out: logging in, sending, catching up | [`engine`] |
//! | a message's content, and how far it can be believed | [`reading`] |
//! | the messages that are kept on this machine | [`records`] |
//! | errors as a user sees them | [`failure`] |
//! | the connection, and which server is trusted | [`link`] |
//! | a user's keys and certificates | [`profile`] |
//! | requests to the process that started the client | [`broker`] |
//! | the socket through which one-shot commands reach a running client | [`control`] |
//!
//! An [`Action`](asking::action::Action) goes into the engine, [`Update`](asking::update::Update)s come out,
//! and what they add up to is the [`State`](face::tui::state::State) that the terminal draws. Dependencies
//! run one way: from the program and its faces over the language of asking to the engine, and from there to
//! records, connection, keys and messages, which do not know the engine.

pub mod asking;
pub mod broker;
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
