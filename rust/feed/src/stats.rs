//! Counts and latencies of a feed. Real quantiles, never averages (DESIGN 2.4).

use std::collections::BTreeSet;

use hdrhistogram::Histogram;

use crate::audit_flow::AuditCounts;
use crate::inspect::TopicReport;
use crate::offset::ClockOffset;
use crate::publish::Times;

/// Longest latency that is told apart, ns.
const LATENCY_MAX_NS: u64 = 60_000_000_000;
/// Significant digits of the histograms.
const DIGITS: u8 = 2;

/// Everything countable of one feed since its start.
#[derive(Debug, Default)]
pub struct FeedStats {
    /// Frames received.
    pub frames: u64,
    /// Frames that could not be decoded.
    pub errors: u64,
    /// Frames, or parts of them, of a kind that we do not know.
    pub unknown: u64,
    /// Book messages.
    pub book_messages: u64,
    /// Trades published.
    pub trades: u64,
    /// Holes in trade ids.
    pub trade_gaps: u64,
    /// Of these, how many were filled whole.
    pub trade_gaps_filled: u64,
    /// Trades that REST or a repetition brought after a gap.
    pub backfilled: u64,
    /// Records flagged for prices or quantities outside all reason.
    pub bad_ticks: u64,
    /// Records flagged for venue times outside all reason.
    pub bad_times: u64,
    /// Questions to a second source about silent streams.
    pub probes: u64,
    /// Streams that were found mute.
    pub mutes: u64,
    /// Pauses of ours in which nobody listened.
    pub pauses: u64,
    /// Audits of books.
    pub audits: AuditCounts,
    /// Records that REST gave while the socket was down.
    pub fallbacks: u64,
    /// Klines whose numbers could not be encoded.
    pub klines_refused: u64,
    /// Messages that were already contained.
    pub duplicates: u64,
    /// Subscriptions refused.
    pub refusals: u64,
    /// Announced shutdowns.
    pub notices: u64,
    /// State records published.
    pub states: u64,
    /// Fetches that brought no usable snapshot.
    pub fetch_failures: u64,
    /// Panics caught.
    pub panics: u64,
    /// Batches that the hub refused: a fault of ours.
    pub publish_errors: u64,
    /// Venue symbols that a replay met and no instrument list named.
    pub missing_instruments: BTreeSet<String>,
    /// What topics had counted that were given up: totals must not fall when a topic goes.
    pub given_up: TopicTotals,
    /// The venue's clock against ours.
    pub offset: ClockOffset,
    /// Venue event to socket.
    pub venue: Latency,
    /// Socket to hub.
    pub publish: Latency,
}

/// Counts over several topics.
#[derive(Debug, Clone, Copy, Default)]
pub struct TopicTotals {
    /// Gaps announced.
    pub gaps: u64,
    /// Book messages applied.
    pub book_updates: u64,
    /// Returns to LIVE after a break.
    pub resyncs: u64,
    /// Proofs checked.
    pub proofs_checked: u64,
    /// Proofs that did not hold.
    pub proofs_failed: u64,
}

impl TopicTotals {
    /// Adds the counts of one topic.
    pub fn add(&mut self, topic: &TopicReport) {
        self.gaps += topic.gaps;
        if let Some(book) = &topic.book {
            self.book_updates += book.updates;
            self.resyncs += book.resyncs;
            self.proofs_checked += book.proofs.checked;
            self.proofs_failed += book.proofs.failed;
        }
    }
}

/// A latency distribution; negative values are counted apart (DESIGN 13.3).
#[derive(Debug, Default)]
pub struct Latency {
    histogram: Option<Histogram<u64>>,
    /// Values below zero: the clocks disagree.
    pub negative: u64,
}

impl Latency {
    fn record(&mut self, ns: i64) {
        let Ok(ns) = u64::try_from(ns) else {
            self.negative += 1;
            return;
        };
        if self.histogram.is_none() {
            self.histogram = Histogram::new_with_max(LATENCY_MAX_NS, DIGITS).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record(ns);
        }
    }

    /// Number of values, and the 0.5, 0.9, 0.99 and 0.999 quantiles in ns.
    #[must_use]
    pub fn quantiles(&self) -> (u64, [u64; 4]) {
        self.histogram.as_ref().map_or((0, [0; 4]), |histogram| {
            (histogram.len(), [0.5, 0.9, 0.99, 0.999].map(|quantile| histogram.value_at_quantile(quantile)))
        })
    }
}

impl FeedStats {
    pub(crate) fn venue_to_recv(&mut self, times: Times) {
        if times.event != 0 {
            self.venue.record(times.recv - times.event);
            self.offset.note(times.event, times.recv);
        }
    }

    pub(crate) fn recv_to_publish(&mut self, start: i64, end: i64) {
        self.publish.record(end - start);
    }
}
