"""The lake: Delta tables in a folder, and the DuckDB engine that reads and writes them.

It knows no family of data and nothing of Dagster or of the SQL database.
"""

from warehouse_assets.lake.commit import Transactions, Written, register
from warehouse_assets.lake.computing import Computation, computing
from warehouse_assets.lake.files import Verified, WrittenFile, discard, verify
from warehouse_assets.lake.lake import Lake, view_changes
from warehouse_assets.lake.maintenance import Maintained, maintain, rearrange
from warehouse_assets.lake.table import LakeTable, changed_at, names_of
from warehouse_assets.lake.write_modes import append, merge, overwrite, replace

__all__ = [
    "Computation",
    "Lake",
    "LakeTable",
    "Maintained",
    "Transactions",
    "Verified",
    "Written",
    "WrittenFile",
    "append",
    "changed_at",
    "computing",
    "discard",
    "maintain",
    "merge",
    "names_of",
    "overwrite",
    "rearrange",
    "register",
    "replace",
    "verify",
    "view_changes",
]
