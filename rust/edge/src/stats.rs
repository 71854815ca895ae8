//! What the edge counts. The edge's thread writes, any thread reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hdrhistogram::Histogram;

/// Latencies are told apart from a microsecond to a minute, in ns, to three digits.
const LATENCY_NS_MIN: u64 = 1_000;
const LATENCY_NS_MAX: u64 = 60_000_000_000;
const LATENCY_DIGITS: u8 = 3;

/// Counters and gauges; see [`EdgeStats`] for what each means.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub connections_open: AtomicU64,
    pub connections_total: AtomicU64,
    pub connections_refused: AtomicU64,
    pub streams_open: AtomicU64,
    pub streams_total: AtomicU64,
    pub streams_cut_blocked: AtomicU64,
    pub streams_cut_slow: AtomicU64,
    pub unary_open: AtomicU64,
    pub unary_total: AtomicU64,
    pub unary_repeated: AtomicU64,
    pub unary_failed: AtomicU64,
    pub refreshes_posted: AtomicU64,
    pub calls_refused: AtomicU64,
    pub calls_expired: AtomicU64,
    pub responses_sent: AtomicU64,
    pub records_sent: AtomicU64,
    pub bytes_sent: AtomicU64,
    pub panics: AtomicU64,
    latency: Mutex<Option<Histogram<u64>>>,
    unary_latency: Mutex<Option<Histogram<u64>>>,
}

/// Picks one number of the statistics.
pub(crate) type Number = fn(&Stats) -> &AtomicU64;

/// Adds `count` to a number.
pub(crate) fn add(number: &AtomicU64, count: u64) {
    number.fetch_add(count, Ordering::Relaxed);
}

fn get(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

/// Keeps one thing counted as present until it is dropped.
#[derive(Debug)]
pub(crate) struct Present {
    stats: Arc<Stats>,
    gauge: Number,
}

impl Present {
    pub(crate) fn enter(stats: &Arc<Stats>, gauge: Number) -> Self {
        add(gauge(stats), 1);
        Self { stats: Arc::clone(stats), gauge }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        (self.gauge)(&self.stats).fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stats {
    /// Notes how long the oldest record of a response waited from its publication to the transport, ns.
    pub(crate) fn record_latency(&self, latency_ns: u64) {
        record(&self.latency, latency_ns);
    }

    /// Notes how long a unary call took from its arrival to its answer or refusal, ns.
    pub(crate) fn record_unary(&self, latency_ns: u64) {
        record(&self.unary_latency, latency_ns);
    }

    /// Returns everything as it is now.
    pub(crate) fn snapshot(&self) -> EdgeStats {
        EdgeStats {
            connections_open: get(&self.connections_open),
            connections_total: get(&self.connections_total),
            connections_refused: get(&self.connections_refused),
            streams_open: get(&self.streams_open),
            streams_total: get(&self.streams_total),
            streams_cut_blocked: get(&self.streams_cut_blocked),
            streams_cut_slow: get(&self.streams_cut_slow),
            unary_open: get(&self.unary_open),
            unary_total: get(&self.unary_total),
            unary_repeated: get(&self.unary_repeated),
            unary_failed: get(&self.unary_failed),
            refreshes_posted: get(&self.refreshes_posted),
            calls_refused: get(&self.calls_refused),
            calls_expired: get(&self.calls_expired),
            responses_sent: get(&self.responses_sent),
            records_sent: get(&self.records_sent),
            bytes_sent: get(&self.bytes_sent),
            panics: get(&self.panics),
            calls_open: 0,
            latency: quantiles(&self.latency),
            unary_latency: quantiles(&self.unary_latency),
        }
    }
}

fn record(latency: &Mutex<Option<Histogram<u64>>>, latency_ns: u64) {
    let mut latency = latency.lock().unwrap_or_else(PoisonError::into_inner);
    if latency.is_none() {
        *latency = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, LATENCY_DIGITS).ok();
    }
    if let Some(histogram) = &mut *latency {
        histogram.saturating_record(latency_ns);
    }
}

fn quantiles(latency: &Mutex<Option<Histogram<u64>>>) -> LatencyStats {
    let latency = latency.lock().unwrap_or_else(PoisonError::into_inner);
    latency.as_ref().map_or_else(LatencyStats::default, |histogram| LatencyStats {
        count: histogram.len(),
        p50_ns: histogram.value_at_quantile(0.5),
        p90_ns: histogram.value_at_quantile(0.9),
        p99_ns: histogram.value_at_quantile(0.99),
        p999_ns: histogram.value_at_quantile(0.999),
        max_ns: histogram.max(),
    })
}

/// Figures of the edge; counters count from its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EdgeStats {
    /// Connections now.
    pub connections_open: u64,
    /// Connections accepted.
    pub connections_total: u64,
    /// Connections closed on arrival because there were too many.
    pub connections_refused: u64,
    /// Subscription streams now.
    pub streams_open: u64,
    /// Subscription streams opened.
    pub streams_total: u64,
    /// Calls cut because a write of theirs stood still.
    pub streams_cut_blocked: u64,
    /// Streams ended because the reader fell behind its bound.
    pub streams_cut_slow: u64,
    /// Unary calls now.
    pub unary_open: u64,
    /// Unary calls that came.
    pub unary_total: u64,
    /// Unary calls answered from the cache, without a handler.
    pub unary_repeated: u64,
    /// Unary calls that ended with an error.
    pub unary_failed: u64,
    /// Calls that the edge itself made, to have an answer in the cache made anew.
    pub refreshes_posted: u64,
    /// Calls refused by the edge itself: limits, overload, draining, unknown methods.
    pub calls_refused: u64,
    /// Calls ended by their deadline or by the server's limit.
    pub calls_expired: u64,
    /// Streamed responses handed to the transport.
    pub responses_sent: u64,
    /// Records in them.
    pub records_sent: u64,
    /// Bytes of all messages handed to the transport.
    pub bytes_sent: u64,
    /// Panics that ended one task of the edge.
    pub panics: u64,
    /// Calls that wait for a handler's answer now.
    pub calls_open: u64,
    /// From publication to the transport, of the oldest record in each response.
    pub latency: LatencyStats,
    /// Of unary calls, from their arrival to the answer or refusal.
    pub unary_latency: LatencyStats,
}

/// Quantiles of a latency, ns; 0 while the count is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatencyStats {
    /// Measurements.
    pub count: u64,
    /// Median.
    pub p50_ns: u64,
    /// 90 % are below.
    pub p90_ns: u64,
    /// 99 % are below.
    pub p99_ns: u64,
    /// 99.9 % are below.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let stats = Stats::default();
        for us in 1..=1_000u64 {
            stats.record_latency(us * 1_000);
        }
        let latency = stats.snapshot().latency;
        assert_eq!(latency.count, 1_000);
        assert!(latency.p50_ns.abs_diff(500_000) <= 1_000, "{latency:?}");
        assert!(latency.p99_ns.abs_diff(990_000) <= 2_000, "{latency:?}");
    }

    #[test]
    fn a_latency_beyond_the_bounds_is_counted_at_the_bound() {
        let stats = Stats::default();
        stats.record_latency(0);
        stats.record_latency(u64::MAX);
        assert_eq!(stats.snapshot().latency.count, 2);
    }

    #[test]
    fn what_leaves_is_no_longer_counted() {
        let stats = Arc::new(Stats::default());
        let present = Present::enter(&stats, |stats| &stats.streams_open);
        assert_eq!(stats.snapshot().streams_open, 1);
        drop(present);
        assert_eq!(stats.snapshot().streams_open, 0);
    }
}
