"""Command line of the simulator: ``python -m datafacade.sim`` and ``datafacade sim``."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from datafacade.sim.aggregators import AGGREGATORS, AggregatorKey
from datafacade.sim.http_port import port
from datafacade.sim.listings import PRODUCTS, ProductKey
from datafacade.sim.settings import SimulatorSettings
from datafacade.sim.simulator import Simulator

Add = Callable[..., object]  # ``add_argument`` of a group of options
EXAMPLES: Final = """\
examples:
  run all venues, write their URLs and the truth log
    datafacade sim --seed 7 --truth truth.jsonl --ports-file ports.json
  only Kraken and OKX, five symbols, 100 market steps a second each
    datafacade sim --products kraken/spot,okx/public --symbols BTC,ETH,SOL,XRP,ADA --rate 100
  inject a fault into a running simulator (CONTROL is printed at start and stands in ports.json)
    curl -d '{"verb": "drop", "venue": "binance", "symbol": "BTCUSDT"}' CONTROL/faults
    curl CONTROL/faults
"""
EXIT_USAGE: Final = 2
EXIT_FAILED: Final = 1


def parser_of() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="datafacade sim",
        usage="datafacade sim [OPTIONS]",
        description="Simulate Binance, OKX, Coinbase and Kraken on loopback, with faults on demand.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = SimulatorSettings()
    _add_run(parser.add_argument_group("the run").add_argument, defaults)
    _add_listings(parser.add_argument_group("what is listed").add_argument, defaults)
    _add_markets(parser.add_argument_group("how the markets move").add_argument, defaults)
    _add_venues(parser.add_argument_group("how the venues behave").add_argument)
    _add_log(parser.add_argument_group("what the truth log tells").add_argument, defaults)
    return parser


def _add_run(add: Add, defaults: SimulatorSettings) -> None:
    add("--seed", type=int, default=defaults.seed, metavar="N", help="of the markets (default %(default)s)")
    add("--seconds", type=float, metavar="S", help="stop by itself after so many seconds")
    add("--port", type=port, default=0, help="of the control endpoint (default: a free one)")
    add("--ports-file", type=Path, metavar="FILE", help="write the URLs as JSON, once all ports listen")
    add(
        "--proxy",
        action="store_true",
        help="lead all URLs through a fault proxy; CONTROL/proxy/faults breaks the way",
    )


def _add_listings(add: Add, defaults: SimulatorSettings) -> None:
    add(
        "--products", default=",".join(PRODUCTS), metavar="LIST", help="venue products (default: %(default)s)"
    )
    add(
        "--symbols",
        default=",".join(defaults.bases),
        metavar="LIST",
        help="base assets; each venue quotes them in its own currency and spelling (default %(default)s)",
    )
    add(
        "--generated",
        type=int,
        default=defaults.generated,
        metavar="N",
        help="list N further assets (G001, ...) everywhere, with small books that hardly move",
    )
    add(
        "--aggregators",
        default=",".join(AGGREGATORS),
        metavar="LIST",
        help="price aggregators beside the venues; an empty list: none (default: %(default)s)",
    )
    add(
        "--aggregator-refresh-s",
        type=float,
        metavar="S",
        help="how long aggregators keep their quotes (default: as the real ones, 60 and 300)",
    )


def _add_markets(add: Add, defaults: SimulatorSettings) -> None:
    add(
        "--rate",
        type=float,
        default=defaults.steps_per_s,
        help="market steps per symbol and second, trades included (default %(default)s)",
    )
    add(
        "--rates",
        action="append",
        default=[],
        metavar="NAME=RATE",
        help="another rate for BASE or PRODUCT:SYMBOL (0: quiet); may be repeated",
    )
    add(
        "--trade-ratio",
        type=float,
        default=defaults.trade_ratio,
        metavar="RATIO",
        help="share of the steps that are trades (default %(default)s)",
    )
    add(
        "--depth",
        type=int,
        default=defaults.depth,
        metavar="LEVELS",
        help="a side of each book (default %(default)s)",
    )
    add(
        "--history-s",
        type=float,
        default=0.0,
        metavar="S",
        help="trades and candles begin so long before the start",
    )
    add("--no-past", action="store_true", help="no candles before the start")


def _add_venues(add: Add) -> None:
    add(
        "--lifetime-s",
        type=float,
        metavar="S",
        help="of connections, where the venue has one (default: its own, 24 h)",
    )
    add(
        "--rest-limit",
        action="append",
        default=[],
        metavar="PRODUCT=LIMIT",
        help="weight a minute (Binance), requests a second, or in 2 s an endpoint (OKX); may be repeated",
    )
    add("--no-oddities", action="store_true", help="leave out what is legal but surprising")
    add("--okx-checksum", action="store_true", help="OKX sends the CRC it had until 2026-06-23")


def _add_log(add: Add, defaults: SimulatorSettings) -> None:
    add("--truth", type=Path, metavar="FILE", help="write it there as JSON lines")
    add(
        "--hash-every-ms",
        type=int,
        default=defaults.top_hash_every_ms,
        metavar="MS",
        help="hashes of the best 50 levels (default %(default)s)",
    )
    add(
        "--full-hash-every-ms",
        type=int,
        default=defaults.full_hash_every_ms,
        metavar="MS",
        help="hashes of whole books (default %(default)s)",
    )
    add("--no-trade-log", action="store_true", help="keep trades and candles out of it")


def settings_of(arguments: argparse.Namespace) -> SimulatorSettings:
    """Return the settings that parsed ``arguments`` ask for.

    Raises:
        ValueError: A value is out of range or a product unknown.
    """
    names = [name for name in arguments.products.split(",") if name]
    unknown = [name for name in names if name not in PRODUCTS]
    if unknown:
        raise ValueError(f"unknown products {', '.join(unknown)}: expected some of {', '.join(PRODUCTS)}")
    products: tuple[ProductKey, ...] = tuple(product for product in PRODUCTS if product in names)
    bases = tuple(name.partition("-")[0].upper() for name in arguments.symbols.split(",") if name)
    return SimulatorSettings(
        seed=arguments.seed,
        products=products,
        bases=tuple(dict.fromkeys(bases)),
        generated=arguments.generated,
        has_past=not arguments.no_past,
        aggregators=_aggregators(arguments.aggregators),
        aggregator_refresh_s=arguments.aggregator_refresh_s,
        steps_per_s=arguments.rate,
        trade_ratio=arguments.trade_ratio,
        depth=arguments.depth,
        truth=arguments.truth,
        ports_file=arguments.ports_file,
        port=arguments.port,
        has_oddities=not arguments.no_oddities,
        has_okx_checksum=arguments.okx_checksum,
        top_hash_every_ms=arguments.hash_every_ms,
        full_hash_every_ms=arguments.full_hash_every_ms,
        lifetime_s=arguments.lifetime_s,
        has_proxy=arguments.proxy,
        rates=_numbers("--rates", arguments.rates),
        rest_limits=_numbers("--rest-limit", arguments.rest_limit),
        history_s=arguments.history_s,
        has_trade_log=not arguments.no_trade_log,
    )


def _aggregators(text: str) -> tuple[AggregatorKey, ...]:
    """Return the aggregators of a list.

    Raises:
        ValueError: One is unknown.
    """
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in AGGREGATORS]
    if unknown:
        raise ValueError(
            f"unknown aggregators {', '.join(unknown)}: expected some of {', '.join(AGGREGATORS)}"
        )
    return tuple(name for name in AGGREGATORS if name in names)


def _numbers(option: str, texts: Sequence[str]) -> dict[str, float]:
    """Return ``NAME=NUMBER`` texts as a mapping.

    Raises:
        ValueError: One cannot be read.
    """
    numbers: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        try:
            numbers[name] = float(number)
        except ValueError:
            equals = ""
        if not equals or numbers[name] < 0:
            raise ValueError(f"{option}: expected NAME=NUMBER, received {text!r}")
    return numbers


async def run(settings: SimulatorSettings, *, seconds: float | None = None) -> None:
    """Run the simulator until SIGINT or SIGTERM, or for ``seconds``; print its URLs once it listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with Simulator(settings) as simulator:
        sys.stdout.write(json.dumps(simulator.ports()) + "\n")
        sys.stdout.flush()
        markets = asyncio.ensure_future(simulator.wait())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({markets, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if markets.done():
                markets.result()
        finally:
            stopped.cancel()
            markets.cancel()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = parser_of().parse_args(argv)
    try:
        settings = settings_of(arguments)
    except ValueError as error:
        sys.stderr.write(f"datafacade sim: {error}\n")
        return EXIT_USAGE
    try:
        asyncio.run(run(settings, seconds=arguments.seconds))
    except OSError as error:
        sys.stderr.write(f"datafacade sim: cannot start: {error}\n")
        return EXIT_FAILED
    return 0
