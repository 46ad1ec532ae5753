//! The client's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parlour_keylog::CertificateError;
use parlour_protocol::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// The system's clock, which tests move by an offset.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    offset_seconds: i64,
}

impl Clock {
    /// A clock that is ahead of the system's by this many seconds.
    pub const fn with_offset(offset_seconds: i64) -> Self {
        Self { offset_seconds }
    }

    /// Now.
    pub fn now(self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(millis.saturating_add(self.offset_seconds.saturating_mul(1_000)))
    }
}

/// Asked when a certificate is not valid now, which may be the fault of either side.
pub const DOUBT: &str = "is this machine's clock right?";

/// The fault of a certificate. If it is not valid now, this asks about the clock: it may have just been issued.
pub fn doubted(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::NotYetValid | CertificateError::RootNotValid => {
            format!("{error}; {DOUBT}")
        }
        _ => error.to_string(),
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.now().as_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}
