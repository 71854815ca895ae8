"""A simulator and a service started by their own verbs, as a user starts them."""

from __future__ import annotations

import fcntl
import importlib.resources
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

VERB: Final = (sys.executable, "-m", "datafacade.cli.main")
PATIENCE_S: Final = 60.0
CTRL_C: Final = b"\x03"


@contextmanager
def spawned(*words: str, output: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a verb meanwhile; its stderr goes to a file."""
    with output.open("w") as stderr:
        process = subprocess.Popen(  # noqa: S603  our own program
            [*VERB, *words], stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment()
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()


def run(*words: str, patience_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
    """Run a verb to its end."""
    return subprocess.run(  # noqa: S603  our own program
        [*VERB, *words], capture_output=True, text=True, timeout=patience_s, check=False, env=environment()
    )


def environment() -> dict[str, str]:
    """Return an environment of a wide terminal without colours."""
    return {**os.environ, "COLUMNS": "170", "NO_COLOR": "1", "TERM": "dumb"}


def first_line(process: subprocess.Popen[str], output: Path) -> str:
    """Return the first line of a program's stdout; it may have ended instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"it ended: {output.read_text()}"
    return line


@contextmanager
def program(*words: str, output: Path) -> Iterator[str]:
    """Run a verb meanwhile; give the first line that it prints."""
    with spawned(*words, output=output) as process:
        yield first_line(process, output)


class Terminal:
    """A verb in a terminal of its own, as people see it."""

    def __init__(self, *words: str) -> None:
        self.text = ""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 170, 0, 0))
        self._process = subprocess.Popen(  # noqa: S603  our own program
            [*VERB, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # Ctrl-C reaches it
            env={**os.environ, "TERM": "xterm-256color"},
        )
        os.close(theirs)

    def read_until(self, wanted: str) -> None:
        """Read what appears until a text is there."""
        limit = time.monotonic() + PATIENCE_S
        while wanted not in self.text:
            assert self._read(limit), f"{wanted!r} did not appear: {self.text[-2_000:]}"

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._ours, keys)

    def ended(self) -> int:
        """Read the rest; return the exit code."""
        limit = time.monotonic() + PATIENCE_S
        while self._read(limit):
            pass
        return self._process.wait(timeout=PATIENCE_S)

    def _read(self, limit: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, limit - time.monotonic()))
        try:
            data = os.read(self._ours, 65_536) if ready else b""
        except OSError:  # the other side is closed
            data = b""
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def __enter__(self) -> Terminal:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what still runs."""
        self._process.kill()
        self._process.wait(timeout=PATIENCE_S)
        os.close(self._ours)


def write_config(folder: Path, told: dict[str, Any]) -> Path:
    """Write a configuration whose venues and aggregators are the simulator's."""
    ports = told["venues"]
    defaults = importlib.resources.files("datafacade.config") / "defaults"
    tree = yaml.safe_load((defaults / "venues.yaml").read_text(encoding="utf-8"))
    venues = {}
    for name, section in tree["venues"].items():
        places = ports.get(name.partition("-")[0], {})
        feeds = {
            feed: {
                "ws_url": places[feed]["ws"] + urlsplit(endpoint["ws_url"]).path,
                "base_url": places[feed]["rest"],
            }
            for feed, endpoint in section["feeds"].items()
            if feed in places
        }
        if feeds:
            rests = dict.fromkeys(section.get("rests", {}), next(iter(feeds.values()))["base_url"])
            venues[name] = section | {"feeds": feeds, "rests": rests}
    averaging = yaml.safe_load((defaults / "aggregators.yaml").read_text(encoding="utf-8"))
    for name, section in averaging["aggregators"].items():
        section["base_url"] = told["aggregators"][name]["rest"] + urlsplit(section["base_url"]).path
    folder.mkdir()
    (folder / "aggregators.yaml").write_text(yaml.safe_dump(averaging), encoding="utf-8")
    tree |= {"allow_private_upstream": True, "venues": venues}
    (folder / "venues.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    service = {"version": 1, "hot": {"venues": list(venues)}, "data": {"dir": "none"}}
    (folder / "service.yaml").write_text(yaml.safe_dump(service), encoding="utf-8")
    return folder


@contextmanager
def simulated(folder: Path, products: str = "binance/spot,kraken/spot") -> Iterator[Path]:
    """Run the simulator of some venues; give a configuration that points at it."""
    words = ("sim", "--seed", "3", "--products", products)
    with program(*words, output=folder / "sim.err") as line:
        yield write_config(folder / "config", json.loads(line))


@contextmanager
def served(config: Path, *words: str) -> Iterator[str]:
    """Run the service; give its address."""
    with program(
        "serve", "--config", str(config), "--port", "0", "--json", *words, output=config.parent / "serve.err"
    ) as line:
        yield json.loads(line)["addresses"][0]
