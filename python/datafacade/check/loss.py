"""I1 to I3: nothing is lost in silence, nothing comes twice, everything comes in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from datafacade.check.names import BOOK, TRADES, Topic
from datafacade.check.story import Story, Told
from datafacade.check.truth import Sent, Truth
from datafacade.check.verdict import Verdict
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2

SECOND: Final = 1_000_000_000
MATCH_NS: Final = 10 * SECOND  # a frame and what became of it are no further apart
CLOCK_NS: Final = 50_000_000  # slack of a venue's millisecond stamps against the truth log
SWALLOWED: Final = frozenset({"drop", "mute"})
MERGED_TRADES: Final = frozenset({"okx"})  # ids jump legally: fills are merged
UNCHAINED: Final = frozenset({"coinbase", "kraken"})  # no number that joins two deltas of a book


@dataclass(frozen=True, slots=True)
class Hole:
    """What a Gap record owns up to."""

    first: int | None
    last: int | None
    ts_first: int
    ts_last: int

    def covers(self, number: int | None, t_wall_ns: int) -> bool:
        """Tell whether an event lies in the hole, by its number if both have numbers, else by time."""
        if number is not None and self.first is not None and self.last is not None:
            return self.first <= number <= self.last
        if number is not None and self.first is not None and self.last is None and self.ts_last == 0:
            return number >= self.first
        return self.ts_first - CLOCK_NS <= t_wall_ns <= self.ts_last + CLOCK_NS


def holes(told: Sequence[Told]) -> list[Hole]:
    """Return the holes that a topic owned up to."""
    found = []
    for one in told:
        if one.kind == "gap" and one.update.gap.scope == stream_pb2.GAP_SCOPE_VENUE:
            gap = one.update.gap
            first = gap.venue_sequence_first if gap.HasField("venue_sequence_first") else None
            last = gap.venue_sequence_last if gap.HasField("venue_sequence_last") else None
            found.append(Hole(first, last, gap.ts_first, gap.ts_last))
    return found


def silent_loss(truth: Truth, story: Story) -> Verdict:
    """I1: an event is delivered, or covered by a Gap that precedes the next data record."""
    verdict = Verdict("I1", "no event is lost in silence")
    sent: dict[Topic, list[Sent]] = defaultdict(list)
    for frame in truth.sent:
        sent[frame.topic].append(frame)
    for topic, told in story.topics.items():
        if topic.channel == TRADES:
            _lost_trades(verdict, topic, sent[topic], truth, told)
        elif topic.channel == BOOK:
            _lost_deltas(verdict, topic, sent[topic], truth, told)
    return verdict


def _lost_trades(
    verdict: Verdict, topic: Topic, sent: Sequence[Sent], truth: Truth, told: Sequence[Told]
) -> None:
    delivered = {one.update.trade.trade_id: one.t_mono_ns for one in told if one.kind == "trade"}
    if not delivered:
        return
    low, high = min(delivered), max(delivered)
    covered = holes(told)
    events = {
        trade["id"]: frame.t_wall_ns
        for frame in sent
        if frame.kind == "update"
        for trade in frame.trades
        if trade.get("kind", "MARKET") == "MARKET"
    }
    for fault in truth.applied:
        if fault.topic == topic and fault.verb in SWALLOWED:
            events |= dict.fromkeys(fault.trade_ids, fault.t_wall_ns)
    odd = {trade["id"] for frame in sent for trade in frame.trades if trade.get("kind", "MARKET") != "MARKET"}
    if topic.venue not in MERGED_TRADES:  # what nobody was sent while nobody was connected has a number too
        events = {number: events.get(number, 0) for number in range(low, high + 1) if number not in odd}
    for number, t_wall_ns in events.items():
        if not low <= number <= high:
            continue
        verdict.compared += 1
        if number not in delivered and not any(hole.covers(number, t_wall_ns) for hole in covered):
            verdict.add(str(topic), 0, f"trade {number} was neither delivered nor told as lost")


def _lost_deltas(
    verdict: Verdict, topic: Topic, sent: Sequence[Sent], truth: Truth, told: Sequence[Told]
) -> None:
    delivered: dict[int, list[int]] = defaultdict(list)
    anchor, end = 0, 0
    for one in told:
        if one.kind in ("book_delta", "book_snapshot"):
            anchor = anchor or one.update.ts_recv
            end = max(end, one.update.ts_recv)
            delivered[one.update.venue_sequence].append(one.update.ts_recv)
    covered = holes(told)
    events = [
        (frame.sequence, frame.t_wall_ns)
        for frame in sent
        if frame.kind == "update" and frame.fault is None  # a damaged frame is not what the truth says
    ]
    events += [
        (fault.sequence, fault.t_wall_ns)
        for fault in truth.applied
        if fault.topic == topic and fault.verb in SWALLOWED
    ]
    for number, t_wall_ns in events:
        if number is None or not anchor < t_wall_ns < end:
            continue
        verdict.compared += 1
        is_here = any(0 <= ts_recv - t_wall_ns < MATCH_NS for ts_recv in delivered.get(number, ()))
        if not is_here and not any(hole.covers(number, t_wall_ns) for hole in covered):
            verdict.add(str(topic), 0, f"book message {number} was neither delivered nor told as lost")


def duplicates(story: Story) -> Verdict:
    """I2: no venue event comes twice."""
    verdict = Verdict("I2", "no event comes twice")
    for topic, told in story.topics.items():
        if topic.channel == TRADES:
            seen: set[int] = set()
            for one in told:
                if one.kind == "trade" and one.update.trade.HasField("trade_id"):
                    verdict.compared += 1
                    number = one.update.trade.trade_id
                    if number in seen:
                        verdict.add(str(topic), one.t_mono_ns, f"trade {number} came twice")
                    seen.add(number)
        elif topic.channel == BOOK:
            _doubled_deltas(verdict, topic, told)
    return verdict


def _doubled_deltas(verdict: Verdict, topic: Topic, told: Sequence[Told]) -> None:
    seen: dict[
        tuple[int, int, int], int
    ] = {}  # a number may be given again after a legal reset, with another time
    for one in told:
        if one.kind == "book_snapshot":
            seen.clear()
        if one.kind != "book_delta" or not one.update.HasField("venue_sequence"):
            continue
        verdict.compared += 1
        link = (one.update.venue_sequence_previous, one.update.venue_sequence, one.update.ts_event)
        if (
            seen.setdefault(link, one.update.ts_recv) != one.update.ts_recv
        ):  # one frame may tell several changes
            verdict.add(str(topic), one.t_mono_ns, f"book message {link[1]} came twice")


def order(story: Story) -> Verdict:
    """I3: stream numbers, topic numbers, venue numbers and watermarks only go forward, without a hole."""
    verdict = Verdict("I3", "everything comes in order")
    expected, watermark = 1, 0
    for response in story.responses:
        verdict.compared += 1
        if response.stream_seq != expected:
            what = f"response {response.stream_seq} where {expected} was due"
            verdict.add("call", response.t_mono_ns, what)
        expected = response.stream_seq + 1
        if response.ts_watermark < watermark:
            verdict.add("call", response.t_mono_ns, "the watermark went back")
        watermark = response.ts_watermark
    for topic, told in story.topics.items():
        counter = _Counter()
        verdict.compared += len(told)
        for one in told:
            what = counter.read(one)
            if what:
                verdict.add(str(topic), one.t_mono_ns, what)
        for one, what in _venue_numbering(topic, told):
            verdict.add(str(topic), one.t_mono_ns, what)
    return verdict


class _Counter:
    """Follows the `seq` of one topic as a reader must (CONTRACT "Three kinds of record")."""

    def __init__(self) -> None:
        self.head: int | None = None  # of the last record read; None: not anchored yet
        self.seam = 0
        self.is_open = False  # parts of a snapshot follow

    def read(self, one: Told) -> str:
        """Take a record; return what is wrong with its number, or nothing."""
        if one.kind == "subscription_status":
            self.head, self.seam, self.is_open = None, one.update.subscription_status.seq_next, False
            return ""
        if one.kind == "gap" and one.update.gap.scope == stream_pb2.GAP_SCOPE_DELIVERY:
            self.head = one.update.gap.seq_last
            return ""
        if one.kind == "book_snapshot":
            return self._snapshot(one)
        if one.is_topic_record:
            return self._record(one)
        is_aside = one.update.seq and self.head is not None and one.update.seq != self.head
        return f"{one.kind} of {one.update.seq} stands behind {self.head}" if is_aside else ""

    def _snapshot(self, one: Told) -> str:
        seq, head = one.update.seq, self.head
        is_part = self.is_open and head == seq
        self.head, self.is_open = seq, bool(one.update.flags & types_pb2.UPDATE_FLAG_MORE)
        if head is None or is_part:
            return ""
        if one.is_cut:
            return f"cut {seq} behind {head}" if seq < head else ""
        return f"snapshot {seq} behind {head}" if seq != head + 1 else ""

    def _record(self, one: Told) -> str:
        seq, head = one.update.seq, self.head
        if head is None:
            if one.update.channel == BOOK or seq < self.seam:
                return ""  # what describes the present to a joiner; a book starts with its snapshot
            self.head = seq
            return f"first record {seq} where {self.seam} was promised" if seq != self.seam else ""
        self.head = seq
        return f"record {seq} behind {head}" if seq != head + 1 else ""


def _venue_numbering(topic: Topic, told: Sequence[Told]) -> Iterator[tuple[Told, str]]:
    """Yield the records whose venue number does not follow."""
    last: int | None = None
    is_fresh = False
    trade_last = -1
    for one in told:
        update = one.update
        if one.kind == "trade" and update.trade.HasField("trade_id"):
            if update.trade.trade_id <= trade_last:
                yield one, f"trade {update.trade.trade_id} behind {trade_last}"
            trade_last = update.trade.trade_id
        if not update.HasField("venue_sequence"):
            continue
        if one.kind == "book_snapshot":
            last, is_fresh = update.venue_sequence, True
        elif one.kind == "book_delta":
            if (
                last is not None
                and topic.venue not in UNCHAINED
                and not _joins(update, last, is_fresh=is_fresh)
            ):
                previous = update.venue_sequence_previous
                yield one, f"delta {previous} to {update.venue_sequence} does not join {last}"
            last, is_fresh = update.venue_sequence, False


def _joins(update: hot_pb2.Update, last: int, *, is_fresh: bool) -> bool:
    previous = update.venue_sequence_previous
    return previous == last or (is_fresh and previous <= last <= update.venue_sequence)
