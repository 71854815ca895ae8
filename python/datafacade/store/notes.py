"""Read what the ledger notes from state and gap records: the very records that clients are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from datafacade.store.spans import SpanState
from datafacade.types import Channel, Topic
from datafacade.v1 import hot_pb2, stream_pb2, types_pb2

INT64_MAX: Final = 2**63 - 1

# Trades, and the klines made of them, carry ids that rise by one: what is missing is noticed.
_NUMBERED: Final = (Channel.TRADES, Channel.KLINES)
_PROOFS: Final = (
    types_pb2.INTEGRITY_SEQUENCE,
    types_pb2.INTEGRITY_CHECKSUM,
    types_pb2.INTEGRITY_SEQUENCE_AND_CHECKSUM,
    types_pb2.INTEGRITY_AUDITED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """From here on a topic stands so. Times are ns UTC."""

    topic: Topic
    epoch: int
    ts: int
    state: SpanState  # COMPLETE, UNPROVEN or NOT_COVERED
    seq: int  # of the record that tells it
    venue_sequence: int | None  # last one that was good


@dataclass(frozen=True, slots=True, kw_only=True)
class GapNote:
    """A gap, or what became of it: the newest note of its number stands."""

    topic: Topic
    epoch: int
    gap_id: int
    ts_start: int
    ts_end: int | None  # first instant behind it; None: it has not ended yet
    is_filled: bool
    message: bytes  # the Gap as clients were told it


Note = Standing | GapNote


def read_notes(entries: bytes) -> Iterator[Note]:
    """Yield what entries of ``HotSubscribeResponse.updates`` tell, in order; other records tell nothing."""
    for update in hot_pb2.HotSubscribeResponse.FromString(entries).updates:
        kind = update.WhichOneof("payload")
        topic = Topic(update.venue, update.symbol, Channel(update.channel), update.variant)
        if kind == "stream_state":
            yield _standing(topic, update)
        elif kind == "gap" and update.gap.scope == stream_pb2.GAP_SCOPE_VENUE:
            yield _gap(topic, update)


def _standing(topic: Topic, update: hot_pb2.Update) -> Standing:
    told = update.stream_state
    last_good = told.venue_sequence_last_good if told.HasField("venue_sequence_last_good") else None
    return Standing(
        topic=topic,
        epoch=update.epoch,
        ts=told.ts_since_recv or update.ts_publish,
        state=_state(topic.channel, told.state, update.integrity),
        seq=update.seq,
        venue_sequence=storable(last_good),
    )


def _state(
    channel: Channel, state: types_pb2.State.ValueType, integrity: types_pb2.Integrity.ValueType
) -> SpanState:
    if state not in (types_pb2.STATE_LIVE, types_pb2.STATE_HALTED):
        return SpanState.NOT_COVERED
    is_proven = channel in _NUMBERED or (channel == Channel.BOOK_L2 and integrity in _PROOFS)
    return SpanState.COMPLETE if is_proven else SpanState.UNPROVEN


def _gap(topic: Topic, update: hot_pb2.Update) -> GapNote:
    gap = update.gap
    start = gap.ts_first or gap.ts_last or update.ts_publish
    return GapNote(
        topic=topic,
        epoch=update.epoch,
        gap_id=gap.gap_id,
        ts_start=start,
        ts_end=max(gap.ts_last, start) + 1 if gap.ts_last else None,
        is_filled=gap.state == stream_pb2.GAP_STATE_FILLED,
        message=gap.SerializeToString(),
    )


def storable(number: int | None) -> int | None:
    """Return a venue's number if SQLite can hold it."""
    return number if number is not None and number <= INT64_MAX else None
