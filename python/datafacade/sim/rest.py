"""The REST side of one venue or aggregator: limits, faults, then the handler of the path."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final

from aiohttp import web

from datafacade.sim import damage
from datafacade.sim.faults import Fault, FaultBoard
from datafacade.sim.http_port import HttpPort
from datafacade.sim.ledger import RestLedger
from datafacade.sim.rest_changes import Changer
from datafacade.sim.rest_damage import ERROR_OBJECT, ERROR_OBJECTS, HTML_BODY, broken_answer
from datafacade.sim.stats import Stats
from datafacade.sim.truth import TruthLog
from datafacade.sim.venue import Answer, RestHandler, RestSide

NO_CONNECTION: Final = 0  # REST requests belong to no WebSocket connection
COMPRESSED_FROM: Final = 1_024  # bytes
SYMBOL_NAMES: Final = ("symbol", "instId", "product_id", "pair", "ids", "id")
PAGE_NAMES: Final = ("startTime", "endTime", "after", "before", "since", "start", "end", "limit")
BAN_STATUS: Final = {"binance": 418}


@dataclass(slots=True)
class RestServer:
    """Serves the REST paths of one product."""

    side: RestSide
    truth: TruthLog
    faults: FaultBoard
    stats: Stats
    key_headers: tuple[str, ...] = ()  # headers, in lower case, that count as parameters
    has_compression: bool = False  # large answers are gzip for those who take it
    ledger: RestLedger = field(default_factory=RestLedger)
    _changer: Changer = field(default_factory=Changer)
    _port: HttpPort = field(default_factory=HttpPort, init=False)

    async def start(self, host: str, port: int) -> int:
        """Listen on ``host``; return the port."""
        routes = [web.get(path, self._handler(handler)) for path, handler in self.side.routes().items()]
        routes.append(web.route("*", "/{tail:.*}", self._handler(None)))
        return await self._port.start(routes, host, port)

    async def stop(self) -> None:
        """Stop listening and end open requests."""
        await self._port.stop()

    def report(self, last_s: int) -> dict[str, object]:
        """Return what was spent, and the limits with their use."""
        budgets = {name: dict(budget) for name, budget in self.side.budgets().items()}
        return {**self.ledger.report(time.time(), last_s), "limits": budgets}

    def _handler(self, handler: RestHandler | None) -> web.Callable:  # type: ignore[name-defined]
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._counted(request, handler)

        return handle

    async def _counted(self, request: web.Request, handler: RestHandler | None) -> web.StreamResponse:
        """Serve a request between two entries of the ledger; a client that leaves is written down."""
        keys = {name: request.headers[name] for name in self.key_headers if name in request.headers}
        query = {**request.query, **request.match_info, **keys}
        weight = self.side.weights.of(request.path, query)
        resource = request.match_info.route.resource
        route = request.path if resource is None or handler is None else resource.canonical
        self.ledger.begin(route, request.path_qs, weight, time.time())
        status: int | None = None
        is_refused = False
        try:
            answer, fault, is_refused = await self._answer(request, query, weight, handler)
            status = answer.status
            return await self._send(request, answer, fault)
        except asyncio.CancelledError:
            self._record(request, None, weight)
            raise
        finally:
            self.ledger.end(status, is_refused=is_refused)

    async def _answer(
        self, request: web.Request, query: dict[str, str], weight: int, handler: RestHandler | None
    ) -> tuple[Answer, Fault | None, bool]:
        """Return the answer, the fault that breaks it on the way, and whether a limit refused it."""
        counts = self.stats.of(self.side.product)
        counts.rest_requests[request.path] += 1
        fault = self._fault(request, query)
        answer = None if fault is None else await self._instead(fault)
        is_refused = False
        if answer is None:
            counts.spend(weight, time.time())
            answer = self.side.admit(request.path, query)
            if answer is not None and answer.breaks:
                is_refused = True
                counts.violations[answer.breaks] += 1
        if answer is None:
            answer = self.side.not_found(request.path) if handler is None else handler(query)
            answer = await self._disturbed(answer)
            answer = self._changed(request, answer, fault)
        counts.rest_status[str(answer.status)] += 1
        counts.weight_used = self.side.weights.used()
        self._record(request, answer, weight)
        return answer, fault, is_refused

    async def _send(self, request: web.Request, answer: Answer, fault: Fault | None) -> web.StreamResponse:
        headers = {**self.side.weights.headers(), **answer.headers}
        if fault is not None and fault.verb.name == "broken_rest" and fault.text("kind") != ERROR_OBJECT:
            return await broken_answer(request, answer, headers, fault)
        body = answer.body.encode()
        response = web.Response(
            body=body, status=answer.status, headers=headers, content_type=answer.content_type
        )
        if self.has_compression and len(body) >= COMPRESSED_FROM:
            response.enable_compression()
        return response

    def _fault(self, request: web.Request, query: dict[str, str]) -> Fault | None:
        """Return the oldest fault that fits a request, and count it."""
        if not self.faults:
            return None
        symbol = next((query[name] for name in SYMBOL_NAMES if name in query), None)
        for fault in self.faults.matching("rest", self.side.product, symbol=symbol):
            path = fault.options.get("path")
            if fault.verb.name == "stale_snapshot" or (path and str(path) not in request.path_qs):
                continue
            self.faults.use(fault, {"product": self.side.product, "path": request.path_qs})
            return fault
        return None

    async def _instead(self, fault: Fault) -> Answer | None:
        """Wait, or return the answer that a fault gives in place of the venue's."""
        match fault.verb.name:
            case "slow_rest":
                await asyncio.sleep(fault.integer("ms") / 1000)
            case "http_status":
                return _status_answer(fault)
            case "ban":
                left_s = fault.integer("seconds") - (time.monotonic_ns() - fault.armed_ns) // 10**9
                venue = self.side.product.partition("/")[0]
                waits = {"Retry-After": retry_text(max(0, left_s), fault.text("retry_as"))}
                status = BAN_STATUS.get(venue, 429)
                return Answer(body=HTML_BODY, status=status, headers=waits, content_type="text/html")
            case "broken_rest" if fault.text("kind") == ERROR_OBJECT:
                return Answer(body=ERROR_OBJECTS[self.side.product.partition("/")[0]])
            case "redirect":
                where = {"Location": fault.text("location")}
                return Answer(body="", status=fault.integer("status"), headers=where)
            case _:
                pass
        return None

    def _changed(self, request: web.Request, answer: Answer, fault: Fault | None) -> Answer:
        """Apply the faults that change an answer and leave it whole."""
        if fault is None and not self.faults:
            return answer
        kept = sorted((name, text) for name, text in request.query.items() if name not in PAGE_NAMES)
        key = f"{request.path}?{kept}"
        if fault is not None and fault.verb.name in ("old_answer", "odd_field", "odd_pages"):
            changed = self._changer.change(answer, fault, key, time.time())
        else:
            changed = answer
        self._changer.remember(answer, key)
        return changed

    async def _disturbed(self, answer: Answer) -> Answer:
        """Apply snapshot faults to an order book answer."""
        if answer.snapshot is None:
            return answer
        product = self.side.product
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

    def _record(self, request: web.Request, answer: Answer | None, weight: int) -> None:
        """Write down a request; without an answer the client left before."""
        venue, _, product = self.side.product.partition("/")
        fields: dict[str, object] = {
            "venue": venue,
            "product": product,
            "path": request.path_qs,
            "status": None if answer is None else answer.status,
            "bytes": 0 if answer is None else len(answer.body),
            "weight": weight,
            "used": self.side.weights.used(),
        }
        if answer is not None and answer.snapshot is not None:
            fields.update(symbol=answer.snapshot.symbol, sequence=answer.snapshot.sequence)
        self.truth.record("rest", fields)


def retry_text(retry_after: object, form: str) -> str:
    """Return the value of Retry-After; with the form ``date`` seconds become a date."""
    if form == "date" and isinstance(retry_after, (int, float)):
        return formatdate(time.time() + retry_after, usegmt=True)
    return str(retry_after)


def _status_answer(fault: Fault) -> Answer:
    body = fault.options["body"]
    retry_after = fault.options["retry_after"]
    waits = {} if retry_after is None else {"Retry-After": retry_text(retry_after, fault.text("retry_as"))}
    return Answer(
        body=HTML_BODY if body is None else str(body),
        status=fault.integer("status"),
        headers=waits,
        content_type="text/html" if body is None else "application/json",
    )
