"""Answers as they were, how they changed, and as they change."""

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.defs.forum.tables import OUTLIER_WEEKS, VOTES
from warehouse_assets.lake import Lake, maintain
from warehouse_assets.warehouse import publish, warehouse_at
from warehouse_assets_tests.api.serving import (
    Process,
    Served,
    assert_is_problem,
    client,
    events_in,
    pages,
    served_by_a_process,
    serving,
    settings_of,
)
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.history.rounds import moment
from warehouse_assets_tests.lake.tables import Stored

_FIRST = [(2021, 52, 9, None), (2022, 0, 1, None), (2022, 1, 12, None)]
_SECOND = [(2021, 52, 9, None), (2022, 0, 2, None), (2022, 2, 30, None)]


@pytest.fixture
def moments(tmp_path: Path) -> Iterator[tuple[Served, list[str]]]:
    """A service, and two moments at which outlier_weeks was published as `_FIRST` and `_SECOND`."""
    settings = settings_of(tmp_path / "home")
    lake, warehouse = Lake.of(settings), warehouse_at(settings.warehouse_url)
    stored, found = Stored(lake, OUTLIER_WEEKS), []
    for rows in (_FIRST, _SECOND):
        stored.replace(rows)
        publish(lake, warehouse, stored.table)
        found.append(moment())
    with serving(settings) as served:
        yield served, found


def test_an_answer_is_given_as_it_was_published(moments: tuple[Served, list[str]]) -> None:
    served, (first, second) = moments
    url = f"{served.address}/answers/outlier_weeks"

    def asked(**values: str) -> list[tuple[int | None, ...]]:
        rows = served.client.get(url, params=values).json()["rows"]
        return [tuple(row.values()) for row in rows]

    assert asked() == asked(as_of=second) == asked(as_of="today") == _SECOND
    assert asked(as_of=first) == asked(as_of="1") == _FIRST
    as_csv = served.client.get(url, params={"as_of": first, "format": "csv"}).text
    assert as_csv == (
        "year,week_number,votes,week_start\r\n2021,52,9,\r\n2022,0,1,\r\n2022,1,12,\r\n"
    )
    found = pages(served, "/answers/outlier_weeks", as_of=first, limit=2)
    assert [len(page["rows"]) for page in found] == [2, 1]


def test_what_cannot_be_asked_for_is_refused(moments: tuple[Served, list[str]]) -> None:
    served, _ = moments
    url = f"{served.address}/answers/outlier_weeks?as_of="
    for wrong, words in (("2999-01-01", "future"), ("soon", "no moment"), ("77", "the last is 2")):
        assert_is_problem(served.client.get(url + wrong), 422, words)
    assert_is_problem(served.client.get(url + "2001-01-01"), 422, "no outlier_weeks yet")
    maintain(served.service.lake, served.service.lake.table(OUTLIER_WEEKS), 0)
    assert_is_problem(served.client.get(url + "1"), 410, "Version 1", "The oldest that there is")
    shutil.rmtree(folder_of(served.service.lake.folder))
    assert_is_problem(served.client.get(url + "today"), 422, "no outlier_weeks yet")


def test_changes_are_told_with_old_and_new_values(moments: tuple[Served, list[str]]) -> None:
    served, (first, _) = moments
    url = f"{served.address}/answers/outlier_weeks/changes"
    found = served.client.get(url, params={"since": first}).json()

    assert (found["added"], found["changed"], found["removed"]) == (1, 1, 1)
    assert [(row["change"], row["before"], row["after"]) for row in found["rows"]] == [
        (
            "changed",
            {"year": 2022, "week_number": 0, "votes": 1, "week_start": None},
            {"year": 2022, "week_number": 0, "votes": 2, "week_start": None},
        ),
        ("removed", {"year": 2022, "week_number": 1, "votes": 12, "week_start": None}, None),
        ("added", None, {"year": 2022, "week_number": 2, "votes": 30, "week_start": None}),
    ]
    as_csv = served.client.get(url, params={"since": first, "format": "csv", "limit": "1"}).text
    assert as_csv == (
        "change,year,week_number,votes,week_start,"
        "year_before,week_number_before,votes_before,week_start_before\r\n"
        "changed,2022,0,2,,2022,0,1,\r\n"
    )
    assert served.client.get(url, params={"since": "2", "until": "2"}).json()["rows"] == []
    # Before yesterday there was nothing: all is new.
    assert served.client.get(url).json()["added"] == 3
    assert_is_problem(served.client.get(f"{url}?since=2999-01-01"), 422, "future")


