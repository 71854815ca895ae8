//! Spans of time whose trades are missing.

/// Spans that are remembered; beyond, the two oldest become one that covers both.
const SPANS_MAX: usize = 32;

/// A span of time, both ends inside it, ns UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: i64,
    last: i64,
    is_open: bool, // may still be filled
}

impl Span {
    const fn touches(&self, ts_open: i64, ts_close: i64) -> bool {
        self.first < ts_close && self.last >= ts_open
    }
}

/// Spans whose trades are missing, or were for some time.
#[derive(Debug, Clone)]
pub struct Gaps {
    spans: Vec<Span>,
    wait_ns: i64, // after so long a gap counts as lost
}

impl Gaps {
    pub fn new(wait_ns: i64) -> Self {
        Self { spans: Vec::with_capacity(SPANS_MAX + 1), wait_ns }
    }

    /// Opens a gap, or ends the open one that begins at `first`; an end that was told is only ever moved on.
    pub fn open(&mut self, first: i64, last: i64) {
        if let Some(span) = self.spans.iter_mut().find(|span| span.is_open && span.first == first) {
            span.last = if span.last == i64::MAX { last } else { span.last.max(last) };
            return;
        }
        self.push(Span { first, last, is_open: true });
    }

    /// Closes gaps: what was filled whole is forgotten, what was not stays missing for ever.
    pub fn fill(&mut self, first: i64, last: i64, is_whole: bool) {
        for at in (0..self.spans.len()).rev() {
            let Some(span) = self.spans.get(at).copied() else { continue };
            if !span.is_open || span.first > last || span.last < first {
                continue;
            }
            if !is_whole {
                self.spans.iter_mut().skip(at).take(1).for_each(|span| span.is_open = false);
                continue;
            }
            self.spans.remove(at);
            if span.first < first {
                self.push(Span { last: first - 1, ..span });
            }
            if span.last > last && !(span.last == i64::MAX && span.first >= first) {
                self.push(Span { first: last + 1, ..span });
            }
        }
    }

    fn push(&mut self, span: Span) {
        self.spans.push(span);
        if self.spans.len() > SPANS_MAX {
            let oldest = self.spans.remove(0);
            if let Some(next) = self.spans.first_mut() {
                next.first = next.first.min(oldest.first);
                next.last = next.last.max(oldest.last);
                next.is_open = false;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether trades of the bar are missing.
    pub fn touch(&self, ts_open: i64, ts_close: i64) -> bool {
        self.spans.iter().any(|span| span.touches(ts_open, ts_close))
    }

    /// Whether trades of the bar are missing and may still come.
    pub fn may_fill(&self, ts_open: i64, ts_close: i64) -> bool {
        self.spans.iter().any(|span| span.is_open && span.touches(ts_open, ts_close))
    }

    /// Time at which the next gap counts as lost.
    pub fn wake(&self) -> i64 {
        let ends = self.spans.iter().filter(|span| span.is_open).map(|span| span.last);
        ends.min().map_or(i64::MAX, |last| last.saturating_add(self.wait_ns))
    }

    /// Gives up gaps that have waited too long; whether there was one.
    pub fn expire(&mut self, now: i64) -> bool {
        let mut any = false;
        for span in &mut self.spans {
            if span.is_open && span.last.saturating_add(self.wait_ns) <= now {
                span.is_open = false;
                any = true;
            }
        }
        any
    }

    /// Forgets lost gaps that end before `floor`, which no bar can meet any more.
    pub fn forget(&mut self, floor: i64) {
        self.spans.retain(|span| span.is_open || span.last >= floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gaps() -> Gaps {
        Gaps::new(600)
    }

    #[test]
    fn a_part_that_is_filled_leaves_the_rest_open() {
        let mut gaps = gaps();
        gaps.open(10, 40);
        gaps.fill(20, 29, true);
        assert!(gaps.touch(10, 20) && gaps.touch(30, 41));
        assert!(!gaps.touch(20, 30));
    }

    #[test]
    fn a_gap_that_was_not_filled_whole_never_goes() {
        let mut gaps = gaps();
        gaps.open(10, 40);
        gaps.fill(10, 40, false);
        gaps.fill(10, 40, true);
        assert!(gaps.touch(40, 50) && !gaps.may_fill(40, 50));
        gaps.forget(41);
        assert!(gaps.is_empty());
    }

    #[test]
    fn a_gap_without_an_end_ends_where_it_is_filled() {
        let mut gaps = gaps();
        gaps.open(10, i64::MAX);
        assert!(gaps.touch(1_000_000, 1_000_001));
        gaps.fill(10, 40, true);
        assert!(gaps.is_empty());
    }

    #[test]
    fn an_end_is_told_later_and_never_taken_back() {
        let mut gaps = gaps();
        gaps.open(10, i64::MAX);
        gaps.open(10, 40);
        gaps.open(10, 20);
        assert!(gaps.touch(40, 41) && !gaps.touch(41, 42));
    }

    #[test]
    fn too_many_gaps_become_one_that_hides_nothing() {
        let mut gaps = gaps();
        for at in 0..100 {
            gaps.open(at * 10, at * 10 + 1);
        }
        assert!((0..100).all(|at| gaps.touch(at * 10, at * 10 + 1)));
        assert!(gaps.spans.len() <= SPANS_MAX);
    }

    #[test]
    fn a_gap_that_nobody_fills_is_lost_in_the_end() {
        let mut gaps = gaps();
        gaps.open(10, 40);
        assert!(!gaps.expire(639) && gaps.may_fill(10, 11));
        assert_eq!(gaps.wake(), 640);
        assert!(gaps.expire(640) && !gaps.may_fill(10, 11) && gaps.touch(10, 11));
    }
}
