"""How the tables of the lake remember which inbox files they hold: by Delta's transactions."""

from collections.abc import Sequence

from deltalake import DeltaTable

from warehouse_assets.ingest.file_kinds import FileKind
from warehouse_assets.ingest.inbox import InboxFile, unit_name
from warehouse_assets.ingest.load import loaded_now
from warehouse_assets.ingest.units import Unit
from warehouse_assets.lake import Lake, Transactions
from warehouse_assets.tables import REJECTED_RECORDS


def is_taken(lake: Lake, kind: FileKind, file: InboxFile) -> bool:
    """Whether the lake holds all that the content of `file` has to give, under whatever name."""
    tables = [table for table in (kind.table, REJECTED_RECORDS) if table is not None]
    handles = (lake.table(table).open_existing() for table in tables)
    digest = file.digest()
    return all(
        handle is not None and arrival_of(handle, kind.name, digest) is not None
        for handle in handles
    )


def rejected_whole(lake: Lake, kind: FileKind, file: InboxFile) -> str:
    """Why the content of `file`, which was taken, was rejected as a whole; empty if it was not."""
    arrival = arrival_of(lake.table(REJECTED_RECORDS).open(), kind.name, file.digest())
    with lake.connect() as connection:
        lake.view_newest(connection, REJECTED_RECORDS)
        found = connection.execute(
            f"""SELECT reason FROM {REJECTED_RECORDS.name}
            WHERE source = ? AND position = 0 AND starts_with(unit, ?)""",
            [kind.name, unit_name(arrival or 0, "")],
        ).fetchall()
    return str(found[0][0]) if found else ""


def arrival_of(handle: DeltaTable, kind: str, digest: str) -> int | None:
    """The arrival number under which a table holds the content `digest`; None if it does not."""
    number: int | None = handle.transaction_version(_app_id(kind, digest))
    return number


def newest_arrival(handle: DeltaTable, kind: str) -> int:
    """Up to which arrival number every file of `kind` is in the table; 0 if there is none."""
    return handle.transaction_version(_newest_app_id(kind)) or 0


def outstanding(
    handle: DeltaTable, kind: str, batch: Sequence[Unit]
) -> tuple[list[int], Transactions]:
    """The arrival numbers of units that the table does not hold, and their transactions."""
    units = [unit for unit in batch if arrival_of(handle, kind, unit.digest) is None]
    if not units:
        return [], {}
    arrivals = [unit.arrival for unit in units]
    transactions = {_app_id(kind, unit.digest): unit.arrival for unit in units}
    transactions[_newest_app_id(kind)] = max(newest_arrival(handle, kind), *arrivals)
    return arrivals, {**transactions, **loaded_now(kind)}


def _app_id(kind: str, digest: str) -> str:
    """Remembers a file by its content."""
    return f"{kind}/{digest}"


def _newest_app_id(kind: str) -> str:
    """Remembers up to which arrival number every file has been taken."""
    return f"{kind}/newest"
