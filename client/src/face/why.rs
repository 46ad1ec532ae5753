//! `/why` in words: the changes to the messages that are kept of a conversation, and advice.

use jiff::tz::TimeZone;
use parlour_protocol::Conversation;

use crate::asking::action::Ended;
use crate::face::wording::moment;
use crate::records::Reason;

/// A line for each change, the newest first; one line if there was none.
pub fn lines(conversation: &Conversation, ended: &[Ended], zone: &TimeZone) -> Vec<String> {
    if ended.is_empty() {
        return vec![format!("{conversation}: all messages kept here agree with the server's")];
    }
    ended.iter().map(|ended| line(conversation, ended, zone)).collect()
}

fn line(conversation: &Conversation, ended: &Ended, zone: &TimeZone) -> String {
    let Ended { reason, server_last, kept_last, set_aside, missing, .. } = ended;
    let noticed = moment(ended.noticed, zone);
    let happened = match reason {
        Reason::SetBack => format!("the server had {server_last} messages, this machine {kept_last}"),
        Reason::OtherMessage => {
            "the server had other messages in place of some that are kept here".to_owned()
        }
        Reason::Gap => format!("the server had {server_last} messages, this machine only {kept_last}"),
    };
    let became = match (set_aside, missing) {
        (0, 0) => "they agree again, and nothing is set aside".to_owned(),
        (0, 1) => "1 message between is not on this machine; scroll up to fetch it".to_owned(),
        (0, missing) => {
            format!("{missing} messages between are not on this machine; scroll up to fetch them")
        }
        (1, _) => format!("1 message is set aside, and can be read in the history; {}", advice(*reason)),
        (count, _) => {
            format!("{count} messages are set aside, and can be read in the history; {}", advice(*reason))
        }
    };
    format!("{conversation}: noticed {noticed}: {happened}; {became}")
}

const fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::SetBack => {
            "ask the operator whether the server was restored from a backup; say again what others still need"
        }
        Reason::OtherMessage | Reason::Gap => {
            "ask the operator what happened, and compare with others what they see: a server must not do that"
        }
    }
}
