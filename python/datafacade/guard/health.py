"""Show budgets and breakers as rows of Health."""

from __future__ import annotations

from typing import Final

from datafacade.clock import Clock
from datafacade.guard.breaker import Breaker, BreakerState
from datafacade.guard.budget import Budget
from datafacade.guard.rest_budgets import RestBudgets
from datafacade.v1 import health_pb2

_H = health_pb2
_NS_PER_MS: Final = 1_000_000
_STATES: Final = {
    BreakerState.CLOSED: _H.BREAKER_STATE_CLOSED,
    BreakerState.OPEN: _H.BREAKER_STATE_OPEN,
    BreakerState.HALF_OPEN: _H.BREAKER_STATE_HALF_OPEN,
}


def limit_rows(name: str, budget: Budget, clock: Clock) -> list[_H.RateLimitHealth]:
    """Return a row for each window of a budget; those after the first are named by their length as well."""
    now, blocked = clock.wall_ns(), budget.blocked_ns()
    return [
        _H.RateLimitHealth(
            budget=name if number == 0 else f"{name}@{window.span_ms // 1_000}s",
            limit=window.limit,
            remaining=window.remaining,
            window_ms=window.span_ms,
            ts_reset=now + window.full_again_ns if window.full_again_ns else 0,
            ts_backoff_until=now + blocked if blocked else 0,
        )
        for number, window in enumerate(budget.windows())
    ]


def rest_rows(name: str, budgets: RestBudgets, clock: Clock) -> list[_H.RateLimitHealth]:
    """Return the rows of all budgets of a host that are in use, each named by its path."""
    rows = []
    for path, budget in sorted(budgets.budgets().items()):
        rows += limit_rows(f"{name}{path}", budget, clock)
    return rows


def breaker_row(name: str, breaker: Breaker, clock: Clock) -> _H.BreakerHealth:
    """Return how a breaker stands."""
    wait_ns = breaker.wait_ms() * _NS_PER_MS
    return _H.BreakerHealth(
        transport=name,
        state=_STATES[breaker.state()],
        failures=breaker.failures,
        ts_retry=clock.wall_ns() + wait_ns if wait_ns else 0,
    )
