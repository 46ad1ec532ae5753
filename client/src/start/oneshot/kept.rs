//! The messages on this machine, for a user who cannot log in.

use std::path::Path;

use crate::asking::action::Action;
use crate::failure::Failure;
use crate::locale::Charset;
use crate::profile::ProfileLock;
use crate::reading::shown::Shown;
use crate::records::Records;

/// The messages that answer a request for the history; none for another request, or if none are kept.
pub(super) fn read(profile: &Path, action: &Action) -> Result<Vec<Shown>, Failure> {
    let Action::History { conversation, limit, .. } = action else { return Ok(Vec::new()) };
    if !profile.join("local.db").exists() {
        return Ok(Vec::new());
    }
    let _lock = ProfileLock::take(profile)?;
    Ok(Records::open(profile)?.messages(conversation, None, *limit)?)
}

/// Says on standard error why the messages come from this machine.
pub(super) fn explain(failure: &Failure) {
    let happened = if failure.is_absence() {
        "warning: the server is away"
    } else {
        "error: the server refused the login"
    };
    let notice = format!("{happened} ({failure}): these messages are those kept on this machine");
    let charset = Charset::of_process();
    eprintln!("{}", charset.line(&parlour_protocol::clean(&notice)));
    if let Some(hint) = failure.hint() {
        eprintln!("hint: {}", charset.line(hint));
    }
}
