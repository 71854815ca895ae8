"""Which venue scripts a test runs over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.chaos.virtual.binance import Binance
from tests.chaos.virtual.coinbase import Coinbase
from tests.chaos.virtual.kraken import Kraken
from tests.chaos.virtual.okx import Okx
from tests.chaos.virtual.script import Script

SCRIPTS: Final[dict[str, Callable[[], Script]]] = {
    "binance": Binance,
    "binance-usdm": lambda: Binance("usdm"),
    "okx": Okx,
    "coinbase": Coinbase,
    "kraken": Kraken,
}
CHAINED: Final = ("binance", "binance-usdm", "okx", "coinbase")  # their messages are numbered
