"""Ask for what was answered before: stored answers by id and by time, their rows as Polars frames."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from google.protobuf.message import Message

from datafacade.client.call import Metadata
from datafacade.client.errors import DeadlineExceeded, PitCorrupt, error_of
from datafacade.rows import columns
from datafacade.v1 import pit_pb2, warm_pb2
from datafacade.v1.pit_pb2_grpc import SnapshotServiceStub

if TYPE_CHECKING:
    import polars as pl  # only frames need it

    from datafacade.v1.pit_pb2_grpc import SnapshotServiceAsyncStub  # a type only

Request = TypeVar("Request")
Answer = TypeVar("Answer")

Tell = Callable[[int, int], None]

LIST_ROWS: Final = 10_000  # a page
TABLE: Final = ".parquet"
CARRIERS: Final[Mapping[str, type[Message]]] = MappingProxyType(
    {**columns.CARRIERS, "WarmTickerResponse": warm_pb2.WarmTickerResponse}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PitSnapshot:
    """A stored answer; its bytes were compared with its id."""

    id: str  # SHA-256 of the bytes, 64 hex digits
    entity: str  # as ``warm.klines/binance/BTC-USDT/1h``
    kind: str  # message type of the bytes, or ``table``
    ts_wall: int  # when it was known, ns since 1970 UTC
    seq: int  # order in the store, whatever clocks said
    rows: int
    labels: tuple[str, ...]
    path: str  # of the readable file, relative to the store
    message: bytes

    @property
    def size_bytes(self) -> int:
        """Size of the stored bytes."""
        return len(self.message)

    def answer(self) -> Message:
        """Return the answer in the contract's own words.

        Raises:
            ValueError: It is a table, or of a kind that this client does not know.
        """
        if self.kind not in CARRIERS:
            raise ValueError(f"expected one of {', '.join(CARRIERS)}, received {self.kind[:64]}")
        return CARRIERS[self.kind].FromString(self.message)

    def to_polars(self) -> pl.DataFrame:
        """Return the rows for calculations: klines, trades, rates, a price's quotes, levels, instruments.

        Raises:
            ImportError: Polars is not installed.
            ValueError: It has no rows: a ticker.
        """
        if self.path.endswith(TABLE):
            from datafacade.client import frames  # late: the client needs Polars here alone

            return frames.table(self.message)
        return columns.frame_of(self.answer())


class PitCalls:
    """The calls of ``SnapshotService``, and how any unary call is made. A part of `Client`."""

    _channel: grpc.aio.Channel | None
    _timeout_s: float
    _metadata: Metadata

    async def pit_get(self, snapshot_id: str, *, tell: Tell | None = None) -> PitSnapshot:
        """Return a stored answer byte for byte; ``timeout_s`` of the client bounds the wait for each part.

        Args:
            snapshot_id: As ``provenance.snapshot_id`` of the answer; 64 hex digits, or the first 16 or more.
            tell: Hears how many bytes have come, and how many there are.

        Raises:
            PitNotFound: No such snapshot.
            PitCorrupt: It is no longer what was written.
            ClientError: The service is not there, or keeps nothing.
        """
        ref, message = await self._fetch(pit_pb2.PitGetRequest(snapshot_id=snapshot_id), tell)
        if sha256(message).hexdigest() != ref.id:
            raise PitCorrupt(f"snapshot {ref.id} came damaged")
        return PitSnapshot(
            id=ref.id,
            entity=ref.entity,
            kind=ref.kind,
            ts_wall=ref.ts_wall,
            seq=ref.seq,
            rows=ref.rows,
            labels=tuple(ref.labels),
            path=ref.path,
            message=message,
        )

    async def pit_text(self, snapshot_id: str) -> str:
        """Return the readable form of a stored answer, a JSON text; else as `pit_get`.

        Raises:
            InvalidRequest: It is a table.
        """
        encoding = pit_pb2.PIT_ENCODING_JSON
        _, text = await self._fetch(pit_pb2.PitGetRequest(snapshot_id=snapshot_id, encoding=encoding))
        return text.decode("utf-8")

    async def _fetch(
        self, request: pit_pb2.PitGetRequest, tell: Tell | None = None
    ) -> tuple[pit_pb2.PitRef, bytes]:
        """Return where a snapshot stands, and all parts of its content joined."""
        call = self._snapshots.PitGet(request, metadata=self._metadata or None)
        ref, chunks, size = pit_pb2.PitRef(), list[bytes](), 0
        try:
            while True:
                async with asyncio.timeout(self._timeout_s):
                    part = await call.read()
                if not isinstance(part, pit_pb2.PitGetResponse):
                    return ref, b"".join(chunks)
                if part.HasField("ref"):
                    ref = part.ref
                chunks.extend(part.chunks)
                size += sum(map(len, part.chunks))
                if tell is not None:
                    tell(size, ref.size_bytes)
        except grpc.aio.AioRpcError as failed:
            raise error_of(failed) from None
        except TimeoutError:
            raise DeadlineExceeded(f"nothing more came for {self._timeout_s:g} s") from None
        finally:
            call.cancel()

    async def pit_at(self, entity: str, ts_as_of: int = 0) -> pl.DataFrame:
        """Return what was known of an entity at a time, as rows; which answer that was: `pit_find`.

        Args:
            entity: As ``warm.klines/binance/BTC-USDT/1h``.
            ts_as_of: The time, ns since 1970 UTC; 0: now.

        Raises:
            ValueError: It has no rows.
            ClientError: As `pit_find`.
        """
        return (await self.pit_find(entity, ts_as_of)).to_polars()

    async def pit_find(self, entity: str, ts_as_of: int = 0, *, tell: Tell | None = None) -> PitSnapshot:
        """Return the newest answer of an entity that was known at a time, ns since 1970 UTC; 0: now.

        Raises:
            PitNotFound: Nothing was known.
            PitCorrupt: It is no longer what was written.
            ClientError: The time lies ahead; the service is not there, or keeps nothing.
        """
        request = pit_pb2.PitAtRequest(entity=entity, ts_as_of=ts_as_of)
        return await self.pit_get((await self._ask(self._snapshots.PitAt, request)).ref.id, tell=tell)

    async def pit_list(self, entity: str, ts_from: int = 0, ts_until: int = 0) -> pl.DataFrame:
        """Return which answers of an entity are kept, oldest first.

        Columns: id, timestamp (naive UTC), seq, kind, rows, size_bytes, labels.

        Args:
            entity: As ``warm.klines/binance/BTC-USDT/1h``.
            ts_from: First instant, ns since 1970 UTC; 0: the oldest that is kept.
            ts_until: First instant behind, ns since 1970 UTC; 0: now.

        Raises:
            ClientError: The service is not there, or keeps nothing.
            ImportError: Polars is not installed.
        """
        from datafacade.client import frames  # late: the client needs Polars here alone

        return frames.refs_frame(await self.pit_refs(entity, ts_from, ts_until))

    async def pit_refs(self, entity: str, ts_from: int = 0, ts_until: int = 0) -> list[pit_pb2.PitRef]:
        """Return which answers of an entity are kept, as `pit_list`, in the contract's own words."""
        request = pit_pb2.PitListRequest(entity=entity, ts_from=ts_from, ts_until=ts_until, limit=LIST_ROWS)
        refs: list[pit_pb2.PitRef] = []
        while True:
            page = await self._ask(self._snapshots.PitList, request)
            refs += page.refs
            if not page.next_page_token:
                return refs
            request.page_token = page.next_page_token

    async def pit_verify(self) -> pit_pb2.VerifyPitResponse:
        """Have the service read everything that it keeps, and return what is not what was written.

        Raises:
            QuotaExceeded: It is too much for one call: use `datafacade pit verify` where the files are.
            ClientError: The service is not there, or keeps nothing.
        """
        return await self._ask(self._snapshots.VerifyPit, pit_pb2.VerifyPitRequest())

    async def pit_entities(self) -> list[str]:
        """Return everything of which an answer is kept, sorted.

        Raises:
            ClientError: The service is not there, or keeps nothing.
        """
        return list((await self._ask(self._snapshots.PitList, pit_pb2.PitListRequest())).entities)

    @property
    def _snapshots(self) -> SnapshotServiceAsyncStub:
        if self._channel is None:
            raise RuntimeError("the client is not open: use `async with Client(...) as client`")
        make: Callable[[grpc.aio.Channel], SnapshotServiceAsyncStub] = SnapshotServiceStub
        return make(self._channel)

    async def _ask(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Answer], request: Request
    ) -> Answer:
        try:
            return await method(request, timeout=self._timeout_s, metadata=self._metadata or None)
        except grpc.aio.AioRpcError as failed:
            raise error_of(failed) from None
