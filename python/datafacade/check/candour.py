"""I9: Health shows a fault and its end."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from datafacade.check.control import Entry
from datafacade.check.names import Topic
from datafacade.check.story import Story, Told, is_state
from datafacade.check.truth import Truth
from datafacade.check.verdict import Verdict
from datafacade.v1 import types_pb2

SHOWN_NS: Final = 1_000_000_000  # FAULTS 1.4: within t_D or t_R and a second
REPLAYED_NS: Final = 500_000_000  # a record told so long after it was published comes from a replay
FOREVER: Final = 1 << 63


def health_tells(truth: Truth, control: Sequence[Entry], story: Story) -> Verdict:
    """I9: a state that a subscriber was told is in Health one second later, if it still holds then."""
    verdict = Verdict("I9", "Health shows each fault and its end within a second")
    samples = [entry for entry in control if entry["action"] == "health"]
    kills = [entry["t_mono_ns"] for entry in control if entry["action"] == "kill"]
    for topic, told in story.topics.items():
        for one, until in _states(told, kills, truth.wall_minus_mono_ns):
            begin = one.t_mono_ns + SHOWN_NS
            seen = next(
                (
                    entry
                    for entry in samples
                    if entry["since_mono_ns"] >= begin and entry["t_mono_ns"] < until
                ),
                None,
            )
            if seen is not None:
                _compare(verdict, topic, one, seen)
    return verdict


def _states(told: Sequence[Told], kills: Sequence[int], offset_ns: int) -> Iterator[tuple[Told, int]]:
    """Yield each state that was told as it happened, and until when it held."""
    states = [one for one in told if is_state(one)]
    for one, following in itertools.zip_longest(states, states[1:]):
        if one.t_mono_ns + offset_ns - one.update.ts_publish > REPLAYED_NS:
            continue
        ends = [at for at in kills if at > one.t_mono_ns]
        if following is not None:
            ends.append(following.update.ts_publish - offset_ns)
        yield one, min(ends, default=FOREVER)


def _compare(verdict: Verdict, topic: Topic, one: Told, sample: Entry) -> None:
    verdict.compared += 1
    wanted, shown = one.update.stream_state.state, sample["states"].get(str(topic))
    if shown != wanted:
        names = [types_pb2.State.Name(wanted), types_pb2.State.Name(shown) if shown else "nothing"]
        what = f"{names[0]} was told, Health shows {names[1]} over a second later"
        verdict.add(str(topic), one.t_mono_ns, what)
