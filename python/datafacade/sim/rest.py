"""The REST side of one venue product: limits, faults, then the venue's handler."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from datafacade.sim import damage
from datafacade.sim.faults import Fault, FaultBoard
from datafacade.sim.rest_damage import broken_answer
from datafacade.sim.stats import Stats
from datafacade.sim.truth import TruthLog
from datafacade.sim.venue import Answer, RestHandler, Venue

NO_CONNECTION: Final = 0  # REST requests belong to no WebSocket connection
HTML_BODY: Final = "<html><head><title>Attention Required!</title></head><body><h1>Sorry</h1></body></html>"


@dataclass(slots=True)
class RestServer:
    """Serves the REST paths of one venue product."""

    venue: Venue
    truth: TruthLog
    faults: FaultBoard
    stats: Stats
    _runner: web.AppRunner | None = field(default=None, init=False)

    async def start(self, host: str, port: int) -> int:
        """Listen on ``host``; return the port."""
        app = web.Application()
        for path, handler in self.venue.routes().items():
            app.router.add_get(path, self._handler(handler))
        app.router.add_route("*", "/{tail:.*}", self._handler(None))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and end open requests."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _handler(self, handler: RestHandler | None) -> web.Callable:  # type: ignore[name-defined]
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, handler)

        return handle

    async def _serve(self, request: web.Request, handler: RestHandler | None) -> web.StreamResponse:
        counts = self.stats.of(self.venue.product)
        counts.rest_requests[request.path] += 1
        query = {**request.query, **request.match_info}
        weight = self.venue.weight_of(request.path, query)
        answer, broken = await self._hindered(request, query)
        if answer is None:
            counts.spend(weight, time.time())
            answer = self.venue.admit(request.path, query)
        if answer is None:
            answer = self.venue.not_found(request.path) if handler is None else handler(query)
            answer = await self._disturbed(answer)
        counts.rest_status[str(answer.status)] += 1
        counts.weight_used = self.venue.weight_used()
        self._record(request, answer, weight)
        headers = {**self.venue.rest_headers(), **answer.headers}
        if broken is not None:
            return await broken_answer(request, answer, headers, broken)
        return web.Response(
            body=answer.body.encode(), status=answer.status, headers=headers, content_type=answer.content_type
        )

    async def _hindered(
        self, request: web.Request, query: dict[str, str]
    ) -> tuple[Answer | None, Fault | None]:
        """Apply the REST faults that do not need the venue's answer; return the one that breaks it."""
        symbol = query.get("symbol") or query.get("instId") or query.get("product_id") or query.get("pair")
        for fault in self.faults.matching("rest", self.venue.product, symbol=symbol):
            path = fault.options.get("path")
            if fault.verb.name == "stale_snapshot" or (path and str(path) not in request.path_qs):
                continue
            self.faults.use(fault, {"product": self.venue.product, "path": request.path_qs})
            match fault.verb.name:
                case "slow_rest":
                    await asyncio.sleep(fault.integer("ms") / 1000)
                    return None, None
                case "broken_rest":
                    return None, fault
                case _:
                    return _status_answer(fault), None
        return None, None

    async def _disturbed(self, answer: Answer) -> Answer:
        """Apply snapshot faults to an order book answer."""
        if answer.snapshot is None:
            return answer
        product = self.venue.product
        fault = self.faults.for_frame("frame", product, NO_CONNECTION, answer.snapshot)
        if fault is None:
            return answer
        self.faults.use(fault, {"product": product, "symbol": answer.snapshot.symbol})
        match fault.verb.name:
            case "slow_snapshot":
                await asyncio.sleep(fault.integer("ms") / 1000)
                return answer
            case "huge_snapshot":
                return Answer(
                    body=damage.pad(answer.body, fault.integer("mib") << 20), snapshot=answer.snapshot
                )
            case _:
                body = damage.malform(answer.body, fault.text("kind")).decode("utf-8", "replace")
                return Answer(body=body, snapshot=answer.snapshot)

    def _record(self, request: web.Request, answer: Answer, weight: int) -> None:
        venue, _, product = self.venue.product.partition("/")
        fields: dict[str, object] = {
            "venue": venue,
            "product": product,
            "path": request.path_qs,
            "status": answer.status,
            "bytes": len(answer.body),
            "weight": weight,
            "used": self.venue.weight_used(),
        }
        if answer.snapshot is not None:
            fields.update(symbol=answer.snapshot.symbol, sequence=answer.snapshot.sequence)
        self.truth.record("rest", fields)


def _status_answer(fault: Fault) -> Answer:
    body = fault.options["body"]
    retry_after = fault.options["retry_after"]
    return Answer(
        body=HTML_BODY if body is None else str(body),
        status=fault.integer("status"),
        headers={} if retry_after is None else {"Retry-After": str(retry_after)},
        content_type="text/html" if body is None else "application/json",
    )
