"""A bed for the warm tier: simulated venues and aggregators, the service, and unary calls of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import yaml
from google.protobuf.message import Message
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

from datafacade.v1 import health_pb2, price_pb2, service_pb2_grpc, warm_pb2
from tests.chaos.harness.service import ServiceProcess, dump, write_config
from tests.chaos.harness.simulator import SimulatorProcess

PRODUCTS: Final = (
    "binance/spot",
    "binance/usdm",
    "okx/public",
    "coinbase/advanced",
    "coinbase/exchange",
    "kraken/spot",
)
BASES: Final = ("BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "LTC", "LINK", "AVAX", "DOT", "ATOM", "USDT")
DEFAULTS: Final = Path(__file__).resolve().parents[3] / "python/datafacade/config/defaults"
OPEN_S: Final = 4  # of a circuit, instead of 60
BINANCE: Final = 1_000  # weight a minute, instead of 6,000: a row spends it in seconds
MS: Final = 1_000_000


class WarmBed:
    """Simulator and service. ``close`` it."""

    def __init__(self, folder: Path, *, redis_url: str = "") -> None:
        more = ["--aggregator-refresh-s", "100", "--rest-limit", f"binance/spot={BINANCE}"]
        self.simulator = SimulatorProcess(folder, products=PRODUCTS, bases=BASES, seed=7, rate=2.0, more=more)
        ports = self.simulator.ports
        config = write_config(folder / "config", ports, scale=1.0)
        _edit(config, "circuits.yaml", lambda tree: _everywhere(tree, "open_sec", OPEN_S))
        limits = yaml.safe_load((DEFAULTS / "rate_limits.yaml").read_text(encoding="utf-8"))
        limits["venues"]["binance"]["rest"]["windows"] = [{"limit": BINANCE, "seconds": 60}]
        dump(config / "rate_limits.yaml", limits)
        aggregators = yaml.safe_load((DEFAULTS / "aggregators.yaml").read_text(encoding="utf-8"))
        for name, section in aggregators["aggregators"].items():
            section["base_url"] = ports["aggregators"][name]["rest"] + urlsplit(section["base_url"]).path
        dump(config / "aggregators.yaml", aggregators)
        if redis_url:
            _edit(config, "cache.yaml", lambda tree: tree["redis"].update(url=redis_url))
        self.service = ServiceProcess(config)
        try:
            self.service.wait_ready()
        except AssertionError:  # nobody could close a bed that was never made
            self.close()
            raise
        self.stub = service_pb2_grpc.DataFacadeServiceStub(self.service.channel)

    def close(self) -> None:
        """End everything."""
        self.service.close()
        self.simulator.stop()

    @contextlib.contextmanager
    def fault(self, verb: str, **options: object) -> Iterator[int]:
        """Arm a fault meanwhile; it must have happened, else the row is vacuous."""
        number = self.simulator.arm(verb, **options)
        try:
            yield number
            self.simulator.applied(number)
        finally:
            self.simulator.end(number)

    def klines(
        self, venue: str, symbol: str, interval: str = "1h", *, limit: int = 24, timeout_s: float = 15
    ) -> warm_pb2.WarmKlinesResponse:
        """Ask for klines."""
        request = warm_pb2.WarmKlinesRequest(venue=venue, symbol=symbol, interval=interval, limit=limit)
        told: warm_pb2.WarmKlinesResponse = self.stub.WarmKlines(request, timeout=timeout_s)
        return told

    def ticker(self, venue: str, symbol: str, timeout_s: float = 15) -> warm_pb2.WarmTickerResponse:
        """Ask for a ticker."""
        request = warm_pb2.WarmTickerRequest(venue=venue, symbol=symbol)
        told: warm_pb2.WarmTickerResponse = self.stub.WarmTicker(request, timeout=timeout_s)
        return told

    def price(self, symbol: str, sources: Sequence[str]) -> price_pb2.ReconciledPriceResponse:
        """Ask for the one price of some sources."""
        request = price_pb2.ReconciledPriceRequest(symbol=symbol, sources=sources)
        told: price_pb2.ReconciledPriceResponse = self.stub.ReconciledPrice(request, timeout=15)
        return told

    def health(self) -> health_pb2.HealthResponse:
        """Ask how it is."""
        return self.service.health()

    def ledger(self, product: str, last_s: int = 60) -> dict[str, Any]:
        """Return what a venue counted."""
        row: dict[str, Any] = self.simulator.ask("GET", f"/ledger?last_s={last_s}")[product]
        return row

    def records(self, since_ns: int) -> list[dict[str, Any]]:
        """Return the venues' records of REST calls since then."""
        with self.simulator.truth_path.open(encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines if line.endswith("\n") and '"rest"' in line[:200]]
        return [one for one in found if one["type"] == "rest" and one["t_mono_ns"] >= since_ns]

    def at_once(self, method: str, requests: Sequence[tuple[Message, float]]) -> list[tuple[Any, float]]:
        """Ask all at once, each with its own deadline (s); return answers, errors, and how long each took."""

        async def one(channel: grpc.aio.Channel, request: Message, timeout_s: float) -> tuple[Any, float]:
            call = getattr(service_pb2_grpc.DataFacadeServiceStub(channel), method)
            begun = time.monotonic()
            try:
                answer = await call(request, timeout=timeout_s)
            except grpc.aio.AioRpcError as error:
                answer = error
            return answer, time.monotonic() - begun

        async def play() -> list[tuple[Any, float]]:
            async with grpc.aio.insecure_channel(self.service.address) as channel:
                return list(await asyncio.gather(*(one(channel, *request) for request in requests)))

        return asyncio.run(play())


def refused(call: Any, *arguments: Any, **named: Any) -> grpc.RpcError:  # noqa: ANN401  a call of the bed
    """Return the error of a call that must fail."""
    try:
        answer = call(*arguments, **named)
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"it was answered: {answer}")


def reason(error: Any) -> str:  # noqa: ANN401  an RpcError that is a call
    """Return the stable reason of a refusal."""
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def details(error: Any) -> Mapping[str, str]:  # noqa: ANN401  likewise
    """Return the figures of a refusal."""
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return dict(info.metadata)
    return {}


def _edit(config: Path, name: str, change: Any) -> None:  # noqa: ANN401  a function of the tree
    tree = yaml.safe_load((DEFAULTS / name).read_text(encoding="utf-8"))
    change(tree)
    dump(config / name, tree)


def _everywhere(tree: Any, name: str, value: object) -> None:  # noqa: ANN401  YAML
    if isinstance(tree, dict):
        for key, child in tree.items():
            if key == name:
                tree[key] = value
            else:
                _everywhere(child, name, value)
