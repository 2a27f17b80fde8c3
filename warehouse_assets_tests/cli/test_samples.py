"""The `samples` command: where samples go, that they are there once, and that they go again."""

from pathlib import Path

import click
import pytest

from warehouse_assets.cli.simulation import samples
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_writer import SchoolWriter
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House
from warehouse_assets_tests.samples.school_truth import (
    assert_sources_are_as_recorded,
    log_bytes,
    students,
)

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
# Where they are not looked at: they take longer than the others.
NO_TRIPS = ("--trips", "0")


def test_samples_go_where_the_settings_look_for_them(command: Command, house: House) -> None:
    result = command("samples", *SMALL)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        *(str(house.settings.inbox / name) for name in (*FORUM, *TRIPS)),
        *(str(house.settings.home / "sources" / name) for name in SCHOOL),
    ]
    assert house.waiting() == FILES
    assert len(students(Places.of(house.settings))) == 20
    assert_sources_are_as_recorded(Places.of(house.settings))


def test_samples_go_into_another_folder(command: Command, house: House, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"

    result = command("samples", *SMALL, "--into", folder)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(folder / name) for name in (*FORUM, *TRIPS, *SCHOOL)]
    assert sorted(path.name for path in folder.iterdir()) == sorted([".made", *FILES, *SCHOOL])
    assert not house.settings.home.exists()


def test_a_relative_folder_is_below_the_current_one(command: Command) -> None:
    assert command("samples", *SMALL, *NO_TRIPS, "--into", "here").exit_code == 0
    assert Path("here", "students.db").exists()

    assert command("samples", "--into", "here", "--reset").exit_code == 0
    assert not Path("here").exists()


def test_no_students_are_no_school(command: Command, house: House) -> None:
    result = command("samples", *SMALL, "--students", "0")

    assert [Path(line).name for line in result.stdout.splitlines()] == [*FORUM, *TRIPS]
    assert [path.name for path in house.settings.home.iterdir()] == ["inbox"]


def test_no_trips_are_no_files_of_them(command: Command, house: House) -> None:
    result = command("samples", *SMALL, "--students", "0", "--trips", "0")

    assert [Path(line).name for line in result.stdout.splitlines()] == FORUM
    assert house.waiting() == FORUM


def test_by_default_there_are_500_students(command: Command, house: House) -> None:
    command("samples", "--votes", "0", "--trips", "0", *NO_OTHERS)

    assert len(students(Places.of(house.settings))) == 500
    assert log_bytes(Places.of(house.settings)).count(b"\n") == 20_000


def test_samples_made_twice_are_there_once(command: Command, house: House) -> None:
    first = command("samples", *SMALL)
    log = log_bytes(Places.of(house.settings))

    second = command("samples", *SMALL)

    assert second.output == first.output
    assert log_bytes(Places.of(house.settings)) == log


def test_a_school_of_another_size_is_told_of_and_stays(command: Command, house: House) -> None:
    command("samples", *SMALL, *NO_TRIPS)

    result = command("samples", *SMALL, *NO_TRIPS, "--students", "30")

    assert result.exit_code == 0
    assert "a school already, with 20 students and seed 7: it stays as it is" in result.stderr
    assert len(students(Places.of(house.settings))) == 20


@pytest.mark.parametrize("name", SCHOOL)
def test_sources_of_ones_own_are_never_touched(command: Command, house: House, name: str) -> None:
    mine = house.settings.home / "sources" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")

    for arguments in (["samples", *SMALL], ["simulate", "--port", "0"]):
        result = command(*arguments)

        assert result.exit_code == 1
        assert f"Error: {mine} is there already and was not made as a sample" in result.output
    assert "nothing that was made" in command("samples", "--reset").stdout
    assert mine.read_text() == "mine"
    assert [path.name for path in mine.parent.iterdir()] == [name]
    assert not house.settings.inbox.exists()


def test_reset_says_what_it_removes_and_leaves_the_rest(command: Command, house: House) -> None:
    made = command("samples", *SMALL).stdout.splitlines()
    house.deliver("votes-mine.jsonl", "")

    result = command("samples", "--reset")

    assert sorted(result.stdout.splitlines()) == sorted(f"Removed {path}" for path in made)
    assert house.waiting() == ["votes-mine.jsonl"]
    assert [path.name for path in house.settings.home.iterdir()] == ["inbox"]


def test_reset_says_what_it_leaves_because_it_was_changed(command: Command, house: House) -> None:
    command("samples", *SMALL, *NO_TRIPS)
    log = house.settings.test_runs_log
    with log.open("a") as stream:
        stream.write("mine\n")

    result = command("samples", "--reset")

    assert result.exit_code == 0
    assert result.stderr == f"Left {log}: it was changed since by another program.\n"
    assert log.read_bytes().endswith(b"mine\n")


def test_while_a_school_is_written_to_only_delivery_files_are_made(
    command: Command, house: House
) -> None:
    with SchoolWriter(Places.of(house.settings)):
        result = command("samples", *SMALL)
        refused = command("samples", "--reset")

    assert result.exit_code == 0
    assert "Another process is writing to the sample school" in result.stderr
    assert refused.exit_code == 1
    assert house.waiting() == FILES


def test_a_folder_that_cannot_be_written_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")

    for students_wanted in ("0", "5"):
        result = command(
            "samples", "--students", students_wanted, "--into", tmp_path / "file" / "folder"
        )

        assert result.exit_code == 1
        assert f"Error: {tmp_path / 'file' / 'folder'}" in result.output


@pytest.mark.parametrize(
    "arguments", [["--votes", "-1"], ["--votes", "many"], ["--seed", "x"], ["--students", "-1"]]
)
def test_samples_of_no_size_are_wrong_usage(command: Command, arguments: list[str]) -> None:
    assert command("samples", *arguments).exit_code == 2
