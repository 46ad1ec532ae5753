//! The part of the database that the writer keeps in memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::ConversationKey;
use super::audit::AuditLog;
use super::room::Room;
use super::survey::Survey;
use super::tail::Tail;

/// The state of the database that the writer knows without a query.
pub(super) struct Memory {
    pub(super) tails: HashMap<ConversationKey, Tail>,
    pub(super) room: Room,
    pub(super) audit: AuditLog,
    pub(super) survey: Arc<Survey>,
}

impl Memory {
    /// Forgets everything that may be ahead of the database, after a transaction that failed.
    pub(super) fn forget(&mut self) {
        self.tails.clear();
        self.room.forget();
        self.audit.forget();
    }
}
