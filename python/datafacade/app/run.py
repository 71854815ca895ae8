"""Run the service, or record a session, until the system says stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.resources
import ipaddress
import logging
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, cast

import uvloop
from google.protobuf.internal import api_implementation

from datafacade._core import Edge, Hub
from datafacade.app.build import NS_PER_S, Factory
from datafacade.clock import SystemClock
from datafacade.config import Config
from datafacade.errors import AddressTaken, ConfigError, DataDirInUse
from datafacade.facade import DataFacade
from datafacade.hot.history import PastFetcher
from datafacade.hot.kept import KeptPast
from datafacade.hot.recorder import CaptureFile
from datafacade.observe.log import configure
from datafacade.serve.edge import EdgeServer
from datafacade.serve.grpcio_edge import GrpcioServer
from datafacade.serve.handlers import Handlers
from datafacade.serve.handlers import path as method_path
from datafacade.serve.history import History
from datafacade.serve.lifecycle import Lifecycle, Ready, Server
from datafacade.serve.metrics import MetricsServer
from datafacade.serve.resume import CHUNK_BYTES, Resume
from datafacade.serve.subscriptions import Limits, Subscriptions
from datafacade.store.datadir import DataDir, place
from datafacade.types import Channel, Topic

log = logging.getLogger(__name__)

LISTED_WITHIN_S: Final = 5.0  # then the service is ready, with the venues that are
CREDIT_SHARE: Final = 4  # part of what a stream may be owed that a replay may fill
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

EdgeName = Literal["rust", "grpcio"]


def serve(
    config: Config,
    *,
    host: str | None = None,
    port: int | None = None,
    metrics_port: int | None = None,
    data_dir: str | None = None,
    edge: EdgeName = "rust",
    dev: bool = False,
    insecure_public: bool = False,
    ready: Ready | None = None,
) -> None:
    """Do what ``run_service`` does as a process of its own: event loop, JSON logs, no core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    refuse_slow_protobuf()
    writer = configure(config.service.log)
    try:
        uvloop.run(
            run_service(
                config,
                host=host,
                port=port,
                metrics_port=metrics_port,
                data_dir=data_dir,
                edge=edge,
                dev=dev,
                insecure_public=insecure_public,
                ready=ready,
            )
        )
    finally:
        writer.close()


def refuse_slow_protobuf() -> None:
    """Refuse protobuf's pure-Python parser: slow, and its depth limit can be bypassed (CVE-2025-4565).

    Raises:
        ConfigError: It is in use.
    """
    if api_implementation.Type() == "python":
        problem = "protobuf runs in pure Python: unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"
        raise ConfigError("environment", 0, "", problem)


