"""Errors of a call, typed by the reason that the service gives (``google.rpc.ErrorInfo``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import (  # type: ignore[import-untyped]  # it ships stubs but no py.typed
    error_details_pb2,
    status_pb2,
)

from datafacade.client.provenance import Source, sources_of
from datafacade.v1 import lineage_pb2

DOMAIN: Final = "datafacade"
DETAILS: Final = "grpc-status-details-bin"
NS_PER_S: Final = 1_000_000_000


@dataclass(eq=False)
class ClientError(Exception):
    """What every error of a call has in common. Texts come from the remote side."""

    is_retried: ClassVar[bool] = False  # whether a subscription tries again by itself

    message: str
    reason: str = ""  # in UPPER_SNAKE; "": the service gave none
    code: str = ""  # of gRPC, as NOT_FOUND
    venue: str = ""
    symbol: str = ""
    suggestions: tuple[str, ...] = ()  # nearest known symbols, best first
    retry_after_s: float | None = None  # as the service asks
    metadata: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[Source, ...] = ()  # what each source said, where several did not make one price

    def __str__(self) -> str:
        """Return the message."""
        return self.message


class ServerUnavailable(ClientError):
    """There is no connection to the service, or it broke."""

    is_retried = True


class Draining(ClientError):
    """The service is going down."""

    is_retried = True


class SlowReader(ClientError):
    """The service ended the call because this client reads too slowly."""

    is_retried = True


class InvalidRequest(ClientError):
    """A field of the request is not what the contract allows."""


class UnknownSymbol(ClientError):
    """No instrument list names the symbol; ``suggestions`` are the nearest."""


class BookNotReady(ClientError):
    """The book is not LIVE now; ``retry_after_s`` says when to ask again."""

    is_retried = True


class BookUnverified(ClientError):
    """The book carries no proof, and ``allow_unverified`` was not set."""


class AggregatorBanned(ClientError):
    """Only venues may give such data, and what was asked is none, or not one for it."""


class InsufficientSources(ClientError):
    """Too few sources are left for a price; ``evidence`` says what became of each."""


class LowConfidence(ClientError):
    """The sources differ too much for a price; ``evidence`` says what each said."""


class QuotaExceeded(ClientError):
    """More was asked for than a limit of the service allows."""


class NotSupported(ClientError):
    """The contract has it, this service does not serve it."""


class VenueFailed(ClientError):
    """The venue failed, limits us, or is left alone for a while."""

    is_retried = True


class PitNotFound(ClientError):
    """No such snapshot, or nothing was known at that time."""


class PitCorrupt(ClientError):
    """A stored answer is no longer what was written."""


class NotAuthenticated(ClientError):
    """The call carries no valid credentials, or they do not reach this far."""


class DeadlineExceeded(ClientError):
    """No answer came in time."""


class ServiceFault(ClientError):
    """The service failed in a way that it should not; the message names an error id."""


_BY_REASON: Final[Mapping[str, type[ClientError]]] = MappingProxyType(
    {
        "DRAINING": Draining,
        "SLOW_READER": SlowReader,
        "INVALID_REQUEST": InvalidRequest,
        "UNKNOWN_SYMBOL": UnknownSymbol,
        "BOOK_NOT_READY": BookNotReady,
        "BOOK_UNVERIFIED": BookUnverified,
        "AGGREGATOR_BANNED": AggregatorBanned,
        "INSUFFICIENT_SOURCES": InsufficientSources,
        "LOW_CONFIDENCE": LowConfidence,
        "QUOTA_EXCEEDED": QuotaExceeded,
        "NOT_SUPPORTED": NotSupported,
        "VENUE_FAILED": VenueFailed,
        "VENUE_RATE_LIMITED": VenueFailed,
        "CIRCUIT_OPEN": VenueFailed,
        "DIAL_FAILED": VenueFailed,
        "PIT_NOT_FOUND": PitNotFound,
        "PIT_CORRUPT": PitCorrupt,
        "NOT_AUTHENTICATED": NotAuthenticated,
        "NOT_PERMITTED": NotAuthenticated,
    }
)
# Without a reason the status comes from a library: a reset stream is UNKNOWN, CANCELLED or INTERNAL there.
_BY_CODE: Final[Mapping[str, type[ClientError]]] = MappingProxyType(
    {
        "UNAVAILABLE": ServerUnavailable,
        "UNKNOWN": ServerUnavailable,
        "CANCELLED": ServerUnavailable,
        "INTERNAL": ServerUnavailable,
        "INVALID_ARGUMENT": InvalidRequest,
        "NOT_FOUND": UnknownSymbol,
        "UNIMPLEMENTED": NotSupported,
        "RESOURCE_EXHAUSTED": QuotaExceeded,
        "UNAUTHENTICATED": NotAuthenticated,
        "PERMISSION_DENIED": NotAuthenticated,
        "DEADLINE_EXCEEDED": DeadlineExceeded,
    }
)


def error_of(failed: grpc.aio.AioRpcError) -> ClientError:
    """Return the typed error of a failed call."""
    code = failed.code().name
    status = _status(failed.trailing_metadata() or ())
    info, retry_after_s = _details(status)
    message = failed.details() or code
    if info is None:
        return _BY_CODE.get(code, ServiceFault)(message, code=code, retry_after_s=retry_after_s)
    metadata = dict(info.metadata)
    suggestions = metadata.get("suggestions", "")
    return _BY_REASON.get(info.reason, ServiceFault)(
        message,
        reason=info.reason,
        code=code,
        venue=metadata.get("venue", ""),
        symbol=metadata.get("symbol", ""),
        suggestions=tuple(suggestions.split(",")) if suggestions else (),
        retry_after_s=retry_after_s,
        metadata=metadata,
        evidence=_evidence(status),
    )


def refusal_of(
    *, reason: str, message: str, venue: str, symbol: str, suggestions: Iterable[str]
) -> ClientError:
    """Return the error of one refused item of a subscription."""
    kind = _BY_REASON.get(reason, ServiceFault)
    return kind(message, reason=reason, venue=venue, symbol=symbol, suggestions=tuple(suggestions))


def _status(trailers: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status:
    """Return the status that the trailers carry; an empty one if they carry none."""
    for key, value in trailers:
        if key == DETAILS and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()


def _evidence(status: status_pb2.Status) -> tuple[Source, ...]:
    """Return what the sources said that did not make one price."""
    lineage = lineage_pb2.Lineage()
    for detail in status.details:
        if detail.Unpack(lineage):
            return sources_of(lineage.sources)
    return ()


def _details(status: status_pb2.Status) -> tuple[error_details_pb2.ErrorInfo | None, float | None]:
    """Return the reason of the service, and the delay that it asks for."""
    found, delay_s = None, None
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(retry):
            delay_s = retry.retry_delay.seconds + retry.retry_delay.nanos / NS_PER_S
        elif detail.Unpack(info) and info.domain == DOMAIN:
            found = info
    return found, delay_s
