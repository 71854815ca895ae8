//! Make-before-break: a second connection takes the topics of the first over, without a hole and without a repetition.
//!
//! The standby feed subscribes like any other and keeps the frames that it receives; it publishes nothing. Once every
//! item is answered, the feed in use notes what it receives last of each stream of messages; after an overlap it holds
//! its frames back for a moment, until the standby has received all that the other has published. Then the standby takes
//! books, numbers and bars as they are, plays the kept frames behind that point, and goes on live. Both lines tell the
//! same messages: where the venue numbers them the numbers are compared, else their content. Trades need no such point:
//! their ids tell which are new.

use std::collections::HashMap;

use facade_model::{Channel, StateReason, StreamPhase};
use facade_venues::{ControlOp, Decoded, Event};

use crate::chain::SnapshotSource;
use crate::command::Command;
use crate::feed::{CHANNELS, Feed};
use crate::lifeline::Socket;
use crate::messages::told_by;
use crate::standby::{Held, HeldFrame, Key, Tracks, meeting_of};
use crate::stream::Stream;
use crate::subscriptions::ItemState;

/// How long the line in use is held back at most, at one try.
const FREEZE_NS: i64 = 500_000_000;
/// Pause before the next try.
const RETRY_NS: i64 = 200_000_000;
/// Tries after which a book that does not meet is made anew on the new line, and its gap told.
const TRIES_MAX: u32 = 5;
/// Up to which held event the line in use had published, by stream of messages.
type Meeting = HashMap<Key, u64>;

impl Feed {
    /// Takes the venue's word that it will close the connection.
    pub(crate) const fn on_notice(&mut self) {
        self.stats.notices += 1;
        self.line.is_notified = true;
    }

    /// Makes this feed a standby: it publishes nothing until it took topics over.
    pub fn stand_by(&mut self) {
        self.held = Some(Box::default());
    }

    /// Whether this feed is a standby.
    #[must_use]
    pub const fn is_standby(&self) -> bool {
        self.held.is_some()
    }

