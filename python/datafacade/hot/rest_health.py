"""Say how a source is that has REST and nothing else: an aggregator. The same figures as of a venue."""

from __future__ import annotations

from datafacade.clock import Clock
from datafacade.guard.breaker import BreakerState
from datafacade.guard.health import breaker_row, rest_rows
from datafacade.hot.advice import ERRORS_MANY, ERRORS_SOME, VenueSigns, advise
from datafacade.hot.health import stage_latency
from datafacade.v1 import health_pb2
from datafacade.venues.rest import RestClient

_H = health_pb2


def aggregator_health(host: RestClient, *, clock: Clock, ts_last_seen: int = 0) -> _H.VenueHealth:
    """Return the row of an aggregator.

    It is OFFLINE while its circuit is open, DEGRADED while a probe is due, its limit is hit, or more than a
    tenth of the requests of the last 5 minutes failed.

    Args:
        host: Its REST.
        clock: What times it.
        ts_last_seen: When it gave anything, ns UTC; 0: never.
    """
    guards = host.guards
    health = _H.VenueHealth(venue=host.venue, ts_last_seen=ts_last_seen, ws_connected=True)
    ratio = guards.failures.ratio(clock.monotonic_ns())
    state = guards.breaker.state()
    if ratio is not None:
        health.error_ratio = ratio
    if ratio is not None or guards.latency.count:
        health.rest_healthy = state is BreakerState.CLOSED and health.error_ratio <= ERRORS_MANY
    health.latencies.extend(stage_latency(_H.LATENCY_STAGE_REST, guards.latency))
    health.rate_limits.extend(rest_rows("rest", guards.budgets, clock))
    health.breakers.append(breaker_row("http", guards.breaker, clock))
    is_limited = any(row.ts_backoff_until for row in health.rate_limits)
    if state is BreakerState.OPEN:
        health.status = _H.HEALTH_STATUS_OFFLINE
    elif state is BreakerState.HALF_OPEN or is_limited or health.error_ratio > ERRORS_SOME:
        health.status = _H.HEALTH_STATUS_DEGRADED
    else:
        health.status = _H.HEALTH_STATUS_HEALTHY
    is_healthy = health.rest_healthy and not is_limited
    health.recommendation = advise(
        VenueSigns(
            is_offline=health.status == _H.HEALTH_STATUS_OFFLINE,
            is_ws_connected=True,
            is_rest_healthy=is_healthy if health.HasField("rest_healthy") else None,
            error_ratio=health.error_ratio,
        )
    )
    return health
