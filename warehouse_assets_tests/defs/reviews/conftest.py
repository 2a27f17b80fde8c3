"""What the tests of the reviews family share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.ingest.sql_source import Limits
from warehouse_assets.lake import Lake
from warehouse_assets_tests.defs.reviews.databases import COLUMNS, KINDS, Database

CatchUp = Callable[..., Loaded]


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Database]:
    """Makes a database of each kind with columns of certain types."""

    def make(types: Mapping[str, str] | None = None, columns: Sequence[str] = COLUMNS) -> Database:
        return Database(request.param, tmp_path / "source", types, columns)

    return make


@pytest.fixture
def database(made: Callable[..., Database]) -> Database:
    """A database of reviews of each kind."""
    return made()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(tmp_path / "lake", tmp_path / "tmp", 10**9)


@pytest.fixture
def catch_up(lake: Lake) -> CatchUp:
    """Catches the lake up with a database."""

    def load(database: Database, **limits: Any) -> Loaded:
        source = replace(REVIEWS_SOURCE, limits=Limits(**{"settled_seconds": -1, **limits}))
        return load_sql(lake, source, database.url, True)

    return load
