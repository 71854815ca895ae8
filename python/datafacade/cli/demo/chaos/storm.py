"""The storm itself: faults of a schedule, two kills of the service, crashes of a client; from one seed."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final

from datafacade.check.truth import Truth
from datafacade.cli.demo.chaos.scene import Scene, markets
from datafacade.cli.output import remark
from datafacade.sim.schedule import Entry, schedule

KILL_AT: Final = ((0.25, 0.4), (0.6, 0.75))  # parts of the storm in which the service is killed
KILL = "kill_service"
CRASH = "crash_client"
DOWN_S: Final = (0.1, 1.5)  # from a kill to the restart
CRASH_EVERY_S: Final = (4.0, 8.0)
ARMED: Final = 201


@dataclass(slots=True)
class Storm:
    """What a seed does to a scene."""

    scene: Scene
    seed: int
    seconds: float
    done: Counter[str] = field(default_factory=Counter)  # what it did by itself
    refused: list[str] = field(default_factory=list)  # faults that nobody could arm

    async def blow(self) -> None:
        """Do all of it; return when the time is over."""
        begin = asyncio.get_running_loop().time()
        entries = schedule(seed=self.seed, seconds=self.seconds, markets=markets())
        async with asyncio.TaskGroup() as tasks:
            for entry in entries:
                tasks.create_task(self._arm(entry, begin + entry.at_s))
            tasks.create_task(self._kills(begin))
            tasks.create_task(self._crashes(begin))
            tasks.create_task(asyncio.sleep(self.seconds))

    async def _arm(self, entry: Entry, at: float) -> None:
        await asyncio.sleep(at - asyncio.get_running_loop().time())
        self.scene.control.note("fault", verb=entry.verb, where=entry.where, request=dict(entry.request))
        status = await self.scene.ask("POST", entry.path, dict(entry.request))
        if status != ARMED:
            self.refused.append(f"{entry.verb} at {entry.where}: HTTP {status}")

    async def _kills(self, begin: float) -> None:
        random = Random(f"{self.seed}:kills")  # noqa: S311  a schedule, no secret
        loop = asyncio.get_running_loop()
        for low, high in KILL_AT:
            at = begin + random.uniform(low, high) * self.seconds
            down_s = random.uniform(*DOWN_S)
            await asyncio.sleep(at - loop.time())
            await self.scene.kill_service()
            self.done[KILL] += 1
            await asyncio.sleep(down_s)
            await self.scene.start_service()
            remark(f"{loop.time() - begin:.1f} s: the service was killed and runs again")

    async def _crashes(self, begin: float) -> None:
        random = Random(f"{self.seed}:crashes")  # noqa: S311  likewise
        loop = asyncio.get_running_loop()
        while True:
            wait_s, down_s = random.uniform(*CRASH_EVERY_S), random.uniform(*DOWN_S)
            if loop.time() + wait_s + down_s > begin + self.seconds:
                return
            await asyncio.sleep(wait_s)
            await self.scene.kill_client("crashing")
            self.done[CRASH] += 1
            await asyncio.sleep(down_s)
            await self.scene.start_client("crashing")


def proven(truth: Truth, done: Counter[str]) -> dict[str, int]:
    """Return how often each kind of fault happened; those that met nothing do not count."""
    found = Counter(trouble.verb for trouble in truth.troubles if trouble.applied or trouble.is_at_once)
    return dict(sorted((found + done).items()))
