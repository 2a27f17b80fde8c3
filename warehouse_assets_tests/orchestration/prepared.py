"""Homes of warehouses that several tests begin with, each with a copy of its own."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from warehouse_assets.lake import lake as lake_module
from warehouse_assets_tests.house import House


@dataclass(frozen=True)
class Homes:
    """Makes homes, for fixtures that last longer than a test."""

    paths: pytest.TempPathFactory
    instance: dg.DagsterInstance
    duckdb: duckdb.DuckDBPyConnection

    def make(self, fill: Callable[[House], object]) -> Path:
        """The home of a warehouse that was filled; the history forgets its runs."""
        home = self.paths.mktemp("prepared") / "home"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lake_module, "start_duckdb", lambda *_: self.duckdb.cursor())
            fill(House(home, self.instance))
        self.instance.wipe()
        return home


def begin_with(home: Path, house: House) -> House:
    """Give `house`, which is empty, a copy of all that is in `home`."""
    shutil.copytree(home, house.settings.home)
    return house
