"""The server side of a WebSocket connection that can refuse to answer pings, and counts pongs."""

from __future__ import annotations

from typing import Final

from websockets.asyncio.server import ServerConnection

PONG_FIRST_BYTE: Final = b"\x8a"  # final frame, opcode 10; servers do not mask


class Witness(ServerConnection):
    """What websockets makes of a connection, and two things that it does not offer."""

    is_silent: bool = False  # pings are not answered
    pongs: int = 0
    newest_pong: bytes = b""

    def send_data(self) -> None:
        """Write what is waiting, without pongs while this connection is silent."""
        if self.is_silent:
            self.protocol.writes = [
                octets for octets in self.protocol.writes if octets[:1] != PONG_FIRST_BYTE
            ]
        super().send_data()

    def acknowledge_pings(self, data: bytes) -> None:
        """Count a pong."""
        self.pongs += 1
        self.newest_pong = data
        super().acknowledge_pings(data)
