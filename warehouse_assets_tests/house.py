"""A whole warehouse in a temporary folder, for tests that use it as its users do."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from deltalake import DeltaTable

from warehouse_assets.catalogue import TABLES
from warehouse_assets.definitions import build_defs, resources_of
from warehouse_assets.defs.forum.tables import TABLES as FORUM_TABLES
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets.warehouse import warehouse_at
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.ingest.stored import WHY

FORUM = (*FORUM_TABLES, REJECTED_RECORDS)
"""The tables of the family that stands for all in the tests of the frame."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@cache
def job_of(assets: Sequence[str], checks: bool) -> dg.JobDefinition:
    """A job of the asset graph; each run brings its own resources, for to make it takes long."""
    chosen = dg.AssetSelection.assets(*assets)
    job = dg.define_asset_job("test_run", selection=chosen if checks else chosen.without_checks())
    defs = build_defs({"settings": Settings.from_environment({})})
    merged = dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
    return merged.resolve_job_def("test_run")


class Home:
    """Settings and resources of a warehouse below `home`, and what it holds."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.environment = {
            "WAREHOUSE_HOME": str(home),
            "INBOX_SETTLE_SECONDS": "0",
            **environment,
        }
        self.settings = Settings.from_environment(self.environment)
        self.lake = Lake.of(self.settings)
        self.inbox = Inbox.of(self.settings)
        self.warehouse = warehouse_at(self.settings.warehouse_url)

    def deliver(self, name: str, content: str | bytes | Iterable[Mapping[str, Any]]) -> Path:
        """Put a file into the inbox: text, bytes, or records as JSON lines."""
        self.settings.inbox.mkdir(parents=True, exist_ok=True)
        path = self.settings.inbox / name
        if isinstance(content, str):
            content = content.encode()
        elif not isinstance(content, bytes):
            content = "".join(json.dumps(record) + "\n" for record in content).encode()
        path.write_bytes(content)
        return path

    def published(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """The rows of a table of the warehouse, sorted."""
        with closing(sqlite3.connect(self.warehouse.path)) as connection:
            rows = connection.execute(f'SELECT {columns} FROM "{table}"').fetchall()
        return sorted(rows, key=repr)

    def stored(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """The rows of a table of the lake, sorted."""
        declaration = next(t for t in TABLES if t.name == table)
        with self.lake.connect() as connection:
            self.lake.view_newest(connection, declaration)
            rows = connection.execute(f'SELECT {columns} FROM "{table}"').fetchall()
        return sorted(rows, key=repr)

    def rejected(self) -> list[tuple[Any, ...]]:
        """Source, unit, position, reason and raw text of the rejected records, sorted."""
        return self.stored("rejected_records", f"source, unit, position, {WHY}, raw")

    def versions(self) -> dict[str, int]:
        """The version of each table of the lake that exists."""
        paths = (folder_of(self.settings.lake) / str(table.name) for table in TABLES)
        return {path.name: DeltaTable(str(path)).version() for path in paths if path.exists()}

    def waiting(self) -> list[str]:
        """The names of the files in the inbox."""
        return sorted(path.name for path in self.settings.inbox.iterdir())

    def archived(self) -> list[str]:
        """The paths of the files in the archive, relative to it."""
        archive = self.settings.archive
        return sorted(str(p.relative_to(archive)) for p in archive.rglob("*") if p.is_file())


class House(Home):
    """A warehouse with a Dagster history, in which its assets are materialised."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, **environment: str) -> None:
        super().__init__(home, **environment)
        self.instance = instance

    def run(
        self, *assets: str, overrides: Mapping[str, Any] | None = None, checks: bool = True
    ) -> dg.ExecuteInProcessResult:
        """Materialise the given assets, or the forum's; no failure raises.

        Args:
            checks: whether to make their checks, too, which takes as long as the rest.
        """
        job = job_of(assets or tuple(str(table.name) for table in FORUM), checks)
        return job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config=_QUIET,
            resources=resources_of(self.settings, overrides or {}),
        )


def post(number: int, day: str = "2022-01-03", **fields: Any) -> dict[str, Any]:
    """A post as the supplier writes it."""
    return {"Id": str(number), "PostTypeId": "1", "CreationDate": f"{day}T00:00:00.000", **fields}


def vote(number: int, post_number: int, day: str = "2022-01-03", **fields: Any) -> dict[str, Any]:
    """A vote as the supplier writes it."""
    return {
        "Id": str(number),
        "PostId": str(post_number),
        "VoteTypeId": "2",
        "CreationDate": f"{day}T00:00:00.000",
        **fields,
    }
