"""Tell the contract's enum numbers as words: LIVE, SEQUENCE_GAP. Unknown numbers stay readable. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.descriptor import EnumDescriptor

from datafacade.v1 import (
    health_pb2,
    lineage_pb2,
    market_pb2,
    price_pb2,
    reference_pb2,
    stream_pb2,
    types_pb2,
)


class Words:
    """The words of one enum, without its prefix; 0 is the empty word."""

    __slots__ = ("_by_number",)

    def __init__(self, descriptor: EnumDescriptor) -> None:
        prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", descriptor.name).upper() + "_"
        words = {value.number: value.name.removeprefix(prefix) for value in descriptor.values}
        self._by_number: Mapping[int, str] = MappingProxyType(words | {0: ""})

    def __call__(self, number: int) -> str:
        """Return the word of a number; one that this client does not know is told as ``UNKNOWN_n``."""
        word = self._by_number.get(number)
        return f"UNKNOWN_{number}" if word is None else word


BREAKER = Words(health_pb2.BreakerState.DESCRIPTOR)
CACHE_TIER = Words(lineage_pb2.CacheTier.DESCRIPTOR)
COMPLETENESS = Words(market_pb2.Completeness.DESCRIPTOR)
DELIVERY_CAUSE = Words(stream_pb2.DeliveryCause.DESCRIPTOR)
DELIVERY_MODE = Words(types_pb2.DeliveryMode.DESCRIPTOR)
FUNDING_STATE = Words(market_pb2.FundingState.DESCRIPTOR)
GAP_CAUSE = Words(stream_pb2.GapCause.DESCRIPTOR)
GAP_SCOPE = Words(stream_pb2.GapScope.DESCRIPTOR)
GAP_STATE = Words(stream_pb2.GapState.DESCRIPTOR)
INSTRUMENT_STATUS = Words(reference_pb2.InstrumentStatus.DESCRIPTOR)
INSTRUMENT_TYPE = Words(reference_pb2.InstrumentType.DESCRIPTOR)
INTEGRITY = Words(types_pb2.Integrity.DESCRIPTOR)
KLINE_STATE = Words(market_pb2.KlineState.DESCRIPTOR)
RECONCILE_METHOD = Words(price_pb2.ReconcileMethod.DESCRIPTOR)
SIDE = Words(types_pb2.Side.DESCRIPTOR)
STATE = Words(types_pb2.State.DESCRIPTOR)
STATE_REASON = Words(types_pb2.StateReason.DESCRIPTOR)


def method_number(name: str) -> price_pb2.ReconcileMethod.ValueType:
    """Return the number of a method of reconciliation, in any case; empty: as the service is configured.

    Raises:
        ValueError: There is no such method.
    """
    wanted = f"RECONCILE_METHOD_{name.upper() or 'UNSPECIFIED'}"
    if wanted not in price_pb2.ReconcileMethod.keys():  # noqa: SIM118  not a mapping
        raise ValueError(f"expected trimmed_median or trimmed_mean, received {name[:64]!r}")
    return price_pb2.ReconcileMethod.Value(wanted)
