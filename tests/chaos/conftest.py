"""The bed that the rows of a file share, and the store that each row of a store begins with.

Each row isolates by symbol or venue and heals what it broke. One bed a file: after each row all that was told
since the bed began is judged, which is quadratic in rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from datafacade.store.pit.vault import Vault
from tests.chaos.harness import machine
from tests.chaos.harness.bed import Bed, Plan
from tests.chaos.harness.vaults import opened
from tests.unit.store.pit.fakes import draft, keep

# Followed by the probe of the bed from the start, and those that single rows ask for.
FOLLOWED = ("BTC", "ETH")
SPARE = ("SOL", "XRP", "ADA", "DOGE", "LTC", "LINK")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, None, None]:
    """Let a bed that does not come up tell what the machine did meanwhile."""
    with machine.told():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Let a red row tell what the machine did meanwhile."""
    with machine.told():
        yield


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Return a bed of all venues whose connections count as settled after 1 s.

    Timers are scaled by 0.2 (DESIGN 13.10); every injection of a row is then a first attempt.
    """
    plan = Plan(bases=FOLLOWED, spare=SPARE, service={"hot": {"feed": {"settled_ms": 5_000}}})
    made = Bed(tmp_path_factory.mktemp("bed"), plan)
    try:
        yield made.warm_up()
        made.wait_given_back("at the end")
        made.assert_invariants(made.topics)
        assert made.simulator.violations() == {}, "rules of venues were broken"
    finally:
        made.close()


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    """Return a store with one snapshot."""
    made = opened(tmp_path / "pit")
    keep(made, draft(1))
    yield made
    made.close()
