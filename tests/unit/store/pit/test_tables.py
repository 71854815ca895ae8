"""Tables are kept as Parquet, and finished hours become one table each."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from datafacade.errors import InvalidRequest
from datafacade.store.pit import retention
from datafacade.store.pit.snapshot import unpack
from datafacade.store.pit.tables import compact, table_draft
from datafacade.store.pit.vault import Vault
from datafacade.store.pit.verify import verify
from tests.unit.store.pit.fakes import ENTITY, HOUR, START, ManualClock, draft, keep

HOUR_START = START // HOUR * HOUR


def test_a_table_is_kept_and_read_back_as_it_was(vault: Vault, tmp_path: Path) -> None:
    frame = pl.DataFrame({"ts": [1, 2, 3], "price": ["1.5", "2", "0.1"]})
    (ref,) = keep(vault, table_draft("reference.instruments/okx/", frame))
    assert vault.get(ref.id).frame().equals(frame)
    assert (ref.rows, ref.path.endswith(".parquet")) == (3, True)
    assert pl.read_parquet(tmp_path / "pit" / ref.path).equals(frame), "any reader of Parquet can read it"
    assert verify(vault.root).ok == 1


def test_a_finished_hour_becomes_one_table_that_holds_every_answer(vault: Vault, clock: ManualClock) -> None:
    refs = keep(vault, *(draft(n, ts_wall=HOUR_START + n * HOUR // 10) for n in range(25)))
    clock.wall = HOUR_START + 2 * HOUR + HOUR // 2
    tables = compact(vault, ENTITY)
    assert [table.rows for table in tables] == [10, 10], "the hour that still runs is left alone"
    assert {table.entity for table in tables} == {"pit.hour/binance/BTC-USDT/warm.klines%2F1h"}
    frame = vault.get(tables[0].id).frame()
    assert frame["id"].to_list() == [ref.id for ref in refs[:10]]
    assert frame["message"].to_list() == [b"answer %d" % number for number in range(10)]
    assert [unpack(packed) for packed in frame["readable"]] == [{"answer": number} for number in range(10)]
    assert compact(vault, ENTITY) == [], "nothing is written twice"
    assert [ref.rows for ref in compact(vault, ENTITY, span="day")] == []


def test_a_late_answer_gives_a_new_table_and_retention_never_a_smaller_one(
    vault: Vault, clock: ManualClock
) -> None:
    keep(vault, *(draft(n, ts_wall=HOUR_START + n) for n in range(10)))
    clock.wall = HOUR_START + 2 * HOUR
    (first,) = compact(vault, ENTITY)
    keep(vault, draft(99, ts_wall=HOUR_START + 99))
    (second,) = compact(vault, ENTITY)
    assert (first.rows, second.rows) == (10, 11)
    assert vault.at(second.entity, HOUR_START).id == second.id
    clock.wall = HOUR_START + 40 * HOUR
    retention.sweep(vault)
    assert len(vault.list(ENTITY, 0, 2**62)) < 11
    assert compact(vault, ENTITY) == []
    retention.sweep(vault, is_confirmed=True)
    assert vault.list(ENTITY, 0, 2**62) == []
    assert vault.get(second.id).frame().height == 11, "compacted tables bear a keep label"


def test_an_answer_is_no_table(vault: Vault) -> None:
    (ref,) = keep(vault, draft(1))
    with pytest.raises(InvalidRequest):
        vault.get(ref.id).frame()
