"""The `samples` command: where samples go, and that they are there once."""

from pathlib import Path

import click
import pytest

from warehouse_assets.cli.samples import samples
from warehouse_assets.samples.files import Places
from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House
from warehouse_assets_tests.samples.school_truth import log_bytes, students

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


def test_samples_go_where_the_settings_look_for_them(command: Command, house: House) -> None:
    result = command("samples", *SMALL)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        *(str(house.settings.inbox / name) for name in (*FORUM, *TRIPS)),
        *(str(house.settings.home / "sources" / name) for name in SCHOOL),
    ]
    assert house.waiting() == FILES
    assert len(students(Places.of(house.settings))) == 20


def test_samples_go_into_another_folder(command: Command, house: House, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"

    result = command("samples", *SMALL, "--into", folder)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(folder / name) for name in (*FORUM, *TRIPS, *SCHOOL)]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, *SCHOOL])
    assert not house.settings.home.exists()


def test_no_students_are_no_school(command: Command, house: House) -> None:
    result = command("samples", *SMALL, "--students", "0")

    assert [Path(line).name for line in result.stdout.splitlines()] == [*FORUM, *TRIPS]
    assert [path.name for path in house.settings.home.iterdir()] == ["inbox"]


def test_samples_made_twice_are_there_once(command: Command, house: House) -> None:
    made = command("samples", *SMALL).stdout.splitlines()
    log = log_bytes(Places.of(house.settings))

    again = command("samples", *SMALL, "--students", "30")

    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == f"There already, and left as they are: {', '.join(made)}\n"
    assert log_bytes(Places.of(house.settings)) == log
    assert house.waiting() == FILES


@pytest.mark.parametrize("name", SCHOOL)
def test_sources_of_ones_own_are_never_touched(command: Command, house: House, name: str) -> None:
    mine = house.settings.home / "sources" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")

    result = command("samples", *SMALL)

    assert result.exit_code == 0
    assert result.stderr == f"There already, and left as they are: {mine}\n"
    assert mine.read_text() == "mine"
    assert [path.name for path in mine.parent.iterdir()] == [name]


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
