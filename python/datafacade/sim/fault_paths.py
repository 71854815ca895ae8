"""The control paths of faults: arm, prove, end. The same at the simulator and at the proxy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from datafacade.sim.faults import Fault, FaultRefused
from datafacade.sim.proxy_faults import ProxyFault

Proven = Fault | ProxyFault


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPaths:
    """Answers requests about faults."""

    arm: Callable[[Mapping[str, object]], Proven]  # raises FaultRefused
    all: Callable[[], Sequence[Proven]]  # of the run
    end: Callable[[int | None], int]  # one, or all; returns how many

    def routes(self, prefix: str = "") -> list[web.RouteDef]:
        """Return the paths, each behind ``prefix``."""
        return [
            web.post(f"{prefix}/faults", self._arm),
            web.get(f"{prefix}/faults", self._all),
            web.get(f"{prefix}/faults/{{id}}", self._one),
            web.delete(f"{prefix}/faults", self._remove),
            web.delete(f"{prefix}/faults/{{id}}", self._remove),
        ]

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.text())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return refused("expected a JSON object")
        try:
            fault = self.arm(body)
        except FaultRefused as error:
            return refused(str(error))
        return web.json_response(fault.proof(), status=201)

    async def _all(self, _: web.Request) -> web.Response:
        return web.json_response([fault.proof() for fault in self.all()])

    async def _one(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        for fault in self.all():
            if str(fault.id) == wanted:
                return web.json_response(fault.proof())
        return missing(f"no fault {wanted[:20]}")

    async def _remove(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("id")
        if wanted is not None and not wanted.isdigit():
            return refused("expected the number of a fault")
        return web.json_response({"ended": self.end(int(wanted) if wanted else None)})


def refused(reason: str) -> web.Response:
    """Return 400 with its reason."""
    return web.json_response({"error": reason}, status=400)


def missing(reason: str) -> web.Response:
    """Return 404 with its reason."""
    return web.json_response({"error": reason}, status=404)
