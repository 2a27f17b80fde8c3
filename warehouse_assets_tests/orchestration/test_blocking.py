"""What a failed check stops, and what it does not."""

from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Table

from warehouse_assets.catalogue import TABLES
from warehouse_assets.definitions import defs
from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.errors import LakeError
from warehouse_assets.orchestration.checks import (
    KeptResult,
    LookedAt,
    keep_results,
    refuse_if_blocked,
)
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.orchestration.lake_rows import add_rows
from warehouse_assets_tests.orchestration.prepared import Homes, begin_with
from warehouse_assets_tests.orchestration.runs import (
    evaluated,
    failed,
    materialised,
    results_of,
    run_checks,
)

WRONG = KeptResult(LookedAt("", None, {}), "It is wrong.", {}, blocks=True)
AFTER_VOTES = {
    "votes_per_post_per_week",
    "mean_votes_per_post_per_week",
    "outlier_weeks",
    "rejected_records",
}


@pytest.fixture(scope="module")
def computed_home(homes: Homes) -> Path:
    """The home of a warehouse that took a post and a vote, and computed all tables of them."""

    def fill(house: House) -> None:
        house.deliver("posts.jsonl", [post(1)])
        house.deliver("votes.jsonl", [vote(1, 1)])
        assert house.run(checks=False).success

    return homes.make(fill)


@pytest.fixture
def computed(house: House, computed_home: Path) -> House:
    """A warehouse of its own that took and computed them."""
    return begin_with(computed_home, house)


def test_a_failed_blocking_check_fails_the_run_and_stops_what_follows(computed: House) -> None:
    tables = ("outlier_weeks", "votes_per_post_per_week")
    before = [computed.published(table) for table in tables]
    twice = {"id": 9, "post_id": 1, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(computed, "votes", twice, twice)

    result = computed.run()

    assert not result.success
    assert failed(evaluated(result)) == {"votes.key_is_unique"}
    assert materialised(result) == {"posts", "votes"}
    assert [computed.published(table) for table in tables] == before


def test_a_failed_blocking_check_does_not_stop_what_does_not_depend_on_its_table(
    computed: House,
) -> None:
    twice = {"id": 9, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(computed, "posts", twice, twice)
    computed.deliver("votes-2.jsonl", [vote(2, 1)])

    result = computed.run()

    assert failed(evaluated(result)) == {"posts.key_is_unique"}
    assert not result.success
    assert materialised(result) == {"posts", "votes", "votes_per_post_per_week", "outlier_weeks"}


def test_neither_a_warning_nor_an_error_of_a_check_that_does_not_block_stops_anything(
    house: House,
) -> None:
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1), vote(2, 404), {"Id": "x"}])

    result = house.run()

    assert result.success
    assert materialised(result) == {"posts", "votes", *AFTER_VOTES}
    evaluations = evaluated(result)
    assert failed(evaluations) == {"votes.posts_are_known", "votes.rejected_share_is_low"}
    warning = evaluations["votes.posts_are_known"]
    assert warning.severity is dg.AssetCheckSeverity.WARN
    assert warning.metadata["violations"].value == 1
    error = evaluations["votes.rejected_share_is_low"]
    assert error.severity is dg.AssetCheckSeverity.ERROR
    assert not error.blocking


