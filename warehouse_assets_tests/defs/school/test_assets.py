"""The family as a whole: three sources in, one ranking out."""

from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.defs.school.schoolhouse import ALL, SchoolHouse, run
from warehouse_assets_tests.orchestration.runs import evaluated, failed, materialised


@pytest.fixture
def school(tmp_path: Path, instance: dg.DagsterInstance) -> SchoolHouse:
    return SchoolHouse(tmp_path / "home", instance)


def fill(school: SchoolHouse) -> None:
    """Two of three students of batch 1 complete 3 lessons, one of two of batch 2."""
    school.open_batches(1, 2)
    school.enrol([(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)])
    school.complete(1, 1, 2, 3)
    school.complete(2, 1, 2, 3, 4)
    school.complete(3, 1, 2, 2, 2)
    school.complete(4, 7, 8, 9)


COMPUTED = ("lessons", "lesson_titles", "lesson_completions", "batch_completions")


def test_batches_are_ranked_and_a_further_run_changes_nothing(school: SchoolHouse) -> None:
    fill(school)
    assert school.catch_up(checks=False).success
    assert school.ranking() == [(1, 3, 2, 1), (2, 2, 1, 2)]

    school.enrol([(4, 1)])
    school.complete(5, 1, 2, 3)
    school.complete(3, 9)
    changed = ("students", "test_runs", "lesson_completions", "batch_completions")
    assert school.catch_up(*changed, checks=False).success
    assert school.ranking() == [(1, 4, 4, 1), (2, 1, 1, 2)]
    versions = school.versions()

    again = school.catch_up()

    assert again.success
    assert school.versions() == versions
    assert failed(evaluated(again)) == set()


def test_order_does_not_matter(school: SchoolHouse) -> None:
    school.complete(1, 1, 2, 3)
    school.log(run(2, "Loops"), run(2, "Tests"))
    assert school.catch_up("test_runs", *COMPUTED, checks=False).success
    assert school.ranking() == []

    school.enrol([(1, 1), (2, 1)])
    school.log('{"result": "2/2", "student_id": 2, "lesson_id": 1, "lesson_title": "Loops"}')
    school.open_batches(1)
    school.complete(2, 5)
    assert school.catch_up(checks=False).success
    assert school.ranking() == [(1, 2, 2, 1)]  # Loops is lesson 1: Loops, Tests, lesson 5


def test_without_any_source_the_run_succeeds_and_says_so(school: SchoolHouse) -> None:
    result = school.catch_up(checks=False)

    assert result.success
    assert materialised(result) == set(ALL)
    for name, setting in (
        ("students", "STUDENTS_DB"),
        ("batches", "BATCHES_URL"),
        ("test_runs", "TEST_RUNS_LOG"),
    ):
        (event,) = result.asset_materializations_for_node(name)
        assert event.metadata["is_source_missing"].value is True
        told = [
            record.user_message
            for record in school.instance.all_logs(result.run_id)
            if record.step_key == name and setting in record.user_message
        ]
        assert len(told) == 1
        assert str(school.sources) in told[0]
    assert school.ranking() == []


def test_a_source_that_is_set_and_cannot_be_reached_fails_with_what_needs_it(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    place = "http://127.0.0.1:1/school"
    hasty = {"BATCHES_TIMEOUT_SECONDS": "1"}
    school = SchoolHouse(tmp_path / "home", instance, BATCHES_URL=place, **hasty)
    fill(school)

    result = school.catch_up(checks=False)

    ((step, reason),) = failed_steps(result)
    assert step == "batches"
    assert place in reason
    assert "BATCHES_URL" in reason
    held_up = {"batches", "batch_completions", "rejected_records"}
    assert set(ALL) - materialised(result) == held_up

    # Once it is there again, the same run makes up for it.
    mended = SchoolHouse(tmp_path / "home", instance)
    assert mended.catch_up("batches", "batch_completions", checks=False).success
    assert mended.ranking() == [(1, 3, 2, 1), (2, 2, 1, 2)]


def test_checks_tell_what_does_not_fit(school: SchoolHouse) -> None:
    school.open_batches(1, 2)  # batch 2 has no students, half a year after it was made
    school.enrol([(1, 1), (2, 77), (3, None)])
    school.complete(99, 1)
    school.log(run(1, 4, "3/2"), run(1, 5, "1/2"), run(1, 5, "1/3"), "no line at all")
    school.log('{"result": "1/2", "student_id": 1, "lesson_id": 8, "lesson_title": "Old"}')
    school.log('{"result": "1/2", "student_id": 1, "lesson_id": 8, "lesson_title": "New"}')

    result = school.catch_up()

    assert result.success
    evaluations = evaluated(result)
    assert failed(evaluations) == {
        "students.batches_are_known",
        "batches.batches_grow",
        "test_runs.results_are_possible",
        "test_runs.totals_agree",
        "test_runs.students_are_known",
        "test_runs.rejected_share_is_low",
        "lesson_titles.lessons_have_one_title",
    }
    found = {
        name: check.metadata["violations"].value
        for name, check in evaluations.items()
        if "violations" in check.metadata and not check.passed
    }
    assert set(found.values()) == {1}


def test_test_runs_are_published_only_on_demand_and_withdrawn_again(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    def tables(environment: dict[str, str]) -> set[str]:
        school = SchoolHouse(tmp_path / "home", instance, **environment)
        assert school.catch_up("test_runs", checks=False).success
        return {name for (name,) in school.published("sqlite_master", "name")}

    fill(SchoolHouse(tmp_path / "home", instance))
    assert "test_runs" not in tables({})
    assert "test_runs" in tables({"PUBLISH_LARGE_TABLES": "yes"})
    assert "test_runs" not in tables({})
