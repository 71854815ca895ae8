"""Keep each answer when it is made, and answer from what was kept; the store costs nobody an answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from google.protobuf.message import Message

from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import (
    FacadeError,
    InvalidRequest,
    NotSupported,
    PitExists,
    PitNotFound,
    PitSkipped,
    PitUnusable,
    PitWriteFailed,
)
from datafacade.store.pit import retention
from datafacade.store.pit.names import Entity
from datafacade.store.pit.record import Draft
from datafacade.store.pit.store import WAITING_MAX, PitStore
from datafacade.store.pit.vault import Vault
from datafacade.v1 import lineage_pb2
from datafacade.warm.answers import Question, Served
from datafacade.warm.readable import readable

if TYPE_CHECKING:
    from datafacade.warm.tables import Tables  # with it comes Polars

log = logging.getLogger(__name__)

PIT: Final = lineage_pb2.CACHE_TIER_PIT
SKIPPED: Final = "PIT_SKIPPED"  # in Health.warnings
TOLD_NS: Final = 60 * NS_PER_S  # for so long Health warns after an answer that was not kept
TURN_S: Final = 5.0  # between two looks at the store
SWEEP_TURNS: Final = 720  # once an hour lets go a 24th of what is kept for a day
FIRST_SWEEP: Final = 60  # turns from the start, so that restarts in a row delete nothing
PATIENCE_S: Final = 2.0  # that an answer waits for the disk; it is given then all the same
LINE_MAX: Final = 256  # answers that wait for the disk or, behind the store's own bound, for room there
ROWS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "WarmKlinesResponse": "klines",
        "WarmTradesResponse": "trades",
        "WarmFundingResponse": "rates",
        "ReconciledPriceResponse": "quotes",
        "ListInstrumentsResponse": "instruments",
    }
)


@dataclass(slots=True)
class Missed:
    """Answers that were given and not kept, since the start."""

    count: int = 0
    ts_mono: int = 0  # of the newest, ns
    problem: str = ""


class Snapshots:
    """What was answered, for as long as it is kept. Owned by the event loop; ``run`` it, ``close`` it.

    Args:
        path: The store's directory.
        opener: Opens the store; it is asked again while the directory cannot be used.
        clock: Where times come from.
        retention_hours: How long answers are kept that nothing holds.
        tables: Makes tables of large answers; None: there are none.
    """

    def __init__(
        self,
        path: Path,
        opener: Callable[[], PitStore],
        *,
        clock: Clock,
        retention_hours: int,
        tables: Tables | None = None,
    ) -> None:
        self.path = path
        self.missed = Missed()
        self._opener = opener
        self._clock = clock
        self._retention_hours = retention_hours
        self._tables = tables
        self._in_line = 0
        self._room = asyncio.Semaphore(WAITING_MAX)
        self._leaving = asyncio.Lock()
        self._is_stuck = False  # the disk was too slow for the newest answer that it took or refused
        self._store: PitStore | None = None
        self._is_closed = False
        self._closing = threading.Lock()  # a store may be opened on another thread meanwhile
        self._open()

    async def run(self) -> None:
        """Open the store as soon as it can be used, and let go what has expired, until cancelled."""
        turns = 0
        while True:
            if self._store is None:
                await asyncio.to_thread(self._open)
            elif turns % SWEEP_TURNS == FIRST_SWEEP:
                await self.sweep(self._store)
            turns += 1
            await asyncio.sleep(TURN_S)

    async def sweep(self, store: PitStore) -> None:
        """Delete what has expired, a tenth of all at most; a disk that refuses is asked again later."""
        try:
            gone = await store.run(self._expire)
        except (FacadeError, OSError) as error:
            log.warning("pit.sweep_failed", extra={"problem": str(error)})
        else:
            if gone:
                log.info("pit.swept", extra={"dropped": gone})

    @property
    def opened(self) -> PitStore | None:
        """The store; None: it cannot be used."""
        return self._store

    @property
    def store(self) -> PitStore:
        """The store.

        Raises:
            NotSupported: It cannot be used.
        """
        if self._store is None:
            raise NotSupported("snapshots in a directory that cannot be used")
        return self._store

    async def keep(self, question: Question, message: bytes) -> None:
        """Keep a warm answer (``warm.answers.Keep``)."""
        if question.carrier is not None:
            await self.put(question.entity, question.carrier, message)

    async def put(
        self, entity: Entity, carrier: type[Message], message: bytes, *, labels: Sequence[str] = ()
    ) -> None:
        """Keep an answer; return once it is on the disk, or once it is noted that it is not.

        A burst waits for room in the store; behind a disk that hangs nobody waits who has no room.

        Args:
            entity: What it is about.
            carrier: Type of the message.
            message: The answer's bytes.
            labels: ``keep:WHY`` holds it against retention.
        """
        store, is_full = self._store, self._room.locked() and self._is_stuck
        if store is None or is_full or self._in_line >= LINE_MAX:
            self._miss(PitSkipped(self._in_line))
            return
        now = self._clock.wall_ns()
        patience_s = PATIENCE_S * (1 - self._in_line / LINE_MAX / 4)  # not all of a burst end at once
        self._in_line += 1
        try:
            async with self._one_a_turn(), asyncio.timeout(patience_s), self._room:
                draft = await asyncio.to_thread(
                    draft_of, entity, carrier, message, ts_wall=now, labels=tuple(labels)
                )
                await asyncio.wrap_future(store.submit(draft))
            self._is_stuck = False
            if self._tables is not None:
                self._tables.keep(store, entity, carrier, draft)
        except PitExists:
            self._is_stuck = False  # these very bytes are kept already
        except TimeoutError:
            self._is_stuck = True
            self._miss(PitWriteFailed(f"the disk took longer than {PATIENCE_S:g} s"))
        except Exception as error:  # whatever it is, the answer is good
            self._miss(error)
        finally:
            self._in_line -= 1

    async def get(self, snapshot_id: str, carrier: type[Message]) -> Served:
        """Return a stored answer byte for byte.

        Args:
            snapshot_id: 64 hex digits, or the first 16 or more.
            carrier: Type of the message that is expected.

        Raises:
            PitNotFound: No such snapshot.
            PitCorrupt: It is no longer what was written.
            InvalidRequest: It answers another kind of question.
        """
        ref = self.store.find(snapshot_id)
        wanted = carrier.DESCRIPTOR.name
        if ref.kind != wanted:
            problem = f"expected the id of a {wanted}, received that of a {ref.kind[:64]}"
            raise InvalidRequest("snapshot_id", problem)
        found = await asyncio.to_thread(self.store.get, ref.id)
        return Served(
            message=found.message,
            cache_tier=PIT,
            key="",
            snapshot_id=ref.id,
            ts_cached=ref.ts_wall,
            ts_expires=0,
            age_ns=max(0, self._clock.wall_ns() - ref.ts_wall),
        )

    async def at(self, entity: Entity, carrier: type[Message], ts: int) -> Served:
        """Return the newest answer to a question that was known at a time.

        Args:
            entity: Which question.
            carrier: Type of the message.
            ts: The time, ns UTC.

        Raises:
            InvalidRequest: It lies ahead.
            PitNotFound: Nothing was known.
            PitCorrupt: What was known is damaged.
        """
        return await self.newest([entity], carrier, ts)

    async def newest(self, entities: Sequence[Entity], carrier: type[Message], ts: int) -> Served:
        """Return the newest answer to one of several questions that was known at a time; else as ``at``."""
        self.check_time(ts)
        found = []
        for entity in entities:
            with contextlib.suppress(PitNotFound):
                found.append(self.store.at(str(entity), ts))
        if not found:
            raise PitNotFound(f"{entities[0]} as of {ts}")
        return await self.get(max(found, key=lambda ref: ref.ts_wall).id, carrier)

    def check_time(self, ts: int) -> None:
        """Refuse a time that lies ahead: what will be known is not known.

        Raises:
            InvalidRequest: It does, or it lies before 1970.
        """
        now = self._clock.wall_ns()
        if not 0 <= ts <= now:
            raise InvalidRequest("ts_as_of", f"expected a time in the past, up to {now}, received {ts}")

    def warnings(self) -> list[str]:
        """Return what Health warns of, in UPPER_SNAKE."""
        return [SKIPPED] if self.is_degraded else []

    @property
    def is_degraded(self) -> bool:
        """Whether an answer was not kept lately, or none is."""
        since = self._clock.monotonic_ns() - self.missed.ts_mono
        return self._store is None or (self.missed.count > 0 and since < TOLD_NS)

    def close(self) -> None:
        """Write what waits, and end; blocks for the disk."""
        with self._closing:
            self._is_closed = True
        if self._store is not None:
            self._store.close()

    def _open(self) -> None:
        try:
            store = self._opener()
        except (OSError, PitUnusable) as error:
            log.error("pit.unusable", extra={"problem": str(error)})
            return
        with self._closing:
            if not self._is_closed:
                self._store = store
                return
        store.close()

    @contextlib.asynccontextmanager
    async def _one_a_turn(self) -> AsyncIterator[None]:
        """Leave one after the other: those of a group end together, and streams must go on meanwhile."""
        try:
            yield
        finally:
            async with self._leaving:
                await asyncio.sleep(0)

    def _expire(self, vault: Vault) -> int:
        hours = self._retention_hours
        if not retention.plan(vault.catalog.index, now=self._clock.wall_ns(), hours=hours).going:
            return 0  # a run that does nothing is no line of the audit log
        return len(retention.sweep(vault, hours=hours).going)

    def _miss(self, error: Exception) -> None:
        self.missed.count += 1
        self.missed.ts_mono = self._clock.monotonic_ns()
        self.missed.problem = str(error) or type(error).__name__
        log.warning("pit.missed", extra={"problem": self.missed.problem, "count": self.missed.count})


def draft_of(
    entity: Entity, carrier: type[Message], message: bytes, *, ts_wall: int, labels: tuple[str, ...] = ()
) -> Draft:
    """Return an answer as the store takes it, with its readable form; off the event loop.

    Args:
        entity: What it is about.
        carrier: Type of the message.
        message: The answer's bytes.
        ts_wall: When it was known, ns UTC.
        labels: As of any snapshot.
    """
    told = carrier.FromString(message)
    name = carrier.DESCRIPTOR.name
    lineage = getattr(told, "lineage", None)
    used = sorted(quote.source for quote in lineage.sources if quote.used) if lineage is not None else []
    return Draft(
        entity=str(entity),
        kind=name,
        message=message,
        readable=readable(carrier, message),
        ts_wall=ts_wall,
        rows=len(getattr(told, ROWS[name])) if name in ROWS else 1,
        sources=tuple(used or [entity.venue]),
        labels=labels,
    )
