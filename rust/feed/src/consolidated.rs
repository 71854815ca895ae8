//! Best bid and best offer of a symbol over venues: one topic of the venue `consolidated`, made of the venues' own tops.
//!
//! Feeds tell what they show, from any thread; a record leaves when a best price, its quantity, its venue or the
//! venues left out changed. A top over venues may be crossed, or locked: that is no fault but news, since nobody
//! matches orders of different venues. It never enters a venue's own book.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use facade_hub::{Hub, RecordKind, TopicKey};
use facade_model::{Channel, Integrity, Level, StateReason, StreamPhase, TopOfBook, Variant};
use facade_wire::{self as wire, ConsolidatedQuote, Exponents, VenueLeftOut, WireError};

use crate::clock::Clock;
use crate::publish::{Origin, Publisher, StateDetail, Times};
use crate::topic::Topic;

/// The venue of consolidated topics.
pub const CONSOLIDATED: &str = "consolidated";
/// Most venues of one symbol.
const SEATS_MAX: usize = 8;
/// Silence of a topic after which it beats, ns.
const HEARTBEAT_NS: i64 = 1_000_000_000;

/// What a venue shows of a symbol.
#[derive(Debug, Clone, Copy)]
pub enum Quote {
    /// Its best prices.
    Top(TopOfBook, Times),
    /// Nothing that may be used; why, in `UPPER_SNAKE`.
    Out(&'static str),
}

/// Where a venue's best prices come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuoteSource {
    /// Its stream of best prices: preferred.
    Top,
    /// Its live book.
    Book,
}

/// The place of one venue in a symbol.
#[derive(Debug)]
struct Seat {
    venue: String,
    top: Option<Quote>,
    book: Option<Quote>,
}

impl Seat {
    /// What counts of the venue, or why it is left out.
    fn quote(&self) -> Result<(TopOfBook, Times), &'static str> {
        match self.top.or(self.book) {
            None => Err("NOT_FOLLOWED"),
            Some(Quote::Out(reason)) => Err(reason),
            Some(Quote::Top(top, times)) => match (top.bid, top.ask) {
                (None, None) => Err("EMPTY"),
                (Some(bid), Some(ask)) if bid.px.compare(ask.px) != Ordering::Less => Err("CROSSED"),
                _ => Ok((top, times)),
            },
        }
    }
}

/// One side, and the venue that has it.
type Best = Option<(usize, Level, Times)>;

