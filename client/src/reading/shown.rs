//! A message as a user sees it: its text, and the client's verdict on it.

use std::fmt;

use parlour_protocol::{Conversation, DeviceId, MessageId, Seq, Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// A message that was received, or sent and stored, with the client's verdict on it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The conversation, as this user calls it.
    pub conversation: Conversation,
    /// Its place there.
    pub seq: Seq,
    /// The sender's id for it.
    pub id: MessageId,
    /// The sender according to the server; the verdict tells if that is proven.
    pub from: UserName,
    /// The recipient according to the server.
    pub to: Conversation,
    /// The time at which the server stored it.
    pub time: Timestamp,
    /// The time at which it was signed, if that differs by more than the tolerance.
    pub signed: Option<Timestamp>,
    /// Its text; `None` if that must not be believed.
    pub text: Option<String>,
    /// The verdict on it.
    pub verdict: Verdict,
    /// True if the server gives it an earlier time than the message before it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub backwards: bool,
    /// The generation of the conversation under which it is kept on this machine.
    #[serde(default, skip_serializing_if = "is_default")]
    pub generation: u64,
    /// True if it does not fit the server's messages any more, and is set aside.
    #[serde(default, skip_serializing_if = "is_default")]
    pub set_aside: bool,
    /// True if the server told the sender that this message was refused, and delivered it all the same.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refused: bool,
    /// The device that signed it, and the time by its clock. Older versions did not keep these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
}

impl Shown {
    /// Its place among all kept messages of its conversation, in the order in which they came.
    pub const fn place(&self) -> (u64, Seq) {
        (self.generation, self.seq)
    }

    /// A remark on its time, if that is wrong.
    pub fn remark_on_time(&self) -> Option<&'static str> {
        self.backwards.then_some("time runs backwards")
    }

    /// The remark on a message that was refused.
    pub fn remark_on_refusal(&self) -> Option<&'static str> {
        self.refused.then_some("the server told the sender that this message was refused")
    }

    /// Withdraws the text, because its device had been revoked when it signed this.
    pub fn withdraw(&mut self) {
        self.text = None;
        self.signed = None;
        self.refused = false;
        self.verdict = Verdict::Bad { reason: REVOKED.to_owned() };
    }
}

/// The signature of a sealed message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // its names say it
pub struct Signer {
    pub device: DeviceId,
    pub time: Timestamp,
}

/// The reason not to believe what a device signed after it was revoked.
pub const REVOKED: &str = "bad signature: the device had been revoked";

/// True for a value that is left out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The degree to which a message can be believed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Verdict {
    /// Sent in a channel: the server vouches for it, and can read it.
    Public,
    /// Sealed, and signed by one of the sender's devices; no message is missing before it.
    Good,
    /// Good, and the sender's device began a new chain: it may have lost its records.
    Restarted,
    /// Good, but messages of the sender's device are missing before it.
    Gap {
        /// The number of messages that are missing, at most.
        missing: u64,
    },
    /// Good, but newer messages of the sender's device came before it.
    Late,
    /// Signed by a device that has since been revoked: the date in it is earlier, but it came later, so that nothing
    /// proves the date.
    DateNotProved {
        /// The number of messages that are missing before it, at most.
        #[serde(default, skip_serializing_if = "is_default")]
        missing: u64,
    },
    /// Not to be believed.
    Bad {
        /// The reason, in words for the user.
        reason: String,
    },
}

impl Verdict {
    /// A remark that the reader must see beside the text, if there is one.
    pub fn remark(&self) -> Option<String> {
        match self {
            Self::Public | Self::Good => None,
            Self::Restarted => Some("the sender's device began a new chain of messages".to_owned()),
            Self::Gap { missing: 1 } => Some("a message before this one is missing".to_owned()),
            // Some of these may have been refused.
            Self::Gap { missing } => Some(format!("up to {missing} messages before this one are missing")),
            Self::Late => Some("the server has moved this message, or delivered it late".to_owned()),
            Self::DateNotProved { missing } => {
                let gap = Self::Gap { missing: *missing }.remark().filter(|_| *missing > 0);
                let remark = "date not proved: the device was revoked, and its thief can sign with any date";
                Some(gap.map_or_else(|| remark.to_owned(), |gap| format!("{remark}; {gap}")))
            }
            Self::Bad { reason } => Some(reason.clone()),
        }
    }

    /// This verdict for a message whose date is not proved.
    #[must_use]
    pub fn undated(self) -> Self {
        match self {
            Self::Good | Self::Restarted | Self::Late => Self::DateNotProved { missing: 0 },
            Self::Gap { missing } => Self::DateNotProved { missing },
            other => other,
        }
    }

    /// This verdict for a message before which others are missing.
    #[must_use]
    pub fn after_gap(self, missing: u64) -> Self {
        match self {
            Self::DateNotProved { .. } => Self::DateNotProved { missing },
            _ => Self::Gap { missing },
        }
    }

    /// True if the message is from its sender and unchanged.
    pub fn is_believed(&self) -> bool {
        !matches!(self, Self::Bad { .. })
    }
}

/// Leaves the text out.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown")
            .field("conversation", &self.conversation)
            .field("seq", &self.seq)
            .field("from", &self.from)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}
