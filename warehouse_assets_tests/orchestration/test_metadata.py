"""What a materialisation tells about itself."""

import time
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

import warehouse_assets
from warehouse_assets.defs.reviews.tables import PRODUCT_REVIEWS_DAILY, REVIEWS
from warehouse_assets.defs.school.tables import (
    BATCH_COMPLETIONS,
    BATCHES,
    LESSON_COMPLETIONS,
    STUDENTS,
)
from warehouse_assets.defs.trips.tables import TRIP_GROUPS, WEEKLY_TRIPS
from warehouse_assets.orchestration.metadata import (
    chart_metadata,
    column_lineage,
    definition_metadata,
    markdown,
)
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = [
        event
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    ]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def log_of(house: House, result: dg.ExecuteInProcessResult, step: str) -> list[str]:
    """What the step logged for people, in its order."""
    return [
        record.user_message
        for record in house.instance.all_logs(result.run_id)
        if record.dagster_event is None and record.step_key == step
    ]


def test_an_asset_of_files_tells_what_it_took_and_shows_its_first_rows(house: House) -> None:
    records = [vote(7, 1), vote(7, 2), *(vote(n, 1) for n in (6, 5, 4)), {"Id": "x"}]
    path = house.deliver("votes.jsonl", [*records, vote(3, 1, UserId="8"), vote(2, 1)])
    size, content = path.stat().st_size, path.read_bytes()
    started = time.monotonic()

    result = house.run("votes", checks=False)

    told = metadata(result, "votes")
    assert told["dagster/row_count"] == 6
    assert told["dagster/uri"] == str(folder_of(house.settings.lake) / "votes")
    assert told["lake_version"] == house.versions()["votes"]
    assert told["files_taken"] == 1
    assert told["files_known_already"] == 0
    assert told["files_still_being_written"] == 0
    assert told["records_taken"] == 7
    assert told["records_rejected"] == 1
    assert told["units"] == ["00000001-votes.jsonl"]
    assert told["bytes_read"] == size
    assert told["bytes_written"] == sum(
        path.stat().st_size for path in (folder_of(house.settings.lake) / "votes").glob("*.parquet")
    )
    assert (told["rows_inserted"], told["rows_updated"], told["rows_deleted"]) == (6, 0, 0)
    assert told["rows_published"] == 6
    assert told["is_unchanged"] is False
    assert 0 < told["seconds"] < time.monotonic() - started
    assert told["preview"].splitlines() == [
        "| id | post_id | vote_type_id | user_id | bounty_amount | creation_date | arrival |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| 2 | 1 | 2 |  |  | 2022-01-03 00:00:00 | 1 |",
        "| 3 | 1 | 2 | 8 |  | 2022-01-03 00:00:00 | 1 |",
        "| 4 | 1 | 2 |  |  | 2022-01-03 00:00:00 | 1 |",
        "| 5 | 1 | 2 |  |  | 2022-01-03 00:00:00 | 1 |",
        "| 6 | 1 | 2 |  |  | 2022-01-03 00:00:00 | 1 |",
    ]
    assert log_of(house, result, "votes") == [
        f"Took votes.jsonl ({size} bytes) as 00000001-votes.jsonl.",
        "1 records were rejected; rejected_records says why.",
        "6 rows inserted, 0 updated, 0 deleted.",
    ]

    house.deliver("votes-again.jsonl", content)
    house.deliver("votes-2.jsonl.part", "{")
    result = house.run("votes", checks=False)

    assert log_of(house, result, "votes") == [
        "votes-2.jsonl.part is still being written; it waits for the next run.",
        "votes-again.jsonl was taken before; its content is known.",
        "Nothing new: the table stays as it is.",
    ]
    told = metadata(result, "votes")
    assert told["files_taken"] == 0
    assert told["files_known_already"] == 1
    assert told["files_still_being_written"] == 1


def test_a_computed_asset_tells_what_changed(house: House) -> None:
    asset = "votes_per_post_per_week"
    house.deliver("votes.jsonl", [vote(1, 1), vote(2, 2)])
    take(house)
    house.run(asset, checks=False)
    # Vote 1 moves to post 3, and post 2 gets another one.
    house.deliver("votes-2.jsonl", [vote(1, 3), vote(3, 2)])
    take(house)

    told = metadata(house.run(asset, checks=False), asset)

    assert (told["rows_inserted"], told["rows_updated"], told["rows_deleted"]) == (1, 1, 1)
    assert told["dagster/row_count"] == 2
    assert told["rows_published"] == 3
    assert told["is_published_whole"] is False
    assert told["is_unchanged"] is False
    assert "files_taken" not in told
    assert list(told["dagster/column_lineage"].deps_by_column) == ["post_id", "week_start", "votes"]
    assert list(told)[-1] == "preview"


