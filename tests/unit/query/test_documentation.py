"""Examples in the documentation of klines say what really comes out."""

import doctest
from pathlib import Path

from datafacade.query import klines

PAGE = Path(__file__).parents[3] / "docs" / "klines.md"


def test_the_examples_of_the_page_run() -> None:
    outcome = doctest.testfile(str(PAGE), module_relative=False)
    assert outcome.attempted >= 8
    assert outcome.failed == 0


def test_the_examples_of_the_functions_run() -> None:
    outcome = doctest.testmod(klines)
    assert outcome.attempted >= 4
    assert outcome.failed == 0
