"""Each error leaves with one status, one reason and the details that its reader needs (STYLE section 7)."""

from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]  # no py.typed

from datafacade import errors
from datafacade.errors import FacadeError
from datafacade.serve.status import (
    MESSAGE_BYTES_MAX,
    TABLE,
    Refusal,
    refuse,
    refuse_internal,
    refuse_slow_reader,
)


def details(refusal: Refusal) -> dict[str, Any]:
    status = status_pb2.Status.FromString(refusal.details)
    assert (status.code, status.message) == (refusal.code, refusal.message)
    found: dict[str, Message] = {}
    for packed in status.details:
        kind = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])
        found[kind.DESCRIPTOR.name] = kind.FromString(packed.value)
    return found


EXAMPLES: list[tuple[FacadeError, int, str, str | None]] = [
    (errors.InvalidRequest("depth", "x"), code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", "BadRequest"),
    (errors.UnknownSymbol("FOO"), code_pb2.NOT_FOUND, "UNKNOWN_SYMBOL", "ResourceInfo"),
    (errors.PitNotFound("abc"), code_pb2.NOT_FOUND, "PIT_NOT_FOUND", "ResourceInfo"),
    (errors.AggregatorBanned("coingecko", "books"), code_pb2.FAILED_PRECONDITION, "AGGREGATOR_BANNED", None),
    (errors.QuotaExceeded("x", 1, 2), code_pb2.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", "QuotaFailure"),
    (errors.VenueRateLimited(5), code_pb2.UNAVAILABLE, "VENUE_RATE_LIMITED", "RetryInfo"),
    (errors.CircuitOpen(5), code_pb2.UNAVAILABLE, "CIRCUIT_OPEN", "RetryInfo"),
    (errors.VenueFailed("x"), code_pb2.UNAVAILABLE, "VENUE_FAILED", "RetryInfo"),
    (errors.BookNotReady("RESYNC"), code_pb2.UNAVAILABLE, "BOOK_NOT_READY", "RetryInfo"),
    (errors.Draining(), code_pb2.UNAVAILABLE, "DRAINING", "RetryInfo"),
    (errors.InsufficientSources(1, 2), code_pb2.FAILED_PRECONDITION, "INSUFFICIENT_SOURCES", None),
    (errors.LowConfidence(0.5, 0.7), code_pb2.FAILED_PRECONDITION, "LOW_CONFIDENCE", None),
    (errors.BookUnverified("SUSPECT"), code_pb2.FAILED_PRECONDITION, "BOOK_UNVERIFIED", None),
    (errors.SlowReader(5), code_pb2.RESOURCE_EXHAUSTED, "SLOW_READER", None),
    (errors.ResumeTooOld(5), code_pb2.OUT_OF_RANGE, "RESUME_TOO_OLD", None),
    (errors.PitExists("abc"), code_pb2.ALREADY_EXISTS, "PIT_EXISTS", None),
    (errors.PitCorrupt("abc"), code_pb2.DATA_LOSS, "PIT_CORRUPT", None),
    (errors.PitFull("no space left on device"), code_pb2.RESOURCE_EXHAUSTED, "PIT_FULL", None),
    (errors.PitSkipped(64), code_pb2.UNAVAILABLE, "PIT_SKIPPED", "RetryInfo"),
    (errors.PitWriteFailed("input/output error"), code_pb2.UNAVAILABLE, "PIT_WRITE_FAILED", "RetryInfo"),
    (errors.PitUnusable("a.pb", "permission denied"), code_pb2.UNAVAILABLE, "PIT_UNUSABLE", "RetryInfo"),
    (errors.NotSupported("x"), code_pb2.UNIMPLEMENTED, "NOT_SUPPORTED", None),
    (errors.NotAuthenticated(), code_pb2.UNAUTHENTICATED, "NOT_AUTHENTICATED", None),
    (errors.NotPermitted("admin"), code_pb2.PERMISSION_DENIED, "NOT_PERMITTED", None),
]


@pytest.mark.proves("CTL-S26")
@pytest.mark.parametrize(("error", "code", "reason", "detail"), EXAMPLES)
def test_each_error_has_its_status_and_details(
    error: FacadeError, code: int, reason: str, detail: str | None
) -> None:
    refusal = refuse(error)
    assert (refusal.code, refusal.reason) == (code, reason)
    found = details(refusal)
    assert (found["ErrorInfo"].reason, found["ErrorInfo"].domain) == (reason, "datafacade")
    assert set(found) == {"ErrorInfo"} | ({detail} if detail else set())
    if detail == "RetryInfo":
        assert found["RetryInfo"].retry_delay.ToMilliseconds() > 0


def test_the_table_knows_every_error_that_a_caller_can_meet() -> None:
    assert {type(example[0]) for example in EXAMPLES} == set(TABLE)
    inside = {
        errors.ConfigError,
        errors.DialFailed,
        errors.AddressTaken,
        errors.DataDirInUse,
        errors.DataDirUnusable,
        errors.RecordingFailed,
    }
    assert set(FacadeError.__subclasses__()) == set(TABLE) | inside


@pytest.mark.proves("REQ-X9")
@pytest.mark.proves("REQ-M11")
def test_errors_carry_venue_symbol_operation_and_the_next_step() -> None:
    error = errors.BookNotReady("RESYNC", venue="okx", symbol="BTC-USDT", operation="l2_book")
    metadata = details(refuse(error))["ErrorInfo"].metadata
    assert dict(metadata) == {
        "venue": "okx",
        "symbol": "BTC-USDT",
        "operation": "l2_book",
        "recovery": "retry after the delay, or read it unproven with allow_unverified",
        "state": "RESYNC",
    }


def test_an_unknown_symbol_comes_with_suggestions() -> None:
    metadata = details(refuse(errors.UnknownSymbol("BTCUSDX", ("BTC-USDT", "BTC-USDC"))))[
        "ErrorInfo"
    ].metadata
    assert metadata["suggestions"] == "BTC-USDT,BTC-USDC"


@pytest.mark.proves("CTL-S26")
def test_hostile_text_is_cut() -> None:
    refusal = refuse(errors.UnknownSymbol("x" * 100_000))
    assert len(refusal.message.encode()) <= MESSAGE_BYTES_MAX
    assert len(refusal.details) < 8 * 1024


@pytest.mark.proves("CTL-S26")
def test_a_fault_of_ours_shows_an_id_and_nothing_else() -> None:
    refusal = refuse_internal("00ff")
    assert refusal.code == code_pb2.INTERNAL
    assert refusal.message == "internal error 00ff, please report it"
    assert details(refusal)["ErrorInfo"].metadata["error_id"] == "00ff"


def test_a_slow_reader_is_told_where_to_resume() -> None:
    refusal = refuse_slow_reader([("okx", "BTC-USDT", 2, "", 41)] * 500, 7)
    metadata = details(refusal)["ErrorInfo"].metadata
    assert dict(metadata) == {"okx/BTC-USDT/2/": "41", "epoch": "7"}
    many = refuse_slow_reader(((f"v{n}", "S", 1, "", n) for n in range(500)), 7)
    assert len(many.details) < 8 * 1024
