"""In what versions differ: applied to the rows before, the changes make the rows after."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from warehouse_assets.history.changes import Change, changes_between
from warehouse_assets.lake import Lake, rearrange
from warehouse_assets_tests.lake.partial_tables import SPOTS, WALKS, walk
from warehouse_assets_tests.lake.tables import PETS, Row, Stored

_ALL = 10_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake without tables."""
    return Lake(tmp_path / "lake", tmp_path / "tmp", 10**9)


def applied(rows: Sequence[Row], changes: Sequence[Change]) -> Counter[Row]:
    """Rows after changes."""
    found = Counter(rows)
    for change in changes:
        assert change.before != change.after
        if change.before is not None:
            row = tuple(change.before.values())
            assert found[row] > 0, "what was removed was there"
            found[row] -= 1
        if change.after is not None:
            found[tuple(change.after.values())] += 1
    return +found


def _change(stored: Stored, chance: random.Random) -> None:
    """Change a table in one of the ways in which tables of its kind are changed."""
    if chance.random() < 0.3:
        rearrange(stored.lake, stored.table)
    elif stored.declaration is PETS:
        rows: list[Row] = [
            (number, chance.choice("abc"), None, 1) for number in chance.sample(range(9), 4)
        ]
        if chance.random() < 0.3:
            stored.replace(rows)
        else:
            stored.merge(rows)
    elif stored.declaration is WALKS:
        stored.append([walk(chance.choice("abc"), chance.randrange(3), 1.0, 5) for _ in range(3)])
    else:
        stored.append([(float(chance.randrange(3)), 1.0, "spot") for _ in range(3)])


@pytest.mark.parametrize("kind", ["merged by key", "added up", "without a key"])
def test_applied_to_what_was_they_make_what_is(lake: Lake, kind: str) -> None:
    declaration = {"merged by key": PETS, "added up": WALKS, "without a key": SPOTS}[kind]
    chance, stored = random.Random(kind), Stored(lake, declaration)
    stored.table.open()
    states = {0: stored.rows()}
    for _ in range(8):
        _change(stored, chance)
        states[stored.version()] = stored.rows()
    name, versions = str(declaration.name), list(states)
    with lake.connect() as connection:
        for before, after in [
            *itertools.pairwise(versions),
            (0, 1),
            (versions[-1], 1),
        ]:
            handles: list[dict[str, DeltaTable | None]] = [
                {name: DeltaTable(str(stored.table.path), version=version)}
                for version in (before, after)
            ]
            found = changes_between(lake, connection, declaration, handles[0], handles[1], _ALL)
            assert applied(states[before], found.rows) == Counter(states[after])
            assert found.total == len(found.rows)
            if before == 0 and after == 1:
                assert (found.changed, found.removed) == (0, 0)
            kinds = Counter(change.kind for change in found.rows)
            assert (found.added, found.changed, found.removed) == (
                kinds["added"],
                kinds["changed"],
                kinds["removed"],
            )


def test_a_change_of_a_key_is_told_with_old_and_new_values(lake: Lake) -> None:
    stored = Stored(lake, PETS)
    stored.merge([(1, "Rex", 30.5, 1), (2, "Tom", 4.0, 1)])
    first = stored.table.open()
    stored.replace([(1, "Max", 30.5, 1), (3, "Ada", None, 2)])

    def found(limit: int) -> Any:
        with lake.connect() as connection:
            before, after = {"pets": first}, {"pets": stored.table.open()}
            return changes_between(lake, connection, PETS, before, after, limit)

    told = found(_ALL)
    assert [(one.kind, one.before, one.after) for one in told.rows] == [
        (
            "changed",
            {"id": 1, "name": "Rex", "weight": 30.5, "arrival": 1},
            {"id": 1, "name": "Max", "weight": 30.5, "arrival": 1},
        ),
        ("removed", {"id": 2, "name": "Tom", "weight": 4.0, "arrival": 1}, None),
        ("added", None, {"id": 3, "name": "Ada", "weight": None, "arrival": 2}),
    ]
    assert (found(1).total, len(found(1).rows)) == (3, 1)
