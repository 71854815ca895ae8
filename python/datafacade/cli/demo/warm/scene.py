"""Set the scene of a warm load: simulated venues with many symbols and their own limits, and the service."""

from __future__ import annotations

import contextlib
import importlib.resources
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from datafacade.cli.demo.children import Child
from datafacade.cli.demo.pair import start_pair
from datafacade.cli.demo.places import Ports, moved, packaged_venues
from datafacade.cli.demo.warm.keys import BASES, GENERATED, MARKETS

PRODUCTS: Final = tuple(
    dict.fromkeys(
        product
        for market in MARKETS.values()
        for product in (market.product, market.trades_product)
        if product
    )
)
HISTORY_S: Final = 600  # of trades before the start: an answer's rows are there, one page has them
RATE: Final = 5.0  # market steps a second of the symbols that trade
CONTROL_S: Final = 10.0
_AGGREGATORS: Final = importlib.resources.files("datafacade.config") / "defaults" / "aggregators.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What runs."""

    target: str  # the service, host:port
    children: tuple[Child, ...]
    truth_path: Path  # the simulator's log
    control: aiohttp.ClientSession  # the simulator's control port

    async def ask(self, path: str, **query: str) -> Any:  # noqa: ANN401  whatever JSON it tells
        """Return what the simulator's control port tells; that costs no venue anything."""
        async with self.control.get(path, params=query) as answer:
            answer.raise_for_status()
            return await answer.json()


@contextlib.asynccontextmanager
async def staged(seed: int) -> AsyncIterator[Scene]:
    """Run simulator and service on free ports while the context lasts; nothing stays behind.

    Raises:
        ProgramFailed: One of them does not start.
    """
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="datafacade-warm-")))
        truth = folder / "truth.jsonl"
        words: tuple[str, ...] = ("--products", ",".join(PRODUCTS), "--history-s", str(HISTORY_S))
        words += ("--symbols", ",".join(BASES), "--generated", str(GENERATED), "--rate", str(RATE))
        words += ("--aggregators", "", "--truth", str(truth))
        pair = await start_pair(stack, folder, *words, seed=seed, files=service_files)
        timeout = aiohttp.ClientTimeout(total=CONTROL_S)
        control = await stack.enter_async_context(aiohttp.ClientSession(pair.control, timeout=timeout))
        yield Scene(target=pair.target, children=pair.children, truth_path=truth, control=control)


def service_files(ports: Ports) -> dict[str, str]:
    """Return the configuration of the service by file name: other hosts, everything else as packaged."""
    whole = packaged_venues()
    tree = moved({**whole, "venues": {name: whole["venues"][name] for name in MARKETS}}, ports)
    aggregators = yaml.safe_load(_AGGREGATORS.read_text(encoding="utf-8"))
    for section in aggregators["aggregators"].values():
        section["enabled"] = False
    return {
        "venues.yaml": yaml.safe_dump(tree, sort_keys=False),
        "service.yaml": yaml.safe_dump({"version": 1, "hot": {"venues": list(MARKETS)}}),
        "aggregators.yaml": yaml.safe_dump(aggregators, sort_keys=False),
    }
