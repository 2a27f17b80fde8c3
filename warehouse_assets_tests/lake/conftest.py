"""Fixtures of the tests of the lake."""

from pathlib import Path

import pytest

from warehouse_assets.lake import Lake
from warehouse_assets_tests.lake.tables import PETS, VISITS, Stored


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake without tables."""
    return Lake(tmp_path / "lake", tmp_path / "tmp", 10**9)


@pytest.fixture
def pets(lake: Lake) -> Stored:
    """A table with one key column and an arrival number."""
    return Stored(lake, PETS)


@pytest.fixture
def visits(lake: Lake) -> Stored:
    """A table with two key columns."""
    return Stored(lake, VISITS)


@pytest.fixture(params=["by Delta", "by DuckDB"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test with changes made by Delta's merge, and with files rewritten by DuckDB."""
    if request.param == "by DuckDB":
        monkeypatch.setattr("warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", 0)
    return str(request.param)
