//! Holes in the trades of an instrument, and the pages of REST that may fill them (row B22). Pure.
//!
//! All holes of an instrument are asked for together: the pages run over the span of all. A venue that counts its trades
//! tells by ids what is missing. OKX merges the matches of one order and price under the last id, while its REST lists
//! each match: there the matches that belong to the merged trade behind a hole are known by their sum.

use facade_model::{Decimal, GapCause, Trade};
use facade_venues::TradesSpan;

use crate::window::{Sighting, TradeWindow};

/// Open holes of one instrument; one more closes the oldest as it stands.
const HOLES_MAX: usize = 1_000;
/// Pages asked for in a row before the next ones wait.
const PAGES_MAX: u32 = 20;
/// Pause before the venue is asked again for what it did not know yet.
const RETRY_NS: i64 = 500_000_000;

/// Trades that were not received.
#[derive(Debug, Clone, PartialEq)]
pub struct Hole {
    /// Number of the Gap record that told it.
    pub gap_id: u64,
    /// Why.
    pub cause: GapCause,
    /// First missing id (for a venue that merges: the first one that may be missing).
    pub id_first: u64,
    /// Last missing id (likewise).
    pub id_last: u64,
    /// How many are missing; absent: unknown.
    pub count: Option<u64>,
    /// How many came since.
    pub filled: u64,
    /// Venue or receive time of the trade before, ns UTC.
    pub ts_first: i64,
    /// Venue or receive time of the trade behind, ns UTC.
    pub ts_last: i64,
    /// When it closes as it stands, monotonic ns.
    pub deadline: i64,
    /// Where the venue merges: what is left of the trade behind.
    pub behind: Option<Behind>,
}

/// The merged trade behind a hole: matches of it stand in REST under ids of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behind {
    /// Id of its last match.
    pub id: u64,
    /// Quantity whose matches were not met yet.
    pub rest: Decimal,
    /// Smallest id met so far; `id + 1`: none.
    pub lowest: u64,
    /// Whether ids or quantities did not join up: then nothing can be told apart.
    pub is_torn: bool,
}

impl Behind {
    /// The trade behind a hole.
    #[must_use]
    pub const fn new(trade: &Trade) -> Self {
        Self { id: trade.id, rest: trade.qty, lowest: trade.id + 1, is_torn: false }
    }

    /// Takes the next match below; `true`: it is no part of the merged trade, so it was missed.
    fn take(&mut self, row: &Trade) -> bool {
        self.is_torn |= row.id + 1 != self.lowest;
        self.lowest = row.id;
        if self.rest.is_zero() {
            return true;
        }
        match minus(self.rest, row.qty) {
            Some(rest) if rest.mantissa >= 0 => self.rest = rest,
            _ => self.is_torn = true,
        }
        false
    }
}

/// The exact difference, if 64 bits hold it.
fn minus(left: Decimal, right: Decimal) -> Option<Decimal> {
    let exponent = left.exponent.min(right.exponent);
    let mantissa = left.rescale(exponent)?.checked_sub(right.rescale(exponent)?)?;
    Some(Decimal::new(mantissa, exponent))
}

impl Hole {
    /// Whether nothing is missing any more.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match (self.behind, self.count) {
            (Some(behind), _) => !behind.is_torn && behind.rest.is_zero() && behind.lowest <= self.id_first,
            (None, Some(count)) => self.filled >= count,
            (None, None) => false,
        }
    }

    /// Whether no answer can fill it any more.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.behind.is_some_and(|behind| behind.is_torn)
    }
}

/// What is asked for next, and how far the pages got.
#[derive(Debug, Clone, Default)]
pub struct Backfill {
    /// Open holes, oldest first; they do not overlap.
    holes: Vec<Hole>,
    /// The request under way.
    request_id: Option<u64>,
    /// When the next request is due, monotonic ns.
    due: i64,
    pages: u32,
    /// Forward: everything below was asked for; backward: everything above.
    cursor: Option<Cursor>,
}

/// Where the next page begins (forward) or ends (backward).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    id: u64,
    ts: i64,
}

