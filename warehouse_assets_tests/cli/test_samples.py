"""The commands `samples` and `simulate`: sources that are made once, and that live on."""

import re
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import pytest
import requests

from warehouse_assets.cli.samples import samples
from warehouse_assets.samples.files import Places
from warehouse_assets.samples.simulator import BatchServer
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import start
from warehouse_assets_tests.samples.school_truth import batches, log_bytes, students, truth

FORUM = ["posts-sample-40-7.json", "votes-sample-40-7-1.jsonl", "votes-sample-40-7-2.jsonl.gz"]
TRIPS = ["trips-sample-30-7-1.csv", "trips-sample-30-7-2.csv.gz"]
FILES = sorted([*FORUM, *TRIPS])
SCHOOL = ["students.db", "batches.json", "test_runs.log"]

_THESE = {"votes", "trips", "students", "seed"}
# What there are other samples of is another test's.
NO_OTHERS = tuple(
    argument
    for option in samples.params
    if isinstance(option.type, click.IntRange) and option.name not in _THESE
    for argument in (option.opts[0], "0")
)
SMALL = ("--votes", "40", "--trips", "30", "--students", "20", "--seed", "7", *NO_OTHERS)


def test_samples_go_where_the_settings_look_for_them_once(command: Command, house: House) -> None:
    result = command("samples", *SMALL)

    made = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert made == [
        *(str(house.settings.inbox / name) for name in (*FORUM, *TRIPS)),
        *(str(house.settings.home / "sources" / name) for name in SCHOOL),
    ]
    places = Places.of(house.settings)
    assert (house.waiting(), len(students(places))) == (FILES, 20)

    log = log_bytes(places)
    again = command("samples", *SMALL, "--students", "30")

    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == f"There already, and left as they are: {', '.join(made)}\n"
    assert (house.waiting(), log_bytes(places)) == (FILES, log)


def test_samples_go_into_another_folder_and_no_students_are_no_school(
    command: Command, house: House, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "folder"
    for more, new in ((("--students", "0"), [*FORUM, *TRIPS]), ((), SCHOOL)):
        result = command("samples", *SMALL, "--into", folder, *more)
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [str(folder / name) for name in new]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, *SCHOOL])
    assert not house.settings.home.exists()


def test_sources_of_ones_own_are_never_touched(command: Command, tmp_path: Path) -> None:
    for name in SCHOOL:
        mine = tmp_path / name[:3] / name
        mine.parent.mkdir()
        mine.write_text("mine")

        result = command("samples", *SMALL, "--into", mine.parent)

        assert result.exit_code == 0
        assert result.stderr == f"There already, and left as they are: {mine}\n"
        assert mine.read_text() == "mine"
        assert sorted(path.name for path in mine.parent.iterdir()) == sorted([*FILES, name])


def test_a_folder_that_cannot_be_written_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")

    for students_wanted in ("0", "5"):
        result = command(
            "samples", "--students", students_wanted, "--into", tmp_path / "file" / "folder"
        )

        assert result.exit_code == 1
        assert f"Error: {tmp_path / 'file' / 'folder'}" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        "samples --votes -1",
        "samples --votes many",
        "samples --seed x",
        "simulate --rate -1",
        "simulate --rate nan",
        "simulate --seconds nan",
        "simulate --seconds soon",
        "simulate --port 70000",
        "simulate --rotate-every 0",
        "simulate --journal none",
    ],
)
def test_what_makes_no_sense_is_wrong_usage(command: Command, arguments: str) -> None:
    assert command(*arguments.split()).exit_code == 2


SIMULATE = ("warehouse", "simulate", "--port", "0")


