//! What a subscriber wants of a topic, and how a cursor that may skip keeps count of what it skipped.

use crate::record::Stamp;
use crate::ring::Position;
use crate::topic::TopicKey;

/// A LATEST subscriber this far behind gets the newest record instead of the next one, nanoseconds.
pub(crate) const BEHIND_NS: u64 = 250_000_000;
/// Once behind, what is younger is given as it is: newest data is cheap to skip to, a cut is not.
const FRESH_DATA_NS: u64 = 10_000_000;
/// The same for what a cut would replace; a cut of this age also serves whoever falls behind.
pub(crate) const FRESH_CUT_NS: u64 = 100_000_000;
/// Without a skipped record for so long a subscriber keeps up again, nanoseconds.
const KEEPS_UP_NS: u64 = 1_000_000_000;
/// While records are skipped, their count is told this often, nanoseconds.
const TELL_NS: u64 = 1_000_000_000;

/// What a subscriber wants of a topic when it cannot, or will not, have every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Delivery {
    /// Every record, or a gap and the end of the stream.
    #[default]
    Every,
    /// Every record while it keeps up, the newest when it is behind.
    Latest,
    /// At most one group of data per interval.
    Interval {
        /// Nanoseconds between two groups.
        ns: u64,
    },
}

/// What stands for the records that were skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Conflate {
    /// The newest group of data.
    #[default]
    Newest,
    /// A cut that is asked of the feed (books).
    Cut,
}

/// How the records of a topic reach a subscriber just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Each one.
    Every,
    /// The newest.
    Latest,
    /// One per interval.
    Interval,
}

/// Why a subscriber is told about its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryCause {
    /// It falls behind: 75 % of a bound.
    LagWarning,
    /// It is below 50 % of the bounds again.
    LagCleared,
    /// It is too far behind: records are skipped.
    Behind,
    /// Too many bytes wait: records are skipped.
    Bytes,
    /// It keeps up again: no record is skipped.
    KeepsUp,
    /// It asked for one per interval: the count of the others.
    Counted,
}

/// A switch of delivery, or a count of what was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryChange<'a> {
    /// The topic.
    pub topic: TopicKey<'a>,
    /// Mode until here.
    pub mode_old: Mode,
    /// Mode from here.
    pub mode_new: Mode,
    /// Why.
    pub cause: DeliveryCause,
    /// Topic records skipped since the last change of this topic, those directly behind this record included.
    pub skipped: u64,
    /// How far the subscriber is behind, nanoseconds.
    pub lag_ns: u64,
    /// Time of the hub: the newest stamp it was given.
    pub now: Stamp,
}

/// What a cursor that may skip has skipped, and what it has told.
#[derive(Debug)]
pub(crate) struct Pace {
    pub delivery: Delivery,
    pub conflate: Conflate,
    /// LATEST: why it skips; `None`: it gives every record.
    behind: Option<DeliveryCause>,
    /// Whether that was told.
    is_told: bool,
    /// Topic records skipped and not told.
    skipped: u64,
    /// When it last skipped, nanoseconds of the hub's monotonic time.
    skipped_at_ns: u64,
    /// When it last told, likewise.
    told_at_ns: u64,
    /// How far it was behind when it last skipped, nanoseconds.
    lag_ns: u64,
    /// INTERVAL: when the next group may go, nanoseconds of the taker's clock.
    pub due_ns: u64,
    /// When the timer that stands for it rings, likewise; 0: none does.
    pub timer_ns: u64,
    /// The first record that waits for that.
    pub parked: Option<Position>,
}

/// The news of a cursor about its delivery.
#[derive(Debug, Clone, Copy)]
pub(crate) struct News {
    pub mode_old: Mode,
    pub mode_new: Mode,
    pub cause: DeliveryCause,
    pub skipped: u64,
    pub lag_ns: u64,
}

