"""Turn what the ledger knows into the contract's words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from datafacade.store.ledger import Coverage
from datafacade.store.spans import Span, SpanState
from datafacade.types import Topic
from datafacade.v1 import coverage_pb2

if TYPE_CHECKING:
    from datafacade.v1 import types_pb2  # a type only


def coverage_response(topic: Topic, found: Coverage) -> coverage_pb2.CoverageResponse:
    """Return the answer for one topic."""
    return coverage_pb2.CoverageResponse(
        venue=topic.venue,
        symbol=topic.symbol,
        channel=cast("types_pb2.Channel.ValueType", int(topic.channel)),
        variant=topic.variant,
        spans=[_span(span) for span in found.spans],
        gaps=found.gaps,
        is_complete=all(span.state is SpanState.COMPLETE for span in found.spans),
    )


def _span(span: Span) -> coverage_pb2.CoverageSpan:
    return coverage_pb2.CoverageSpan(
        ts_start=span.ts_start,
        ts_end=span.ts_end,
        state=cast("coverage_pb2.CoverageState.ValueType", int(span.state)),
        epoch=span.epoch,
        seq_first=span.seq_first,
        seq_last=span.seq_last,
        venue_sequence_first=span.venue_sequence_first,
        venue_sequence_last=span.venue_sequence_last,
    )