def test_a_chart_is_shown_from_the_service_and_says_so_where_that_is_not_there() -> None:
    for table, path in (
        (WEEKLY_TRIPS, "/answers/weekly_trips/chart.svg"),
        (TRIP_GROUPS, "/trips/map.svg"),
    ):
        address = f"http://127.0.0.1:8642{path}"
        told = chart_metadata(table, "http://127.0.0.1:8642")["chart"].value
        assert "while `warehouse serve` runs at http://127.0.0.1:8642.](" in told
        assert told.endswith(f"]({address}?width=420)\n\n[{address}]({address})")
    assert chart_metadata(REVIEWS, "http://127.0.0.1:8642") == {}


def test_a_second_run_changes_nothing_and_says_so(house: House) -> None:
    assets = ("votes", "outlier_weeks", "rejected_records")
    house.deliver("votes.jsonl", [vote(1, 1), {"Id": "x"}])
    house.run(*assets, checks=False)
    versions = house.versions()
    tables = {name: house.published(name) for name in versions}
    content = house.warehouse.path.read_bytes()

    result = house.run(*assets, checks=False)

    assert result.success
    assert house.versions() == versions
    assert {name: house.published(name) for name in versions} == tables
    assert house.warehouse.path.read_bytes() == content
    for asset in assets:
        told = metadata(result, asset)
        assert told["is_unchanged"] is True, asset
        assert told["rows_published"] == 0, asset
        assert told["bytes_written"] == 0, asset
        if asset != "rejected_records":
            assert log_of(house, result, asset) == ["Nothing new: the table stays as it is."]


def test_a_cell_of_a_preview_stays_one_short_line() -> None:
    cells = {
        None: "",
        "a|b": "a\\|b",
        "two\n lines": "two lines",
        "x" * 80: "x" * 80,
        "x" * 81: "x" * 79 + "…",
    }
    with duckdb.connect() as connection:
        rows = connection.sql("SELECT unnest($1) AS name, 1.5 AS n", params=[list(cells)])
        told = markdown(rows).splitlines()

    assert told == ["| name | n |", "| --- | --- |", *(f"| {c} | 1.5 |" for c in cells.values())]


def test_a_declaration_that_does_not_say_what_a_column_means_is_refused() -> None:
    described = Column("id", BigInteger, primary_key=True, comment="Its number.")
    columns = described, Column("note", Text), Column("colour", Text, comment=" ")
    orders = Table("orders", MetaData(), *columns, comment="Orders.")

    with pytest.raises(TypeError, match=r"not said of orders\.note, orders\.colour\. Give each a"):
        definition_metadata(orders)
    with pytest.raises(TypeError, match="not said of the table lines"):
        definition_metadata(Table("lines", MetaData()))


def found(folder: Path, family: str, table: Table, *reads: Table) -> dict[str, set[str]]:
    file = Path(warehouse_assets.__file__).parent / "defs" / family / "sql" / f"{table.name}.sql"
    lineage = column_lineage(folder, table, reads, file.read_text(encoding="utf-8"))
    return {
        name: {f"{dep.asset_key.to_user_string()}.{dep.column_name}" for dep in deps}
        for name, deps in lineage.deps_by_column.items()
    }


def test_columns_follow_through_joins_and_sums(tmp_path: Path) -> None:
    reads = (BATCHES, STUDENTS, LESSON_COMPLETIONS)

    told = found(tmp_path, "school", BATCH_COMPLETIONS, *reads)

    assert list(told) == [column.name for column in BATCH_COMPLETIONS.columns]
    assert told["batch_name"] == {"batches.name"}
    assert told["students"] == {"students.id"}
    completed = "lesson_completions.first_completed_log_position"
    assert told["share_with_3_lessons"] == {"students.id", completed}


def test_names_have_the_case_of_their_declaration_also_where_they_were_kept(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "lineage"
    expected = found(folder, "reviews", PRODUCT_REVIEWS_DAILY, REVIEWS)
    assert expected["product_id"] == {"reviews.productID"}
    assert expected["reviews"] == set()  # rows are counted, whatever they hold
    (kept,) = folder.iterdir()
    for content in (kept.read_text(), "", "{"):
        kept.write_text(content)
        assert found(folder, "reviews", PRODUCT_REVIEWS_DAILY, REVIEWS) == expected
