"""What Dagster shows: the assets, their checks, and what starts runs by itself."""

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest

import warehouse_assets
from warehouse_assets.catalogue import TABLES
from warehouse_assets.definitions import defs

# asset: (group, what it depends on, kinds)
ASSETS = {
    "posts": ("forum", {"inbox"}, {"json", "deltalake"}),
    "votes": ("forum", {"inbox"}, {"json", "deltalake"}),
    "votes_per_post_per_week": ("forum", {"votes"}, {"sql", "duckdb", "deltalake"}),
    "mean_votes_per_post_per_week": (
        "forum",
        {"posts", "votes_per_post_per_week"},
        {"sql", "duckdb", "deltalake"},
    ),
    "outlier_weeks": ("forum", {"votes"}, {"sql", "duckdb", "deltalake"}),
    "students": ("school", {"students_database"}, {"sqlite", "deltalake"}),
    "batches": ("school", {"batches_server"}, {"json", "deltalake"}),
    "test_runs": ("school", {"test_runs_log"}, {"log", "deltalake"}),
    "lessons": ("school", {"test_runs"}, {"sql", "duckdb", "deltalake"}),
    "lesson_titles": ("school", {"test_runs"}, {"sql", "duckdb", "deltalake"}),
    "lesson_completions": (
        "school",
        {"test_runs", "lesson_titles", "lessons"},
        {"sql", "duckdb", "deltalake"},
    ),
    "batch_completions": (
        "school",
        {"batches", "students", "lesson_completions"},
        {"sql", "duckdb", "deltalake"},
    ),
    "trips": ("trips", {"inbox"}, {"csv", "deltalake"}),
    "daily_trips": ("trips", {"trips"}, {"sql", "duckdb", "deltalake"}),
    "weekly_trips": ("trips", {"daily_trips"}, {"sql", "duckdb", "deltalake"}),
    "trip_groups": ("trips", {"trips"}, {"sql", "duckdb", "deltalake"}),
    "reviews": ("reviews", {"reviews_database"}, {"sql", "deltalake"}),
    "product_reviews_daily": ("reviews", {"reviews"}, {"sql", "duckdb", "deltalake"}),
    "reviewer_reviews_daily": ("reviews", {"reviews"}, {"sql", "duckdb", "deltalake"}),
    "deliveries": ("deliveries", {"deliveries_feed"}, {"log", "deltalake"}),
    "delivery_durations": ("deliveries", {"deliveries"}, {"sql", "duckdb", "deltalake"}),
    "average_delivery_duration": ("deliveries", {"deliveries"}, {"python", "log"}),
    "rejected_records": (
        "quality",
        {"posts", "votes", "students", "batches", "test_runs", "trips", "reviews", "deliveries"},
        {"deltalake"},
    ),
    "unknown_fields": (
        "quality",
        {"posts", "votes", "students", "batches", "test_runs", "trips", "reviews", "deliveries"},
        {"deltalake"},
    ),
}

# What others make: kinds.
EXTERNAL = {
    "inbox": {"file"},
    "students_database": {"sqlite"},
    "batches_server": {"json"},
    "test_runs_log": {"log"},
    "reviews_database": {"sql"},
    "deliveries_feed": {"log"},
}

# A number, and no table.
AVERAGE = "average_delivery_duration"
SOURCES = {"posts", "votes", "students", "batches", "test_runs", "trips", "reviews", "deliveries"}
_DECLARED = {"key_is_unique", "required_columns_are_filled"}

BLOCKING_CHECKS = {
    "posts": _DECLARED,
    "votes": _DECLARED,
    "votes_per_post_per_week": {
        "key_is_unique",
        "required_columns_are_filled",
        "values_are_plausible",
    },
    "mean_votes_per_post_per_week": {
        "key_is_unique",
        "required_columns_are_filled",
        "values_are_plausible",
    },
    "outlier_weeks": {"key_is_unique", "required_columns_are_filled", "values_are_plausible"},
    "students": _DECLARED,
    "batches": _DECLARED,
    "test_runs": _DECLARED,
    "lessons": _DECLARED,
    "lesson_titles": _DECLARED,
    "lesson_completions": {*_DECLARED, "values_are_plausible"},
    "batch_completions": {*_DECLARED, "values_are_plausible"},
    # Trips have no key, and partial rows of one key are several.
    "trips": {"required_columns_are_filled", "places_are_on_earth"},
    "daily_trips": {"required_columns_are_filled", "values_are_plausible"},
    "weekly_trips": {*_DECLARED, "values_are_plausible"},
    "trip_groups": {"required_columns_are_filled", "values_are_plausible"},
    "reviews": _DECLARED,
    "product_reviews_daily": {*_DECLARED, "values_are_plausible"},
    "reviewer_reviews_daily": {*_DECLARED, "values_are_plausible"},
    "deliveries": {*_DECLARED, "steps_are_known"},
    "delivery_durations": {*_DECLARED, "values_are_plausible"},
    AVERAGE: set(),
    "rejected_records": _DECLARED,
    "unknown_fields": _DECLARED,
}

