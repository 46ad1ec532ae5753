//! The line protocol that Parlour's programs speak, without any input or output of its own.
//!
//! [`LineSplitter`] cuts incoming bytes into lines. A line is a [`Command`] for the server, in one of two
//! dialects: [`plain`] for people, [`json`] for programs. The server answers each command with one [`Reply`] or
//! [`Refusal`], and sends [`Event`]s in between. They carry names ([`UserName`], [`Conversation`]), texts
//! ([`SafeText`]) and sealed messages ([`SealedMessage`]). These types can only be made by parsing, so no code
//! after the parser checks them again.
//!
//! [`ttp`] is the protocol between the server and the TTP. [`limits`] holds all limits.

mod command;
mod conversation;
mod display;
mod event;
mod invitation;
pub mod json;
pub mod limits;
mod line;
mod login;
mod message;
mod message_id;
mod name;
pub mod object;
pub mod plain;
mod refusal;
mod reply;
mod sealed;
mod text;
mod timestamp;
pub mod ttp;

pub use command::{Command, Dialect, HistoryRange, Post, Request, Verb};
pub use conversation::{ChannelName, Conversation};
pub use display::{clean, needs_conversation};
pub use event::{Event, Farewell};
pub use invitation::{DEFAULT_PORT, Fingerprint, Invitation, InvitationError, ServerAddress};
pub use limits::Limits;
pub use line::{LineFault, LineSplitter};
pub use login::{EXPORTER_BYTES, EXPORTER_LABEL, login_transcript};
pub use message::{Body, Message, Seq, UNKNOWN_CONTENT};
pub use message_id::MessageId;
pub use name::{DeviceId, NameError, UserName};
pub use refusal::{Detail, Refusal, excerpt};
pub use reply::{AccountInfo, ConversationHead, Reply, RevokedDevice};
pub use sealed::{SealedError, SealedMessage, SealedParts, WrappedKey};
pub use text::{SafeText, TextError};
pub use timestamp::Timestamp;
