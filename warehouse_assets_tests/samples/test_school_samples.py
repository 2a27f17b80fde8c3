"""The finite school: what is in it, made once, never over other files."""

from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.files import Places
from warehouse_assets.samples.school_sources import write_school_samples
from warehouse_assets_tests.samples.school_truth import batches, log_bytes, students, truth


def test_there_are_as_many_students_as_asked_for_and_forty_lines_of_each(places: Places) -> None:
    write_school_samples(places, 100, seed=1)

    assert len(students(places)) == 100
    assert log_bytes(places).count(b"\n") == 4000
    names = sorted(path.name for path in places.log.parent.iterdir())
    assert names == ["batches.json", "students.db", "test_runs.log"]


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