    /// Why the connection should be renewed: it nears its lifetime, or the venue announced its end.
    #[must_use]
    pub fn roll_due(&self) -> Option<&'static str> {
        if self.is_standby() || self.config.is_replay || self.line.socket != Socket::Open {
            return None;
        }
        if self.line.is_notified {
            return Some("venue notice");
        }
        let is_old = self.line.renew_at != 0 && self.clock.monotonic_ns() >= self.line.renew_at;
        is_old.then_some("lifetime")
    }

    /// Takes all topics of `old` over if both lines meet; returns whether it has. Call it after every frame and tick
    /// of either line.
    pub fn take_over(&mut self, old: &mut Self) -> bool {
        let Some(held) = &self.held else { return true };
        if self.line.socket != Socket::Open || !self.is_answered(held) {
            return false;
        }
        if old.line.socket != Socket::Open {
            self.adopt(old, &Meeting::new());
            return true;
        }
        let now = self.clock.monotonic_ns();
        let overlap_ns = self.config.overlap_ns;
        let tracks = old.tracks.get_or_insert_with(|| Box::new(Tracks::new(now, overlap_ns)));
        if now < tracks.not_before {
            return false;
        }
        let (frozen_at, _) = tracks.frozen.get_or_insert_with(|| (now, Vec::new()));
        let is_late = now - *frozen_at > FREEZE_NS;
        let is_last_try = is_late && tracks.tries >= TRIES_MAX;
        if let Some(meeting) = self.meeting(old, is_last_try) {
            self.adopt(old, &meeting);
            return true;
        }
        if is_late {
            old.thaw(now);
        }
        false
    }

    /// Keeps a frame of a standby; what is answered or announced is taken at once.
    pub(crate) fn hold(&mut self, frame: &[u8], decoded: &Decoded, ts_recv: i64) {
        let now = self.publisher.now;
        for event in &decoded.events {
            match event {
                Event::Acked(control) => self.on_control(frame, control, true),
                Event::Refused(control) => self.on_control(frame, control, false),
                Event::Notice => self.on_notice(),
                Event::ConnectionSequence(number) => {
                    if self.frame_sequence.is_some_and(|last| *number != last + 1) {
                        self.commands
                            .push(Command::Close { code: 1000, reason: "sequence gap on a standby" });
                    }
                    self.frame_sequence = Some(*number);
                }
                _ => {}
            }
        }
        let mut told = Vec::new();
        told_by(self.config.product, frame, decoded, |at, symbol, channel, message| {
            if let Some(stream) = self.index_of(symbol) {
                told.push((at, (stream, channel), message));
            }
        });
        let sequence = self.frame_sequence;
        let Some(held) = &mut self.held else { return };
        let first = held.next;
        held.next += decoded.events.len() as u64;
        let mut is_kept = false;
        for (at, key, message) in told {
            if let Some(message) = message {
                is_kept = true;
                held.told.entry(key).or_default().push_back((first + at as u64, now, message));
            } else {
                held.based.insert(key);
            }
        }
        if is_kept
            || decoded
                .events
                .iter()
                .any(|event| matches!(event, Event::Trades(trades) if !trades.is_snapshot))
        {
            held.bytes += frame.len();
            held.frames.push_back(HeldFrame { bytes: frame.to_vec(), ts_recv, at: now, sequence, first });
        }
        held.trim(now);
    }

    /// Notes what the line in use received, while another is about to take over.
    pub(crate) fn track(&mut self, frame: &[u8], decoded: &Decoded) {
        let Some(mut tracks) = self.tracks.take() else { return };
        told_by(self.config.product, frame, decoded, |_, symbol, channel, message| {
            if let (Some(message), Some(stream)) = (message, self.index_of(symbol)) {
                tracks.note((stream, channel), message);
            }
        });
        self.tracks = Some(tracks);
    }

    /// Holds a frame back if another line is about to take over; `true`: it must not be published.
    pub(crate) fn hold_back(&mut self, frame: &[u8], ts_recv: i64) -> bool {
        let Some((_, frames)) = self.tracks.as_mut().and_then(|tracks| tracks.frozen.as_mut()) else {
            return false;
        };
        frames.push((frame.to_vec(), ts_recv));
        true
    }

    /// Gives up to hold frames back: publishes them.
    pub(crate) fn thaw(&mut self, now: i64) {
        let Some(tracks) = &mut self.tracks else { return };
        tracks.tries += 1;
        tracks.not_before = now + RETRY_NS;
        let Some((_, frames)) = tracks.frozen.take() else { return };
        for (frame, ts_recv) in frames {
            self.on_frame(&frame, ts_recv, false);
        }
    }

    /// Whether every item of the standby is answered, and the first state of each book is there.
    fn is_answered(&self, held: &Held) -> bool {
        let sends_state = SnapshotSource::of(self.config.product) != SnapshotSource::Rest;
        let items = self.subscriptions.items();
        items.iter().all(|item| match item.state {
            ItemState::Refused => true,
            ItemState::Active => {
                let is_book = item.channel == Channel::BookL2;
                !is_book || !sends_state || held.based.contains(&(item.stream, item.channel))
            }
            _ => false,
        })
    }

    /// Finds where both lines meet, for each stream of messages that matters; `None`: not yet. On the last try a stream
    /// that does not meet is left out.
    fn meeting(&self, old: &Self, is_last_try: bool) -> Option<Meeting> {
        let (held, tracks) = (self.held.as_ref()?, old.tracks.as_ref()?);
        let mut meeting = Meeting::new();
        for (at, entry) in old.streams.iter().enumerate() {
            if entry.all_topics().next().is_none() {
                continue;
            }
            let stream = self.stream_named(&entry.instrument.venue_symbol)?;
            for channel in [Channel::BookL2, Channel::TopOfBook, Channel::Ticker] {
                if entry.topic(channel).is_none() {
                    continue;
                }
                let ours = held.told.get(&(stream, channel));
                match meeting_of(ours, tracks.last.get(&(at, channel)), tracks.since) {
                    Some(number) => {
                        meeting.insert((stream, channel), number);
                    }
                    None if is_last_try => {}
                    None => return None,
                }
            }
        }
        Some(meeting)
    }

    /// Takes everything of `old` and plays the kept frames behind the meeting.
    fn adopt(&mut self, old: &mut Self, meeting: &Meeting) {
        let Some(held) = self.held.take() else { return };
        let was_lost = old.line.socket != Socket::Open;
        let now = self.clock.monotonic_ns();
        old.tracks = None;
        self.inherit(old);
        for entry in &mut old.streams {
            if entry.all_topics().next().is_none() {
                continue;
            }
            let Some(stream) = self.stream_of(&entry.instrument.venue_symbol) else { continue };
            let taken = std::mem::replace(entry, Stream::new(entry.instrument.clone()));
            if let Some(place) = self.streams.get_mut(stream) {
                *place = taken;
                place.resync.request_id = None;
                place.resync.snapshot_deadline = 0;
                place.backfill.ask_again(now);
            }
        }
        self.forget_joints();
        self.begin();
        self.settle_items(was_lost);
        self.end();
        self.play(*held, meeting, was_lost);
        self.begin();
        self.mend_books(meeting, was_lost);
        self.leave_unneeded();
        self.end();
    }

    /// Takes the counts and the clocks of the feed in use: its figures go on.
    fn inherit(&mut self, old: &mut Self) {
        let frames = self.stats.frames;
        self.stats = std::mem::take(&mut old.stats);
        self.stats.frames += frames;
        self.notes = std::mem::take(&mut old.notes);
        self.times = std::mem::take(&mut old.times);
        self.has_klines_due = old.has_klines_due;
        self.publisher.records += old.publisher.records;
        self.line.connection = old.line.connection + 1;
        self.line.reconnects = old.line.reconnects;
    }

    /// Tells what the new line's answers mean for topics that the old one had lost, and for those that it refused.
    fn settle_items(&mut self, was_lost: bool) {
        let items = self.subscriptions.items().to_vec();
        for item in items {
            match item.state {
                ItemState::Refused => {
                    self.refused(item.stream, item.channel, StateReason::VenueRejected, "refused on renewal");
                }
                ItemState::Active if was_lost => {
                    if item.channel == Channel::BookL2 {
                        let (phase, reason) = (StreamPhase::Syncing, StateReason::Subscribed);
                        self.set_state(item.stream, item.channel, phase, reason, "");
                    }
                    self.accepted(item.stream, item.channel);
                }
                _ => {}
            }
        }
    }

    /// Plays kept frames: of each, the events that the line in use had not published.
    fn play(&mut self, held: Held, meeting: &Meeting, was_lost: bool) {
        let newest = self.frame_sequence;
        let mut decoded = Decoded::default();
        for frame in held.frames {
            if self.config.product.decode(&frame.bytes, &mut decoded).is_err() {
                continue; // it was read once: it can be read again
            }
            let fresh = self.fresh_of(&frame, &mut decoded, meeting, was_lost);
            decoded.events = fresh;
            self.frame_sequence = frame.sequence;
            self.begin();
            self.publisher.has_more = true;
            self.line.frame_wall = frame.ts_recv;
            self.on_decoded(&frame.bytes, &decoded, frame.ts_recv);
            self.end();
        }
        self.frame_sequence = newest;
        self.begin();
        self.end();
    }

    /// Returns the events of a kept frame that are to be published.
    fn fresh_of(
        &mut self,
        frame: &HeldFrame,
        decoded: &mut Decoded,
        meeting: &Meeting,
        was_lost: bool,
    ) -> Vec<Event> {
        let mut met = Vec::new();
        told_by(self.config.product, &frame.bytes, decoded, |at, symbol, channel, message| {
            let key = self.index_of(symbol).map(|stream| (stream, channel));
            let until = key.and_then(|key| meeting.get(&key));
            let is_behind = until.is_some_and(|until| frame.first + at as u64 > *until);
            let is_news = if was_lost { channel != Channel::BookL2 } else { is_behind };
            met.push((at, message.is_some() && is_news));
        });
        let events = std::mem::take(&mut decoded.events);
        let is_fresh = |at: usize, event: &Event| match event {
            Event::Trades(trades) => !trades.is_snapshot,
            Event::Book(_) | Event::Top(_) | Event::Ticker(_) => met.contains(&(at, true)),
            Event::InstrumentStatus(_) => true,
            _ => false,
        };
        events
            .into_iter()
            .enumerate()
            .filter(|(at, event)| is_fresh(*at, event))
            .map(|(_, event)| event)
            .collect()
    }

    /// Makes books anew that have no proven state, or that did not meet: their gap is told.
    fn mend_books(&mut self, meeting: &Meeting, was_lost: bool) {
        for stream in 0..self.streams.len() {
            let Some(entry) = self.streams.get_mut(stream) else { continue };
            if entry.topic(Channel::BookL2).is_none_or(|topic| topic.phase == StreamPhase::Rejected) {
                continue;
            }
            let Some(machine) = &entry.machine else { continue };
            let has_met = !was_lost && meeting.contains_key(&(stream, Channel::BookL2));
            let bridges_rest = machine.rules().bridges_rest;
            if machine.is_live() && !has_met {
                self.break_and_resync(stream, StateReason::PlannedRoll);
            } else if !(machine.is_live() || was_lost && bridges_rest) {
                self.resync_now(stream);
            }
        }
    }

    /// Leaves what nobody needs any more: given up while both lines were open.
    fn leave_unneeded(&mut self) {
        let product = self.config.product;
        let items = self.subscriptions.items().to_vec();
        for item in items {
            let is_needed = self.streams.get(item.stream).is_some_and(|entry| {
                CHANNELS.iter().any(|&channel| {
                    entry.topic(channel).is_some() && product.stream_of(channel) == Some(item.channel)
                })
            });
            if !is_needed && self.subscriptions.forget(item.stream, item.channel) {
                self.control(ControlOp::Unsubscribe, &[(item.stream, item.channel)]);
            }
        }
    }
}
