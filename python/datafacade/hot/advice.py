"""Say what a trader should do about a venue (REQUIREMENTS B9, D5). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from datafacade.clock import NS_PER_S
from datafacade.v1 import health_pb2

SILENT_NS: Final = 10 * NS_PER_S  # nothing for so long: look at the connection
SLOW_NS: Final = 2 * NS_PER_S  # venue to socket, p99: halve the size
ERRORS_SOME: Final = 0.1
ERRORS_MANY: Final = 0.5

_H = health_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSigns:
    """What the advice rests on."""

    is_offline: bool  # nothing of it works
    is_ws_connected: bool  # all sockets that are needed
    is_rest_healthy: bool | None  # None: not asked yet
    error_ratio: float = 0.0  # of the last 5 minutes
    latency_ns_p99: int = 0  # venue to socket; 0: not measured
    silent_ns: int = 0  # since anything came on a socket that is needed; 0: none is


def advise(signs: VenueSigns) -> _H.Recommendation.ValueType:
    """Return the strongest advice that a sign calls for.

    Example:
        >>> signs = VenueSigns(is_offline=False, is_ws_connected=True, is_rest_healthy=False)
        >>> health_pb2.Recommendation.Name(advise(signs))
        'RECOMMENDATION_USE_FALLBACK'
    """
    if signs.is_offline or signs.error_ratio > ERRORS_MANY:
        return _H.RECOMMENDATION_AVOID
    if not signs.is_ws_connected or signs.is_rest_healthy is False or signs.error_ratio > ERRORS_SOME:
        return _H.RECOMMENDATION_USE_FALLBACK
    if signs.latency_ns_p99 > SLOW_NS:
        return _H.RECOMMENDATION_HALVE_SIZE
    if signs.silent_ns > SILENT_NS:
        return _H.RECOMMENDATION_CHECK_CONNECTION
    return _H.RECOMMENDATION_USE_PRIMARY
