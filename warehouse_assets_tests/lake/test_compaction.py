"""Putting small files together where a table is neither folded nor clustered."""

import importlib
from typing import Any

import pytest

from warehouse_assets.lake import Lake, rearrange
from warehouse_assets_tests.lake.tables import Stored, animals, kinds

# The package has a function of the same name.
rearranging: Any = importlib.import_module("warehouse_assets.lake.rearrange")


def test_small_files_of_other_tables_are_put_together(lake: Lake, pets: Stored) -> None:
    for number in range(5):
        pets.append(animals(number, 1))
    before = pets.rows()

    assert rearrange(lake, pets.table) == 5

    assert pets.rows() == before
    assert kinds(pets) == ["compacted"]


def test_a_file_that_is_alone_is_left_alone(lake: Lake, pets: Stored) -> None:
    assert rearrange(lake, pets.table) == 0
    pets.append(animals(0, 9))
    assert rearrange(lake, pets.table) == 0
    pets.append(animals(9, 1))
    rearrange(lake, pets.table)

    pets.append(animals(10, 1))  # 10 is more than four times 1
    assert rearrange(lake, pets.table) == 0
    assert kinds(pets) == ["compacted", "part"]

    pets.append(animals(11, 1))
    pets.append(animals(12, 1))
    assert rearrange(lake, pets.table) == 13
    assert pets.rows() == animals(0, 13)


def test_large_files_need_not_be_put_together(
    lake: Lake, pets: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets.append(animals(0, 3000))
    pets.append(animals(3000, 1))
    pets.append(animals(3001, 1))
    (large,) = (f for f in pets.registered() if (pets.table.path / f).stat().st_size > 5000)
    monkeypatch.setattr(rearranging, "LARGE", 5000)

    assert rearrange(lake, pets.table) == 2

    assert large in pets.registered()
    assert kinds(pets) == ["compacted", "part"]
    assert pets.rows() == animals(0, 3002)
