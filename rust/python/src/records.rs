//! Records for one subscriber: what the hub has encoded, because it knows no message.

use facade_hub::{
    DeliveryCause, DeliveryChange, DeliveryGap, Mode, ResumePosition, Stamp, StreamEncoder, TopicKey,
};
use facade_model::{Channel, GapCause, GapScope, GapState, Integrity, UpdateFlags};
use facade_wire as wire;
use facade_wire::{DeliveryMode, Header, SubscriptionPhase, SubscriptionStatus};

/// Writes the stream records that the hub cannot know.
pub(crate) struct Encoder {
    /// Number of this start of the publisher.
    pub(crate) epoch: u32,
}

impl StreamEncoder for Encoder {
    fn gap(&self, gap: &DeliveryGap<'_>, out: &mut Vec<u8>) {
        let record = wire::Gap {
            gap_id: gap.seq_first,
            scope: GapScope::Delivery,
            seq_first: gap.seq_first,
            seq_last: gap.seq_last,
            venue_sequence_first: None,
            venue_sequence_last: None,
            ts_first: gap.wall_ns_first,
            ts_last: gap.now.wall_ns,
            count: Some(gap.count),
            cause: GapCause::SlowReader,
            state: GapState::Lost,
            filled: 0,
        };
        wire::gap(out, &stream_header(self.epoch, gap.now.wall_ns, &gap.topic), &record);
    }

    fn delivery_change(&self, change: &DeliveryChange<'_>, out: &mut Vec<u8>) {
        let record = wire::DeliveryChange {
            mode_old: mode(change.mode_old),
            mode_new: mode(change.mode_new),
            cause: cause(change.cause),
            skipped: change.skipped,
            lag_ms: u32::try_from(change.lag_ns / 1_000_000).unwrap_or(u32::MAX),
        };
        wire::delivery_change(out, &stream_header(self.epoch, change.now.wall_ns, &change.topic), &record);
    }

    fn draining(&self, positions: &[ResumePosition], now: Stamp, out: &mut Vec<u8>) {
        let positions: Vec<wire::Position<'_>> = positions
            .iter()
            .filter_map(|position| {
                let topic = position.topic.as_key();
                Some(wire::Position {
                    venue: position.topic.venue.as_ref(),
                    symbol: position.topic.symbol.as_ref(),
                    channel: Channel::from_number(topic.channel)?,
                    variant: position.topic.variant.as_ref(),
                    epoch: self.epoch,
                    seq: position.seq,
                })
            })
            .collect();
        let draining = wire::Draining { positions: &positions, ts_deadline: 0 };
        wire::draining(out, self.epoch, now.wall_ns, &draining);
    }
}

const fn mode(mode: Mode) -> DeliveryMode {
    match mode {
        Mode::Every => DeliveryMode::Every,
        Mode::Latest => DeliveryMode::Latest,
        Mode::Interval => DeliveryMode::Interval,
        _ => DeliveryMode::Unspecified,
    }
}

const fn cause(cause: DeliveryCause) -> wire::DeliveryCause {
    match cause {
        DeliveryCause::LagWarning => wire::DeliveryCause::LagWarning,
        DeliveryCause::LagCleared => wire::DeliveryCause::LagCleared,
        DeliveryCause::Behind => wire::DeliveryCause::Behind,
        DeliveryCause::Bytes => wire::DeliveryCause::Bytes,
        DeliveryCause::KeepsUp => wire::DeliveryCause::KeepsUp,
        _ => wire::DeliveryCause::Unspecified,
    }
}

pub(crate) fn stream_header<'a>(epoch: u32, ts_publish: i64, topic: &TopicKey<'a>) -> Header<'a> {
    Header {
        venue: topic.venue,
        symbol: topic.symbol,
        channel: Channel::from_number(topic.channel).unwrap_or(Channel::Trades),
        variant: topic.variant,
        epoch,
        seq: 0,
        ts_event: 0,
        ts_recv: 0,
        ts_publish,
        integrity: Integrity::Unspecified,
        flags: UpdateFlags::default(),
        venue_sequence_previous: None,
        venue_sequence: None,
    }
}

/// A status without news.
pub(crate) const fn blank_status(
    phase: SubscriptionPhase,
    request_id: u64,
    subscription_id: u32,
    requested_symbol: &str,
) -> SubscriptionStatus<'_> {
    SubscriptionStatus {
        request_id,
        subscription_id,
        phase,
        code: 0,
        reason: "",
        message: "",
        suggestions: &[],
        delivery: DeliveryMode::Unspecified,
        interval_ms: 0,
        seq_next: 0,
        seq_oldest: 0,
        requested_symbol,
        history_trade_id_last: None,
    }
}
