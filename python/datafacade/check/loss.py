"""I1: nothing is lost in silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from datafacade.check.holes import Hole, holes, left_at, miscounted, starts_over
from datafacade.check.names import TRADES, Topic
from datafacade.check.story import Story, Told, is_state
from datafacade.check.truth import Sent, Truth
from datafacade.check.verdict import Verdict
from datafacade.v1 import types_pb2

SECOND: Final = 1_000_000_000
MATCH_NS: Final = 10 * SECOND  # a frame and what became of it are no further apart
NUMBERED_BY_LINE: Final = frozenset({"coinbase"})  # while two lines tell the same, I4 judges
LINES_NS: Final = 50_000_000  # between two lines that are told the same message
TAIL_NS: Final = 2 * SECOND  # what was sent so shortly before the end may still be on its way
SWALLOWED: Final = frozenset({"drop", "mute"})
MERGED_TRADES: Final = frozenset({"okx"})  # ids jump legally: fills are merged, and nobody sees one missing
UNCOUNTED: Final = frozenset({"coinbase", "kraken"})  # a muted frame uses no number up


def silent_loss(truth: Truth, story: Story) -> Verdict:
    """I1: an event is delivered, or covered by a Gap that precedes the next data record."""
    verdict = Verdict("I1", "no event is lost in silence")
    sent: dict[Topic, list[Sent]] = defaultdict(list)
    for frame in truth.sent:
        sent[frame.topic].append(frame)
    for topic, told in story.topics.items():
        if topic.channel == TRADES:
            _lost_trades(verdict, topic, sent[topic], truth, told)
        elif topic.is_whole_book:
            _lost_deltas(verdict, topic, sent[topic], truth, told)
    return verdict


def _lost_trades(
    verdict: Verdict, topic: Topic, sent: Sequence[Sent], truth: Truth, told: Sequence[Told]
) -> None:
    live = [one for one in told if one.kind == "trade" and one.update.seq]
    delivered = {one.update.trade.trade_id for one in live}
    if not delivered:
        return
    low, high = min(delivered), max(delivered)
    covered = holes(told)
    events = _trades(topic, sent, truth, low, high) | _tail(sent, told, high)
    for number, t_wall_ns in events.items():
        verdict.compared += 1
        if number not in delivered and not any(hole.covers(number, t_wall_ns) for hole in covered):
            verdict.add(str(topic), 0, f"trade {number} was neither delivered nor told as lost")
    for one, what in miscounted(told):
        verdict.add(str(topic), one.t_mono_ns, what)


def _trades(topic: Topic, sent: Sequence[Sent], truth: Truth, low: int, high: int) -> dict[int, int]:
    """Return the trades between two that were delivered, each with its time."""
    events = {number: t_wall_ns for number, t_wall_ns in _told_by_venue(sent) if low <= number <= high}
    if topic.venue in MERGED_TRADES:
        return events
    rows = truth.trades.get(topic, {})
    odd = {trade["id"] for frame in sent for trade in frame.trades if trade.get("kind", "MARKET") != "MARKET"}
    odd |= {number for number, row in rows.items() if not row.is_market}
    for fault in truth.applied:
        if fault.topic == topic and fault.verb in SWALLOWED:
            events |= dict.fromkeys(fault.trade_ids, fault.t_wall_ns)
    # What nobody was sent while nobody was connected has a number too.
    return {
        number: events.get(number) or (rows[number].ts_event if number in rows else 0)
        for number in range(low, high + 1)
        if number not in odd
    }


def _told_by_venue(sent: Sequence[Sent]) -> Iterator[tuple[int, int]]:
    for frame in sent:
        if frame.kind == "update":
            for trade in frame.trades:
                if trade.get("kind", "MARKET") == "MARKET":
                    yield trade["id"], frame.t_wall_ns


def _tail(sent: Sequence[Sent], told: Sequence[Told], high: int) -> dict[int, int]:
    """Return what the venue told behind the last delivered trade although the topic says it is LIVE.

    A client may be behind: it has heard of a time only from a record or a position published then, and not
    from the answer to its subscription. Behind a gap of delivery it knows of nothing until the next state.
    """
    at = max((at for at, one in enumerate(told) if is_state(one)), default=None)
    if at is None or not is_state(told[at], types_pb2.STATE_LIVE) or any(map(starts_over, told[at:])):
        return {}
    since = told[at].update.ts_publish
    until = max(one.update.ts_publish for one in told if one.is_heard) - TAIL_NS
    return {
        number: t_wall_ns
        for number, t_wall_ns in _told_by_venue(sent)
        if number > high and since < t_wall_ns < until
    }


def _lost_deltas(
    verdict: Verdict, topic: Topic, sent: Sequence[Sent], truth: Truth, told: Sequence[Told]
) -> None:
    delivered: dict[int, list[int]] = defaultdict(list)
    anchor, end = 0, 0
    for one in told:
        if one.kind in ("book_delta", "book_snapshot") and not one.is_fallback:
            anchor = anchor or one.update.ts_recv
            end = max(end, left_at(one.update))  # what left later may be under way on a slow line
            delivered[one.update.venue_sequence].append(one.update.ts_recv)
    covered = holes(told)
    for number, t_wall_ns in _book_messages(topic, sent, truth):
        if not anchor < t_wall_ns < end:
            continue
        verdict.compared += 1
        came = delivered.get(number, ())  # by any line: the venue tells its lines one after the other
        is_here = any(-LINES_NS <= ts_recv - t_wall_ns < MATCH_NS for ts_recv in came)
        if not is_here and not _is_covered(covered, number, t_wall_ns):
            verdict.add(str(topic), 0, f"book message {number} was neither delivered nor told as lost")


def _book_messages(topic: Topic, sent: Sequence[Sent], truth: Truth) -> Iterator[tuple[int, int]]:
    lines = _lines(sent) if topic.venue in NUMBERED_BY_LINE else {}
    for frame in sent:  # a damaged frame is not what the truth says
        if frame.kind == "update" and frame.fault is None and frame.sequence is not None:
            others = (span for conn, span in lines.items() if conn != frame.conn)
            if not any(first <= frame.t_wall_ns <= last for first, last in others):
                yield frame.sequence, frame.t_wall_ns
    for fault in truth.applied:
        is_counted = fault.verb != "mute" or topic.venue not in UNCOUNTED
        if fault.topic == topic and fault.verb in SWALLOWED and is_counted and fault.sequence is not None:
            yield fault.sequence, fault.t_wall_ns


def _lines(sent: Sequence[Sent]) -> dict[int, tuple[int, int]]:
    """Return when each connection told something of a topic first and last."""
    spans: dict[int, tuple[int, int]] = {}
    for frame in sent:
        first, _ = spans.get(frame.conn, (frame.t_wall_ns, 0))
        spans[frame.conn] = (first, frame.t_wall_ns + LINES_NS)
    return spans


def _is_covered(covered: Sequence[Hole], number: int, t_wall_ns: int) -> bool:
    return any(hole.covers(number, t_wall_ns) for hole in covered)
