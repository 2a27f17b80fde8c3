"""The write mode `merge`: rows by key, the newest arrival wins, what is known changes nothing."""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

from warehouse_assets.lake import Lake, Written
from warehouse_assets_tests.lake.tables import PETS, REX, TAGS, TOM, VISITS, Row, Stored

ADA = (3, "Ada", 9.0, 2)
MONDAY, TUESDAY = date(2024, 1, 1), date(2024, 1, 2)


class Case(NamedTuple):
    """Rows that are merged, step by step, each with what it inserts and updates; what is there."""

    table: Table
    steps: list[tuple[list[Row], tuple[int, int]]]
    after: list[Row]
    newest_by: str | None = None


BY_KEY = {
    "inserted, updated, known": Case(
        PETS,
        [
            ([REX, TOM], (2, 0)),
            ([ADA, (2, "Tom", 5.0, 2)], (1, 1)),
            ([ADA, REX], (0, 0)),
            ([(1, "Max", None, 2)], (0, 1)),
        ],
        [(1, "Max", None, 2), (2, "Tom", 5.0, 2), ADA],
    ),
    "nulls are values like others": Case(
        PETS,
        [
            ([(1, None, 1.0, None), (2, "Tom", None, None)], (2, 0)),
            ([(1, None, 1.0, None), (2, "Tom", None, None)], (0, 0)),
            ([(1, "Rex", 1.0, None), (2, None, None, None)], (0, 2)),
        ],
        [(1, "Rex", 1.0, None), (2, None, None, None)],
    ),
    "of a key staged twice the last row counts": Case(
        PETS,
        [
            ([(1, "first", 1.0, 1), TOM, (1, "last", 2.0, 1)], (2, 0)),
            ([(1, "last", 2.0, 1), (1, "first", 1.0, 1)], (0, 1)),
        ],
        [(1, "first", 1.0, 1), TOM],
    ),
    "by all columns of the key": Case(
        VISITS,
        [
            ([("Kim", MONDAY, 3), ("Kim", TUESDAY, 4), ("Lee", MONDAY, 5)], (3, 0)),
            ([("Kim", TUESDAY, 6), ("Lee", TUESDAY, 7)], (1, 1)),
        ],
        [("Kim", MONDAY, 3), ("Kim", TUESDAY, 6), ("Lee", MONDAY, 5), ("Lee", TUESDAY, 7)],
    ),
    "all key": Case(
        TAGS,
        [
            ([(1, "brown"), (1, "brown"), (1, "old")], (2, 0)),
            ([(1, "old"), (2, "old"), (2, "old")], (1, 0)),
            ([(1, "brown")], (0, 0)),
        ],
        [(1, "brown"), (1, "old"), (2, "old")],
    ),
    "a newer arrival wins and an older one never does": Case(
        PETS,
        [
            ([(1, "now", 1.0, 5), TOM], (2, 0)),
            ([(1, "old", 9.0, 4)], (0, 0)),
            ([(1, "old", 9.0, 5)], (0, 0)),
            ([(1, "new", 1.0, 6)], (0, 1)),
        ],
        [(1, "new", 1.0, 6), TOM],
        "arrival",
    ),
    "the same values keep the arrival they first came with": Case(
        PETS,
        [
            ([(1, "a", 1.0, 1), (2, "x", 1.0, 1)], (2, 0)),
            ([(1, "a", 1.0, 2), (2, "x", 1.0, 2)], (0, 0)),
            ([(1, "a", 1.0, 3), (1, "a", 1.0, 4)], (0, 0)),
        ],
        [(1, "a", 1.0, 1), (2, "x", 1.0, 1)],
        "arrival",
    ),
    "values that came back have the arrival of coming back": Case(
        PETS,
        [
            ([(1, "a", 1.0, 1)], (1, 0)),
            ([(1, "b", 1.0, 2), (1, "a", 1.0, 3), (1, "a", 1.0, 4)], (0, 1)),
        ],
        [(1, "a", 1.0, 3)],
        "arrival",
    ),
}


