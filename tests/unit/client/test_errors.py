"""Failed calls become typed errors; the statuses are made as the contract describes them."""

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # it has no py.typed

from datafacade.client import errors
from datafacade.client.errors import ClientError, error_of
from datafacade.v1 import lineage_pb2


def failed(code: grpc.StatusCode, *details: Message, raw: bytes | None = None) -> grpc.aio.AioRpcError:
    status = status_pb2.Status(code=code.value[0], message="what happened")
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailers = grpc.aio.Metadata(
        ("other", "text"), ("grpc-status-details-bin", status.SerializeToString() if raw is None else raw)
    )
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, details="what happened")


def info(reason: str, domain: str = "datafacade", **metadata: str) -> Message:
    made: Message = error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)
    return made


def test_an_unknown_symbol_brings_its_nearest_matches() -> None:
    error = error_of(
        failed(
            grpc.StatusCode.NOT_FOUND,
            info("UNKNOWN_SYMBOL", venue="kraken", symbol="BTCUS", suggestions="BTC-USD,BTC-USDT"),
        )
    )
    assert isinstance(error, errors.UnknownSymbol)
    assert (error.venue, error.symbol, error.suggestions) == ("kraken", "BTCUS", ("BTC-USD", "BTC-USDT"))
    assert (str(error), error.code, error.reason) == ("what happened", "NOT_FOUND", "UNKNOWN_SYMBOL")


def test_a_price_that_was_refused_brings_what_each_source_said() -> None:
    evidence = lineage_pb2.Lineage(sources=[lineage_pb2.SourceQuote(source="okx", reason="OUTLIER")])
    error = error_of(failed(grpc.StatusCode.FAILED_PRECONDITION, info("INSUFFICIENT_SOURCES"), evidence))
    assert isinstance(error, errors.InsufficientSources)
    assert [(source.source, source.reason) for source in error.evidence] == [("okx", "OUTLIER")]


def test_a_book_that_is_not_ready_says_when_to_retry() -> None:
    delay = duration_pb2.Duration(seconds=1, nanos=500_000_000)
    error = error_of(
        failed(
            grpc.StatusCode.UNAVAILABLE,
            error_details_pb2.RetryInfo(retry_delay=delay),
            info("BOOK_NOT_READY"),
        )
    )
    assert isinstance(error, errors.BookNotReady)
    assert error.retry_after_s == 1.5
    assert error.is_retried


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, errors.ServerUnavailable),
        (grpc.StatusCode.UNKNOWN, errors.ServerUnavailable),
        (grpc.StatusCode.CANCELLED, errors.ServerUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, errors.DeadlineExceeded),
        (grpc.StatusCode.UNIMPLEMENTED, errors.NotSupported),
        (grpc.StatusCode.DATA_LOSS, errors.ServiceFault),
    ],
)
def test_without_a_reason_the_code_decides(code: grpc.StatusCode, kind: type[ClientError]) -> None:
    assert type(error_of(failed(code))) is kind


def test_a_reason_of_another_domain_is_not_ours() -> None:
    error = error_of(failed(grpc.StatusCode.UNAVAILABLE, info("UNKNOWN_SYMBOL", domain="example.com")))
    assert type(error) is errors.ServerUnavailable


def test_a_fault_of_the_service_is_not_retried() -> None:
    error = error_of(failed(grpc.StatusCode.INTERNAL, info("INTERNAL", error_id="ab12")))
    assert isinstance(error, errors.ServiceFault)
    assert not error.is_retried
    assert error.metadata["error_id"] == "ab12"


def test_details_that_cannot_be_read_are_passed_over() -> None:
    assert isinstance(
        error_of(failed(grpc.StatusCode.UNAVAILABLE, raw=b"\xff\xff")), errors.ServerUnavailable
    )
