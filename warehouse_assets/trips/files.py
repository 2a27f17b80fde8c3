"""Which delivery files are trips, and how they are read."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from warehouse_assets.lake import LakeTable
from warehouse_assets.sources.csv_layout import has_columns
from warehouse_assets.sources.csv_records import write_csv_records
from warehouse_assets.sources.csv_values import csv_fields
from warehouse_assets.sources.file_kinds import StagedFiles
from warehouse_assets.sources.inbox import DeliveryFile
from warehouse_assets.sources.units import Unit
from warehouse_assets.trips.tables import TRIPS

SUFFIXES = (".csv", ".csv.gz")
_ALSO_CALLED = {"datetime": ("date_time",)}
_ALIASES = {name: (name, *_ALSO_CALLED.get(name, ())) for name in csv_fields(TRIPS)}


def is_trips(file: DeliveryFile) -> bool:
    """Whether a file is one of trips: a CSV file whose name or whose header says so."""
    name = file.name.lower()
    if not name.endswith(SUFFIXES):
        return False
    return name.startswith(str(TRIPS.name)) or has_columns(file.path, _ALIASES)


def write_trips(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, units: Sequence[Unit], spool: Path
) -> StagedFiles:
    """Write the trips of `units` beside the files of `table`, for the caller to commit.

    What cannot be used goes to the table `REJECTED` of the connection; the position of a record
    is the number of its (first) line, the header being line 1.
    """
    return write_csv_records(connection, table, units, spool, _ALIASES)
