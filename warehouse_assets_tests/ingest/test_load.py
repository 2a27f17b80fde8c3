"""Whatever step a load dies in, the next one ends as if nothing had happened: of every source.

(Of logs, see `test_log_kills`.)
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.defs.forum.family import UNRECOGNISED_FILES, VOTES_FILES
from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.defs.school.family import STUDENTS_SOURCE
from warehouse_assets.defs.school.tables import STUDENTS
from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.ingest.file_kinds import FileKind, format_of
from warehouse_assets.ingest.files import load_files
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.ingest.sql_source import Limits
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import Lake
from warehouse_assets.tables import LOADS, REJECTED_RECORDS
from warehouse_assets_tests.crashes import Killed, dying_at
from warehouse_assets_tests.defs.reviews.databases import Database, review
from warehouse_assets_tests.defs.trips.journeys import Trip, content
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import deliver
from warehouse_assets_tests.ingest.sqlite_databases import make_database, student
from warehouse_assets_tests.ingest.stored import make_lake, stored
from warehouse_assets_tests.ingest.test_json_records_merged import Given

Found = tuple[list[Any], list[Any], Sequence[str]]


class Trial:
    """A source, its load, and what there is afterwards."""

    def __init__(self, folder: Path, source: str) -> None:
        folder.mkdir()
        self.folder = folder
        made: tuple[Lake, Callable[[], object], Callable[[], Found]] = getattr(self, source)()
        self.lake, self.load, self.found = made

    def rejects(self, lake: Lake) -> list[Any]:
        """Unit and position of the rejected records."""
        return stored(lake, REJECTED_RECORDS, "unit, position")

    def loads(self) -> list[Any]:
        """The loads that are known, see `LOADS_EXPECTED`."""
        return stored(self.lake, LOADS, "number, family, way, unit, arrival, rows, rejected")

    def _files(
        self, kind: FileKind, columns: str, contents: Sequence[str], most_bytes: int = 10**9
    ) -> Any:
        house = House(self.folder / "home", dg.DagsterInstance.ephemeral())
        ending = ".json" if kind.table is None else format_of(kind.table).suffixes[0]
        for number, text in enumerate(contents, start=1):
            deliver(house, f"{kind.name}-{number}{ending}", text, at=number)

        def found() -> Found:
            rows = [] if kind.table is None else stored(house.lake, kind.table, columns)
            assert house.waiting() == []
            return rows, self.rejects(house.lake), house.archived()

        return (
            house.lake,
            lambda: load_files(house.lake, house.inbox, kind, most_bytes=most_bytes),
            found,
        )

    def merged_files(self) -> Any:
        """Files whose records are merged by key, all in one commit."""

        def lines(*rows: str | tuple[int, int]) -> str:
            return "\n".join(
                row if isinstance(row, str) else json.dumps(vote(*row)) for row in rows
            )

        contents = [
            lines((1, 5), "broken", (2, 5)),
            lines("broken, too", (1, 9), (3, 5)),
            lines((4, 5)),
        ]
        return self._files(VOTES_FILES, "id, post_id, arrival", contents)

    def added_files(self) -> Any:
        """Files whose records are added as they are, each by a commit."""
        bad = "Prague,POINT (14.4 91),POINT (14.4 50),2018-05-01 10:00:00,a\n"
        trips = [[Trip("Prague")], [Trip("Turin"), Trip("Turin")], [Trip("Berlin")]]
        contents = [content(trips[0]) + bad, content(trips[1]), content(trips[2]) + bad]
        return self._files(TRIPS_FILES, "region, arrival", contents, most_bytes=1)

    def refused_files(self) -> Any:
        """Files that no table is for."""
        return self._files(UNRECOGNISED_FILES, "", ["{}"])

    def keyed_table(self) -> Any:
        """A table of a SQL database that is merged by key."""
        lake = make_lake(self.folder)
        rows = [student(1), student(2), ("x", "Ann", 7, None)]
        path = make_database(
            self.folder / "students.db",
            rows,
            "CREATE TABLE students (id, name, batch_id, created_at)",
        )
        source = replace(STUDENTS_SOURCE, limits=Limits(settled_seconds=-1))
        url = f"sqlite:///{path}"
        return (
            lake,
            lambda: load_sql(lake, source, url, True),
            lambda: (stored(lake, STUDENTS, "id"), self.rejects(lake), []),
        )

    def snapshot(self) -> Any:
        """A table of a SQL database of which the lake holds just the rows."""
        lake = make_lake(self.folder)
        database = Database("sqlite", self.folder / "source")
        bad = review(7, unixReviewTime=None, reviewTime=None)
        database.insert([review(1), review(1), review(2), bad])
        source = replace(REVIEWS_SOURCE, limits=Limits(settled_seconds=-1))
        return (
            lake,
            lambda: load_sql(lake, source, database.url, True),
            lambda: (
                stored(lake, REVIEWS_SOURCE.table, "level_0, occurrence"),
                self.rejects(lake),
                [],
            ),
        )

    def records(self) -> Any:
        """Records as a server gives them."""
        lake = make_lake(self.folder)
        given = [{"id": 1}, {"id": "x"}, {"id": 2}]
        return (
            lake,
            Given(lake, Validator(STUDENTS), given).load,
            lambda: (stored(lake, STUDENTS, "id"), self.rejects(lake), []),
        )


EXPECTED: dict[str, tuple[list[Any], list[Any], list[str]]] = {
    "merged_files": (
        [(1, 9, 2), (2, 5, 1), (3, 5, 2), (4, 5, 3)],
        [("00000001-votes-1.json", 2), ("00000002-votes-2.json", 1)],
        [f"votes/0000000{number}-votes-{number}.json" for number in (1, 2, 3)],
    ),
    "added_files": (
        [("Berlin", 3), ("Prague", 1), ("Turin", 2), ("Turin", 2)],
        [("00000001-trips-1.csv", 3), ("00000003-trips-3.csv", 3)],
        [f"trips/0000000{number}-trips-{number}.csv" for number in (1, 2, 3)],
    ),
    "refused_files": (
        [],
        [("00000001-unrecognised-1.json", 0)],
        ["unrecognised/00000001-unrecognised-1.json"],
    ),
    "keyed_table": ([(1,), (2,)], [("00000001-students.db", 3)], []),
    "snapshot": ([(1, 1), (1, 2), (2, 1)], [("00000001-reviews.db", 4)], []),
    "records": ([(1,), (2,)], [("00000001-given", 2)], []),
}

LOADS_EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "merged_files": [
        (1, "forum", "file", "00000001-votes-1.json", 1, 2, 1),
        (2, "forum", "file", "00000002-votes-2.json", 2, 2, 1),
        (3, "forum", "file", "00000003-votes-3.json", 3, 1, 0),
    ],
    "added_files": [
        (1, "trips", "file", "00000001-trips-1.csv", 1, 1, 1),
        (2, "trips", "file", "00000002-trips-2.csv", 2, 2, 0),
        (3, "trips", "file", "00000003-trips-3.csv", 3, 1, 1),
    ],
    "refused_files": [(1, None, "file", "00000001-unrecognised-1.json", 1, 0, 1)],
    # What a database or a server gives is read again: what is rejected is a load of its own.
    "keyed_table": [
        (1, "school", "database", "00000001-students.db", None, 0, 1),
        (2, "school", "database", "students.db", None, 2, 0),
    ],
    "snapshot": [
        (1, "reviews", "database", "00000001-reviews.db", None, 0, 1),
        (2, "reviews", "database", "reviews.db", None, 3, 0),
    ],
    "records": [
        (1, "school", "server", "00000001-given", None, 0, 1),
        (2, "school", "server", "given", None, 2, 0),
    ],
}
"""Number, family, way, unit and arrival of each load, its rows and rejected records."""


@pytest.mark.parametrize("source", EXPECTED)
def test_a_load_that_died_at_any_step_is_done_again(tmp_path: Path, source: str) -> None:
    # Of several parts the second is the one before and behind which there are others.
    call = 2 if source == "added_files" else 1
    points = ["rejects committed", "rows committed", "loads to be noted"]
    for point in [*points, "file archived"] if source.endswith("_files") else points:
        trial = Trial(tmp_path / point, source)
        with pytest.raises(Killed), dying_at(point, call):
            trial.load()
        trial.load()
        assert trial.found() == EXPECTED[source], point
        assert trial.loads() == LOADS_EXPECTED[source], point
    before = versions(trial.lake)
    trial.load()
    assert versions(trial.lake) == before


@pytest.mark.parametrize("source", EXPECTED)
def test_dying_again_and_again_changes_nothing(tmp_path: Path, source: str) -> None:
    trial = Trial(tmp_path / "home", source)
    for point in (
        "source to be read",
        "source read",
        "rejects committed",
        "rows committed",
        "loads to be noted",
    ):
        with suppress(Killed), dying_at(point):
            trial.load()
    trial.load()
    assert trial.found() == EXPECTED[source]
    assert trial.loads() == LOADS_EXPECTED[source]


def versions(lake: Lake) -> dict[str, int]:
    """How many entries the log of each table of the lake has."""
    return {
        path.name: len(list((path / "_delta_log").glob("*.json"))) for path in lake.folder.iterdir()
    }
