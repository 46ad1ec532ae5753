//! Values that are not counted, but read at each request.

use std::fmt::{self, Debug};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::edge::entrance::Entrance;

/// Reads the gate, the hub, the queues and the certificates.
pub(super) struct Live {
    entrance: Arc<Entrance>,
}

impl Live {
    pub(super) fn new(entrance: Arc<Entrance>) -> Self {
        Self { entrance }
    }

    /// The numbers of users' sessions and of guests'.
    fn sessions(&self) -> [(&'static str, u64); 2] {
        let users = count(self.entrance.services.hub.everyone().len());
        let all = u64::try_from(self.entrance.services.metrics.sessions.get()).unwrap_or(0);
        [("user", users), ("guest", all.saturating_sub(users))]
    }

    /// The bytes that wait for users' sessions: for all together, and for the one that lags most.
    fn outgoing(&self) -> (u64, u64) {
        let everyone = self.entrance.services.hub.everyone();
        let each = everyone.iter().map(|peer| count(peer.outbox.on_their_way()));
        each.fold((0, 0), |(all, most), bytes| (all + bytes, most.max(bytes)))
    }

    /// The end of each certificate, in seconds since 1970.
    fn expiries(&self) -> Vec<(&'static str, i64)> {
        let identity = self.entrance.identity();
        let server = identity.expires.map(|expires| ("server", expires));
        server.into_iter().chain([("root", identity.root.not_after())]).collect()
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (outgoing, longest) = self.outgoing();
        for (name, help, unit, value) in [
            (
                "connections",
                "Connections, including those still in their handshake.",
                None,
                self.entrance.gate.connections(),
            ),
            (
                "handshakes_under_way",
                "TLS handshakes under way.",
                None,
                self.entrance.gate.handshakes_under_way(),
            ),
            (
                "writes_waiting",
                "Writes that wait for the database.",
                None,
                count(self.entrance.services.store.waiting()),
            ),
            ("outgoing_waiting", "Waiting for all users' sessions.", Some(Unit::Bytes), outgoing),
            ("outgoing_longest", "Waiting for the session that lags most.", Some(Unit::Bytes), longest),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?)?;
        }
        let mut family = encoder.encode_descriptor(
            "sessions",
            "Sessions of users, and of guests who are not logged in.",
            None,
            MetricType::Gauge,
        )?;
        for (kind, value) in self.sessions() {
            ConstGauge::new(value).encode(family.encode_family(&[("kind", kind)])?)?;
        }
        let mut family = encoder.encode_descriptor(
            "certificate_expiry_timestamp",
            "End of the certificate.",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (certificate, value) in self.expiries() {
            ConstGauge::new(value).encode(family.encode_family(&[("certificate", certificate)])?)?;
        }
        Ok(())
    }
}

impl Debug for Live {
    /// The server's parts are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}
