"""The fault proxy before the simulator's ports: what the network does to the lines of the service.

A bed has it if its plan says ``simulator=PROXIED``. Its verbs stand in docs/simulator.md. No packet filter of
the system is needed, so that the rows run without privileges.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from datafacade.check.truth import Record
from tests.chaos.harness.simulator import SimulatorProcess
from tests.chaos.harness.wait import until

PROXIED: Final = ("--proxy",)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection that was made to a route. Monotonic nanoseconds; 0: it is still open.

    Both times are those at which the proxy saw it: on a busy machine some milliseconds late.
    """

    opened_ns: int
    opened_wall_ns: int
    closed_ns: int
    closed_by: str


class Network:
    """Control of the proxy of one simulator."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self._simulator = simulator

    def arm(self, verb: str, product: str, *, end: str = "ws", **options: object) -> int:
        """Arm a fault on the way to a product; return its number."""
        request = {"verb": verb, "route": f"{product}/{end}", **options}
        return int(self._simulator.ask("POST", "/proxy/faults", request)["id"])

    def proof(self, fault: int) -> Record:
        """Return what a fault did so far."""
        proof: Record = self._simulator.ask("GET", f"/proxy/faults/{fault}")
        return proof

    def heal(self, faults: Iterable[int]) -> int:
        """End faults, and hold that each of them acted; return the time.

        Raises:
            AssertionError: One never met a byte: the row is vacuous.
        """
        wanted = list(faults)
        for fault in wanted:
            proof = self.proof(fault)
            assert proof["applied"] > 0, f"the row is vacuous: {proof}"
        healed_ns = time.monotonic_ns()
        for fault in wanted:
            self._simulator.ask("DELETE", f"/proxy/faults/{fault}")
        return healed_ns

    def heal_all(self) -> None:
        """End all faults."""
        self._simulator.ask("DELETE", "/proxy/faults")

    def attempts(self, product: str, *, since_ns: int) -> list[Attempt]:
        """Return the connections that were made to a product since then, oldest first."""
        rows: list[Record] = self._simulator.ask("GET", f"/proxy/log?since={since_ns}")
        mine = [row for row in rows if row["route"] == f"{product}/ws"]
        ends = {row["connection"]: row for row in mine if row["event"] == "closed"}
        return [
            Attempt(
                row["t_mono_ns"],
                row["t_wall_ns"],
                ends[row["connection"]]["ended_mono_ns"] if row["connection"] in ends else 0,
                ends[row["connection"]]["by"] if row["connection"] in ends else "",
            )
            for row in mine
            if row["event"] == "opened"
        ]

    def wait_attempts(
        self, product: str, count: int, *, since_ns: int, within_s: float, ended: int = 0
    ) -> list[Attempt]:
        """Wait until so many connections were made to a product, and the first ``ended`` of them are over."""

        def look() -> list[Attempt] | None:
            found = self.attempts(product, since_ns=since_ns)
            are_over = all(one.closed_ns for one in found[:ended])
            return found if len(found) >= count and are_over else None

        what = f"{count} attempts at {product}, {ended} of them ended"
        return until(look, within_s=within_s, what=what)

    def open_now(self, product: str) -> int:
        """Return how many connections to a product are open."""
        rows: list[Record] = self._simulator.ask("GET", "/proxy/connections")
        return sum(row["route"] == f"{product}/ws" for row in rows)

    def upstream(self, product: str) -> str:
        """Return ``HOST:PORT`` of the simulator itself, behind the proxy."""
        return str(self._simulator.ask("GET", "/proxy/routes")[f"{product}/ws"]["upstream"])

    def lead(self, product: str, upstream: str) -> None:
        """Let later connections to a product lead to another ``HOST:PORT``."""
        self._simulator.ask("PUT", f"/proxy/routes/{product}/ws", {"upstream": upstream})
