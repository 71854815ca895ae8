"""What the tests of the store share: drafts, a clock, and a way to commit."""

from __future__ import annotations

from collections.abc import Sequence

from datafacade.errors import FacadeError
from datafacade.store.pit.content import prepare
from datafacade.store.pit.record import Draft, PitRef
from datafacade.store.pit.vault import Vault

ENTITY = "warm.klines/binance/BTC-USDT/1h"
START = 1_795_279_289_000_000_000  # 2026-11-21T16:41:29Z
HOUR = 3_600 * 10**9


class ManualClock:
    """Time that moves when it is told to."""

    def __init__(self, wall: int = START) -> None:
        self.wall = wall
        self.monotonic = 1_000

    def wall_ns(self) -> int:
        """Return what was set."""
        return self.wall

    def monotonic_ns(self) -> int:
        """Return what was set."""
        return self.monotonic


def draft(
    number: int,
    *,
    entity: str = ENTITY,
    ts_wall: int = 0,
    labels: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
) -> Draft:
    """Return the draft of one answer; each number is another one."""
    return Draft(
        entity=entity,
        kind="WarmKlinesResponse",
        message=b"answer %d" % number,
        readable={"answer": number},
        ts_wall=ts_wall,
        rows=number % 100,
        sources=("binance",),
        labels=labels,
        references=references,
    )


def commit(vault: Vault, drafts: Sequence[Draft]) -> list[PitRef | FacadeError]:
    """Commit drafts as one group; return what became of each."""
    now, mono = vault.clock.wall_ns(), vault.clock.monotonic_ns()
    return vault.commit([prepare(one, ts_wall=one.ts_wall or now, ts_mono=mono) for one in drafts])


def keep(vault: Vault, *drafts: Draft) -> list[PitRef]:
    """Commit drafts as one group; every one must be kept."""
    kept = []
    for outcome in commit(vault, drafts):
        if isinstance(outcome, FacadeError):
            raise outcome
        kept.append(outcome)
    return kept
