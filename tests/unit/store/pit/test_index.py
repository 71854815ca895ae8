"""What a follower of the index is told: everything that came and went, against a plain list."""

from __future__ import annotations

from random import Random

import pytest

from datafacade.store.pit.index import Index
from datafacade.store.pit.record import ZERO, line_of

ENTITIES = ("warm.ticker/okx/BTC-USDT", "hot.book/kraken/BTC-USD")


def name_of(number: int) -> str:
    return 2 * f"{number:032x}"


def put(seq: int, name: str, entity: str) -> bytes:
    values = {
        "op": "put",
        "id": name,
        "ts": seq * 10,
        "entity": entity,
        "kind": "T",
        "size": 1,
        "rows": 1,
        "json": [1, ""],
        "meta": [1, ""],
    }
    return line_of(values, seq=seq, prev=ZERO)[0]


def drop(seq: int, name: str) -> bytes:
    return line_of({"op": "drop", "id": name, "ts": seq * 10}, seq=seq, prev=ZERO)[0]


@pytest.mark.parametrize("seed", range(8))
def test_who_follows_step_by_step_knows_what_is_live(seed: int) -> None:
    random, index = Random(seed), Index()
    live: dict[str, str] = {}
    followed: dict[str, str] = {}
    seq_seen = gone_seen = 0
    for seq in range(1, 401):
        if live and random.random() < 0.4:
            name = random.choice(sorted(live))
            del live[name]
            index.apply(drop(seq, name))
        else:
            name, entity = name_of(random.randrange(60)), random.choice(ENTITIES)
            index.apply(put(seq, name, entity))
            live.setdefault(name, entity)
        if random.random() < 0.2:
            gone = index.gone_since(gone_seen, 10_000)
            assert gone is not None
            for ref in gone:
                followed.pop(ref.id, None)
            gone_seen += len(gone)
            while news := index.since(seq_seen, 3):
                followed.update({ref.id: ref.entity for ref in news})
                seq_seen = news[-1].seq
            assert followed == live


def test_who_is_too_far_behind_is_told_to_begin_anew() -> None:
    index, count = Index(), 65_536 + 1
    index.apply(b"".join(put(number, name_of(number), ENTITIES[0]) for number in range(1, count + 1)))
    index.apply(b"".join(drop(number + count, name_of(number)) for number in range(1, count + 1)))
    assert index.gone == count
    assert index.gone_since(0, 10) is None
    last = index.gone_since(1, 2)
    assert last is not None
    assert [ref.id for ref in last] == [name_of(2), name_of(3)]
