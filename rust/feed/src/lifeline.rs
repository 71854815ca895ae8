//! The connection's own state: attempts, backoff, strikes, liveness. Pure: time and seed are arguments.

use facade_model::StateReason;

use crate::config::FeedConfig;
use crate::jitter::Jitter;

const MINUTE_NS: i64 = 60_000_000_000;

/// What the socket is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// Never asked for, or given up.
    Idle,
    /// A dial is under way or planned.
    Dialing,
    /// Frames may come.
    Open,
}

/// State of one venue connection over its reconnects. All times monotonic ns.
#[derive(Debug)]
pub struct Lifeline {
    /// What the socket is doing.
    pub socket: Socket,
    /// Whether the venue announced the end of this connection.
    pub is_notified: bool,
    /// When it should be renewed; 0: never.
    pub renew_at: i64,
    /// Counts connections, from 1; 0: none yet.
    pub connection: u32,
    /// Dials since the connection was last settled.
    pub attempt: u32,
    /// When the socket opened.
    pub opened_at: i64,
    /// When the last frame came.
    pub frame_at: i64,
    /// When the last data came: pongs, heartbeats and answers are none.
    pub data_at: i64,
    /// When the last turn ended.
    pub turn_at: i64,
    /// When a pause of ours was noticed that is not over; 0: none.
    pub paused_at: i64,
    /// Since when the socket is empty after a pause; 0: it is not.
    pub settled_since: i64,
    /// No question about the whole line before this.
    pub question_at: i64,
    /// Since when the socket is down; 0: it is not, or never was up.
    pub down_since: i64,
    /// Whether a close is on its way: what still comes is not read.
    pub is_closing: bool,
    /// Whether REST stands in for the socket.
    pub is_fallback: bool,
    /// When the last ping left.
    pub pinged_at: i64,
    /// When the next dial is due.
    pub dial_at: i64,
    /// Wall time of the last frame.
    pub frame_wall: i64,
    /// Close code of the last connection.
    pub close_code: Option<u16>,
    /// Connections that were made again.
    pub reconnects: u64,
    strikes: u32,
    struck_at: i64,
    malformed: u32,
    malformed_since: i64,
    jitter: Jitter,
}

impl Lifeline {
    /// Makes the state of a connection that was never made.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            socket: Socket::Idle,
            is_notified: false,
            renew_at: 0,
            connection: 0,
            attempt: 0,
            opened_at: 0,
            frame_at: 0,
            data_at: 0,
            turn_at: 0,
            paused_at: 0,
            settled_since: 0,
            question_at: 0,
            down_since: 0,
            is_closing: false,
            is_fallback: false,
            pinged_at: 0,
            dial_at: 0,
            frame_wall: 0,
            close_code: None,
            reconnects: 0,
            strikes: 0,
            struck_at: 0,
            malformed: 0,
            malformed_since: 0,
            jitter: Jitter::new(seed),
        }
    }

    /// Notes that the socket is open; `lifetime_ns` 0: the venue does not cut it.
    pub fn opened(&mut self, now: i64, lifetime_ns: i64) {
        self.is_notified = false;
        // at 95 % of the lifetime, 2 % sooner or later
        let jitter = if lifetime_ns == 0 { 0 } else { self.jitter.below(lifetime_ns / 25) };
        self.renew_at = if lifetime_ns == 0 { 0 } else { now + lifetime_ns / 100 * 93 + jitter };
        self.socket = Socket::Open;
        self.connection += 1;
        self.reconnects += u64::from(self.connection > 1);
        self.opened_at = now;
        self.frame_at = now;
        self.data_at = now;
        self.pinged_at = now;
        self.down_since = 0;
        (self.is_closing, self.is_fallback) = (false, false);
        (self.paused_at, self.settled_since) = (0, 0);
        self.malformed = 0;
    }

    /// Plans the next dial and returns its delay: at once, then equal jitter on a doubling base; a breaker's
    /// pause after a second protocol fault. A short life does not reset the backoff (row A12). Never sooner than
    /// `wait_ns`, which the venue asked for (row A08).
    pub fn plan_dial(&mut self, now: i64, config: &FeedConfig, wait_ns: i64) -> i64 {
        if self.socket == Socket::Open && now - self.opened_at >= config.settled_ns {
            self.attempt = 0;
            self.strikes = 0;
        }
        self.socket = Socket::Dialing;
        if self.down_since == 0 {
            self.down_since = now;
        }
        self.attempt += 1;
        let delay = if self.strikes >= 2 {
            config.breaker_ns - config.breaker_ns / 10 + self.jitter.below(config.breaker_ns / 5)
        } else if self.attempt <= 1 {
            self.jitter.below(config.reconnect_first_ns)
        } else {
            let doubled = config.reconnect_base_ns.saturating_mul(1_i64 << (self.attempt - 2).min(16));
            let full = doubled.min(config.reconnect_max_ns);
            full / 2 + self.jitter.below(full - full / 2)
        };
        let delay = delay.max(wait_ns);
        self.dial_at = now.saturating_add(delay);
        delay
    }

    /// Counts a violation of the protocol; the second one since the last settled connection opens the breaker.
    pub fn strike(&mut self, now: i64) {
        if now - self.struck_at > 10 * MINUTE_NS {
            self.strikes = 0;
        }
        self.struck_at = now;
        self.strikes += 1;
    }

    /// Whether the breaker holds back the next dial.
    #[must_use]
    pub const fn is_breaker_open(&self) -> bool {
        self.strikes >= 2
    }

    /// Counts an undecodable frame; `true` when there were too many in a minute.
    pub fn malformed(&mut self, now: i64, config: &FeedConfig) -> bool {
        if now - self.malformed_since > MINUTE_NS {
            self.malformed_since = now;
            self.malformed = 0;
        }
        self.malformed += 1;
        self.malformed > config.malformed_max
    }

    /// Whether the open connection was silent for too long.
    ///
    /// A venue that sends nothing by itself may be quiet for longer, unless its canary is followed.
    #[must_use]
    pub fn is_silent(&self, now: i64, config: &FeedConfig, has_canary: bool) -> bool {
        let is_talkative = has_canary || config.product.canary().is_none();
        let most = if is_talkative {
            config.liveness_ns
        } else {
            config.liveness_ns.max(config.line_probe_ns / 2 * 3)
        };
        self.socket == Socket::Open && !self.is_closing && now - self.frame_at > most
    }
}

