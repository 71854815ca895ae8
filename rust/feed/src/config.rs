//! Figures of a feed, all from FAULTS 1.3 unless they say otherwise.

use facade_model::Variant;
use facade_venues::Product;

use crate::buffer::BufferBounds;

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;

/// Settings of one feed. Times in nanoseconds.
#[derive(Debug, Clone)]
pub struct FeedConfig {
    /// Venue and protocol.
    pub product: Product,
    /// Number of this start of the publisher: unix seconds.
    pub epoch: u32,
    /// Seed of the jitter.
    pub seed: u64,
    /// Whether a capture is replayed: timers are off, and every topic that shows up is taken.
    pub is_replay: bool,
    /// Makes a book report after every this many applied updates; 0: never.
    pub report_every: u64,
    /// Klines that a replay makes of all trades.
    pub klines: Vec<Variant>,
    /// How long after its end a bar waits before it is final.
    pub kline_close_ns: i64,
    /// How long after its end a bar still takes late trades.
    pub kline_late_ns: i64,
    /// Shortest interval between two provisional issues of a bar; 0: none.
    pub kline_provisional_ns: i64,
    /// How long a hole in trades stays open for its backfill; 0: nothing is asked for.
    pub backfill_ns: i64,
    /// Shortest silence of a stream that is looked into.
    pub stale_ns: i64,
    /// Median intervals that a stream may be silent.
    pub stale_factor: i64,
    /// How long a stream of unknown rhythm may be silent.
    pub stale_unknown_ns: i64,
    /// Shortest pause between two questions about a silent stream.
    pub probe_ns: i64,
    /// Silence of all data after which a second source is asked about the connection.
    pub line_probe_ns: i64,
    /// Pause of ours after which nothing is LIVE unheard.
    pub pause_ns: i64,
    /// Mean interval of the audits of one book; 0: none.
    pub audit_ns: i64,
    /// How long changes are noted before REST is asked, and at most after it answered.
    pub audit_window_ns: i64,
    /// Mean pause before a difference is looked at again.
    pub audit_confirm_ns: i64,
    /// Interval of REST while the socket is down; 0: none.
    pub fallback_ns: i64,
    /// Whether the venue's most active symbol is always followed, where a line may be silent otherwise.
    pub has_canary: bool,
    /// Longest silence of an open connection.
    pub liveness_ns: i64,
    /// Interval of the venue's active ping; 0: none.
    pub ping_ns: i64,
    /// Longest wait for the answer to a subscription, and for the snapshot behind it.
    pub ack_ns: i64,
    /// Tries of a subscription before its topic is given up.
    pub ack_tries: u32,
    /// Shortest interval between two messages to the venue.
    pub send_ns: i64,
    /// Levels a side of a REST snapshot.
    pub snapshot_levels: u32,
    /// Levels a side of a subscribed book, where the venue lets us choose.
    pub book_depth: u32,
    /// Most levels a side that are kept; 0: no bound.
    pub levels_max: u32,
    /// Bounds of the deltas that wait for a snapshot.
    pub buffer: BufferBounds,
    /// First pause between two snapshot tries; doubles.
    pub resync_min_ns: i64,
    /// Longest pause of the fast tries.
    pub resync_fast_max_ns: i64,
    /// Number of fast tries.
    pub resync_fast_tries: u32,
    /// Pause of all later tries, for ever.
    pub resync_slow_ns: i64,
    /// How long a book may stay crossed before it is fetched anew.
    pub crossed_ns: i64,
    /// How long a REST snapshot waits for its first delta in a quiet market.
    pub quiet_ns: i64,
    /// Interval of checkpoints while a book changes.
    pub checkpoint_ns: i64,
    /// Levels a side that a checkpoint hashes.
    pub checkpoint_levels: u32,
    /// Silence of a topic after which it beats.
    pub heartbeat_ns: i64,
    /// Longest pause before the first reconnect.
    pub reconnect_first_ns: i64,
    /// Base of the exponential backoff.
    pub reconnect_base_ns: i64,
    /// Cap of the exponential backoff.
    pub reconnect_max_ns: i64,
    /// Time LIVE after which the backoff starts anew.
    pub settled_ns: i64,
    /// Pause of the breaker after repeated protocol faults.
    pub breaker_ns: i64,
    /// After so long the venue cuts a connection; 0: it does not.
    pub lifetime_ns: i64,
    /// Shortest time for which a connection and its successor are both open.
    pub overlap_ns: i64,
    /// Undecodable frames a minute that are tolerated.
    pub malformed_max: u32,
}

