//! Klines of an instrument: topics made of its trades.
//!
//! Each topic has its aggregator, which takes what the trades topic publishes and nothing else: no off-market trades
//! and none flagged `BAD_TICK`. Bars leave at the end of the turn that closed or changed them, behind its trades.

use facade_hub::RecordKind;
use facade_klines::{Aggregator, Bar, BarKind, Completeness, Rules, Tick};
use facade_model::{StreamPhase, TakerSide, Trade, UpdateFlags};
use facade_wire::{self as wire, Exponents, KlineState, Ohlc, WireError};

use crate::config::FeedConfig;
use crate::feed::Feed;
use crate::publish::{Origin, Publisher, Times};
use crate::stream::Stream;
use crate::topic::Topic;
use crate::trade_flow::counts_trades;

/// The klines of one interval or bar type.
#[derive(Debug)]
pub struct KlineTopic {
    /// Their topic.
    pub topic: Topic,
    aggregator: Aggregator,
    /// Time from which on no trade is missing; told to the aggregator with the first trade.
    begins: Begin,
}

/// Where the trades of a kline topic begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// With the next trade: what came before it is unknown.
    NextTrade,
    /// Told to the aggregator.
    Told,
}

impl KlineTopic {
    /// Makes the klines of a topic; `None`: the topic's variant is none of klines.
    #[must_use]
    pub fn new(topic: Topic, config: &FeedConfig, usual: Exponents) -> Option<Self> {
        let rules = Rules {
            kind: BarKind::of(topic.variant)?,
            close_after_ns: config.kline_close_ns,
            late_ns: config.kline_late_ns,
            provisional_ns: config.kline_provisional_ns,
        };
        let aggregator = Aggregator::new(rules, usual.price, usual.quantity);
        Some(Self { topic, aggregator, begins: Begin::NextTrade })
    }

    /// Begins behind the newest trade of a stream that is live: nothing was missed since.
    pub fn begin_behind(&mut self, ts_event_last: i64) {
        self.aggregator.restart(ts_event_last);
        self.begins = Begin::Told;
    }

    /// Starts over after a fault of ours: the bar at hand is INCOMPLETE.
    pub const fn start_over(&mut self) {
        self.begins = Begin::NextTrade;
    }

    fn take(&mut self, tick: &Tick) {
        if std::mem::replace(&mut self.begins, Begin::Told) == Begin::NextTrade {
            self.aggregator.restart(tick.ts_event);
        }
        if self.aggregator.on_trade(tick).is_err() {
            self.aggregator.on_gap(tick.ts_event, tick.ts_event); // in no bar: its bar lacks it
        }
    }
}

impl Feed {
    /// Puts a trade that was published as record `seq` into its bars.
    pub(crate) fn kline_trade(
        &mut self,
        stream: usize,
        trade: &Trade,
        seq: u64,
        times: Times,
        flags: UpdateFlags,
    ) {
        let Some(entry) = self.streams.get_mut(stream).filter(|entry| !entry.klines.is_empty()) else {
            return;
        };
        if flags.contains(UpdateFlags::BAD_TICK) {
            return;
        }
        let has_time = times.event != 0 && !flags.contains(UpdateFlags::BAD_TS);
        let tick = Tick {
            ts_event: if has_time { times.event } else { times.recv },
            ts_recv: times.recv,
            price: trade.px,
            quantity: trade.qty,
            is_buy: match trade.side {
                TakerSide::Buy => Some(true),
                TakerSide::Sell => Some(false),
                TakerSide::Unknown => None,
            },
            seq,
            id: trade.id,
            is_backfilled: flags.contains(UpdateFlags::BACKFILLED),
        };
        for kline in &mut entry.klines {
            kline.take(&tick);
        }
        entry.klines_times = times;
        entry.is_klines_due = true;
        self.has_klines_due = true;
    }

    /// Marks bars that lack trades, from the last good one to the first one behind, ns UTC; `i64::MAX`: not over yet.
    pub(crate) fn kline_gap(&mut self, stream: usize, ts_first: i64, ts_last: i64) {
        self.each_kline(stream, |aggregator| aggregator.on_gap(ts_first, ts_last));
    }

