//! `/why` in words: the changes to the messages that are kept of a conversation, and advice.

use jiff::tz::TimeZone;
use parlour_protocol::Conversation;

use crate::asking::action::Ended;
use crate::face::wording::moment;
use crate::records::Reason;

/// A line about refused messages, if there are any, and one for each change, the newest first; one line if there is
/// nothing to say.
pub fn lines(conversation: &Conversation, ended: &[Ended], refused: u64, zone: &TimeZone) -> Vec<String> {
    if ended.is_empty() && refused == 0 {
        return vec![format!("{conversation}: all messages kept here agree with the server's")];
    }
    let refused = (refused > 0).then(|| on_refused(conversation, refused));
    refused.into_iter().chain(ended.iter().map(|ended| line(conversation, ended, zone))).collect()
}

fn on_refused(conversation: &Conversation, refused: u64) -> String {
    let messages = if refused == 1 { "a message".to_owned() } else { format!("{refused} messages") };
    format!(
        "{conversation}: the server delivered {messages} that it had refused, as the remark there says; the sender was \
         told that nobody got it: tell the sender that you have it, and ask the operator what happened, since a server \
         must not do that"
    )
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
