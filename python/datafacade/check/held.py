"""What /proc says that a process holds: no word of the product is taken for it."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
REST_MAX: Final = 1  # connections to one REST port: an idle one, which the next question takes
STANDING: Final = frozenset({"01", "02"})  # ESTABLISHED, SYN_SENT: the rest is over and must be closed


@dataclass(frozen=True, slots=True)
class Held:
    """Threads, descriptors and memory of one process.

    Connections to the venues' REST come and go by themselves: they are no part of ``fds``, which is
    exact, and have a bound of their own.
    """

    pid: int
    threads: int
    fds: int
    rest: int  # standing connections to that REST port that has most of them
    bytes: int  # resident

    def is_within(self, control: Held) -> bool:
        """Tell whether no more threads and descriptors are held than before, and no REST is left over."""
        return self.threads <= control.threads and self.fds <= control.fds and self.rest <= REST_MAX


def held(pid: int, rest_ports: Collection[int] = ()) -> Held:
    """Return what a process holds now.

    Args:
        pid: Whose.
        rest_ports: Of the venues' REST, on this machine.

    Raises:
        OSError: It is gone.
    """
    process = Path(f"/proc/{pid}")
    descriptors = _descriptors(process)
    standing = _standing(process, rest_ports)
    rest = Counter(standing[one] for one in descriptors if one in standing)
    return Held(
        pid=pid,
        threads=len(os.listdir(process / "task")),
        fds=len(descriptors) - rest.total(),
        rest=max(rest.values(), default=0),
        bytes=resident_bytes(pid),
    )


def resident_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process; of this one without a pid.

    Raises:
        OSError: It is gone.
    """
    text = Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii")
    return int(text.split()[1]) * PAGE_BYTES


def rest_ports(venues: Mapping[str, Mapping[str, Mapping[str, str]]]) -> frozenset[int]:
    """Return the REST ports that the simulator told, by venue and product."""
    urls = (urlsplit(urls["rest"]) for products in venues.values() for urls in products.values())
    return frozenset(url.port for url in urls if url.port is not None)


def _descriptors(process: Path) -> list[str]:
    """Return what each open descriptor leads to."""
    found = []
    for name in os.listdir(process / "fd"):
        with contextlib.suppress(FileNotFoundError):  # closed since the listing
            found.append(os.readlink(process / "fd" / name))
    return found


def _standing(process: Path, ports: Collection[int]) -> dict[str, int]:
    """Return the remote port of each standing connection to some ports, by what its descriptor leads to."""
    rows = (process / "net/tcp").read_text(encoding="ascii").splitlines()[1:]
    found: dict[str, int] = {}
    for row in rows:
        _, _, remote, state, *_, inode = row.split()[:10]
        port = int(remote.rpartition(":")[2], 16)
        if state in STANDING and port in ports:
            found[f"socket:[{inode}]"] = port
    return found
