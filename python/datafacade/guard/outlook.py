"""Answer before a call what would become of it: is there budget, how long to wait. Spends nothing."""

from __future__ import annotations

from collections.abc import Iterable

from datafacade.clock import NS_PER_S
from datafacade.guard.rest_budgets import RestBudgets
from datafacade.guard.retry import Retries
from datafacade.types import Priority


def check_budget(hosts: Iterable[RestBudgets], requests: int = 1) -> tuple[bool, int]:
    """Return whether a client's requests of weight 1 would pass now, and how many would.

    Args:
        hosts: The budgets of all hosts of a venue: the scarcest speaks.
        requests: How many, from 1.
    """
    checks = [host.check(requests, Priority.CLIENT) for host in hosts]
    return all(allowed for allowed, _ in checks), min((left for _, left in checks), default=0)


def backoff_s(hosts: Iterable[RestBudgets], retries: Retries, attempt: int, *, breaker_wait_ms: int) -> float:
    """Return how long to wait before a try that follows ``attempt`` failed ones, seconds.

    Full jitter up to a bound that doubles; never less than a ban or an open circuit still lasts.
    """
    ban_ns = max((host.blocked_ns() for host in hosts), default=0)
    return max(retries.backoff_s(attempt), ban_ns / NS_PER_S, breaker_wait_ms / 1_000)
