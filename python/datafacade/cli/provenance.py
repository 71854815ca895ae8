"""Say in one line where an answer comes from and how it was served. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.text import Text

from datafacade.cli.text import NOTHING, clean, span
from datafacade.client import Provenance, Source

TIERS: Final = {
    "MISS": "fetched for this call",
    "L1": "from the cache (L1)",
    "L2": "from the shared cache (L2)",
    "PIT": "from a stored snapshot",
    "LIVE": "from the live book",
}


def provenance_line(told: Provenance) -> Text:
    """Return cache tier, age, staleness, sources, latency and snapshot id of an answer."""
    tier = TIERS.get(told.cache_tier, clean(told.cache_tier, 16).lower() or NOTHING)
    parts = [tier, f"age {span(told.age_ns)}"]
    if told.freshness_penalty_ratio:
        parts.append(f"freshness penalty {told.freshness_penalty_ratio:.0%}")
    if told.sources:
        parts.append(f"source {names(told.used)}")
    parts.append(f"answered in {span(told.latency_ns)}")
    if told.snapshot_id:
        parts.append(f"snapshot {clean(told.snapshot_id, 64)}")
    stale = ("STALE, past its lifetime; ", "bold yellow") if told.is_stale else ""
    return Text.assemble(stale, (", ".join(parts), "dim"))


def names(sources: Iterable[Source]) -> str:
    """Return the names of sources, in their order; a dash for none."""
    return ", ".join(clean(source.source, 32) for source in sources) or NOTHING
