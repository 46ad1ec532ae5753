//! The outcome of an act of the authority: a line for the applicant, or a refusal.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use parlour_keylog::CertificateError;
use parlour_protocol::ttp::{Issued, TtpAnswer, TtpRefusal};

use crate::ledger::LedgerError;
use crate::profile::ProfileError;

/// The reasons why nothing was issued.
#[derive(Debug)]
pub(super) enum Denied {
    /// The applicant's fault. The reason is for our log.
    Refused(TtpRefusal, String),
    /// The disk is full, or does not keep what is written. Nothing was issued, and the request can be sent again.
    NotWritten(LedgerError),
    /// Our own fault.
    Failed(String),
}

/// The time between two lines in the log while nothing can be written.
const REMINDER: Duration = Duration::from_mins(1);

/// Logs that nothing can be written, unless that was logged a short while ago.
fn remind(failure: &LedgerError) {
    static SAID: Mutex<Option<Instant>> = Mutex::new(None);
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    if said.is_none_or(|said| said.elapsed() >= REMINDER) {
        *said = Some(Instant::now());
        tracing::error!("{failure}: nothing can be issued now");
    }
}

impl Denied {
    pub(super) fn bad_request(reason: &impl ToString) -> Self {
        Self::Refused(TtpRefusal::BadRequest, reason.to_string())
    }

    /// The refusal for the applicant. The log gets the reason.
    pub(super) fn tell(self, act: &'static str) -> TtpRefusal {
        match self {
            Self::Refused(refusal, reason) => {
                tracing::info!(act, refusal = %refusal, reason, "refused");
                refusal
            }
            Self::NotWritten(failure) => {
                remind(&failure);
                TtpRefusal::Internal
            }
            Self::Failed(reason) => {
                tracing::error!(act, reason, "failed");
                TtpRefusal::Internal
            }
        }
    }
}

impl From<LedgerError> for Denied {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Full | LedgerError::Unsynced => Self::NotWritten(error),
            LedgerError::Missing(_)
            | LedgerError::Foreign(_)
            | LedgerError::Newer { .. }
            | LedgerError::Failed(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<ProfileError> for Denied {
    fn from(error: ProfileError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// New certificates are checked before they leave, so this would be a fault in our profiles.
impl From<CertificateError> for Denied {
    fn from(error: CertificateError) -> Self {
        Self::Failed(format!("a certificate that was just made is not good: {error}"))
    }
}

/// The answer as it is stored and sent.
pub(super) fn line(issued: Issued) -> Result<String, Denied> {
    serde_json::to_string(&TtpAnswer::Issued(issued)).map_err(|error| Denied::Failed(error.to_string()))
}

/// Parses a stored answer.
pub(super) fn issued(line: &str) -> Result<Issued, TtpRefusal> {
    match serde_json::from_str(line) {
        Ok(TtpAnswer::Issued(issued)) => Ok(issued),
        Ok(TtpAnswer::Watching {} | TtpAnswer::Revoked(_) | TtpAnswer::Error(_) | TtpAnswer::Unknown)
        | Err(_) => Err(Denied::Failed("a stored answer cannot be read".to_owned()).tell("answer")),
    }
}
