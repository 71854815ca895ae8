"""Name things on disk: an injective way from any text to one harmless path component. Pure.

A folder is called ``<symbol-lower>@<venue>@<kind>`` and, if there is one, ``@<variant>``. Canonical symbols
are upper case and their folders lower case, so a lower-case letter of a symbol is the one that is escaped:
case twins get different folders even where the file system does not tell them apart.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final, Self

from datafacade.errors import InvalidRequest

ID_DIGITS: Final = 64  # SHA-256 of the answer, in lower-case hex
NAME_DIGITS: Final = 32  # of them in file names
PREFIX_DIGITS_MIN: Final = 16  # of an id that a person abbreviates
FOLDER_BYTES_MAX: Final = 200  # what is longer keeps its beginning and a hash
ENTITY_CHARS_MAX: Final = 1_024
ENTITIES_MAX: Final = 4_096  # whose places are remembered: each commit and each look-up asks for them

LIVE_BOOK: Final = "hot.book"  # kind of the books that are kept now and then
INSTRUMENTS: Final = "instruments"  # kind of a venue's list of them

JSON: Final = ".json.gz"  # readable answer
PROTO: Final = ".pb"  # the very bytes of the answer
META: Final = ".meta.json"
PARQUET: Final = ".parquet"
METADATA: Final = "metadata"  # folder of the meta files of an entity
TEMP: Final = ".tmp-"  # a file that nobody was told of

_SPLIT: Final = "@"
_LONG: Final = "%~"  # no escape begins so
_PLAIN: Final = frozenset(string.ascii_lowercase + string.digits + "-_")
_DOTTED: Final = _PLAIN | {"."}
_LOWERED: Final = dict(zip(string.ascii_uppercase, string.ascii_lowercase, strict=True))
_SYMBOL: Final = _LOWERED | {sign: sign for sign in string.digits + "-_"}
_LONG_HEAD: Final = FOLDER_BYTES_MAX - len(_LONG) - 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ID: Final = re.compile(rf"[0-9a-f]{{{PREFIX_DIGITS_MIN},{ID_DIGITS}}}")


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """What an answer is about. Any text is allowed in any part; none reaches a path as it is."""

    kind: str  # as `warm.klines`
    venue: str  # venue or source; "": several
    symbol: str  # canonical, as `BTC-USDT`; "": all
    variant: str = ""  # as `1h`

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``kind/venue/symbol`` or ``kind/venue/symbol/variant``; ``/`` is ``%2F`` and ``%`` is ``%25``.

        Raises:
            InvalidRequest: It has another number of parts, is empty or longer than 1,024 signs.

        Example:
            >>> Entity.parse("warm.klines/binance/BTC-USDT/1h").folder
            'btc-usdt@binance@warm.klines@1h'
            >>> Entity.parse(str(Entity("book", "kraken", "XBT/USD"))).symbol
            'XBT/USD'
        """
        return cls(*_parts(text))

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        parts = (self.kind, self.venue, self.symbol, *((self.variant,) if self.variant else ()))
        return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)

    @property
    def folder(self) -> str:
        """One path component, different for each entity: up to 200 ASCII signs, no leading dot."""
        return _folder(self.kind, self.venue, self.symbol, self.variant)


@lru_cache(maxsize=ENTITIES_MAX)
def _parts(text: str) -> tuple[str, ...]:
    parts = text.split("/")
    if not 3 <= len(parts) <= 4 or not parts[0] or len(text) > ENTITY_CHARS_MAX:
        problem = f"expected kind/venue/symbol or kind/venue/symbol/variant, received {text[:64]!r}"
        raise InvalidRequest("entity", problem)
    return tuple(part.replace("%2F", "/").replace("%25", "%") for part in parts)


@lru_cache(maxsize=ENTITIES_MAX)
def _folder(kind: str, venue: str, symbol: str, variant: str) -> str:
    parts = ["".join(_SYMBOL.get(sign) or _escaped(sign) for sign in symbol), _encoded(venue), _encoded(kind)]
    if variant:
        parts.append(_encoded(variant))
    name = _SPLIT.join(parts)
    if len(name) <= FOLDER_BYTES_MAX:
        return name
    return name[:_LONG_HEAD] + _LONG + sha256(name.encode("ascii")).hexdigest()


def _encoded(text: str) -> str:
    return "".join(sign if sign in _DOTTED else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    return "".join(f"%{byte:02x}" for byte in sign.encode("utf-8", "surrogatepass"))


def day_of(ts_ns: int) -> str:
    """Return the folder of a day, as ``2026-11-21``.

    Args:
        ts_ns: Wall time, ns UTC.
    """
    return _utc(ts_ns).date().isoformat()


def stem_of(ts_ns: int, snapshot_id: str) -> str:
    """Return the name of a snapshot's files without their suffix.

    Args:
        ts_ns: Wall time, ns UTC.
        snapshot_id: 64 hex digits.

    Example:
        >>> stem_of(1_000_000_000, "ab" * 32)
        '19700101_000001_abababababababababababababababab'
    """
    at = _utc(ts_ns)
    day = f"{at.year:04d}{at.month:02d}{at.day:02d}"
    return f"{day}_{at.hour:02d}{at.minute:02d}{at.second:02d}_{snapshot_id[:NAME_DIGITS]}"


def meta_name(snapshot_id: str) -> str:
    """Return the name of a snapshot's meta file."""
    return snapshot_id[:NAME_DIGITS] + META


def is_id(text: str) -> bool:
    """Return whether it is an id, or at least its first 16 digits."""
    return _ID.fullmatch(text) is not None


def utc_text(ts_ns: int) -> str:
    """Return a time for people and programs, to the nanosecond.

    Example:
        >>> utc_text(1_500_000_000)
        '1970-01-01T00:00:01.500000000Z'
    """
    return f"{_utc(ts_ns):%Y-%m-%dT%H:%M:%S}.{ts_ns % 10**9:09d}Z"


def _utc(ts_ns: int) -> datetime:
    return _EPOCH + timedelta(seconds=ts_ns // 10**9)