/// Reads a close code as a reason: 1002, 1007 and 1009 are ours, for frames that break the protocol.
#[must_use]
pub const fn close_reason(code: u16) -> StateReason {
    match code {
        1002 | 1007 | 1009 => StateReason::MalformedFrames,
        _ => StateReason::ConnectionClosed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use facade_venues::Product;

    #[test]
    fn row_a12_flapping_stays_below_forty_attempts_in_five_minutes() {
        let config = FeedConfig::new(Product::BinanceSpot, 1, 7);
        for seed in 0..200 {
            let mut line = Lifeline::new(seed);
            let (mut now, mut attempts) = (0, 0);
            while now < 5 * MINUTE_NS {
                now += line.plan_dial(now, &config, 0);
                line.opened(now, 0);
                attempts += 1;
                now += 200_000_000;
            }
            assert!(attempts <= 40, "seed {seed}: {attempts} attempts");
        }
    }

    #[test]
    fn first_attempt_is_quick_and_a_settled_connection_starts_over() {
        let config = FeedConfig::new(Product::Okx, 1, 7);
        let mut line = Lifeline::new(3);
        assert!(line.plan_dial(0, &config, 0) < config.reconnect_first_ns);
        for _ in 0..10 {
            let delay = line.plan_dial(0, &config, 0);
            assert!(delay >= config.reconnect_base_ns / 2 && delay <= config.reconnect_max_ns);
        }
        line.opened(0, 0);
        assert!(line.plan_dial(config.settled_ns, &config, 0) < config.reconnect_first_ns);
    }

    #[test]
    fn row_a08_no_dial_is_wanted_before_the_time_that_a_venue_told() {
        let config = FeedConfig::new(Product::Okx, 1, 7);
        for seed in 0..200 {
            let mut line = Lifeline::new(seed);
            for wait_ns in [0, 1, 30_000_000_000, 259_200_000_000_000, i64::MAX] {
                assert!(line.plan_dial(5, &config, wait_ns) >= wait_ns);
                assert!(line.dial_at >= wait_ns);
            }
        }
    }

    #[test]
    fn second_protocol_fault_opens_the_breaker() {
        let config = FeedConfig::new(Product::Kraken, 1, 7);
        let mut line = Lifeline::new(3);
        line.strike(0);
        assert!(line.plan_dial(0, &config, 0) < config.reconnect_first_ns);
        line.strike(1);
        let delay = line.plan_dial(1, &config, 0);
        assert!((54_000_000_000..=66_000_000_000).contains(&delay), "{delay}");
    }
}
