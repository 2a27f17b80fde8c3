import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.api.runs import Runs
from warehouse_assets_tests.api.serving import (
    COLUMNS,
    REPOSITORY,
    ROW,
    client,
    eventually,
    listening_to,
)
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import BIN, fork
from warehouse_assets_tests.ports import free_port

# A run that notes its beginning, and ends when its file is there; the first ones die then.
_STAND_IN = """
import os, signal, time
from pathlib import Path
log = Path({log!r})
with log.open("a") as stream:
    stream.write(" ".join(assets) + "\\n")
while not os.path.exists({may_end!r}):
    time.sleep(0.01)
if len(log.read_text().splitlines()) <= {deaths}:
    os.kill(os.getpid(), signal.SIGKILL)
"""
_SERVE = "from warehouse_assets.cli import service; service.serve()"
_MANY_TRIPS = 10_000
_BAD_ROW = "Prague,POINT (14.4 91),POINT (14.5 50.1),2018-05-28 09:03:40,funny_car\n"


@pytest.fixture(scope="module")
def warm() -> None:
    """Start the process from which all are forked, with what other tests need of it, too."""
    fork(int).join()


def stand_in(log: Path, may_end: Path, deaths: int = 0) -> Callable[[Any, Any], object]:
    """What has `_STAND_IN` run in a process that imports nothing for it."""
    text = _STAND_IN.format(log=str(log), may_end=str(may_end), deaths=deaths)
    return partial(_execute, text)


def _execute(text: str, environment: Any, assets: Any) -> None:
    exec(text, {"assets": assets})


def runs_in(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.usefixtures("warm")
def test_requests_that_come_during_a_run_are_one_run_after_it(tmp_path: Path) -> None:
    log, may_end = tmp_path / "log", tmp_path / "may_end"
    runs = Runs(stand_in(log, may_end))
    runs.start()
    runs.request("trips")
    eventually(lambda: runs_in(log) == 1)
    for asset in ("votes", "trips", "votes", "posts", "votes"):
        runs.request(asset)
    may_end.touch()
    eventually(lambda: runs_in(log) == 2)
    time.sleep(0.3)  # a third run would have begun
    runs.stop()
    assert log.read_text().splitlines() == ["trips", "posts trips votes"]


@pytest.mark.usefixtures("warm")
def test_a_run_whose_process_died_is_had_again_but_not_for_ever(tmp_path: Path) -> None:
    for deaths, runs_had in ((1, 2), (9, 3)):
        log = tmp_path / f"log {deaths}"
        runs = Runs(stand_in(log, tmp_path, deaths))
        runs.start()
        runs.request("trips")
        eventually(partial(lambda log, least: runs_in(log) == least, log, runs_had))
        runs.request("trips")
        eventually(partial(lambda log, least: runs_in(log) > least, log, runs_had))
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
    port = str(free_port())
    address = f"http://127.0.0.1:{port}"
    with command(house.environment, "--port", port) as process, client() as web:
        assert process.stdout.readline().split()[4] == address

        content = COLUMNS + ROW * (_MANY_TRIPS - 1) + _BAD_ROW
        headers = {"Content-Type": "text/csv"}
        sent = web.post(f"{address}/trips/ingestions", content.encode(), headers=headers).json()
        with listening_to(sent["events_url"], timeout=60) as stream:
            heard = list(stream)
        names = [event.name for event in heard]
        assert names[:3] == ["received", "queued", "started"]
        assert names[-1] == "succeeded", heard[-1]
        assert (heard[-1].data["rows"], heard[-1].data["rejected"]) == (_MANY_TRIPS - 1, 1)
        progress = [event.data for event in heard if event.name == "progress"]
        phases = [key for key, _ in groupby((d["phase"], d.get("table")) for d in progress)]
        assert len(phases) == len(set(phases))  # none comes again
        of_tables = [phase for phase in phases if phase[1]]
        assert phases[-len(of_tables) - 1 :] == [("storing", None), *of_tables]
        assert of_tables[::2] == [("computing", table) for _, table in of_tables[1::2]]
        assert {phase for phase, _ in of_tables[1::2]} == {"publishing"}
        votes = b'{"Id": 1, "PostId": 1, "CreationDate": "2022-01-03T00:00:00.000"}\n{"Id": 2}\n'
        headers = {"Content-Type": "application/x-ndjson"}
        sent = web.post(f"{address}/v1/votes/ingestions", votes, headers=headers).json()
        with listening_to(sent["events_url"], timeout=60) as stream:
            of_votes = list(stream)
        assert of_votes[-1].name == "succeeded", of_votes[-1]
        assert (of_votes[-1].data["rows"], of_votes[-1].data["rejected"]) == (1, 1)
        status = web.get(sent["status_url"]).json()
        (rejected,) = web.get(status["rejected_url"]).json()["items"]
        assert (rejected["source"], rejected["position"]) == ("votes", 2)
        started = children_of(process.pid)
        assert len(started) >= 2
        process.kill()
    eventually(lambda: all(has_ended(child) for child in started), seconds=600)

    (row,) = house.published("weekly_trips", "region, trips")
    assert row == ("Prague", _MANY_TRIPS - 1)
    monkeypatch.setenv("DAGSTER_HOME", str(house.settings.dagster_home))
    with dg.DagsterInstance.get() as instance:
        recorded = instance.get_runs()
        of_newest = instance.all_logs(recorded[0].run_id)
    assert [run.status.value for run in recorded] == ["SUCCESS"] * 2
    assert recorded[1].run_id == heard[2].data["run_id"]
    steps = {entry.step_key for entry in of_newest}
    assert {"votes", "outlier_weeks", "rejected_records"} <= steps
    assert not {"trips", "posts"} & steps