impl Backfill {
    /// Takes a new hole, to be asked for from `due` on; returns the oldest one if there are too many.
    pub fn open(&mut self, hole: Hole, due: i64) -> Option<Hole> {
        if self.holes.is_empty() {
            self.due = due;
            self.pages = 0;
            self.cursor = None;
        }
        self.holes.push(hole);
        (self.holes.len() > HOLES_MAX).then(|| self.holes.remove(0))
    }

    /// Whether a hole is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.holes.is_empty()
    }

    /// Notes that a trade of an open hole came by itself, late; `false`: it is of no open hole.
    pub fn came_late(&mut self, id: u64) -> bool {
        let hole = self.holes.iter_mut().find(|hole| (hole.id_first..=hole.id_last).contains(&id));
        hole.map(|hole| hole.filled += 1).is_some()
    }

    /// Takes out the holes that are done: whole, hopeless, or beyond their time.
    pub fn close(&mut self, now: i64) -> Vec<Hole> {
        if self.holes.iter().all(|hole| !is_done(hole, now)) {
            return Vec::new();
        }
        let (done, open) = std::mem::take(&mut self.holes).into_iter().partition(|hole| is_done(hole, now));
        self.holes = open;
        done
    }

    /// The span to ask for now, if it is time; the caller tells the request's number by [`Self::asked`].
    #[must_use]
    pub fn span(&self, now: i64, is_forward: bool) -> Option<TradesSpan> {
        let first = self.holes.first()?;
        if self.request_id.is_some() || now < self.due {
            return None;
        }
        let last = self.holes.last().unwrap_or(first);
        let id_last = last.behind.map_or(last.id_last, |behind| behind.id);
        let mut span = TradesSpan {
            id_first: Some(first.id_first),
            id_last: Some(id_last),
            ts_first: first.ts_first,
            ts_last: last.ts_last,
            rows_max: 0,
        };
        match self.cursor {
            Some(cursor) if is_forward => {
                span.id_first = Some(cursor.id.max(first.id_first));
                span.ts_first = cursor.ts.max(first.ts_first);
            }
            Some(cursor) => {
                span.id_last = Some(cursor.id.min(id_last));
                span.ts_last = cursor.ts.min(last.ts_last);
            }
            None => {}
        }
        Some(span)
    }

    /// Notes the request under way.
    pub const fn asked(&mut self, request_id: u64) {
        self.request_id = Some(request_id);
        self.pages += 1;
    }

    /// Whether an answer is the awaited one; it is awaited no more.
    pub fn answered(&mut self, request_id: u64) -> bool {
        let is_it = self.request_id == Some(request_id);
        if is_it {
            self.request_id = None;
        }
        is_it
    }

    /// Forgets the request under way: its answer will not come here.
    pub const fn ask_again(&mut self, now: i64) {
        if self.request_id.is_some() {
            self.request_id = None;
            self.due = now;
        }
    }

    /// Notes that there was no answer of use.
    pub const fn failed(&mut self, now: i64) {
        self.due = now + RETRY_NS;
    }

    /// Takes a page, oldest trade first; appends to `found` what was missing, each with its hole's number.
    pub fn take(
        &mut self,
        rows: &[Trade],
        window: &mut TradeWindow,
        (now, is_forward): (i64, bool),
        found: &mut Vec<(u64, Trade)>,
    ) {
        let start = found.len();
        for row in rows.iter().rev() {
            if let Some(hole) = self.holes.iter_mut().find(|hole| is_of(hole, row.id)) {
                let is_missed = hole.behind.as_mut().is_none_or(|behind| behind.take(row));
                let is_new = window.see(row.id) == Sighting::New;
                if is_missed && is_new {
                    hole.filled += 1;
                    found.push((hole.gap_id, *row));
                }
            }
        }
        if let Some(new) = found.get_mut(start..) {
            new.reverse();
        }
        self.turn_page(rows, now, is_forward);
    }

    /// Decides where the next page begins, or when the venue is asked again from the start.
    fn turn_page(&mut self, rows: &[Trade], now: i64, is_forward: bool) {
        let (Some(oldest), Some(newest)) = (rows.first(), rows.last()) else {
            self.start_over(now);
            return;
        };
        let (first, last) = (
            self.holes.first().map_or(0, |hole| hole.id_first),
            self.holes.last().map_or(0, |hole| hole.id_last),
        );
        let next = if is_forward {
            Cursor { id: newest.id.saturating_add(1), ts: newest.ts_event }
        } else {
            Cursor { id: oldest.id.saturating_sub(1), ts: oldest.ts_event }
        };
        let is_over = if is_forward { next.id > last } else { next.id < first };
        let is_stuck = self.cursor == Some(next);
        if is_over || is_stuck {
            self.start_over(now);
            return;
        }
        self.cursor = Some(next);
        self.due = now;
        if self.pages >= PAGES_MAX {
            self.pages = 0;
            self.due += RETRY_NS;
        }
    }

    const fn start_over(&mut self, now: i64) {
        self.cursor = None;
        self.pages = 0;
        self.due = now + RETRY_NS;
    }
}

