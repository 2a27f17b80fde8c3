import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.api.runs import Runs
from warehouse_assets.ingestions import Ingestion, Ingestions
from warehouse_assets_tests.api.serving import (
    COLUMNS,
    REPOSITORY,
    ROW,
    Heard,
    client,
    eventually,
    listening_to,
)
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import BIN, fork

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
_SERVE = "from warehouse_assets.cli import service; service.serve()"
_MANY_TRIPS = 100_000
_BAD_ROW = "Prague,POINT (14.4 91),POINT (14.5 50.1),2018-05-28 09:03:40,funny_car\n"
_TABLES = ("daily_trips", "trip_groups", "weekly_trips")


@pytest.fixture(scope="module")
def warm() -> None:
    """Start the process from which all are forked, with what other tests need of it, too."""
    fork(int).join()


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


@pytest.mark.usefixtures("warm")
def test_requests_that_come_during_a_run_are_one_run_after_it(tmp_path: Path) -> None:
    log, may_end = tmp_path / "log", tmp_path / "may_end"
    runs = Runs(stand_in(log, may_end))
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


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(("deaths", "runs_had"), [(1, 2), (9, 3)])
def test_a_run_whose_process_died_is_had_again_but_not_for_ever(
    tmp_path: Path, deaths: int, runs_had: int
) -> None:
    log = tmp_path / "log"
    runs = Runs(stand_in(log, tmp_path, deaths))
    runs.start()
    runs.request()
    eventually(lambda: runs_in(log) == runs_had)
    runs.request()
    eventually(lambda: runs_in(log) > runs_had)
    runs.stop()


@contextmanager
def command(environment: Mapping[str, str], *options: str) -> Iterator[Any]:
    """The command as people start it, and what it prints."""
    process = subprocess.Popen(
        [str(BIN / "python"), "-c", _SERVE, *options],
        env={**os.environ, **environment, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def children_of(process_id: int) -> list[int]:
    """The processes that `process_id` has started."""
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def has_ended(process_id: int) -> bool:
    """Whether a process that is not our own child has ended."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs to see other processes")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_command_takes_uploads_by_runs_that_dagster_records_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path / "home", dg.DagsterInstance.ephemeral(), INBOX_SETTLE_SECONDS="2")
    journals = Ingestions(house.settings.ingestions)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with (
        command(house.environment, "--port", address.rpartition(":")[2]) as process,
        client() as web,
    ):
        assert process.stdout.readline().split()[4] == address

        def send(content: str) -> Ingestion:
            url, headers = f"{address}/trips/ingestions", {"Content-Type": "text/csv"}
            sent = web.post(url, data=content.encode(), headers=headers)
            found = journals.get(sent.json()["id"])
            assert found is not None
            return found

        ingestion = send(COLUMNS + ROW * (_MANY_TRIPS - 2) + _BAD_ROW)
        url = f"{address}/trips/ingestions/{ingestion.id}/events"
        with listening_to(url, timeout=60) as stream:
            heard = list(stream)
        names = [event.name for event in heard]
        assert names[:3] == ["received", "queued", "started"]
        assert names[-1] == "succeeded", heard[-1]
        assert (heard[-1].data["rows"], heard[-1].data["rejected"]) == (_MANY_TRIPS - 2, 1)
        check_that_it_only_goes_forwards(heard)
        second = send(COLUMNS + ROW + ROW)
        eventually(lambda: second.is_over)
        started = children_of(process.pid)
        assert len(started) >= 2
        process.kill()
    eventually(lambda: all(has_ended(child) for child in started), seconds=600)

    (row,) = house.published("weekly_trips", "region, trips")
    assert row == ("Prague", _MANY_TRIPS)
    monkeypatch.setenv("DAGSTER_HOME", str(house.settings.dagster_home))
    with dg.DagsterInstance.get() as instance:
        recorded = instance.get_runs()
    assert recorded[-1].status.value == "SUCCESS"
    told = [dict(event.data) for event in ingestion.events() if event.name == "started"]
    assert recorded[-1].run_id == told[0]["run_id"]
