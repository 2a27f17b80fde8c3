import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.api.runs import WarmRuns
from warehouse_assets_tests.api.serving import (
    COLUMNS,
    ROW,
    Heard,
    events_url,
    eventually,
    listening_to,
    serving,
)
from warehouse_assets_tests.house import House

# A run that notes its beginning, and ends when its file is there; the first ones die then.
_STAND_IN = """
import os, signal, time
from pathlib import Path
log = Path({log!r})
with log.open("a") as stream:
    stream.write("run\\n")
while not os.path.exists({may_end!r}):
    time.sleep(0.01)
if len(log.read_text().splitlines()) <= {deaths}:
    os.kill(os.getpid(), signal.SIGKILL)
"""
_MANY_TRIPS = 100_000
_BAD_ROW = "Prague,POINT (14.4 91),POINT (14.5 50.1),2018-05-28 09:03:40,funny_car\n"
_TABLES = ("daily_trips", "trip_groups", "weekly_trips")


def check_that_it_only_goes_forwards(heard: Sequence[Heard]) -> None:
    """No phase comes twice, each in its order, and in none of them a figure gets smaller."""
    furthest: dict[tuple[str, str | None], dict[str, float]] = {}
    for event in heard:
        if event.name == "progress":
            phase = (event.data["phase"], event.data.get("table"))
            assert phase not in furthest or phase == list(furthest)[-1], heard
            before = furthest.setdefault(phase, {})
            for name in ("share", "seconds", "rows", "bytes", "done"):
                if name in event.data:
                    assert event.data[name] >= before.get(name, 0), heard
                    before[name] = event.data[name]
    phases = list(furthest)
    of_file = [phase for phase, table in phases if table is None]
    assert of_file == [name for name in ("reading", "checking", "storing") if name in of_file]
    assert of_file[-1] == "storing"
    of_tables = phases[len(of_file) :]
    assert sorted(of_tables) == sorted(
        (name, table) for table in _TABLES for name in ("computing", "publishing")
    )
    for place in range(0, len(of_tables), 2):
        (first, table), second = of_tables[place : place + 2]
        assert (first, second) == ("computing", ("publishing", table))


def stand_in(log: Path, may_end: Path, deaths: int = 0) -> Callable[[Any], object]:
    """What has `_STAND_IN` run in a process that imports nothing for it."""
    text = _STAND_IN.format(log=str(log), may_end=str(may_end), deaths=deaths)
    return partial(exec, text)


def runs_in(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_requests_that_come_during_a_run_are_one_run_after_it(tmp_path: Path) -> None:
    log, may_end = tmp_path / "log", tmp_path / "may_end"
    runs = WarmRuns(stand_in(log, may_end))
    runs.start()
    runs.request()
    eventually(lambda: runs_in(log) == 1)
    for _ in range(5):
        runs.request()
    may_end.touch()
    eventually(lambda: runs_in(log) == 2)
    time.sleep(0.3)  # a third run would have begun
    runs.stop()
    assert runs_in(log) == 2


@pytest.mark.parametrize(("deaths", "runs_had"), [(1, 2), (9, 3)])
def test_a_run_whose_process_died_is_had_again_but_not_for_ever(
    tmp_path: Path, deaths: int, runs_had: int
) -> None:
    log = tmp_path / "log"
    runs = WarmRuns(stand_in(log, tmp_path, deaths))
    runs.start()
    runs.request()
    eventually(lambda: runs_in(log) == runs_had)
    runs.request()
    eventually(lambda: runs_in(log) > runs_had)
    runs.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_upload_is_taken_by_a_run_that_dagster_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path / "home", dg.DagsterInstance.ephemeral(), INBOX_SETTLE_SECONDS="2")
    for name, value in house.environment.items():
        monkeypatch.setenv(name, value)

    with serving(house.settings, WarmRuns()) as served:
        content = COLUMNS + ROW * (_MANY_TRIPS - 2) + _BAD_ROW
        ingestion = served.ingestion(served.send(content.encode()))
        with listening_to(events_url(served, ingestion), timeout=60) as stream:
            heard = list(stream)
        names = [event.name for event in heard]
        assert names[:3] == ["received", "queued", "started"]
        assert names[-1] == "succeeded", heard[-1]
        assert (heard[-1].data["rows"], heard[-1].data["rejected"]) == (_MANY_TRIPS - 2, 1)
        check_that_it_only_goes_forwards(heard)
        second = served.ingestion(served.send((COLUMNS + ROW + ROW).encode()))
        eventually(lambda: second.is_over)

    (row,) = house.published("weekly_trips", "region, trips")
    assert row == ("Prague", _MANY_TRIPS)
    monkeypatch.setenv("DAGSTER_HOME", str(house.settings.dagster_home))
    with dg.DagsterInstance.get() as instance:
        recorded = instance.get_runs()
    assert [run.status.value for run in recorded] == ["SUCCESS", "SUCCESS"]
    told = [dict(event.data) for event in ingestion.events() if event.name == "started"]
    assert recorded[-1].run_id == told[0]["run_id"]
