"""I2 and I3: nothing comes twice, everything comes in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from datafacade.check.counter import Counter
from datafacade.check.holes import holes, starts_over
from datafacade.check.names import TRADES, Topic
from datafacade.check.story import Story, Told, is_state
from datafacade.check.verdict import Verdict
from datafacade.v1 import hot_pb2, types_pb2

UNCHAINED = frozenset({"coinbase", "kraken"})  # no number that joins two deltas of a book
BACKFILLED = types_pb2.UPDATE_FLAG_BACKFILLED


def duplicates(story: Story) -> Verdict:
    """I2: no venue event comes twice, and no record of ours either."""
    verdict = Verdict("I2", "no event comes twice")
    for topic, told in story.topics.items():
        _doubled_numbers(verdict, topic, told)
        if topic.channel == TRADES:
            _doubled_trades(verdict, topic, told)
        elif topic.is_whole_book:
            _doubled_deltas(verdict, topic, told)
    return verdict


def _doubled_numbers(verdict: Verdict, topic: Topic, told: Sequence[Told]) -> None:
    seen: set[tuple[int, int]] = set()
    last = (0, 0)
    is_new = False
    for one in told:
        if not one.is_topic_record:
            is_new = is_new or starts_over(one)
            continue
        number = (one.update.epoch, one.update.seq)
        is_part = one.kind == "book_snapshot" and number == last  # of the same snapshot
        is_present = is_new and is_state(one)  # what holds when a reader begins anew, told before or not
        is_new = is_present
        if number in seen and not (is_part or is_present):
            verdict.add(str(topic), one.t_mono_ns, f"record {number[1]} of epoch {number[0]} came twice")
        seen.add(number)
        last = number


def _doubled_trades(verdict: Verdict, topic: Topic, told: Sequence[Told]) -> None:
    seen: set[int] = set()
    for one in told:
        if one.kind == "trade" and one.update.trade.HasField("trade_id"):
            verdict.compared += 1
            number = one.update.trade.trade_id
            if number in seen:
                verdict.add(str(topic), one.t_mono_ns, f"trade {number} came twice")
            seen.add(number)


def _doubled_deltas(verdict: Verdict, topic: Topic, told: Sequence[Told]) -> None:
    # A number may be given again after a legal reset, with another time.
    seen: dict[tuple[int, int, int], int] = {}
    for one in told:
        if one.kind == "book_snapshot":
            seen.clear()
        if one.kind != "book_delta" or not one.update.HasField("venue_sequence"):
            continue
        verdict.compared += 1
        link = (one.update.venue_sequence_previous, one.update.venue_sequence, one.update.ts_event)
        is_new = seen.setdefault(link, one.update.ts_recv) == one.update.ts_recv
        if not is_new:  # one frame may tell several changes
            verdict.add(str(topic), one.t_mono_ns, f"book message {link[1]} came twice")


def order(story: Story) -> Verdict:
    """I3: stream numbers, topic numbers, venue numbers and watermarks only go forward, without a hole."""
    verdict = Verdict("I3", "everything comes in order")
    _responses(verdict, story)
    for topic, told in story.topics.items():
        counter = Counter(topic)
        verdict.compared += len(told)
        for one in told:
            what = counter.read(one)
            if what:
                verdict.add(str(topic), one.t_mono_ns, what)
        for one, what in _venue_numbering(topic, told):
            verdict.add(str(topic), one.t_mono_ns, what)
    return verdict


def _responses(verdict: Verdict, story: Story) -> None:
    call, expected, watermark = 0, 1, 0
    for response in story.responses:
        verdict.compared += 1
        if response.call != call:
            call, expected, watermark = response.call, 1, 0
        if response.stream_seq != expected:
            what = f"response {response.stream_seq} where {expected} was due"
            verdict.add("call", response.t_mono_ns, what)
        expected = response.stream_seq + 1
        if response.ts_watermark < watermark:
            verdict.add("call", response.t_mono_ns, "the watermark went back")
        watermark = response.ts_watermark


def _venue_numbering(topic: Topic, told: Sequence[Told]) -> Iterator[tuple[Told, str]]:
    """Yield the records whose venue number does not follow."""
    if topic.channel == TRADES:
        yield from _trade_numbering(told)
        return
    last: int | None = None
    is_fresh = False
    for one in told:
        update = one.update
        if not update.HasField("venue_sequence") or not topic.is_whole_book:
            continue
        if one.kind == "book_snapshot":
            last, is_fresh = update.venue_sequence, True
        elif one.kind == "book_delta":
            is_chained = last is not None and topic.venue not in UNCHAINED
            if is_chained and not _joins(update, last or 0, is_fresh=is_fresh):
                previous = update.venue_sequence_previous
                yield one, f"delta {previous} to {update.venue_sequence} does not join {last}"
            last, is_fresh = update.venue_sequence, False


def _trade_numbering(told: Sequence[Told]) -> Iterator[tuple[Told, str]]:
    """Yield the trades that stand behind younger ones although nobody told that they were missing."""
    newest = -1
    for at, one in enumerate(told):
        if one.kind != "trade" or not one.update.seq or not one.update.trade.HasField("trade_id"):
            continue
        number = one.update.trade.trade_id
        if number <= newest and not one.update.flags & BACKFILLED:
            before = holes([gap for gap in told[:at] if gap.kind == "gap"])
            if not any(hole.covers(number, one.update.ts_event) for hole in before):
                yield one, f"trade {number} behind {newest}"
        newest = max(newest, number)


def _joins(update: hot_pb2.Update, last: int, *, is_fresh: bool) -> bool:
    previous = update.venue_sequence_previous
    return previous == last or (is_fresh and previous <= last <= update.venue_sequence)
