"""Run a storm and judge it."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datafacade.check.control import ControlLog, read_control
from datafacade.check.judge import judge_all
from datafacade.check.process import CONTROL
from datafacade.check.story import Story
from datafacade.check.truth import Truth, read_truth
from datafacade.check.verdict import Verdict
from datafacade.cli.demo.chaos.scene import CLIENTS, Scene
from datafacade.cli.demo.chaos.storm import Storm, proven
from datafacade.cli.demo.chaos.watch import (
    DURING,
    EVERY_S,
    Reading,
    sample,
    wait_live,
    watch_health,
    watch_memory,
)
from datafacade.cli.demo.children import first_of
from datafacade.cli.failure import ProgramFailed
from datafacade.cli.output import remark
from datafacade.cli.screen import on_interrupt

LIVE_S: Final = 45.0  # from the last fault until all topics must be LIVE again
CALM_S: Final = 4.0  # of quiet before the storm and behind it
BACK_S: Final = 5.0
READ_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a storm left behind."""

    seed: int
    verdicts: Sequence[Verdict]
    faults: dict[str, int]
    events: int  # records that the clients were told
    missing: Sequence[str]  # topics that are not LIVE again

    @property
    def passes(self) -> bool:
        """Whether all invariants hold, over something, and all topics came back."""
        is_proven = all(verdict.holds and not verdict.is_vacuous for verdict in self.verdicts)
        return is_proven and not self.missing

    def report(self) -> dict[str, Any]:
        """Return the outcome for programs."""
        broken = {verdict.invariant: verdict.broken for verdict in self.verdicts}
        return {
            "verdict": "PASS" if self.passes else "FAIL",
            "seed": self.seed,
            "invariants": {one.invariant: one.holds and not one.is_vacuous for one in self.verdicts},
            "faults": self.faults,
            "events": self.events,
            "lost_silently": broken["I1"],
            "duplicates": broken["I2"],
        }

    def text(self) -> str:
        """Return the outcome for people."""
        happened = ", ".join(f"{count} {verb}" for verb, count in self.faults.items())
        lines = [f"{self.report()['verdict']}: seed {self.seed}, {self.events:,} records told", happened, ""]
        lines += [str(one).partition("\n")[0] for one in self.verdicts]
        return "\n".join(lines)

    def evidence(self) -> str:
        """Return what speaks against it, a line each."""
        lines = [str(one) for one in self.verdicts if not one.holds]
        lines += [f"{one.invariant} had nothing to compare" for one in self.verdicts if one.is_vacuous]
        lines += [f"{topic} is not LIVE {LIVE_S:g} s after the last fault" for topic in self.missing]
        return "\n".join(lines)


async def perform(*, seconds: float, seed: int, keep: Path | None = None) -> Outcome | None:
    """Let a storm of so many seconds pass over all parts; return what it left, or None if interrupted.

    Args:
        seconds: Length of the storm.
        seed: Of markets, faults, kills and crashes.
        keep: Where the logs stay; None: nowhere.

    Raises:
        ProgramFailed: A part does not start, or ends by itself.
    """
    stop = asyncio.Event()

    async def leave() -> None:
        await stop.wait()

    with on_interrupt(stop.set), contextlib.ExitStack() as folders:
        if keep is None:
            keep = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="datafacade-chaos-")))
        else:
            keep.mkdir(parents=True)
        return await first_of(_perform(keep, seconds, seed), leave())


async def _perform(folder: Path, seconds: float, seed: int) -> Outcome:
    readings = {name: Reading(folder / f"{name}.probe") for name in CLIENTS}
    pairs = [(reading, CLIENTS[name][0]) for name, reading in readings.items()]
    control = ControlLog(folder / "control.jsonl")
    async with contextlib.AsyncExitStack() as stack:
        scene = Scene(folder, seed, stack, control)
        storm = Storm(scene, seed, seconds)
        await scene.start()
        await _live_before(pairs)
        await scene.rehearse()
        await _live_before(pairs)
        missing = await _weather(scene, storm, pairs)
        await scene.stop()
    control.close()
    remark("judging")
    stories = {}
    for name, reading in readings.items():
        reading.read()
        stories[name] = reading.story
    return await asyncio.to_thread(_judged, folder, seed, stories, storm.done, missing)


async def _live_before(pairs: Sequence[tuple[Reading, Any]]) -> None:
    lacking = await wait_live(pairs, within_s=LIVE_S)
    if lacking:
        raise ProgramFailed(f"not LIVE before the storm: {', '.join(lacking)}")


async def _weather(scene: Scene, storm: Storm, pairs: Sequence[tuple[Reading, Any]]) -> list[str]:
    """Watch while it is calm, while it storms, and until all is well; return what is not."""
    async with asyncio.TaskGroup() as tasks:
        watching = [
            tasks.create_task(work)
            for work in (watch_memory(scene), watch_health(scene), _read_on(pairs), _alive(scene))
        ]
        scene.calm = await _calm(scene)
        await storm.blow()
        await scene.heal()
        if storm.refused:
            raise ProgramFailed(f"faults were refused: {'; '.join(storm.refused)}")
        begin = time.monotonic()
        missing = await wait_live(pairs, within_s=LIVE_S)
        remark(f"the storm is over; all was LIVE again after {time.monotonic() - begin:.1f} s")
        await _give_back(scene)
        for task in watching:
            task.cancel()
    return missing


async def _calm(scene: Scene) -> dict[str, int]:
    """Return the most that the service holds while nothing happens."""
    most = sample(scene, CONTROL)
    end = time.monotonic() + CALM_S
    while time.monotonic() < end:
        await asyncio.sleep(EVERY_S)
        held = sample(scene, DURING)
        most = {name: max(value, held.get(name, 0)) for name, value in most.items()}
    scene.control.note("resources", phase=CONTROL, **most)
    return most


async def _give_back(scene: Scene) -> None:
    """Sample what the service holds, for I8."""
    end = time.monotonic() + BACK_S
    while time.monotonic() < end:
        sample(scene, "after the storm")
        await asyncio.sleep(EVERY_S)


async def _read_on(pairs: Sequence[tuple[Reading, Any]]) -> None:
    """Read what the clients write, so that little is left at the end."""
    while True:
        for reading, _ in pairs:
            reading.read()
        await asyncio.sleep(READ_S)


async def _alive(scene: Scene) -> None:
    """Wait until the simulator ends, which it must not.

    Raises:
        ProgramFailed: It did.
    """
    if scene.simulator is not None:
        await scene.simulator.ended()


def _judged(
    folder: Path, seed: int, stories: dict[str, Story], done: Counter[str], missing: Sequence[str]
) -> Outcome:
    truth = _read_truth(folder)
    control = []
    for name in ("control.jsonl", "pauses.jsonl"):
        with (folder / name).open(encoding="utf-8") as lines:
            control += read_control(lines)
    events = sum(len(story.order) for story in stories.values())
    return Outcome(seed, judge_all(truth, control, stories), proven(truth, done), events, missing)


def _read_truth(folder: Path) -> Truth:
    with (folder / "truth.jsonl").open(encoding="utf-8") as lines:
        return read_truth(lines)