fn is_done(hole: &Hole, now: i64) -> bool {
    hole.is_whole() || hole.is_hopeless() || hole.deadline <= now
}

fn is_of(hole: &Hole, id: u64) -> bool {
    let last = hole.behind.map_or(hole.id_last, |behind| behind.lowest.saturating_sub(1));
    (hole.id_first..=last).contains(&id)
}

#[cfg(test)]
mod tests {
    use facade_model::TakerSide;
    use proptest::prelude::*;

    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    fn trade(id: u64, qty: i64) -> Trade {
        Trade {
            id,
            px: Decimal::new(100, 0),
            qty: Decimal::new(qty, 0),
            side: TakerSide::Buy,
            ts_event: id.cast_signed() * 1_000,
            is_market: true,
        }
    }

    fn hole(gap_id: u64, id_first: u64, id_last: u64) -> Hole {
        Hole {
            gap_id,
            cause: GapCause::TradeIds,
            id_first,
            id_last,
            count: Some(id_last + 1 - id_first),
            filled: 0,
            ts_first: id_first.cast_signed() * 1_000,
            ts_last: id_last.cast_signed() * 1_000,
            deadline: 5 * SECOND_NS,
            behind: None,
        }
    }

    /// A venue that knows all trades up to `last` and answers `most` of them at once, by ids.
    fn page(span: &TradesSpan, last: u64, most: usize, is_forward: bool) -> Vec<Trade> {
        let known = 1..=last;
        if is_forward {
            known.skip_while(|id| *id < span.id_first.unwrap()).take(most).map(|id| trade(id, 1)).collect()
        } else {
            let top = span.id_last.unwrap().min(last);
            let bottom = (top + 1).saturating_sub(most as u64).max(1);
            (bottom..=top).map(|id| trade(id, 1)).collect()
        }
    }

    /// Runs until nothing is asked for within the time; returns what was found and the closed holes.
    fn run(
        mut backfill: Backfill,
        window: &mut TradeWindow,
        is_forward: bool,
        mut answer: impl FnMut(&TradesSpan) -> Vec<Trade>,
    ) -> (Vec<(u64, Trade)>, Vec<Hole>, u32) {
        let (mut found, mut closed, mut now, mut requests) = (Vec::new(), Vec::new(), 0, 0);
        while backfill.is_open() {
            if let Some(span) = backfill.span(now, is_forward) {
                requests += 1;
                backfill.asked(u64::from(requests));
                assert!(backfill.span(now, is_forward).is_none(), "one request at a time");
                assert!(backfill.answered(u64::from(requests)));
                let rows = answer(&span);
                backfill.take(&rows, window, (now, is_forward), &mut found);
            }
            closed.extend(backfill.close(now));
            now += SECOND_NS / 20;
        }
        (found, closed, requests)
    }

