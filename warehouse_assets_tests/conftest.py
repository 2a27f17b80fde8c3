"""Fixtures that every test may use."""

import gc
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from sqlalchemy.pool import QueuePool

from warehouse_assets.lake import lake as lake_module
from warehouse_assets.lake.lake import start_duckdb
from warehouse_assets.settings import SETTINGS, Settings
from warehouse_assets_tests.house import House
from warehouse_assets_tests.sail import Sail

# Of an engine of its own: `make test-cluster` runs these.
collect_ignore = [] if importlib.util.find_spec("pysail") else ["cluster", "deploy/test_schemas.py"]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run each test in an empty folder and without the settings of whoever runs it."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)


def pytest_collection_finish() -> None:
    """Spare the tests what takes a while each time."""
    if importlib.util.find_spec("pandas") is None:
        # DuckDB looks for it whenever a statement has values.
        pytest.MonkeyPatch().setitem(sys.modules, "pandas", None)
    # The garbage collector would look at what was imported all the time.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_duckdb(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB as a lake starts it; to start one takes longer than many tests."""
    memory_limit = Settings.from_environment({}).memory_limit
    with start_duckdb(tmp_path_factory.mktemp("scratch"), memory_limit) as connection:
        yield connection


@pytest.fixture(autouse=True)
def one_duckdb(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all lakes of a process use one DuckDB, but where a test is marked with `own_duckdb`."""
    if request.node.get_closest_marker("own_duckdb") is None:
        shared = request.getfixturevalue("shared_duckdb")
        monkeypatch.setattr(lake_module, "start_duckdb", lambda *_: shared.cursor())


@pytest.fixture(scope="session")
def shared_instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster history; to make one takes longer than most tests."""
    with dg.DagsterInstance.ephemeral() as instance:
        for storage in (instance.event_log_storage, instance.run_storage):
            _keep_connections(storage)
        yield instance


def _keep_connections(storage: Any) -> None:
    """Spare a storage in memory the connection that it would make for each statement."""
    engine = storage._engine
    arguments, options = engine.dialect.create_connect_args(engine.url)
    options["check_same_thread"] = False
    engine.pool = QueuePool(lambda: engine.dialect.connect(*arguments, **options))


@pytest.fixture(scope="session")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that computes tables, where one is installed; else DuckDB does."""
    if importlib.util.find_spec("pysail") is None:
        yield ""
        return
    server = Sail(tmp_path_factory.mktemp("sail") / "log")
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
def instance(shared_instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """A Dagster history, empty when the test begins."""
    yield shared_instance
    shared_instance.wipe()


@pytest.fixture
def house(tmp_path: Path, instance: dg.DagsterInstance, engine_url: str) -> House:
    """An empty warehouse."""
    return House(tmp_path / "home", instance, ENGINE_URL=engine_url)
