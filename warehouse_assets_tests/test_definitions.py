"""What Dagster shows: the assets, their checks, and what starts runs by itself."""

import importlib
import pkgutil
from pathlib import Path

import dagster as dg
import pytest

import warehouse_assets
from warehouse_assets.catalogue import TABLES
from warehouse_assets.definitions import build_defs, defs
from warehouse_assets.defs.school.tables import LESSON_TITLES, LESSONS
from warehouse_assets.errors import SettingError
from warehouse_assets.settings import Settings
from warehouse_assets.tables import aggregates

LOADED = {"posts", "votes", "students", "batches", "test_runs", "trips", "reviews", "deliveries"}
_SQL = {"sql", "duckdb", "deltalake"}

# Some of each kind: group, what it depends on, kinds.
SHOWN = {
    "votes": ("forum", {"inbox"}, {"json", "deltalake"}),
    "mean_votes_per_post_per_week": ("forum", {"posts", "votes_per_post_per_week"}, _SQL),
    "students": ("school", {"students_database"}, {"sqlite", "deltalake"}),
    "batches": ("school", {"batches_server"}, {"json", "deltalake"}),
    "test_runs": ("school", {"test_runs_log"}, {"log", "deltalake"}),
    "trips": ("trips", {"inbox"}, {"csv", "deltalake"}),
    "weekly_trips": ("trips", {"daily_trips"}, _SQL),
    "reviews": ("reviews", {"reviews_database"}, {"sql", "deltalake"}),
    "deliveries": ("deliveries", {"deliveries_feed"}, {"log", "deltalake"}),
    "average_delivery_duration": ("deliveries", {"deliveries"}, {"python", "log"}),
    "rejected_records": ("quality", LOADED, {"deltalake"}),
    "unknown_fields": ("quality", LOADED, {"deltalake"}),
    "loads": ("quality", LOADED, {"deltalake"}),
    # What others make.
    "inbox": ("sources", set(), {"file"}),
    "reviews_database": ("sources", set(), {"sql"}),
}
EXTERNAL = {"inbox", "students_database", "reviews_database", "batches_server"}
EXTERNAL |= {"test_runs_log", "deliveries_feed"}
TABLE_NAMES = {str(table.name) for table in TABLES}

# A number, and no table.
AVERAGE = "average_delivery_duration"

_OF_SOURCES = {"has_no_unknown_fields", "rejected_share_is_low", "source_is_fresh"}


def _names(keys: object) -> set[str]:
    assert isinstance(keys, list | tuple | set | frozenset)
    return {key.to_user_string() for key in keys}


def test_assets_with_their_groups_sources_and_kinds() -> None:
    shown = {
        spec.key.to_user_string(): (
            spec.group_name,
            _names([dependency.asset_key for dependency in spec.deps]),
            set(spec.kinds),
        )
        for spec in defs.resolve_all_asset_specs()
    }
    assert shown.keys() == {*TABLE_NAMES, AVERAGE, *EXTERNAL}
    assert {name: shown[name] for name in SHOWN} == SHOWN


def test_every_asset_has_an_owner_a_layer_and_if_it_is_made_here_a_window_of_freshness() -> None:
    for spec in defs.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        layer = "source" if name in EXTERNAL else "loaded" if name in LOADED else "computed"
        assert spec.tags["layer"] == layer
        assert len(spec.owners) == 1
        assert (spec.freshness_policy is None) is (name in EXTERNAL)


def test_a_computed_asset_shows_its_select_and_links_to_it() -> None:
    (spec,) = (s for s in defs.resolve_all_asset_specs() if s.key == dg.AssetKey("outlier_weeks"))
    (link,) = spec.metadata["dagster/code_references"].code_references
    select = Path(link.file_path).read_text(encoding="utf-8")

    assert Path(link.file_path).name == "outlier_weeks.sql"
    assert spec.metadata["sql"].value == f"```sql\n{select}\n```"


def test_every_table_has_the_checks_of_its_declaration_and_of_its_source() -> None:
    graph = defs.resolve_asset_graph()
    assert all(graph.get(key).description for key in graph.asset_check_keys)
    for table in TABLES:
        keys = [k for k in graph.asset_check_keys if k.asset_key == dg.AssetKey(str(table.name))]
        blocking = {key.name for key in keys if graph.get(key).blocking}
        has_key = bool(table.primary_key.columns) and not aggregates(table)
        assert "required_columns_are_filled" in blocking
        assert ("key_is_unique" in blocking) is has_key
        others = {key.name for key in keys} - blocking
        assert _OF_SOURCES & others == (_OF_SOURCES if table.name in LOADED else set())
        # Values of what is computed must be plausible.
        assert ("values_are_plausible" in blocking) is (
            graph.get(dg.AssetKey(str(table.name))).code_version is not None
            and table not in (LESSONS, LESSON_TITLES)
        )


