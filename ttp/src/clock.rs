//! The source of the time.

use parlour_protocol::Timestamp;

/// Tells the time. Any function that returns a [`Timestamp`] is a clock.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// The system's clock, which tests move by an offset.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock {
    offset_seconds: i64,
}

impl SystemClock {
    /// A clock that is ahead of the system's by this many seconds.
    pub const fn with_offset(offset_seconds: i64) -> Self {
        Self { offset_seconds }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = jiff::Timestamp::now().as_millisecond();
        Timestamp::from_millis(millis.saturating_add(self.offset_seconds.saturating_mul(1_000)))
    }
}
