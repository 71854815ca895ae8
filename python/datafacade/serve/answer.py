"""What every unary handler shares: reading a request, and the answer that the edge sends."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from datafacade.errors import InvalidRequest, NotSupported

RequestT = TypeVar("RequestT", bound=Message)


class Answer(NamedTuple):
    """A unary answer: what the handler wrote, and what ``served`` says about it."""

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
    """Refuse to answer from the past, which later releases can.

    Raises:
        NotSupported: One of the two is set.
    """
    if ts_as_of:
        raise NotSupported("ts_as_of")
    if snapshot_id:
        raise NotSupported("snapshot_id")
