"""A random but repeatable schedule of faults: the same seed gives the same faults at the same seconds. Pure.

It covers the verbs of the simulator and of the proxy in front of it (docs/simulator.md, "Schedules").

Example:
    >>> entries = schedule(seed=7, seconds=20, markets={"okx/public": ("BTC-USDT",)})
    >>> entries[0].verb, entries[0].path
    ('black_hole', '/proxy/faults')
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal

Target = Literal["simulator", "proxy"]
Options = dict[str, object]
QUIET_S: Final = 3.0  # at the begin and at the end nothing is wrong, so that all can settle
EVERY_S: Final = 2.5  # mean time between two faults
OVERLAP_MAX: Final = 3
ODD: Final = ("price_zero", "price_negative", "price_huge", "quantity_negative", "time_ahead", "time_behind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A kind of fault that may be drawn."""

    verb: str
    target: Target = "simulator"
    weight: int = 2  # how often it is drawn, against the others
    seconds: tuple[float, float] = (0.0, 0.0)  # how long it lasts; 0: it acts once
    venues: tuple[str, ...] = ()  # none: all
    has_symbol: bool = False
    ports: tuple[str, ...] = ("ws",)  # of the proxy's routes
    options: Callable[[Random], Options] = field(default=lambda _: {})


def _fixed(**options: object) -> Callable[[Random], Options]:
    return lambda _: dict(options)


