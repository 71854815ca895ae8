"""What the played venue sends, and when."""

import asyncio
import ctypes
import json
import os
from collections.abc import Callable
from typing import Final

TOPICS: Final = 16
CACHED_INTERVAL: Final = "1h"
CACHED_ROWS: Final = 24  # of the klines that stand in the cache
CORE_SERVER: Final = 0
CORE_CLIENT: Final = 1
TRADE_MARK: Final = bytes.fromhex(
    "a29da009"
)  # the price of each trade as the wire has it: zigzag 2 x 9701201
BURST_NS: Final = 100_000  # above 10,000 updates/s they come in bursts, as the frames of one segment do
NS_PER_S: Final = 1_000_000_000
_CLOCK_MONOTONIC: Final = 1
_NONBLOCK: Final = os.O_NONBLOCK


def pin(core: int) -> None:
    """Stay on one core, if there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[core]})


def symbols() -> list[str]:
    """Return the symbols, all of one length."""
    return [f"A{number:02}-USDT" for number in range(TOPICS)]


def listing() -> bytes:
    """Return Binance's list of the instruments."""
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
    ]
    rows = []
    for symbol in symbols():
        base, quote = symbol.split("-")
        rows.append(
            {
                "symbol": base + quote,
                "status": "TRADING",
                "baseAsset": base,
                "quoteAsset": quote,
                "filters": filters,
            }
        )
    return json.dumps({"symbols": rows}).encode()


def frames(count: int) -> list[bytes]:
    """Return trades of all topics in turn; each becomes an update of about 100 bytes."""
    names = [symbol.replace("-", "") for symbol in symbols()]
    heads = [
        f'{{"stream":"{name.lower()}@trade","data":{{"e":"trade","E":1784620800512,"s":"{name}","t":'
        for name in names
    ]
    tail = ',"p":"97012.01000000","q":"0.00125000","T":1784620800511,"m":true,"M":true}}'
    return [f"{heads[at % TOPICS]}{5312345678 + at // TOPICS}{tail}".encode() for at in range(count)]


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("ns", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("first", _Timespec))


class Timer:
    """A timerfd that rings when updates are due: the event loop's own timers are 1 ms coarse."""

    def __init__(self, rate: int) -> None:
        self._interval_ns = max(NS_PER_S // rate, BURST_NS)
        self._burst = max(1, rate * BURST_NS // NS_PER_S)
        self._start_ns = 0

    def start(self, wall_ns: int, ring: Callable[[], None]) -> None:
        """Ring at each due time from now on."""
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK)
        span = _Timespec(0, self._interval_ns)
        self._start_ns = wall_ns
        if fd < 0 or libc.timerfd_settime(fd, 0, ctypes.byref(_Timer(span, span)), None):
            raise OSError(ctypes.get_errno(), "timerfd")

        def read() -> None:
            os.read(fd, 8)
            ring()

        asyncio.get_running_loop().add_reader(fd, read)

    def due_ns(self, at: int) -> int:
        """Return when an update is due, wall ns."""
        return self._start_ns + (1 + at // self._burst) * self._interval_ns
