"""docs/simulator.md names every verb and every product that the simulator has."""

import re
from pathlib import Path

from datafacade.sim.listings import PRODUCTS
from datafacade.sim.verbs import VERBS

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")


def test_every_verb_stands_in_the_table_and_no_other() -> None:
    table = PAGE.partition("### Verbs")[2].partition("## Truth log")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(VERBS)


def test_every_option_is_told() -> None:
    for verb in VERBS.values():
        for option in verb.options:
            assert f"`{option}`" in PAGE, (verb.name, option)


def test_every_product_is_named() -> None:
    for product in PRODUCTS:
        assert product.partition("/")[2] in PAGE
