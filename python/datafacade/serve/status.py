"""Map errors to gRPC: the one table of STYLE section 7. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import (  # type: ignore[import-untyped]  # it ships stubs but no py.typed
    code_pb2,
    error_details_pb2,
    status_pb2,
)

from datafacade import errors
from datafacade.errors import FacadeError
from datafacade.observe.log import clean
from datafacade.v1 import lineage_pb2

DOMAIN: Final = "datafacade"
MESSAGE_BYTES_MAX: Final = 1_024
POSITIONS_MAX: Final = 64  # trailers have a bound; a client knows its positions anyway
_VALUE_BYTES_MAX: Final = 256

TABLE: Final[Mapping[type[FacadeError], int]] = MappingProxyType(
    {
        errors.InvalidRequest: code_pb2.INVALID_ARGUMENT,
        errors.UnknownSymbol: code_pb2.NOT_FOUND,
        errors.PitNotFound: code_pb2.NOT_FOUND,
        errors.AggregatorBanned: code_pb2.FAILED_PRECONDITION,
        errors.QuotaExceeded: code_pb2.RESOURCE_EXHAUSTED,
        errors.VenueRateLimited: code_pb2.UNAVAILABLE,
        errors.CircuitOpen: code_pb2.UNAVAILABLE,
        errors.VenueFailed: code_pb2.UNAVAILABLE,
        errors.BookNotReady: code_pb2.UNAVAILABLE,
        errors.Draining: code_pb2.UNAVAILABLE,
        errors.InsufficientSources: code_pb2.FAILED_PRECONDITION,
        errors.LowConfidence: code_pb2.FAILED_PRECONDITION,
        errors.BookUnverified: code_pb2.FAILED_PRECONDITION,
        errors.SlowReader: code_pb2.RESOURCE_EXHAUSTED,
        errors.ResumeTooOld: code_pb2.OUT_OF_RANGE,
        errors.PitExists: code_pb2.ALREADY_EXISTS,
        errors.PitCorrupt: code_pb2.DATA_LOSS,
        errors.PitFull: code_pb2.RESOURCE_EXHAUSTED,
        errors.PitSkipped: code_pb2.UNAVAILABLE,
        errors.PitWriteFailed: code_pb2.UNAVAILABLE,
        errors.PitUnusable: code_pb2.UNAVAILABLE,
        errors.NotSupported: code_pb2.UNIMPLEMENTED,
        errors.NotAuthenticated: code_pb2.UNAUTHENTICATED,
        errors.NotPermitted: code_pb2.PERMISSION_DENIED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error as it leaves the service."""

    code: int  # google.rpc.Code
    reason: str  # class in UPPER_SNAKE
    message: str
    details: bytes  # a serialized google.rpc.Status


def refuse(error: FacadeError) -> Refusal:
    """Return what a caller gets to see of an error."""
    code = TABLE.get(type(error), int(code_pb2.INTERNAL))
    return _refusal(code, reason_of(error), error.message, _metadata(error), _details(error))


def refuse_internal(error_id: str) -> Refusal:
    """Return what a caller gets to see of a fault of ours: an id that stands in the log too."""
    message = f"internal error {error_id}, please report it"
    return _refusal(code_pb2.INTERNAL, "INTERNAL", message, {"error_id": error_id}, [])


def refuse_slow_reader(positions: Iterable[tuple[str, str, int, str, int]], epoch: int) -> Refusal:
    """Return the end of a stream whose reader fell behind, with where to resume from."""
    metadata = {
        f"{venue}/{symbol}/{channel}/{variant}": str(seq)
        for venue, symbol, channel, variant, seq in positions
    }
    message = "the reader fell behind the bound of its stream, resume from the last update it processed"
    metadata = dict(itertools.islice(metadata.items(), POSITIONS_MAX)) | {"epoch": str(epoch)}
    return _refusal(code_pb2.RESOURCE_EXHAUSTED, "SLOW_READER", message, metadata, [])


def reason_of(error: FacadeError) -> str:
    """Return the class in UPPER_SNAKE.

    Example:
        >>> reason_of(errors.UnknownSymbol("FOO"))
        'UNKNOWN_SYMBOL'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).upper()


def _refusal(
    code: int, reason: str, message: str, metadata: Mapping[str, str], details: list[Message]
) -> Refusal:
    text = clean(message, MESSAGE_BYTES_MAX)
    info = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    status = status_pb2.Status(code=code, message=text)
    for detail in (info, *details):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return Refusal(code=code, reason=reason, message=text, details=status.SerializeToString())


def _metadata(error: FacadeError) -> dict[str, str]:
    """Return venue, symbol, operation, recovery and what the class knows beyond (REQ-X9)."""
    known = {
        "venue": error.venue,
        "symbol": error.symbol,
        "operation": error.operation,
        "recovery": error.recovery,
    }
    if isinstance(error, errors.UnknownSymbol):
        known |= {"symbol": error.requested, "suggestions": ",".join(error.suggestions)}
    elif isinstance(error, errors.QuotaExceeded):
        known |= {"limit": error.limit_name, "maximum": str(error.limit)}
    elif isinstance(error, errors.BookNotReady):
        known |= {"state": error.state}
    elif isinstance(error, errors.BookUnverified):
        known |= {"integrity": error.integrity}
    elif isinstance(error, errors.InsufficientSources):
        known |= {"used": str(error.used), "needed": str(error.needed)}
    elif isinstance(error, errors.LowConfidence):
        known |= {"confidence": f"{error.confidence_ratio:.6f}", "needed": f"{error.needed_ratio:.6f}"}
    return {key: clean(value, _VALUE_BYTES_MAX) for key, value in known.items() if value}


def _details(error: FacadeError) -> list[Message]:
    if isinstance(error, errors.InvalidRequest):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field_name, description=clean(error.problem, MESSAGE_BYTES_MAX)
        )
        return [error_details_pb2.BadRequest(field_violations=[violation])]
    if isinstance(error, errors.UnknownSymbol):
        name = clean(error.requested, _VALUE_BYTES_MAX)
        return [error_details_pb2.ResourceInfo(resource_type="symbol", resource_name=name)]
    if isinstance(error, errors.PitNotFound):
        name = clean(error.snapshot_id, _VALUE_BYTES_MAX)
        return [error_details_pb2.ResourceInfo(resource_type="snapshot", resource_name=name)]
    if isinstance(error, errors.QuotaExceeded):
        violation_of = error_details_pb2.QuotaFailure.Violation
        return [
            error_details_pb2.QuotaFailure(
                violations=[violation_of(subject=error.limit_name, description=error.message)]
            )
        ]
    if isinstance(
        error,
        errors.VenueFailed
        | errors.VenueRateLimited
        | errors.CircuitOpen
        | errors.BookNotReady
        | errors.PitSkipped
        | errors.PitWriteFailed
        | errors.PitUnusable
        | errors.Draining,
    ):
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(max(1, error.retry_after_ms))
        return [error_details_pb2.RetryInfo(retry_delay=delay)]
    if isinstance(error, errors.InsufficientSources | errors.LowConfidence) and error.evidence:
        return [lineage_pb2.Lineage.FromString(error.evidence)]
    return []
