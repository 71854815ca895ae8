"""What a fault verb is. Data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# Where a verb acts: at the upgrade, after it, at a subscription, on a trade before it is told, on a frame
# before or after it is numbered, at a REST request, on a connection, market or quote while it lasts, at once.
Stage = Literal[
    "upgrade",
    "opened",
    "subscription",
    "trades",
    "mute",
    "frame",
    "rest",
    "reading",
    "pong",
    "flood",
    "halt",
    "shift",
    "now",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One kind of fault."""

    name: str
    stage: Stage
    summary: str
    topic: str = "book"  # what it hits when the request names no channel
    kinds: tuple[str, ...] = ("update",)  # frame kinds it hits; empty: all
    options: Mapping[str, object] = field(default_factory=dict)  # with defaults
    is_unbounded: bool = False  # without count and duration it acts until it is removed
