//! What the edge is told when it is made: where it listens, what it serves, and every bound (STYLE idea 5).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use crate::repeats::Repeats;
use crate::served::Freshness;

/// Everything that is decided before the edge starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Addresses to listen on. Port 0: the first takes a free one, the others take the same.
    pub listen: Vec<SocketAddr>,
    /// Whether an address that others can reach is accepted without TLS and authentication.
    pub is_public_allowed: bool,
    /// Whether reflection is served; only on loopback.
    pub is_dev: bool,
    /// Serialized `FileDescriptorSet` for reflection; empty: none.
    pub descriptor: Vec<u8>,
    /// Paths of the unary methods whose answers end with field 15, `Served`.
    pub served_methods: HashSet<String>,
    /// What is answered without the handlers; `None`: nothing.
    pub repeats: Option<Repeats>,
    /// How the age of an answer becomes its penalty.
    pub freshness: Freshness,
    /// Epoch of the publisher, told beside positions to resume from.
    pub epoch: u32,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of the edge. The defaults are those of FAULTS 1.3 and 5.2.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once; one more is closed on arrival.
    pub connections_max: usize,
    /// Streams at once on one connection.
    pub connection_streams_max: u32,
    /// Calls that wait for a handler or are in its hands.
    pub calls_max: usize,
    /// Size of one request message, bytes.
    pub request_bytes_max: usize,
    /// Size of a call's metadata that the edge accepts, bytes as HTTP/2 counts them.
    pub metadata_bytes_max: usize,
    /// Size of a call's metadata that the transport reads at all, bytes.
    pub metadata_bytes_hard_max: u32,
    /// Size of one streamed response, unless one update alone is larger, bytes.
    pub response_bytes_max: usize,
    /// Bytes handed to the transport in one piece: how much of a stopped stream lies unsent.
    pub write_bytes_max: usize,
    /// Longest time that a call may take until its answer, or the first message of several.
    pub unary_max: Duration,
    /// Longest time that an answer in several messages may take, from the arrival of its call.
    pub parts_max: Duration,
    /// Time in which the first request of a stream must come.
    pub first_request_max: Duration,
    /// Silence after which an empty response leaves on a stream.
    pub silence_max: Duration,
    /// Time that a write may stand still before its stream is cut.
    pub blocked_max: Duration,
    /// Time between two pings to a client.
    pub ping_interval: Duration,
    /// Time that a client has to answer a ping.
    pub ping_timeout: Duration,
    /// Time after which a connection without calls is closed.
    pub idle_max: Duration,
    /// Time in which `stop` ends what still runs.
    pub stop_max: Duration,
    /// Streams that a client opened and reset before the edge looked at them, for each connection.
    pub pending_resets_max: usize,
    /// Streams that the edge itself reset for a client's mistake, for each connection.
    pub local_resets_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            connection_streams_max: 128,
            calls_max: 4_096,
            request_bytes_max: 64 * 1024,
            metadata_bytes_max: 8 * 1024,
            metadata_bytes_hard_max: 16 * 1024,
            response_bytes_max: 64 * 1024,
            write_bytes_max: 16 * 1024,
            unary_max: Duration::from_secs(10),
            // 64 MiB at 2 Mbit/s.
            parts_max: Duration::from_mins(5),
            first_request_max: Duration::from_secs(5),
            silence_max: Duration::from_secs(1),
            blocked_max: Duration::from_secs(10),
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(5),
            idle_max: Duration::from_mins(5),
            stop_max: Duration::from_millis(500),
            pending_resets_max: 32,
            local_resets_max: 256,
        }
    }
}

impl Limits {
    /// Sets one bound by its name in the configuration; times are in milliseconds. Returns whether there is a
    /// bound of that name that can be `value`.
    #[must_use]
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        if let Some(time) = self.time(name) {
            *time = Duration::from_millis(value);
            return value > 0;
        }
        if let Some(count) = self.count(name) {
            return usize::try_from(value).is_ok_and(|value| {
                *count = value;
                value > 0
            });
        }
        let bound = match name {
            "connection_streams_max" => &mut self.connection_streams_max,
            "metadata_bytes_hard_max" => &mut self.metadata_bytes_hard_max,
            _ => return false,
        };
        u32::try_from(value).is_ok_and(|value| {
            *bound = value;
            value > 0
        })
    }

    fn time(&mut self, name: &str) -> Option<&mut Duration> {
        Some(match name {
            "unary_ms_max" => &mut self.unary_max,
            "parts_ms_max" => &mut self.parts_max,
            "first_request_ms_max" => &mut self.first_request_max,
            "silence_ms_max" => &mut self.silence_max,
            "blocked_ms_max" => &mut self.blocked_max,
            "ping_interval_ms" => &mut self.ping_interval,
            "ping_timeout_ms" => &mut self.ping_timeout,
            "idle_ms_max" => &mut self.idle_max,
            "stop_ms_max" => &mut self.stop_max,
            _ => return None,
        })
    }

    fn count(&mut self, name: &str) -> Option<&mut usize> {
        Some(match name {
            "connections_max" => &mut self.connections_max,
            "calls_max" => &mut self.calls_max,
            "request_bytes_max" => &mut self.request_bytes_max,
            "metadata_bytes_max" => &mut self.metadata_bytes_max,
            "response_bytes_max" => &mut self.response_bytes_max,
            "write_bytes_max" => &mut self.write_bytes_max,
            "pending_resets_max" => &mut self.pending_resets_max,
            "local_resets_max" => &mut self.local_resets_max,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_set_by_its_name() {
        let mut limits = Limits::default();
        assert!(limits.set("unary_ms_max", 250));
        assert!(limits.set("calls_max", 7));
        assert!(limits.set("connection_streams_max", 3));
        assert_eq!(limits.unary_max, Duration::from_millis(250));
        assert_eq!((limits.calls_max, limits.connection_streams_max), (7, 3));
    }

    #[test]
    fn an_unknown_name_a_zero_and_what_does_not_fit_are_refused() {
        let mut limits = Limits::default();
        assert!(!limits.set("unary_max", 250));
        assert!(!limits.set("calls_max", 0));
        assert!(!limits.set("ping_timeout_ms", 0));
        assert!(!limits.set("connection_streams_max", 1 << 40));
    }
}
