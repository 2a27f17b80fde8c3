"""The lake: Delta tables in a folder, and the DuckDB engine that reads and writes them.

It knows no family of data and nothing of Dagster or of the SQL database.
"""

from warehouse_assets.lake.commit import Transactions, Written, append, overwrite, register
from warehouse_assets.lake.feed import view_changes
from warehouse_assets.lake.hashes import Verified, verify
from warehouse_assets.lake.lake import Lake, LakeTable, changed_at
from warehouse_assets.lake.maintenance import Maintained, maintain
from warehouse_assets.lake.merge import merge
from warehouse_assets.lake.parquet import WrittenFile
from warehouse_assets.lake.parquet import remove_files as discard
from warehouse_assets.lake.rearrange import rearrange
from warehouse_assets.lake.replace import replace

__all__ = [
    "Lake",
    "LakeTable",
    "Maintained",
    "Transactions",
    "Verified",
    "Written",
    "WrittenFile",
    "append",
    "changed_at",
    "discard",
    "maintain",
    "merge",
    "overwrite",
    "rearrange",
    "register",
    "replace",
    "verify",
    "view_changes",
]
