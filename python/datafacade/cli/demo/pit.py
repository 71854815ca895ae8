"""Take snapshots through the service and the simulator, and name each as soon as it is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import yaml

from datafacade.cli.demo.children import first_of
from datafacade.cli.demo.pair import Pair, start_pair
from datafacade.cli.demo.places import Ports
from datafacade.cli.demo.warm.keys import MARKETS
from datafacade.cli.demo.warm.scene import PRODUCTS, RATE, service_files
from datafacade.cli.failure import UsageError
from datafacade.cli.output import remark
from datafacade.cli.screen import on_interrupt
from datafacade.client import Client, PitNotFound, ServerUnavailable, VenueFailed
from datafacade.store.pit.vault import Vault

GENERATED: Final = 40  # symbols beside those that trade
INTERVALS: Final = ("1m", "5m", "15m", "1h")
LIMIT_MAX: Final = 200  # rows of one answer: one page at every venue
ASKERS: Final = 4  # for each venue
WAIT_S: Final = 0.5  # after a refusal that names no time


class Question(NamedTuple):
    """A question that nobody asked before: no cache knows its answer."""

    symbol: str
    interval: str
    limit: int


def questions(venue: str) -> Iterator[Question]:
    """Yield a venue's questions, each once: as many as anybody needs.

    Example:
        >>> next(questions("kraken"))
        Question(symbol='G001-USD', interval='1m', limit=1)
    """
    bases = [f"G{number:03d}" for number in range(1, GENERATED + 1)]
    quote = MARKETS[venue].quote
    for limit, interval, base in itertools.product(range(1, LIMIT_MAX + 1), INTERVALS, bases):
        yield Question(f"{base}-{quote}", interval, limit)


class Taking:
    """How many snapshots are wanted, and how many there are."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.taken = 0
        self.asked = 0

    def acknowledged(self, snapshot_id: str) -> None:
        """Tell that a snapshot is there, at once."""
        if self.taken < self.wanted:
            self.taken += 1
            tell({"id": snapshot_id})


def tell(values: dict[str, str | int]) -> None:
    """Write one line, and have it leave this process."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def perform(wanted: int, directory: Path, *, seed: int) -> bool:
    """Take so many snapshots; return whether all are there, or False if interrupted.

    Args:
        wanted: How many.
        directory: Of the store; one that exists is continued.
        seed: Of the simulated markets.

    Raises:
        ProgramFailed: A part did not start, or ended early.
        UsageError: The directory is no place for a store.
    """
    stop = asyncio.Event()
    place = prepared(directory)
    taking = Taking(wanted)

    async def take() -> None:
        async with staged(seed, place) as pair:
            await first_of(ask(taking, pair.target), *(child.ended() for child in pair.children))

    async def leave() -> None:
        await stop.wait()

    with on_interrupt(stop.set):
        await first_of(take(), leave())
    if taking.taken == wanted:
        tell({"snapshots": taking.taken})
    return taking.taken == wanted


def prepared(directory: Path) -> Path:
    """Make the store if it is not there, so that it can be read from the first moment on; return where it is.

    Raises:
        UsageError: It cannot be made.
    """
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        Vault.open(directory, is_writable=True).close()
        return directory.resolve()
    except OSError as error:
        raise UsageError(f"{directory}: {(error.strerror or 'cannot be used').lower()}") from error


async def ask(taking: Taking, target: str) -> None:
    """Ask all venues side by side until there are enough answers."""
    async with Client(target) as client, asyncio.TaskGroup() as tasks:
        for venue in MARKETS:
            stock = questions(venue)
            for _ in range(ASKERS):
                tasks.create_task(_ask_venue(taking, client, venue, stock))


async def _ask_venue(taking: Taking, client: Client, venue: str, stock: Iterator[Question]) -> None:
    while taking.taken < taking.wanted:
        question = next(stock, None)
        if question is None:
            return
        try:
            told = await client.klines(venue, question.symbol, question.interval, limit=question.limit)
            found = await client.pit_get(told.provenance.snapshot_id)
        except PitNotFound:
            remark(f"an answer of {venue} was given and not kept")
            continue
        except (VenueFailed, ServerUnavailable) as refusal:  # its budget is spent, or so many wait
            await asyncio.sleep(refusal.retry_after_s or WAIT_S)
            continue
        taking.acknowledged(found.id)


@contextlib.asynccontextmanager
async def staged(seed: int, directory: Path) -> AsyncIterator[Pair]:
    """Run simulator and service; they end with this process, however it ends.

    Raises:
        ProgramFailed: One of them does not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="datafacade-pit-")))
        words = ("--products", ",".join(PRODUCTS), "--generated", str(GENERATED), "--rate", str(RATE))
        kept = {"version": 1, "base_path": str(directory), "books_sec": 0}

        def files(ports: Ports) -> dict[str, str]:
            return service_files(ports) | {"pit.yaml": yaml.safe_dump(kept)}

        pair = await start_pair(
            stack, folder, *words, "--aggregators", "", seed=seed, files=files, is_bound=True
        )
        yield pair
