"""Examples in the documentation of reconciliation say what really comes out."""

import doctest
from pathlib import Path

import pytest

from datafacade.warm import freshness, reconcile, vadr

PAGE = Path(__file__).parents[3] / "docs" / "reconciliation.md"


def test_the_examples_of_the_page_run() -> None:
    outcome = doctest.testfile(str(PAGE), module_relative=False)
    assert outcome.attempted >= 15
    assert outcome.failed == 0


@pytest.mark.parametrize("module", [reconcile, freshness, vadr], ids=lambda module: module.__name__)
def test_the_examples_of_the_functions_run(module: object) -> None:
    outcome = doctest.testmod(module)  # type: ignore[arg-type]
    assert outcome.attempted >= 1
    assert outcome.failed == 0