    proptest! {
        #[test]
        fn row_b22_every_hole_is_filled_once_whatever_the_paging(
            seen in prop::collection::vec(any::<bool>(), 3..400), most in 5_usize..60, is_forward in any::<bool>(),
        ) {
            let (mut window, mut backfill) = (TradeWindow::default(), Backfill::default());
            window.see(1);
            let mut missing = Vec::new();
            let mut last = 1;
            for id in (2..).zip(&seen).filter(|(_, is_seen)| **is_seen).map(|(id, _)| id) {
                if id > last + 1 {
                    prop_assert!(backfill.open(hole(id, last + 1, id - 1), 0).is_none());
                    missing.extend(last + 1..id);
                }
                window.see(id);
                last = id;
            }
            let (found, closed, requests) =
                run(backfill, &mut window, is_forward, |span| page(span, last, most, is_forward));
            let mut ids: Vec<u64> = found.iter().map(|(_, trade)| trade.id).collect();
            if is_forward {
                prop_assert!(ids.is_sorted());
            }
            ids.sort_unstable();
            prop_assert_eq!(&ids, &missing);
            prop_assert!(closed.iter().all(|hole| hole.is_whole() && Some(hole.filled) == hole.count));
            prop_assert!(requests as usize <= seen.len() / most + 2);
        }

        #[test]
        fn merged_trades_are_told_from_missed_ones_by_their_sum(
            missed in 0_usize..60, parts in prop::collection::vec(1_i64..9, 1..6), most in 1_usize..25,
        ) {
            let sum: i64 = parts.iter().sum();
            let first = 11_u64;
            let behind_first = first + missed as u64;
            let behind = trade(behind_first + parts.len() as u64 - 1, sum);
            let known: Vec<Trade> = (first..behind_first).map(|id| trade(id, 3))
                .chain((behind_first..).zip(&parts).map(|(id, qty)| trade(id, *qty)))
                .collect();
            let (mut window, mut backfill) = (TradeWindow::default(), Backfill::default());
            window.see(first - 1);
            window.see(behind.id);
            let one = Hole { count: None, behind: Some(Behind::new(&behind)), ..hole(7, first, behind.id - 1) };
            if behind.id > first {
                backfill.open(one, 0);
                let (found, closed, _) = run(backfill, &mut window, false, |span| {
                    let below: Vec<Trade> =
                        known.iter().filter(|row| row.id <= span.id_last.unwrap()).copied().collect();
                    below.split_at(below.len().saturating_sub(most)).1.to_vec()
                });
                prop_assert_eq!(found.len(), missed);
                prop_assert!(closed.iter().all(Hole::is_whole));
            }
        }
    }

    #[test]
    fn row_b22_hole_that_the_venue_cannot_fill_closes_at_its_deadline() {
        let (mut window, mut backfill) = (TradeWindow::default(), Backfill::default());
        window.see(1);
        backfill.open(hole(3, 2, 11), 0);
        window.see(12);
        let (found, closed, requests) =
            run(backfill, &mut window, true, |span| page(span, 12, 100, true).into_iter().skip(3).collect());
        assert_eq!(found.len(), 7);
        let [closed] = &closed[..] else { panic!("{closed:?}") };
        assert_eq!((closed.filled, closed.is_whole()), (7, false));
        assert!((2..=12).contains(&requests), "asked again, and not without pause: {requests}");
    }

    #[test]
    fn merged_trade_whose_matches_do_not_add_up_fills_nothing() {
        let (mut window, mut backfill) = (TradeWindow::default(), Backfill::default());
        window.see(1);
        let behind = trade(10, 5);
        backfill.open(Hole { behind: Some(Behind::new(&behind)), count: None, ..hole(3, 2, 9) }, 0);
        window.see(10);
        let rows: Vec<Trade> = (1..=10).map(|id| trade(id, 3)).collect();
        let (found, closed, requests) = run(backfill, &mut window, false, |_| rows.clone());
        assert!(found.is_empty() && closed.iter().all(|hole| !hole.is_whole()), "{found:?}");
        assert_eq!(requests, 1);
    }

    #[test]
    fn trades_that_come_late_by_themselves_fill_their_hole() {
        let mut backfill = Backfill::default();
        backfill.open(hole(3, 2, 3), SECOND_NS);
        assert!(backfill.came_late(3) && !backfill.came_late(4));
        assert!(backfill.close(0).is_empty());
        assert!(backfill.came_late(2));
        assert_eq!(backfill.close(0).len(), 1);
    }
}