@pytest.fixture
def places(house: House) -> Places:
    return Places.of(house.settings)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def begun(process: subprocess.Popen[str]) -> list[str]:
    """The lines that a simulation prints first."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ctrl-C"):
        lines.append(process.stdout.readline().rstrip("\n"))
        assert lines[-1], process.communicate()
    return lines


def test_it_runs_until_it_is_stopped_and_goes_on_when_started_again(
    house: House, places: Places, command: Command
) -> None:
    process = start(house, *SIMULATE, "--rate", "400")
    lines = begun(process)
    wait_for(lambda: places.log.exists() and places.log.stat().st_size > 5000)
    address = re.fullmatch(r"BATCHES_URL=(http://127\.0\.0\.1:\d+)", lines[-2])
    assert address is not None
    assert requests.get(f"{address[1]}/batches", timeout=60).json()[0]["id"] == 1
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=120)

    assert (process.returncode, stderr) == (0, "")
    assert lines[:3] == [
        f"Students:  {places.students}",
        f"Batches:   {places.batches}",
        f"Test runs: {places.log}",
    ]
    assert re.search(
        r"^Made: \d+ students \(\d+ changes\), \d+ batches, \d+ test runs, ", stdout, re.MULTILINE
    )
    assert "1 requests (0 failed)" in stdout

    before = log_bytes(places)
    ended = command(*SIMULATE[1:], "--rate", "0", "--seconds", "0.3")

    assert ended.exit_code == 0, ended.stderr
    assert log_bytes(places).startswith(before)
    assert len(log_bytes(places)) > len(before)


def test_killed_and_started_again_it_goes_on(
    house: House, places: Places, command: Command
) -> None:
    options = ("--rate", "0", "--rotate-every", "3000", "--journal", "alternating")
    process = start(house, *SIMULATE, *options)
    begun(process)
    wait_for(partial(_has_grown, places, 300_000))
    process.kill()
    process.communicate()
    before = truth(places)

    assert command(*SIMULATE[1:], *options, "--seconds", "0.1").exit_code == 0

    numbers = [row[0] for row in students(places)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [row[0] for row in batches(places)] == list(range(1, len(batches(places)) + 1))
    runs = truth(places)["runs"]
    assert set(before["runs"]) - set(runs) == set()
    assert len(runs) > len(before["runs"]) > 3000


def _has_grown(places: Places, size: int) -> bool:
    try:
        return len(log_bytes(places)) > size
    except FileNotFoundError:  # rotated meanwhile
        return False


def test_a_port_in_use_is_told_and_nothing_is_made(command: Command, house: House) -> None:
    with BatchServer(list) as server:
        port = server.address.rsplit(":", 1)[1]
        result = command("simulate", "--port", port, "--seconds", "0.1")

    assert result.exit_code == 1
    assert f"Error: The batches cannot be served at port {port}" in result.output
    assert not house.settings.home.exists()


def test_a_port_may_come_from_the_setting(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BatchServer(list) as server:
        address = server.address
    monkeypatch.setenv("BATCHES_URL", address)

    result = command("simulate", "--seconds", "0.1")

    assert result.exit_code == 0
    assert f"BATCHES_URL={address}\n" in result.stdout


def test_an_address_of_another_host_is_refused(
    command: Command, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("https://school.example.com", "http://10.0.0.1:8765", "https://127.0.0.1:8765"):
        monkeypatch.setenv("BATCHES_URL", url)
        for name in ("samples", "simulate"):
            result = command(name)
            assert result.exit_code == 1
            assert f"Error: The setting BATCHES_URL is '{url}'" in result.output
    assert not house.settings.home.exists()


def test_the_sources_are_where_the_settings_have_them(
    command: Command, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDENTS_DB", str(tmp_path / "a" / "s.db"))
    monkeypatch.setenv("BATCHES_URL", str(tmp_path / "b" / "b.json"))
    monkeypatch.setenv("TEST_RUNS_LOG", str(tmp_path / "c" / "runs.txt"))
    monkeypatch.setenv("DELIVERIES_FEED", str(tmp_path / "d" / "steps.jsonl"))

    result = command("simulate", "--port", "0", "--rate", "0", "--seconds", "0.3")

    assert result.exit_code == 0
    for name in ("a/s.db", "b/b.json", "c/runs.txt", "d/steps.jsonl"):
        assert (tmp_path / name).stat().st_size > 100
    assert not house.settings.home.exists()