    /// Closes what [`Feed::kline_gap`] opened: filled whole, or as far as was possible.
    pub(crate) fn kline_fill(&mut self, stream: usize, ts_first: i64, ts_last: i64, is_whole: bool) {
        self.each_kline(stream, |aggregator| aggregator.on_fill(ts_first, ts_last, is_whole));
    }

    fn each_kline(&mut self, stream: usize, mut tell: impl FnMut(&mut Aggregator)) {
        let Some(entry) = self.streams.get_mut(stream).filter(|entry| !entry.klines.is_empty()) else {
            return;
        };
        entry.klines.iter_mut().for_each(|kline| tell(&mut kline.aggregator));
        entry.is_klines_due = true;
        self.has_klines_due = true;
    }

    /// Closes bars whose time is over, also while the connection is gone.
    pub(crate) fn klines_tick(&mut self) {
        let now = self.publisher.wall;
        for entry in self.streams.iter_mut().filter(|entry| !entry.klines.is_empty()) {
            entry.klines.iter_mut().for_each(|kline| kline.aggregator.on_time(now));
            entry.is_klines_due = true;
            self.has_klines_due = true;
        }
    }

    /// Publishes the bars that this turn closed or changed.
    pub(crate) fn publish_klines(&mut self) {
        if !std::mem::take(&mut self.has_klines_due) {
            return;
        }
        let venue = self.config.product.venue();
        let is_proven = counts_trades(self.config.product);
        for entry in &mut self.streams {
            if !std::mem::take(&mut entry.is_klines_due) {
                continue;
            }
            let times = std::mem::take(&mut entry.klines_times);
            let Stream { instrument, usual, klines, .. } = entry;
            let origin = Origin { venue, symbol: &instrument.symbol, usual: *usual };
            for KlineTopic { topic, aggregator, .. } in klines {
                aggregator.drain(|bar| {
                    let row = row_of(bar, is_proven);
                    if topic.phase != StreamPhase::Rejected
                        && self.publisher.kline(origin, topic, &row, times).is_err()
                    {
                        self.stats.klines_refused += 1;
                    }
                });
            }
        }
    }
}

impl Publisher {
    /// Publishes one bar.
    fn kline(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        row: &wire::Kline,
        times: Times,
    ) -> Result<(), WireError> {
        let header = self.header(origin, topic, topic.seq + 1, times);
        let encode = |out: &mut Vec<u8>| wire::kline(out, &header, origin.usual, row);
        self.batch.record(topic.id, header.seq, RecordKind::Data, false, encode)?;
        self.counted(topic, times);
        Ok(())
    }
}

/// Writes a bar as the contract has it; `is_proven`: the venue numbers its trades without holes.
fn row_of(bar: &Bar, is_proven: bool) -> wire::Kline {
    let completeness = match (bar.completeness, is_proven) {
        (Completeness::Incomplete, _) => wire::Completeness::Incomplete,
        (Completeness::Complete, true) => wire::Completeness::Complete,
        (Completeness::Complete, false) => wire::Completeness::Unknown,
    };
    wire::Kline {
        ts_open: bar.ts_open,
        ts_close: bar.ts_close,
        prices: (bar.trade_count > 0).then(|| Ohlc {
            open: bar.price(bar.open),
            high: bar.price(bar.high),
            low: bar.price(bar.low),
            close: bar.price(bar.close),
        }),
        volume: Some(bar.volume()),
        quote_volume: Some(bar.quote_volume()),
        vwap: bar.vwap(),
        taker_buy_volume: Some(bar.taker_buy_volume()),
        trade_count: Some(bar.trade_count),
        state: Some(if bar.is_final { KlineState::Final } else { KlineState::Provisional }),
        revision: bar.revision,
        completeness,
        trades_seq_first: bar.trades_seq_first,
        trades_seq_last: bar.trades_seq_last,
        flags: UpdateFlags::default(),
    }
}
