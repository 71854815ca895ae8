"""How old data was when clients had it, and what the file of one that acknowledges tells besides."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from datafacade.check.names import TRADES, Topic
from datafacade.check.probe import MAGIC, ProbeReader
from datafacade.check.story import Story
from datafacade.v1 import hot_pb2
from tests.chaos.harness.bed import Bed

DATA: Final = frozenset({"book_snapshot", "book_delta", "trade", "top_of_book", "ticker"})


@dataclass(frozen=True, slots=True)
class Handled:
    """One response that was acknowledged. Monotonic nanoseconds."""

    read_ns: int
    done_ns: int
    bytes: int
    response: hot_pb2.HotSubscribeResponse


def wall_ahead_ns(path: Path) -> int:
    """Return by how much the wall clock of a probe file is ahead of its monotonic one."""
    with path.open("rb") as file:
        head = json.loads(file.readline().removeprefix(MAGIC))
    return int(head["wall_ns"]) - int(head["mono_ns"])


def handled(path: Path) -> list[Handled]:
    """Return the responses that were read and acknowledged, oldest first."""
    read: list[tuple[int, bytes]] = []
    found: list[Handled] = []
    for record in ProbeReader(path).news():
        if record.kind == "r":
            read.append((record.t_mono_ns, record.payload))
        if record.kind == "s":
            last = hot_pb2.HotSubscribeRequest.FromString(record.payload).ack_stream_seq
            for read_ns, payload in read[len(found) : last]:  # numbered from 1, without holes
                response = hot_pb2.HotSubscribeResponse.FromString(payload)
                found.append(Handled(read_ns, record.t_mono_ns, len(payload), response))
    return found


def ages_ns(path: Path, *, since_ns: int, until_ns: int = 1 << 63) -> Iterator[int]:
    """Yield how old each event was when it had been handled, by the venue's own stamp.

    Args:
        path: Of a reader that acknowledges.
        since_ns: Responses that were done before (monotonic) are left out.
        until_ns: And those that were done behind.
    """
    ahead = wall_ahead_ns(path)
    for one in handled(path):
        if since_ns <= one.done_ns < until_ns:
            for update in one.response.updates:
                if update.WhichOneof("payload") in DATA and update.ts_event:
                    yield one.done_ns + ahead - update.ts_event


def delays_ns(path: Path, *, since_ns: int, until_ns: int) -> list[int]:
    """Return how old each event was when any client had read it, by the venue's own stamp."""
    ahead = wall_ahead_ns(path)
    story = Story()
    story.add(ProbeReader(path).news())
    return [
        one.t_mono_ns + ahead - one.update.ts_event
        for one in story.order
        if since_ns <= one.t_mono_ns < until_ns and one.kind in DATA and one.update.ts_event
    ]


def trade_ages_ms(bed: Bed, begin_ns: int, end_ns: int) -> list[float]:
    """Return how long trades that were sent within a time took from the venue to the bed's probe.

    Both ends are stamped by the monotonic clock, outside the service.
    """
    sent = {
        (frame.topic, trade["id"]): frame.t_mono_ns
        for frame in bed.simulator.truth_until(end_ns).sent
        if begin_ns <= frame.t_mono_ns < end_ns
        for trade in frame.trades
    }
    return [
        (one.t_mono_ns - sent[topic, one.update.trade.trade_id]) / 1e6
        for topic in bed.topics
        if topic.channel == TRADES
        for one in bed.probe.of(topic)
        if one.kind == "trade" and (topic, one.update.trade.trade_id) in sent
    ]


def p99(values: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return sorted(values)[min(len(values) - 1, int(0.99 * len(values)))]


def owed_bytes_max(path: Path) -> int:
    """Return the most that was sent, by the service's stamp, and not acknowledged, at any moment."""
    ahead = wall_ahead_ns(path)
    changes: list[tuple[int, int]] = []
    for one in handled(path):
        changes += [(one.response.ts_send - ahead, one.bytes), (one.done_ns, -one.bytes)]
    owed = worst = 0
    for _, change in sorted(changes):
        owed += change
        worst = max(worst, owed)
    return worst


def holes(story: Story, topics: Iterable[Topic]) -> tuple[Counter[Topic], Counter[Topic]]:
    """Return by topic how many numbers behind its seam never came, and how many were told of.

    What changes between the answer to a subscription and its first cut is in the cut.
    """
    left_out: Counter[Topic] = Counter()
    told: Counter[Topic] = Counter()
    for topic in topics:
        seam, last, numbers, has_cut = 0, 0, set[int](), False
        for one in story.of(topic):
            if one.kind == "subscription_status":
                seam = seam or one.update.subscription_status.seq_next
            elif one.kind == "delivery_change":
                told[topic] += one.update.delivery_change.skipped
            elif one.kind == "gap" and one.update.seq == 0:
                told[topic] += one.update.gap.seq_last - one.update.gap.seq_first + 1
                last = max(last, one.update.gap.seq_last)
            elif one.is_topic_record:
                numbers.add(one.update.seq)
            elif one.is_cut and not has_cut:
                has_cut, seam = True, max(seam, one.update.seq + 1)
        last = max([last, *(one.update.seq for one in story.of(topic))])
        left_out[topic] = sum(seq not in numbers for seq in range(seam, last + 1))
    return left_out, told
