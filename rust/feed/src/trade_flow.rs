//! Trades to records: repeated ones fall out, holes are told before what shows them, odd ones are flagged.

use facade_model::{Channel, GapCause, GapState, StateReason, StreamPhase, Trade, UpdateFlags};
use facade_venues::{Decoded, Product, TradesEvent};

use crate::backfill::{Behind, Hole};
use crate::feed::Feed;
use crate::fetches::Purpose;
use crate::publish::{GapDetail, Origin, Times};
use crate::stream::Stream;
use crate::window::Sighting;

/// How long holes gather, and the venue's REST may lag, before the first request.
const GATHER_NS: i64 = 200_000_000;

/// A trade that was not seen before.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    trade: Trade,
    /// Trades missing right before it.
    missing: u64,
    /// Whether trades with larger ids came before.
    is_late: bool,
}

impl Feed {
    pub(crate) fn on_trades(&mut self, frame: &[u8], event: &TradesEvent, trades: &[Trade], ts_recv: i64) {
        let Some(stream) = self.followed(event.symbol.of(frame), Channel::Trades) else { return };
        self.heard(stream, Channel::Trades);
        if event.is_snapshot {
            self.take_repeated(stream, trades, ts_recv);
            return;
        }
        let mut fresh = std::mem::take(&mut self.fresh);
        self.sift(stream, trades, &mut fresh);
        let mut rest = fresh.as_slice();
        while let Some((one, later)) = rest.split_first() {
            self.take_fresh(stream, one, later.first(), ts_recv);
            rest = later;
        }
        fresh.clear();
        self.fresh = fresh;
        self.close_holes(stream);
    }

    /// Finds the trades that are new, and counts the others.
    fn sift(&mut self, stream: usize, trades: &[Trade], fresh: &mut Vec<Fresh>) {
        let is_counted = counts_trades(self.config.product);
        let Some(entry) = self.streams.get_mut(stream) else { return };
        for trade in trades {
            let last = entry.window.last();
            if entry.is_told_before(trade) || entry.window.see(trade.id) != Sighting::New {
                self.stats.duplicates += 1;
                if let Some(topic) = entry.topic_mut(Channel::Trades) {
                    topic.counts.duplicates += 1;
                }
                continue;
            }
            let is_late = last.is_some_and(|last| trade.id < last);
            let missing = match last {
                Some(last) if is_counted && !is_late => trade.id - last - 1,
                _ => 0,
            };
            fresh.push(Fresh { trade: *trade, missing, is_late });
        }
    }

    /// Publishes a new trade behind what is told about those before it; `next`: the one that follows in its frame.
    fn take_fresh(&mut self, stream: usize, fresh: &Fresh, next: Option<&Fresh>, ts_recv: i64) {
        let trade = &fresh.trade;
        let times = Times { event: trade.ts_event, recv: ts_recv };
        let mut flags = self.judged(times);
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let fills_hole = fresh.is_late && entry.backfill.came_late(trade.id);
        if !fresh.is_late {
            let told = if flags.contains(UpdateFlags::BAD_TS) { Times { event: 0, ..times } } else { times };
            self.tell_trade_gap(stream, trade, fresh.missing, told);
        }
        if !trade.is_market {
            return; // insurance fund, ADL: their ids count, they are no market trades
        }
        self.stats.trades += 1;
        // a record of another kind ends the group of a frame, so a hole or an off-market trade does
        if next.is_some_and(|next| next.missing == 0 && next.trade.is_market) {
            flags = flags.with(UpdateFlags::MORE);
        }
        self.go_live(stream, Channel::Trades);
        self.publish_trade(stream, trade, times, flags, fills_hole);
    }

