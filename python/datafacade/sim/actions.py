"""Carry out the verbs that act when they are armed: on connections, on sequences, on the market itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Protocol

from datafacade.sim import damage, moves
from datafacade.sim.connection import Connection
from datafacade.sim.faults import Fault, FaultBoard, FaultRefused
from datafacade.sim.history import Revision
from datafacade.sim.listener import Listener
from datafacade.sim.listings import ProductKey
from datafacade.sim.market import Market
from datafacade.sim.odd import ODD_KINDS
from datafacade.sim.rest import RestServer
from datafacade.sim.rest_verbs import MALFORMED_KINDS, PAGE_KINDS, REST_KINDS, RETRY_FORMS
from datafacade.sim.venue import NotModelled, Venue
from datafacade.sim.verbs import BAD_FRAME_KINDS, UNKNOWN_KINDS

MS_NS: Final = 1_000_000
BURST_NS: Final = 5_000_000_000
SUPPRESS_NS: Final = 2_000_000_000  # how long hidden deletions stay hidden: longer than any batch
COINBASE_LEVEL_BYTES: Final = 115  # of one level in an l2_data snapshot


class Stage(Protocol):
    """What the verbs need of the simulator."""

    faults: FaultBoard

    @property
    def venues(self) -> dict[ProductKey, Venue]:
        """All venues."""

    @property
    def rests(self) -> dict[str, RestServer]:
        """All REST sides, those of aggregators too."""

    @property
    def listeners(self) -> dict[ProductKey, Listener]:
        """All listeners."""

    def pace(self, product: str, symbol: str, steps_per_s: float) -> None:
        """Set the steps a second of one market."""

    def repeat(self, fault: Fault, product: str, symbol: str | None) -> None:
        """Tell the newest trades of a market once more."""

    def govern(self) -> None:
        """Begin what lasts as long as a fault."""

    def burst(self, product: str, symbol: str, factor: float, until_ns: int) -> None:
        """Let one market run faster."""


def act(stage: Stage, fault: Fault) -> None:
    """Do at once what ``fault`` says, if its verb acts at once.

    Raises:
        FaultRefused: Nothing fits the fault, or the venue does not know what it would change.
    """
    try:
        _check(fault)
        handler = _ACTIONS.get(fault.verb.name)
        if handler is not None:
            handler(stage, fault)
    except (NotModelled, KeyError) as error:
        stage.faults.remove(fault.id)
        raise FaultRefused(str(error)) from error
    if fault.verb.stage == "now":
        stage.faults.remove(fault.id)


def _check(fault: Fault) -> None:
    """Refuse kinds that do not exist before the fault meets its first frame."""
    kinds = {
        "malformed_message": MALFORMED_KINDS,
        "bad_frame": BAD_FRAME_KINDS,
        "unknown_message": UNKNOWN_KINDS,
        "broken_rest": REST_KINDS,
        "odd_numbers": ODD_KINDS,
        "odd_pages": PAGE_KINDS,
    }
    form = fault.options.get("retry_as", "seconds")
    if form not in RETRY_FORMS:
        raise NotModelled(
            f"{fault.verb.name}: unknown retry_as {form!r}: expected one of {', '.join(RETRY_FORMS)}"
        )
    wanted = kinds.get(fault.verb.name)
    if wanted is not None and fault.text("kind") not in wanted:
        raise NotModelled(
            f"{fault.verb.name}: unknown kind {fault.text('kind')!r}: expected one of {', '.join(wanted)}"
        )


def _connections(stage: Stage, fault: Fault) -> Iterator[Connection]:
    """Yield the open connections that the fault is meant for."""
    for product, listener in stage.listeners.items():
        for connection in list(listener.connections.values()):
            if connection.is_open and fault.fits_place(product, connection.id):
                yield connection


def _markets(stage: Stage, fault: Fault) -> Iterator[tuple[Venue, Market]]:
    """Yield the markets that the fault is meant for."""
    for product, venue in stage.venues.items():
        if not fault.fits_place(product, None):
            continue
        for symbol, market in venue.markets.items():
            listed = market.instrument
            if fault.fits_symbol(symbol, f"{listed.base}-{listed.quote}"):
                yield venue, market


def _on_connections(do: Callable[[Connection, Fault], None]) -> Callable[[Stage, Fault], None]:
    def handler(stage: Stage, fault: Fault) -> None:
        for connection in _connections(stage, fault):
            do(connection, fault)
            stage.faults.use(fault, {"product": connection.product, "conn": connection.id})

    return handler


def _bad_frame(connection: Connection, fault: Fault) -> None:
    connection.write_raw(damage.bad_frame(fault.text("kind"), fault.integer("mib")))


def _close(connection: Connection, fault: Fault) -> None:
    connection.close(fault.integer("code"), fault.text("reason"), "fault")


def _shutdown_notice(stage: Stage, fault: Fault) -> None:
    loop = asyncio.get_running_loop()
    silent: NotModelled | None = None
    for connection in _connections(stage, fault):
        venue = next(venue for product, venue in stage.venues.items() if product == connection.product)
        try:
            venue.announce_shutdown(connection)
        except NotModelled as error:
            silent = error
            continue
        stage.faults.use(fault, {"product": connection.product, "conn": connection.id})
        loop.call_later(fault.integer("lead_ms") / 1000, connection.close, 1012, "service restart", "fault")
    if silent is not None and not fault.applied:
        raise silent


def _repeat(stage: Stage, fault: Fault) -> None:
    for venue, market in _markets(stage, fault):
        stage.repeat(fault, venue.product, market.instrument.venue_symbol)


def _lifetime(stage: Stage, fault: Fault) -> None:
    for product, listener in stage.listeners.items():
        if fault.fits_place(product, None):
            listener.rules = replace(listener.rules, lifetime_s=float(fault.text("seconds")))
            stage.faults.use(fault, {"product": product})


def _ping_flood(stage: Stage, fault: Fault) -> None:
    del stage  # the market clock sends the pings
    fault.until_ns = fault.until_ns or time.monotonic_ns() + BURST_NS


def _pace(stage: Stage, fault: Fault) -> None:
    rate = float(fault.text("steps_per_s"))
    for venue, market in _markets(stage, fault):
        symbol = market.instrument.venue_symbol
        stage.pace(venue.product, symbol, max(0.0, rate))
        stage.faults.use(fault, {"product": venue.product, "symbol": symbol})


def _rest_limit(stage: Stage, fault: Fault) -> None:
    for product, rest in stage.rests.items():
        if fault.fits_place(product, None):
            if fault.integer("limit"):
                rest.side.limit(float(fault.text("limit")))
            rest.side.weights.spend(fault.integer("spent"))
            stage.faults.use(fault, {"product": product})


def _burst(stage: Stage, fault: Fault) -> None:
    until = fault.until_ns or time.monotonic_ns() + BURST_NS
    for venue, market in _markets(stage, fault):
        symbol = market.instrument.venue_symbol
        stage.burst(venue.product, symbol, fault.integer("factor"), until)
        stage.faults.use(fault, {"product": venue.product, "symbol": symbol, "until_mono_ns": until})


def _revise(stage: Stage, fault: Fault) -> None:
    """Make closed candles others."""
    change = Revision(
        fault.integer("from_ms") * MS_NS,
        fault.integer("until_ms") * MS_NS,
        float(fault.text("price_ratio")),
        float(fault.text("volume_ratio")),
    )
    for venue, market in _markets(stage, fault):
        market.history.revisions.append(change)
        stage.faults.use(fault, {"product": venue.product, "symbol": market.instrument.venue_symbol})
    if not fault.applied:
        raise NotModelled("revise: no market fits the selectors")


def _suppress_delete(stage: Stage, fault: Fault) -> None:
    """Move the market up through its best asks; the outlet hides the deletions."""
    fault.until_ns = time.monotonic_ns() + SUPPRESS_NS
    fault.remaining = -1
    moved = 0
    for venue, market in _markets(stage, fault):
        levels = fault.integer("levels")
        fault.prices.update(price for price, _ in market.book.asks.top(levels))
        for group in moves.jump_through_asks(market, levels):
            venue.changed(market, group, [])
            moved += 1
    if not moved:
        raise NotModelled("suppress_delete: no market fits the selectors")


def _huge_snapshot(stage: Stage, fault: Fault) -> None:
    """Grow the book itself where the whole book is sent; the outlet fills up with white space."""
    wanted = (fault.integer("mib") << 20) // COINBASE_LEVEL_BYTES
    for venue, market in _markets(stage, fault):
        if venue.product.startswith("coinbase/"):
            missing = wanted - len(market.book.bids) - len(market.book.asks)
            if missing > 0:
                venue.changed(market, moves.deepen(market, missing), [])


def _sequence_reset(stage: Stage, fault: Fault) -> None:
    done = 0
    for product, venue in stage.venues.items():
        if not fault.fits_place(product, None):
            continue
        wanted = stage.listeners[product].connections.get(fault.connection or 0)
        done += venue.reset_sequence(_venue_symbol(venue, fault), wanted)
    _count(stage, fault, done)


def _keep_alive(stage: Stage, fault: Fault) -> None:
    done = 0
    for product, venue in stage.venues.items():
        if fault.fits_place(product, None):
            done += venue.keep_alive(_venue_symbol(venue, fault))
    _count(stage, fault, done)


def _venue_symbol(venue: Venue, fault: Fault) -> str | None:
    """Return the fault's symbol in the venue's spelling."""
    for symbol, market in venue.markets.items():
        listed = market.instrument
        if fault.symbol is not None and fault.fits_symbol(symbol, f"{listed.base}-{listed.quote}"):
            return symbol
    return fault.symbol


def _count(stage: Stage, fault: Fault, done: int) -> None:
    if done == 0:
        raise NotModelled(f"{fault.verb.name}: nothing fits the selectors")
    for _ in range(done):
        stage.faults.use(fault, {"symbol": fault.symbol, "venue": fault.venue})


_ACTIONS: Final[dict[str, Callable[[Stage, Fault], None]]] = {
    "rst": _on_connections(lambda connection, _: connection.reset("fault")),
    "eof": _on_connections(lambda connection, _: connection.end_of_file("fault")),
    "close": _on_connections(_close),
    "bad_frame": _on_connections(_bad_frame),
    "shutdown_notice": _shutdown_notice,
    "burst": _burst,
    "pace": _pace,
    "repeat_trades": _repeat,
    "lifetime": _lifetime,
    "ping_flood": _ping_flood,
    "stop_reading": lambda stage, _: stage.govern(),
    "no_pong": lambda stage, _: stage.govern(),
    "halt": lambda stage, _: stage.govern(),
    "shift": lambda stage, _: stage.govern(),
    "depeg": lambda stage, _: stage.govern(),
    "revise": _revise,
    "rest_limit": _rest_limit,
    "suppress_delete": _suppress_delete,
    "huge_snapshot": _huge_snapshot,
    "sequence_reset": _sequence_reset,
    "keep_alive": _keep_alive,
}
