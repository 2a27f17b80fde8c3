"""Which delivery files are trips. A stand-in until the real reader replaces this file."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from warehouse_assets.lake import LakeTable
from warehouse_assets.lake.parquet import write_parquet
from warehouse_assets.sources.file_kinds import StagedFiles
from warehouse_assets.sources.inbox import DeliveryFile
from warehouse_assets.sources.units import Unit, create_stage


def is_trips(file: DeliveryFile) -> bool:
    """Whether the file is one of trips."""
    return file.name.lower().startswith("trips")


def write_trips(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, units: Sequence[Unit], spool: Path
) -> StagedFiles:
    """Write the trips of `units` beside the files of the table."""
    create_stage(connection, None)
    files = []
    for unit in units:
        query = f"""SELECT *, {unit.arrival} AS arrival, o[1] AS origin_lon, o[2] AS origin_lat,
            d[1] AS destination_lon, d[2] AS destination_lat, datetime AS started_at
            FROM (SELECT *, string_split(origin_coord[8:-2], ' ')::DOUBLE[] AS o,
                string_split(destination_coord[8:-2], ' ')::DOUBLE[] AS d
            FROM read_csv('{unit.file.path}', all_varchar = true))"""
        query = f"""SELECT region, origin_lon, origin_lat, destination_lon, destination_lat,
            CAST(started_at AS TIMESTAMP) AS started_at, datasource, arrival FROM ({query})"""
        files += write_parquet(connection, table, query)
    return StagedFiles(files)
