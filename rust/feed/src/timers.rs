//! What time brings: liveness, pings, deadlines, retries, heartbeats. And answers to fetches, cuts for joiners.

use facade_hub::TopicId;
use facade_model::{Channel, StateReason, StreamPhase};
use facade_venues::{Decoded, Event};

use crate::command::Command;
use crate::feed::Feed;
use crate::fetches::{Fetch, Purpose};
use crate::lifeline::Socket;
use crate::machine::BookMachine;
use crate::publish::{Origin, Times};
use crate::stream::Stream;
use crate::subscriptions::ItemState;
use crate::whole::View;

/// Interval at which an open connection wants to be ticked.
const TICK_NS: i64 = 50_000_000;
/// HTTP status of a good answer.
const STATUS_OK: u16 = 200;

impl Feed {
    /// Monotonic time at which [`Feed::on_tick`] is due.
    #[must_use]
    pub fn deadline_ns(&self) -> i64 {
        self.clock.monotonic_ns() + TICK_NS
    }

    /// Does what is due.
    pub fn on_tick(&mut self) {
        if self.config.is_replay {
            return;
        }
        self.begin();
        self.klines_tick();
        self.backfills_due();
        self.fallbacks_due();
        if self.line.socket == Socket::Open && !self.line.is_closing && !self.is_after_pause {
            self.tick_open();
        }
        self.beat();
        self.end();
        self.tick_joints();
    }

    /// Does what is due on an open connection.
    fn tick_open(&mut self) {
        let (now, canary) = (self.publisher.now, self.canary);
        let has_canary = canary.is_some_and(|stream| {
            let item = self.subscriptions.find(stream, Channel::TopOfBook);
            item.is_some_and(|item| item.state == ItemState::Active)
        });
        if self.line.is_silent(now, &self.config, has_canary) {
            self.go_silent();
        } else {
            self.ping_due();
            self.items_due();
            self.books_due();
            self.silences_due();
            self.pause_due();
            self.audits_due();
            self.ask();
        }
    }

    /// Takes the answer of a fetch; `status` 0: there was none.
    pub fn on_response(&mut self, request_id: u64, status: u16, body: &[u8], ts_recv: i64) {
        self.begin();
        if let Some(Fetch { stream, purpose }) = self.fetches.remove(&request_id) {
            let body = (status == STATUS_OK).then_some(body);
            match purpose {
                Purpose::Snapshot => self.on_snapshot(stream, request_id, body, ts_recv),
                Purpose::Backfill => self.on_backfill(stream, request_id, body, ts_recv),
                Purpose::Probe(channel) => self.on_probe(stream, channel, request_id, body),
                Purpose::Audit => self.on_audit(request_id, body),
                Purpose::FallbackBook => self.on_fallback_book(stream, body, ts_recv),
                Purpose::FallbackTicker => self.on_fallback_ticker(stream, body, ts_recv),
            }
        }
        self.end();
    }

