"""Bots as users write them, several in one process: the SDK, one client each, one book each.

``python -m tests.chaos.harness.bots --address HOST:PORT [--address ...]`` runs a bot for each address and
prints a line of JSON for each event whose class is not that of the event before: bot, t_mono_ns, event.
Bots of one process share a connection if they share an address.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from datafacade.client import Client
from tests.chaos.harness.environment import ROOT, environment
from tests.chaos.harness.wait import until


async def bot(address: str, number: int) -> None:
    """Follow a book for ever."""
    last = ""
    async with Client(address) as client:
        async for event in client.subscribe("kraken", "BTC-USD", "book"):
            name = type(event).__name__
            if name != last:
                line = {"bot": number, "t_mono_ns": time.monotonic_ns(), "event": name}
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()
            last = name


async def run(addresses: Sequence[str]) -> None:
    """Run a bot for each address."""
    async with asyncio.TaskGroup() as group:
        for number, address in enumerate(addresses):
            group.create_task(bot(address, number))


class BotProcess:
    """Bots in a process of their own, and what they print."""

    def __init__(self, addresses: Sequence[str], path: Path) -> None:
        self._bots = len(addresses)
        self._path = path
        command = [sys.executable, "-m", "tests.chaos.harness.bots"]
        for address in addresses:
            command += ["--address", address]
        with path.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, cwd=ROOT, env=environment())  # noqa: S603  our own

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self._process.kill()
        self._process.wait(10)

    def wait_each(self, event: str, *, since_ns: int, within_s: float) -> list[int]:
        """Wait until each bot had such an event; return the monotonic times of the first ones."""

        def look() -> list[int] | None:
            first: dict[int, int] = {}
            whole = self._path.read_text(encoding="ascii").rpartition("\n")[0]
            for row in map(json.loads, whole.splitlines()):
                if row["event"] == event and row["t_mono_ns"] >= since_ns:
                    first.setdefault(row["bot"], row["t_mono_ns"])
            return list(first.values()) if len(first) == self._bots else None

        return until(look, within_s=within_s, what=f"each bot has {event}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="follow a book with the SDK")
    parser.add_argument("--address", action="append", required=True)
    asyncio.run(run(parser.parse_args().address))
