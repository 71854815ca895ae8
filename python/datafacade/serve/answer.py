"""What every unary handler shares: reading a request, and the answer that the edge sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from datafacade.errors import InvalidRequest, NotSupported
from datafacade.warm.answers import Served
from datafacade.warm.cases import WarmCases

MESSAGE_BYTES_MAX: Final = 3 * 2**20  # below the 4 MiB that gRPC clients take unless told otherwise

# Hands over one of several messages, returns when there is room for the next; the last one is the answer.
Send = Callable[[bytes], Awaitable[None]]


class Past(Protocol):
    """A request that may ask for the past."""

    ts_as_of: int
    snapshot_id: str


RequestT = TypeVar("RequestT", bound=Message)


class Answer(NamedTuple):
    """The only message of an answer, or its last one, and what ``served`` says about it."""

    message: bytes
    cache_tier: int  # CacheTier
    key: str = ""  # in the answer cache; "": it is not there
    is_stale: bool = False
    ts_cached: int = 0  # ns since 1970 UTC; 0: it is not cached
    ts_expires: int = 0  # ns since 1970 UTC; 0: it is not cached
    age_ns: int = 0  # of its data
    snapshot_id: str = ""  # SHA-256 of the message in hex; "": to be computed


def parse(kind: type[RequestT], request: bytes) -> RequestT:
    """Return the message.

    Raises:
        InvalidRequest: The bytes are no such message.
    """
    try:
        return kind.FromString(request)
    except DecodeError:
        name = kind.DESCRIPTOR.name
        raise InvalidRequest("request", f"expected a {name}, received other bytes") from None


def refuse_past(ts_as_of: int, snapshot_id: str) -> None:
    """Refuse to answer from the past where nothing of the past is kept.

    Raises:
        NotSupported: One of the two is set.
    """
    if ts_as_of:
        raise NotSupported("ts_as_of")
    if snapshot_id:
        raise NotSupported("snapshot_id")


def to_answer(served: Served) -> Answer:
    """Return what the edge needs: the bytes, and what ``served`` says of them."""
    return Answer(
        served.message,
        served.cache_tier,
        key=served.key,
        is_stale=served.is_stale,
        ts_cached=served.ts_cached,
        ts_expires=served.ts_expires,
        age_ns=served.age_ns,
        snapshot_id=served.snapshot_id,
    )


async def stored(cases: WarmCases, asked: Past, carrier: type[Message]) -> Answer | None:
    """Return the stored answer that a request names by its id; None: it names none.

    Args:
        cases: Who knows what was kept.
        asked: The request; an id says it all, so its other fields are not looked at.
        carrier: Type of the answers of this method.

    Raises:
        InvalidRequest: A time beside the id, or it is the id of another method's answer.
        NotSupported, PitNotFound, PitCorrupt: It cannot be had.
    """
    if not asked.snapshot_id:
        return None
    if asked.ts_as_of:
        raise InvalidRequest("ts_as_of", f"expected 0 beside a snapshot_id, received {asked.ts_as_of}")
    return to_answer(await cases.snapshots.get(asked.snapshot_id, carrier))
