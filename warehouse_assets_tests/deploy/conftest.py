"""Dagster's home as it is deployed."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets_tests.deploy import files
from warehouse_assets_tests.postgres import postgres_url, server_url


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """What `dagster.yaml` says, with its history in a new database."""
    written = files.dagster()
    written["local_artifact_storage"]["config"]["base_dir"] = str(tmp_path)
    # The test's server listens on a socket only, which the client library finds by PGHOST.
    monkeypatch.setenv("PGHOST", server_url().partition("host=")[2])
    monkeypatch.setenv("DAGSTER_POSTGRES_HOST", "")
    monkeypatch.setenv("DAGSTER_POSTGRES_USER", "postgres")
    database = postgres_url().partition("@/")[2].partition("?")[0]
    monkeypatch.setenv("DAGSTER_POSTGRES_DATABASE", database)
    monkeypatch.setenv("WAREHOUSE_IMAGE", "warehouse_assets")
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(files.dumped(written), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance
