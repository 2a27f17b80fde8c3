"""Laying a table out anew: the same rows in files by week, or no longer by week."""

import json
import time

from deltalake import DeltaTable

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake.commit import cast_query, write_explained
from warehouse_assets.lake.files import discard, keep_hashes, write_parquet
from warehouse_assets.lake.lake import Lake
from warehouse_assets.lake.storage import create_whole
from warehouse_assets.lake.table import REARRANGED, LakeTable, conflict
from warehouse_assets.lake.weeks import files_in, partition
from warehouse_assets.tables import WEEK, delta_schema


def relayout(lake: Lake, table: LakeTable, handle: DeltaTable) -> None:
    """Bring the files of a table to what `table.keeps_weeks` says, in one commit.

    The table keeps its identity, its rows and its transactions, and its change data feed tells
    nothing of it. The caller holds the table's lock.

    Raises:
        ConflictError: another process committed meanwhile; the table is as it was.
    """
    crash_point("table to be laid out", table.name)
    with lake.connect() as connection:
        lake.view_files(connection, table.declaration, table.files(handle), "_part")
        written = write_parquet(
            connection,
            table,
            cast_query(table, "FROM _part"),
            data_change=False,
            is_by_week=table.keeps_weeks,
        )
    now, metadata = int(time.time() * 1000), handle.metadata()
    schema = delta_schema(table.declaration, table.keeps_weeks)
    entry = [
        {"commitInfo": {"timestamp": now, "operation": "WRITE", REARRANGED: "true"}},
        {
            "metaData": {
                "id": str(metadata.id),
                "name": metadata.name,
                "description": metadata.description,
                "format": {"provider": "parquet", "options": {}},
                "schemaString": schema.to_json(),
                "partitionColumns": [WEEK] if table.keeps_weeks else [],
                "createdTime": metadata.created_time,
                "configuration": metadata.configuration,
            }
        },
        *(
            {
                "remove": {
                    "path": file.name,
                    "deletionTimestamp": now,
                    "dataChange": False,
                    "extendedFileMetadata": True,
                    "partitionValues": partition(file.week),
                    "size": file.size,
                }
            }
            for file in files_in(handle)
        ),
        *(
            {
                "add": {
                    "path": file.action.path,
                    "partitionValues": file.action.partition_values,
                    "size": file.action.size,
                    "modificationTime": file.action.modification_time,
                    "dataChange": False,
                    "stats": file.action.stats,
                }
            }
            for file in written
        ),
    ]
    version = handle.version() + 1
    content = "".join(f"{json.dumps(action)}\n" for action in entry).encode()
    try:
        with write_explained(table):
            keep_hashes(table, [file.action.path for file in written])
            crash_point("layout to be committed", table.name)
            # Delta's own writer cannot change a partitioning.
            create_whole(table.path / "_delta_log" / f"{version:020}.json", content)
    except FileExistsError as error:
        if not table.has_entry(version, content):  # of this call, whose answer was lost
            discard(table, written)
            raise conflict(table.name) from error
    crash_point("layout committed", table.name)
