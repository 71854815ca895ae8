"""Coverage answers against a naive model that judges each instant by itself."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from datafacade.store.spans import Hole, Span, SpanState, join

LENGTH = 40


@st.composite
def covered(draw: st.DrawFn) -> list[Span]:
    """Make spans without overlap, some touching."""
    borders = draw(st.lists(st.integers(0, LENGTH), unique=True, max_size=12).map(sorted))
    spans = []
    for number, (start, end) in enumerate(pairwise(borders)):
        state = draw(st.sampled_from([None, SpanState.COMPLETE, SpanState.UNPROVEN]))
        if state is not None:
            spans.append(Span(ts_start=start, ts_end=end, state=state, epoch=7, seq_first=number + 1))
    return spans


holes = st.lists(
    st.tuples(st.integers(0, LENGTH), st.integers(1, 9), st.booleans()).map(
        lambda made: Hole(ts_start=made[0], ts_end=made[0] + made[1], epoch=7, is_filled=made[2])
    ),
    max_size=5,
)


def judge(spans: list[Span], gaps: list[Hole], instant: int) -> tuple[SpanState, int]:
    """Say what holds at one instant, and the number of the span there."""
    here = [span for span in spans if span.ts_start <= instant < span.ts_end]
    over = [gap for gap in gaps if gap.ts_start <= instant < gap.ts_end]
    number = here[0].seq_first if here else 0
    if any(not gap.is_filled for gap in over):
        return SpanState.GAP, number
    if here:
        return here[0].state, number
    return (SpanState.COMPLETE if over else SpanState.NOT_COVERED), 0


@given(covered(), holes, st.integers(0, LENGTH - 1), st.integers(1, LENGTH))
def test_each_instant_is_told_as_the_naive_model_says(
    spans: list[Span], gaps: list[Hole], start: int, length: int
) -> None:
    end = start + length
    answer = join(spans, gaps, ts_start=start, ts_end=end)
    told = [(span.state, span.seq_first) for span in answer for _ in range(span.ts_start, span.ts_end)]
    assert told == [judge(spans, gaps, instant) for instant in range(start, end)]


@given(covered(), holes, st.integers(0, LENGTH - 1), st.integers(1, LENGTH))
def test_spans_join_without_holes_and_never_overlap(
    spans: list[Span], gaps: list[Hole], start: int, length: int
) -> None:
    answer = join(spans, gaps, ts_start=start, ts_end=start + length)
    assert (answer[0].ts_start, answer[-1].ts_end) == (start, start + length)
    assert all(span.ts_start < span.ts_end for span in answer)
    assert all(left.ts_end == right.ts_start for left, right in pairwise(answer))


def test_nothing_known_is_one_span_that_nobody_covered() -> None:
    assert join([], [], ts_start=5, ts_end=8) == [Span(ts_start=5, ts_end=8, state=SpanState.NOT_COVERED)]


def test_a_filled_gap_makes_an_outage_complete_and_a_lost_one_does_not() -> None:
    def states(is_filled: bool) -> list[SpanState]:
        gap = Hole(ts_start=4, ts_end=6, epoch=7, is_filled=is_filled)
        known = [
            Span(ts_start=0, ts_end=5, state=SpanState.COMPLETE, epoch=7, seq_first=1),
            Span(ts_start=6, ts_end=9, state=SpanState.COMPLETE, epoch=7, seq_first=1),
        ]
        return [span.state for span in join(known, [gap], ts_start=0, ts_end=9)]

    assert set(states(True)) == {SpanState.COMPLETE}
    assert states(False) == [SpanState.COMPLETE, SpanState.GAP, SpanState.GAP, SpanState.COMPLETE]
