"""Fixtures of the tests of the graph."""

import dagster as dg
import duckdb
import pytest

from warehouse_assets_tests.orchestration.prepared import Homes


@pytest.fixture(scope="session")
def homes(
    tmp_path_factory: pytest.TempPathFactory,
    shared_instance: dg.DagsterInstance,
    shared_duckdb: duckdb.DuckDBPyConnection,
) -> Homes:
    """Makes homes that several tests begin with; before a test has a house."""
    return Homes(tmp_path_factory, shared_instance, shared_duckdb)
