"""A real Redis on a free port, that tests may stop, kill and start again."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.ports import reserved_port

PATIENCE_S: Final = 60.0


class RedisServer:
    """One server process; its data is gone when it ends."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.port = reserved_port()  # it is started there again and again
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, as clients are told."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *settings: str) -> None:
        """Start it and wait until it answers."""
        command = [self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--appendonly", "no", "--dir", str(self._folder), *settings]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603  our own arguments
        begin = time.monotonic()
        while True:
            with contextlib.suppress(OSError):
                if self.command("PING")[:1] in (b"+", b"-"):
                    return
            assert time.monotonic() - begin < PATIENCE_S, "redis-server does not answer"
            assert self._process.poll() is None, "redis-server ended"

    def command(self, *words: str) -> bytes:
        """Send one command and return what came back, as it came."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as line:
            encoded = [word.encode() for word in words]
            parts = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
            line.sendall(b"*%d\r\n%s" % (len(encoded), parts))
            return line.recv(1 << 20)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, as SIGSTOP."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Yield a server that is not started yet."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("NOT TESTED: redis-server is not installed (Debian: apt-get install redis-server)")
    server = RedisServer(program, tmp_path)
    try:
        yield server
    finally:
        server.kill()
