"""The sensor starts a run when the database of reviews has changed."""

from dataclasses import replace
from pathlib import Path

import dagster as dg

from warehouse_assets.definitions import build_defs
from warehouse_assets.defs.reviews.source import REVIEWS_SOURCE
from warehouse_assets.ingest.sql_reader import Limits
from warehouse_assets.orchestration.sql_sources import sql_source_sensor
from warehouse_assets.settings import Settings
from warehouse_assets_tests.defs.reviews.databases import Database, review

SENSOR = sql_source_sensor(
    replace(REVIEWS_SOURCE, limits=Limits(settled_seconds=-1)), dg.AssetSelection.groups("reviews")
)


def tick(settings: Settings, instance: dg.DagsterInstance, cursor: str | None) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"settings": settings},
        definitions=build_defs({"settings": settings}),
    )
    result = SENSOR(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_a_run_starts_for_each_change(
    database: Database, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = Settings.from_environment(
        {"WAREHOUSE_HOME": str(tmp_path), "REVIEWS_URL": database.url}
    )
    database.insert([review(1)])

    first = tick(settings, instance, None)
    second = tick(settings, instance, first.cursor)
    database.execute("DROP TABLE reviews")
    third = tick(settings, instance, second.cursor)

    assert len(first.run_requests or []) == 1
    assert not second.run_requests
    assert second.skip_reason == dg.SkipReason("The database of reviews has not changed.")
    assert bool(third.run_requests) is (database.kind == "sqlite")


def test_where_nothing_is_nothing_starts(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})

    result = tick(settings, instance, "before")

    assert (result.run_requests, result.cursor) == ([], "before")