async def run_service(
    config: Config,
    *,
    host: str | None = None,
    port: int | None = None,
    metrics_port: int | None = None,
    data_dir: str | None = None,
    edge: EdgeName = "rust",
    dev: bool = False,
    insecure_public: bool = False,
    ready: Ready | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal stops at once.

    Args:
        config: What ``load_config`` returned.
        host: Address to listen on; None: as configured.
        port: Its port, 0: a free one; None: as configured.
        metrics_port: Of the page for Prometheus; None: as configured, or no page where ``port`` is not the
            configured one: that is one service more on this machine, and the page has its owner.
        data_dir: Where what outlives the process is kept, ``none``: nowhere; None: as configured.
        edge: ``rust``, or ``grpcio`` for the reference server (loopback only).
        dev: Serve reflection too (loopback only).
        insecure_public: Accept an address that others can reach although there is no TLS, no authentication.
        ready: Called with the addresses once requests are answered.

    Raises:
        AddressTaken: Another program listens there.
        ConfigError: The configuration names what does not exist, or an address that may not be listened on.
        DataDirInUse, DataDirUnusable: The data directory is not to be had.
    """
    server = config.service.server
    address = (host or server.host, server.port if port is None else port)
    with contextlib.ExitStack() as opened:
        data = _data_dir(config, data_dir, address)
        if data is not None:
            opened.callback(data.close)
        facade = Factory(config).create_data_facade(data=data)
        if facade.snapshots is not None:  # its thread would outlive a start that fails
            opened.callback(facade.snapshots.close)
        if metrics_port is None and address[1] == server.port != 0:
            metrics_port = server.metrics_port
        async with _metrics(facade, metrics_port):
            await _serve(facade, address, edge=edge, dev=dev, insecure_public=insecure_public, ready=ready)


@contextlib.asynccontextmanager
async def _metrics(facade: DataFacade, port: int | None) -> AsyncIterator[None]:
    """Show the figures of Health to Prometheus meanwhile."""
    if port is None:
        yield
        return
    page = MetricsServer(facade.health, port=port, sources=facade.source_attribution)
    log.info("metrics.listening", extra={"url": await page.start()})
    try:
        yield
    finally:
        await page.stop()


async def _serve(
    facade: DataFacade,
    address: tuple[str, int],
    *,
    edge: EdgeName,
    dev: bool,
    insecure_public: bool,
    ready: Ready | None,
) -> None:
    config = facade.config
    handlers = Handlers(facade, _subscriptions(facade))
    made: Server = (
        _rust_edge(facade, handlers, address, dev=dev, insecure_public=insecure_public)
        if edge == "rust"
        else _grpcio_edge(facade, handlers, address)
    )
    lifecycle = Lifecycle(
        facade, made, listed_within_s=config.scaled(LISTED_WITHIN_S), drain_s=config.service.server.drain_sec
    )
    with _on_signals(lifecycle.request_stop):
        await lifecycle.run(ready)


async def record(
    config: Config,
    path: Path,
    *,
    topics: Sequence[tuple[str, str, Channel]],
    seconds: float | None = None,
    note: str = "",
    started: Callable[[], None] | None = None,
) -> None:
    """Record what the venues send for some topics into a new capture, until SIGTERM, SIGINT or ``seconds``.

    Args:
        config: What ``load_config`` returned.
        path: ``NAME.dfcap.zst``; must not exist.
        topics: Venue, symbol in any spelling, channel.
        seconds: How long; None: until a signal.
        note: Stands in the first line of the capture.
        started: Called once everything is subscribed.

    Raises:
        FileExistsError: ``path`` exists.
        InvalidRequest, UnknownSymbol, NotSupported, QuotaExceeded, VenueFailed: A topic cannot be had.
    """
    stop = asyncio.Event()
    with (
        contextlib.closing(CaptureFile(path, clock=SystemClock(), note=note)) as capture,
        _on_signals(stop.set),
    ):
        facade = Factory(config).create_data_facade(capture=capture)
        try:
            await facade.start(listed_within_s=config.service.hot.timeout_sec)
            for venue, symbol, channel in topics:
                row = facade.tier.resolve(venue, symbol)
                facade.tier.follow(Topic(venue, row["symbol"], channel))
            if started is not None:
                started()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await stop.wait()
        finally:
            await facade.shutdown()


def _data_dir(config: Config, chosen: str | None, address: tuple[str, int]) -> DataDir | None:
    """Open the data directory of this run.

    Raises:
        AddressTaken: Another service has the directory and the address too.
        DataDirInUse, DataDirUnusable: It is not to be had.
    """
    path = place(chosen or config.service.data.dir, os.environ)
    if path is None:
        return None
    try:
        return DataDir.open(path, now_s=SystemClock().wall_ns() // NS_PER_S)
    except DataDirInUse as error:
        if _is_taken(address):
            raise AddressTaken(f"{address[0]}:{address[1]}") from error
        raise


def _is_taken(address: tuple[str, int]) -> bool:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


@contextlib.contextmanager
def _on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on SIGTERM and SIGINT meanwhile."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def _subscriptions(facade: DataFacade) -> Subscriptions:
    server, owed_max = facade.config.service.server, facade.config.service.hub.owed_bytes_max
    limits = Limits(
        instruments_max=server.instruments_max,
        topics_max=server.topics_max,
        streams_max=server.streams_max,
        credit_bytes=owed_max // CREDIT_SHARE,
    )
    chunk_bytes = min(CHUNK_BYTES, owed_max // CREDIT_SHARE)
    resume = Resume(facade.hub, epoch=facade.epoch, journal=facade.journal, chunk_bytes=chunk_bytes)
    hot = facade.config.service.hot
    history = History(
        PastFetcher(
            facade.tier,
            kept=KeptPast(facade.journal),
            trades_max=hot.history_trades_max,
            klines_max=hot.history_klines_max,
        ),
        resume,
        hub=facade.hub,
        reader=facade.reader,
        clock=facade.clock,
        scale=facade.config.service.timers.scale,
    )
    return Subscriptions(
        facade.tier, hub=facade.hub, clock=facade.clock, limits=limits, resume=resume, history=history
    )


def _rust_edge(
    facade: DataFacade, handlers: Handlers, address: tuple[str, int], *, dev: bool, insecure_public: bool
) -> EdgeServer:
    server = facade.config.service.server
    limits = {
        "request_bytes_max": server.request_bytes_max,
        "response_bytes_max": server.response_bytes_max,
        "metadata_bytes_hard_max": server.metadata_bytes_max,
        "calls_max": server.calls_queued_max,
        "connection_streams_max": server.streams_per_connection_max,
        "unary_ms_max": int(server.unary_timeout_sec * 1000),
        "first_request_ms_max": int(server.first_message_sec * 1000),
        "blocked_ms_max": int(server.blocked_write_sec_max * 1000),
        "ping_interval_ms": int(server.keepalive_sec * 1000),
        "ping_timeout_ms": int(server.keepalive_timeout_sec * 1000),
    }
    descriptor = importlib.resources.files("datafacade.v1") / "descriptor.bin"
    try:
        edge = Edge(
            cast("Hub", facade.hub),
            epoch=facade.epoch,
            hosts=[address[0]],
            port=address[1],
            descriptor=descriptor.read_bytes() if dev else b"",
            served_methods=[method_path(name) for name in handlers.methods],
            answers=facade.warm.cache,
            cached_methods={method_path(name): fields for name, fields in handlers.cached_methods.items()},
            dev=dev,
            insecure_public=insecure_public,
            limits=limits,
        )
    except ValueError as error:
        raise ConfigError("service.yaml", 0, "server", str(error)) from error
    return EdgeServer(edge, handlers)


def _grpcio_edge(facade: DataFacade, handlers: Handlers, address: tuple[str, int]) -> Server:
    if not _is_loopback(address[0]):
        problem = f"the reference server listens on loopback only, received {address[0]}"
        raise ConfigError("service.yaml", 0, "server.host", problem)
    return GrpcioServer(
        handlers,
        address=address,
        settings=facade.config.service.server,
        hub=facade.hub,
        reader=facade.reader,
        clock=facade.clock,
        epoch=facade.epoch,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
