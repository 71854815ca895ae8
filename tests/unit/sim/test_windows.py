"""Windows of limited depth against a naive client that follows each venue's rule."""

from random import Random

import pytest

from datafacade.sim.books import Book
from datafacade.sim.windows import PushOut, Window, vacant_price


def random_book(random: Random) -> Book:
    book = Book(0, 0)
    for _ in range(30):
        book.bids.set(random.randint(1, 99), random.randint(1, 9))
        book.asks.set(random.randint(101, 200), random.randint(1, 9))
    return book


@pytest.mark.parametrize("push_out", ["deleted", "silent"])
@pytest.mark.parametrize("seed", range(20))
def test_a_client_that_follows_the_rule_holds_the_window(push_out: PushOut, seed: int) -> None:
    random = Random(seed)
    book = random_book(random)
    window = Window(book, 10, push_out)
    client = book.copy(10)
    silent_exits = 0
    for _ in range(400):
        for _ in range(random.randint(1, 4)):
            if random.random() < 0.5:
                book.bids.set(random.randint(1, 99), random.choice([0, 0, random.randint(1, 9)]))
            else:
                book.asks.set(random.randint(101, 200), random.choice([0, 0, random.randint(1, 9)]))
        client.apply(window.advance())
        if push_out == "silent":  # Kraken: the client truncates
            silent_exits += len(client.bids) + len(client.asks) > 20
            client = client.copy(10)
        assert client.text() == book.text(10) == window.held.text()
    if push_out == "silent":
        assert silent_exits > 0


def test_an_unchanged_window_tells_nothing() -> None:
    book = random_book(Random(1))
    window = Window(book, 5, "silent")
    book.bids.set(book.bids.prices[0], 77)  # the worst bid lies outside
    assert window.advance() == []


def test_a_vacant_price_is_inside_the_range_and_free() -> None:
    book = Book(0, 0)
    book.apply([("b", 10, 1), ("b", 11, 1), ("b", 14, 1)])
    assert vacant_price(book.bids, 11) == 12
    assert vacant_price(Book(0, 0).bids, 11) is None
