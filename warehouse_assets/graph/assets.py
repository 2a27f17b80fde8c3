"""The two ways in which a table of the lake is an asset: caught up from files, or computed.

Materialising either leaves the table in the lake up to date and publishes it. Both can be done
again, and at any time, without changing anything that is up to date.
"""

import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.graph.computation import compute
from warehouse_assets.graph.failures import explained
from warehouse_assets.graph.metadata import definition_metadata, table_metadata
from warehouse_assets.lake import Lake, Written
from warehouse_assets.progress import Listener
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.sources.delivery_files import FileKind, Taken, catch_up
from warehouse_assets.sources.inbox import Inbox
from warehouse_assets.warehouse import Warehouse, publish

FOLLOWS_ITS_SOURCES = dg.AutomationCondition.eager()


def file_asset(kind: FileKind, group: str) -> dg.AssetsDefinition:
    """The asset of a table that is caught up with delivery files."""
    table = kind.table
    if table is None:
        raise TypeError(f"files of the kind {kind.name} have no table")

    @dg.asset(
        name=str(table.name),
        group_name=group,
        description=table.comment,
        kinds={"json", "deltalake"},
        metadata=definition_metadata(table),
    )
    def asset(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        inbox: dg.ResourceParam[Inbox],
        warehouse: dg.ResourceParam[Warehouse],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[Any]:
        with explained(context):
            started = time.monotonic()
            taken = catch_up(lake, inbox, kind, context.log.info, progress)
            _tell_taken(context, taken)
            more = taken_metadata(taken)
            return _publish(context, lake, warehouse, progress, table, started, taken.written, more)

    return asset


def sql_asset(
    table: Table,
    reads: Sequence[Table],
    group: str,
    folder: Path,
    computed_per: str | None = None,
) -> dg.AssetsDefinition:
    """The asset of a table that one SELECT computes from other tables of the lake.

    Args:
        reads: the tables that the SELECT names.
        folder: where its file `TABLE.sql` is.
        computed_per: a column that the table shares with the first of `reads`, if each of its
            rows follows from the rows there that have the same value in it. Then only values
            of rows that have changed are computed again.
    """
    query = (folder / f"{table.name}.sql").read_text(encoding="utf-8")

    @dg.asset(
        name=str(table.name),
        group_name=group,
        description=table.comment,
        kinds={"sql", "duckdb", "deltalake"},
        metadata=definition_metadata(table),
        deps=[str(read.name) for read in reads],
        automation_condition=FOLLOWS_ITS_SOURCES,
        code_version=str(zlib.crc32(query.encode())),
    )
    def asset(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[Any]:
        with explained(context):
            started = time.monotonic()
            stored = lake.table(table)
            with lake.lock(stored.name, on_wait=context.log.info):
                written = compute(lake, stored, reads, query, computed_per)
            _tell_written(context, written)
            return _publish(context, lake, warehouse, progress, table, started, written, {})

    return asset


def rejected_records_asset(
    sources: Sequence[str], unrecognised: Sequence[FileKind], group: str
) -> dg.AssetsDefinition:
    """The asset of the rejected records: the assets in `sources` write it, this one publishes it.

    Args:
        unrecognised: files that no asset takes; they are rejected here.
    """
    table = REJECTED_RECORDS

    @dg.asset(
        name=str(table.name),
        group_name=group,
        description=table.comment,
        kinds={"deltalake"},
        metadata=definition_metadata(table),
        deps=list(sources),
        automation_condition=FOLLOWS_ITS_SOURCES,
    )
    def asset(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        inbox: dg.ResourceParam[Inbox],
        warehouse: dg.ResourceParam[Warehouse],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[Any]:
        with explained(context):
            started = time.monotonic()
            rejected = 0
            for kind in unrecognised:
                taken = catch_up(lake, inbox, kind, context.log.info, progress)
                _tell_taken(context, taken)
                rejected += taken.rejected
            more = {"records_rejected": rejected}
            return _publish(context, lake, warehouse, progress, table, started, None, more)

    return asset


def taken_metadata(taken: Taken) -> dict[str, Any]:
    """What a catch-up took, for the UI and the command line."""
    return {
        "files_taken": len(taken.units),
        "files_known_already": len(taken.known),
        "files_still_being_written": len(taken.unfinished),
        "records_taken": taken.records,
        "records_rejected": taken.rejected,
        "bytes_read": taken.bytes_read,
        "units": [unit.name for unit in taken.units],
    }


def _publish(
    context: dg.AssetExecutionContext,
    lake: Lake,
    warehouse: Warehouse,
    progress: Listener,
    table: Table,
    started: float,
    written: Written | None,
    more: dict[str, Any],
) -> dg.MaterializeResult[Any]:
    """Publish the table as it is now and give an account of the step.

    Args:
        started: when the step began, by the monotonic clock.
        written: what the step wrote; None if other steps write the table, and what is new is what
            is published.
        more: metadata of the step that this function does not know.
    """
    stored = lake.table(table)
    handle = stored.open()
    published = publish(lake, warehouse, stored, progress, on_wait=context.log.info, handle=handle)
    written = written or Written(inserted=published.rows_written)
    metadata = {
        **table_metadata(lake, table, handle),
        **more,
        "rows_inserted": written.inserted,
        "rows_updated": written.updated,
        "rows_deleted": written.deleted,
        "bytes_written": written.bytes_written,
        "rows_published": published.rows_written + published.rows_deleted,
        "is_published_whole": published.is_whole,
        "is_unchanged": written.rows_changed == 0,
        "seconds": round(time.monotonic() - started, 3),
    }
    return dg.MaterializeResult(metadata=metadata)


def _tell_written(context: dg.AssetExecutionContext, written: Written) -> None:
    if written.rows_changed == 0:
        context.log.info("Nothing new: the table stays as it is.")
        return
    context.log.info(
        f"{written.inserted:,} rows inserted, {written.updated:,} updated, "
        f"{written.deleted:,} deleted."
    )


def _tell_taken(context: dg.AssetExecutionContext, taken: Taken) -> None:
    for name in taken.unfinished:
        context.log.info(f"{name} is still being written; it waits for the next run.")
    for file in taken.known:
        context.log.info(f"{file.name} was taken before; its content is known.")
    for unit in taken.units:
        context.log.info(f"Took {unit.file.name} ({unit.file.size:,} bytes) as {unit.name}.")
    if taken.rejected:
        context.log.warning(f"{taken.rejected:,} records were rejected; rejected_records says why.")
    _tell_written(context, taken.written)