def test_computed_assets_follow_their_sources_and_those_of_sources_do_not() -> None:
    follow = {
        spec.key.to_user_string()
        for spec in defs.resolve_all_asset_specs()
        if spec.automation_condition is not None
    }

    assert follow == TABLE_NAMES - LOADED


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


def test_a_cron_setting_is_when_its_schedule_runs_or_is_named() -> None:
    for setting, name in (
        ("CATCH_UP_CRON", "catch_up_schedule"),
        ("MAINTENANCE_CRON", "maintenance_schedule"),
    ):
        weekly = Settings.from_environment({setting: "30 4 * * 1"})
        schedule = build_defs({"settings": weekly}).get_repository_def().get_schedule_def(name)
        assert schedule.cron_schedule == "30 4 * * 1"
        for cron in ("every hour", "61 * * * *", "* * *", "0 0 31 2 5-"):
            with pytest.raises(SettingError, match=f"{setting} is "):
                build_defs({"settings": Settings.from_environment({setting: cron})})


def test_settings_give_the_resources_which_others_may_take_the_place_of(tmp_path: Path) -> None:
    home, stand_in = tmp_path / "elsewhere", object()
    settings = Settings.from_environment({"WAREHOUSE_HOME": str(home)})

    resources = build_defs({"settings": settings, "inbox": stand_in}).resources or {}

    assert resources["lake"].folder == home / "lake"
    assert resources["warehouse"].path == home / "warehouse.db"
    assert resources["inbox"] is stand_in
    assert not home.exists()  # nothing is opened or written


def test_computed_assets_are_requested_after_what_they_read_once_and_if_it_is_good(
    instance: dg.DagsterInstance,
) -> None:
    cursor = None

    def tick() -> set[str]:
        nonlocal cursor
        told = dg.evaluate_automation_conditions(
            defs=defs,
            instance=instance,
            asset_selection=dg.AssetSelection.groups("forum", "quality"),
            cursor=cursor,
        )
        cursor = told.cursor
        requested = [result.key for result in told.results if result.true_subset.size > 0]
        return {key.to_user_string() for key in requested if isinstance(key, dg.AssetKey)}

    def made(*assets: str, is_good: bool = True) -> None:
        for asset in assets:
            instance.report_runless_asset_event(dg.AssetMaterialization(asset))
            for check in defs.resolve_asset_graph().asset_check_keys:
                if check.asset_key == dg.AssetKey(asset):
                    instance.report_runless_asset_event(
                        dg.AssetCheckEvaluation(check.asset_key, check.name, is_good, {})
                    )

    of_any = {"rejected_records", "unknown_fields", "loads"}
    mean = "mean_votes_per_post_per_week"
    after_votes = {"votes_per_post_per_week", mean, "outlier_weeks", *of_any}
    assert tick() & {"posts", "votes"} == set()
    made("posts", "votes", *after_votes)
    tick()
    assert tick() == set()

    made("votes")
    assert tick() == after_votes
    made(*after_votes)
    assert tick() == set()
    made("posts")
    assert tick() == {mean, *of_any}
    made(mean, *of_any)
    assert tick() == set()

    made("votes", is_good=False)
    assert [tick() for _ in range(2)] == [of_any, set()]
    made("votes")
    assert tick() == after_votes


def test_the_catch_up_job_makes_every_asset_and_every_check() -> None:
    layer = defs.resolve_job_def("catch_up").asset_layer

    assert _names(layer.selected_asset_keys) == {*TABLE_NAMES, AVERAGE}
    assert layer.asset_graph.asset_check_keys == defs.resolve_asset_graph().asset_check_keys


def test_sensors_run_by_themselves_unless_switched_off() -> None:
    assert {
        sensor.name: (sensor.default_status, sensor.minimum_interval_seconds)
        for sensor in defs.get_repository_def().sensor_defs
    } == {
        "sources_sensor": (dg.DefaultSensorStatus.RUNNING, 30),
        "follow_sources": (dg.DefaultSensorStatus.RUNNING, 60),
        "dead_runs": (dg.DefaultSensorStatus.RUNNING, 300),
    }


def test_every_table_is_an_asset_and_each_of_its_columns_is_described() -> None:
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    for table in TABLES:
        spec = specs[str(table.name)]
        schema = spec.metadata["dagster/column_schema"]
        assert spec.description
        assert isinstance(schema, dg.TableSchema)
        names = [column.name for column in schema.columns]
        assert names == [column.name for column in table.columns]
        assert [column.name for column in schema.columns if not column.description] == []
        assert spec.metadata["dagster/table_name"] == table.name


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
        "outlier_weeks": ("Which weeks had unusually many or few votes (over 20% off the mean)?"),
        "batch_completions": (
            "Which batches have the most students that completed at least 3 lessons?"
        ),
        "weekly_trips": "How many trips did each region have per week?",
        "reviews_per_month": "How were products rated each month?",
    }


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