def test_why_is_answered_down_to_what_came_in(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home")
    lake, warehouse = Lake.of(settings), warehouse_at(settings.warehouse_url)
    votes, weeks, found = Stored(lake, VOTES), Stored(lake, OUTLIER_WEEKS), []
    monday = datetime.fromisoformat("2022-01-03")
    for number in (1, 2):
        votes.append([(number, 7, 2, None, None, monday, number)])
        weeks.replace([(2022, 1, number, monday.date())])
        for stored in (votes, weeks):
            publish(lake, warehouse, stored.table)
        found.append(moment())
    archived = settings.archive / "votes" / "00000002-late.jsonl"
    archived.parent.mkdir(parents=True)
    archived.write_text("{}")
    with serving(settings) as served:
        url = f"{served.address}/answers/outlier_weeks/why"
        key = {"year": "2022", "week_number": "1"}
        told = served.client.get(url, params={**key, "since": found[0]}).json()
        assert [told["row"][side]["votes"] for side in ("before", "after")] == [1, 2]
        (step,) = told["steps"]
        assert (step["table"], step["added"], step["rows"][0]["after"]["id"]) == ("votes", 1, 2)
        assert step["places"] == ["00000002-late.jsonl"]
        assert step["files"] == {"00000002-late.jsonl": 1}
        (row,) = served.client.get(f"{served.address}{step['urls'][0]}").json()["items"]
        assert row == step["rows"][0]["after"]
        now = served.client.get(url, params=key).json()
        assert [step["added"] for step in now["steps"]] == [2]
        assert "depends whether the week is unusual" in now["notes"][0]
        same = served.client.get(url, params={**key, "since": found[1]}).json()
        assert (same["row"], same["steps"]) == (None, [])
        assert_is_problem(served.client.get(url, params={"year": "2022"}), 422, "week_number")
        assert_is_problem(served.client.get(url, params={**key, "x": "1"}), 422, "'x'")
        question = f"{served.address}/answers/regions_with_cheap_mobile/why"
        assert_is_problem(served.client.get(question), 422, "question without a key")


class _Client:
    """Has the answer `outlier_weeks` by applying the events of its stream."""

    def __init__(self) -> None:
        self.weeks: dict[tuple[int, int], int] = {}
        self.kinds: list[str] = []
        self.last: str | None = None

    def hear(self, process: Process, until: Callable[[], bool]) -> None:
        """Listen, and apply what comes, until it has happened."""
        url = f"{process.address}/answers/outlier_weeks/events"
        headers = {"Last-Event-ID": self.last} if self.last else {}
        with (
            client() as session,
            session.get(url, stream=True, headers=headers, timeout=60) as stream,
        ):
            heard = events_in(stream)
            while not until():
                self._apply(*next(heard))

    def _apply(self, number: str | None, kind: str, data: Any) -> None:
        self.kinds.append(kind)
        self.last = number
        if kind == "rows":
            self.weeks = {(row["year"], row["week_number"]): row["votes"] for row in data["rows"]}
            return
        for row in data["rows"]:
            key = row["after"] or row["before"]
            self.weeks.pop((key["year"], key["week_number"]), None)
            if row["after"]:
                self.weeks[key["year"], key["week_number"]] = key["votes"]


def test_who_applies_the_events_has_the_answer_whatever_is_killed(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home")
    lake, warehouse = Lake.of(settings), warehouse_at(settings.warehouse_url)
    stored, weeks = Stored(lake, OUTLIER_WEEKS), dict[tuple[int, int], int]()
    chance, listener = random.Random(7), _Client()

    def change() -> None:
        for number in chance.sample(range(30), 5):
            weeks[2022, number] = chance.randrange(1000)
        for gone in chance.sample(sorted(weeks), 2):
            del weeks[gone]
        stored.replace([(*key, votes, None) for key, votes in weeks.items()])
        publish(lake, warehouse, stored.table)

    for number in range(4):
        change()  # while nobody listens
        with served_by_a_process(settings.home) as process:
            for _ in range(2):
                listener.hear(process, lambda: listener.weeks == weeks)
                change()
            listener.hear(process, lambda: listener.weeks == weeks)
            process.tell_to_end(signal.SIGKILL)
        if number == 2:
            change()
            maintain(lake, stored.table, 0)  # what the listener knows is gone: it begins anew
    with served_by_a_process(settings.home) as process, client() as session:
        rows = session.get(f"{process.address}/answers/outlier_weeks").json()["rows"]
    assert {(r["year"], r["week_number"]): r["votes"] for r in rows} == listener.weeks == weeks
    assert [n for n, kind in enumerate(listener.kinds) if kind == "rows"] == [0, 9]
