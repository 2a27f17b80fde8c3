"""From which columns the columns of a computed table follow."""

from pathlib import Path

import pytest
from sqlalchemy import Table

import warehouse_assets
from warehouse_assets.defs.reviews.tables import PRODUCT_REVIEWS_DAILY, REVIEWS
from warehouse_assets.defs.school.tables import (
    BATCH_COMPLETIONS,
    BATCHES,
    LESSON_COMPLETIONS,
    STUDENTS,
)
from warehouse_assets.orchestration.metadata import column_lineage
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.orchestration.test_metadata import metadata


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
    assert told["share_with_3_lessons"] == {"students.id", "lesson_completions.student_id"}


@pytest.mark.parametrize("damage", [None, "", "{"])
def test_names_have_the_case_of_their_declaration_also_where_they_were_kept(
    tmp_path: Path, damage: str | None
) -> None:
    folder = tmp_path / "lineage"
    expected = found(folder, "reviews", PRODUCT_REVIEWS_DAILY, REVIEWS)
    assert expected["product_id"] == {"reviews.productID"}
    assert expected["reviews"] == set()  # rows are counted, whatever they hold
    (kept,) = folder.iterdir()
    if damage is not None:
        kept.write_text(damage)

    assert found(folder, "reviews", PRODUCT_REVIEWS_DAILY, REVIEWS) == expected


def test_a_materialisation_of_a_computed_table_tells_it(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])

    told = metadata(house.run("votes", "outlier_weeks", checks=False), "outlier_weeks")

    assert list(told["dagster/column_lineage"].deps_by_column) == ["year", "week_number", "votes"]
    assert list(told)[-1] == "preview"
