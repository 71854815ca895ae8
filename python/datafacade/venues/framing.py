"""Cut a WebSocket byte stream into frames: the usual one is unwrapped here, others go to the full parser.

The usual frame is a whole text message: final, without extension bits, not masked, within the limit, outside
a fragmented message. Reading it here takes a fifth of the time that the general parser takes. Pings and
pongs, of which a venue may send thousands, are unwrapped here too. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PING: Final = 0x89  # first byte of a whole frame
PONG: Final = 0x8A
_FINAL_TEXT: Final = 0x81
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127


class FrameSplitter:
    """Cuts one connection's stream, in whatever pieces it comes."""

    def __init__(
        self,
        *,
        message_bytes_max: int,
        on_text: Callable[[bytes], None],
        on_control: Callable[[int, bytes], None],
        on_other: Callable[[bytes], bool],
    ) -> None:
        """Take the receivers.

        Args:
            message_bytes_max: Longest message.
            on_text: Gets the content of each usual frame.
            on_control: Gets ``PING`` or ``PONG`` and the content of such a frame, also between two fragments.
            on_other: Gets any other frame, whole and raw, or whatever breaks the protocol; returns whether
                the next usual frame may be unwrapped here (not inside a fragmented message).
        """
        self._message_bytes_max = message_bytes_max
        self._on_text = on_text
        self._on_control = on_control
        self._on_other = on_other
        self._rest = bytearray()  # an incomplete frame
        self._missing = 0  # bytes without which it stays so
        self._is_unwrapping = True
        self._is_broken = False

    def feed(self, data: bytes) -> None:
        """Take bytes and hand on the frames that they complete, in order."""
        if self._is_broken:
            self._on_other(data)
            return
        if not self._rest:
            used = self._cut(data)
            if used < len(data):
                self._rest += data[used:]
            return
        self._rest += data
        if len(self._rest) < self._missing:
            return
        used = self._cut(bytes(self._rest))
        del self._rest[:used]

    def _cut(self, data: bytes) -> int:
        """Hand on whole frames; return how many bytes they took."""
        at, end = 0, len(data)
        while end - at >= 2:  # the two bytes that every header has
            first, length = data[at], data[at + 1]
            start = at + 2
            if length >= _LENGTH_16:
                if length > _LENGTH_64:
                    return self._break_off(data, at)  # masked by a server
                start += 2 if length == _LENGTH_16 else 8
                if start > end:
                    self._missing = start - at
                    return at
                length = int.from_bytes(data[at + 2 : start], "big")
                if length > self._message_bytes_max:
                    return self._break_off(data, at)
            stop = start + length
            if stop > end:
                self._missing = stop - at
                return at
            if first == _FINAL_TEXT and self._is_unwrapping:
                self._on_text(data[start:stop])
            elif first in (PING, PONG) and length < _LENGTH_16:
                self._on_control(first, data[start:stop])
            else:
                self._is_unwrapping = self._on_other(data[at:stop])
            at = stop
        self._missing = 0
        return at

    def _break_off(self, data: bytes, at: int) -> int:
        """Leave the rest of the stream to the full parser, which ends the connection."""
        self._is_broken = True
        self._on_other(data[at:])
        return len(data)
