//! Clocks that cannot be right: steps of our wall clock (row H07), venue times outside all reason (row B21). Pure.

const SECOND_NS: i64 = 1_000_000_000;
/// Change of the wall clock against the monotonic one, between two turns, that is a step and no slewing.
const STEP_NS: i64 = SECOND_NS;
/// How far a venue's time may lie ahead of the receive time: clocks differ by seconds, not by more.
const AHEAD_NS: i64 = 60 * SECOND_NS;
/// How far it may lie behind: a slow line and a pause of ours delay what is true.
const BEHIND_NS: i64 = 300 * SECOND_NS;

/// Knows two readings of the wall: as it is, and as it would be had nobody stepped it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TimeJudge {
    /// Wall minus monotonic at the last turn.
    offset: Option<i64>,
    /// Sum of all steps.
    stepped: i64,
    /// How often the wall was stepped.
    pub steps: u64,
    /// The last step, ns; positive: forward.
    pub step_last: i64,
    /// Monotonic time of the last step.
    pub stepped_at: i64,
}

impl TimeJudge {
    /// Takes the times of a turn; tells whether the wall was stepped since the last one.
    pub fn turn(&mut self, wall: i64, now: i64) -> bool {
        let offset = wall - now;
        let change = offset - self.offset.replace(offset).unwrap_or(offset);
        if change.abs() < STEP_NS {
            return false;
        }
        self.stepped = self.stepped.saturating_add(change);
        self.step_last = change;
        self.stepped_at = now;
        self.steps += 1;
        true
    }

    /// Whether a venue's time is outside all reason, by the wall as it is and as it would be without its steps.
    ///
    /// 0, no time, is never bad.
    #[must_use]
    pub fn is_bad(&self, ts_event: i64, ts_recv: i64) -> bool {
        let is_far = |recv: i64| {
            let lag = recv.saturating_sub(ts_event);
            !(-AHEAD_NS..=BEHIND_NS).contains(&lag)
        };
        ts_event != 0 && is_far(ts_recv) && is_far(ts_recv.saturating_sub(self.stepped))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WALL: i64 = 1_800_000_000 * SECOND_NS;
    const HOUR: i64 = 3_600 * SECOND_NS;

    #[test]
    fn row_b21_hours_and_wrong_units_are_bad_and_seconds_are_not() {
        let judge = TimeJudge::default();
        for (ts_event, is_bad) in [
            (WALL, false),
            (WALL - 2 * SECOND_NS, false),
            (WALL + 2 * SECOND_NS, false),
            (WALL - 30 * SECOND_NS, false),
            (WALL + HOUR, true),
            (WALL - HOUR, true),
            (WALL / 1_000, true),
            (WALL.saturating_mul(1_000), true),
            (0, false),
        ] {
            assert_eq!(judge.is_bad(ts_event, WALL), is_bad, "{ts_event}");
        }
    }

    proptest! {
        #[test]
        fn row_h07_stepped_wall_makes_no_venue_time_bad(
            steps in prop::collection::vec(-1_000 * HOUR..1_000 * HOUR, 1..8), gap in 1..10 * SECOND_NS,
        ) {
            let mut judge = TimeJudge::default();
            let (mut now, mut stepped) = (5 * SECOND_NS, 0_i64);
            let mut count = 0;
            judge.turn(WALL + now, now);
            for step in steps {
                now += gap;
                stepped += step;
                count += u64::from(step.abs() >= STEP_NS);
                prop_assert_eq!(judge.turn(WALL + now + stepped, now), step.abs() >= STEP_NS);
                prop_assert_eq!(judge.steps, count);
                if step.abs() >= STEP_NS {
                    prop_assert_eq!(judge.step_last, step);
                }
                prop_assert!(!judge.is_bad(WALL + now, WALL + now + stepped), "the venue is right");
            }
        }

        #[test]
        fn row_h07_slewing_is_no_step(slew in -STEP_NS + 1..STEP_NS) {
            let mut judge = TimeJudge::default();
            judge.turn(WALL, 0);
            prop_assert!(!judge.turn(WALL + SECOND_NS + slew, SECOND_NS));
            prop_assert_eq!(judge.steps, 0);
        }
    }
}
