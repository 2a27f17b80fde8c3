"""Merging in any batches equals merging one arrival after the other, as Python tells it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.lake import Lake
from warehouse_assets_tests.lake.tables import PETS, Stored

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
@settings(max_examples=17, deadline=None)
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
