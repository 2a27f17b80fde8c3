"""The end of every asset's step: its table is published, and an account is given."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Lake, Written
from warehouse_assets.orchestration.metadata import picture_metadata, table_metadata
from warehouse_assets.progress import Progress, report, tell
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS, UNKNOWN_FIELDS
from warehouse_assets.warehouse import Published, Warehouse, publish, withdraw


@dataclass
class Step:
    """The step of an asset, which began when this was made."""

    context: dg.AssetExecutionContext
    lake: Lake
    inbox: Inbox
    warehouse: Warehouse
    settings: Settings
    _started: float = field(default_factory=time.monotonic)

    @property
    def log(self) -> dg.DagsterLogManager:
        """The log of the run."""
        return self.context.log

    @property
    def run_id(self) -> str:
        """The run that the step is of."""
        return self.context.run.run_id

    @contextmanager
    def publishing_rejected(self) -> Iterator[None]:
        """Publish at the end of the block what was rejected, and unknown fields, also if it fails.

        The asset of the rejected records comes after all that reject some: Dagster leaves it out
        where any of these, or one of their blocking checks, has failed.
        """
        try:
            yield
        except Exception:
            self._publish_rejected()
            raise
        self._publish_rejected()

    def _publish_rejected(self) -> None:
        for stored in map(self.lake.table, (REJECTED_RECORDS, UNKNOWN_FIELDS)):
            try:
                if stored.exists():
                    publish(self.lake, self.warehouse, stored)
            except Exception as error:  # the step has failed of something else, or not at all
                self.log.warning(f"{stored.name} was not published: {error}")

    def finish(
        self, table: Table, written: Written, more: Mapping[str, Any] | None = None
    ) -> dg.MaterializeResult[Any]:
        """Publish the table as it is now and give an account of the step.

        Args:
            written: what is new in the table.
            more: metadata of the step that only the asset knows.
        """
        if names := (more or {}).get("unknown_fields"):
            self.log.warning(
                f"The source of {table.name} has fields that no column is for: {', '.join(names)}. "
                "What is in them is not kept; unknown_fields tells where they were first seen."
            )
        stored = self.lake.table(table)
        handle = stored.open()
        if self.settings.publishes(table):
            report(Progress(str(table.name), "publishing"))
            published = publish(self.lake, self.warehouse, stored, handle=handle)
        else:
            withdraw(self.lake, self.warehouse, table)
            published = Published()
        if written.rows_changed == 0:
            tell("Nothing new: the table stays as it is.")
        else:
            tell(
                f"{written.inserted:,} rows inserted, {written.updated:,} updated, "
                f"{written.deleted:,} deleted."
            )
        size, preview = table_metadata(self.lake, table, handle)
        metadata = {
            **size,
            "rows_inserted": written.inserted,
            "rows_updated": written.updated,
            "rows_deleted": written.deleted,
            "rows_published": published.rows_written + published.rows_deleted,
            **({"rows_with_nul": published.rows_with_nul} if published.rows_with_nul else {}),
            "is_unchanged": written.rows_changed == 0,
            "is_published_whole": published.is_whole,
            **(more or {}),
            "bytes_written": written.bytes_written,
            "seconds": round(time.monotonic() - self._started, 3),
            **picture_metadata(table, self.settings.api_url),
            "preview": preview,
        }
        return dg.MaterializeResult(metadata=metadata)
