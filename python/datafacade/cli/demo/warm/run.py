"""Run a warm load and judge it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

import grpc

from datafacade.cli.demo.children import first_of
from datafacade.cli.demo.warm import budgets
from datafacade.cli.demo.warm.clients import CLIENTS, Clients, Record, connected
from datafacade.cli.demo.warm.keys import COLD, popular_first
from datafacade.cli.demo.warm.scene import Scene, staged
from datafacade.cli.demo.warm.truth import Told, Verdict, compare
from datafacade.cli.output import remark
from datafacade.cli.screen import on_interrupt

HIT_RATE: Final = 0.95  # and more
REFUSED_RATIO: Final = 0.01  # and less
ERROR_RATIO: Final = 0.01  # at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a load showed."""

    cold: Record
    upstream_calls: int  # of the cold start
    zipf: Record
    http_429: int
    http_418: int
    error_ratio: float  # of the budgets shown, the largest
    verdict: Verdict
    stale_untold: int

    @property
    def hit_rate(self) -> float:
        """Return which part of the answers came from the cache."""
        return self.zipf.hits / max(1, self.zipf.answers)

    @property
    def wrong_answers(self) -> int:
        """Return how many answers were not the truth, or old without saying so."""
        return self.verdict.wrong + self.stale_untold

    def report(self) -> dict[str, Any]:
        """Return the outcome for programs."""
        zipf = self.zipf
        return {
            "cold": {
                "distinct_keys": len({place for place, _ in self.cold.told}),
                "upstream_calls": self.upstream_calls,
            },
            "zipf": {
                "requests": zipf.answers + zipf.refused,
                "refused": zipf.refused,
                "hit_rate": round(self.hit_rate, 4),
                "p50_us": zipf.quantile_us(0.5),
                "p99_us": zipf.quantile_us(0.99),
            },
            "http_429": self.http_429,
            "http_418": self.http_418,
            "budget_error_ratio": round(self.error_ratio, 4),
            "wrong_answers": self.wrong_answers,
        }

    def broken(self) -> list[str]:
        """Return what does not hold, a line each; none: all is as it should be."""
        report = self.report()
        requests = max(1, report["zipf"]["requests"])
        rules = (
            (report["cold"]["distinct_keys"] == COLD, f"the cold start answered {report['cold']}"),
            (self.upstream_calls == COLD, f"{COLD} cold keys took {self.upstream_calls} calls upstream"),
            (self.cold.refused == 0, f"{self.cold.refused} questions of the cold start were refused"),
            (self.hit_rate > HIT_RATE, f"hit rate {self.hit_rate:.4f}, expected above {HIT_RATE}"),
            (self.zipf.refused / requests < REFUSED_RATIO, f"{self.zipf.refused} of {requests} refused"),
            (self.http_429 == 0 and self.http_418 == 0, f"{self.http_429} x 429, {self.http_418} x 418"),
            (self.error_ratio <= ERROR_RATIO, f"budgets shown are wrong by {self.error_ratio:.2%}"),
            (self.verdict.compared > 0, "no answer was compared with the truth"),
            (self.wrong_answers == 0, f"{self.wrong_answers} wrong answers; {self.verdict.first}"),
        )
        return [problem for holds, problem in rules if not holds]

    def text(self) -> str:
        """Return the outcome for people."""
        zipf, report = self.zipf, self.report()
        cold = report["cold"]
        return "\n".join(
            (
                "FAIL" if self.broken() else "PASS",
                f"cold start: {CLIENTS} clients, {cold['distinct_keys']} keys, "
                f"{self.cold.answers:,} answers, {cold['upstream_calls']} calls to the venues",
                f"zipf load: {zipf.answers:,} answers, {self.hit_rate:.2%} from the cache, "
                f"{zipf.refused:,} refused; p50 {report['zipf']['p50_us']:,} us, "
                f"p99 {report['zipf']['p99_us']:,} us",
                f"venues: {self.http_429} x 429, {self.http_418} x 418; "
                f"budgets shown are within {self.error_ratio:.2%} of the simulator's ledger",
                f"truth: {self.verdict.compared:,} answers compared, {self.wrong_answers} wrong",
            )
        )


async def perform(*, seconds: float, seed: int) -> Outcome | None:
    """Let clients ask for so many seconds; return what that showed, or None if interrupted.

    Args:
        seconds: Length of the Zipf load; the cold start comes before it.
        seed: Of markets, keys and clients.

    Raises:
        ProgramFailed: A part does not start or ends by itself, or the service refuses what it should answer.
    """
    stop = asyncio.Event()

    async def leave() -> None:
        await stop.wait()

    async def play() -> Outcome:
        async with staged(seed) as scene:
            return await first_of(_load(scene, seconds, seed), *(child.ended() for child in scene.children))

    with on_interrupt(stop.set):
        return await first_of(play(), leave())


async def _load(scene: Scene, seconds: float, seed: int) -> Outcome:
    keys = popular_first(seed, seconds)
    async with connected(scene.target, keys) as clients, grpc.aio.insecure_channel(scene.target) as channel:
        before = await budgets.settled(scene)
        cold = await _cold(clients)
        after = await budgets.settled(scene)
        calls = sum(row["calls"] - before[name]["calls"] for name, row in after.items())
        remark(f"{calls} calls to the venues; {seconds:g} s of load over {len(keys):,} keys begin")
        shown = await budgets.shown(channel)
        zipf = await clients.zipf(seconds, seed)
        remark(f"{zipf.answers:,} answers, {zipf.refused} refused; each is compared with the truth")
        ledger = await budgets.settled(scene)
        shown += await budgets.shown(channel)
    errors = await budgets.errors(shown, scene.truth_path)
    for error in errors:
        remark(f"budget of {error.shown.product}: shown {error.shown.spent}, ledger {error.ledger}")
    told = [
        Told(keys[place], message, times)
        for record in (cold, zipf)
        for (place, message), times in record.told.items()
    ]
    return Outcome(
        cold=cold,
        upstream_calls=calls,
        zipf=zipf,
        http_429=sum(row["http_429"] for row in ledger.values()),
        http_418=sum(row["http_418"] for row in ledger.values()),
        error_ratio=max(error.ratio for error in errors),
        verdict=await compare(told, scene.ask, scene.truth_path),
        stale_untold=cold.stale_untold + zipf.stale_untold,
    )


async def _cold(clients: Clients) -> Record:
    begun = time.monotonic()
    record = await clients.cold(range(COLD))
    remark(
        f"cold start: {record.answers:,} answers of {CLIENTS} clients after {time.monotonic() - begun:.1f} s"
    )
    return record