RECIPES: Final = (
    Recipe(verb="drop", has_symbol=True, weight=4, options=lambda r: {"count": r.randint(1, 3)}),
    Recipe(verb="duplicate", has_symbol=True, options=_fixed(count=2)),
    Recipe(verb="reorder", has_symbol=True),
    Recipe(verb="delay", has_symbol=True, options=lambda r: {"ms": r.randint(100, 800)}),
    Recipe(verb="mute", has_symbol=True, seconds=(2, 8), options=_fixed(what="symbol")),
    Recipe(verb="mute", seconds=(2, 6), options=_fixed(what="data")),
    Recipe(verb="corrupt", has_symbol=True, venues=("kraken",), options=_fixed(what="digit")),
    Recipe(verb="corrupt", has_symbol=True, options=_fixed(what="byte")),
    Recipe(verb="malformed_message", has_symbol=True, options=_fixed(kind="truncated", mode="extra")),
    Recipe(verb="unknown_message", has_symbol=True),
    Recipe(verb="wrong_checksum", has_symbol=True, venues=("kraken",)),
    Recipe(verb="odd_numbers", has_symbol=True, options=lambda r: {"kind": r.choice(ODD)}),
    Recipe(
        verb="missing_trades", has_symbol=True, weight=4, options=lambda r: {"count": r.choice((1, 5, 40))}
    ),
    Recipe(verb="missing_trades", has_symbol=True, seconds=(2, 5), options=_fixed(ratio=0.17)),
    Recipe(verb="missing_trades", has_symbol=True, weight=1, options=_fixed(count=3, is_in_rest=False)),
    Recipe(verb="repeat_trades", has_symbol=True, options=lambda r: {"n": r.randint(1, 50)}),
    Recipe(verb="late_trades", has_symbol=True, options=lambda r: {"count": 1, "ms": r.randint(100, 1_500)}),
    Recipe(verb="rst", weight=4),
    Recipe(verb="eof"),
    Recipe(verb="close", options=lambda r: {"code": r.choice((1000, 1001, 1011, 1012, 1013))}),
    Recipe(verb="flap", options=lambda r: {"count": r.randint(1, 3)}),
    Recipe(verb="refuse_upgrade", seconds=(1, 4), options=_fixed(status=503)),
    Recipe(verb="shutdown_notice", venues=("binance", "okx", "kraken"), options=_fixed(lead_ms=5_000)),
    Recipe(verb="http_status", seconds=(1, 4), options=_fixed(status=503)),
    Recipe(verb="slow_rest", seconds=(1, 4), options=_fixed(ms=1_500)),
    Recipe(verb="broken_rest", seconds=(1, 3), options=lambda r: {"kind": r.choice(("cut", "not_json"))}),
    Recipe(verb="burst", has_symbol=True, seconds=(2, 4), options=_fixed(factor=8)),
    Recipe(verb="no_pong", seconds=(3, 8), weight=1),
    Recipe(verb="stop_reading", seconds=(2, 6), weight=1),
    Recipe(verb="black_hole", target="proxy", seconds=(1, 8), weight=4),
    Recipe(verb="black_hole", target="proxy", seconds=(2, 8), options=_fixed(direction="to_client")),
    Recipe(verb="black_hole", target="proxy", seconds=(2, 8), options=_fixed(direction="to_upstream")),
    Recipe(verb="latency", target="proxy", seconds=(2, 6), options=_fixed(ms=150, jitter_ms=100)),
    Recipe(verb="slicer", target="proxy", seconds=(1, 3), options=_fixed(bytes=64, variation=60)),
    Recipe(verb="bandwidth", target="proxy", seconds=(1, 4), options=_fixed(bytes_s=60_000), weight=1),
    Recipe(verb="reset_peer", target="proxy", weight=4),
    Recipe(verb="half_close", target="proxy"),
    Recipe(verb="limit_data", target="proxy", seconds=(1, 3), options=_fixed(bytes=20_000)),
    Recipe(verb="pause", target="proxy", seconds=(1, 4)),
    Recipe(verb="down", target="proxy", seconds=(1, 5)),
    Recipe(verb="black_hole", target="proxy", seconds=(1, 6), ports=("rest",), weight=1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fault of a schedule."""

    at_s: float  # after the begin
    target: Target
    verb: str
    where: str  # product, with the symbol if it has one
    request: Mapping[str, object]  # the body for POST /faults, or /proxy/faults
    heal_after_s: float  # 0: it acts once; else duration_ms says the same

    @property
    def end_s(self) -> float:
        """Return when it is over, in seconds after the begin."""
        return self.at_s + self.heal_after_s

    @property
    def path(self) -> str:
        """Return the control path that arms it."""
        return "/faults" if self.target == "simulator" else "/proxy/faults"


def schedule(
    *,
    seed: int,
    seconds: float,
    markets: Mapping[str, Sequence[str]],
    targets: Sequence[Target] = ("simulator", "proxy"),
    overlap_max: int = OVERLAP_MAX,
    every_s: float = EVERY_S,
    leave_out: Sequence[str] = (),
) -> list[Entry]:
    """Return the faults of a run, in order of time.

    Args:
        seed: Same seed, same faults.
        seconds: Length of the run; the first and the last three seconds have none.
        markets: Venue symbols by product, as ``okx/public``.
        targets: Leave out ``proxy`` where there is none.
        overlap_max: Most faults that last at the same time.
        every_s: Mean time between two faults.
        leave_out: Verbs that are not drawn.
    """
    random = Random(f"{seed}:schedule")
    recipes = [recipe for recipe in RECIPES if recipe.target in targets and recipe.verb not in leave_out]
    weights = [recipe.weight for recipe in recipes]
    entries: list[Entry] = []
    at_s, end_s = QUIET_S, seconds - QUIET_S
    while at_s < end_s:
        recipe = random.choices(recipes, weights)[0]
        entry = _entry(random, recipe, at_s, end_s, markets)
        lasting = [other for other in entries if other.end_s > at_s]
        if entry is not None and len(lasting) < overlap_max and not _clashes(entry, lasting):
            entries.append(entry)
        at_s = round(at_s + random.uniform(0.2, 2 * every_s - 0.2), 3)
    return entries


def counts(entries: Sequence[Entry]) -> dict[str, int]:
    """Return how often each kind is in a schedule, by name."""
    found = Counter(entry.verb for entry in entries)
    return dict(sorted(found.items()))


def _entry(
    random: Random, recipe: Recipe, at_s: float, end_s: float, markets: Mapping[str, Sequence[str]]
) -> Entry | None:
    products = [name for name in sorted(markets) if _fits(recipe, name)]
    if not products:
        return None
    product = random.choice(products)
    symbol = random.choice(list(markets[product])) if recipe.has_symbol else ""
    lasts_s = round(min(random.uniform(*recipe.seconds), max(0.0, end_s - at_s)), 3)
    request: Options = {"verb": recipe.verb, **recipe.options(random)}
    if recipe.target == "proxy":
        request["route"] = f"{product}/{random.choice(recipe.ports)}"
    else:
        request["venue"] = product
        if symbol:
            request["symbol"] = symbol
    if lasts_s:
        request["duration_ms"] = max(1, int(lasts_s * 1_000))
    where = f"{product}:{symbol}" if symbol else product
    return Entry(
        at_s=at_s,
        target=recipe.target,
        verb=recipe.verb,
        where=where,
        request=request,
        heal_after_s=lasts_s,
    )


def _fits(recipe: Recipe, product: str) -> bool:
    return not recipe.venues or product.partition("/")[0] in recipe.venues


def _clashes(entry: Entry, lasting: Sequence[Entry]) -> bool:
    """Tell whether the same kind lasts at the same place already."""
    return any((other.verb, other.where) == (entry.verb, entry.where) for other in lasting)
