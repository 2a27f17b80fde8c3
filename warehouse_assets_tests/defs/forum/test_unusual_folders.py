"""A warehouse works in whatever folder it is put."""

from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.defs.forum.family import VOTES_FILES
from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.errors import SettingError
from warehouse_assets.ingest.files import load_files
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.house import House, vote


def test_files_are_taken_merged_and_published(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    house = House(tmp_path / "st*r with space é{x}", instance)
    house.deliver("votes.json", [vote(1, 1), {"Id": "-"}])
    load_files(house.lake, house.inbox, VOTES_FILES)
    publish(house.lake, house.warehouse, house.lake.table(VOTES))
    house.deliver("votes-2.json", [vote(1, 1, VoteTypeId="3"), vote(2, 1)])  # by Delta's merge
    assert house.run("votes", checks=False).success
    assert [row[:3] for row in house.published("votes")] == [(1, 1, 3), (2, 1, 2)]
    assert [row[4] for row in house.rejected()] == ['{"Id": "-"}']


@pytest.mark.parametrize("name", ["a%20b", "a\\b", "a#b", "a?b", "[1]"])
def test_a_folder_that_cannot_hold_a_delta_table_is_refused(
    tmp_path: Path, instance: dg.DagsterInstance, name: str
) -> None:
    with pytest.raises(SettingError, match="LAKE_URI"):
        House(tmp_path / name, instance)