/// What the newest record says: best bid and ask by seat, and why each seat is left out.
type Said = (Option<(usize, Level)>, Option<(usize, Level)>, [Option<&'static str>; SEATS_MAX]);

/// One symbol over its venues.
#[derive(Debug)]
struct Joint {
    seats: Vec<Seat>, // sorted by venue
    usual: Exponents,
    topic: Topic,
    said: Option<Said>,
    ts_recv_last: i64,
}

impl Joint {
    /// The best bid or ask: the better price, then the larger quantity, then the venue's name.
    fn best(&self, side: impl Fn(&TopOfBook) -> Option<Level>, better: Ordering) -> Best {
        let mut best: Best = None;
        for (at, seat) in self.seats.iter().enumerate() {
            let Ok((top, times)) = seat.quote() else { continue };
            let Some(level) = side(&top) else { continue };
            let is_better = best.is_none_or(|(_, held, _)| {
                let order = level.px.compare(held.px);
                order == better || (order.is_eq() && level.qty.compare(held.qty).is_gt())
            });
            if is_better {
                best = Some((at, level, times));
            }
        }
        best
    }

    fn quote((at, level, times): (usize, Level, Times), seats: &[Seat]) -> Option<ConsolidatedQuote<'_>> {
        let venue = seats.get(at)?.venue.as_str();
        Some(ConsolidatedQuote { level, venue, ts_event: times.event, ts_recv: times.recv })
    }
}

/// All symbols that are followed over venues.
#[derive(Debug, Default)]
struct Joints {
    publisher: Publisher,
    by_symbol: BTreeMap<String, Joint>,
}

/// Joins the best prices of several venues; shared by their feeds.
pub struct Consolidator {
    hub: Arc<Hub>,
    clock: Box<dyn Clock>,
    joints: Mutex<Joints>,
    generation: AtomicU64, // of the list of symbols
}

impl Consolidator {
    /// Makes a consolidator that follows nothing.
    #[must_use]
    pub fn new(hub: Arc<Hub>, clock: Box<dyn Clock>, epoch: u32) -> Self {
        let joints = Joints { publisher: Publisher::new(epoch), ..Joints::default() };
        Self { hub, clock, joints: Mutex::new(joints), generation: AtomicU64::new(1) }
    }

    /// Begins to publish a symbol over these venues, at most eight.
    pub fn follow(&self, symbol: &str, venues: &[String]) {
        let mut names: Vec<String> = venues.to_vec();
        names.sort();
        names.dedup();
        names.truncate(SEATS_MAX);
        let mut joints = self.turn();
        if joints.by_symbol.contains_key(symbol) {
            return;
        }
        let seats = names.into_iter().map(|venue| Seat { venue, top: None, book: None }).collect();
        let channel = Channel::ConsolidatedTop;
        let key = TopicKey { venue: CONSOLIDATED, symbol, variant: "", channel: channel as u8 };
        let id = self.hub.topic(&key);
        let topic = Topic::new(id, channel, Variant::Plain, self.hub.head(id));
        let usual = Exponents::default();
        let joint = Joint { seats, usual, topic, said: None, ts_recv_last: 0 };
        joints.by_symbol.insert(symbol.to_owned(), joint);
        joints.set_state(symbol, StreamPhase::Syncing, StateReason::Subscribed);
        self.end(&mut joints);
        self.generation.fetch_add(1, Memory::Release);
    }

    /// Ends a symbol with a state record.
    pub fn leave(&self, symbol: &str) {
        let mut joints = self.turn();
        joints.set_state(symbol, StreamPhase::Empty, StateReason::Unsubscribed);
        self.end(&mut joints);
        joints.by_symbol.remove(symbol);
        self.generation.fetch_add(1, Memory::Release);
    }

    /// Publishes that silent topics live.
    pub fn tick(&self) {
        let mut joints = self.turn();
        let Joints { publisher, by_symbol } = &mut *joints;
        for (symbol, joint) in by_symbol.iter_mut() {
            if publisher.now - joint.topic.published_at >= HEARTBEAT_NS {
                let origin = Origin { venue: CONSOLIDATED, symbol, usual: joint.usual };
                publisher.heartbeat(origin, &mut joint.topic, joint.ts_recv_last);
            }
        }
        self.end(&mut joints);
    }

    /// Counts the changes of what is followed.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Memory::Acquire)
    }

    /// Whether a venue takes part in a symbol.
    pub(crate) fn has_seat(&self, venue: &str, symbol: &str) -> bool {
        let joints = self.joints.lock().unwrap_or_else(PoisonError::into_inner);
        joints.by_symbol.get(symbol).is_some_and(|joint| joint.seats.iter().any(|seat| seat.venue == venue))
    }

    /// Takes what a venue shows of a symbol now; `None`: this source is not followed any more.
    pub(crate) fn tell(
        &self,
        (venue, symbol): (&str, &str),
        source: QuoteSource,
        quote: Option<Quote>,
        usual: Exponents,
    ) {
        let mut joints = self.turn();
        let Some(joint) = joints.by_symbol.get_mut(symbol) else { return };
        let Some(seat) = joint.seats.iter_mut().find(|seat| seat.venue == venue) else { return };
        match source {
            QuoteSource::Top => seat.top = quote,
            QuoteSource::Book => seat.book = quote,
        }
        joint.usual.price = joint.usual.price.min(usual.price);
        joint.usual.quantity = joint.usual.quantity.min(usual.quantity);
        let times = match quote {
            Some(Quote::Top(_, times)) => times,
            _ => Times::default(),
        };
        joint.ts_recv_last = joint.ts_recv_last.max(times.recv);
        joints.publish(symbol, times);
        self.end(&mut joints);
    }

    fn turn(&self) -> MutexGuard<'_, Joints> {
        let mut joints = self.joints.lock().unwrap_or_else(PoisonError::into_inner);
        joints.publisher.begin(self.clock.wall_ns(), self.clock.monotonic_ns());
        joints
    }

    fn end(&self, joints: &mut Joints) {
        if joints.publisher.flush(&self.hub).is_err() {
            for joint in joints.by_symbol.values_mut() {
                joint.topic.seq = self.hub.head(joint.topic.id);
                joint.said = None;
            }
        }
    }
}

