"""I6: what a fault does not touch goes on as if nothing had happened."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from datafacade.check.control import Entry
from datafacade.check.names import TRADES, Topic
from datafacade.check.story import Story, is_state
from datafacade.check.truth import Trouble, Truth
from datafacade.check.verdict import Verdict
from datafacade.v1 import types_pb2

MS: Final = 1_000_000
BACK_NS: Final = 20_000 * MS  # from the end of a fault until all that it touched is itself again
CALM_NS: Final = 3_000 * MS  # behind a fault nothing is measured for so long
DELAY_RATIO_MAX: Final = 2.0
DELAY_FLOOR_NS: Final = 250 * MS  # the machine's own pauses: below it nobody was held up
SAMPLES_MIN: Final = 100  # for a 99th percentile
BACKFILLED: Final = types_pb2.UPDATE_FLAG_BACKFILLED
# They harm one symbol and nothing else; all others can break the connection that many symbols share.
OF_SYMBOL: Final = frozenset(
    {
        "drop",
        "duplicate",
        "reorder",
        "wrong_checksum",
        "odd_numbers",
        "missing_trades",
        "late_trades",
        "repeat_trades",
        "burst",
    }
)
SHARED_NUMBERS: Final = frozenset({"coinbase"})  # what one book loses is lost to the whole connection


def touches(trouble: Trouble, topic: Topic) -> bool:
    """Tell whether a fault may change the state of a topic."""
    if trouble.venue not in (topic.venue, ""):
        return False
    is_narrow = trouble.symbol and trouble.verb in OF_SYMBOL and topic.venue not in SHARED_NUMBERS
    return not is_narrow or trouble.symbol == topic.symbol


def others_untouched(
    truth: Truth, control: Sequence[Entry], story: Story, *, judges_delays: bool = True
) -> Verdict:
    """I6: topics that no fault touches do not change their state, and are not held up."""
    verdict = Verdict("I6", "others change no state, and their p99 is at most twice the control's")
    ends = [entry["t_mono_ns"] + truth.wall_minus_mono_ns for entry in control if entry["action"] == "kill"]
    for topic, told in story.topics.items():
        verdict.compared += len(told)
        was_live = False
        for one in told:
            if not is_state(one):
                continue
            is_live = is_state(one, types_pb2.STATE_LIVE)
            at = one.update.ts_publish
            lasts = one.update.stream_state.reason == types_pb2.STATE_REASON_AUDIT_FAILED
            if was_live and not is_live and not _is_explained(truth, ends, topic, at, lasts=lasts):
                name = types_pb2.State.Name(one.update.stream_state.state)
                verdict.add(str(topic), one.t_mono_ns, f"{name} although no fault touched it")
            was_live = is_live
    if judges_delays:
        pauses = Pauses(control)
        _judge_delays(verdict, truth, ends, [one for one in _delays(truth, story) if not pauses.meet(one)])
    return verdict


def _is_explained(truth: Truth, ends: Sequence[int], topic: Topic, at: int, *, lasts: bool) -> bool:
    """Tell whether a fault is behind it; ``lasts``: what an audit finds may be long ago."""
    if any(end <= at < end + BACK_NS for end in ends):
        return True
    return any(
        trouble.since_wall_ns <= at and (lasts or at < trouble.until_wall_ns + BACK_NS)
        for trouble in truth.troubles
        if touches(trouble, topic)
    )


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a trade took from the simulator to the client."""

    topic: Topic
    t_wall_ns: int  # of sending
    since_mono_ns: int
    until_mono_ns: int


class Pauses:
    """When the machine stood still."""

    def __init__(self, control: Sequence[Entry]) -> None:
        pauses = [
            (entry["since_mono_ns"], entry["t_mono_ns"]) for entry in control if entry["action"] == "pause"
        ]
        self._since = [since for since, _ in sorted(pauses)]
        self._until = [until for _, until in sorted(pauses)]

    def meet(self, delay: Delay) -> bool:
        """Tell whether the machine stood still while a trade was under way."""
        at = bisect_left(self._until, delay.since_mono_ns)
        return at < len(self._since) and self._since[at] < delay.until_mono_ns


def _judge_delays(verdict: Verdict, truth: Truth, ends: Sequence[int], delays: Sequence[Delay]) -> None:
    calm, beside = [], []
    for one in delays:
        topic, at, delay = one.topic, one.t_wall_ns, one.until_mono_ns - one.since_mono_ns
        if any(end - CALM_NS <= at < end + BACK_NS for end in ends):
            continue
        near = [
            fault for fault in truth.troubles if fault.since_wall_ns <= at < fault.until_wall_ns + CALM_NS
        ]
        if not near:
            calm.append(delay)
        elif not any(fault.venue in (topic.venue, "") for fault in near):
            beside.append(delay)
    if min(len(calm), len(beside)) < SAMPLES_MIN:
        return
    verdict.compared += 1
    control, found = _p99(calm), _p99(beside)
    if found > max(control * DELAY_RATIO_MAX, control + DELAY_FLOOR_NS):
        what = f"p99 {found / MS:.1f} ms beside faults of others, {control / MS:.1f} ms without any"
        verdict.add("delays", 0, what)


def _delays(truth: Truth, story: Story) -> Iterator[Delay]:
    """Yield the delay of each trade that came as it happened."""
    sent: dict[tuple[Topic, int], tuple[int, int]] = {}
    for frame in truth.sent:
        for trade in frame.trades:
            sent.setdefault((frame.topic, trade["id"]), (frame.t_wall_ns, frame.t_mono_ns))
    for topic, told in story.topics.items():
        if topic.channel != TRADES:
            continue
        for one in told:
            key = (topic, one.update.trade.trade_id)
            if one.kind == "trade" and key in sent and not one.update.flags & BACKFILLED:
                t_wall_ns, t_mono_ns = sent[key]
                yield Delay(topic, t_wall_ns, t_mono_ns, one.t_mono_ns)


def _p99(delays: Sequence[int]) -> int:
    return sorted(delays)[len(delays) * 99 // 100]
