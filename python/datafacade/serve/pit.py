"""Answer for what was kept: ``SnapshotService``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from types import MappingProxyType
from typing import Final

from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import InvalidRequest, NotSupported, QuotaExceeded
from datafacade.serve.answer import Answer, Send, parse
from datafacade.serve.pit_content import is_made, pieces_of, reader
from datafacade.store.pit.manifest import Damage
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.verify import Verdict
from datafacade.store.pit.verify import verify as walk
from datafacade.v1 import lineage_pb2, pit_pb2
from datafacade.warm.snapshots import Snapshots

METHODS: Final = ("PitGet", "PitAt", "PitList", "VerifyPit", "PitStats")
MADE_MAX: Final = 2  # large texts and tables in memory at once; who comes then waits, within its deadline
REFS_MAX: Final = 10_000
REFS_DEFAULT: Final = 1_000
LISTED_MAX: Final = 1_000  # damages, and files without a record, that one answer names
WALK_S: Final = 10.0  # that a walk over all snapshots may take
TS_END: Final = 2**63 - 1
_TOKEN: Final = re.compile(r"([0-9]{1,19}):([0-9]{1,19})", re.ASCII)
LIVE: Final = lineage_pb2.CACHE_TIER_LIVE


class PitHandlers:
    """The methods of ``SnapshotService``; ``parted`` are those that answer in several messages."""

    def __init__(self, snapshots: Snapshots | None, clock: Clock) -> None:
        self._kept = snapshots
        self._clock = clock
        self._made = asyncio.Semaphore(MADE_MAX)
        self.parted: Mapping[str, Callable[[bytes, Send], Awaitable[Answer]]] = {"PitGet": self._get}
        self.methods: Mapping[str, Callable[[bytes], Awaitable[Answer]]] = MappingProxyType(
            {"PitAt": self._at, "PitList": self._list, "VerifyPit": self._verify, "PitStats": self._stats}
        )

    @property
    def _snapshots(self) -> Snapshots:
        if self._kept is None:
            raise NotSupported("snapshots without a data directory")
        return self._kept

    async def _get(self, request: bytes, send: Send) -> Answer:
        asked = parse(pit_pb2.PitGetRequest, request)
        _refuse("ts_as_of", asked.ts_as_of)
        if not asked.snapshot_id:
            raise InvalidRequest("snapshot_id", "expected an id, received nothing")
        if asked.encoding not in pit_pb2.PitEncoding.values():
            raise InvalidRequest(
                "encoding", f"expected an encoding of the contract, received {asked.encoding}"
            )
        ref = self._snapshots.store.find(asked.snapshot_id)
        age_ns = max(0, self._clock.wall_ns() - ref.ts_wall)
        async with self._made if is_made(ref, asked.encoding) else nullcontext():
            message = await self._parts(ref, asked.encoding, send)
        return Answer(message, lineage_pb2.CACHE_TIER_PIT, age_ns=age_ns, snapshot_id=ref.id)

    async def _parts(self, ref: PitRef, encoding: pit_pb2.PitEncoding.ValueType, send: Send) -> bytes:
        """Send all parts of a snapshot but the last one, and return that."""
        pieces = pieces_of(self._snapshots, ref, encoding)
        part = pit_pb2.PitGetResponse(ref=to_ref(ref))
        while True:
            piece = await asyncio.to_thread(next, pieces)
            part.chunks.extend(piece.chunks())
            if piece.is_last:
                return part.SerializeToString()
            await send(part.SerializeToString())
            part = pit_pb2.PitGetResponse()

    async def _at(self, request: bytes) -> Answer:
        asked = parse(pit_pb2.PitAtRequest, request)
        _refuse("snapshot_id", asked.snapshot_id)
        if not asked.entity:
            raise InvalidRequest("entity", "expected an entity, received nothing")
        self._snapshots.check_time(asked.ts_as_of)
        ref = self._snapshots.store.at(asked.entity, asked.ts_as_of or self._clock.wall_ns())
        return Answer(pit_pb2.PitAtResponse(ref=to_ref(ref)).SerializeToString(), LIVE)

    async def _list(self, request: bytes) -> Answer:
        asked = parse(pit_pb2.PitListRequest, request)
        _refuse("snapshot_id", asked.snapshot_id)
        if asked.limit > REFS_MAX:
            raise InvalidRequest("limit", f"expected 0 to {REFS_MAX}, received {asked.limit}")
        self._snapshots.check_time(asked.ts_as_of)
        store = self._snapshots.store
        if not asked.entity:
            return Answer(pit_pb2.PitListResponse(entities=store.entities()).SerializeToString(), LIVE)
        after = place_of(asked.page_token) if asked.page_token else None
        until = min(asked.ts_until or TS_END, (asked.ts_as_of or self._clock.wall_ns()) + 1)
        limit = asked.limit or REFS_DEFAULT
        refs = store.list(asked.entity, asked.ts_from, until, limit=limit + 1, after=after)
        answer = pit_pb2.PitListResponse(refs=[to_ref(ref) for ref in refs[:limit]])
        if len(refs) > limit:
            last = refs[limit - 1]
            answer.is_cut, answer.next_page_token = True, f"{last.ts_wall}:{last.seq}"
        return Answer(answer.SerializeToString(), LIVE)

    async def _verify(self, request: bytes) -> Answer:
        asked = parse(pit_pb2.VerifyPitRequest, request)
        _refuse("ts_as_of", asked.ts_as_of)
        wanted = self._snapshots.store.find(asked.snapshot_id) if asked.snapshot_id else None
        verdict = await asyncio.to_thread(self._verdict, wanted)
        answer = pit_pb2.VerifyPitResponse(
            snapshots=verdict.snapshots,
            ok=verdict.ok,
            damages=[pit_pb2.PitDamage(**damage._asdict()) for damage in verdict.damages[:LISTED_MAX]],
            unlisted=verdict.unlisted[:LISTED_MAX],
            quarantined=verdict.quarantined,
        )
        return Answer(answer.SerializeToString(), LIVE)

    async def _stats(self, request: bytes) -> Answer:
        asked = parse(pit_pb2.PitStatsRequest, request)
        _refuse("ts_as_of", asked.ts_as_of)
        _refuse("snapshot_id", asked.snapshot_id)
        kept = self._snapshots
        stats, missed = kept.store.stats(), kept.missed
        answer = pit_pb2.PitStatsResponse(
            snapshots=stats.snapshots,
            entities=stats.entities,
            bytes_live=stats.bytes_live,
            seq=stats.seq,
            head=stats.head,
            waiting=stats.waiting,
            committed=stats.counts.committed,
            skipped=missed.count,
            failed=stats.counts.failed,
            failure=stats.failure or (missed.problem if kept.is_degraded else ""),
        )
        return Answer(answer.SerializeToString(), LIVE)

    # On another thread

    def _verdict(self, wanted: PitRef | None) -> Verdict:
        with reader(self._snapshots) as vault:
            if wanted is None:
                return walk(vault.root, tell=_within(WALK_S, self._clock))
            bad = vault.bad_files(wanted.id)
            damages = [Damage(wanted.id, file, "it is not what was written") for file in bad]
            return Verdict(snapshots=1, ok=int(not bad), damages=damages)


def _within(seconds: float, clock: Clock) -> Callable[[int, int], None]:
    """Return what ends a walk that takes longer: ``datafacade pit verify`` takes all the time it needs."""
    end = clock.monotonic_ns() + int(seconds * NS_PER_S)

    def tell(done: int, count: int) -> None:
        if clock.monotonic_ns() > end:
            raise QuotaExceeded(f"VerifyPit, snapshots in {seconds:g} s,", done, count)

    return tell


def place_of(token: str) -> tuple[int, int]:
    """Return where a page ended: the time and the number of its last snapshot.

    Raises:
        InvalidRequest: It is no token of ours.

    Example:
        >>> place_of("1700000000000000000:12")
        (1700000000000000000, 12)
    """
    match = _TOKEN.fullmatch(token)
    ts_wall, seq = (int(match[1]), int(match[2])) if match else (TS_END, TS_END)
    if max(ts_wall, seq) >= TS_END:
        raise InvalidRequest("page_token", f"expected a next_page_token, received {token[:64]!r}")
    return ts_wall, seq


def to_ref(ref: PitRef) -> pit_pb2.PitRef:
    """Return where a snapshot stands, as the contract writes it."""
    return pit_pb2.PitRef(
        id=ref.id,
        seq=ref.seq,
        entity=ref.entity,
        kind=ref.kind,
        ts_wall=ref.ts_wall,
        size_bytes=ref.size_bytes,
        rows=ref.rows,
        labels=ref.labels,
        path=ref.path,
    )


def _refuse(name: str, value: int | str) -> None:
    if value:
        raise InvalidRequest(name, f"expected nothing here, received {str(value)[:64]!r}")
