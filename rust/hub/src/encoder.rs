//! How the hub, which knows no message, has records made that concern one subscriber only.

use crate::delivery::DeliveryChange;
use crate::record::Stamp;
use crate::topic::{TopicKey, TopicName};

/// What one subscriber will not be given of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryGap<'a> {
    /// The topic.
    pub topic: TopicKey<'a>,
    /// First `seq` that is not delivered.
    pub seq_first: u64,
    /// Last `seq` that is not delivered: the head.
    pub seq_last: u64,
    /// Topic records in the hole.
    pub count: u64,
    /// Wall time of publication of the first lost record; 0: the ring no longer knows it.
    pub wall_ns_first: i64,
    /// Time of the hub: the newest stamp it was given.
    pub now: Stamp,
}

/// A position to resume from: the last record of the topic that the subscriber was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePosition {
    /// The topic.
    pub topic: TopicName,
    /// `seq` of the last topic record given.
    pub seq: u64,
}

/// Writes stream records: bare `Update` messages with `seq` 0, appended to `out`.
///
/// Called under the lock of the hub: it must be quick and must not call the hub.
pub trait StreamEncoder: Send + Sync {
    /// Writes a `Gap` of scope DELIVERY.
    fn gap(&self, gap: &DeliveryGap<'_>, out: &mut Vec<u8>);

    /// Writes a `DeliveryChange`.
    fn delivery_change(&self, change: &DeliveryChange<'_>, out: &mut Vec<u8>);

    /// Writes a `Draining` with the positions to resume from.
    fn draining(&self, positions: &[ResumePosition], now: Stamp, out: &mut Vec<u8>);
}
