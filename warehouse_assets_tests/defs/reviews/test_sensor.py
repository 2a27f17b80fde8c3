"""What the sensor of sources sees of the database of reviews."""

from dataclasses import replace
from pathlib import Path

import pytest

from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.sql_reader import Limits
from warehouse_assets.orchestration.sources import sql_watch
from warehouse_assets.settings import Settings
from warehouse_assets_tests.defs.reviews.databases import Database, review

WATCH = sql_watch(replace(REVIEWS_SOURCE, limits=Limits(settled_seconds=-1)))


def test_it_looks_other_after_each_change(database: Database, tmp_path: Path) -> None:
    environment = {"WAREHOUSE_HOME": str(tmp_path), "REVIEWS_URL": database.url}
    resources = {"settings": Settings.from_environment(environment)}
    database.insert([review(1)])

    first = WATCH.look(resources, []).signs
    assert len(first) == 1
    assert WATCH.look(resources, []).signs == first

    database.execute("DROP TABLE reviews")
    if database.kind == "sqlite":
        assert set(WATCH.look(resources, []).signs) - set(first)
    else:  # the sensor tells it
        with pytest.raises(SourceError, match="has no table reviews"):
            WATCH.look(resources, [])


def test_where_nothing_is_nothing_is_forgotten(tmp_path: Path) -> None:
    resources = {"settings": Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})}

    assert WATCH.look(resources, ["before"]).signs == ["before"]
