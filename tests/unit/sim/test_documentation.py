"""docs/simulator.md names every verb and every product that the simulator has."""

import re
from pathlib import Path

from datafacade.sim.listings import PRODUCTS
from datafacade.sim.proxy_verbs import PROXY_VERBS
from datafacade.sim.verbs import VERBS

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")


def named_in(start: str, end: str) -> set[str]:
    """Return the names in the first column of the table with options between two lines."""
    table = PAGE.partition(start)[2].partition(end)[0].partition("| Verb | Options |")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_verb_stands_in_the_table_and_no_other() -> None:
    assert named_in("### Verbs", "## The fault proxy") == set(VERBS)
    assert named_in("## The fault proxy", "## Truth log") == set(PROXY_VERBS)


def test_every_option_is_told() -> None:
    options = {name: verb.options for name, verb in VERBS.items()}
    options |= {name: verb.options for name, verb in PROXY_VERBS.items()}
    for name, known in options.items():
        for option in known:
            assert f"`{option}`" in PAGE, (name, option)


def test_every_product_is_named() -> None:
    for product in PRODUCTS:
        assert product.partition("/")[2] in PAGE
