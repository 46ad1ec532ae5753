//! The loop that keeps time: it pings, and ends sessions that are idle, silent, late with their login, or whose
//! certificate has expired.

use std::time::{Duration, Instant};

use parlour_protocol::{Event, Farewell};

use crate::delivery::peer::{Encoded, Peer};
use crate::session::connection::Connection;
use crate::session::services::Services;

/// Keeps time until the session has to end, tells the peer why, and returns.
pub(super) async fn keep_time(peer: &Peer, services: &Services, connection: &Connection, begun: Instant) {
    let limits = &services.limits;
    let round = Duration::from_secs(limits.ping_seconds);
    loop {
        let left = if peer.is_logged_in() {
            // Checked at each round: `ping_seconds` is 40 at most, so this is never more than 40 seconds late.
            if services.clock.now().as_seconds() > connection.expires() {
                return peer.dismiss(Farewell::CertificateExpired);
            }
            if peer.speaks_json() {
                let silence = peer.silence();
                let Some(left) = remaining(limits.dead_seconds, silence) else {
                    return peer.dismiss(Farewell::Dead);
                };
                // After the ping, all of the time that is left is for the answer.
                remaining(limits.ping_seconds, silence).unwrap_or_else(|| {
                    peer.tell(&Encoded::new(&Event::Ping));
                    left
                })
            } else {
                // TCP keepalive and TCP_USER_TIMEOUT watch over a plain session.
                round
            }
        } else if connection.certificate.is_some() {
            match remaining(limits.login_seconds, begun.elapsed()) {
                Some(left) => left,
                None => return peer.dismiss(Farewell::LoginTime),
            }
        } else {
            match remaining(limits.guest_idle_seconds, peer.silence()) {
                Some(left) => left,
                None => return peer.dismiss(Farewell::Idle),
            }
        };
        tokio::time::sleep(left.min(round)).await;
    }
}

/// The rest of `seconds` after `spent`; `None` when nothing is left.
fn remaining(seconds: u64, spent: Duration) -> Option<Duration> {
    Duration::from_secs(seconds).checked_sub(spent).filter(|left| !left.is_zero())
}
