"""What surrounds the work of a step, and how the step of a table ends.

Errors are retried where that can help, and explained where it cannot. In the end the table is
published, and an account is given.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import duckdb
from deltalake.exceptions import DeltaError
from sqlalchemy import Table

from warehouse_assets.errors import PermanentError, TransientError, is_disk_full
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Lake, Written
from warehouse_assets.orchestration.metadata import chart_metadata, table_metadata
from warehouse_assets.progress import Progress, heard_by, report, tell
from warehouse_assets.settings import Settings
from warehouse_assets.tables import LOADS, REJECTED_RECORDS, UNKNOWN_FIELDS
from warehouse_assets.terminal_text import make_visible, visible
from warehouse_assets.times import Weeks
from warehouse_assets.warehouse import Published, Warehouse, publish, withdraw

_RETRIES = 3
_SECONDS_BETWEEN_RETRIES = 2.0

_Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext


@contextmanager
def in_step(context: _Context) -> Iterator[None]:
    """Surround the work of a step of a run: what it tells is logged.

    Its errors become a retry, or a failure that says what to do.
    """
    context.log.addFilter(make_visible)
    try:
        with heard_by(tell=context.log.info):
            yield
    except TransientError as error:
        context.log.warning(str(error))
        raise dg.RetryRequested(_RETRIES, _SECONDS_BETWEEN_RETRIES) from error
    except duckdb.OutOfMemoryException as error:
        raise dg.Failure(
            f"The run needs more memory than it may use: {error}. Nothing is half done. Raise the "
            "setting MEMORY_LIMIT, or free disk space if it was full.",
            allow_retries=False,
        ) from error
    except (PermanentError, DeltaError, duckdb.Error, OSError) as error:
        if is_disk_full(error):
            raise dg.Failure(
                f"The disk is full: {str(error).rstrip('.')}. Nothing is half done. Free some "
                "space; the next run continues where this one stopped.",
                allow_retries=False,
            ) from error
        if isinstance(error, PermanentError):
            raise dg.Failure(str(error), allow_retries=False) from error
        if not isinstance(error, OSError):  # which has names of files escaped
            error.args = (visible(str(error), "\n"),)
        raise


@dataclass
class Step:
    """The step of an asset, which began when this was made.

    Args:
        anew: weeks of a computed table that are computed whether or not anything changed.
    """

    context: dg.AssetExecutionContext | dg.OpExecutionContext
    lake: Lake
    inbox: Inbox
    warehouse: Warehouse
    settings: Settings
    anew: Weeks | None = None
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
        """Publish at the end of the block what was loaded, rejected and unknown, even if it fails.

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
        for stored in map(self.lake.table, (REJECTED_RECORDS, UNKNOWN_FIELDS, LOADS)):
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
            **chart_metadata(table, self.settings.api_url),
            "preview": preview,
        }
        return dg.MaterializeResult(metadata=metadata)
