"""Ports for what starts later, or again at the same place: nobody is given one of them meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator
from typing import Final

FIRST: Final = 11_000
COUNT: Final = 20_000  # all below 32,768, from where systems number the ports that they choose themselves

_turns = itertools.count()


def reserved_port() -> int:
    """Return a port of 127.0.0.1 that nobody has, and that no socket without a port of its own is given."""
    while True:
        port = FIRST + (os.getpid() * 101 + next(_turns)) % COUNT
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port on which nothing listens: who connects is refused."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
