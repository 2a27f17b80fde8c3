"""The finite school: the same from the same size and seed, made once, never over other files."""

import subprocess
import sys
from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.places import Places
from warehouse_assets.samples.school_sources import write_school_samples
from warehouse_assets_tests.samples.school_truth import batches, log_bytes, students, truth


def contents(places: Places) -> tuple[object, ...]:
    return students(places), batches(places), log_bytes(places)


def made(folder: Path, size: int = 60, seed: int = 3) -> Places:
    places = Places.in_folder(folder)
    assert all(write_school_samples(places, size, seed).values())
    return places


def test_there_are_as_many_students_as_asked_for_and_forty_lines_of_each(places: Places) -> None:
    write_school_samples(places, 100, seed=1)

    assert len(students(places)) == 100
    assert log_bytes(places).count(b"\n") == 4000
    names = sorted(path.name for path in places.log.parent.iterdir())
    assert names == ["batches.json", "students.db", "test_runs.log"]


def test_the_same_size_and_seed_make_the_same_content_in_any_process(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from warehouse_assets.samples.places import Places;"
        "from warehouse_assets.samples.school_sources import write_school_samples;"
        "write_school_samples(Places.in_folder(Path('b')), 60, 3)"
    )
    environment = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
    first, other = made(tmp_path / "a"), made(tmp_path / "c", seed=4)

    assert contents(Places.in_folder(tmp_path / "b")) == contents(first)
    assert students(first) != students(other)
    assert log_bytes(first) != log_bytes(other)


def test_times_are_of_the_past_and_in_order(places: Places) -> None:
    write_school_samples(places, 100, seed=1)

    times = [row[3] for row in students(places)]
    created = [row[2] for row in batches(places)]
    assert (times, created) == (sorted(times), sorted(created))
    assert created[0] == "2025-01-06 08:00:00.125000"
    # Two at a time begin within a second.
    assert len({time[:19] for time in created}) < len(created)
    assert "2025-01-10" < times[-1] < "2026"


@pytest.mark.parametrize("name", ["students.db", "batches.json", "test_runs.log"])
def test_nothing_is_made_beside_a_file_that_is_there(places: Places, name: str) -> None:
    folder = places.log.parent
    folder.mkdir()
    (folder / name).write_text("mine")

    assert write_school_samples(places, 10, 1) == {folder / name: False}

    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "school").write_text("a file")

    with pytest.raises(SourceError, match=r"school\S* cannot be written: "):
        write_school_samples(Places.in_folder(tmp_path / "school"), 10, 1)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_samples_have_an_answer_worth_asking_for(places: Places, seed: int) -> None:
    write_school_samples(places, 200, seed)

    ranking = truth(places)["ranking"]

    assert len({finished for _, _, finished, _ in ranking}) > 4
    assert sum(count for _, count, _, _ in ranking) < 200  # some are in no batch that began
    assert sorted(row[0] for row in ranking) == [row[0] for row in batches(places)]