def test_a_check_selected_alone_runs_alone(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    key = dg.AssetCheckKey(dg.AssetKey("votes"), "posts_are_known")

    result, evaluations = run_checks(house, dg.AssetSelection.checks(key))

    assert result.success
    assert set(evaluations) == {"votes.posts_are_known"}
    assert materialised(result) == set()
    assert house.waiting() == ["votes.jsonl"]


def test_a_failed_blocking_check_alone_fails_its_run(house: House) -> None:
    add_rows(house, "votes", {"id": 1, "arrival": 1})
    key = dg.AssetCheckKey(dg.AssetKey("votes"), "required_columns_are_filled")

    result, evaluations = run_checks(house, dg.AssetSelection.checks(key))

    assert failed(evaluations) == {"votes.required_columns_are_filled"}
    assert not result.success


def test_what_was_stopped_is_computed_once_the_table_is_right_again(computed: House) -> None:
    assets = ("votes", "votes_per_post_per_week", "mean_votes_per_post_per_week")
    added = {"post_id": 1, "week_start": "2022-01-11", "votes": 5}
    add_rows(computed, "votes_per_post_per_week", added)
    result = computed.run(*assets)
    assert failed(evaluated(result)) >= {"votes_per_post_per_week.values_are_plausible"}
    assert "mean_votes_per_post_per_week" not in materialised(result)

    computed.deliver("votes-2.jsonl", [vote(2, 1)])

    assert computed.run(*assets).success
    week = "2022-01-03"
    assert computed.published("votes_per_post_per_week") == [(1, week, 2)]
    assert computed.published("mean_votes_per_post_per_week") == [(week, 2, 1, 2.0, 1, 2.0)]


def _double_a_vote(house: House) -> None:
    """Append a row to the votes that is there already; the warehouse takes it for the same."""
    add_rows(house, "votes", {"id": 1, "post_id": 1, "creation_date": "2022-01-03", "arrival": 1})


def _fail_the_check_of_votes(house: House) -> None:
    _double_a_vote(house)
    result = house.run("votes")
    assert materialised(result) == {"votes"}
    assert failed(evaluated(result)) == {"votes.key_is_unique"}


def _reasons(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {
        str(event.step_key): str(event.step_failure_data.user_failure_data.description)
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    }


def test_no_later_run_computes_what_depends_on_the_table(computed: House) -> None:
    tables = ("votes_per_post_per_week", "mean_votes_per_post_per_week", "outlier_weeks")
    before = [computed.published(table) for table in tables]
    versions = computed.versions()
    _fail_the_check_of_votes(computed)

    direct = _reasons(computed.run("votes_per_post_per_week", "outlier_weeks", checks=False))
    # Another table that the mean depends on has changed.
    computed.deliver("posts-2.jsonl", [post(2)])
    result = computed.run("posts", "mean_votes_per_post_per_week")

    assert set(direct) == {"votes_per_post_per_week", "outlier_weeks"}
    assert materialised(result) == {"posts"}
    transitive = _reasons(result)
    assert set(transitive) == {"mean_votes_per_post_per_week"}
    for table, reason in (direct | transitive).items():
        assert reason == (
            f"{table} stays as it is, for the check key_is_unique of votes, which it depends on, "
            "failed: 1 rows violate this: Every row has its own id. Mend the rows of votes, then "
            f"run `warehouse check`. Once the check passes, the next run computes {table}."
        )
    assert [computed.published(table) for table in tables] == before
    assert {t: computed.versions()[t] for t in tables} == {t: versions[t] for t in tables}


def test_it_stays_as_it_is_until_the_check_is_made_and_passes(computed: House) -> None:
    _fail_the_check_of_votes(computed)
    votes = computed.lake.table(VOTES).open()
    votes.restore(votes.version() - 1)
    computed.deliver("votes-2.jsonl", [vote(2, 1)])
    assert computed.run("votes", checks=False).success
    dependent = "votes_per_post_per_week"
    assert dependent in _reasons(computed.run(dependent, checks=False))

    assert run_checks(computed, dg.AssetSelection.checks_for_assets(dg.AssetKey("votes")))[0]

    assert computed.run(dependent, checks=False).success
    assert computed.published(dependent) == [(1, "2022-01-03", 2)]


def test_every_computed_table_depends_on_what_the_graph_shows_before_it(house: House) -> None:
    graph = defs.resolve_asset_graph()
    tables = {str(table.name): table for table in TABLES}
    computed = [t for t in tables.values() if graph.get(dg.AssetKey(str(t.name))).code_version]
    assert len(computed) == 13
    for check in graph.asset_check_keys:
        source, name = check.asset_key.to_user_string(), check.name
        if not graph.get(check).blocking:
            continue
        keep_results(house.lake.folder, source, {name: WRONG}, [name])
        after = dg.AssetSelection.assets(source).downstream(include_self=False).resolve(graph)
        refused = {str(table.name) for table in computed if _is_refused(house, table)}
        others = {"average_delivery_duration", "rejected_records", "unknown_fields"}
        assert refused == {key.to_user_string() for key in after} - others
        (house.lake.folder / ".checks" / f"{source}.json").unlink()


def _is_refused(house: House, table: Table) -> bool:
    try:
        refuse_if_blocked(house.lake, table, [])
    except LakeError:
        return True
    return False


def test_what_is_computed_from_a_table_that_cannot_be_read_stays_as_it_is(
    computed: House,
) -> None:
    (file,) = (computed.settings.lake / "votes").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-100])

    reasons = _reasons(computed.run("outlier_weeks", checks=False))

    assert reasons["outlier_weeks"].startswith("The lake table votes cannot be read: ")


def test_a_check_that_is_no_more_stops_nothing(computed: House) -> None:
    earlier = "a_check_of_an_earlier_version_of_the_code"
    keep_results(computed.lake.folder, "votes", {earlier: WRONG}, [earlier])
    assert not computed.run("outlier_weeks", checks=False).success

    results_of(computed, "votes")

    assert computed.run("outlier_weeks", checks=False).success


def test_rows_that_the_warehouse_cannot_hold_fail_their_asset_and_its_checks_count_them(
    house: House,
) -> None:
    twice = {"id": 9, "post_id": 1, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(house, "votes", twice, twice)

    result = house.run("votes", checks=False)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert "UNIQUE constraint failed" in str(told.description)
    assert "its asset checks count them" in str(told.description)
    assert failed(results_of(house, "votes")) >= {"key_is_unique"}