OTHER_CHECKS = {
    "posts": {
        "dates_are_plausible",
        "answers_have_questions",
        "counts_are_not_negative",
        "has_no_unknown_fields",
        "rejected_share_is_low",
        "source_is_fresh",
    },
    "votes": {
        "dates_are_plausible",
        "posts_are_known",
        "has_no_unknown_fields",
        "rejected_share_is_low",
        "source_is_fresh",
    },
    "votes_per_post_per_week": {"votes_add_up"},
    "mean_votes_per_post_per_week": {"no_week_is_missing"},
    "outlier_weeks": set(),
    "students": {
        "batches_are_known",
        "has_no_unknown_fields",
        "rejected_share_is_low",
        "source_is_fresh",
    },
    "batches": {
        "batches_grow",
        "has_no_unknown_fields",
        "rejected_share_is_low",
        "source_is_fresh",
    },
    "test_runs": {
        "results_are_possible",
        "totals_agree",
        "students_are_known",
        "has_no_unknown_fields",
        "rejected_share_is_low",
        "source_is_fresh",
    },
    "lessons": set(),
    "lesson_titles": {"lessons_have_one_title"},
    "lesson_completions": {"runs_add_up"},
    "batch_completions": {"every_batch_is_there"},
    "trips": {
        "times_are_plausible",
        "has_no_unknown_fields",
        "rejected_share_is_low",
        "source_is_fresh",
    },
    "daily_trips": {"trips_add_up"},
    "weekly_trips": {"trips_add_up"},
    "trip_groups": {"trips_add_up"},
    "reviews": {
        "ratings_are_possible",
        "dates_agree",
        "times_are_plausible",
        "reviews_are_different",
        "ids_are_given",
        "has_no_unknown_fields",
        "rejected_share_is_low",
        "source_is_fresh",
    },
    "product_reviews_daily": {"reviews_add_up"},
    "reviewer_reviews_daily": {"reviews_add_up"},
    "deliveries": {"has_no_unknown_fields", "rejected_share_is_low", "source_is_fresh"},
    "delivery_durations": {"averages_agree"},
    AVERAGE: set(),
    "rejected_records": set(),
    "unknown_fields": set(),
}


def _names(keys: object) -> set[str]:
    assert isinstance(keys, list | tuple | set | frozenset)
    return {key.to_user_string() for key in keys}


def _checks_by_asset(*, blocking: bool) -> Mapping[str, set[str]]:
    graph = defs.resolve_asset_graph()
    found: dict[str, set[str]] = {name: set() for name in ASSETS}
    for key in graph.asset_check_keys:
        if graph.get(key).blocking is blocking:
            found[key.asset_key.to_user_string()].add(key.name)
    return found


def test_definitions_can_be_loaded() -> None:
    dg.Definitions.validate_loadable(defs)


def test_assets_with_their_groups_sources_and_kinds() -> None:
    assert {
        spec.key.to_user_string(): (
            spec.group_name,
            _names([dependency.asset_key for dependency in spec.deps]),
            set(spec.kinds),
        )
        for spec in defs.resolve_all_asset_specs()
    } == {**ASSETS, **{name: ("sources", set(), kinds) for name, kinds in EXTERNAL.items()}}


def test_every_asset_has_an_owner_a_layer_and_if_it_is_made_here_a_window_of_freshness() -> None:
    for spec in defs.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        layer = "source" if name in EXTERNAL else "loaded" if name in SOURCES else "computed"
        assert spec.tags["layer"] == layer
        assert len(spec.owners) == 1
        assert (spec.freshness_policy is None) is (name in EXTERNAL)


def test_a_computed_asset_shows_its_select_and_links_to_it() -> None:
    (spec,) = (s for s in defs.resolve_all_asset_specs() if s.key == dg.AssetKey("outlier_weeks"))
    (link,) = spec.metadata["dagster/code_references"].code_references
    select = Path(link.file_path).read_text(encoding="utf-8")

    assert Path(link.file_path).name == "outlier_weeks.sql"
    assert spec.metadata["sql"].value == f"```sql\n{select}\n```"


def test_every_table_of_the_catalogue_is_an_asset() -> None:
    tables = {str(table.name) for table in TABLES}
    assert _names(list(defs.resolve_all_asset_keys())) == {*tables, AVERAGE, *EXTERNAL}


def test_checks_that_block_what_follows() -> None:
    assert _checks_by_asset(blocking=True) == BLOCKING_CHECKS


def test_checks_that_block_nothing() -> None:
    assert _checks_by_asset(blocking=False) == OTHER_CHECKS


