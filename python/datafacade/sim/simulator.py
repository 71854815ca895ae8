"""Run the simulated venues: build them, keep their markets moving, listen, and obey fault verbs.

Example:
    >>> async def check_my_bot() -> None:
    ...     async with Simulator(SimulatorSettings(seed=7, products=("kraken/spot",))) as simulator:
    ...         url = simulator.urls["kraken/spot"]["ws"] + "/v2"
    ...         await my_bot_connects_to(url)
    ...         simulator.arm({"verb": "drop", "venue": "kraken", "symbol": "BTC/USD"})
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from datafacade.sim.actions import act
from datafacade.sim.aggregators import build_aggregator, product_of
from datafacade.sim.books import Book
from datafacade.sim.chronicle import Chronicle
from datafacade.sim.control import ControlServer
from datafacade.sim.digits import trimmed
from datafacade.sim.faults import Fault, FaultBoard
from datafacade.sim.history import Page
from datafacade.sim.intervals import minutes
from datafacade.sim.limits import ConnectionRules
from datafacade.sim.listener import Listener
from datafacade.sim.listings import Instrument, ProductKey
from datafacade.sim.market import Market
from datafacade.sim.moves import factor_of
from datafacade.sim.opening import Opening, rate_of
from datafacade.sim.outlet import Outlet
from datafacade.sim.pacing import Key, Pacer
from datafacade.sim.proxy import Proxy, Route
from datafacade.sim.rest import RestServer
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.stats import Stats
from datafacade.sim.trade_faults import TradeFaults
from datafacade.sim.truth import FORMAT, Digester, TruthLog
from datafacade.sim.venue import Surroundings, Venue
from datafacade.sim.venues import build_venue

TICK_S: Final = 0.01
RULES_EVERY: Final = 10  # ticks between two looks at connection rules


class Simulator:
    """All simulated venues of one run, in this process."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.truth = TruthLog(settings.truth, kept=settings.records_kept)
        self.stats = Stats((*settings.products, *(product_of(name) for name in settings.aggregators)))
        self.instruments: dict[tuple[str, str], Instrument] = {}
        self.faults = FaultBoard(self.truth, self.instruments)
        self.urls: dict[str, dict[str, str]] = {}
        self.control_url = ""
        self._around = Surroundings(
            outlet=Outlet(self.truth, self.faults, self.stats),
            faults=self.faults,
            stats=self.stats,
            digester=Digester(
                top_every_ms=settings.top_hash_every_ms, full_every_ms=settings.full_hash_every_ms
            ),
            has_oddities=settings.has_oddities,
            repeat=self._repeat_soon,
        )
        self.venues: dict[ProductKey, Venue] = {}
        self.listeners: dict[ProductKey, Listener] = {}
        self.rests: dict[str, RestServer] = {}
        numbers, opening = itertools.count(1), Opening(settings)
        for product in settings.products:
            venue = build_venue(product, self._markets(opening, product), self._around, settings)
            self.venues[product] = venue
            if product in settings.rest_limits:
                venue.rest.limit(settings.rest_limits[product])
            self.listeners[product] = Listener(
                venue, self._rules(venue), self.truth, self.faults, self.stats, numbers
            )
            self.rests[product] = RestServer(venue.rest, self.truth, self.faults, self.stats)
        self.proxy = Proxy(log=self.truth) if settings.has_proxy else None
        self._control = ControlServer(self, self.proxy)
        self.chronicle = Chronicle(self.truth, is_on=settings.has_trade_log)
        self._trade_faults = TradeFaults(self.faults, self.chronicle, settings.seed)
        self.faults.on_over.append(self._on_over)
        self.aggregator_urls: dict[str, dict[str, str]] = {}
        self._open_aggregators()
        self._by_product: dict[str, Venue] = {venue.product: venue for venue in self.venues.values()}
        self._pacer = self._pace_all()
        self._task: asyncio.Task[None] | None = None

    def _markets(self, opening: Opening, product: ProductKey) -> dict[str, Market]:
        markets = opening.markets(product)
        for symbol, market in markets.items():
            self.instruments[product, symbol] = market.instrument
        return markets

    def _open_aggregators(self) -> None:
        markets = [market for _, market in self._all_markets()]
        for name in self.settings.aggregators:
            product = product_of(name)
            made = build_aggregator(name, markets, self.faults, self.settings.aggregator_refresh_s)
            if product in self.settings.rest_limits:
                made.side.limit(self.settings.rest_limits[product])
            self.rests[product] = RestServer(
                made.side, self.truth, self.faults, self.stats, made.key_headers, has_compression=True
            )

    def _pace_all(self) -> Pacer:
        """Return the pacer of all markets; generated ones that nobody gave a rate take turns."""
        settings, asked = self.settings, rate_of(self.settings)
        rates: dict[Key, float] = {}
        slow: dict[Key, float] = {}
        for product, market in self._all_markets():
            key, rate = (product, market.instrument.venue_symbol), asked(product, market)
            if rate is None and market.instrument.base not in settings.bases:
                slow[key] = settings.generated_steps_per_s
            else:
                rates[key] = settings.steps_per_s if rate is None else rate
        return Pacer(rates, slow)

    def _rules(self, venue: Venue) -> ConnectionRules:
        rules = venue.rules
        if self.settings.lifetime_s is not None and rules.lifetime_s is not None:
            rules = replace(rules, lifetime_s=self.settings.lifetime_s)
        changes = self.settings.rules.get(venue.product, {})
        return replace(rules, **changes)  # type: ignore[arg-type]  # field names are checked by replace itself

    async def start(self) -> None:
        """Listen on free ports and let the markets run."""
        try:
            await self._listen(self.settings.host)
        except BaseException:
            await self.stop()
            raise
        self._task = asyncio.create_task(self._run(), name="simulator-markets")

    async def _listen(self, host: str) -> None:
        self.truth.record(
            "start", {"format": FORMAT, "seed": self.settings.seed, "products": list(self.settings.products)}
        )
        for product, listener in self.listeners.items():
            ws_port, rest_port = await listener.start(host, 0), await self.rests[product].start(host, 0)
            self.urls[product] = {
                "ws": f"ws://{host}:{self._in_front(f'{product}/ws', host, ws_port)}",
                "rest": f"http://{host}:{self._in_front(f'{product}/rest', host, rest_port)}",
            }
        for name in self.settings.aggregators:
            key = product_of(name)
            port = self._in_front(f"{key}/rest", host, await self.rests[key].start(host, 0))
            root = f"http://{host}:{port}"
            self.aggregator_urls[name] = {"rest": root, "rest_pro": f"{root}/pro"}
        control_port = await self._control.start(host, self.settings.port)
        self.control_url = f"http://{host}:{control_port}"
        if self.settings.ports_file is not None:
            await asyncio.to_thread(self._write_ports)

    def _in_front(self, name: str, host: str, port: int) -> int:
        """Return the port that clients shall use: the venue's own, or the proxy's in front of it."""
        return port if self.proxy is None else self.proxy.listen(Route(name, (host, port), (host, 0)))

    def _write_ports(self) -> None:
        """Write the URLs; the file appears whole or not at all."""
        path = self.settings.ports_file
        if path is not None:
            partial = path.with_suffix(f"{path.suffix}.part")
            partial.write_text(json.dumps(self.ports(), indent=2) + "\n", encoding="utf-8")
            partial.replace(path)

    def ports(self) -> dict[str, object]:
        """Return the URLs of this run: control, rest and ws by venue and product, rest of aggregators."""
        venues: dict[str, dict[str, dict[str, str]]] = {}
        for product, urls in self.urls.items():
            venue, _, kind = product.partition("/")
            venues.setdefault(venue, {})[kind] = urls
        told = {"pid": os.getpid(), "seed": self.settings.seed, "control": self.control_url}
        return {**told, "venues": venues, "aggregators": self.aggregator_urls}

    async def stop(self) -> None:
        """Close every connection and port, and the truth log; raise what ended the markets too early."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._control.stop()
        if self.proxy is not None:
            await self.proxy.stop()
        for listener in self.listeners.values():
            await listener.stop()
        for rest in self.rests.values():
            await rest.stop()
        self.chronicle.tick(self._all_markets(), is_last=True)
        self.truth.close()
        if self._task is not None and not self._task.cancelled():
            self._task.result()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def wait(self) -> None:
        """Wait until the markets stop, which they do only on an error."""
        if self._task is not None:
            await self._task

    # The market clock

    async def _run(self) -> None:
        last = time.monotonic()
        for turn in itertools.count():
            await asyncio.sleep(TICK_S)
            now = time.monotonic()
            self._advance(now - last)
            if self.faults:
                self.faults.sweep()
                self._flood(now - last)
            last = now
            now_ns = time.monotonic_ns()
            for venue in self.venues.values():
                venue.tick(now_ns)
            if turn % RULES_EVERY == 0:
                for listener in self.listeners.values():
                    listener.tick(now_ns)
                self.chronicle.tick(self._all_markets())
                self.truth.flush()

    def _advance(self, elapsed_s: float) -> None:
        """Take the steps that every market owes after ``elapsed_s``."""
        for (product, symbol), steps in self._pacer.due(elapsed_s, time.monotonic_ns()):
            venue = self._by_product[product]
            market = venue.markets[symbol]
            if market.instrument.is_halted:
                continue
            for _ in range(steps):
                step = market.step(time.time_ns())
                self.chronicle.traded(product, market, step.trades)
                told = self._trade_faults.told(venue, market, step.trades)
                venue.changed(market, step.changes, told)

    def _flood(self, elapsed_s: float) -> None:
        """Send the pings that armed floods owe."""
        for product, listener in self.listeners.items():
            for connection in listener.connections.values():
                for fault in self.faults.matching("flood", product, connection=connection.id):
                    if connection.is_open:
                        connection.flood(max(1, int(fault.integer("per_s") * elapsed_s)))
                        about = {"product": product, "conn": connection.id}
                        self.faults.use(fault, about, is_told=fault.applied == 0)

    def _repeat_soon(self, fault: Fault, product: str, symbol: str | None) -> None:
        delay_s = fault.integer("ms") / 1000
        asyncio.get_running_loop().call_later(delay_s, self.repeat, fault, product, symbol)

    def repeat(self, fault: Fault, product: str, symbol: str | None) -> None:
        """Tell the newest trades of a market once more, to all who subscribed to them."""
        for key, venue in self.venues.items():
            market = venue.markets.get(symbol or "")
            if key == product and market is not None:
                trades = market.tape.newest(fault.integer("n"))
                numbers = [trade.trade_id for trade in trades]
                self.faults.use(fault, {"product": product, "symbol": symbol, "sequence": numbers})
                venue.changed(market, [], trades)

    def _on_over(self, fault: Fault) -> None:
        """Undo what lasted as long as a fault."""
        if fault.verb.stage in ("pong", "reading"):
            for listener in self.listeners.values():
                listener.govern()
        if fault.verb.stage in ("halt", "shift"):
            for product, market in self._all_markets():
                self._set_halted(product, market)
                self._set_shifted(product, market)

    def _set_halted(self, product: str, market: Market) -> None:
        symbol = market.instrument.venue_symbol
        fault = next(self.faults.matching("halt", product, symbol=symbol), None)
        if market.instrument.is_halted != (fault is not None):
            market.instrument = replace(market.instrument, is_halted=fault is not None)
            if fault is not None:
                self.faults.use(fault, {"product": product, "symbol": symbol})

    def _set_shifted(self, product: str, market: Market) -> None:
        """Move a market to where the faults of its price want it."""
        symbol, wanted = market.instrument.venue_symbol, 1.0
        found = list(self.faults.matching("shift", product, symbol=symbol))
        for fault in found:
            wanted *= factor_of(fault, market.instrument)
        if market.shifted != wanted:
            self._by_product[product].changed(market, market.shift(wanted), [])
            for fault in found:
                self.faults.use(fault, {"product": product, "symbol": symbol, "factor": wanted})

    def ledger(self, last_s: int) -> dict[str, object]:
        """Return what REST clients spent, by product."""
        return {product: rest.report(last_s) for product, rest in self.rests.items()}

    def govern(self) -> None:
        """Begin what lasts as long as a fault."""
        for product, market in self._all_markets():
            self._set_halted(product, market)
            self._set_shifted(product, market)
        for listener in self.listeners.values():
            listener.govern()

    def _all_markets(self) -> Iterator[tuple[str, Market]]:
        for product, venue in self.venues.items():
            for market in venue.markets.values():
                yield product, market

    def pace(self, product: str, symbol: str, steps_per_s: float) -> None:
        """Let one market take so many steps a second from now on; 0 stops it."""
        self._pacer.pace((product, symbol), steps_per_s)

    def burst(self, product: str, symbol: str, factor: float, until_ns: int) -> None:
        """Let one market run ``factor`` times as fast until ``until_ns`` (monotonic)."""
        self._pacer.burst((product, symbol), factor, until_ns)

    # What tests and the control endpoint ask

    def arm(self, request: Mapping[str, object]) -> Fault:
        """Arm the fault that ``request`` describes; a verb that acts at once has acted when this returns.

        Raises:
            FaultRefused: The request is not understood, or the venue has nothing the verb could change.
        """
        fault = self.faults.arm(request)
        act(self, fault)
        return fault

    def connections(self) -> list[dict[str, object]]:
        """Return number, product and path of each open connection, so that a fault can name one."""
        return [
            {
                "connection": connection.id,
                "product": product,
                "path": connection.path,
                "frames_sent": connection.frames_sent,
                "opened_mono_ns": connection.opened_ns,
                "pongs": connection.ws.pongs,
                "newest_pong": connection.ws.newest_pong.hex(),
                "pings_sent": connection.pings_sent,
            }
            for product, listener in self.listeners.items()
            for connection in listener.connections.values()
        ]

    def book(self, product: str, symbol: str) -> Book | None:
        """Return the true book of a market by venue symbol, or None."""
        market = self._market(product, symbol)
        return None if market is None else market.book

    def candles(self, product: str, symbol: str, length_min: int, count: int) -> list[list[str | int]] | None:
        """Return the newest true candles of a market, oldest first: begin (ns), then exact decimals.

        Open, high, low, close, volume; an interval without a trade stands there with the volume 0. None:
        there is no such market.
        """
        market = self._market(product, symbol)
        if market is None:
            return None
        listed = market.instrument
        page = Page(interval=minutes(length_min), last_ns=time.time_ns(), count=count)
        return [
            [one.open_ns]
            + [trimmed(price, listed.price_scale) for price in (one.open, one.high, one.low, one.close)]
            + [trimmed(one.volume, listed.quantity_scale)]
            for one in market.history.candles(page)
        ]

    def _market(self, product: str, symbol: str) -> Market | None:
        for key, venue in self.venues.items():
            if product in (key, key.partition("/")[0]) and symbol in venue.markets:
                return venue.markets[symbol]
        return None