impl Pace {
    /// Makes the pace of a cursor; `None`: it skips nothing.
    pub fn new(delivery: Delivery, conflate: Conflate, now_ns: u64) -> Option<Box<Self>> {
        (delivery != Delivery::Every).then(|| {
            Box::new(Self {
                delivery,
                conflate,
                behind: None,
                is_told: false,
                skipped: 0,
                skipped_at_ns: 0,
                told_at_ns: now_ns,
                lag_ns: 0,
                due_ns: 0,
                timer_ns: 0,
                parked: None,
            })
        })
    }

    /// Whether it gives less than every record already.
    pub fn is_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// Returns how old the next record of a LATEST cursor may be, nanoseconds.
    pub fn age_ns_max(&self) -> u64 {
        match (self.behind, self.conflate) {
            (None, _) => BEHIND_NS,
            (Some(_), Conflate::Newest) => FRESH_DATA_NS,
            (Some(_), Conflate::Cut) => FRESH_CUT_NS,
        }
    }

    /// Notes that it begins to skip.
    pub fn fall_behind(&mut self, cause: DeliveryCause, lag_ns: u64, now_ns: u64) {
        self.lag_ns = lag_ns;
        self.skipped_at_ns = now_ns;
        if self.delivery == Delivery::Latest {
            self.behind = self.behind.or(Some(cause));
        }
    }

    /// Counts skipped records.
    pub fn skip(&mut self, count: u64, now_ns: u64) {
        if count > 0 {
            self.skipped += count;
            self.skipped_at_ns = now_ns;
        }
    }

    /// Notes that a group of data was given.
    pub fn given(&mut self, now_ns: u64) {
        if let Delivery::Interval { ns } = self.delivery {
            self.due_ns = now_ns.saturating_add(ns);
        }
    }

    /// Returns what is to be told before the next record, and takes it as told. Who still waits for a base has more
    /// left out yet, however long ago the last record was: it does not keep up.
    pub fn news(&mut self, now_ns: u64, is_waiting: bool) -> Option<News> {
        let is_due = self.skipped > 0 && now_ns.saturating_sub(self.told_at_ns) >= TELL_NS;
        let keeps_up = !is_waiting && now_ns.saturating_sub(self.skipped_at_ns) >= KEEPS_UP_NS;
        let (mode_old, mode_new, cause) = match (self.delivery, self.behind) {
            (Delivery::Latest, Some(cause)) if !self.is_told && self.skipped > 0 => {
                self.is_told = true;
                (Mode::Every, Mode::Latest, cause)
            }
            (Delivery::Latest, Some(_)) if keeps_up => {
                self.behind = None;
                if !std::mem::take(&mut self.is_told) {
                    return None;
                }
                self.lag_ns = 0;
                (Mode::Latest, Mode::Every, DeliveryCause::KeepsUp)
            }
            _ if is_due => return self.rest(now_ns),
            _ => return None,
        };
        Some(self.tell(mode_old, mode_new, cause, now_ns))
    }

    /// Returns the count that was not told yet, and takes it as told: before the end, and now and then.
    pub fn rest(&mut self, now_ns: u64) -> Option<News> {
        if self.skipped == 0 {
            return None;
        }
        let (mode, cause) = match self.delivery {
            Delivery::Interval { .. } => (Mode::Interval, DeliveryCause::Counted),
            Delivery::Latest | Delivery::Every => (Mode::Latest, DeliveryCause::Behind),
        };
        let mode_old = if self.is_told { mode } else { Mode::Every };
        let mode_old = if mode == Mode::Interval { mode } else { mode_old };
        self.is_told = true;
        Some(self.tell(mode_old, mode, cause, now_ns))
    }

    fn tell(&mut self, mode_old: Mode, mode_new: Mode, cause: DeliveryCause, now_ns: u64) -> News {
        self.told_at_ns = now_ns;
        News { mode_old, mode_new, cause, skipped: std::mem::take(&mut self.skipped), lag_ns: self.lag_ns }
    }
}
