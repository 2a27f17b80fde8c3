"""Why a row is what it is: the rows shown account for it, whatever came in between.

The rows of all loaded tables are made by chance, twice. What is shown of the loaded tables, applied
to what they were, must give by the SELECTs the row that is asked for as it is.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from deltalake import DeltaTable

from warehouse_assets.catalogue import FAMILIES, SELECTS, TABLES
from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.defs.forum.tables import OUTLIER_WEEKS, POSTS, VOTES
from warehouse_assets.defs.reviews.tables import REVIEWS
from warehouse_assets.defs.school.tables import BATCHES, STUDENTS, TEST_RUNS
from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import Handles
from warehouse_assets.history.changes import Change, Changes
from warehouse_assets.history.select import Select, select_of
from warehouse_assets.history.why import Explanation, explain
from warehouse_assets.lake import Lake, rearrange
from warehouse_assets.orchestration.computation import compute, compute_added
from warehouse_assets.settings import Settings
from warehouse_assets.tables import aggregates, column_names, duckdb_type, key_names
from warehouse_assets_tests.lake.tables import Row, Stored

_ALL = 100_000
_SETTINGS = Settings.from_environment({})
_DAY = datetime.fromisoformat("2022-01-03")


def _day(chance: random.Random) -> datetime:
    return _DAY + timedelta(
        days=chance.choice([-20, 0, 1, 6, 7, 8, 30]), hours=chance.randrange(24)
    )


def _row(table: sa.Table, **values: Any) -> Row:
    return tuple(values.get(name) for name in column_names(table))


def _forum(chance: random.Random, stored: Mapping[sa.Table, Stored], number: int) -> None:
    posts = [
        _row(POSTS, id=n, creation_date=_day(chance), score=chance.randrange(3), arrival=number)
        for n in chance.sample(range(9), 4)
    ]
    votes = [
        _row(VOTES, id=n, post_id=chance.randrange(9), creation_date=_day(chance), arrival=number)
        for n in chance.sample(range(60), 12)
    ]
    stored[POSTS].merge(posts, newest_by="arrival")
    stored[VOTES].merge(votes, newest_by="arrival")


def _school(chance: random.Random, stored: Mapping[sa.Table, Stored], number: int) -> None:
    students = [_row(STUDENTS, id=n, batch_id=chance.randrange(4)) for n in range(8 + number)]
    batches = [_row(BATCHES, id=n, name=f"b{n}", created_at=_DAY) for n in range(3 + number % 2)]
    runs = []
    for n in range(25):
        lesson, told = chance.randrange(5), chance.choice(["both", "both", "id", "title"])
        passed = chance.randrange(2)
        runs.append(
            _row(
                TEST_RUNS,
                log_position=number * 1000 + n,
                student_id=chance.randrange(9),
                lesson_id=None if told == "title" else lesson,
                lesson_title=None if told == "id" else f"t{lesson + chance.choice([0, 0, 0, 9])}",
                tests_passed=passed,
                tests_total=1,
                is_completed=passed == 1,
            )
        )
    stored[STUDENTS].replace(students)
    stored[BATCHES].replace(batches)
    stored[TEST_RUNS].append(runs)


def _trips(chance: random.Random, stored: Mapping[sa.Table, Stored], number: int) -> None:
    rows = [
        _row(
            TRIPS,
            region=chance.choice("ab"),
            origin_lon=float(chance.randrange(2)),
            origin_lat=50.0,
            destination_lon=2.0,
            destination_lat=50.0,
            started_at=_day(chance),
            datasource=chance.choice("xy"),
            arrival=number,
        )
        for _ in range(10)
    ]
    stored[TRIPS].append(rows)


def _reviews(chance: random.Random, stored: Mapping[sa.Table, Stored], number: int) -> None:
    del number  # each time it is a source of its own, in which others are missing
    rows = {
        n: _row(
            REVIEWS,
            overall=float(chance.randrange(1, 6)),
            verified=chance.randrange(2),
            reviewerID=chance.choice(["u", "v", None]),
            productID=chance.choice(["p", "q"]),
            reviewed_at=_day(chance),
            content_hash=n,
            occurrence=1,
        )
        for n in chance.sample(range(30), 15)
    }
    stored[REVIEWS].replace(list(rows.values()))


def _deliveries(chance: random.Random, stored: Mapping[sa.Table, Stored], number: int) -> None:
    rows = []
    for n in range(30):
        newest = _DAY + timedelta(minutes=10 * (number * 30 + n))
        rows.append(
            _row(
                DELIVERIES,
                log_position=number * 1000 + n,
                customer=chance.randrange(2),
                delivery_step=chance.choice([1, 1, 2, 3, 4, 4]),
                occurred_at=newest - timedelta(minutes=10 * chance.choice([0, 0, 0, 1, 4])),
                newest_at=newest,
                horizon_at=newest - timedelta(minutes=50),
                is_rejected=False,
            )
        )
    stored[DELIVERIES].append(rows)


_CHANGES = {
    "forum": _forum,
    "school": _school,
    "trips": _trips,
    "reviews": _reviews,
    "deliveries": _deliveries,
}


class _World:
    """The lake of one family, whose loaded tables change by chance."""

    def __init__(self, folder: Path, family: str) -> None:
        self.lake = Lake(folder / "lake", folder / "tmp", 10**9)
        self.tables = FAMILIES[family]
        self.loaded = [table for table in self.tables if str(table.name) not in SELECTS]
        self.stored = {table: Stored(self.lake, table) for table in self.tables}
        for stored in self.stored.values():
            stored.table.open()
        with self.lake.connect() as connection:
            self.selects: dict[sa.Table, Select] = {
                table: select
                for table in self.tables
                if (select := select_of(connection, table)) is not None
            }

    def compute(self) -> Handles:
        """Compute all tables; returns handles on their versions."""
        for table, select in self.selects.items():
            stored = self.stored[table].table
            if aggregates(table):
                constants = _constants(table)
                compute_added(self.lake, stored, select.reads[0], select.query, constants)
            else:
                compute(self.lake, stored, select.reads, select.query, constants=_constants(table))
        handles: dict[str, DeltaTable | None] = dict.fromkeys(str(table.name) for table in TABLES)
        return {**handles, **{str(t.name): self.stored[t].table.open() for t in self.tables}}

    def rows(self, table: sa.Table, handles: Handles) -> list[dict[str, Any]]:
        with self.lake.connect() as connection:
            self.lake.view(connection, table, handles[str(table.name)])
            found = connection.execute(f'FROM "{table.name}"').fetchall()
        return [dict(zip(column_names(table), row, strict=True)) for row in found]

    def computed(
        self, table: sa.Table, inputs: Mapping[sa.Table, Sequence[Row]]
    ) -> list[dict[str, Any]]:
        """The rows of a table by its SELECT, from rows of what that reads."""
        with self.lake.connect() as connection:
            for read in self.selects[table].reads:
                columns = ", ".join(f'"{c.name}" {duckdb_type(c)}' for c in read.columns)
                connection.execute(f'CREATE TABLE "{read.name}" ({columns})')
                marks = ", ".join("?" for _ in read.columns)
                if inputs[read]:
                    insert = f'INSERT INTO "{read.name}" VALUES ({marks})'
                    connection.executemany(insert, inputs[read])
            if constants := _constants(table):
                columns = ", ".join(
                    f"CAST({v!r} AS {'BIGINT' if isinstance(v, int) else 'DOUBLE'}) AS {n}"
                    for n, v in constants.items()
                )
                connection.execute(f"CREATE TABLE constants AS SELECT {columns}")
            found = connection.execute(self.selects[table].query)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _constants(table: sa.Table) -> dict[str, float]:
    given = table.info.get("constants")
    return given(_SETTINGS) if given else {}


def _key_of(table: sa.Table, row: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(row[name]) for name in key_names(table)}


def _with_key(
    table: sa.Table, rows: Sequence[Mapping[str, Any]], key: Mapping[str, str]
) -> Mapping[str, Any] | None:
    return next((row for row in rows if _key_of(table, row) == key), None)


def _explained(
    world: _World, table: sa.Table, key: Mapping[str, str], before: Handles | None, after: Handles
) -> Explanation:
    with world.lake.connect() as connection:
        return explain(world.lake, connection, table, key, before, after, _ALL, _SETTINGS)


_Lived = Callable[[str], tuple[_World, list[Handles]]]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> _Lived:
    """Makes the world of a family once, with what it was after each of three changes."""

    @cache
    def made(family: str) -> tuple[_World, list[Handles]]:
        chance, world = random.Random(family), _World(tmp_path_factory.mktemp(family), family)
        states = []
        for number in range(3):
            _CHANGES[family](chance, world.stored, number)
            states.append(world.compute())
            rearrange(world.lake, world.stored[world.loaded[0]].table)
        return world, states

    return made


_COMPUTED = [
    (family, str(table.name))
    for family, tables in FAMILIES.items()
    for table in tables
    if str(table.name) in SELECTS
]


def _applied(rows: Sequence[Mapping[str, Any]], changes: Sequence[Change]) -> list[Row]:
    """Rows after changes."""
    found = Counter(tuple(row.values()) for row in rows)
    for change in changes:
        found.subtract([tuple(change.before.values())] if change.before else [])
        found.update([tuple(change.after.values())] if change.after else [])
    assert all(count >= 0 for count in found.values()), "what was removed was there"
    return list(found.elements())


@pytest.mark.parametrize(("family", "name"), _COMPUTED)
def test_the_changes_shown_account_for_the_whole_difference(
    lived: _Lived, family: str, name: str
) -> None:
    chance, (world, states) = random.Random(name), lived(family)
    table = next(table for table in world.tables if table.name == name)
    explained = 0
    for before, after in ((states[0], states[1]), (states[0], states[2])):
        old = {each: world.rows(each, before) for each in world.tables}
        new = world.rows(table, after)
        changed = [row for row in new if row not in old[table]]
        changed += [row for row in old[table] if row not in new]
        keys = sorted({tuple(_key_of(table, row).items()) for row in changed})
        for pairs in chance.sample(keys, min(len(keys), 3)):
            explanation = _explained(world, table, dict(pairs), before, after)
            (change,) = explanation.row.rows
            assert change.before == _with_key(table, old[table], dict(pairs))
            assert change.after == _with_key(table, new, dict(pairs))
            own = {step.table: step.changes.rows for step in explanation.steps if not step.context}
            shown = {table: list(changes) for table, changes in own.items()}
            for step in explanation.steps:  # rows of the context may be the row's own, too
                known = shown.setdefault(step.table, [])
                known += [change for change in step.changes.rows if change not in known]
            # Of each table that is computed: by its SELECT, from what that read before and the
            # changes shown of it, all rows follow that are shown.
            for computed, changes in {table: explanation.row.rows, **own}.items():
                if computed not in world.selects or not changes:
                    continue
                select = world.selects[computed]
                inputs = {r: _applied(old[r], shown.get(r, ())) for r in select.reads}
                found = world.computed(computed, inputs)
                used = _used(world, table, computed)
                for one in changes:
                    row = one.after or one.before or {}
                    made = _with_key(computed, found, _key_of(computed, row))
                    assert _only(made, used) == _only(one.after, used)
                    explained += 1
    assert explained > 0


def _used(world: _World, root: sa.Table, table: sa.Table) -> list[str]:
    """The columns of a table that matter to those for which it is read."""
    if table is root:
        return column_names(table)
    used = {
        name
        for select in world.selects.values()
        for read, names in select.columns.items()
        if read == table.name
        for name in names
    }
    return sorted({*used, *key_names(table)} - {"lesson_title", "runs", "lesson_id"})


def _only(row: Mapping[str, Any] | None, names: Sequence[str]) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in names}


@pytest.mark.parametrize(("family", "name"), _COMPUTED)
def test_the_rows_shown_of_one_moment_make_the_row(lived: _Lived, family: str, name: str) -> None:
    chance, (world, (*_, now)) = random.Random(name), lived(family)
    table = next(table for table in world.tables if table.name == name)
    rows = world.rows(table, now)
    for row in chance.sample(rows, min(len(rows), 3)):
        key = _key_of(table, row)
        explanation = _explained(world, table, key, None, now)
        shown = {step.table: step.changes for step in explanation.steps}
        assert all(not (changes.changed or changes.removed) for changes in shown.values())
        reads = world.selects[table].reads
        nothing = Changes([], 0, 0, 0, [])
        found = world.computed(table, {r: _applied([], shown.get(r, nothing).rows) for r in reads})
        made = _with_key(table, found, key)
        if table is OUTLIER_WEEKS:
            assert made is None
            assert shown[VOTES].added == row["votes"]
            assert explanation.notes == [
                "On other rows of votes depends whether the week is unusual, too."
            ]
        elif row.get("posts_voted_on") == 0:
            assert made is None
            assert "between the first and the last" in explanation.notes[0]
        else:
            kept = [each for each in column_names(table) if each != "batch_rank"]
            assert _only(made, kept) == _only(row, kept)


def test_what_is_the_same_has_no_causes_and_what_is_not_there_is_said(lived: _Lived) -> None:
    world, (*_, now) = lived("forum")
    row = world.rows(OUTLIER_WEEKS, now)[0]
    explanation = _explained(world, OUTLIER_WEEKS, _key_of(OUTLIER_WEEKS, row), now, now)
    assert explanation.row.total == 0
    assert [step for step in explanation.steps if step.changes.total] == []
    for key, words in (
        ({"year": "1999", "week_number": "1"}, "no row of outlier_weeks with year 1999"),
        ({"year": "1999"}, "told by year, week_number"),
        ({"year": "x", "week_number": "1"}, "cannot be used"),
    ):
        with pytest.raises(UsageError, match=words):
            _explained(world, OUTLIER_WEEKS, key, now, now)
    with pytest.raises(UsageError, match="has no key"):
        _explained(world, TRIPS, {}, now, now)
