"""The schedule of faults depends on its seed alone and holds its bounds; every entry can be armed."""

from hypothesis import given
from hypothesis import strategies as st

from datafacade.sim.faults import FaultBoard
from datafacade.sim.proxy_faults import parse
from datafacade.sim.proxy_verbs import PROXY_VERBS
from datafacade.sim.schedule import OVERLAP_MAX, QUIET_S, RECIPES, counts, schedule
from datafacade.sim.truth import TruthLog
from datafacade.sim.verbs import VERBS

MARKETS = {
    "binance/spot": ("BTCUSDT", "ETHUSDT"),
    "okx/public": ("BTC-USDT",),
    "coinbase/advanced": ("BTC-USD",),
    "kraken/spot": ("BTC/USD", "ETH/USD"),
}
SEEDS = st.integers(0, 1 << 40)


@given(SEEDS)
def test_the_same_seed_gives_the_same_faults(seed: int) -> None:
    first = schedule(seed=seed, seconds=60, markets=MARKETS)
    assert first == schedule(seed=seed, seconds=60, markets=dict(reversed(MARKETS.items())))
    assert sum(counts(first).values()) == len(first)


def test_other_seeds_give_other_faults_and_many_kinds() -> None:
    made = [schedule(seed=seed, seconds=60, markets=MARKETS) for seed in range(40)]
    assert len({str(entries) for entries in made}) == 40
    kinds = {entry.verb for entries in made for entry in entries}
    assert kinds == {recipe.verb for recipe in RECIPES}
    assert all(12 <= len(entries) <= 60 for entries in made)


@given(SEEDS, st.floats(7, 200))
def test_the_bounds_hold(seed: int, seconds: float) -> None:
    entries = schedule(seed=seed, seconds=seconds, markets=MARKETS)
    assert [entry.at_s for entry in entries] == sorted(entry.at_s for entry in entries)
    for entry in entries:
        assert entry.at_s >= QUIET_S
        assert entry.end_s <= seconds - QUIET_S + 0.001
        lasting = [other for other in entries if other.at_s <= entry.at_s < other.end_s]
        assert len(lasting) <= OVERLAP_MAX


@given(SEEDS)
def test_every_entry_can_be_armed_and_lasts_as_long_as_it_says(seed: int) -> None:
    board = FaultBoard(TruthLog(None, kept=10), {})
    for entry in schedule(seed=seed, seconds=60, markets=MARKETS):
        if entry.target == "simulator":
            assert entry.path == "/faults"
            armed = board.arm(entry.request)
            until_ns, armed_ns = armed.until_ns, armed.armed_ns
        else:
            assert entry.path == "/proxy/faults"
            fault = parse(entry.request, 1)
            until_ns, armed_ns = fault.until_ns, fault.armed_ns
        if entry.heal_after_s:
            assert until_ns is not None
            assert abs((until_ns - armed_ns) / 1e9 - entry.heal_after_s) < 0.002


def test_without_a_proxy_nothing_needs_one() -> None:
    entries = schedule(seed=1, seconds=600, markets=MARKETS, targets=("simulator",))
    assert {entry.target for entry in entries} == {"simulator"}


def test_recipes_name_verbs_that_exist() -> None:
    for recipe in RECIPES:
        assert recipe.verb in (VERBS if recipe.target == "simulator" else PROXY_VERBS)
