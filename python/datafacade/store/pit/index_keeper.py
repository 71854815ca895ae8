"""Keep the index in Redis equal to the store: behind what is acknowledged, never in its way.

Nothing is queued. The store itself says what came since a number and what went since a count, so Redis may be
away for as long as it likes. What Redis has is compared with the store piece by piece at the beginning, when
it was flushed or another kept it, and every ``PASS_S`` besides, since it may evict what it likes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple

from datafacade.clock import NS_PER_S, Clock
from datafacade.store.pit.index import Catalog, Index
from datafacade.store.pit.names import ID_DIGITS, is_id
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.redis_index import Claim, RedisIndex, State, score_of

log = logging.getLogger(__name__)

BATCH: Final = 64  # references in one call: a millisecond of the event loop
TURN_S: Final = 0.25  # between two looks at the store
BUSY_TURN_S: Final = 0.02  # while there is more to do: 3,000 references a second at most
CLAIM_S: Final = 3.0  # between two words that the index is kept
PASS_S: Final = 600.0  # between two comparisons of everything
PATIENCE_S: Final = 30.0  # that the index may be behind before Health warns
BEHIND: Final = "PIT_INDEX_BEHIND"  # in Health.warnings
_INFINITE: Final = float("inf")
_FOREVER: Final = 2**63 - 1  # ns


class IndexStatus(NamedTuple):
    """How the index stands."""

    is_connected: bool  # whether Redis answers
    is_whole: bool  # whether it held all that is live, as far as we know
    behind: int  # records of the store that are not in it yet, and snapshots that went and still are


class IndexKeeper:
    """Follows one store. ``run`` it as a task; owned by the event loop."""

    def __init__(self, index: RedisIndex, catalog: Callable[[], Catalog | None], *, clock: Clock) -> None:
        """Prepare; nothing is asked yet.

        Args:
            index: Where references go.
            catalog: What is live; None: the store is not open yet.
            clock: Where times come from.
        """
        self._redis = index
        self._catalog = catalog
        self._clock = clock
        self._keeper = os.urandom(8).hex()
        self._followed: Index | None = None  # that the next two count in
        self._seq = self._gone = 0
        self._steps: AsyncIterator[bool] | None = None  # of the comparison that is under way
        self._compare_at = 0  # ns, monotonic
        self._is_whole = False
        self._is_ours = False
        self._claim_at = 0  # ns, monotonic
        self._current_at = clock.monotonic_ns()

    async def run(self) -> None:
        """Keep the index until cancelled, then let another keep it."""
        try:
            while True:
                is_busy = await self._turn()
                await asyncio.sleep(BUSY_TURN_S if is_busy else TURN_S)
        finally:
            if self._is_ours:
                await self._redis.release()

    def status(self) -> IndexStatus:
        """Return how the index stands."""
        catalog, behind = self._catalog(), 0
        if catalog is not None:
            with catalog.lock:
                index = catalog.index
                behind = max(0, index.seq_last - self._seq) + max(0, index.gone - self._gone)
        return IndexStatus(self._redis.is_connected, self._is_whole and self._is_ours, behind)

    def warnings(self) -> list[str]:
        """Return what Health warns of."""
        late_ns = self._clock.monotonic_ns() - self._current_at
        return [BEHIND] if late_ns > PATIENCE_S * NS_PER_S else []

    async def _turn(self) -> bool:
        """Do one step; return whether to go on at once."""
        catalog = self._catalog()
        if catalog is None or not await self._hold():
            return False
        now = self._clock.monotonic_ns()
        if self._followed is not catalog.index or (self._steps is None and now >= self._compare_at):
            self._begin(catalog)
        is_done = await self._follow(catalog)
        if is_done is None:
            return False
        if self._is_whole and is_done:
            self._current_at = now
        return await self._step(self._steps) if self._steps is not None else not is_done

    async def _hold(self) -> bool:
        """Say now and then that the index is kept; return whether it is ours."""
        now = self._clock.monotonic_ns()
        if now < self._claim_at:
            return self._is_ours
        claim = await self._redis.claim(State(self._keeper, self._seq, is_whole=self._is_whole))
        if claim in (Claim.NEW, Claim.TAKEN):  # whatever is in it now, we did not see it through
            self._followed, self._is_whole = None, False
        if claim is Claim.TAKEN and self._is_ours:
            log.warning("pit.index_taken")
        self._is_ours = claim in (Claim.NEW, Claim.HELD)
        self._claim_at = 0 if claim is None else now + int(CLAIM_S * NS_PER_S)
        return self._is_ours

    def _begin(self, catalog: Catalog) -> None:
        """Compare everything, and follow what comes from here on."""
        with catalog.lock:
            index = catalog.index
            if self._followed is not index:
                self._followed, self._is_whole = index, False
                self._seq, self._gone = index.seq_last, index.gone
            entities = index.entities
        self._steps = self._compare(catalog, entities)

    async def _step(self, steps: AsyncIterator[bool]) -> bool:
        """Compare a little more; return whether Redis did its part."""
        step = await anext(steps, None)
        if step is None:
            now = self._clock.monotonic_ns()
            self._steps, self._compare_at = None, now + int(PASS_S * NS_PER_S)
            if not self._is_whole:
                log.info("pit.index_whole")
                self._is_whole, self._claim_at = True, 0  # say so at once
        return step is not False

    async def _follow(self, catalog: Catalog) -> bool | None:
        """Hand over what came and went; return whether that was all, None: Redis did not take it."""
        index = Index() if self._followed is None else self._followed
        with catalog.lock:
            head, news = index.seq_last, index.since(self._seq, BATCH)
            gone = index.gone_since(self._gone, BATCH)
        if gone is None:
            self._followed = None
            return False
        if (gone or news) and not await self._redis.apply(gone, news):
            if self._redis.is_connected:
                self._followed = None  # it refused: find out what stands there instead
            return None
        self._gone += len(gone)
        is_all = max(len(gone), len(news)) < BATCH
        self._seq = head if len(news) < BATCH else news[-1].seq
        return is_all

    async def _compare(self, catalog: Catalog, entities: list[str]) -> AsyncIterator[bool]:
        """Make every set what it should be, a few calls a step; what Redis refused is done again."""
        for entity in entities:
            page: Sequence[PitRef] = ()
            is_last = False
            while not is_last:
                last = page[-1] if page else None
                after = None if last is None else (last.ts_wall, last.seq)
                with catalog.lock:
                    page = catalog.index.between(entity, 0, _FOREVER, limit=BATCH, after=after)
                is_last = len(page) < BATCH
                score_min = -_INFINITE if last is None else score_of(last.ts_wall)
                score_max = _INFINITE if is_last else score_of(page[-1].ts_wall)
                while not await self._mend(catalog, entity, page, score_min, score_max):
                    yield False
                yield True
        async for step in self._tidy(catalog):
            yield step

    async def _mend(
        self,
        catalog: Catalog,
        entity: str,
        page: Sequence[PitRef],
        score_min: float,
        score_max: float,
    ) -> bool:
        """Make a part of a set hold these and none that is not live; return whether it does."""
        limit = len(page) + BATCH
        found = await self._redis.between(entity, score_min, score_max, limit=limit)
        if found is None:
            if self._redis.is_connected:  # Redis refused: it is no sorted set, so it is none of ours
                await self._redis.forget(self._redis.name(entity))
            return False
        wanted = {ref.id.encode() for ref in page}
        with catalog.lock:
            stale = [one for one in found if one not in wanted and not _is_live(catalog.index, entity, one)]
        if stale and not await self._redis.remove(entity, stale):
            return False
        missing = [ref for ref in page if found.get(ref.id.encode()) != score_of(ref.ts_wall)]
        if missing and not await self._redis.apply((), missing):
            return False
        return len(found) < limit or not stale

    async def _tidy(self, catalog: Catalog) -> AsyncIterator[bool]:
        """Delete the sets of entities that have no snapshot any more."""
        cursor, is_over = 0, False
        while not is_over:
            found = await self._redis.names(cursor, BATCH)
            if found is not None:
                with catalog.lock:
                    known = {self._redis.name(entity) for entity in catalog.index.entities}
                strange = [name for name in found[1] if name not in known]
                if not strange or await self._redis.forget(*strange):
                    cursor, is_over = found[0], found[0] == 0
            yield True


def _is_live(index: Index, entity: str, member: bytes) -> bool:
    """Return whether a member is an entity's live snapshot; it may be anything."""
    text = member.decode("ascii", "replace")
    ref = index.find(text) if len(text) == ID_DIGITS and is_id(text) else None
    return ref is not None and ref.entity == entity
