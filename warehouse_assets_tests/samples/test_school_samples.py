"""The finite school: what is in it, made once, never over other files."""

import pytest

from warehouse_assets.samples.files import Places
from warehouse_assets.samples.school_sources import write_school_samples
from warehouse_assets_tests.samples.school_truth import batches, log_bytes, students, truth


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """A school of 200 students."""
    places = Places.in_folder(tmp_path_factory.mktemp("made") / "school")
    write_school_samples(places, 200, seed=1)
    return places


def test_there_are_as_many_students_as_asked_for_and_forty_lines_of_each(made: Places) -> None:
    assert len(students(made)) == 200
    assert log_bytes(made).count(b"\n") == 8000
    names = sorted(path.name for path in made.log.parent.iterdir())
    assert names == ["batches.json", "students.db", "test_runs.log"]


def test_times_are_of_the_past_and_in_order(made: Places) -> None:
    times = [row[3] for row in students(made)]
    created = [row[2] for row in batches(made)]
    assert (times, created) == (sorted(times), sorted(created))
    assert created[0] == "2025-01-06 08:00:00.125000"
    # Two at a time begin within a second.
    assert len({time[:19] for time in created}) < len(created)
    assert "2025-01-10" < times[-1] < "2026"


def test_the_samples_have_an_answer_worth_asking_for(made: Places) -> None:
    ranking = truth(made)["ranking"]

    assert len({finished for _, _, finished, _ in ranking}) > 4
    assert sum(count for _, count, _, _ in ranking) < 200  # some are in no batch that began
    assert sorted(row[0] for row in ranking) == [row[0] for row in batches(made)]
