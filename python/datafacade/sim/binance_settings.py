"""What tells one flavour of Binance from another, and what one connection asked for. Data.

Source: venues/binance.md sections 3 and 7, 2026-07.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from datafacade.sim.binance_texts import Flavour
from datafacade.sim.frames import Topic
from datafacade.sim.limits import ConnectionRules
from datafacade.sim.listings import ProductKey

SPOT_RULES: Final = ConnectionRules(
    attempts=300,
    attempts_span_s=300,
    messages=5,
    ping_every_s=20,
    ping_timeout_s=60,
    lifetime_s=86_400,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What tells one flavour from another."""

    flavour: Flavour
    product: ProductKey
    routes: tuple[str, ...]  # path prefixes before /ws and /stream
    rest_root: str
    weight_limit: int
    rules: ConnectionRules


SPOT: Final = Settings(
    flavour="spot",
    product="binance/spot",
    routes=("",),
    rest_root="/api/v3",
    weight_limit=6_000,
    rules=SPOT_RULES,
)


@dataclass(slots=True)
class Session:
    """What one connection asked for."""

    route: str
    is_combined: bool
    is_micro: bool
    streams: dict[str, None] = field(default_factory=dict)


def topic_of(stream: str) -> Topic:
    """Return what a stream tells about."""
    kind = stream.partition("@")[2]
    if kind.startswith("depth"):
        return "book"
    return "trades" if kind in ("trade", "aggTrade") else "ticker"


def belongs(route: str, stream: str) -> bool:
    """Tell whether ``stream`` is served on ``route``; on the wrong one it is silent (futures)."""
    if route == "":
        return True
    kind = stream.partition("@")[2]
    is_public = kind.startswith("depth") or kind in ("bookTicker", "trade")
    return is_public == (route == "/public")