    /// Publishes one trade, flagged if its numbers are outside all reason, and puts it into its bars.
    pub(crate) fn publish_trade(
        &mut self,
        stream: usize,
        trade: &Trade,
        times: Times,
        flags: UpdateFlags,
        fills_hole: bool,
    ) {
        let venue = self.config.product.venue();
        let Some(Stream { instrument, usual, topics, ticks, .. }) = self.streams.get_mut(stream) else {
            return;
        };
        let Some(topic) = topics.get_mut(Channel::Trades as usize).and_then(Option::as_mut) else { return };
        let is_bad = ticks.is_bad_trade(trade);
        let flags = if is_bad { flags.with(UpdateFlags::BAD_TICK) } else { flags };
        let flags = if fills_hole { flags.with(UpdateFlags::BACKFILLED) } else { flags };
        self.stats.bad_ticks += u64::from(is_bad);
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        if self.publisher.trade(origin, topic, trade, times, flags).is_err() {
            self.set_state(stream, Channel::Trades, StreamPhase::Rejected, StateReason::NumberRange, "");
            return;
        }
        let seq = topic.seq;
        self.kline_trade(stream, trade, seq, times, flags);
    }

    /// Tells what is missing between two trades, or over a reconnect, before the trade that shows it.
    pub(crate) fn tell_trade_gap(&mut self, stream: usize, trade: &Trade, missing: u64, times: Times) {
        let is_counted = counts_trades(self.config.product);
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let before = entry.window.before(trade.id);
        let Some(topic) = entry.topic_mut(Channel::Trades) else { return };
        let pending = topic.gap.take();
        let ts_first = pending.map_or(topic.ts_event_last, |gap| gap.ts_first);
        let ts_last = times.best();
        if missing == 0 && (is_counted || pending.is_none()) {
            if pending.is_some() {
                self.kline_gap(stream, ts_first, ts_last); // over, and the ids join up: nothing is lost
                self.kline_fill(stream, ts_first, ts_last, true);
            }
            return;
        }
        let hole = Hole {
            gap_id: 0,
            cause: pending.map_or(GapCause::TradeIds, |gap| gap.cause),
            id_first: before.map_or(0, |id| id + 1),
            id_last: trade.id.saturating_sub(1),
            count: is_counted.then_some(missing),
            filled: 0,
            ts_first,
            ts_last,
            deadline: self.publisher.now + self.config.backfill_ns,
            behind: (!is_counted).then(|| Behind::new(trade)),
        };
        self.open_hole(stream, hole, before.is_some(), times);
    }

    /// Tells a hole, and asks for what it lacks if that can be had.
    fn open_hole(&mut self, stream: usize, mut hole: Hole, is_bounded: bool, times: Times) {
        let is_askable = is_bounded && !self.config.is_replay && self.config.backfill_ns > 0;
        let is_empty_span = hole.id_first > hole.id_last;
        let state = if is_askable { GapState::Open } else { GapState::Lost };
        self.stats.trade_gaps += 1;
        let (ts_first, ts_last) = (hole.ts_first, hole.ts_last);
        hole.gap_id = self.tell_gap(stream, &hole, state, times);
        self.kline_gap(stream, ts_first, ts_last);
        if !is_askable {
            return;
        }
        let due = self.publisher.now + GATHER_NS;
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let oldest =
            if is_empty_span && hole.behind.is_none() { Some(hole) } else { entry.backfill.open(hole, due) };
        if let Some(oldest) = oldest {
            self.close_hole(stream, &oldest, times);
        }
    }

    /// Publishes a Gap record of the trades; returns its number.
    fn tell_gap(&mut self, stream: usize, hole: &Hole, state: GapState, times: Times) -> u64 {
        let venue = self.config.product.venue();
        let Some(Stream { instrument, usual, topics, .. }) = self.streams.get_mut(stream) else { return 0 };
        let Some(topic) = topics.get_mut(Channel::Trades as usize).and_then(Option::as_mut) else { return 0 };
        let is_counted = hole.behind.is_none() && hole.count.is_some();
        let detail = GapDetail {
            gap_id: (hole.gap_id != 0).then_some(hole.gap_id),
            cause: hole.cause,
            venue_sequence_first: is_counted.then_some(hole.id_first),
            venue_sequence_last: is_counted.then_some(hole.id_last),
            count: hole.count,
            ts_first: hole.ts_first,
            ts_last: hole.ts_last,
            state,
            filled: hole.filled,
        };
        let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
        let gap_id = self.publisher.gap(origin, topic, &detail, times);
        self.notes.gap(&instrument.symbol, topic, &detail, (gap_id, self.publisher.wall));
        gap_id
    }

