"""The service over all products of the simulator, behind each server; who needs less makes its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.service.bench import Bench, service

PRODUCTS = (
    "binance/spot",
    "binance/usdm",
    "kraken/spot",
    "okx/public",
    "coinbase/advanced",
    "coinbase/exchange",
)


@pytest_asyncio.fixture(params=["rust", "grpcio"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with service(tmp_path / "config", edge=request.param, products=PRODUCTS) as running:
        yield running