    /// Takes the book that a resync waits for.
    fn on_snapshot(&mut self, stream: usize, request_id: u64, body: Option<&[u8]>, ts_recv: i64) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        if entry.resync.request_id != Some(request_id) {
            return;
        }
        entry.resync.request_id = None;
        if let Some(body) = body {
            self.take_snapshot(stream, body, ts_recv);
        } else {
            self.stats.fetch_failures += 1;
            self.retry(stream, StateReason::SnapshotUnusable);
        }
    }

    /// Takes a REST snapshot that a capture holds, named by the venue's symbol.
    pub fn on_recorded_snapshot(&mut self, venue_symbol: &str, body: &[u8], ts_recv: i64) {
        self.begin();
        if let Some(stream) = self.known_stream(venue_symbol.as_bytes()) {
            self.open_topic(stream, Channel::BookL2);
            self.take_snapshot(stream, body, ts_recv);
        }
        self.end();
    }

    fn take_snapshot(&mut self, stream: usize, body: &[u8], ts_recv: i64) {
        let mut decoded = Decoded::default();
        let outcome = match self.config.product.decode_snapshot(body, &mut decoded) {
            Ok(()) => decoded.events.iter().find_map(|event| match event {
                Event::Book(book) => Some((book.sequence.last?, book.ts_event, decoded.levels_of(book))),
                _ => None,
            }),
            Err(_) => None,
        };
        let Some((last, ts_event, levels)) = outcome else {
            self.stats.fetch_failures += 1;
            self.retry(stream, StateReason::SnapshotUnusable);
            return;
        };
        let Some(machine) = self.streams.get_mut(stream).and_then(|entry| entry.machine.as_mut()) else {
            return;
        };
        let outcome = machine.on_rest_snapshot(levels, last);
        self.settle(stream, outcome, Times { event: ts_event, recv: ts_recv });
    }

    /// Publishes one CUT for every topic of this feed that somebody waits for, and whose book is LIVE.
    pub fn serve_cuts(&mut self, wanted: &[TopicId]) {
        self.begin();
        for stream in 0..self.streams.len() {
            let is_wanted = |entry: &Stream| {
                entry.is_book_live()
                    && entry.topic(Channel::BookL2).is_some_and(|topic| wanted.contains(&topic.id))
            };
            if self.streams.get(stream).is_some_and(is_wanted) {
                self.publish_cut(stream);
            }
            self.depth_cuts(stream, |topic| wanted.contains(&topic.id));
        }
        self.end();
    }

    fn publish_cut(&mut self, stream: usize) {
        let venue = self.config.product.venue();
        let Some(Stream { instrument, usual, topics, machine: Some(machine), .. }) =
            self.streams.get_mut(stream)
        else {
            return;
        };
        let Some(topic) = topics.get_mut(Channel::BookL2 as usize).and_then(Option::as_mut) else { return };
        let times = Times { event: topic.ts_event_last, recv: topic.ts_recv_last };
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        let (view, levels) = (View::whole(machine), self.config.checkpoint_levels);
        if self.publisher.snapshot(origin, topic, view, times, true).is_ok() {
            self.publisher.checkpoint(origin, topic, view, levels, times);
        }
    }

    /// Nothing came for too long: tell it, and drop the connection.
    pub(crate) fn go_silent(&mut self) {
        for stream in 0..self.streams.len() {
            for channel in [Channel::Trades, Channel::BookL2, Channel::TopOfBook, Channel::Ticker] {
                self.set_state(stream, channel, StreamPhase::Stale, StateReason::Silent, "");
            }
        }
        self.close_line("silent connection");
    }

    fn ping_due(&mut self) {
        let now = self.publisher.now;
        if self.config.ping_ns == 0 || now - self.line.pinged_at < self.config.ping_ns {
            return;
        }
        self.line.pinged_at = now;
        let request_id = self.subscriptions.request_id();
        if let Some(text) = self.config.product.ping(request_id) {
            self.commands.push(Command::Send(text));
        }
    }

    /// Items that were not answered in time are asked for again, then given up but for a try now and then.
    fn items_due(&mut self) {
        let now = self.publisher.now;
        let mut late = Vec::new();
        for item in self.subscriptions.items() {
            match item.state {
                ItemState::Asked { deadline, .. } | ItemState::Leaving { deadline, .. }
                    if deadline <= now =>
                {
                    late.push((item.stream, item.channel));
                }
                _ => {}
            }
        }
        for (stream, channel) in late {
            let Some(item) = self.subscriptions.find(stream, channel) else { continue };
            let is_leaving = matches!(item.state, ItemState::Leaving { .. });
            if !is_leaving && item.tries >= self.config.ack_tries {
                item.state = ItemState::Leaving { request_id: 0, deadline: now + self.config.resync_slow_ns };
                self.refused(stream, channel, StateReason::AckTimeout, "no answer to the subscription");
            } else {
                item.state = ItemState::Wanted;
            }
        }
    }

    /// Books whose retry, snapshot or patience is due.
    fn books_due(&mut self) {
        let now = self.publisher.now;
        for stream in 0..self.streams.len() {
            let Some(entry) = self.streams.get_mut(stream) else { continue };
            let Some(machine) = &mut entry.machine else { continue };
            let resync = &mut entry.resync;
            if resync.due != 0 && resync.due <= now {
                self.resync_now(stream);
            } else if machine.is_crossed()
                && resync.crossed_since != 0
                && now - resync.crossed_since >= self.config.crossed_ns
            {
                self.break_and_resync(stream, StateReason::Crossed);
            } else if machine.is_bridging() && now - resync.bridging_since >= self.config.quiet_ns {
                let outcome = machine.on_quiet();
                let times = Times { event: 0, recv: self.line.frame_wall };
                self.settle(stream, outcome, times);
            } else if is_snapshot_late(machine, resync.snapshot_deadline, now) {
                self.snapshot_late(stream);
            }
            self.checkpoint_due(stream);
        }
    }

    /// The venue acknowledged a book and sends no snapshot: ask again; then say so, and ask now and then for ever.
    fn snapshot_late(&mut self, stream: usize) {
        let Some(entry) = self.streams.get_mut(stream) else { return };
        entry.resync.snapshot_deadline = 0;
        let was_live = entry.machine.as_ref().is_some_and(|machine| machine.phase() == StreamPhase::Resync);
        if !was_live && entry.resync.attempt + 1 >= self.config.ack_tries {
            entry.resync.due = self.publisher.now + self.config.resync_slow_ns;
            self.refused(stream, Channel::BookL2, StateReason::NoData, "acknowledged, but no snapshot came");
            return;
        }
        self.retry(stream, StateReason::SnapshotUnusable);
    }

    /// A book that changed and then fell quiet still gets its checkpoint.
    fn checkpoint_due(&mut self, stream: usize) {
        let now = self.publisher.now;
        let Some(entry) = self.streams.get_mut(stream) else { return };
        if entry.is_changed && now - entry.checkpoint_at >= self.config.checkpoint_ns {
            entry.is_changed = false;
            entry.checkpoint_at = now;
            let times = entry.topic(Channel::BookL2).map_or(Times::default(), |topic| Times {
                event: topic.ts_event_last,
                recv: topic.ts_recv_last,
            });
            self.publish_checkpoint(stream, times);
        }
    }

    /// Topics that were silent say so.
    fn beat(&mut self) {
        let venue = self.config.product.venue();
        let (now, frame_wall) = (self.publisher.now, self.line.frame_wall);
        for entry in &mut self.streams {
            let usual = entry.usual;
            let (symbol, topics) = entry.all_topics_mut();
            let origin = Origin { venue, symbol, usual };
            for topic in topics {
                if topic.seq > 0 && now - topic.published_at >= self.config.heartbeat_ns {
                    self.publisher.heartbeat(origin, topic, frame_wall);
                }
            }
        }
    }
}

fn is_snapshot_late(machine: &BookMachine, deadline: i64, now: i64) -> bool {
    let is_waiting = matches!(machine.phase(), StreamPhase::Syncing | StreamPhase::Resync);
    !machine.rules().bridges_rest && !machine.is_crossed() && is_waiting && deadline != 0 && deadline <= now
}
