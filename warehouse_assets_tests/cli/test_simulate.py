"""The `simulate` command, as a process that is stopped, killed and started again."""

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

from warehouse_assets.cli import simulation
from warehouse_assets.samples import simulator
from warehouse_assets.samples.school_expected import expected_batch_completions
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_server import BatchServer
from warehouse_assets.samples.school_writer import complete
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import start
from warehouse_assets_tests.samples.school_truth import (
    assert_sources_are_as_recorded,
    log_bytes,
    rows,
)

SIMULATE = ("warehouse", "simulate", "--port", "0")


@pytest.fixture
def places(house: House) -> Places:
    return Places.of(house.settings)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def has_grown(places: Places, size: int) -> bool:
    """Whether the record of the log, its rotated parts included, is of that size."""
    if not places.ledger.exists():
        return False
    ends = rows(places.ledger, "SELECT value FROM facts WHERE name = 'end'")
    return bool(ends) and ends[0][0] > size


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
    assert_sources_are_as_recorded(places)

    before = log_bytes(places)
    ended = command(*SIMULATE[1:], "--rate", "0", "--seconds", "0.3")

    assert ended.exit_code == 0, ended.stderr
    assert log_bytes(places).startswith(before)
    assert len(log_bytes(places)) > len(before)
    assert_sources_are_as_recorded(places)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_other_signals_stop_it_too(house: House, places: Places, number: int) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("whoever runs the tests has its processes ignore it")
    process = start(house, *SIMULATE, "--rate", "0")
    begun(process)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)

    assert (process.returncode, stderr) == (0, "")
    assert_sources_are_as_recorded(places)


def test_killed_and_started_again_it_loses_and_repeats_nothing(
    house: House, places: Places, command: Command
) -> None:
    for kills in range(1, 4):
        process = start(
            house, *SIMULATE, "--rate", "0", "--rotate-every", "3000", "--journal", "alternating"
        )
        begun(process)
        wait_for(partial(has_grown, places, 400_000 * kills))
        process.kill()
        process.communicate()

    complete(places)

    assert_sources_are_as_recorded(places)
    assert len(expected_batch_completions(places.ledger)) > 2

    ended = command("samples", "--reset")

    assert ended.exit_code == 0, ended.stderr
    assert not places.made.parent.exists()


def test_it_says_what_there_is_every_few_seconds(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "_REPORT_SECONDS", 0.05)
    monkeypatch.setattr(simulation, "_SECONDS_BETWEEN_LINES", 2)

    result = command("simulate", "--port", "0", "--rate", "100", "--seconds", "1")

    assert result.exit_code == 0
    lines = [line for line in result.stdout.splitlines() if re.match(r"\d\d:\d\d:\d\d  \d", line)]
    assert len(lines) > 2
    assert result.stdout.splitlines()[-1].startswith("Altogether: ")


def test_the_journals_offered_are_those_there_are() -> None:
    (option,) = (option for option in simulation.simulate.params if option.name == "journal")

    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == simulator.JOURNALS


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rate", "-1"],
        ["--rate", "nan"],
        ["--seconds", "nan"],
        ["--seconds", "soon"],
        ["--port", "70000"],
        ["--rotate-every", "0"],
        ["--journal", "none"],
    ],
)
def test_what_makes_no_sense_is_wrong_usage(command: Command, arguments: list[str]) -> None:
    assert command("simulate", *arguments).exit_code == 2


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


@pytest.mark.parametrize("name", ["samples", "simulate"])
@pytest.mark.parametrize(
    "url", ["https://school.example.com", "http://10.0.0.1:8765", "https://127.0.0.1:8765"]
)
def test_an_address_of_another_host_is_refused(
    command: Command, house: House, monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    monkeypatch.setenv("BATCHES_URL", url)

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
    assert [path.name for path in (house.settings.home / "sources").iterdir()] == [".made"]

    assert command("samples", "--reset").exit_code == 0
    assert [path.name for path in (tmp_path / "c").iterdir()] == []
