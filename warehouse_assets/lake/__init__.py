"""The lake: Delta tables in a folder, and the DuckDB engine that reads and writes them.

It knows no family of data and nothing of Dagster or of the SQL database.
"""

from warehouse_assets.lake.commit import Transactions, Written, register
from warehouse_assets.lake.computing import Computation, computing
from warehouse_assets.lake.files import Verified, WrittenFile, discard, verify
from warehouse_assets.lake.lake import Lake, view_changes
from warehouse_assets.lake.maintenance import Maintained, maintain, rearrange
from warehouse_assets.lake.table import LakeTable, changed_at, names_of
from warehouse_assets.lake.touched import Touched
from warehouse_assets.lake.versions import (
    Labelled,
    give_label,
    is_merged,
    labelled,
    open_at,
    remove_label,
    version_at,
)
from warehouse_assets.lake.weeks import is_by_week
from warehouse_assets.lake.write_modes import append, merge, overwrite, replace

__all__ = [
    "Computation",
    "Labelled",
    "Lake",
    "LakeTable",
    "Maintained",
    "Touched",
    "Transactions",
    "Verified",
    "Written",
    "WrittenFile",
    "append",
    "changed_at",
    "computing",
    "discard",
    "give_label",
    "is_by_week",
    "is_merged",
    "labelled",
    "maintain",
    "merge",
    "names_of",
    "open_at",
    "overwrite",
    "rearrange",
    "register",
    "remove_label",
    "replace",
    "verify",
    "version_at",
    "view_changes",
]
