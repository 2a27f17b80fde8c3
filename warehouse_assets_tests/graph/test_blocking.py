"""What a failed check stops, and what it does not."""

import dagster as dg

from warehouse_assets_tests.graph.lake_rows import add_rows
from warehouse_assets_tests.graph.runs import checks_of, evaluated, failed, materialised, run_checks
from warehouse_assets_tests.house import House, post, vote

AFTER_VOTES = {
    "votes_per_post_per_week",
    "mean_votes_per_post_per_week",
    "outlier_weeks",
    "rejected_records",
}


def test_a_failed_blocking_check_fails_the_run_and_stops_what_follows(house: House) -> None:
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    assert house.run().success
    before = house.published("outlier_weeks"), house.published("votes_per_post_per_week")
    twice = {"id": 9, "post_id": 1, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(house, "votes", twice, twice)

    result = house.run()

    assert not result.success
    assert failed(evaluated(result)) == {"votes.key_is_unique"}
    assert materialised(result) == {"posts", "votes"}
    assert (house.published("outlier_weeks"), house.published("votes_per_post_per_week")) == before


def test_a_failed_blocking_check_does_not_stop_what_does_not_depend_on_its_table(
    house: House,
) -> None:
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    house.run("posts")
    twice = {"id": 9, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(house, "posts", twice, twice)

    result = house.run()

    assert failed(evaluated(result)) == {"posts.key_is_unique"}
    assert not result.success
    assert materialised(result) == {"posts", "votes", "votes_per_post_per_week", "outlier_weeks"}


def test_a_warning_stops_nothing(house: House) -> None:
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1), vote(2, 404)])

    result = house.run()

    assert result.success
    assert materialised(result) == {"posts", "votes", *AFTER_VOTES}
    (name,) = failed(evaluated(result))
    found = evaluated(result)[name]
    assert name == "votes.posts_are_known"
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.metadata["violations"].value == 1


def test_an_error_of_a_check_that_does_not_block_stops_nothing(house: House) -> None:
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", '{"Id": "x"}\n')

    result = house.run()

    assert result.success
    assert materialised(result) == {"posts", "votes", *AFTER_VOTES}
    assert failed(evaluated(result)) == {"votes.rejected_share_is_low"}


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


def test_what_was_stopped_is_computed_once_the_table_is_right_again(house: House) -> None:
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    assert house.run().success
    add_rows(
        house, "votes_per_post_per_week", {"post_id": 1, "week_start": "2022-01-11", "votes": 5}
    )
    result = house.run()
    assert failed(evaluated(result)) >= {"votes_per_post_per_week.values_are_plausible"}
    assert "mean_votes_per_post_per_week" not in materialised(result)

    house.deliver("votes-2.jsonl", [vote(2, 1)])

    assert house.run().success
    assert house.published("votes_per_post_per_week") == [(1, "2022-01-03", 2)]
    assert house.published("mean_votes_per_post_per_week") == [("2022-01-03", 2, 1, 2.0, 1, 2.0)]


def test_rows_that_the_warehouse_cannot_hold_fail_their_asset_and_its_checks_count_them(
    house: House,
) -> None:
    twice = {"id": 9, "post_id": 1, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(house, "votes", twice, twice)

    result = house.run("votes")

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert "UNIQUE constraint failed" in str(told.description)
    assert "its asset checks count them" in str(told.description)
    assert failed(checks_of(house, "votes")) >= {"key_is_unique"}
