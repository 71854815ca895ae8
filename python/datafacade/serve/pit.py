"""Answer for what was kept: ``SnapshotService``, whose answers are given in one part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from io import BytesIO
from types import MappingProxyType
from typing import Final

from datafacade.clock import NS_PER_S, Clock
from datafacade.errors import InvalidRequest, NotSupported, PitCorrupt, QuotaExceeded
from datafacade.serve.answer import Answer, parse
from datafacade.store.pit.manifest import Damage
from datafacade.store.pit.names import JSON
from datafacade.store.pit.record import PitRef
from datafacade.store.pit.snapshot import PitSnapshot, read_part, unpack_text
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import Verdict
from datafacade.store.pit.verify import verify as walk
from datafacade.v1 import lineage_pb2, pit_pb2
from datafacade.warm.snapshots import Snapshots

METHODS: Final = ("PitGet", "PitAt", "PitList", "VerifyPit", "PitStats")
CHUNK_BYTES: Final = 64 * 1024
ANSWER_BYTES_MAX: Final = 3 * 2**20  # below the 4 MiB that gRPC clients take unless told otherwise
REFS_MAX: Final = 10_000
REFS_DEFAULT: Final = 1_000
LISTED_MAX: Final = 1_000  # damages, and files without a record, that one answer names
WALK_S: Final = 10.0  # that a walk over all snapshots may take
LIVE: Final = lineage_pb2.CACHE_TIER_LIVE


class PitHandlers:
    """The methods of ``SnapshotService``; ``PitGet`` streams one part: on the wire that is a unary answer."""

    def __init__(self, snapshots: Snapshots | None, clock: Clock) -> None:
        self._kept = snapshots
        self._clock = clock
        self.methods: Mapping[str, Callable[[bytes], Awaitable[Answer]]] = MappingProxyType(
            dict(zip(METHODS, (self._get, self._at, self._list, self._verify, self._stats), strict=True))
        )

    @property
    def _snapshots(self) -> Snapshots:
        if self._kept is None:
            raise NotSupported("snapshots without a data directory")
        return self._kept

    async def _get(self, request: bytes) -> Answer:
        asked = parse(pit_pb2.PitGetRequest, request)
        _refuse("ts_as_of", asked.ts_as_of)
        if not asked.snapshot_id:
            raise InvalidRequest("snapshot_id", "expected an id, received nothing")
        if asked.encoding not in pit_pb2.PitEncoding.values():
            raise InvalidRequest(
                "encoding", f"expected an encoding of the contract, received {asked.encoding}"
            )
        ref = self._snapshots.store.find(asked.snapshot_id)
        content = await asyncio.to_thread(self._content, ref, asked.encoding)
        if len(content) > ANSWER_BYTES_MAX:
            raise QuotaExceeded("PitGet", ANSWER_BYTES_MAX, len(content))
        chunks = [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]
        answer = pit_pb2.PitGetResponse(ref=to_ref(ref), chunks=chunks)
        age_ns = max(0, self._clock.wall_ns() - ref.ts_wall)
        return Answer(answer.SerializeToString(), lineage_pb2.CACHE_TIER_PIT, age_ns=age_ns)

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
            return _sized(pit_pb2.PitListResponse(entities=store.entities()))
        until = min(asked.ts_until or 2**63 - 1, (asked.ts_as_of or self._clock.wall_ns()) + 1)
        limit = asked.limit or REFS_DEFAULT
        refs = store.list(asked.entity, asked.ts_from, until, limit=limit + 1)
        named = [to_ref(ref) for ref in refs[:limit]]
        return _sized(pit_pb2.PitListResponse(refs=named, is_cut=len(refs) > limit))

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

    def _content(self, ref: PitRef, encoding: pit_pb2.PitEncoding.ValueType) -> bytes:
        """Return a snapshot as it is wanted; what is readable and what is rows is made of what was proven."""
        found = self._snapshots.store.get(ref.id)
        if encoding == pit_pb2.PIT_ENCODING_JSON:
            return self._readable(ref)
        if encoding == pit_pb2.PIT_ENCODING_ARROW:
            return _arrow(found)
        return found.message

    def _readable(self, ref: PitRef) -> bytes:
        if not ref.path.endswith(JSON):
            raise InvalidRequest("encoding", "expected PROTOBUF or ARROW: a table has no JSON")
        with _reader(self._snapshots) as vault:
            if vault.bad_files(ref.id):
                raise PitCorrupt(ref.id)
            return unpack_text(read_part(vault.root, ref.path))

    def _verdict(self, wanted: PitRef | None) -> Verdict:
        with _reader(self._snapshots) as vault:
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


def _sized(answer: pit_pb2.PitListResponse) -> Answer:
    message = answer.SerializeToString()
    if len(message) > ANSWER_BYTES_MAX:
        raise QuotaExceeded("PitList", ANSWER_BYTES_MAX, len(message))
    return Answer(message, LIVE)


def _reader(snapshots: Snapshots) -> closing[Vault]:
    """Open the store a second time, for reading: a long walk keeps no answer waiting."""
    return closing(Vault.open(snapshots.path, is_writable=False))


def _arrow(found: PitSnapshot) -> bytes:
    if found.ref.path.endswith(JSON):
        problem = f"expected PROTOBUF or JSON: a {found.ref.kind} is no table"
        raise InvalidRequest("encoding", problem)
    packed = BytesIO()
    found.frame().write_ipc_stream(packed)
    return packed.getvalue()
