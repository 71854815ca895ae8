//! Pauses of ours: the process was stopped, or its loop was held up (rows E19, H06). Whatever was LIVE is told to be
//! STALE before anything else, since nobody watched it meanwhile.

use facade_model::{Channel, StateReason, StreamPhase};

use crate::command::Command;
use crate::feed::{CHANNELS, Feed};
use crate::lifeline::Socket;
use crate::machine::BookMachine;

/// How long the socket must have been empty, so that what came in the pause is surely read.
const SETTLED_NS: i64 = 200_000_000;

impl Feed {
    /// Tells a pause since the last turn, and makes the connection anew after one in which it may have died.
    ///
    /// Returns whether there was one.
    pub(crate) fn note_pause(&mut self) -> bool {
        let now = self.publisher.now;
        let turn_at = std::mem::replace(&mut self.line.turn_at, now);
        let idle = now - turn_at;
        let is_open = self.line.socket == Socket::Open && !self.line.is_closing;
        if turn_at == 0 || idle <= self.config.pause_ns || self.config.is_replay || !is_open {
            return false;
        }
        self.stats.pauses += 1;
        for stream in 0..self.streams.len() {
            for channel in CHANNELS {
                if self
                    .is_in(stream, channel, |phase| matches!(phase, StreamPhase::Live | StreamPhase::Halted))
                {
                    self.set_state(stream, channel, StreamPhase::Stale, StateReason::Paused, "");
                }
            }
        }
        self.listen(); // silence in the pause was ours
        self.line.paused_at = now;
        self.line.settled_since = 0;
        if idle > self.config.liveness_ns {
            self.close_line("the process was paused");
        }
        true
    }

    /// Closes the connection; what it still brings is not read.
    pub(crate) fn close_line(&mut self, reason: &'static str) {
        self.line.is_closing = true;
        self.commands.push(Command::Close { code: 1000, reason });
    }

    /// Notes after a frame whether the socket is empty.
    pub(crate) const fn note_backlog(&mut self, has_more: bool) {
        if self.line.paused_at == 0 {
            return;
        }
        if has_more {
            self.line.settled_since = 0;
        } else if self.line.settled_since == 0 {
            self.line.settled_since = self.publisher.now;
        }
    }

    /// Ends a short pause once everything that came in it was read.
    pub(crate) fn pause_due(&mut self) {
        let line = &mut self.line;
        if line.paused_at == 0 || line.settled_since == 0 {
            return;
        }
        if self.publisher.now - line.settled_since < SETTLED_NS {
            return;
        }
        line.paused_at = 0;
        for stream in 0..self.streams.len() {
            for channel in CHANNELS {
                let topic = self.streams.get(stream).and_then(|entry| entry.topic(channel));
                if topic.is_some_and(|topic| {
                    topic.phase == StreamPhase::Stale && topic.reason == StateReason::Paused
                }) {
                    self.end_staleness(stream, channel);
                }
            }
        }
    }

    /// Returns a stale topic to what it was: its book is proven still, nothing was withheld.
    pub(crate) fn end_staleness(&mut self, stream: usize, channel: Channel) {
        let Some(entry) = self.streams.get(stream) else { return };
        let phase = match (channel, &entry.machine) {
            (Channel::BookL2, Some(machine)) => BookMachine::phase(machine),
            _ => StreamPhase::Live,
        };
        let is_whole = entry.topic(channel).is_some_and(|topic| topic.gap.is_none());
        if is_whole {
            self.set_state(stream, channel, phase, StateReason::Synced, "");
        }
    }

    pub(crate) fn is_in(
        &self,
        stream: usize,
        channel: Channel,
        phases: impl Fn(StreamPhase) -> bool,
    ) -> bool {
        self.streams
            .get(stream)
            .and_then(|entry| entry.topic(channel))
            .is_some_and(|topic| phases(topic.phase))
    }
}