impl FeedConfig {
    /// Returns the defaults of a product.
    #[must_use]
    pub fn new(product: Product, epoch: u32, seed: u64) -> Self {
        let is_okx = product == Product::Okx;
        let (ping_ns, send_ns) = match product {
            Product::Okx => (5 * SECOND, 0),
            Product::Kraken => (20 * SECOND, 0),
            Product::CoinbaseAdvanced | Product::CoinbaseExchange => (0, 130 * MS),
            _ => (0, 250 * MS),
        };
        Self {
            product,
            epoch,
            seed,
            is_replay: false,
            report_every: 0,
            klines: Vec::new(),
            kline_close_ns: 250 * MS,
            kline_late_ns: 2 * SECOND,
            kline_provisional_ns: SECOND,
            backfill_ns: 5 * SECOND,
            stale_ns: 5 * SECOND,
            stale_factor: 20,
            stale_unknown_ns: 20 * SECOND,
            probe_ns: 10 * SECOND,
            line_probe_ns: 20 * SECOND,
            pause_ns: SECOND,
            audit_ns: 300 * SECOND,
            audit_window_ns: 2 * SECOND,
            audit_confirm_ns: 10 * SECOND,
            fallback_ns: 5 * SECOND,
            has_canary: true,
            liveness_ns: if is_okx { 10 * SECOND } else { 3 * SECOND },
            ping_ns,
            ack_ns: 5 * SECOND,
            ack_tries: 3,
            send_ns,
            snapshot_levels: 1_000,
            book_depth: 1_000,
            levels_max: 50_000,
            buffer: BufferBounds { deltas_max: 20_000, bytes_max: 16 << 20 },
            resync_min_ns: 250 * MS,
            resync_fast_max_ns: 3 * SECOND,
            resync_fast_tries: 5,
            resync_slow_ns: 15 * SECOND,
            crossed_ns: SECOND,
            quiet_ns: 5 * SECOND,
            checkpoint_ns: SECOND,
            checkpoint_levels: 50,
            heartbeat_ns: SECOND,
            reconnect_first_ns: 250 * MS,
            reconnect_base_ns: 500 * MS,
            reconnect_max_ns: 15 * SECOND,
            settled_ns: 30 * SECOND,
            breaker_ns: 60 * SECOND,
            lifetime_ns: 0,
            overlap_ns: SECOND,
            malformed_max: 10,
        }
    }

    /// Sets a figure by its name; times in milliseconds, without the `_ns`. `false`: there is no such figure.
    pub fn set(&mut self, name: &str, value: i64) -> bool {
        let ns = value.saturating_mul(MS);
        let count = u32::try_from(value).unwrap_or(u32::MAX);
        match name {
            "kline_close_ms" => self.kline_close_ns = ns,
            "kline_late_ms" => self.kline_late_ns = ns,
            "kline_provisional_ms" => self.kline_provisional_ns = ns,
            "backfill_ms" => self.backfill_ns = ns,
            "stale_ms" => self.stale_ns = ns,
            "stale_factor" => self.stale_factor = value,
            "stale_unknown_ms" => self.stale_unknown_ns = ns,
            "probe_ms" => self.probe_ns = ns,
            "line_probe_ms" => self.line_probe_ns = ns,
            "pause_ms" => self.pause_ns = ns,
            "audit_ms" => self.audit_ns = ns,
            "audit_window_ms" => self.audit_window_ns = ns,
            "audit_confirm_ms" => self.audit_confirm_ns = ns,
            "fallback_ms" => self.fallback_ns = ns,
            "canary" => self.has_canary = value != 0,
            "liveness_ms" => self.liveness_ns = ns,
            "ping_ms" => self.ping_ns = ns,
            "ack_ms" => self.ack_ns = ns,
            "ack_tries" => self.ack_tries = count,
            "send_ms" => self.send_ns = ns,
            "snapshot_levels" => self.snapshot_levels = count,
            "book_depth" => self.book_depth = count,
            "levels_max" => self.levels_max = count,
            "buffer_deltas_max" => self.buffer.deltas_max = count as usize,
            "buffer_bytes_max" => self.buffer.bytes_max = count as usize,
            "resync_min_ms" => self.resync_min_ns = ns,
            "resync_fast_max_ms" => self.resync_fast_max_ns = ns,
            "resync_fast_tries" => self.resync_fast_tries = count,
            "resync_slow_ms" => self.resync_slow_ns = ns,
            "crossed_ms" => self.crossed_ns = ns,
            "quiet_ms" => self.quiet_ns = ns,
            "checkpoint_ms" => self.checkpoint_ns = ns,
            "checkpoint_levels" => self.checkpoint_levels = count,
            "heartbeat_ms" => self.heartbeat_ns = ns,
            "reconnect_first_ms" => self.reconnect_first_ns = ns,
            "reconnect_base_ms" => self.reconnect_base_ns = ns,
            "reconnect_max_ms" => self.reconnect_max_ns = ns,
            "settled_ms" => self.settled_ns = ns,
            "breaker_ms" => self.breaker_ns = ns,
            "lifetime_ms" => self.lifetime_ns = ns,
            "overlap_ms" => self.overlap_ns = ns,
            "malformed_max" => self.malformed_max = count,
            _ => return false,
        }
        true
    }
}