    /// Closes the holes of an instrument that are done.
    pub(crate) fn close_holes(&mut self, stream: usize) {
        let now = self.publisher.now;
        let Some(entry) = self.streams.get_mut(stream).filter(|entry| entry.backfill.is_open()) else {
            return;
        };
        let recv = self.publisher.wall;
        for hole in entry.backfill.close(now) {
            self.close_hole(stream, &hole, Times { event: 0, recv });
        }
    }

    /// Tells what became of a hole.
    fn close_hole(&mut self, stream: usize, hole: &Hole, times: Times) {
        let is_whole = hole.is_whole();
        let state = match (is_whole, hole.filled) {
            (true, _) => GapState::Filled,
            (false, 0) => GapState::Lost,
            (false, _) => GapState::PartlyFilled,
        };
        let count = hole.count.or(is_whole.then_some(hole.filled));
        self.stats.trade_gaps_filled += u64::from(is_whole);
        let closed = Hole { count, ..hole.clone() };
        self.tell_gap(stream, &closed, state, times);
        self.kline_fill(stream, hole.ts_first, hole.ts_last, is_whole);
    }

    /// Takes trades that the venue repeats when it is asked anew: they fill the hole of a reconnect, else they are no news.
    fn take_repeated(&mut self, stream: usize, trades: &[Trade], ts_recv: i64) {
        let is_counted = counts_trades(self.config.product);
        let Some(entry) = self.streams.get_mut(stream) else { return };
        let (Some(last), Some(newest)) = (entry.window.last(), trades.last()) else { return };
        let is_hole = entry.topic(Channel::Trades).is_some_and(|topic| topic.gap.is_some());
        if !is_hole || !is_counted || newest.id <= last || self.config.is_replay {
            return;
        }
        self.go_live(stream, Channel::Trades);
        let times = Times { event: newest.ts_event, recv: ts_recv };
        let behind = Trade { id: newest.id + 1, ..*newest };
        self.tell_trade_gap(stream, &behind, newest.id - last, times);
        self.fill(stream, trades, ts_recv);
    }

    /// Asks for the next page of what is missing, of every instrument that lacks trades.
    pub(crate) fn backfills_due(&mut self) {
        let now = self.publisher.now;
        for stream in 0..self.streams.len() {
            self.close_holes(stream);
            let Some(entry) = self.streams.get(stream) else { continue };
            let Some(span) = entry.backfill.span(now, self.config.product.pages_forward()) else { continue };
            let request = self.config.product.trades_request(&entry.instrument.venue_symbol, &span);
            let request_id = self.fetch(stream, Purpose::Backfill, request);
            if let Some(entry) = self.streams.get_mut(stream) {
                entry.backfill.asked(request_id);
            }
        }
    }

    /// Takes the answer to a request for missed trades.
    pub(crate) fn on_backfill(&mut self, stream: usize, request_id: u64, body: Option<&[u8]>, ts_recv: i64) {
        let now = self.publisher.now;
        let Some(entry) = self.streams.get_mut(stream) else { return };
        if !entry.backfill.answered(request_id) {
            return;
        }
        let mut decoded = Decoded::default();
        let is_read = body.is_some_and(|body| self.config.product.decode_trades(body, &mut decoded).is_ok());
        if is_read {
            self.fill(stream, &decoded.trades, ts_recv);
        } else {
            self.stats.fetch_failures += 1;
            entry.backfill.failed(now);
        }
        self.close_holes(stream);
    }

    /// Publishes what a page of trades, oldest first, holds of what is missing.
    fn fill(&mut self, stream: usize, rows: &[Trade], ts_recv: i64) {
        let mut found = Vec::new();
        let place = (self.publisher.now, self.config.product.pages_forward());
        if let Some(Stream { backfill, window, .. }) = self.streams.get_mut(stream) {
            backfill.take(rows, window, place, &mut found);
        }
        for (_, trade) in &found {
            let times = Times { event: trade.ts_event, recv: ts_recv };
            self.publish_trade(stream, trade, times, UpdateFlags::default(), true);
        }
        self.stats.backfilled += found.len() as u64;
    }
}

/// Whether the venue numbers its trades without holes. OKX merges fills: its ids jump legally.
pub(crate) const fn counts_trades(product: Product) -> bool {
    !matches!(product, Product::Okx)
}
