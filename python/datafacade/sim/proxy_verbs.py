"""The verbs of the fault proxy: what a network can do to a TCP connection. Data.

The names of the first eight are those of toxiproxy, so that what is known of them holds here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Direction = Literal["to_client", "to_upstream"]
DIRECTIONS: Final[tuple[Direction, ...]] = ("to_client", "to_upstream")
SCOPES: Final = ("all", "open", "new")  # connections: all, those open when it is armed, those opened later
PROXY_SELECTORS: Final = frozenset(
    {"verb", "route", "connection", "direction", "scope", "ratio", "count", "duration_ms"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyVerb:
    """One kind of fault on the way."""

    name: str
    summary: str
    options: Mapping[str, object] = field(default_factory=dict)  # with defaults
    is_counted: bool = False  # acts `count` times (1); else until it is healed or its time is over
    is_instant: bool = False  # acts on the open connections when armed; on new ones only with duration_ms
    is_holding: bool = False  # nothing passes while it acts; what was held passes afterwards


_ALL: Final = (
    ProxyVerb(
        name="latency",
        summary="every segment comes ms later, plus or minus up to jitter_ms; the order is kept",
        options={"ms": 200, "jitter_ms": 0},
    ),
    ProxyVerb(
        name="bandwidth",
        summary="at most bytes_s bytes a second pass",
        options={"bytes_s": 32_000},
    ),
    ProxyVerb(
        name="slow_close",
        summary="the end of a stream is passed on ms later",
        options={"ms": 1_000},
    ),
    ProxyVerb(
        name="timeout",
        summary="nothing passes, and the connection is closed after ms (0: only held)",
        options={"ms": 1_000},
        is_holding=True,
    ),
    ProxyVerb(
        name="slicer",
        summary="segments are cut into pieces of bytes plus or minus variation, delay_us apart",
        options={"bytes": 1, "variation": 0, "delay_us": 0},
    ),
    ProxyVerb(
        name="limit_data",
        summary="after bytes the connection is closed; what comes behind them is lost",
        options={"bytes": 1_000},
    ),
    ProxyVerb(
        name="reset_peer",
        summary="both sides get a TCP reset, after ms",
        options={"ms": 0},
        is_instant=True,
    ),
    ProxyVerb(
        name="down",
        summary="open connections are reset, new ones refused by the kernel",
        is_instant=True,
    ),
    ProxyVerb(
        name="black_hole",
        summary="nothing passes and nobody is told; healed, the waiting bytes arrive as TCP would send them "
        "again; with discard they are lost and the connection is reset when healed",
        options={"discard": False},
        is_holding=True,
    ),
    ProxyVerb(
        name="pause",
        summary="the proxy stops reading and dialling, as a stopped process; healed, all goes on",
        is_holding=True,
    ),
    ProxyVerb(
        name="idle_forget",
        summary="a connection that was idle for idle_ms is forgotten, as by a NAT: its bytes vanish",
        options={"idle_ms": 60_000},
    ),
    ProxyVerb(
        name="half_close",
        summary="one side gets the end of its stream, the other direction lives on",
        is_instant=True,
    ),
    ProxyVerb(
        name="byte_flip",
        summary="one byte is XORed with mask: the one skip bytes behind the text find, or behind the start "
        "of the next segment; mask 1 turns a digit into another digit",
        options={"find": "", "skip": 0, "mask": 1},
        is_counted=True,
    ),
    ProxyVerb(
        name="reorder_segments",
        summary="a segment is sent after the next one of its direction, as TCP never does",
        is_counted=True,
    ),
)
PROXY_VERBS: Final[Mapping[str, ProxyVerb]] = {verb.name: verb for verb in _ALL}
