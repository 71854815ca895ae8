"""Damage a message: every kind of malformed JSON and every forbidden WebSocket frame. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

LONG_STRING_BYTES: Final = 10_000_000
NESTING: Final = 10_000
DIGITS: Final = 4_301
CHECKSUM: Final = re.compile(r'"checksum":(-?\d+)')
KIND_WORD: Final = re.compile(r'"(action|type|e)":"\w*[uU]pdate"')
UNKNOWN_TYPE: Final = (
    '{"e":"brandNew","event":"brandNew","channel":"brandNew","type":"brandNew","data":[],"events":[]}'
)
FIRST_NUMBER: Final = re.compile(r"(?<=[\[:,\"])-?\d+(?:\.\d+)?(?=[,\]}\"])")
MASK_KEY: Final = b"\x01\x02\x03\x04"


def _with_field(text: str, field: str) -> str:
    """Return the JSON object ``text`` with ``field`` added at its end."""
    return f"{text[:-1]},{field}}}"


def _first_number(text: str, replacement: str) -> str:
    """Return ``text`` with its first decimal number, quoted or not, replaced by a bare ``replacement``."""
    found = re.search(r'"?-?\d+\.\d+(?:e-?\d+)?"?', text) or FIRST_NUMBER.search(text)
    if found is None:
        return _with_field(text, f'"n":{replacement}')
    return text[: found.start()] + replacement + text[found.end() :]


def _twice(text: str) -> str:
    """Return ``text`` with its first key repeated."""
    key = text[1 : text.index(":")]
    return "{" + f"{key}:null," + text[1:]


_KINDS: Final[dict[str, Callable[[str], bytes]]] = {
    "truncated": lambda text: text[: len(text) // 2].encode(),
    "bad_utf8": lambda text: _with_field(text, '"n":"@"').encode().replace(b'"@"', b'"\xff\xfe\xc0"'),
    "nan": lambda text: _first_number(text, "NaN").encode(),
    "huge_exponent": lambda text: _first_number(text, "1e999").encode(),
    "deep": lambda text: _with_field(text, '"n":' + "[" * NESTING + "]" * NESTING).encode(),
    "many_digits": lambda text: _first_number(text, "1" * DIGITS).encode(),
    "duplicate_keys": lambda text: _twice(text).encode(),
    "long_string": lambda text: _with_field(text, '"n":"' + "x" * LONG_STRING_BYTES + '"').encode(),
    "not_json": lambda _: b"<html><body>502 Bad Gateway</body></html>",
}


def malform(text: str, kind: str) -> bytes:
    """Return the JSON object ``text`` damaged as ``kind`` says.

    Raises:
        KeyError: There is no such kind.
    """
    return _KINDS[kind](text)


def unknown_field(text: str) -> str:
    """Return the JSON object ``text`` with a field that nobody knows."""
    return _with_field(text, '"brandNew":{"a":[1,null]}')


def unknown_enum(text: str) -> str:
    """Return ``text`` with an unknown value where it says that it is an update."""
    return KIND_WORD.sub(r'"\1":"brandNew"', text, count=1)


def break_byte(text: str) -> bytes:
    """Return ``text`` with one byte changed so that it is no JSON."""
    at = text.index(":")
    return f"{text[:at]};{text[at + 1 :]}".encode()


def wrong_checksum(text: str) -> str | None:
    """Return ``text`` with another checksum, or None when it has none. A 0 becomes non-zero."""
    found = CHECKSUM.search(text)
    if found is None:
        return None
    value = int(found.group(1)) ^ 0x5A5A5A5
    return f'{text[: found.start()]}"checksum":{value}{text[found.end() :]}'


def change_digit(quantity: int) -> int:
    """Return ``quantity`` with its last digit changed; the result is positive."""
    return quantity - 1 if quantity % 10 == 9 else quantity + 1


def pad(text: str, size_bytes: int) -> str:
    """Return the JSON object ``text`` grown to ``size_bytes`` by white space before its last brace."""
    return text[:-1] + " " * max(0, size_bytes - len(text)) + "}"


def _frame(first: int, length: int, payload: bytes, *, is_masked: bool = False) -> bytes:
    """Return one WebSocket frame with the given first byte and announced length."""
    mask = 0x80 if is_masked else 0
    if length < 126:
        head = bytes([first, mask | length])
    elif length < 1 << 16:
        head = bytes([first, mask | 126]) + struct.pack("!H", length)
    else:
        head = bytes([first, mask | 127]) + struct.pack("!Q", length)
    return head + (MASK_KEY if is_masked else b"") + payload


def bad_frame(kind: str, mib: int) -> bytes:
    """Return the octets of a frame that RFC 6455 forbids.

    Args:
        kind: One of ``verbs.BAD_FRAME_KINDS``.
        mib: Announced size of the oversize frame in MiB; only its first 64 KiB are there.

    Raises:
        KeyError: There is no such kind.
    """
    body = b'{"hello":1}'
    masked = bytes(octet ^ MASK_KEY[at % 4] for at, octet in enumerate(body))
    frames: dict[str, Callable[[], bytes]] = {
        "reserved_bits": lambda: _frame(0x81 | 0x40, len(body), body),
        "masked": lambda: _frame(0x81, len(body), masked, is_masked=True),
        "bad_utf8": lambda: _frame(0x81, 4, b'"\xff\xfe"'),
        "oversize": lambda: _frame(0x81, mib << 20, b" " * 65_536),
        "reserved_opcode": lambda: _frame(0x83, len(body), body),
        "fragmented_control": lambda: _frame(0x09, 4, b"ping"),
    }
    return frames[kind]()