@pytest.mark.parametrize("case", BY_KEY.values(), ids=BY_KEY)
def test_rows_are_merged(lake: Lake, either_way: str, case: Case) -> None:
    stored = Stored(lake, case.table)
    for rows, (inserted, updated) in case.steps:
        before, version = stored.registered(), stored.version()
        written = stored.merge(rows, newest_by=case.newest_by)
        assert (written.inserted, written.updated, written.deleted) == (inserted, updated, 0)
        if not inserted + updated:
            assert (stored.registered(), stored.version()) == (before, version)
        elif not updated:  # new keys alone are added without rewriting
            assert before < stored.registered()
    assert stored.rows() == case.after


@pytest.mark.parametrize("rows", [[], [REX], [TOM], [(1, "Max", 1.0, 2), TOM]], ids=str)
def test_transactions_are_remembered_whatever_changes(
    pets: Stored, either_way: str, rows: list[Row]
) -> None:
    pets.merge([REX], {"file/a": 1})
    before = pets.registered()
    written = pets.merge(rows, {"file/b": 2})
    seen = pets.table.open()
    assert (seen.transaction_version("file/a"), seen.transaction_version("file/b")) == (1, 2)
    assert (written == Written()) == (pets.registered() == before) == (rows in ([], [REX]))


def test_delta_and_duckdb_tell_the_feed_the_same_net_change(
    lake: Lake, pets: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets.merge([REX, TOM])
    pets.merge([(1, "Max", 1.0, 2), ADA])
    assert pets.feed(2) == [
        ("insert", ADA),
        ("update_postimage", (1, "Max", 1.0, 2)),
        ("update_preimage", REX),
    ]
    monkeypatch.setattr("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", 0)
    pets.merge([(1, "Rex", 1.0, 3)])
    feed = pets.feed(3)
    gained = {row for kind, row in feed if kind == "insert"}
    lost = {row for kind, row in feed if kind == "delete"}
    assert gained - lost == {(1, "Rex", 1.0, 3)}
    assert lost - gained == {(1, "Max", 1.0, 2)}


# Key, name, weight; few of each, so that they meet.
Record = tuple[int, str | None, float | None]
Arrival = list[Record]

records = st.tuples(
    st.sampled_from([-1, 1]), st.sampled_from(["a", "b", None]), st.sampled_from([1.5, None])
)
# Each content with the number of its arrival, not necessarily in order.
histories = st.lists(
    st.tuples(st.integers(1, 99), st.lists(records, max_size=3)),
    min_size=3,
    max_size=8,
    unique_by=lambda arrival: arrival[0],
)


def one_after_the_other(
    history: Sequence[tuple[int, Arrival]],
) -> list[tuple[int, str | None, float | None, int]]:
    table: dict[int, tuple[str | None, float | None, int]] = {}
    for number, arrival in history:
        last = {key: (name, weight) for key, name, weight in arrival}
        for key, values in last.items():
            known = table.get(key)
            if known is None or (number > known[2] and values != known[:2]):
                table[key] = (*values, number)
    return [(key, *table[key]) for key in sorted(table)]


@given(
    history=histories,
    in_order=st.booleans(),
    cuts=st.sets(st.integers(1, 7), max_size=3),
    by_duckdb=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_any_batching_equals_one_arrival_after_the_other(
    history: list[tuple[int, Arrival]], in_order: bool, cuts: set[int], by_duckdb: bool
) -> None:
    if in_order:
        history = sorted(history, key=lambda arrival: arrival[0])
    bounds = sorted({0, len(history), *(cut for cut in cuts if cut < len(history))})
    batches = [history[low:high] for low, high in pairwise(bounds)]
    threshold = 0 if by_duckdb else 100_000
    with (
        TemporaryDirectory() as folder,
        patch("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", threshold),
    ):
        pets = Stored(Lake(Path(folder) / "lake", Path(folder) / "tmp", 10**9), PETS)
        for batch in batches:
            staged = [(*record, number) for number, arrival in batch for record in arrival]
            pets.merge(staged, newest_by="arrival")
        # Within a batch the arrivals count in the order of their numbers, however staged.
        expected = [pair for batch in batches for pair in sorted(batch, key=lambda p: p[0])]
        assert pets.rows() == one_after_the_other(expected)
