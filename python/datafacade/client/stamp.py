"""What every update carries beside its content. Data."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

from datafacade.rows.words import INTEGRITY
from datafacade.v1 import hot_pb2, types_pb2


class Flag(IntFlag):
    """Bits of ``Stamp.flags``."""

    MORE = types_pb2.UPDATE_FLAG_MORE
    CUT = types_pb2.UPDATE_FLAG_CUT
    BACKFILLED = types_pb2.UPDATE_FLAG_BACKFILLED
    REST_FALLBACK = types_pb2.UPDATE_FLAG_REST_FALLBACK
    SYNTHETIC = types_pb2.UPDATE_FLAG_SYNTHETIC
    BAD_TICK = types_pb2.UPDATE_FLAG_BAD_TICK
    BAD_TS = types_pb2.UPDATE_FLAG_BAD_TS
    HISTORY = types_pb2.UPDATE_FLAG_HISTORY


class Received(NamedTuple):
    """When a response reached this process."""

    wall_ns: int  # ns since 1970 UTC
    mono_ns: int  # ns of CLOCK_MONOTONIC


class Stamp(NamedTuple):
    """Numbers and times of one record. All ``ts_*`` are ns since 1970 UTC; 0: not given."""

    epoch: int  # start of the publisher, unix seconds
    seq: int  # number in the topic, from 1 without holes; 0: a record of this call only
    ts_event: int  # by the venue's clock
    ts_recv: int  # read from the venue's socket, by the service's clock
    ts_publish: int  # encoded by the service
    ts_client: int  # read by this client, by this machine's clock
    mono_client_ns: int  # the same moment, CLOCK_MONOTONIC
    integrity: str  # what was proven up to here; "": the channel carries no proof
    flags: int  # bits of `Flag`
    venue_sequence: int | None  # the venue's own number; None: it gives none


def stamp_of(update: hot_pb2.Update, received: Received) -> Stamp:
    """Return the stamp of an update."""
    return Stamp(
        epoch=update.epoch,
        seq=update.seq,
        ts_event=update.ts_event,
        ts_recv=update.ts_recv,
        ts_publish=update.ts_publish,
        ts_client=received.wall_ns,
        mono_client_ns=received.mono_ns,
        integrity=INTEGRITY(update.integrity),
        flags=update.flags,
        venue_sequence=update.venue_sequence if update.HasField("venue_sequence") else None,
    )
