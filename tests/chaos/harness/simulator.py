"""The simulator in a process of its own: faults by its control port, truth by its log."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from datafacade.check.truth import Record, Truth, TruthReader
from tests.chaos.harness.environment import ROOT, environment
from tests.chaos.harness.wait import COMES_S, until

START_S: Final = 20
CALL_S: Final = 10


class SimulatorProcess:
    """One run of ``datafacade sim``.

    Args:
        folder: Where its log and its output go.
        products: As ``binance/spot``.
        bases: Base assets.
        seed: Of the markets.
        rate: Market steps a symbol and second.
        more: Further arguments of the command.
    """

    def __init__(
        self,
        folder: Path,
        *,
        products: Sequence[str],
        bases: Sequence[str],
        seed: int,
        rate: float,
        more: Sequence[str] = (),
    ) -> None:
        self.truth_path = folder / "truth.jsonl"
        self._ports_path = folder / "ports.json"
        self.log_path = folder / "simulator.log"
        self.products = tuple(products)
        self._has_proxy = "--proxy" in more
        self._truth = TruthReader()
        self._truth_at = 0
        command = [sys.executable, "-m", "datafacade.sim", "--seed", str(seed), "--rate", str(rate)]
        command += ["--truth", str(self.truth_path), "--ports-file", str(self._ports_path)]
        command += ["--symbols", ",".join(bases), "--products", ",".join(products), *more]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=environment())  # noqa: S603  our own command
        until(self._listens, within_s=START_S, what="the simulator listens")
        self.ports: dict[str, Any] = json.loads(self._ports_path.read_text())

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the simulator ended: {self.log_path.read_text()[-2000:]}")
        return self._ports_path.exists()

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(CALL_S)

    # Control

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  JSON
        """Call the control port."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.ports['control']}{path}", data=data, method=method)  # noqa: S310  loopback
        try:
            with urllib.request.urlopen(request, timeout=CALL_S) as answer:  # noqa: S310  loopback
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()}") from error

    def arm(self, verb: str, **selectors: object) -> int:
        """Arm a fault; return its number."""
        proof = self.ask("POST", "/faults", {"verb": verb, **selectors})
        return int(proof["id"])

    def proof(self, fault: int) -> Record:
        """Return what a fault did so far."""
        proof: Record = self.ask("GET", f"/faults/{fault}")
        return proof

    def applied(self, fault: int, *, times: int = 1, within_s: float = COMES_S) -> Record:
        """Wait until a fault did its work; without it a row would prove nothing.

        Raises:
            AssertionError: The fault never happened: the row is vacuous.
        """

        def look() -> Record | None:
            proof = self.proof(fault)
            return proof if proof["applied"] >= times else None

        return until(look, within_s=within_s, what=f"fault {fault} happens (else the row is vacuous)")

    def over(self, fault: int, *, within_s: float) -> None:
        """Wait until nothing of a fault is left to come."""
        until(lambda: bool(self.proof(fault)["is_over"]), within_s=within_s, what=f"fault {fault} is over")

    def end(self, fault: int) -> None:
        """Take a fault back."""
        self.ask("DELETE", f"/faults/{fault}")

    def end_all(self) -> None:
        """Take all faults back, the proxy's too."""
        self.ask("DELETE", "/faults")
        if self._has_proxy:
            self.ask("DELETE", "/proxy/faults")

    def stats(self, product: str) -> Record:
        """Return the counts of one product."""
        stats: Record = self.ask("GET", "/stats")[product]
        return stats

    def violations(self) -> dict[str, dict[str, int]]:
        """Return the rules of venues that were broken, by product."""
        stats = self.ask("GET", "/stats")
        return {product: counts["violations"] for product, counts in stats.items() if counts["violations"]}

    def connections(self, product: str) -> list[Record]:
        """Return the open connections of a product."""
        venue, _, kind = product.partition("/")
        rows: list[Record] = self.ask("GET", "/connections")
        return [
            row for row in rows if row.get("product") in (product, kind) and row.get("venue", venue) == venue
        ]

    # Truth

    def truth_until(self, t_mono_ns: int) -> Truth:
        """Return the truth log once it has come so far: it is written in tenths of a second."""
        what = "the truth log is written"
        until(lambda: self.read_truth().t_mono_ns > t_mono_ns, within_s=COMES_S, what=what)
        return self.read_truth()

    def read_truth(self) -> Truth:
        """Return the whole truth log as far as it is written; only what is new is read again."""
        with self.truth_path.open("rb") as file:
            file.seek(self._truth_at)
            news = file.read()
        whole = news.rfind(b"\n") + 1
        self._truth_at += whole
        return self._truth.read(news[:whole].decode().splitlines())
