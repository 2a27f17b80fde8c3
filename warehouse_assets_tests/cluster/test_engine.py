"""Tables computed by an engine of its own are those that DuckDB computes."""

from pathlib import Path

import dagster as dg
import duckdb

from warehouse_assets_tests.cluster.everything import ALL, everything
from warehouse_assets_tests.cluster.sources import ROUNDS, Sources
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House
from warehouse_assets_tests.sail import Sail

_COMPUTED = {
    "batch_completions",
    "daily_trips",
    "delivery_durations",
    "lesson_completions",
    "lesson_titles",
    "lessons",
    "mean_votes_per_post_per_week",
    "outlier_weeks",
    "product_reviews_daily",
    "reviewer_reviews_daily",
    "reviews_per_month",
    "trip_groups",
    "trip_groups_fine",
    "votes_per_post_per_week",
    "weekly_trips",
}


def _said_to_compute(run: dg.ExecuteInProcessResult) -> set[object]:
    """What a run that succeeded says to have computed the tables."""
    assert run.success
    return {
        run.asset_materializations_for_node(t)[0].metadata["computed_by"].value for t in _COMPUTED
    }


def _writers(house: House) -> dict[str, set[str]]:
    """By computed table, what has written its files, as their footers say."""
    found = {}
    for name in _COMPUTED:
        files = [str(path) for path in (folder_of(house.settings.lake) / name).rglob("*.parquet")]
        rows = duckdb.execute("SELECT created_by FROM parquet_file_metadata(?)", [files]).fetchall()
        found[name] = {created_by.partition(" ")[0] for (created_by,) in rows}
    return found


def test_all_tables_are_the_same_as_duckdbs_though_the_engine_dies_in_every_round(
    tmp_path: Path, instance: dg.DagsterInstance, sail: Sail
) -> None:
    sources = Sources(tmp_path)
    engine = {"ENGINE_URL": sail.url, "PARTITION_BY_WEEK": "yes"}
    there = House(tmp_path / "there", instance, **engine, **sources.environment)
    with dg.DagsterInstance.ephemeral() as other:
        here = House(tmp_path / "here", other, **sources.environment)
        # The engine dies after it has computed one of these, with others to come.
        for number, last in enumerate(["daily_trips", "lessons", "votes_per_post_per_week"], 1):
            sources.grow(number)
            for house in (here, there):
                sources.deliver(number, house.settings.inbox)
            done = here.run(*ALL, checks=False)
            assert _said_to_compute(done) == {"DuckDB"}

            def die(point: str, table: str, last: str = last) -> None:
                if (point, table) == ("computed by an engine", last):
                    sail.kill()

            with hooked(die):
                failed = there.run(*ALL, checks=False)
            assert not failed.success
            said = [str(e.event_specific_data) for e in failed.all_events if e.is_step_failure]
            place = sail.url.removeprefix("sc://")
            assert any(f"The engine at {place} did not" in words for words in said)
            sail.start()
            done = there.run(*ALL, checks=False)
            assert _said_to_compute(done) == {f"Spark Connect at {place}"}

            assert everything(there) == everything(here)
        assert number == ROUNDS
    assert set().union(*_writers(here).values()) <= {"DuckDB", "parquet-rs"}
    assert all(writers & {"datafusion"} for writers in _writers(there).values())
    assert not list(folder_of(there.settings.lake).glob("*/computing-*"))
