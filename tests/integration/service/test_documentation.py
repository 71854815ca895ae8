"""The program in docs/warm.md runs as it stands, against a running service."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.integration.service.bench import service

PAGE = Path(__file__).parents[3] / "docs" / "warm.md"
ADDRESS = "127.0.0.1:50051"


@pytest.mark.proves("REQ-V1")
async def test_the_program_of_the_page_runs(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert program.count(ADDRESS) == 1
    products = ("binance/spot", "kraken/spot", "coinbase/advanced", "coinbase/exchange")
    async with service(tmp_path / "config", products=products) as bench:
        code = compile(program.replace(ADDRESS, bench.address), str(PAGE), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as told:
            await asyncio.to_thread(exec, code, {})
    assert told.getvalue().splitlines() == [
        "False MISS",
        "['coinbase', 'kraken']",
        "[('binance', 'NOT_CONVERTIBLE')]",
        "False True 2.5",
    ]