impl Joints {
    /// Publishes a symbol if what it says has changed.
    fn publish(&mut self, symbol: &str, times: Times) {
        let Some(joint) = self.by_symbol.get_mut(symbol) else { return };
        let bid = joint.best(|top| top.bid, Ordering::Greater);
        let ask = joint.best(|top| top.ask, Ordering::Less);
        let mut out = [None; SEATS_MAX];
        for (slot, seat) in out.iter_mut().zip(&joint.seats) {
            *slot = seat.quote().err();
        }
        let place = |best: Best| best.map(|(at, level, _)| (at, level));
        let says = (place(bid), place(ask), out);
        if joint.said == Some(says) {
            return;
        }
        let is_any = bid.is_some() || ask.is_some();
        let origin = Origin { venue: CONSOLIDATED, symbol, usual: joint.usual };
        let seats = &joint.seats;
        let quote = |best: Best| best.and_then(|best| Joint::quote(best, seats));
        let tops = (quote(bid), quote(ask));
        if self.publisher.consolidated(origin, &mut joint.topic, tops, (seats, &out), times).is_err() {
            self.set_state(symbol, StreamPhase::Rejected, StateReason::NumberRange);
            return;
        }
        joint.said = Some(says);
        if is_any {
            self.set_state(symbol, StreamPhase::Live, StateReason::Synced);
        } else {
            self.set_state(symbol, StreamPhase::Stale, StateReason::NoData);
        }
    }

    fn set_state(&mut self, symbol: &str, phase: StreamPhase, reason: StateReason) {
        let Some(joint) = self.by_symbol.get_mut(symbol) else { return };
        let topic = &mut joint.topic;
        if (topic.phase, topic.reason) == (phase, reason) {
            return;
        }
        (topic.phase, topic.reason) = (phase, reason);
        (topic.since_event, topic.since_recv) = (topic.ts_event_last, self.publisher.wall);
        let origin = Origin { venue: CONSOLIDATED, symbol, usual: joint.usual };
        self.publisher.state(origin, topic, &StateDetail::default(), Integrity::Unspecified);
    }
}

impl Publisher {
    /// Publishes the best prices over venues.
    fn consolidated(
        &mut self,
        origin: Origin<'_>,
        topic: &mut Topic,
        (bid, ask): (Option<ConsolidatedQuote<'_>>, Option<ConsolidatedQuote<'_>>),
        (seats, out): (&[Seat], &[Option<&'static str>; SEATS_MAX]),
        times: Times,
    ) -> Result<(), WireError> {
        let mut rows = [VenueLeftOut { venue: "", reason: "" }; SEATS_MAX];
        let mut count = 0;
        for (seat, reason) in seats.iter().zip(out) {
            if let (Some(reason), Some(row)) = (reason, rows.get_mut(count)) {
                *row = VenueLeftOut { venue: &seat.venue, reason };
                count += 1;
            }
        }
        let left_out = rows.get(..count).unwrap_or_default();
        let header = self.header(origin, topic, topic.seq + 1, times);
        let top = wire::ConsolidatedTop { bid, ask, left_out };
        let encode = |out: &mut Vec<u8>| wire::consolidated_top(out, &header, origin.usual, &top);
        self.batch.record(topic.id, header.seq, RecordKind::Data, false, encode)?;
        self.counted(topic, times);
        Ok(())
    }
}
