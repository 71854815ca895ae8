"""Tell an answer as JSON that people read, as protobuf's own JSON does; the core writes it."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from google.protobuf.message import Message

from datafacade._core import Schema


def readable(carrier: type[Message], message: bytes) -> bytes:
    """Return an encoded message as JSON; call it from a worker thread, that then runs beside the others.

    Names are those of the contract, integers of 64 bits are texts, what is absent or 0 is left out.

    Args:
        carrier: Type of the message.
        message: Its bytes.

    Raises:
        ValueError: They are none of such a message.

    Example:
        >>> from datafacade.v1 import lineage_pb2
        >>> quote = lineage_pb2.SourceQuote(source="okx", used=True, ts_source=5)
        >>> readable(type(quote), quote.SerializeToString())
        b'{"source":"okx","ts_source":"5","used":true}'
    """
    return _contract().json(carrier.DESCRIPTOR.full_name, message)


@lru_cache(maxsize=1)
def _contract() -> Schema:
    return Schema((files("datafacade.v1") / "descriptor.bin").read_bytes())
