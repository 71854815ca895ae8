//! Deadlines: what `grpc-timeout` says, and the server's own bound beside it.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Status;

use crate::{clock, status};

/// Longest run of digits that gRPC allows.
const DIGITS_MAX: usize = 8;

/// Longest wait that is kept; what a client asks beyond it makes no difference, and no overflow either.
const WAIT_MAX: Duration = Duration::from_hours(365 * 24);

/// When a call ends by time, and whose time it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    arrived: Instant,
    arrived_ns: u64,
    client: Option<Duration>,
    server: Option<Duration>,
}

impl Deadline {
    /// Takes the earlier of the client's deadline and the server's bound, both from now.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if `grpc-timeout` cannot be read.
    pub(crate) fn new(headers: &HeaderMap, server: Option<Duration>) -> Result<Self, Status> {
        let client = timeout(headers)?;
        Ok(Self { arrived: Instant::now(), arrived_ns: clock::mono_ns(), client, server })
    }

    /// Returns this deadline with another bound of the server's, from the arrival of the call.
    pub(crate) fn bounded(self, server: Duration) -> Self {
        Self { server: Some(server), ..self }
    }

    /// Returns when it passes, ns of the monotonic clock; `None`: never.
    pub(crate) fn mono_ns(&self) -> Option<u64> {
        self.wait().map(|wait| self.arrived_ns.saturating_add(nanoseconds(wait)))
    }

    /// Waits until it has passed and tells what the client is told. Only the client's own deadline gives
    /// `DEADLINE_EXCEEDED` (STYLE R20).
    pub(crate) async fn passed(&self) -> Status {
        match self.wait() {
            Some(wait) => tokio::time::sleep_until(self.arrived + wait).await,
            None => std::future::pending().await,
        }
        match self.server {
            Some(server) if self.client.is_none_or(|client| server < client) => status::time_limit(server),
            _ => status::deadline_exceeded(),
        }
    }

    fn wait(&self) -> Option<Duration> {
        self.client.into_iter().chain(self.server).min()
    }
}

fn nanoseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)
}

/// Reads `grpc-timeout`: up to eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    value.to_str().ok().and_then(parse).map(Some).ok_or_else(|| {
        status::invalid_request("grpc-timeout", "expected up to 8 digits and one of H M S m u n")
    })
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    let wait = match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    };
    Some(wait.min(WAIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_the_grpc_protocol_is_read() {
        let cases =
            [("2H", 7200 * 1_000_000_000), ("2M", 120_000_000_000), ("2S", 2_000_000_000), ("2m", 2_000_000)];
        for (text, nanos) in cases.into_iter().chain([("2u", 2_000), ("2n", 2), ("00000002n", 2)]) {
            assert_eq!(parse(text).map(|wait| wait.as_nanos()), Some(nanos), "{text}");
        }
    }

    #[test]
    fn what_is_no_timeout_is_refused() {
        for text in ["", "S", "1", "1x", "-1S", "+1S", "1.5S", " 1S", "123456789n", "1é"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_longest_timeout_does_not_overflow() {
        assert_eq!(parse("99999999H"), Some(WAIT_MAX));
    }
}