def test_every_check_says_what_holds_if_it_passes() -> None:
    graph = defs.resolve_asset_graph()

    assert [
        k.to_user_string() for k in graph.asset_check_keys if not graph.get(k).description
    ] == []


def test_computed_assets_follow_their_sources_and_those_of_sources_do_not() -> None:
    follow = {
        spec.key.to_user_string()
        for spec in defs.resolve_all_asset_specs()
        if spec.automation_condition is not None
    }

    assert follow == set(ASSETS) - SOURCES - {AVERAGE}


def test_schedules_run_in_utc_unless_switched_off() -> None:
    schedules = defs.get_repository_def().schedule_defs

    assert {
        schedule.name: (schedule.job_name, schedule.cron_schedule) for schedule in schedules
    } == {
        "catch_up_schedule": ("catch_up", "0 * * * *"),
        "maintenance_schedule": ("maintenance", "30 3 * * *"),
    }
    assert {schedule.execution_timezone for schedule in schedules} == {"UTC"}
    assert {s.default_status for s in schedules} == {dg.DefaultScheduleStatus.RUNNING}


def test_the_catch_up_job_makes_every_asset_and_every_check() -> None:
    layer = defs.resolve_job_def("catch_up").asset_layer

    assert _names(layer.selected_asset_keys) == set(ASSETS)
    assert layer.asset_graph.asset_check_keys == defs.resolve_asset_graph().asset_check_keys


def test_sensors_run_by_themselves_unless_switched_off() -> None:
    assert {
        sensor.name: (sensor.default_status, sensor.minimum_interval_seconds)
        for sensor in defs.get_repository_def().sensor_defs
    } == {
        "forum_inbox_sensor": (dg.DefaultSensorStatus.RUNNING, 15),
        "trips_inbox_sensor": (dg.DefaultSensorStatus.RUNNING, 15),
        "test_runs_log_sensor": (dg.DefaultSensorStatus.RUNNING, 15),
        "reviews_sensor": (dg.DefaultSensorStatus.RUNNING, 30),
        "deliveries_feed_sensor": (dg.DefaultSensorStatus.RUNNING, 5),
        "follow_sources": (dg.DefaultSensorStatus.RUNNING, 30),
        "dead_runs_sensor": (dg.DefaultSensorStatus.RUNNING, 60),
    }


@pytest.mark.parametrize("name", sorted(set(ASSETS) - {AVERAGE}))
def test_an_asset_and_each_of_its_columns_are_described(name: str) -> None:
    (spec,) = (s for s in defs.resolve_all_asset_specs() if s.key.to_user_string() == name)
    schema = spec.metadata["dagster/column_schema"]
    (table,) = (table for table in TABLES if table.name == name)

    assert spec.description
    assert isinstance(schema, dg.TableSchema)
    assert [column.name for column in schema.columns] == [column.name for column in table.columns]
    assert [column.name for column in schema.columns if not column.description] == []
    assert spec.metadata["dagster/table_name"] == name


def test_column_schema_tells_types_keys_and_what_is_required() -> None:
    (spec,) = (s for s in defs.resolve_all_asset_specs() if s.key == dg.AssetKey("votes"))
    columns = {c.name: c for c in spec.metadata["dagster/column_schema"].columns}

    assert columns["id"].type == "BIGINT"
    assert columns["creation_date"].type == "TIMESTAMP"
    assert columns["id"].constraints == dg.TableColumnConstraints(nullable=False, unique=True)
    assert columns["post_id"].constraints == dg.TableColumnConstraints(nullable=False)
    assert columns["user_id"].constraints == dg.TableColumnConstraints(nullable=True)


def test_assets_that_answer_a_question_say_which() -> None:
    answers = {
        spec.key.to_user_string(): spec.metadata["answers"]
        for spec in defs.resolve_all_asset_specs()
        if "answers" in spec.metadata
    }

    assert answers == {
        "mean_votes_per_post_per_week": "What is the mean votes per post per week?",
        "outlier_weeks": "Which weeks had unusually many or few votes?",
        "batch_completions": (
            "Which batches have the most students that completed at least 3 lessons?"
        ),
        "weekly_trips": "How many trips did each region have per week?",
    }


def test_steps_of_a_run_share_its_process() -> None:
    assert defs.executor is dg.in_process_executor


def test_no_module_with_dagster_definitions_postpones_its_annotations() -> None:
    # Dagster reads the annotations of `context` and of the resources.
    folder = Path(warehouse_assets.__file__).parent
    modules = list(pkgutil.walk_packages([str(folder)], "warehouse_assets."))
    with_dagster = [
        module.name
        for module in modules
        if any(
            getattr(value, "__name__", "") == "dagster"
            for value in vars(importlib.import_module(module.name)).values()
        )
    ]

    assert "warehouse_assets.orchestration.assets" in with_dagster
    assert [
        name for name in with_dagster if "annotations" in vars(importlib.import_module(name))
    ] == []
