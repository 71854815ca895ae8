"""The fault proxy between clients and the service, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Final, Self

from tests.chaos.harness.environment import ROOT, environment
from tests.chaos.harness.wait import until

START_S: Final = 20
CALL_S: Final = 10


class ProxyProcess:
    """One run of ``datafacade proxy``: so many addresses that lead to an ``upstream`` ``HOST:PORT``."""

    def __init__(self, folder: Path, upstream: str, *, routes: int = 1) -> None:
        ports = folder / "proxy-ports.json"
        ports.unlink(missing_ok=True)
        command = [sys.executable, "-m", "datafacade.sim", "proxy", "--ports-file", str(ports)]
        for number in range(routes):
            command += ["--route", f"{number}=127.0.0.1:0,{upstream}"]
        self._process = subprocess.Popen(  # noqa: S603  our own command
            command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment()
        )
        until(ports.exists, within_s=START_S, what="the proxy listens")
        told = json.loads(ports.read_text())
        self._control = told["control"]
        self.addresses = [str(route["listen"]) for route in told["routes"].values()]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(CALL_S)

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  JSON
        """Call its control port."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._control}{path}", data=data, method=method)  # noqa: S310  loopback
        with urllib.request.urlopen(request, timeout=CALL_S) as answer:  # noqa: S310  loopback
            return json.load(answer)

    def arm(self, verb: str, **options: object) -> int:
        """Arm a fault; return its number."""
        return int(self.ask("POST", "/faults", {"verb": verb, **options})["id"])

    def heal(self, fault: int) -> int:
        """End a fault, and return how many connections it met.

        Raises:
            AssertionError: It met none: the row is vacuous.
        """
        applied = int(self.ask("GET", f"/faults/{fault}")["applied"])
        assert applied > 0, "the row is vacuous"
        self.ask("DELETE", f"/faults/{fault}")
        return applied
