"""Spend one host's REST allowance: one budget for all paths or one for each, corrected by its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from datafacade.clock import NS_PER_S, Clock
from datafacade.config import RestBudget
from datafacade.guard.budget import Budget, ceiling, shared
from datafacade.guard.kept import Keeping
from datafacade.guard.weights import parameter_of, weight_of
from datafacade.types import Priority

_WINDOW: Final = re.compile(r"([0-9]{1,4})([smhd])")  # Binance: ...-1M is the weight of one minute
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_COUNT_DIGITS: Final = 9
BUDGETS_MAX: Final = 4_096  # of one host; only values of parameters come in such numbers


class RestBudgets:
    """A host's REST allowance. Owned by the event loop."""

    def __init__(
        self,
        budget: RestBudget,
        *,
        share_ratio: float,
        clock: Clock,
        venue: str,
        kept: Keeping | None = None,
        name: str = "",
    ) -> None:
        """Start with what an earlier process left behind.

        Args:
            budget: What the venue documents.
            share_ratio: Part of it that is ours.
            clock: What times it.
            venue: Named in errors.
            kept: Where spending and bans outlive the process; None: nowhere.
            name: Of this host among those that are kept.
        """
        self.changed: Callable[[float], None] | None = None
        self._config = budget
        self._share_ratio = share_ratio
        self._clock = clock
        self._venue = venue
        self._kept = kept
        self._name = name
        self._budgets: dict[str, Budget] = {}
        self._blocked_until = clock.monotonic_ns()
        self._paths_blocked: dict[str, int] = {}
        if kept is not None:
            kept.attach(f"{name}*", self)

    def of(self, path: str) -> Budget:
        """Return the budget that pays for a path with query."""
        key = self._key(path)
        if key not in self._budgets:
            if len(self._budgets) >= BUDGETS_MAX:
                self._prune()
            self._budgets[key] = self._open(key)
        return self._budgets[key]

    def weight(self, path: str) -> int:
        """Return the documented weight of a path with query; 1 where nothing is documented."""
        return weight_of(path, self._config.weights)

    def check(self, weight: int = 1, priority: Priority = Priority.CLIENT) -> tuple[bool, int]:
        """Return whether every budget in use could spend so much now, and how much the scarcest has left."""
        if not self._budgets:
            windows = shared(self._config.windows, self._share_ratio)
            remaining = min(ceiling(window.limit, priority) for window in windows)
            return self.blocked_ns() == 0 and weight <= remaining, remaining
        checks = [budget.check(weight, priority) for budget in self._budgets.values()]
        is_allowed = self.blocked_ns() == 0 and all(allowed for allowed, _ in checks)
        return is_allowed, min(remaining for _, remaining in checks)

    def learn(self, path: str, headers: Mapping[str, str]) -> None:
        """Read the venue's own count from an answer's headers (names in lower case)."""
        budget = self.of(path)
        for used, span_s in self._told(headers):
            budget.learn_used(used, span_s)

    def pause_s(self) -> float:
        """Return how long to pause after a limit that does not say how long."""
        return self._config.pause_sec

    def block(self, seconds: float, path: str | None = None) -> None:
        """Spend nothing for so long: on one path, or on all, since bans hold for the whole address."""
        bare = "" if path is None else _bare(self._key(path))
        until = self._clock.monotonic_ns() + int(seconds * NS_PER_S)
        if path is None:
            self._blocked_until = max(self._blocked_until, until)
        else:
            self.of(path)
            self._paths_blocked[bare] = max(self._paths_blocked.get(bare, 0), until)
        for key, budget in self._budgets.items():
            if path is None or _bare(key) == bare:
                budget.block(seconds)
        if self.changed is not None:
            self.changed(1.0)

    def blocked_ns(self) -> int:
        """Return how long a ban of the whole host still holds; 0: there is none."""
        return max(0, self._blocked_until - self._clock.monotonic_ns())

    def budgets(self) -> dict[str, Budget]:
        """Return the budgets in use, by path; "" pays for all paths without their own.

        Of a path with a budget for each value of a parameter the scarcest speaks.
        """
        scarcest: dict[str, Budget] = {}
        for key, budget in self._budgets.items():
            bare = _bare(key)
            if bare not in scarcest or _scarcity(budget) < _scarcity(scarcest[bare]):
                scarcest[bare] = budget
        return scarcest

    def spent(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """Return nothing: each budget keeps its own."""
        return []

    def restore(self, span_ns: int, entries: object) -> None:
        """Restore nothing: each budget does it for itself."""

    def _key(self, path: str) -> str:
        """Return the name of the budget: a path, a path and a value, or "" for what all others share."""
        bare = _bare(path)
        parameter = self._config.per_parameter.get(bare)
        if parameter is not None:
            return f"{bare}?{parameter_of(path, parameter) or ''}"
        return bare if self._config.per_endpoint or bare in self._config.endpoints else ""

    def _open(self, key: str) -> Budget:
        windows = self._config.endpoints.get(_bare(key), self._config.windows)
        made = Budget(shared(windows, self._share_ratio), clock=self._clock, venue=self._venue)
        if self._kept is not None:
            self._kept.attach(self._name + key, made)
        until = max(self._blocked_until, self._paths_blocked.get(_bare(key), 0))
        made.block((until - self._clock.monotonic_ns()) / NS_PER_S)
        return made

    def _prune(self) -> None:
        """Forget budgets that are as good as new."""
        self._budgets = {
            key: budget for key, budget in self._budgets.items() if not budget.is_idle or "?" not in key
        }

    def _told(self, headers: Mapping[str, str]) -> Iterator[tuple[int, float | None]]:
        """Read counts: weight that was used, or what is left of a limit."""
        prefix = self._config.used_header.lower()
        for name, text in headers.items():
            if prefix and name.startswith(prefix) and (used := _count(text)) is not None:
                window = _WINDOW.fullmatch(name.removeprefix(prefix).removeprefix("-"))
                if window is not None:
                    yield used, int(window[1]) * _UNIT_S[window[2]]
                elif name == prefix:
                    yield used, None
        remaining = _count(headers.get(self._config.remaining_header.lower(), ""))
        if self._config.remaining_header and remaining is not None:
            told = _count(headers.get(self._config.limit_header.lower(), ""))
            limit = self._config.windows[0].limit if told is None else told
            yield max(0, limit - remaining), None


def _count(text: str) -> int | None:
    """Read a count that a venue tells; None: it is none."""
    text = text.strip()
    return int(text[:_COUNT_DIGITS]) if text.isascii() and text.isdigit() else None


def _bare(path: str) -> str:
    return path.partition("?")[0]


def _scarcity(budget: Budget) -> tuple[int, int]:
    return -budget.blocked_ns(), budget.check()[1]
