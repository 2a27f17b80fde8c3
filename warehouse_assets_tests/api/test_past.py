"""Answers as they were."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from warehouse_assets.defs.forum.tables import OUTLIER_WEEKS
from warehouse_assets.lake import Lake, maintain
from warehouse_assets.warehouse import publish, warehouse_at
from warehouse_assets_tests.api.serving import (
    Served,
    assert_is_problem,
    pages,
    serving,
    settings_of,
)
from warehouse_assets_tests.history.rounds import moment
from warehouse_assets_tests.lake.tables import Stored

_FIRST = [(2021, 52, 9), (2022, 0, 1), (2022, 1, 12)]
_SECOND = [(2021, 52, 9), (2022, 0, 2), (2022, 2, 30)]


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

    def asked(**values: str) -> list[tuple[int, ...]]:
        rows = served.client.get(url, params=values).json()["rows"]
        return [tuple(row.values()) for row in rows]

    assert asked() == asked(as_of=second) == asked(as_of="today") == _SECOND
    assert asked(as_of=first) == asked(as_of="1") == _FIRST
    as_csv = served.client.get(url, params={"as_of": first, "format": "csv"}).text
    assert as_csv == "year,week_number,votes\r\n2021,52,9\r\n2022,0,1\r\n2022,1,12\r\n"
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
    shutil.rmtree(served.service.lake.folder)
    assert_is_problem(served.client.get(url + "today"), 422, "no outlier_weeks yet")
