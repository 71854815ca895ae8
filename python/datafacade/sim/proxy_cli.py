"""Command line of the fault proxy: ``python -m datafacade.sim proxy`` and ``datafacade proxy``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from datafacade.sim.http_port import HttpPort, port
from datafacade.sim.proxy import LOOPBACK, RECORDS_KEPT, Proxy, Route
from datafacade.sim.proxy_control import ProxyControl, address
from datafacade.sim.truth import TruthLog

EXAMPLES: Final = """\
examples:
  between a client and a service
    datafacade proxy --listen 127.0.0.1:7000 --upstream 127.0.0.1:8484 --control 7001
  several routes in one process, a log of all that happens
    datafacade proxy --log proxy.jsonl --route a=127.0.0.1:0,127.0.0.1:80 --route b=127.0.0.1:0,127.0.0.1:81
  break something (CONTROL is printed at start)
    curl -d '{"verb": "latency", "ms": 200, "jitter_ms": 100, "duration_ms": 10000}' CONTROL/faults
    curl -d '{"verb": "black_hole", "direction": "to_client"}' CONTROL/faults
    curl -X DELETE CONTROL/faults
"""
EXIT_USAGE: Final = 2
EXIT_FAILED: Final = 1
FLUSH_S: Final = 0.1


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="datafacade proxy",
        usage="datafacade proxy [OPTIONS]",
        description="A TCP proxy with faults on demand: latency, black holes, resets, sliced bytes and more.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", default=f"{LOOPBACK}:0", metavar="HOST:PORT", help="default: a free port")
    parser.add_argument("--upstream", metavar="HOST:PORT", help="where connections lead")
    parser.add_argument(
        "--route",
        action="append",
        default=[],
        metavar="NAME=LISTEN,UPSTREAM",
        help="one more route; may be repeated",
    )
    parser.add_argument("--control", type=port, default=0, metavar="PORT", help="default: a free port")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write what happens as JSON lines")
    parser.add_argument("--ports-file", type=Path, metavar="FILE", help="write the ports as JSON")
    parser.add_argument("--seconds", type=float, help="stop by itself after so many seconds")
    return parser.parse_args(argv)


def routes_of(arguments: argparse.Namespace) -> tuple[Route, ...]:
    """Return the routes that were asked for.

    Raises:
        ValueError: None was, or one cannot be read.
    """
    routes: list[Route] = []
    if arguments.upstream:
        routes.append(Route("default", address(arguments.upstream), address(arguments.listen)))
    for text in arguments.route:
        name, equals, ends = text.partition("=")
        listen, comma, upstream = ends.partition(",")
        if not name or not equals or not comma:
            raise ValueError(f"--route: expected NAME=LISTEN,UPSTREAM, received {text!r}")
        routes.append(Route(name, address(upstream), address(listen)))
    if not routes:
        raise ValueError("expected --upstream HOST:PORT or --route NAME=LISTEN,UPSTREAM")
    return tuple(routes)


async def run(arguments: argparse.Namespace, routes: Sequence[Route]) -> None:
    """Run the proxy until SIGINT or SIGTERM, or for a time; print its ports once it listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    if arguments.seconds is not None:
        loop.call_later(arguments.seconds, stop.set)
    log = TruthLog(arguments.log, kept=RECORDS_KEPT)
    proxy = Proxy(routes, log=log)
    control = HttpPort()
    try:
        await proxy.start()
        control_port = await control.start(ProxyControl(proxy).routes(), LOOPBACK, arguments.control)
        told = json.dumps(
            {"pid": os.getpid(), "control": f"http://{LOOPBACK}:{control_port}", "routes": proxy.facts()}
        )
        if arguments.ports_file is not None:
            await asyncio.to_thread(_write, arguments.ports_file, told)
        sys.stdout.write(told + "\n")
        sys.stdout.flush()
        while not stop.is_set():
            log.flush()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await stop.wait()
    finally:
        await control.stop()
        await proxy.stop()
        log.close()


def _write(path: Path, text: str) -> None:
    """Write ``text`` so that the file appears whole or not at all."""
    partial = path.with_suffix(f"{path.suffix}.part")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    arguments = parse(argv)
    try:
        routes = routes_of(arguments)
    except ValueError as error:
        sys.stderr.write(f"datafacade proxy: {error}\n")
        return EXIT_USAGE
    try:
        asyncio.run(run(arguments, routes))
    except OSError as error:
        sys.stderr.write(f"datafacade proxy: cannot start: {error}\n")
        return EXIT_FAILED
    return 0
